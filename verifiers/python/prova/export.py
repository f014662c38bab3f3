"""An export: a head line, the receipts in log order, and a last line with a checkpoint."""

from __future__ import annotations

from typing import BinaryIO

from .canonical import BadJSON
from .ed25519 import KeyRefused
from .jsonform import members, object_line, objects
from .log import LogVerifier, Options
from .merkle import Tree, hash_text, parse_tree
from .notes import BadNote, Checkpoint, parse_checkpoint
from .parallel import Line
from .report import FAILED, UNDETERMINED, Report
from .trust import DESCRIBED, BadKeys, Trust

HEAD = b'{"export":'  # begins every export


def verify_export(source: BinaryIO, pinned: Trust, options: Options) -> Report:
    """Reads an export to its end and verifies it: each receipt, their order, the rebuilt root and the checkpoint."""
    return ExportVerifier(source, pinned, options).verify()


class ExportVerifier(LogVerifier):
    def __init__(self, source: BinaryIO, pinned: Trust, options: Options) -> None:
        super().__init__("export", pinned, options)
        self.source = source

    def verify(self) -> Report:
        if self._read_head():
            self.read_receipts(self._take)
            self._settle_receipts()
            self._read_checkpoint()
        return self.report.finish(
            "head", "trust", "canonical_form", "signature", "org", "log_index", "unique_events", "receipts", "completeness",
            "checkpoint", "size", "root",
        )  # fmt: skip

    def _read_head(self) -> bool:
        report = self.report
        line = self.read_line()
        if line is None:
            report.broken("head", "the export is empty")
            return False
        try:
            head = members(object_line(line), {"export": dict})["export"] or {}
            head = members(head, {"version": int, "org": str, "from": int, "tree": str, "keys": list})
            org, begin = head["org"] or "", head["from"] or 0
            tree = Tree() if head["tree"] is None else parse_tree(head["tree"])
            keys = objects(head["keys"], dict.fromkeys(DESCRIBED, str))
            if head["version"] != 1:
                raise BadJSON(f"export version {head['version'] or 0}; only 1 is known")
            if not org:
                raise BadJSON("the export names no org")
            if tree is None or begin != tree.size:
                raise BadJSON(f"the export begins at {begin} and its tree has another size, or is none")
        except BadJSON as e:
            report.broken("head", f"the first line is not the head of an export: {e}")
            return False
        report.org, report.from_ = org, begin
        self.next, self.tree = begin, tree
        self.from_start = self.all_key_events = begin == 0
        self.note_head()
        in_file = Trust()
        for i, key in enumerate(keys):
            try:
                in_file.add(key)
            except (BadKeys, BadNote, KeyRefused) as e:
                report.add("head", FAILED, f"key {i}: {e}")
        report.settle("head", f"org {org}, from index {begin}")
        self.choose_keys(in_file)
        return True

    def _take(self, line: Line) -> None:
        """Folds a receipt's line into the report, in log order."""
        self.report.receipts += 1
        if line.index is None:
            self.not_a_line(self.next)
            self.next += 1
            return
        r = self.receipt_of(line)
        if line.index != self.next:
            detail = "a receipt is missing, moved or repeated here"
            self.report.add("log_index", FAILED, detail, str(self.next), str(line.index), line.index, r.event_id if r else "")
        self.next = line.index + 1
        if self.look(line, r) and r:
            self.erasure(r, line.index)
            self.tree.append(r.leaf)
            self.note_head()

    def _settle_receipts(self) -> None:
        report, n = self.report, self.report.receipts
        if n == 0:
            report.add("receipts", UNDETERMINED, "the export holds no receipt, so nothing was verified")
            return
        report.settle("receipts", f"{n} receipts, indexes {report.from_} to {self.next - 1}")
        self.settle_each()
        self.settle_if_read("log_index", f"{n} indexes without a gap")
        if self.erased:
            detail = "payload fields are redacted: value erased, commitment intact. No decision rests on them"
            self.settle_if_read("redactions", f"{self.erased} {detail}")

    def _read_checkpoint(self) -> None:
        report = self.report
        if self.last is None:
            detail = "the export ends without its checkpoint: it was cut off, and what followed is unknown"
            report.add("completeness", UNDETERMINED, detail)
            return
        try:
            last = members(object_line(self.last), {"checkpoint": str, "size": int})
        except BadJSON as e:
            report.broken("line", f"neither a receipt nor a checkpoint: {e}", self.next)
            return
        if self.read_line() is not None:
            report.broken("line", "data behind the checkpoint")
        report.settle("completeness", "the export ends with its checkpoint")
        text = last["checkpoint"] or ""
        try:
            c = parse_checkpoint(text)
        except BadNote as e:
            report.add("checkpoint", FAILED, str(e))
            return
        report.size = c.size
        self.check_signatures(text)
        self._check_head(c, last["size"] or 0)
        self.check_saved(c)

    def _check_head(self, c: Checkpoint, stated: int) -> None:
        report = self.report
        if stated != c.size or self.next != c.size:
            detail = f"the checkpoint, the last line ({stated}) and the receipts do not agree on the size of the log"
            report.add("size", FAILED, detail, str(c.size), str(self.next))
        report.settle("size", str(c.size))
        root = self.tree.root()
        if self.unread:
            report.add("root", UNDETERMINED, "not every receipt could be read, so the root could not be rebuilt")
        elif root != c.root:
            detail = "the receipts are not those that the checkpoint signs for, or not in that order"
            report.add("root", FAILED, detail, hash_text(c.root), hash_text(root))
        report.settle("root", f"{hash_text(root)}, rebuilt from every leaf")
