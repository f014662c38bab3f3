"""What receipts say about each other: the streams of rollouts, and which key may sign where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Optional

from .canonical import BadJSON
from .ed25519 import KeyRefused
from .jsonform import members
from .merkle import MAX_INT64
from .notes import BadNote
from .receipt import CheckFailed, Receipt, quoted
from .trust import DESCRIBED, BadKeys, Trust


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
    """The indexes at which a key may sign, and at which it did."""

    purpose: str = ""
    added: bool = False
    begin: int = 0
    until: int = MAX_INT64
    first: Optional[int] = None
    last: int = 0
    reported: bool = False


class KeySpans:
    """Key events say from which log index on a key holds, and up to which."""

    def __init__(self) -> None:
        self.events = 0
        self._keys: Dict[str, Span] = {}

    def next(self, r: Receipt, index: int) -> List[CheckFailed]:
        """Adds the receipt at an index. Once there is a key event, keys that none adds may not sign."""
        faults: List[CheckFailed] = []
        if r.kind == "key_event":
            try:
                self._event(r.body, index)
            except CheckFailed as e:
                faults.append(e)
        span = self._keys.setdefault(r.key_id, Span())
        if span.first is None:
            span.first = index
        span.last = index
        if self.events:
            faults += self._may(span, r.key_id, index)
        return faults

    def _may(self, span: Span, id_: str, index: int) -> List[CheckFailed]:
        def fault(detail: str, expected: str) -> List[CheckFailed]:
            return [CheckFailed("key_span", detail, expected, f"a signature of key {id_} at index {index}")]

        if not span.added:  # only the first use is reported
            reported, span.reported = span.reported, True
            return [] if reported else fault("no key event before adds the key", "")
        if span.purpose != "receipt":
            return fault(f"the key is for {span.purpose}s", "a key for receipts")
        if index < span.begin:
            return fault("the key does not hold yet", f"from index {span.begin} on")
        if index >= span.until:
            return fault("the key was retired or revoked", f"below index {span.until}")
        return []

    def _event(self, body: Dict[str, Any], index: int) -> None:
        try:
            e = members(body, {"event": str, "key": dict, "from_index": int}, closed=False)
            key = members(e["key"] or {}, dict.fromkeys(DESCRIBED, str), closed=False)
            Trust().add(key)
            if e["from_index"] is not None and e["from_index"] < 0:
                raise BadKeys(f"from_index {e['from_index']}")
        except (BadJSON, BadKeys, BadNote, KeyRefused) as bad:
            raise CheckFailed("key_span", f"a key event that cannot be read: {bad}") from None
        self.events += 1
        id_, what, begin = key["key_id"] or "", e["event"] or "", e["from_index"]
        span = self._keys.setdefault(id_, Span())
        if begin is None:  # an addition holds from its own index on, an end behind its own
            begin = index if what == "add" else index + 1
        if what == "add":
            if span.added:
                raise CheckFailed("key_span", f"the key {id_} is added twice")
            span.added, span.purpose, span.begin = True, key["purpose"], begin
            if span.first is not None and span.first < begin and not span.reported:
                span.reported = True
                raise CheckFailed("key_span", f"the key {id_} signed before it held", f"from index {begin} on", f"a signature at index {span.first}")
        elif what in ("retire", "revoke"):
            span.until = min(span.until, begin)
            if span.first is not None and span.last >= span.until:  # it may end a key for receipts that were seen already
                detail = f"the key {id_} was ended for indexes at which it signed"
                raise CheckFailed("key_span", detail, f"no signature from index {span.until} on", f"one at index {span.last}")
        else:
            raise UnknownKeyEvent("key_span", f"event {quoted(what)}; known are add, retire and revoke")

    def unlisted(self) -> List[CheckFailed]:
        """The faults of keys that signed and that no key event adds."""
        faults: List[CheckFailed] = []
        for id_, span in sorted(self._keys.items()):
            if span.first is not None and not span.added:
                faults += self._may(span, id_, span.first)
        return faults


