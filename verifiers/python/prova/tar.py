"""The tar of a bundle: plain ustar in one spelling, so that no byte of it is without meaning."""

from __future__ import annotations

import os
import re
from typing import BinaryIO, List, NamedTuple, Set

BLOCK = 512
MAX_FILES = 4096


class BadTar(ValueError):
    """What of a tar is not as it should be."""


class TarFile(NamedTuple):
    name: str
    offset: int
    size: int


def is_tar(head: bytes) -> bool:
    return head[257:262] == b"ustar"


def header(name: str, size: int) -> bytes:
    """The one header of a file: mode 0644, and all else that a header can say zero or empty."""
    fields = (
        name.encode("ascii").ljust(100, b"\0"), b"0000644\0", b"0000000\0", b"0000000\0", b"%011o\0" % size, b"00000000000\0",
        b" " * 8, b"0", bytes(100), b"ustar\x0000", bytes(64), b"0000000\0", b"0000000\0",
    )  # fmt: skip
    block = b"".join(fields).ljust(BLOCK, b"\0")
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def read_tar(f: BinaryIO) -> List[TarFile]:
    """The files of a tar, of which only headers and padding are read."""
    total = f.seek(0, os.SEEK_END)
    files: List[TarFile] = []
    seen: Set[str] = set()
    at = 0
    while True:
        block = _read(f, at, BLOCK)
        if not any(block):
            if any(_read(f, at + BLOCK, BLOCK)) or at + 2 * BLOCK != total:
                raise BadTar("the tar does not end with two blocks of zeros and nothing behind them")
            return files
        name = block[:100].rstrip(b"\0").decode("latin-1")
        if block[156:157] != b"0":
            raise BadTar("the tar holds an entry that is no regular file, or extended headers")
        if not re.fullmatch(rb"[0-7]{11}\0", block[124:136]) or not name.isascii():
            raise BadTar("not a tar header")
        size = int(block[124:135], 8)
        if block != header(name, size):
            raise BadTar(f"the header of the file {name!a} is not in its one spelling; unpack the tar and give the directory")
        if name in seen:
            raise BadTar(f"the file {name!a} stands in the tar twice")
        if len(files) == MAX_FILES:
            raise BadTar(f"more than {MAX_FILES} files")
        offset, padding = at + BLOCK, -size % BLOCK
        if size > total - offset - padding:
            raise BadTar(f"the tar ends within the file {name!a}")
        if any(_read(f, offset + size, padding)):
            raise BadTar(f"the padding behind the file {name!a} is not zero")
        seen.add(name)
        files.append(TarFile(name, offset, size))
        at = offset + size + padding


def _read(f: BinaryIO, offset: int, size: int) -> bytes:
    f.seek(offset)
    data = f.read(size)
    if len(data) != size:
        raise BadTar("the tar is cut off")
    return data
