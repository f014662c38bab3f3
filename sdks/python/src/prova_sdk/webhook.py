"""Checks that a webhook is the server's, before it is acted on."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import threading
import time
from collections import OrderedDict
from typing import Any, Iterator, List, Mapping, Optional, Sequence, Tuple, Union, cast

from .errors import ProvaError
from .models import WebhookEvent

SIGNATURE_HEADER = "X-Prova-Signature"

#: How far a delivery's time may be from the receiver's clock, in seconds.
TOLERANCE = 300.0


class WebhookError(ProvaError):
    """Why a delivery is not acted on. Answer it with 400."""


class BadSignature(WebhookError):
    """The signature is missing, malformed, or not made with any of the secrets."""


class BadTime(WebhookError):
    """The time of the signature is outside the tolerance: it was kept back, or a clock is wrong."""


class BadBody(WebhookError):
    """The delivery is signed as it should be, and its body is not one that this version knows."""


def verify_webhook(
    headers: Mapping[str, Any],
    body: bytes,
    secrets: Union[str, Sequence[str]],
    *,
    tolerance: float = TOLERANCE,
    now: Optional[float] = None,
) -> WebhookEvent:
    """Checks that a delivery was signed with the hook's secret, or one of several, within the tolerance, and reads it.

    headers are the request's, in any case; body is the request's exactly as it came:
    to decode and encode it again breaks the signature. tolerance is in seconds, and
    now in seconds since 1970, the present if it is not given. Raises WebhookError.

    A delivery is repeated until it is answered with 2xx, and an older promotion may
    arrive after a rollback: a ReplayMemory tells what is to be acted on.
    """
    keys = [secrets] if isinstance(secrets, str) else list(secrets)
    if not keys or not all(keys):
        # An empty key would verify against an empty key.
        raise WebhookError("no secret given; use the one that the webhook's creation showed")
    stamp, sums = _parse(_header(headers, SIGNATURE_HEADER))
    present = time.time() if now is None else now
    if abs(present - int(stamp)) > tolerance:
        raise BadTime("webhook signature: time is outside the tolerance")
    matched = False
    for key in keys:
        want = hmac.new(key.encode(), stamp.encode() + b"." + body, hashlib.sha256).digest()
        for each in sums:
            matched = hmac.compare_digest(want, each) or matched
    if not matched:
        raise BadSignature("webhook signature: does not match")
    return _read(body)


def _header(headers: Mapping[str, Any], name: str) -> str:
    for key, value in headers.items():
        if key.lower() == name.lower():
            return value if isinstance(value, str) else ",".join(value)
    raise BadSignature(f"webhook signature: the header {name} is missing")


def _parse(header: str) -> Tuple[str, List[bytes]]:
    malformed = BadSignature("webhook signature: malformed header, want t=<unix seconds>,v1=<hex>")
    stamp, sums = "", []
    for part in header.split(","):
        key, found, value = part.strip().partition("=")
        if not found:
            raise malformed
        if key == "t":
            stamp = value
        elif key == "v1":
            try:
                sums.append(bytes.fromhex(value))
            except ValueError:
                raise malformed from None
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 18) or not sums:
        raise malformed
    return stamp, sums


def _read(body: bytes) -> WebhookEvent:
    try:
        event = json.loads(body)
    except (ValueError, RecursionError) as e:
        raise BadBody(f"webhook body: {e}") from None
    if not isinstance(event, dict) or not isinstance(event.get("data"), dict):
        raise BadBody("webhook body: not an event with data")
    if event.get("event") not in ("rollout.promote", "rollout.rollback"):
        raise BadBody(f"webhook body: unknown event {event.get('event')!r:.80}")
    for name, kind in (("rollout_id", str), ("weight", int), ("sequence", int)):
        if type(event["data"].get(name)) is not kind:
            raise BadBody(f"webhook body: data.{name} is missing or of the wrong type")
    return cast(WebhookEvent, event)


class ReplayMemory:
    """Remembers how far each rollout was acted on, so that nothing is done twice and nothing old is done at all.

    It goes by what is signed: the sequence of the rollout's decisions. It holds the last
    rollouts, 10,000 unless told otherwise. It is this process's alone; a receiver of
    several processes keeps the sequence where it keeps the weight.
    """

    def __init__(self, rollouts: int = 10_000) -> None:
        self._most = max(1, rollouts)
        self._lock = threading.Lock()
        self._sequences: OrderedDict[str, int] = OrderedDict()

    @contextlib.contextmanager
    def once(self, event: WebhookEvent) -> Iterator[bool]:
        """Whether the event is to be acted on, for the block that does it.

        with memory.once(event) as new:
            if new:
                set_weight(event["data"]["weight"])

        A block that raises is not remembered: the server's next attempt is new again.
        Blocks run one after another, in one process. A delivery that tries the receiver
        (data.test) is always new and never remembered.
        """
        data = event["data"]
        if data.get("test"):
            yield True
            return
        id, sequence = data["rollout_id"], data["sequence"]
        with self._lock:
            new = sequence > self._sequences.get(id, -1)
            yield new
            if new:
                self._sequences[id] = sequence
                self._sequences.move_to_end(id)
                while len(self._sequences) > self._most:
                    self._sequences.popitem(last=False)
