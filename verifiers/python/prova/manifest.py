"""What a bundle says that it holds: the manifest, in the body of the bundle's export receipt."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Tuple

from .canonical import MAX_BYTES, BadJSON
from .jsonform import members, objects
from .merkle import MAX_PROOF_SIZE, Tree, parse_tree
from .notes import valid_name
from .receipt import CheckFailed, Receipt, quoted, valid_event_id
from .tar import MAX_FILES

MANIFEST, README, KEYS, CHECKPOINT = "manifest.json", "README", "keys.json", "checkpoint"
LEAVES, RECEIPTS = "leaves", "receipts.ndjson"
PROOFS, PROOF_SUFFIX = "proofs", ".tlog-proof"

HASH_SIZE = 32
MAX_PROOF_TEXT = 64 << 10
_MAX_FILE = (1 << 33) - 1
_LIMITS = {
    MANIFEST: MAX_BYTES, KEYS: MAX_BYTES, README: MAX_PROOF_TEXT, CHECKPOINT: MAX_PROOF_TEXT, LEAVES: _MAX_FILE, RECEIPTS: _MAX_FILE,
}  # fmt: skip


def proof_file(event_id: str) -> str:
    return f"{PROOFS}/{event_id}{PROOF_SUFFIX}"


def limit_of(name: str) -> Optional[int]:
    """The most bytes that a file may have; None for a name that no file of a bundle has."""
    if name in _LIMITS:
        return _LIMITS[name]
    id_ = name[len(PROOFS) + 1 : -len(PROOF_SUFFIX)]
    return MAX_PROOF_TEXT if valid_event_id(id_) and name == proof_file(id_) else None


@dataclass
class File:
    name: str
    size: int
    sha256: str


@dataclass
class Manifest:
    """Of receipt, rollout and range exactly one is set: it is what the bundle is about."""

    receipt: str
    rollout: str
    range_: Optional[Tuple[int, int]]  # log indexes from and to, the second exclusive
    origin: str
    size: int  # of the log at the checkpoint
    tree: Optional[Tree]  # before the first leaf of the file with leaves
    files: List[File]
    counts: Dict[str, int]
    last_seq: int
    ended: bool
    redactions: List[Tuple[str, str]]  # event id and field

    def scope(self) -> str:
        if self.receipt:
            return "receipt " + self.receipt
        if self.rollout:
            return "rollout " + self.rollout
        begin, end = self.range_ or (0, 0)
        return f"log indexes {begin} to {end - 1}"


def manifest_of(r: Receipt) -> Manifest:
    """The manifest that an export receipt holds, checked for what can be known without the files."""
    if r.kind != "export":
        raise CheckFailed("manifest", "the manifest is a receipt of another kind", "export", quoted(r.kind))
    try:
        if "manifest" not in r.body:
            raise BadJSON("the receipt holds no manifest")
        return _read(r.body["manifest"])
    except BadJSON as e:
        raise CheckFailed("manifest", str(e)) from None


def _read(value: Any) -> Manifest:
    m = members(value if value is not None else {}, {
        "version": int, "scope": dict, "origin": str, "size": int, "tree": str, "files": list, "counts": dict, "completeness": dict,
        "redactions": list,
    })  # fmt: skip
    scope = members(m["scope"] or {}, {"receipt": str, "rollout": str, "from": int, "to": int})
    claim = members(m["completeness"] or {}, {"claim": str, "last_seq": int, "ended": bool})
    counts = members(m["counts"] or {}, dict.fromkeys(m["counts"] or {}, int))
    files = [
        File(f["name"] or "", f["size"] or 0, f["sha256"] or "") for f in objects(m["files"], {"name": str, "size": int, "sha256": str})
    ]
    redactions = [(r["event_id"] or "", r["field"] or "") for r in objects(m["redactions"], {"event_id": str, "field": str})]
    tree = None if m["tree"] is None else parse_tree(m["tree"])
    _require(m["version"] == 1, f"bundle version {m['version'] or 0}; only 1 is known")
    range_ = _check_scope(scope)
    size = m["size"] or 0
    _require(valid_name(m["origin"] or ""), f"origin {m['origin']!a}")
    _require(1 <= size <= MAX_PROOF_SIZE, f"size {size}")
    _require(range_ is None or range_[1] <= size, "the range ends behind the log")
    _require((m["tree"] is None) == bool(scope["receipt"]), "a bundle of one receipt has proofs and no leaves, any other has leaves")
    if m["tree"] is not None:
        _require(tree is not None and tree.size < size, "the tree before the leaves is none, or larger than the log")
        _require(range_ is None or tree is not None and tree.size == range_[0], "the leaves do not begin with the range")
    of = "receipt" if scope["receipt"] else "rollout" if scope["rollout"] else "range"
    rollout = of == "rollout"
    fits = claim["claim"] == of and (claim["last_seq"] is not None) == rollout and (claim["ended"] is not None) == rollout
    _require(fits, f"the claim of completeness is not one about a {of}")
    _check_files(files, size, tree)
    return Manifest(
        scope["receipt"] or "", scope["rollout"] or "", range_, m["origin"], size, tree, files,
        {kind: n or 0 for kind, n in counts.items()}, claim["last_seq"] or 0, bool(claim["ended"]), redactions,
    )  # fmt: skip


def _require(holds: bool, reason: str) -> None:
    if not holds:
        raise BadJSON(reason)


def _check_scope(s: Dict[str, Any]) -> Optional[Tuple[int, int]]:
    ranged = s["from"] is not None or s["to"] is not None
    named = bool(s["receipt"]) + bool(s["rollout"]) + ranged
    _require(named == 1, "a scope is one receipt, one rollout, or from and to")
    _require(not s["receipt"] or valid_event_id(s["receipt"]), "the scope's receipt is no event id")
    _require(len((s["rollout"] or "").encode("utf-8")) <= 128, "the scope's rollout is no rollout id")
    if not ranged:
        return None
    _require(s["from"] is not None and s["to"] is not None, "a range has both from and to")
    _require(0 <= s["from"] < s["to"], "the range is empty")
    return s["from"], s["to"]


def _check_files(files: List[File], size: int, tree: Optional[Tree]) -> None:
    """Holds the list of files to its one order. Whether each proof is of a receipt in the bundle is known only later."""
    front = [README, KEYS, CHECKPOINT]
    tail = [RECEIPTS] if tree is None else [LEAVES, RECEIPTS]
    proofs = len(files) - len(front) - len(tail)
    _require(0 <= proofs and len(files) < MAX_FILES, f"{len(files)} files")
    names = [f.name for f in files]
    _require(names[:3] == front and names[3 + proofs :] == tail, "the files do not stand in their order")
    _require(all(name.startswith(PROOFS + "/") for name in names[3 : 3 + proofs]), "the files do not stand in their order")
    _require(len(set(names)) == len(names), "a file is listed twice")
    for f in files:
        limit = limit_of(f.name)
        _require(limit is not None and 0 <= f.size <= limit, f"file {f.name!a} of {f.size} bytes is no file of a bundle")
        _require(re.fullmatch("[0-9a-f]{64}", f.sha256) is not None, f"file {f.name}: sha256 {f.sha256[:80]!a}")
        if f.name == LEAVES and tree is not None:
            _require(f.size == (size - tree.size) * HASH_SIZE, "the file of leaves has another size than its leaves")
