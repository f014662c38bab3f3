"""What can go wrong between a program and a server. Every error is a ProvaError."""

from __future__ import annotations

import email.utils
import json
import time
from dataclasses import dataclass
from typing import Any, Mapping

PROBLEM_BASE = "urn:prova:problem:"

# What a server may ask a client to wait, in seconds: more is read as this.
MAX_RETRY_AFTER = 24 * 3600.0


class ProvaError(Exception):
    """Anything that this package raises."""


class Unreachable(ProvaError):
    """No answer came: the server is down, the address is wrong, the network is, or it took too long.

    Whether the request was carried out is not known.
    """

    def __init__(self, base_url: str, reason: str) -> None:
        super().__init__(f"cannot reach {base_url}: {reason}")
        self.base_url, self.reason = base_url, reason


@dataclass(frozen=True)
class FieldError:
    """Points at one invalid member of a body (RFC 6901)."""

    pointer: str
    detail: str


class Problem(ProvaError):
    """An answer that is no success, as RFC 9457 writes it."""

    def __init__(
        self, status: int, type: str, title: str = "", detail: str = "", errors: tuple[FieldError, ...] = (), retry_after: float = 0
    ) -> None:
        self.status, self.type, self.title, self.detail, self.errors = status, type, title, detail, errors
        #: How long the server asks to wait, in seconds; 0 if it does not say.
        self.retry_after = retry_after
        lines = [detail or title] + [f"{e.pointer}: {e.detail}" for e in errors if e.detail != detail]
        super().__init__("\n  ".join(lines))

    @property
    def code(self) -> str:
        """The last part of the type; it is stable."""
        return self.type.removeprefix(PROBLEM_BASE)


class Invalid(Problem):
    """400: the request cannot be right as it is; errors points at what is wrong."""


class NotAllowed(Problem):
    """401 or 403: the key is missing, ended, or lacks the permission."""


class NotFound(Problem):
    """404: there is no such thing, or it belongs to somebody else."""


class Conflict(Problem):
    """409: it contradicts what is there; detail names it."""


class TryLater(Problem):
    """408, 429 or 5xx: the server cannot now. retry_after says when, if it knows."""


class ForeignAnswer(Problem):
    """An answer that Prova did not write: of a proxy, or of another service at this address."""


def is_problem(headers: Mapping[str, str]) -> bool:
    return (headers.get("content-type") or "").partition(";")[0].strip().lower() == "application/problem+json"


def refusal(base_url: str, status: int, headers: Mapping[str, str], data: bytes) -> Problem:
    """The error of an answer that is no success."""
    if is_problem(headers):
        try:
            return problem(json.loads(data), status, retry_after(headers))
        except (ValueError, RecursionError):
            pass
    return foreign(base_url, status, headers, data)


def problem(body: Any, status: int | None = None, after: float = 0) -> Problem:
    """Reads a problem; a ValueError says that it is none."""
    if not isinstance(body, dict) or not isinstance(body.get("type"), str) or not body["type"]:
        raise ValueError("not a problem")
    given = body.get("status")
    code = status if status is not None else given if type(given) is int else 0
    fields = body.get("errors")
    errors = tuple(
        FieldError(_text(e.get("pointer")), _text(e.get("detail"))) for e in (fields if isinstance(fields, list) else []) if isinstance(e, dict)
    )
    return _kind(code)(code, body["type"], _text(body.get("title")), _text(body.get("detail")), errors, after)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _kind(status: int) -> type[Problem]:
    if status in (408, 429) or status >= 500:
        return TryLater
    return {400: Invalid, 401: NotAllowed, 403: NotAllowed, 404: NotFound, 409: Conflict}.get(status, Problem)


def foreign(base_url: str, status: int, headers: Mapping[str, str], data: bytes, why: str = "") -> ForeignAnswer:
    detail = f"{base_url} answered {status} with something that is not Prova's; is PROVA_BASE_URL right, and what stands in between?"
    to = headers.get("location")
    if to and status // 100 == 3:
        detail = f"{base_url} redirects to {to}; set PROVA_BASE_URL to the address that answers itself"
    begins = " ".join(data[:200].decode("utf-8", "replace").split())
    if begins:
        detail += f"\n  it begins: {begins!a}"
    if why:
        detail += "\n  " + why
    return ForeignAnswer(status, PROBLEM_BASE + "foreign_answer", "Foreign answer", detail, (), retry_after(headers))


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds or a date (RFC 9110, 10.2.3), as seconds from now; 0 if there is none."""
    value = (headers.get("retry-after") or "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value[:12]), MAX_RETRY_AFTER)
    try:
        at = email.utils.parsedate_to_datetime(value).timestamp() if value else 0
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0
    return min(max(at - time.time(), 0), MAX_RETRY_AFTER)
