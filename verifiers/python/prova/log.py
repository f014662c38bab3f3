"""What verifying an export and a bundle have in common."""

from __future__ import annotations

import hashlib
from typing import BinaryIO, Callable, Dict, Iterator, List, Optional, Set

from .chains import KeySpans, Streams, UnknownKeyEvent, parse_key_event
from .canonical import BadJSON
from .ed25519 import PublicKey
from .jsonform import members
from .merkle import Tree, hash_text
from .notes import BadNote, Checkpoint, Verifiers, open_checkpoint
from .parallel import INDEX, Line, receipt_of_line, verify_lines
from .receipt import CheckFailed, Receipt, is_commitment, parse_receipt, quoted, unknown_key, valid_event_id
from .report import FAILED, OK, UNDETERMINED, Report
from .trust import BadKeys, Trust

MAX_LINE = 2 << 20  # bytes of a line, with its end
RECENT = 1 << 20  # how many event ids in a row are surely compared with one another
BATCH_LINES, BATCH_BYTES = 4096, 16 << 20  # what is read before it is verified side by side


class Recent:
    """The event ids of the last million receipts, and of up to as many before them."""

    def __init__(self) -> None:
        self._young: Set[bytes] = set()
        self._old: Set[bytes] = set()

    def again(self, event_id: str) -> bool:
        id_ = hashlib.sha256(event_id.encode("ascii")).digest()[:8]
        known = id_ in self._young or id_ in self._old
        if len(self._young) >= RECENT:
            self._young, self._old = set(), self._young
        self._young.add(id_)
        return known


def candidates(batch: List[bytes], trusted: Dict[str, PublicKey]) -> Dict[str, PublicKey]:
    """The trusted keys, and those that a key event among the lines describes.

    A line behind the event may be signed by its key. Whether such a key is
    trusted shows when the lines are taken in order.
    """
    for line in batch:
        if b'"kind":"key_event"' not in line:
            continue
        try:
            r, _ = parse_receipt(receipt_of_line(line))
            event = parse_key_event(r.body) if r.kind == "key_event" else None
        except CheckFailed:
            continue
        if event and event.purpose == "receipt":
            trusted[event.id] = event.key
    return trusted


class Options:
    """How a log is read. seen is called with each receipt that can be read, in log order."""

    def __init__(self, processes: int = 1, progress: Optional[Callable[[int], None]] = None,
                 seen: Optional[Callable[[int, Receipt], None]] = None) -> None:  # fmt: skip
        self.processes, self.progress, self.seen = processes, progress, seen


class LogVerifier:
    """Verifies receipts in log order, in bounded memory."""

    def __init__(self, what: str, pinned: Trust, options: Options) -> None:
        self.report = Report(pinned.pinned())
        self.report.witnessed = pinned.policy is not None
        self.what, self.pinned, self.options = what, pinned, options
        self.source: BinaryIO
        self.verifiers = Verifiers([])
        self.any_note = False  # a checkpoint key is known
        self.tree = Tree()
        self.unread = False  # a receipt could not be read, so that the tree lacks its leaf
        self.stopped = False  # the input could not be read on
        self.next = 0
        self.recent = Recent()
        self.last: Optional[bytes] = None  # the line behind the receipts
        self.heads: Dict[int, bytes] = {}  # roots at the sizes of saved heads
        self.from_start = False  # every stream must begin with its first receipt
        self.all_key_events = False  # every key event below the last index is among the receipts
        self.streams = Streams()
        self.spans = KeySpans({}, False)
        self.erased = 0  # payload fields that erasure receipts name

    def read_line(self) -> Optional[bytes]:
        """The next line without its end, or None."""
        try:
            line = self.source.readline(MAX_LINE + 1)
        except OSError as e:
            self.stop(e)
            return None
        if len(line) > MAX_LINE:
            self.report.broken("line", f"a line is longer than {MAX_LINE} bytes")
            return None
        if line.endswith(b"\n"):
            return line[:-1]
        return line or None  # a whole last line without its end is a whole line; a cut one will not parse

    def stop(self, e: OSError) -> None:
        """Says that the input could not be read on: no fault of the evidence."""
        self.stopped = True
        self.report.add("line", UNDETERMINED, f"reading stopped: {e}")

    def choose_keys(self, in_file: Trust) -> None:
        trust, detail = self.pinned, f"keys given by the caller; those in the {self.what} were not used"
        if not self.report.keys_pinned:
            trust = in_file
            trust.policy = self.pinned.policy  # always the auditor's
            detail = f"no key was given, so the keys in the {self.what} were used: this shows that it agrees with itself, not who made it"
        try:
            self.verifiers = trust.verifiers()
        except (BadKeys, BadNote) as e:
            self.report.add("trust", FAILED, str(e))
        self.any_note = trust.signs_checkpoints()
        self.spans = KeySpans(trust.receipt, self.all_key_events)
        self.report.settle("trust", detail)

    def note_head(self) -> None:
        """Keeps the root at a size at which a head was saved earlier."""
        for head in self.pinned.heads:
            if head.size == self.tree.size:
                self.heads[head.size] = self.tree.root()

    def _batch(self, lines: Iterator[bytes]) -> List[bytes]:
        batch: List[bytes] = []
        size = 0
        for line in lines:
            batch.append(line)
            size += len(line)
            if len(batch) >= BATCH_LINES or size >= BATCH_BYTES:
                break
        return batch

    def _lines(self) -> Iterator[bytes]:
        """The lines of receipts, up to one that is none, which is kept."""
        while True:
            line = self.read_line()
            if line is None:
                return
            if not line.startswith(INDEX):
                self.last = line
                return
            yield line

    def read_receipts(self, take: Callable[[Line], None]) -> None:
        lines = self._lines()
        while True:
            batch = self._batch(lines)
            if not batch:
                return
            for line in verify_lines(batch, candidates(batch, self.spans.keys()), self.options.processes):
                take(line)
            if self.options.progress:
                self.options.progress(self.report.receipts)

    def not_a_line(self, index: Optional[int]) -> None:
        self.report.broken("line", 'not a line of the form {"log_index":…,"receipt":…}', index)
        self.unread = True

    def status_of(self, e: CheckFailed) -> str:
        """Tells a key that the auditor does not trust from one that nobody handed over."""
        return UNDETERMINED if e.check == "known_key" and not self.spans.roots else FAILED

    def look(self, line: Line, r: Optional[Receipt], about: bool = True) -> bool:
        """Folds in what a receipt says by itself, and about its org, its event, its key and its stream.

        about is false for a key event that only stands beside what the evidence is about.
        """
        report, at, failed = self.report, line.index, line.failed()
        if r is None or at is None:
            if failed:
                report.fail(failed, FAILED, at)
            self.unread = True
            return False
        if not self.spans.trusts(r.key_id):  # the key may be one that an untrusted event describes
            failed = unknown_key(r.key_id)
        if failed:
            report.fail(failed, self.status_of(failed), at, r.event_id)
        if r.org != report.org:
            report.add("org", FAILED, "", quoted(report.org), quoted(r.org), at, r.event_id)
        if self.recent.again(r.event_id):
            report.add("unique_events", FAILED, "the event is logged twice", index=at, event_id=r.event_id)
        try:
            self.streams.next(r, self.from_start)
        except CheckFailed as e:
            report.fail(e, FAILED, at, r.event_id)
        if not failed:
            for fault in self.spans.next(r, at, about):
                report.fail(fault, UNDETERMINED if isinstance(fault, UnknownKeyEvent) else FAILED, at, r.event_id)
        if self.options.seen:
            self.options.seen(at, r)
        return True

    def erasure(self, r: Receipt, at: int) -> None:
        """Counts the fields that an erasure receipt names, and wants it to name commitments of an earlier receipt."""
        if r.kind != "erasure":
            return
        try:
            e = members(r.body, {"erased": dict}, closed=False)["erased"] or {}
            e = members(e, {"event_id": str, "log_index": int, "commitments": dict}, closed=False)
            named = e["commitments"] or {}
            good = valid_event_id(e["event_id"] or "") and 0 <= (e["log_index"] or 0) < at and all(is_commitment(c) for c in named.values())
        except BadJSON:
            named, good = {}, False
        if good and named:
            self.erased += len(named)
            return
        detail = "an erasure that does not name commitments of an earlier receipt"
        self.report.add("redactions", FAILED, detail, index=at, event_id=r.event_id)

    def receipt_of(self, line: Line) -> Optional[Receipt]:
        return parse_receipt(line.raw)[0] if line.read else None

    def settle_each(self) -> None:
        """Says of the checks of each receipt that they hold, if all could be read."""
        report, n = self.report, self.report.receipts
        for name in ("line", "envelope", "schema", "event_id", "kind", "times", "key_id"):
            self.settle_if_read(name, f"{n} receipts")
        self.settle_if_read("canonical_form", f"{n} receipts are byte for byte in canonical form")
        self.settle_if_read("known_key", f"{n} receipts")
        if report.status.get("known_key") == OK:
            self.settle_if_read("signature", f"{n} signatures")
        self.settle_if_read("org", f"{n} receipts of org {report.org}")
        self.settle_if_read("unique_events", f"no event twice among any {min(n, RECENT)} in a row")
        if self.streams.ends:
            self.settle_if_read("stream", self.streams.text())
        if self.spans.events:
            for fault in self.spans.unlisted():
                report.fail(fault)
            chained = len(self.spans.keys()) - len(self.spans.roots)
            more = f"; {chained} keys are trusted because a trusted key added them" if chained > 0 else ""
            self.settle_if_read("key_span", f"{self.spans.events} key events let each key sign where it did{more}")

    def settle_if_read(self, check: str, detail: str) -> None:
        """Claims a success for all receipts only if all could be read."""
        if not self.unread:
            self.report.settle(check, detail)

    def _check_witnesses(self, text: str) -> None:
        """Holds the checkpoint to the policy. Too few cosignatures prove nothing against the log: a witness may have been away."""
        policy, report = self.pinned.policy, self.report
        if policy is None:
            return
        seen: Dict[str, str] = {}
        missing: List[str] = []
        for witness in policy.witnesses:
            try:
                at = witness.cosigned(text)
            except BadNote as e:
                report.add("witnesses", FAILED, str(e))
                continue
            if at is None:
                missing.append(witness.name)
            else:
                seen[witness.name] = at
        listed = ", ".join(f"{name} at {at}" for name, at in seen.items())
        if not policy.met(set(seen)):
            detail = "the quorum of witnesses is not there; missing: " + (", ".join(missing) or "none")
            report.add("witnesses", UNDETERMINED, detail, str(policy), listed or "none")
        report.settle("witnesses", f"cosigned by {listed or 'no known witness'}; want {policy}")

    def check_signatures(self, text: str) -> None:
        self._check_witnesses(text)
        if not self.any_note:
            self.report.add("checkpoint", UNDETERMINED, "no checkpoint key is known to verify it with")
            return
        try:
            c = open_checkpoint(text, self.verifiers)
        except BadNote as e:
            self.report.add("checkpoint", FAILED, str(e))
            return
        self.report.settle("checkpoint", f"signed by the key of {c.origin}")

    def check_saved(self, c: Checkpoint) -> None:
        """Compares the log with the heads that the auditor saved earlier."""
        saved = [head for head in self.pinned.heads if head.origin == c.origin]
        for head in saved:
            root = self.heads.get(head.size)
            if head.size > c.size:
                detail = "a head saved earlier is of a larger log: receipts were removed"
                self.report.add("consistency", FAILED, detail, f"size {head.size} or more", str(c.size))
            elif root is None:
                detail = f"a head saved earlier, of size {head.size}, lies before the {self.what}"
                self.report.add("consistency", UNDETERMINED, detail)
            elif root != head.root:
                detail = f"a head saved earlier, of size {head.size}, has another root: the log was rewritten"
                self.report.add("consistency", FAILED, detail, hash_text(head.root), hash_text(root))
        if saved:
            self.report.settle("consistency", f"{len(saved)} heads saved earlier are found again")
        elif self.pinned.heads:
            detail = "none of the heads saved earlier is of this log, so nothing shows that it continues one that was seen"
            self.report.add("consistency", UNDETERMINED, detail)
