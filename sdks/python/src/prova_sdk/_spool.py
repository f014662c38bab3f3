"""Keeps on disk what memory cannot hold, and what is left at the end.

A spool is a directory in which each recorder has one of its own, which only it
writes, and which it locks as long as it lives:

    <spool_dir>/python-<app, environment and server>-<random>/lock
    <spool_dir>/python-<app, environment and server>-<random>/<time of its first event>-<number>.ndjson

A recorder that starts takes over the directories of its app, environment and
server that nobody locks any more. Each line of a segment is an object with an
event and the CRC-32 of its bytes. Segments are only appended to, and flushed to
the disk after each write. One is removed when the server has answered for all of
it; a crash before that sends it again, which counts nothing twice.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
import zlib
from typing import Callable, Dict, List, Optional, Sequence, Tuple

from ._lock import lock_file, unlock_and_remove
from ._settings import Settings

# How large a segment grows, in bytes: it is read back as a whole.
SEGMENT_BYTES = 1 << 20

LOCK, END = "lock", ".ndjson"

# The frame of a line: it stays one JSON object for other programs.
_HEAD, _MID, _TAIL = b'{"crc32":"', b'","event":', b"}\n"


class SpoolFull(OSError):
    def __init__(self) -> None:
        super().__init__("it is full")


class Segment:
    """A file of the spool."""

    def __init__(self, path: str, events: int = 0, size: int = 0) -> None:
        self.path, self.events, self.size = path, events, size


def frame(line: bytes) -> bytes:
    return b"%b%08x%b%b%b" % (_HEAD, zlib.crc32(line), _MID, line, _TAIL)


def unframe(line: bytes) -> Optional[bytes]:
    """The event of a line, or None if the line is not whole."""
    start = len(_HEAD) + 8 + len(_MID)
    event = line[start : -len(_TAIL)]
    return event if line == frame(event) else None


class Spool:
    """The directory that a recorder writes, and those that it took over."""

    def __init__(self, s: Settings, base_url: str) -> None:
        """Makes the directory. Raises OSError."""
        owner = hashlib.sha256("\0".join((s.app_id, s.environment, base_url)).encode()).hexdigest()[:16]
        self._base, self._max = s.spool_dir, s.spool_bytes
        self._prefix = f"python-{owner}-"
        self._dir = os.path.join(self._base, self._prefix + secrets.token_hex(8))
        self._mutex = threading.Lock()
        self._segments: List[Segment] = []  # the oldest first; the last one may be open
        self._size = 0
        self._file: Optional[int] = None
        self._number = 0
        self._locks: Dict[str, int] = {}
        os.makedirs(self._dir, 0o700)
        fd = lock_file(os.path.join(self._dir, LOCK), create=True)
        if fd is None:
            raise OSError("its lock is taken")
        self._locks[self._dir] = fd

    def after_fork(self) -> None:
        """In the child: lets go of what is the parent's, whose locks stay."""
        for fd in [*self._locks.values(), *([] if self._file is None else [self._file])]:
            os.close(fd)
        self._locks, self._file, self._segments = {}, None, []

    def take_over(self) -> Tuple[int, List[OSError]]:
        """Takes over what recorders left that are gone: how many events, and what could not be read."""
        found: List[Segment] = []
        faults: List[OSError] = []
        with self._mutex:
            for name in sorted(os.listdir(self._base)):
                path = os.path.join(self._base, name)
                if not name.startswith(self._prefix) or path in self._locks:
                    continue
                try:
                    fd = lock_file(os.path.join(path, LOCK), create=False)
                    if fd is None:
                        continue
                    self._locks[path] = fd
                    segments = _list(path, faults)
                except OSError as e:
                    faults.append(e)
                    continue
                found += segments
                if not segments:
                    self._leave(path)
            found.sort(key=lambda s: os.path.basename(s.path))
            self._segments = found + self._segments
            self._size += sum(s.size for s in found)
        return sum(s.events for s in found), faults

    def append(self, at: int, lines: Sequence[bytes]) -> Tuple[int, Optional[OSError]]:
        """Writes lines, and returns how many of them are on the disk and what kept the rest off it.

        at is when the first of them was recorded, in nanoseconds since 1970.
        """
        done = 0
        with self._mutex:
            try:
                while done < len(lines):
                    done += self._append_some(at, lines, done)
            except OSError as e:
                return done, e
        return done, None

    def _append_some(self, at: int, lines: Sequence[bytes], start: int) -> int:
        self._open_segment(at)
        segment = self._segments[-1]
        out = bytearray()
        events = 0
        while start + events < len(lines) and segment.size + len(out) < SEGMENT_BYTES:
            line = frame(lines[start + events])
            if self._size + len(out) + len(line) > self._max:
                break
            out += line
            events += 1
        if not events:
            raise SpoolFull
        try:
            self._write(bytes(out))
        except OSError:
            self._close_segment()  # the end may be torn: nothing is to follow it
            raise
        segment.events += events
        segment.size += len(out)
        self._size += len(out)
        if segment.size >= SEGMENT_BYTES:
            self._close_segment()
        return events

    def _write(self, data: bytes) -> None:
        assert self._file is not None
        while data:
            data = data[os.write(self._file, data) :]
        os.fsync(self._file)

    def _open_segment(self, at: int) -> None:
        """Names a file by when its first event was recorded: that is the order in which they are read back."""
        if self._file is not None:
            return
        self._number += 1
        path = os.path.join(self._dir, f"{at:020d}-{self._number:06d}{END}")
        binary = getattr(os, "O_BINARY", 0)  # or Windows would write two characters at the end of a line
        self._file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | binary, 0o600)
        _sync_dir(self._dir)
        self._segments.append(Segment(path))

    def _close_segment(self) -> None:
        if self._file is not None:
            fd, self._file = self._file, None
            try:
                os.close(fd)
            except OSError:
                pass  # each write was flushed to the disk before

    def read_oldest(self) -> Optional[Tuple[Segment, List[bytes], int]]:
        """The oldest segment, the events in it and how many lines are broken; None if there is none. Raises OSError."""
        with self._mutex:
            if not self._segments:
                return None
            if len(self._segments) == 1:
                self._close_segment()
            segment = self._segments[0]
            try:
                with open(segment.path, "rb") as f:
                    lines = [unframe(line) for line in f]
            except FileNotFoundError:  # somebody cleared the spool away
                lines = [None] * segment.events
            events = [e for e in lines if e is not None]
            return segment, events, len(lines) - len(events)

    def remove(self, segment: Segment, complain: Callable[[str], None]) -> None:
        """Forgets the oldest segment."""
        with self._mutex:
            self._segments.remove(segment)
            self._size -= segment.size
            try:
                os.remove(segment.path)
            except FileNotFoundError:
                pass
            except OSError as e:
                complain(f"a file of the spool cannot be removed, so what is in it is sent again: {e}")
            directory = os.path.dirname(segment.path)
            if directory != self._dir and not any(os.path.dirname(s.path) == directory for s in self._segments):
                self._leave(directory)

    def _leave(self, directory: str) -> None:
        """Gives a directory up, and removes it if it is empty."""
        fd = self._locks.pop(directory)
        try:
            if any(name.endswith(END) for name in os.listdir(directory)):
                os.close(fd)
                return
            unlock_and_remove(os.path.join(directory, LOCK), fd)
            os.rmdir(directory)
        except OSError:
            pass  # it stays if somebody put something there

    def end_segment(self) -> None:
        """Lets what is written next begin a file of its own."""
        with self._mutex:
            self._close_segment()

    def close(self) -> None:
        """Ends writing and lets the next recorder have the directories."""
        with self._mutex:
            self._close_segment()
            for directory in list(self._locks):
                self._leave(directory)


def _list(directory: str, faults: List[OSError]) -> List[Segment]:
    """The segments of a directory, with the number of their lines, broken ones too."""
    segments = []
    for name in sorted(os.listdir(directory)):
        if not name.endswith(END):
            continue
        path = os.path.join(directory, name)
        try:
            size = os.path.getsize(path)
            if not size:  # nothing was written before its process ended
                os.remove(path)
                continue
            with open(path, "rb") as f:
                segments.append(Segment(path, sum(1 for _ in f), size))
        except OSError as e:
            faults.append(e)
    return segments


def _sync_dir(directory: str) -> None:
    """Makes a new file's name durable where a directory can be flushed."""
    try:
        fd = os.open(directory, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(fd)
    except OSError:
        pass
    finally:
        os.close(fd)
