"""What receipts say about each other: the streams of rollouts, and which key may sign where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, NamedTuple, Optional

from .canonical import BadJSON
from .ed25519 import KeyRefused, PublicKey
from .jsonform import members
from .merkle import MAX_INT64, parse_hash
from .notes import BadNote
from .receipt import CheckFailed, Receipt, key_id_of, quoted
from .trust import DESCRIBED, BadKeys, Trust

MAX_KEYS = 4096  # that the events of one log may add


@dataclass
class StreamEnd:
    """The last receipt of a stream so far."""

    seq: int
    hash: str
    whole: bool  # it began with its first receipt
    ended: bool  # a decision ended the rollout
    final: bool  # and nothing may follow: a rollout that takes no action goes on being looked at


class Streams:
    """The receipts of each rollout are numbered, and each holds the hash of the one before."""

    def __init__(self) -> None:
        self.ends: Dict[str, StreamEnd] = {}

    def next(self, r: Receipt, from_start: bool) -> None:
        """Adds a receipt, in log order. With from_start, every stream must begin with its first receipt."""
        id_, seq, prev = r.stream
        if id_ == "":
            if r.kind.startswith("rollout_"):
                raise CheckFailed("stream", "a rollout's receipt that stands in no stream")
            return
        before = self.ends.get(id_)
        rollout = "rollout " + quoted(id_)
        if (r.kind == "rollout_created") != (seq == 0):
            expected = "a stream that begins with rollout_created, and only there"
            raise CheckFailed("stream", rollout, expected, f"{r.kind} as number {seq}")
        self.ends[id_] = StreamEnd(
            seq, r.integrity_hash, before is not None and before.whole or seq == 0, before is not None and before.ended or r.terminal,
            before is not None and before.final or r.terminal and not r.advisory,
        )  # fmt: skip
        if before is None:
            if from_start and seq != 0:
                raise CheckFailed("stream", f"the first receipts of {rollout} are missing", "number 0", f"number {seq}")
        elif seq != before.seq + 1:
            detail = f"a receipt of {rollout} is missing, moved or repeated here"
            raise CheckFailed("stream", detail, f"number {before.seq + 1}", f"number {seq}")
        elif prev != before.hash:
            raise CheckFailed("stream", f"the receipt before in the stream of {rollout} is another one", before.hash, prev)
        elif before.final:
            raise CheckFailed("stream", f"{rollout} goes on after its end")

    def text(self) -> str:
        ended = sum(end.ended for end in self.ends.values())
        return f"{len(self.ends)} rollouts, numbered without a gap, each receipt naming the one before; {ended} have ended"


class UnknownKeyEvent(CheckFailed):
    """A key event of a kind that this verifier does not know."""


@dataclass
class Span:
    """A key that is trusted, or was: where it may sign, and where it did."""

    key: PublicKey
    root: bool = False  # the auditor gave it
    purpose: str = ""
    added: bool = False
    by: str = ""  # who signed the addition
    at: int = 0  # its log index
    begin: int = 0
    until: int = MAX_INT64
    first: Optional[int] = None  # indexes at which it signed what the evidence is about
    last: int = 0
    reported: bool = False


class KeyEvent(NamedTuple):
    what: str
    id: str
    purpose: str
    key: PublicKey
    from_index: Optional[int]


def parse_key_event(body: Dict[str, Any]) -> KeyEvent:
    """Reads what a key event says, and admits its key."""
    try:
        e = members(body, {"event": str, "key": dict, "from_index": int}, closed=False)
        key = members(e["key"] or {}, dict.fromkeys(DESCRIBED, str), closed=False)
        Trust().add(key)
        if e["from_index"] is not None and e["from_index"] < 0:
            raise BadKeys(f"from_index {e['from_index']}")
    except (BadJSON, BadKeys, BadNote, KeyRefused) as bad:
        raise CheckFailed("key_span", f"a key event that cannot be read: {bad}") from None
    data = parse_hash(key["public_key"]) or b""
    return KeyEvent(e["event"] or "", key_id_of(data), key["purpose"], PublicKey(data), e["from_index"])


class KeySpans:
    """Which key is trusted, and where it may sign.

    The keys that the auditor gave are the roots. An addition that is signed by
    a trusted key that holds there makes the added key trusted too. whole: every
    key event below the last index is at hand, so that a key that none adds may
    not sign.
    """

    def __init__(self, roots: Mapping[str, PublicKey], whole: bool) -> None:
        self.roots, self.whole = roots, whole
        self.events = 0
        self._keys = {id_: Span(key, root=True) for id_, key in roots.items()}

    def trusts(self, id_: str) -> bool:
        """Whether the key may sign anything at all."""
        span = self._keys.get(id_)
        return span is not None and (span.root or span.added and span.purpose == "receipt")

    def keys(self) -> Dict[str, PublicKey]:
        """The keys that are trusted by now."""
        return {id_: span.key for id_, span in self._keys.items() if self.trusts(id_)}

    def next(self, r: Receipt, index: int, about: bool) -> List[CheckFailed]:
        """Adds the receipt at an index, whose signature by a trusted key was verified.

        about is false for a key event that only stands beside what the evidence
        is about: a later revocation of its key is no fault of the rest.
        """
        faults = self._event(r, index) if r.kind == "key_event" else []
        span = self._keys[r.key_id]
        if about:
            span.first = index if span.first is None else span.first
            span.last = index
        fault = self.fault(r.key_id, index)
        if fault and not span.reported:  # of keys that were not added only the first use is reported
            span.reported = not span.added
            faults.append(fault)
        return faults

    def fault(self, id_: str, index: int) -> Optional[CheckFailed]:
        """Why a trusted key may not sign at index."""
        span, found = self._keys[id_], f"a signature of key {id_} at index {index}"
        if index >= span.until:
            return CheckFailed("key_span", "the key was retired or revoked", f"below index {span.until}", found)
        if not span.added:
            if not self.whole or self.events == 0:
                return None
            return CheckFailed("key_span", "no key event before adds the key", "", found)
        if span.purpose != "receipt":
            return CheckFailed("key_span", f"the key is for {span.purpose}s", "a key for receipts", found)
        if index < span.begin:
            return CheckFailed("key_span", "the key does not hold yet", f"from index {span.begin} on", found)
        return None

    def _event(self, r: Receipt, index: int) -> List[CheckFailed]:
        try:
            e = parse_key_event(r.body)
        except CheckFailed as bad:
            return [bad]
        self.events += 1
        if e.what == "add":
            return self._add(e, r.key_id, index)
        if e.what in ("retire", "revoke"):
            return self._end(e, r.key_id, index)
        return [UnknownKeyEvent("key_span", f"event {quoted(e.what)}; known are add, retire and revoke")]

    def _add(self, e: KeyEvent, signer: str, index: int) -> List[CheckFailed]:
        """A key adds itself only as the first event of a log, or as one that the auditor gave; that makes nobody trusted."""
        span = self._keys.get(e.id)
        if span and span.added:
            return [CheckFailed("key_span", f"the key {e.id} is added twice")]
        if signer != e.id and self.fault(signer, index):
            return []  # which is reported of its signer; it adds nothing
        if span is None and len(self._keys) >= MAX_KEYS:
            return [CheckFailed("key_span", f"the log adds more than {MAX_KEYS} keys")]
        if span is None:
            span = self._keys[e.id] = Span(e.key)
        span.added, span.purpose, span.by, span.at = True, e.purpose, signer, index
        span.begin = max(index, e.from_index or 0)  # nothing is added for the past
        if span.first is not None and span.first < span.begin and not span.reported:
            span.reported = True
            detail = f"the key {e.id} signed before it held"
            return [CheckFailed("key_span", detail, f"from index {span.begin} on", f"a signature at index {span.first}")]
        return []

    def _end(self, e: KeyEvent, signer: str, index: int) -> List[CheckFailed]:
        """A retirement is planned, a revocation may reach back. The earliest end of a key counts."""
        span = self._keys.get(e.id)
        begin = index + 1 if e.from_index is None else e.from_index
        if self.fault(signer, index):
            return []  # which is reported of its signer; it ends nothing
        if span is None or not span.added and self.whole:
            return [CheckFailed("key_span", f"the key {e.id} is ended and was never added")]
        if e.what == "revoke" and signer == e.id:
            return [CheckFailed("key_span", f"the key {e.id} revokes itself", "a signature of another key that holds")]
        if e.what == "retire" and begin < index:
            detail = f"the retirement of the key {e.id} reaches back, as only a revocation may"
            return [CheckFailed("key_span", detail, f"from index {index} or later", str(begin))]
        span.until = min(span.until, begin)
        faults: List[CheckFailed] = []
        if span.first is not None and span.last >= span.until:  # it may end a key for receipts that were seen already
            detail = f"the key {e.id} was ended for indexes at which it signed"
            faults.append(CheckFailed("key_span", detail, f"no signature from index {span.until} on", f"one at index {span.last}"))
        faults += self._fall(e.id, span.until)
        if span.purpose != "checkpoint" and not self._any_left(max(begin, index + 1)):
            detail = f"the end of the key {e.id} leaves no key that could sign receipts"
            faults.append(CheckFailed("key_span", detail, "a successor", "none"))
        return faults

    def _fall(self, by: str, begin: int) -> List[CheckFailed]:
        """Takes back the additions that a key made from an index on, and those that the added keys made."""
        faults: List[CheckFailed] = []
        for id_, span in sorted(self._keys.items(), key=lambda item: item[0]):
            if not span.added or span.by != by or id_ == by or span.at < begin:
                continue
            span.added = False
            if span.first is not None:
                detail = f"the key {id_} was added by the key {by}, which did not hold any more"
                faults.append(CheckFailed("key_span", detail, "no signature", f"one at index {span.last}"))
            faults += self._fall(id_, 0)
        return faults

    def _any_left(self, index: int) -> bool:
        """Whether some key can sign receipts at an index or behind it."""
        return any(
            self.trusts(id_) and span.until > index and (span.purpose == "receipt" if span.added else not self.whole)
            for id_, span in self._keys.items()
        )

    def unlisted(self) -> List[CheckFailed]:
        """The faults of keys that signed and that no key event adds."""
        faults: List[CheckFailed] = []
        for id_, span in sorted(self._keys.items(), key=lambda item: item[0]):
            fault = self.fault(id_, span.first) if span.first is not None and not span.added and not span.reported else None
            if fault:
                span.reported = True
                faults.append(fault)
        return faults
