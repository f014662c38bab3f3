"""A bundle: a directory, or a tar of it, with a part of a log and all that shows it."""

from __future__ import annotations

import hashlib
import io
import os
import stat
from dataclasses import dataclass
from typing import Any, BinaryIO, Callable, Dict, List, NamedTuple, Optional, Set, Tuple

from .canonical import BadJSON, parse_line
from .ed25519 import KeyRefused
from .jsonform import members, objects
from .log import LogVerifier, Options
from .manifest import (
    CHECKPOINT, HASH_SIZE, KEYS, LEAVES, MANIFEST, PROOFS, README, RECEIPTS, File, Manifest, limit_of, manifest_of, proof_file,
)  # fmt: skip
from .merkle import ProofRefused, Tree, hash_text, parse_hash, parse_size, strict_base64, verify_inclusion
from .notes import BadNote, Checkpoint, parse_checkpoint
from .parallel import Line
from .receipt import CheckFailed, Receipt, is_commitment, parse_receipt, quoted, verify_receipt
from .report import FAILED, OK, UNDETERMINED, Report
from .tar import MAX_FILES, BadTar, read_tar
from .trust import DESCRIBED, BadKeys, Trust


class Source(NamedTuple):
    size: int
    open: Callable[[], BinaryIO]


class Section(io.RawIOBase):
    """A stretch of a file."""

    def __init__(self, f: BinaryIO, offset: int, size: int) -> None:
        self._f, self._at, self._left = f, offset, size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._f.seek(self._at)
        data = self._f.read(min(len(buffer), self._left))
        buffer[: len(data)] = data
        self._at, self._left = self._at + len(data), self._left - len(data)
        return len(data)


class Bundle:
    """The files of a bundle. What is wrong with their form is found here and said when they are verified."""

    def __init__(self, tar: bool) -> None:
        self.tar = tar
        self.files: Dict[str, Source] = {}  # of a tar in its order
        self.fault = ""

    def read(self, name: str) -> bytes:
        """A small file, whole."""
        limit = limit_of(name) or 0
        with self.files[name].open() as f:
            data = f.read(limit + 1)
        if len(data) > limit:
            raise OSError(f"the file {name} has more than {limit} bytes")
        return data


def open_directory(path: str) -> Bundle:
    b = Bundle(tar=False)
    try:
        _walk(b, path, "")
    except (OSError, BadTar) as e:
        b.fault = str(e)
    return b


def _walk(b: Bundle, path: str, prefix: str) -> None:
    for entry in sorted(os.scandir(path), key=lambda e: e.name):
        name = prefix + entry.name
        info = entry.stat(follow_symlinks=False)
        if name == PROOFS and stat.S_ISDIR(info.st_mode):
            _walk(b, entry.path, PROOFS + "/")
            continue
        limit = limit_of(name)
        if not stat.S_ISREG(info.st_mode):
            raise BadTar(f"{name!a} is a link, or no regular file")
        if limit is None:
            raise BadTar(f"{name!a} is no file of a bundle")
        if info.st_size > limit or len(b.files) == MAX_FILES:
            raise BadTar(f"the file {name} has {info.st_size} bytes, over the limit of {limit}, or there are too many")
        b.files[name] = Source(info.st_size, _opener(entry.path))


def _opener(path: str) -> Callable[[], BinaryIO]:
    return lambda: open(path, "rb")


def open_tar(f: BinaryIO) -> Bundle:
    b = Bundle(tar=True)
    try:
        for each in read_tar(f):
            limit = limit_of(each.name)
            if limit is None or each.size > limit:
                raise BadTar(f"{each.name!a} of {each.size} bytes is no file of a bundle")
            b.files[each.name] = Source(each.size, _section(f, each.offset, each.size))
    except (OSError, BadTar) as e:
        b.fault = str(e)
    return b


def _section(f: BinaryIO, offset: int, size: int) -> Callable[[], BinaryIO]:
    return lambda: io.BufferedReader(Section(f, offset, size), 1 << 16)


class Summed:
    """Reads a file and sums it up on the way. One byte more than it should have shows that it grew."""

    def __init__(self, f: BinaryIO, limit: int) -> None:
        self._f, self._left = f, limit + 1
        self.size = 0
        self.hash = hashlib.sha256()

    def _took(self, data: bytes) -> bytes:
        self.size, self._left = self.size + len(data), self._left - len(data)
        self.hash.update(data)
        return data

    def read(self, n: int) -> bytes:
        return self._took(self._f.read(min(n, self._left)))

    def readline(self, n: int) -> bytes:
        return self._took(self._f.readline(min(n, self._left)))

    def rest(self) -> None:
        while self.read(1 << 16):
            pass


def verify_bundle(b: Bundle, pinned: Trust, options: Options) -> Report:
    """Verifies the form, the manifest and the files it names, the keys, the checkpoint, each receipt and its place in
    the log, the root, the streams of rollouts, the scope, and what the bundle claims to be complete in."""
    return BundleVerifier(b, pinned, options).verify()


class BundleVerifier(LogVerifier):
    def __init__(self, b: Bundle, pinned: Trust, options: Options) -> None:
        super().__init__("bundle", pinned, options)
        self.bundle = b
        self.m: Manifest
        self.manifest: Receipt
        self.signed = b""
        self.digests: Dict[str, File] = {}
        self.note = ""  # the text of the checkpoint
        self.head: Optional[Checkpoint] = None
        self.leaves: Optional[Summed] = None
        self.leaves_from = 0
        self.counts: Dict[str, int] = {}
        self.redacted: Dict[str, List[str]] = {}  # fields by event id, of receipts not met yet
        self.proofs: Set[str] = set()  # those that a receipt was shown with
        self.agent: Optional[Tuple[str, str]] = None  # app and environment that a rollout's receipts are of
        self.found = False  # the receipt that the bundle is about
        self.within = 0  # receipts of the range

    def verify(self) -> Report:
        if self._read_manifest() and self._read_small():
            self._read_log()
            self._check_manifest()
            self._settle()
        return self.report.finish(
            "files", "manifest", "digest", "trust", "checkpoint", "size", "canonical_form", "known_key", "signature", "org", "log_index",
            "unique_events", "key_span", "receipts", "inclusion", "root", "scope", "counts", "completeness",
        )  # fmt: skip

    # The files around the log.

    def _read_manifest(self) -> bool:
        report, b = self.report, self.bundle
        if b.fault or MANIFEST not in b.files:
            report.broken("files", b.fault or f"there is no {MANIFEST}")
            return False
        event_id = ""
        try:
            self.manifest, self.signed = parse_receipt(b.read(MANIFEST))
            event_id = self.manifest.event_id
            self.m = manifest_of(self.manifest)
        except OSError as e:
            self.stop(e)
            return False
        except CheckFailed as e:
            report.fail(e, event_id=event_id)
            detail = "the manifest cannot be read, so nothing else was looked at"
            if e.malformed:
                report.broken("manifest", detail)
            else:
                report.add("manifest", FAILED, detail)
            return False
        report.org, report.scope = self.manifest.org, self.m.scope()
        self.digests = {f.name: f for f in self.m.files}
        for id_, field in self.m.redactions:
            self.redacted.setdefault(id_, []).append(field)
        return self._compare_files()

    def _compare_files(self) -> bool:
        report, have = self.report, self.bundle.files
        whole = True
        for f in self.m.files:
            if f.name not in have:
                report.add("files", FAILED, f"the file {f.name} is missing")
                whole = False
            elif have[f.name].size != f.size:
                report.add("files", FAILED, f"the file {f.name}", f"{f.size} bytes", f"{have[f.name].size} bytes")
        for name in have:
            if name not in self.digests and name != MANIFEST:
                report.add("files", FAILED, f"the file {name} is one that the manifest does not name")
        want = [MANIFEST] + [f.name for f in self.m.files]
        if self.bundle.tar and "files" not in report.status and want != list(have):
            report.broken("files", "the files do not stand in the order of the manifest")
        report.settle("files", f"{len(want)} files, none missing and none extra")
        return whole

    def _compare(self, name: str, size: int, sha256: str) -> None:
        """Holds what was read of a file to the manifest."""
        want = self.digests[name]
        if (size, sha256) != (want.size, want.sha256):
            detail = f"the file {name} is not the one that the manifest names"
            self.report.add("digest", FAILED, detail, f"{want.size} bytes, sha256 {want.sha256}", f"{size} bytes, sha256 {sha256}")

    def _small(self, name: str) -> Optional[bytes]:
        try:
            data = self.bundle.read(name)
        except OSError as e:
            self.stop(e)
            return None
        self._compare(name, len(data), hashlib.sha256(data).hexdigest())
        return data

    def _read_small(self) -> bool:
        """Reads the files around the log, and verifies the checkpoint with the keys."""
        readme, keys, text = self._small(README), self._small(KEYS), self._small(CHECKPOINT)
        if readme is None or keys is None or text is None:
            return False
        self.all_key_events = True
        self.choose_keys(self._read_keys(keys))
        self.note = text.decode("utf-8", "surrogateescape")
        self._read_head()
        return True

    def _check_manifest(self) -> None:
        """Verifies who signed the manifest: a key that holds behind the log, which the key events say."""
        if self.stopped:  # a key event may not have been read
            return
        report, r = self.report, self.manifest
        try:
            verify_receipt(r, self.signed, self.spans.keys())
            fault = self.spans.fault(r.key_id, self.m.size)
        except CheckFailed as e:
            fault = e
        if fault:
            report.fail(fault, self.status_of(fault), event_id=r.event_id)
            report.add("manifest", self.status_of(fault), "its signature does not show who made the bundle", event_id=r.event_id)
        report.settle("manifest", f"{report.scope}, made for {r.body['actor']} at {r.recorded_at}, signed by key {r.key_id}")

    def _read_keys(self, data: bytes) -> Trust:
        in_file = Trust()
        try:
            keys = objects(members(parse_line(data), {"keys": list})["keys"], dict.fromkeys(DESCRIBED, str))
        except BadJSON as e:
            self.report.broken("head", f"{KEYS}: {e}")
            return in_file
        for i, key in enumerate(keys):
            try:
                in_file.add(key)
            except (BadKeys, BadNote, KeyRefused) as e:
                self.report.add("head", FAILED, f"{KEYS}, key {i}: {e}")
        return in_file

    def _read_head(self) -> None:
        report = self.report
        try:
            c = parse_checkpoint(self.note)
        except BadNote as e:
            report.add("checkpoint", FAILED, str(e))
            return
        self.head, report.size = c, c.size
        if c.origin != self.m.origin:
            report.add("checkpoint", FAILED, "the checkpoint is of another log than the manifest", quoted(self.m.origin), quoted(c.origin))
        if c.size != self.m.size:
            report.add("size", FAILED, "the checkpoint is of another size than the manifest", str(self.m.size), str(c.size))
        report.settle("size", str(c.size))
        self.check_signatures(self.note)

    # The log: receipts and leaves side by side.

    def _read_log(self) -> None:
        with self.bundle.files[RECEIPTS].open() as f:
            receipts = Summed(f, self.digests[RECEIPTS].size)
            if self.m.tree is None:
                self._read_lines(receipts)
            else:
                with self.bundle.files[LEAVES].open() as g:
                    self.leaves = Summed(g, self.digests[LEAVES].size)
                    self.tree = Tree(self.m.tree.size, list(self.m.tree.roots))
                    self.leaves_from = self.tree.size
                    self.from_start = self.m.range_ is not None and self.m.range_[0] == 0
                    self.note_head()
                    self._read_lines(receipts)
                    self._end(LEAVES, self.leaves)
            self._end(RECEIPTS, receipts)

    def _read_lines(self, receipts: Any) -> None:
        self.source = receipts
        self.read_receipts(self._take)
        if self.last is not None:
            self.report.broken("line", f"{RECEIPTS} holds a line that is no receipt")
        if self.leaves is not None:
            self._advance(self.m.size)

    def _end(self, name: str, f: Summed) -> None:
        """Reads what is left of a file and compares it."""
        try:
            f.rest()
        except OSError as e:
            self.stop(e)
            return
        self._compare(name, f.size, f.hash.hexdigest())

    def _take(self, line: Line) -> None:
        """Folds a receipt's line into the report, in log order."""
        self.report.receipts += 1
        if line.index is None:
            self.not_a_line(None)
            return
        if self.report.receipts == 1:
            self.report.from_ = line.index
        r = self.receipt_of(line)
        self._check_index(line.index, r.event_id if r else "")
        if not self.look(line, r, r is None or self._is_about(r, line.index)) or r is None:
            return
        self.counts[r.kind] = self.counts.get(r.kind, 0) + 1
        self._include(r, line.index)
        self._check_scope(r, line.index)
        self._check_redaction(r, line.index)

    def _is_about(self, r: Receipt, at: int) -> bool:
        """Whether the receipt is one that the bundle is about: key events stand beside it, too."""
        begin, end = self.m.range_ or (0, 0)
        return r.kind != "key_event" or r.event_id == self.m.receipt or begin <= at < end

    def _check_index(self, at: int, event_id: str) -> None:
        """Wants indexes to rise, and within a range to leave none out."""

        def fault(expected: str, detail: str) -> None:
            self.report.add("log_index", FAILED, detail, expected, str(at), at, event_id)

        begin, end = self.m.range_ or (0, 0)
        within = begin <= at < end
        wanted = max(self.next, begin)
        if at >= self.m.size:
            fault(f"below {self.m.size}", "the index is beyond the log")
        elif at < self.next:
            fault(f"{self.next} or more", "a receipt is moved or repeated here")
        elif within and at != wanted:
            fault(str(wanted), "a receipt of the range is missing here")
        self.within += within
        self.next = at + 1

    def _check_scope(self, r: Receipt, at: int) -> None:
        """Wants no receipt that is not about what the bundle is about."""

        def fault(expected: str, found: str, detail: str) -> None:
            self.report.add("scope", FAILED, detail, expected, found, at, r.event_id)

        m = self.m
        if m.receipt and r.event_id == m.receipt:
            self.found = True
        elif r.kind == "key_event":
            pass
        elif m.receipt:
            fault(m.receipt, r.event_id, "the bundle is about another receipt")
        elif m.range_ and not m.range_[0] <= at < m.range_[1]:
            fault("key_event", r.kind, "only key events may stand beside the range")
        elif m.rollout:
            agent = (r.source["app_id"], r.source["environment"])
            self.agent = self.agent or agent
            if agent != self.agent:
                fault(_agent(self.agent), _agent(agent), "the receipt is of another agent or environment")

    def _check_redaction(self, r: Receipt, at: int) -> None:
        """Wants the commitment of each field that is said to be erased."""
        commitments = r.body.get("payload_commitments") or {}
        if not isinstance(commitments, dict) or not all(isinstance(c, str) or c is None for c in commitments.values()):
            commitments = {}
        for field in self.redacted.pop(r.event_id, []):
            if not is_commitment(commitments.get(field)):
                detail = f"the field {quoted(field)} is said to be erased, and the receipt holds no commitment to it"
                self.report.add("redactions", FAILED, detail, index=at, event_id=r.event_id)

    # That each receipt stands in the log.

    def _include(self, r: Receipt, at: int) -> None:
        """By the leaves if they reach so far back, else by the receipt's own proof."""
        if self.leaves is None or at < self.leaves_from:
            self._include_by_proof(r, at)
            return
        if at < self.tree.size or at >= self.m.size:  # its index failed already
            return
        self._advance(at)
        leaf = self._leaf()
        if leaf is None:
            return
        if leaf != r.leaf:
            detail = "the leaf at this index of the log is of another receipt"
            self.report.add("inclusion", FAILED, detail, hash_text(leaf), hash_text(r.leaf), at, r.event_id)
        self.tree.append(leaf)
        self.note_head()

    def _leaf(self) -> Optional[bytes]:
        """The next leaf. That the file is too short shows in its size."""
        try:
            leaf = self.leaves.read(HASH_SIZE) if self.leaves else b""
        except OSError as e:
            self.stop(e)
            return None
        if len(leaf) == HASH_SIZE:
            return leaf
        if self.report.status.get("inclusion") != FAILED:
            self.report.add("inclusion", FAILED, f"the leaf of index {self.tree.size} is missing")
        return None

    def _advance(self, size: int) -> None:
        """Adds the leaves up to a size."""
        while self.tree.size < size:
            leaf = self._leaf()
            if leaf is None:
                return
            self.tree.append(leaf)
            self.note_head()

    def _include_by_proof(self, r: Receipt, at: int) -> None:
        name = proof_file(r.event_id)

        def fault(detail: str) -> None:
            self.report.add("inclusion", FAILED, detail, index=at, event_id=r.event_id)

        if name not in self.digests:
            fault(f"nothing shows that it stands in the log: there is no {name}, and no leaf of that index")
            return
        self.proofs.add(name)
        text = self._small(name)
        if text is None or self.head is None:
            return
        try:
            p = parse_proof(text.decode("utf-8", "surrogateescape"))
            if p.extra:
                fault(f"{name} holds extra data that nothing vouches for")
            elif p.index != at:
                fault(f"{name} is of index {p.index}")
            elif p.checkpoint != self.note:
                fault(f"{name} is under another checkpoint than the bundle's")
            else:
                verify_inclusion(p.hashes, at, r.leaf, self.head.size, self.head.root)
        except ProofRefused as e:
            fault(f"{name}: {e}")

    # What it all adds up to.

    def _settle(self) -> None:
        if self.stopped:  # what was not read is not missing
            return
        report, m = self.report, self.m
        report.settle("digest", f"{len(m.files)} files have the size and the SHA-256 that the manifest names")
        if report.receipts == 0:
            report.add("receipts", FAILED, "the bundle holds no receipt")
            return
        self.settle_each()
        if self.spans.events == 0:
            report.add("key_span", UNDETERMINED, "no key event is among the receipts, so nothing shows when which key held")
        report.settle("receipts", f"{report.receipts} receipts, indexes {report.from_} to {self.next - 1}")
        self.settle_if_read("log_index", f"{report.receipts} indexes in rising order")
        for f in m.files:
            if f.name.startswith(PROOFS + "/") and f.name not in self.proofs:
                report.add("files", FAILED, f"{f.name} is of no receipt in the bundle that needs one")
        if self.head is not None:
            self._settle_root(self.head)
            self.check_saved(self.head)
        self._settle_scope()
        if self.counts != m.counts:
            report.add("counts", FAILED, "the manifest counts other receipts", str(m.counts), str(self.counts))
        report.settle("counts", ", ".join(f"{n} {kind}" for kind, n in sorted(self.counts.items())))
        for id_ in sorted(self.redacted):
            report.add("redactions", FAILED, "a field of a receipt that is not in the bundle is said to be erased", event_id=id_)
        if m.redactions:
            detail = "payload fields are redacted: value erased, commitment intact. Nothing that this bundle shows rests on them"
            self.settle_if_read("redactions", f"{len(m.redactions)} {detail}")

    def _settle_root(self, head: Checkpoint) -> None:
        report = self.report
        if self.leaves is None:
            shown = "by proofs"
            self.heads[head.size] = head.root  # at which the proofs end
            if report.status.get("inclusion") != FAILED:
                self.settle_if_read("root", f"{hash_text(head.root)}, reached from every receipt")
        else:
            shown = "by the leaves of the rebuilt tree" + (f", {len(self.proofs)} of them by proofs" if self.proofs else "")
            root = self.tree.root()
            if root != head.root:
                report.add("root", FAILED, "the leaves are not those that the checkpoint signs for", hash_text(head.root), hash_text(root))
            detail = f"rebuilt from the leaves {self.leaves_from} to {self.m.size - 1} and the tree before them"
            report.settle("root", f"{hash_text(head.root)}, {detail}")
        if report.status.get("root") == OK:
            self.settle_if_read("inclusion", f"{report.receipts} receipts stand in the log at their indexes, shown {shown}")

    def _settle_scope(self) -> None:
        """Says whether the receipts are what the bundle is about, and what it is complete in."""
        report, m = self.report, self.m
        if m.receipt:
            if not self.found:
                report.add("scope", FAILED, "", m.receipt, "no such receipt")
            self.settle_if_read("scope", f"receipt {m.receipt}")
            self.settle_if_read("completeness", "one receipt and the key events of the log: nothing is shown about other receipts")
        elif m.range_:
            self._settle_range(*m.range_)
        else:
            self._settle_rollout(m.rollout)

    def _settle_range(self, begin: int, end: int) -> None:
        report = self.report
        if self.within != end - begin:
            expected = f"{end - begin} receipts, indexes {begin} to {end - 1}"
            report.add("completeness", FAILED, "the range is not whole", expected, f"{self.within} receipts")
        self.settle_if_read("scope", f"the log indexes {begin} to {end - 1}")
        rest = "which was the end of the log" if end == self.m.size else f"{self.m.size - end} more were logged by then"
        if report.status.get("log_index") == OK:
            detail = f"the whole index range: every receipt of the log from index {begin} to {end - 1}; {rest}"
            self.settle_if_read("completeness", detail)

    def _settle_rollout(self, id_: str) -> None:
        report, m = self.report, self.m
        end = self.streams.ends.get(id_)
        if end is None:
            report.add("scope", FAILED, "", "receipts of rollout " + quoted(id_), "none")
            return
        self.settle_if_read("scope", f"rollout {id_}, and the runs and rollouts of its agent {_agent(self.agent or ('', ''))}")
        if (end.seq, end.ended) != (m.last_seq, m.ended):
            detail = "the rollout's receipts are not all that the manifest claims"
            expected = f"receipts up to number {m.last_seq}, ended {m.ended}"
            report.add("completeness", FAILED, detail, expected, f"up to number {end.seq}, ended {end.ended}")
        if not end.whole:
            report.add("completeness", FAILED, "the first receipts of the rollout are missing", "number 0")
        if report.status.get("stream") != OK:
            return
        last = "the last one ended it"
        if not end.ended:
            last = "it was open then; that no later one was left out, only the whole range shows"
        detail = f"all {end.seq + 1} receipts of rollout {id_} among the first {m.size} of the log: {last}"
        self.settle_if_read("completeness", detail)


def _agent(agent: Tuple[str, str]) -> str:
    return f"{quoted(agent[0])} in {quoted(agent[1])}"


@dataclass
class Proof:
    """A C2SP tlog-proof that a receipt stands in the log."""

    extra: bool
    index: int
    hashes: List[bytes]
    checkpoint: str


def parse_proof(text: str) -> Proof:
    head, _, checkpoint = text.partition("\n\n")
    first, *lines = head.split("\n")
    if first != "c2sp.org/tlog-proof@v1" or not checkpoint:
        raise ProofRefused("not the text of a proof")
    extra = bool(lines) and lines[0].startswith("extra ")
    if extra and not strict_base64(lines.pop(0)[len("extra ") :]):
        raise ProofRefused("malformed extra data")
    if not lines or not lines[0].startswith("index "):
        raise ProofRefused("no line with the index")
    index = parse_size(lines[0][len("index ") :])
    hashes = [parse_hash(line) for line in lines[1:]]
    if index is None or any(h is None for h in hashes):
        raise ProofRefused("a malformed index or hash")
    try:
        parse_checkpoint(checkpoint)
    except BadNote as e:
        raise ProofRefused(str(e)) from None
    return Proof(extra, index, [h for h in hashes if h is not None], checkpoint)
