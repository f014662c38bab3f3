"""Witnesses: cosignatures of a checkpoint (cosignature/v1), and an auditor's policy of which and how many are wanted."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime, timezone
from typing import Dict, List, Optional, Set, Tuple

from .ed25519 import KeyRefused, PublicKey, SignatureRefused
from .merkle import parse_size, strict_base64
from .notes import BadNote, parse_checkpoint, parse_vkey, signature_lines, valid_name
from .receipt import quoted

_COSIGNATURE = b"\4"
_LAST_SECOND = 253402300799  # of the year 9999
_MOST_KEYS = 64


class BadPolicy(ValueError):
    """Why a policy is not taken."""


class Witness:
    """The public half of a key that cosigns checkpoints, under the name that a policy gives it."""

    def __init__(self, name: str, vkey: str) -> None:
        key_name, _, rest = vkey.partition("+")
        key64 = rest.partition("+")[2]
        data = strict_base64(key64)
        if not valid_name(key_name) or data is None or len(data) != 33:
            raise BadPolicy("malformed verifier key")
        if data[:1] != _COSIGNATURE:
            raise BadPolicy(f"the verifier key is of signature type {data[0]}; that of a witness is of type 4, cosignature/v1")
        try:
            self.key = PublicKey(data[1:])
        except KeyRefused as e:
            raise BadPolicy(str(e)) from None
        digest = hashlib.sha256(key_name.encode("utf-8") + b"\n" + data).digest()
        self.name, self.key_name, self.hash = name, key_name, int.from_bytes(digest[:4], "big")
        if vkey != f"{key_name}+{self.hash:08x}+{key64}":
            raise BadPolicy("malformed verifier key")

    def cosigned(self, note: str) -> Optional[str]:
        """The time at which the witness cosigned a note, or None. It raises BadNote where a cosignature does not verify."""
        parse_checkpoint(note)
        body = note[: note.rfind("\n\n") + 1].encode("utf-8")
        at = None
        for line in signature_lines(note):
            found = _signature_line(line)
            if found is None or found[:2] != (self.key_name, self.hash):
                continue
            if at is not None:
                raise BadNote(f"two cosignatures by the witness {quoted(self.key_name)}")
            at = self._verify(body, found[2])
        return at

    def _verify(self, body: bytes, signature: bytes) -> str:
        if len(signature) != 8 + 64:
            raise BadNote(f"the cosignature by {quoted(self.key_name)} is not a time and a signature")
        seconds = int.from_bytes(signature[:8], "big")
        if seconds > _LAST_SECOND:
            raise BadNote(f"the cosignature by {quoted(self.key_name)} states a time after the year 9999")
        try:
            self.key.verify(b"cosignature/v1\ntime %d\n" % seconds + body, signature[8:])
        except SignatureRefused as e:
            raise BadNote(f"invalid cosignature by the witness {quoted(self.key_name)}: {e}") from None
        return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _signature_line(line: str) -> Optional[Tuple[str, int, bytes]]:
    name, _, sig64 = line[2:].partition(" ")
    data = strict_base64(sig64)
    if not line.startswith("\u2014 ") or data is None or len(data) < 5:
        return None
    return name, int.from_bytes(data[:4], "big"), data[4:]


class Policy:
    """Lines of a C2SP tlog-policy: log, witness, group and one quorum. Names are defined before they are used."""

    def __init__(self, text: str) -> None:
        self.witnesses: List[Witness] = []
        self._groups: Dict[str, Tuple[int, List[str]]] = {}
        self._used: Set[str] = set()
        self._keys: Set[bytes] = set()
        self._quorum = ""
        for number, line in enumerate(text.split("\n"), 1):
            try:
                self._line(line)
            except (BadPolicy, BadNote) as e:
                raise BadPolicy(f"line {number}: {e}") from None
        if not self._quorum:
            raise BadPolicy("the policy has no quorum line: end it with quorum NAME of a witness or a group, or with quorum none")

    def _line(self, line: str) -> None:
        if re.search("[\0-\x08\x0a-\x1f\x7f]", line):
            raise BadPolicy("a control character; lines end in a line feed and hold spaces and tabs")
        fields = re.findall("[^ \t]+", line)
        if not fields or fields[0].startswith("#"):
            return
        kind, rest = fields[0], fields[1:]
        if kind == "log" and 1 <= len(rest) <= 2:
            self._take(parse_vkey(rest[0])[1].data)
        elif kind == "witness" and 2 <= len(rest) <= 3:
            self._define(rest[0])
            self.witnesses.append(Witness(rest[0], rest[1]))
            self._take(self.witnesses[-1].key.data)
        elif kind == "group" and len(rest) >= 3:
            self._group(rest[0], rest[1], rest[2:])
        elif kind == "quorum" and len(rest) == 1:
            if self._quorum:
                raise BadPolicy("a second quorum")
            if rest[0] != "none" and not self._defined(rest[0]):
                raise BadPolicy("want quorum and the name of a witness or a group that is defined above, or none")
            self._quorum = rest[0]
        else:
            raise BadPolicy("want log VKEY [URL], witness NAME VKEY [URL], group NAME all|any|K MEMBER… or quorum NAME|none")

    def _take(self, public: bytes) -> None:
        if public in self._keys:
            raise BadPolicy("this key stands in an earlier line")
        if len(self._keys) == _MOST_KEYS:
            raise BadPolicy(f"a policy names at most {_MOST_KEYS} keys")
        self._keys.add(public)

    def _group(self, name: str, count: str, members: List[str]) -> None:
        self._define(name)
        k = {"any": 1, "all": len(members)}.get(count, parse_size(count))
        if k is None or not 1 <= k <= len(members):
            raise BadPolicy(f"{quoted(count)} of {len(members)} members: want any, all or a number from 1 to {len(members)}")
        for member in members:
            if not self._defined(member):
                raise BadPolicy(f"{quoted(member)} is not defined above")
            if member in self._used:
                raise BadPolicy(f"{quoted(member)} is a member already: each counts once")
            self._used.add(member)
        self._groups[name] = k, members

    def _defined(self, name: str) -> bool:
        return name in self._groups or any(w.name == name for w in self.witnesses)

    def _define(self, name: str) -> None:
        if name == "none" or self._defined(name):
            raise BadPolicy(f"the name {quoted(name)} is taken")

    def met(self, cosigned: Set[str]) -> bool:
        """Whether the cosignatures of the witnesses of these names are enough."""

        def count(name: str) -> bool:
            if name not in self._groups:
                return name in cosigned
            k, members = self._groups[name]
            return sum(map(count, members)) >= k

        return self._quorum == "none" or count(self._quorum)

    def __str__(self) -> str:
        if self._quorum == "none":
            return "no witness is asked for"
        if self._quorum in self._groups:
            k, members = self._groups[self._quorum]
            return f"{k} of {len(members)}"
        return f"the witness {quoted(self._quorum)}"
