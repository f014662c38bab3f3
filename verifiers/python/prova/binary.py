"""The binary forms behind digests: integers of seven bits a byte, and floats."""

from __future__ import annotations

import struct
from typing import Dict

NAN = bytes.fromhex("7ff8000000000001")  # in the one form in which it is written


def uvarint(n: int) -> bytes:
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def counts(*values: int) -> bytes:
    return b"".join(map(uvarint, values))


def varint(n: int) -> bytes:
    """A signed integer, in zigzag."""
    return uvarint(2 * n if n >= 0 else -2 * n - 1)


def floats(*values: float) -> bytes:
    return struct.pack(f">{len(values)}d", *values)


def table(entries: Dict[int, bytes]) -> bytes:
    """Each entry by rising key, as the distance to the key before and the value."""
    out, before = [uvarint(len(entries))], 0
    for key in sorted(entries):
        out += (uvarint(key - before), entries[key])
        before = key
    return b"".join(out)
