"""The RFC 6962 tree of a log, and what its leaves are."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import List, Optional

MAX_INT64 = 2**63 - 1
# Sizes beyond it are no log's, and the arithmetic of proofs ends there.
MAX_PROOF_SIZE = 1 << 60


class ProofRefused(ValueError):
    """Why a proof is refused, or that none can exist."""


def leaf_hash(data: bytes) -> bytes:
    return hashlib.sha256(b"\0" + data).digest()


def receipt_leaf(event_id: str, integrity_hash: str) -> bytes:
    """The leaf of a receipt: no event id holds a dot, so the two cannot be told apart in two ways."""
    return leaf_hash(f"{event_id}.{integrity_hash}".encode("ascii"))


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


_DECIMAL = re.compile(r"0|[1-9][0-9]*", re.ASCII)


def parse_size(text: str) -> Optional[int]:
    """A decimal without sign or leading zero that fits in 63 bits, or None."""
    if len(text) > 19 or not _DECIMAL.fullmatch(text) or int(text) > MAX_INT64:
        return None
    return int(text)


def strict_base64(text: str) -> Optional[bytes]:
    """The bytes of standard base64 in its one spelling, or None."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (ValueError, UnicodeEncodeError):
        return None
    return data if base64.b64encode(data).decode("ascii") == text else None


def parse_hash(text: str) -> Optional[bytes]:
    data = strict_base64(text)
    return data if data is not None and len(data) == 32 else None


def hash_text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


class Tree:
    """A tree reduced to its size and the roots of the perfect subtrees it falls into, largest first."""

    def __init__(self, size: int = 0, roots: Optional[List[bytes]] = None) -> None:
        self.size = size
        self.roots: List[bytes] = roots or []

    def append(self, leaf: bytes) -> None:
        n = self.size
        while n & 1:  # each set bit at the low end is a subtree of this height
            leaf = node_hash(self.roots.pop(), leaf)
            n >>= 1
        self.roots.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        if not self.roots:
            return hashlib.sha256(b"").digest()
        root = self.roots[-1]
        for left in reversed(self.roots[:-1]):
            root = node_hash(left, root)
        return root


def parse_tree(text: str) -> Optional[Tree]:
    """The size in decimal, then each subtree root as a space and its base64; None if it is anything else."""
    first, *rest = text.split(" ")
    size = parse_size(first)
    if size is None or size > 1 << 62 or len(rest) != bin(size).count("1"):
        return None
    roots = [parse_hash(each) for each in rest]
    if any(root is None for root in roots):
        return None
    return Tree(size, [root for root in roots if root is not None])


def verify_inclusion(proof: List[bytes], index: int, leaf: bytes, size: int, root: bytes) -> None:
    """Raises ProofRefused unless proof shows leaf at index in the tree of size and root (RFC 9162 2.1.3.2)."""
    if not 0 <= index < size <= MAX_PROOF_SIZE:
        raise ProofRefused(f"no log of size {size} has an index {index}")
    node, last, computed = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise ProofRefused(f"index {index} in size {size}: the proof is too long")
        if node & 1 or node == last:
            computed = node_hash(sibling, computed)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            computed = node_hash(computed, sibling)
        node, last = node >> 1, last >> 1
    if last or computed != root:
        raise ProofRefused(f"index {index} in size {size}: the proof does not lead to the root")


def verify_consistency(proof: List[bytes], old: int, old_root: bytes, new: int, new_root: bytes) -> None:
    """Raises ProofRefused unless proof shows that the tree of size new begins with the one of size old (RFC 9162 2.1.4.2)."""
    if not 1 <= old <= new <= MAX_PROOF_SIZE:
        raise ProofRefused(f"no proof leads from size {old} to size {new}")
    refused = ProofRefused(f"size {new} after size {old}: the proof does not lead to the roots")
    if old == new:
        if proof or old_root != new_root:
            raise refused
        return
    path = list(proof)
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    if not path:
        raise refused
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    from_old = from_new = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise refused
        if node & 1 or node == last:
            from_old, from_new = node_hash(sibling, from_old), node_hash(sibling, from_new)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            from_new = node_hash(from_new, sibling)
        node, last = node >> 1, last >> 1
    if last or from_old != old_root or from_new != new_root:
        raise refused
