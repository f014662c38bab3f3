"""C2SP signed notes, and the checkpoints of a log that they hold."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Dict, List, Sequence, Tuple

from .ed25519 import KeyRefused, PublicKey, SignatureRefused
from .merkle import Tree, parse_hash, parse_size, strict_base64

_ED25519 = b"\1"
_SIGNATURE = "\u2014 "  # an em dash and a space begin every signature line
_MOST_SIGNATURES = 100
_SPACES = frozenset("\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000") | frozenset(map(chr, range(0x2000, 0x200B)))


class BadNote(ValueError):
    """Why a note, its key or a checkpoint is refused."""


@dataclass(frozen=True)
class Checkpoint:
    """A log's head."""

    origin: str
    size: int
    root: bytes


def valid_name(name: str) -> bool:
    """The rule for names of keys, and so for origins: neither empty nor with a space or a plus."""
    return name != "" and "+" not in name and not any(c in _SPACES for c in name)


def key_hash(name: str, public: bytes) -> int:
    digest = hashlib.sha256(name.encode("utf-8") + b"\n" + _ED25519 + public).digest()
    return int.from_bytes(digest[:4], "big")


def parse_vkey(vkey: str) -> Tuple[str, PublicKey]:
    """The name and the key of a verifier key, <name>+<hash>+<base64>, in its one spelling."""
    name, _, rest = vkey.partition("+")
    _, _, key64 = rest.partition("+")
    data = strict_base64(key64)
    if not valid_name(name) or data is None or len(data) != 33 or data[:1] != _ED25519:
        raise BadNote("malformed verifier key")
    try:
        key = PublicKey(data[1:])
    except KeyRefused as e:
        raise BadNote(str(e)) from None
    if vkey != f"{name}+{key_hash(name, key.data):08x}+{key64}":
        raise BadNote("malformed verifier key")
    return name, key


class Verifiers:
    """Keys that may sign notes: some under one name, others under whatever name the note has."""

    def __init__(self, vkeys: Sequence[str], any_name: Sequence[PublicKey] = ()) -> None:
        self._named: Dict[Tuple[str, int], List[PublicKey]] = {}
        for vkey in dict.fromkeys(vkeys):
            name, key = parse_vkey(vkey)
            self._named.setdefault((name, key_hash(name, key.data)), []).append(key)
        self._any_name = list(any_name)

    def find(self, name: str, hash_: int) -> List[PublicKey]:
        """The keys of this name and hash; more than one is a forger's work."""
        named = self._named.get((name, hash_), [])
        if len(named) == 1 or not valid_name(name):
            return named
        return [k for k in self._any_name if key_hash(name, k.data) == hash_][:1] or named


def signature_lines(text: str) -> List[str]:
    """The lines behind the last blank line of a note."""
    i = text.rfind("\n\n")
    if i < 0 or not text.endswith("\n") or i + 2 >= len(text):
        return []
    return text[i + 2 : -1].split("\n")


def open_note(text: str, verifiers: Verifiers) -> List[str]:
    """The names of the known keys that signed a note.

    It refuses a note that none signed, one with a bad signature by a known key or
    with two by the same, and one that is not spelled as it should be. Signatures
    by other keys are passed over.
    """
    if re.search("[\0-\x09\x0b-\x1f\ud800-\udfff]", text):  # a surrogate stands for a byte that is no UTF-8
        raise BadNote("control characters or invalid UTF-8")
    lines = signature_lines(text)
    if not lines or len(lines) > _MOST_SIGNATURES:
        raise BadNote("not a signed note")
    body = text[: text.rfind("\n\n") + 1].encode("utf-8")
    signed: Dict[Tuple[str, int], str] = {}
    for line in lines:
        name, _, sig64 = line[len(_SIGNATURE) :].partition(" ")
        data = strict_base64(sig64)
        if not line.startswith(_SIGNATURE) or not valid_name(name) or data is None or len(data) < 5:
            raise BadNote(f"malformed signature line of {name!r}")
        hash_ = int.from_bytes(data[:4], "big")
        keys = verifiers.find(name, hash_)
        if not keys:
            continue
        if len(keys) > 1:
            raise BadNote(f"several keys are known as {name}+{hash_:08x}")
        if (name, hash_) in signed:
            raise BadNote(f"two signatures by the key {name}+{hash_:08x}")
        try:
            keys[0].verify(body, data[4:])
        except SignatureRefused:
            raise BadNote(f"invalid signature by the key {name}+{hash_:08x}") from None
        signed[name, hash_] = name
    if not signed:
        raise BadNote("no known key signed it")
    return list(signed.values())


def parse_checkpoint(text: str) -> Checkpoint:
    """The checkpoint of a note whose signatures nobody looked at."""
    if not signature_lines(text):
        raise BadNote("not a signed note")
    body = text[: text.rfind("\n\n") + 1]
    if re.search("[\0-\x09\x0b-\x1f\ufffd\ud800-\udfff]", body):
        raise BadNote("control characters or invalid UTF-8")
    lines = body.split("\n")
    if len(lines) < 4 or lines[-1] != "":
        raise BadNote("not three lines")
    if "" in lines[3:-1]:
        raise BadNote("an empty line")
    origin, size, root = lines[0], parse_size(lines[1]), parse_hash(lines[2])
    if not valid_name(origin):
        raise BadNote(f"origin {origin!r} is empty or holds a space or a plus")
    if size is None:
        raise BadNote(f"size {lines[1]!r}")
    if root is None:
        raise BadNote(f"root {lines[2]!r} is not the base64 of 32 bytes")
    if size == 0 and root != Tree().root():
        raise BadNote("the root of an empty log is the SHA-256 of nothing")
    return Checkpoint(origin, size, root)


def open_checkpoint(text: str, verifiers: Verifiers) -> Checkpoint:
    """The checkpoint of a note that a known key signed whose name is the origin."""
    c = parse_checkpoint(text)
    if c.origin not in open_note(text, verifiers):
        raise BadNote(f"no known key named {c.origin!r} signed it")
    return c
