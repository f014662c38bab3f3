"""A receipt: an envelope of one spelling around a canonical body, signed."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any, Dict, Mapping, Optional, Tuple

from .canonical import MAX_BYTES, MAX_SAFE, BadJSON, Reader, parse_canonical
from .ed25519 import PublicKey, SignatureRefused
from .merkle import MAX_INT64, receipt_leaf, strict_base64

PAYLOAD_TYPE = b"application/vnd.prova.receipt+json"
SCHEMA = "prova.receipt/1"
CLOCK_SKEW = 5 * 60 * 10**9  # nanoseconds that occurred_at may lie after recorded_at


class CheckFailed(ValueError):
    """Which check a receipt fails. malformed: it is no receipt at all, as opposed to a bad one."""

    def __init__(self, check: str, detail: str = "", expected: str = "", found: str = "", malformed: bool = False) -> None:
        super().__init__(f"{check}: {detail}")
        self.check, self.detail, self.expected, self.found, self.malformed = check, detail, expected, found, malformed


@dataclass
class Receipt:
    """An opened receipt. Members of the header that the body lacks are empty."""

    body: Dict[str, Any]
    body_bytes: bytes
    signature: bytes
    key_id: str
    event_id: str
    org: str
    kind: str
    recorded_at: str
    source: Dict[str, str]
    stream: Tuple[str, int, str]  # id, number and the integrity hash of the receipt before; of a rollout's receipts
    terminal: bool
    advisory: bool
    integrity_hash: str
    leaf: bytes


def pae(payload_type: bytes, body: bytes) -> bytes:
    """DSSE's pre-authentication encoding, the bytes that are signed."""
    return b"DSSEv1 %d %s %d %s" % (len(payload_type), payload_type, len(body), body)


def key_id_of(public: bytes) -> str:
    return hashlib.sha256(b"prova-receipt-key\n" + public).hexdigest()


def quoted(text: str) -> str:
    return ascii(text[:80] + ("…" if len(text) > 80 else ""))


_HEAD, _KEY, _SIG, _TAIL = b'{"body":', b',"key_id":"', b'","signature":"', b'"}'


def split_envelope(raw: bytes) -> Tuple[bytes, bytes, bytes]:
    """Takes an envelope apart without a parser: the parts between fixed texts are the same for every reader."""
    if len(raw) > MAX_BYTES:
        raise CheckFailed("envelope", expected=f"at most {MAX_BYTES} bytes", found=f"{len(raw)} bytes", malformed=True)
    inner = raw[len(_HEAD) : -len(_TAIL)]
    i = inner.rfind(_KEY)
    if not raw.startswith(_HEAD) or not raw.endswith(_TAIL) or i < 0:
        raise envelope_fault(raw)
    body = inner[:i]
    key_id, sig, signature = inner[i + len(_KEY) :].partition(_SIG)
    if not sig or re.search(rb'["\\]', key_id) or re.search(rb'["\\]', signature) or not body.startswith(b"{"):
        raise envelope_fault(raw)
    return body, key_id, signature


def envelope_fault(raw: bytes) -> CheckFailed:
    """What is wrong with an envelope that is not in its one spelling."""

    def fault(detail: str, malformed: bool) -> CheckFailed:
        return CheckFailed("envelope", detail, expected='{"body":{…},"key_id":"…","signature":"…"}', malformed=malformed)

    reader = Reader(raw, strict=False, depth=9_999)
    if not reader.take(b"{"):
        return fault("not a JSON object", True)
    wanted = {"body": dict, "key_id": str, "signature": str}
    seen: Dict[str, Any] = {}
    try:
        while reader.peek() != b"}":
            if seen and not reader.take(b","):
                raise reader.fault("a comma is missing")
            name = reader.name(seen)
            value = reader.value()
            if name not in wanted:
                return fault("unknown member " + quoted(name), False)
            seen[name] = value
    except BadJSON as e:
        # A second member of a name is an attempt to be read in two ways, not an accident of transport.
        return fault(f"not strict JSON: {e}", not e.duplicate)
    for name, kind in wanted.items():
        if not isinstance(seen.get(name), kind):
            return fault(f'member "{name}" is missing or of the wrong type', True)
    return fault("members out of order, or space or escapes between them, or data behind them", False)


def parse_receipt(raw: bytes) -> Tuple[Receipt, bytes]:
    """Reads a receipt, and returns with it the bytes that were signed. It is as strict as can be without the key."""
    body_bytes, key_id, signature64 = split_envelope(raw)
    try:
        body = parse_canonical(body_bytes)
    except BadJSON as e:
        raise CheckFailed("canonical_form", str(e)) from None
    header = check_header(body)
    if key_id != header["key_id"].encode("ascii"):
        raise CheckFailed("key_id", "the envelope names another key than the body", header["key_id"], repr(key_id))
    signature = strict_base64(signature64.decode("latin-1"))
    if signature is None:
        raise CheckFailed("signature", expected="standard base64 with no spare bits", found=quoted(signature64.decode("latin-1")))
    if len(signature) != 64:
        raise CheckFailed("signature", expected="64 bytes", found=f"{len(signature)} bytes")
    signed = pae(PAYLOAD_TYPE, body_bytes)
    integrity_hash = hashlib.sha256(signed).hexdigest()
    receipt = Receipt(
        body, body_bytes, signature, header["key_id"], header["event_id"], header["org"], header["kind"], header["recorded_at"],
        header["source"], header["stream"], header["terminal"], header["advisory"], integrity_hash,
        receipt_leaf(header["event_id"], integrity_hash),
    )  # fmt: skip
    return receipt, signed


def unknown_key(id_: str) -> CheckFailed:
    return CheckFailed("known_key", "the signing key is not among the keys given, and no key event of a trusted key adds it", found=id_)


def verify_receipt(receipt: Receipt, signed: bytes, keys: Mapping[str, PublicKey]) -> None:
    key = keys.get(receipt.key_id)
    if key is None:
        raise unknown_key(receipt.key_id)
    try:
        key.verify(signed, receipt.signature)
    except SignatureRefused as e:
        raise CheckFailed("signature", str(e)) from None


def is_commitment(text: Any) -> bool:
    """Whether something has the form of a commitment to a payload field."""
    return isinstance(text, str) and re.fullmatch("sha256:[0-9a-f]{64}", text) is not None


def valid_event_id(text: str) -> bool:
    return re.fullmatch("evt_[0-9a-z]{1,60}", text) is not None


_NAMES = (
    "schema", "event_id", "org", "kind", "occurred_at", "recorded_at", "actor", "key_id", "idempotency_key", "run_id", "probe_id",
)  # fmt: skip
_HEADER = {**dict.fromkeys(_NAMES, ""), "source": {}, "stream": {}, "terminal": False, "advisory": False}
_SOURCE = dict.fromkeys(("app_id", "environment", "release", "framework"), "")
_STREAM = {"id": "", "seq": 0, "prev": ""}


def _members(members: Dict[str, Any], wanted: Mapping[str, Any]) -> Dict[str, Any]:
    """The members that are wanted, each with its zero where there is none. Nothing is coerced, null neither."""
    for name, zero in wanted.items():
        # A bool is an int in Python, and here it is not.
        if type(members.get(name, zero)) is not type(zero) or isinstance(zero, int) and not 0 <= members.get(name, zero) <= MAX_INT64:
            raise CheckFailed("schema", f"member {name} has the wrong type")
    return {name: members.get(name, zero) for name, zero in wanted.items()}


def check_header(body: Dict[str, Any]) -> Dict[str, Any]:
    """The members that bodies of all kinds share, checked for their form."""
    h = _members(body, _HEADER)
    h["source"] = _members(h["source"], _SOURCE)
    stream = _members(h["stream"], _STREAM)
    if h["schema"] != SCHEMA:
        raise CheckFailed("schema", expected=SCHEMA, found=quoted(h["schema"]))
    if not valid_event_id(h["event_id"]):
        raise CheckFailed("event_id", expected='"evt_" and 1 to 60 of 0-9 and a-z', found=quoted(h["event_id"]))
    if not re.fullmatch("[a-z][a-z0-9_]{0,63}", h["kind"]):
        raise CheckFailed("kind", expected="a lower-case letter, then at most 63 of a-z, 0-9 and _", found=quoted(h["kind"]))
    for name in ("org", "actor"):
        if not 1 <= len(h[name].encode("utf-8")) <= 128:
            raise CheckFailed("schema", "member " + name, expected="1 to 128 bytes", found=quoted(h[name]))
    if not re.fullmatch("[0-9a-f]{64}", h["key_id"]):
        raise CheckFailed("key_id", expected="64 lower-case hex digits", found=quoted(h["key_id"]))
    h["stream"] = (stream["id"], stream["seq"], stream["prev"])
    if stream != _STREAM:
        _check_stream(*h["stream"])
    _check_times(h["recorded_at"], h["occurred_at"])
    return h


def _check_stream(id_: str, seq: int, prev: str) -> None:
    first = seq == 0 and prev == ""
    later = 0 < seq <= MAX_SAFE and re.fullmatch("[0-9a-f]{64}", prev)
    if not 1 <= len(id_.encode("utf-8")) <= 128 or not (first or later):
        expected = "id, seq, and prev as 64 hex digits unless seq is 0"
        raise CheckFailed("schema", "member stream", expected, quoted(f"{id_} {seq} {prev}"))


def _check_times(recorded_at: str, occurred_at: str) -> None:
    recorded, occurred = parse_time(recorded_at), parse_time(occurred_at)
    for name, text, time in (("recorded_at", recorded_at, recorded), ("occurred_at", occurred_at, occurred)):
        if time is None and not (name == "occurred_at" and text == ""):
            raise CheckFailed("times", "member " + name, expected="RFC 3339 in UTC, ending in Z", found=quoted(text))
    if occurred is not None and recorded is not None and occurred - recorded > CLOCK_SKEW:
        raise CheckFailed("times", "occurred_at is after recorded_at", f"at most 5m0s after recorded_at {recorded_at}", occurred_at)


_TIME = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?Z")


def parse_time(text: str) -> Optional[int]:
    """Nanoseconds since the year 0 of YYYY-MM-DDThh:mm:ss[.f]Z, or None. A datetime has no nanoseconds and no year 0."""
    m = _TIME.fullmatch(text)
    if m is None:
        return None
    year, month, day, hour, minute, second = (int(m[i]) for i in range(1, 7))
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    lengths = (31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    if not 1 <= month <= 12 or not 1 <= day <= lengths[month - 1] or hour > 23 or minute > 59 or second > 59:
        return None
    before = year - 1
    days = 365 * year + before // 4 - before // 100 + before // 400 + sum(lengths[: month - 1]) + day - 1
    seconds = ((days * 24 + hour) * 60 + minute) * 60 + second
    return seconds * 10**9 + int((m[7] or "").ljust(9, "0"))
