"""Verifies receipts, without a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Optional, Union

from ._receipt.receipt import CheckFailed, parse_receipt
from ._receipt.receipt import verify_receipt as _verify
from ._receipt.trust import BadKeys, Trust, parse_keys
from .errors import ProvaError


class ReceiptError(ProvaError):
    """Why a receipt, or the keys to verify it with, is not taken. check names what failed."""

    def __init__(self, check: str, message: str, malformed: bool = False) -> None:
        super().__init__(message)
        self.check = check
        #: It is no receipt at all, as opposed to a bad one.
        self.malformed = malformed


@dataclass(frozen=True)
class Receipt:
    """A receipt whose signature holds."""

    event_id: str
    org: str
    kind: str
    recorded_at: str
    key_id: str
    #: What its place in the log commits to, in hex.
    integrity_hash: str
    #: All that was signed.
    body: Dict[str, Any]


class Keys:
    """Public keys that are trusted: what GET /api/v1/keys answers, or lines of keys in hex or base64. Raises ReceiptError."""

    def __init__(self, keys: Union[bytes, str]) -> None:
        try:
            self._trust: Trust = parse_keys(_bytes(keys))
        except BadKeys as e:
            raise ReceiptError("trust", f"the keys cannot be read: {e}") from None
        if not self._trust.receipt:
            raise ReceiptError("trust", "among the keys there is none that signs receipts")


def verify_receipt(receipt: Union[bytes, str], keys: Union[Keys, bytes, str]) -> Receipt:
    """Checks that a receipt is in its one form and signed by a key that is trusted, and reads it. Raises ReceiptError.

    receipt is its text as it was received: to decode and encode it again may break it.
    That the receipt stands in the log is not shown by it alone: prova-verify shows it
    of a bundle. Keys makes keys once for many receipts.
    """
    trusted = keys if isinstance(keys, Keys) else Keys(keys)
    try:
        r, signed = parse_receipt(_bytes(receipt).strip(b" \t\r\n"))
        _verify(r, signed, trusted._trust.receipt)
    except CheckFailed as e:
        raise ReceiptError(e.check, _said(e), e.malformed) from None
    return Receipt(r.event_id, r.org, r.kind, r.recorded_at, r.key_id, r.integrity_hash, r.body)


def _said(e: CheckFailed) -> str:
    parts: Dict[str, Optional[str]] = {"": e.detail, "want ": e.expected, "found ": e.found}
    said = "; ".join(label + text for label, text in parts.items() if text)
    return f"{e.check}: {said}" if said else f"{e.check} does not hold"


def _bytes(text: Union[bytes, str]) -> bytes:
    return text.encode("utf-8", "surrogatepass") if isinstance(text, str) else bytes(text)
