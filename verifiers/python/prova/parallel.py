"""Verifies the lines of many receipts side by side, in processes of its own.

The usual modules for that bring sockets along, and this verifier has none: it
forks. Where the system cannot fork, one process does it all.
"""

from __future__ import annotations

import os
import pickle
from typing import BinaryIO, Callable, List, Mapping, NamedTuple, Optional, Tuple

from .ed25519 import PublicKey
from .merkle import parse_size
from .receipt import CheckFailed, parse_receipt, verify_receipt

INDEX, RECEIPT = b'{"log_index":', b',"receipt":'
WORTH_A_FORK = 256  # lines


class Line(NamedTuple):
    """What a receipt's line shows by itself."""

    index: Optional[int]  # None: not a line of the right form
    raw: bytes  # the receipt
    read: bool  # it is a receipt, good or bad
    fault: Tuple[str, str, str, str, bool]  # of a CheckFailed; without a check's name there is none

    def failed(self) -> Optional[CheckFailed]:
        return CheckFailed(*self.fault) if self.fault[0] else None


_NO_FAULT = ("", "", "", "", False)


def verify_line(line: bytes, keys: Mapping[str, PublicKey]) -> Line:
    number, comma, raw = line[len(INDEX) : -1].partition(RECEIPT)
    index = parse_size(number.decode("latin-1")) if line.startswith(INDEX) and line.endswith(b"}") and comma else None
    if index is None:
        return Line(None, b"", False, _NO_FAULT)
    read = False
    try:
        receipt, signed = parse_receipt(raw)
        read = True
        verify_receipt(receipt, signed, keys)
    except CheckFailed as e:
        return Line(index, raw, read, (e.check, e.detail, e.expected, e.found, e.malformed))
    return Line(index, raw, read, _NO_FAULT)


def verify_lines(lines: List[bytes], keys: Mapping[str, PublicKey], processes: int) -> List[Line]:
    """Each line is verified alone, so in any order; the answers are in the order of the lines."""
    if processes < 2 or len(lines) < WORTH_A_FORK or not hasattr(os, "fork"):
        return [verify_line(line, keys) for line in lines]
    for key in keys.values():
        key.prepare()  # the children then share the tables
    size = -(-len(lines) // processes)
    parts = [lines[i : i + size] for i in range(0, len(lines), size)]
    children = [_child(part, keys) for part in parts]
    out: List[Line] = []
    for (pid, pipe), part in zip(children, parts):
        with pipe:
            data = pipe.read()
        if os.waitpid(pid, 0)[1] == 0:
            out += [Line(index, receipt_of_line(line), read, fault) for line, (index, read, fault) in zip(part, pickle.loads(data))]
        else:
            out += [verify_line(line, keys) for line in part]
    return out


def receipt_of_line(line: bytes) -> bytes:
    return line[len(INDEX) : -1].partition(RECEIPT)[2]


def spread(work: Callable[[int, int], bytes], count: int, processes: int) -> List[bytes]:
    """What work(first, last) makes of the parts of a range, in their order, each in a process of its own."""
    if processes < 2 or not hasattr(os, "fork"):
        return [work(0, count)]
    ends = [count * i // processes for i in range(processes + 1)]
    parts = list(zip(ends, ends[1:]))
    children = [_fork(lambda: work(first, last)) for first, last in parts]
    out: List[bytes] = []
    for (pid, pipe), (first, last) in zip(children, parts):
        with pipe:
            data = pipe.read()
        out.append(data if os.waitpid(pid, 0)[1] == 0 else work(first, last))
    return out


def _child(lines: List[bytes], keys: Mapping[str, PublicKey]) -> Tuple[int, BinaryIO]:
    """Forks a process that verifies lines."""

    def work() -> bytes:
        found = [verify_line(line, keys) for line in lines]
        return pickle.dumps([(each.index, each.read, each.fault) for each in found])

    return _fork(work)


def _fork(work: Callable[[], bytes]) -> Tuple[int, BinaryIO]:
    """Forks a process that writes what its work makes into a pipe."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, os.fdopen(reading, "rb")
    status = 1
    try:
        os.close(reading)
        data = work()
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(data)
        status = 0
    finally:
        os._exit(status)  # without what the parent's handlers would do at its end
