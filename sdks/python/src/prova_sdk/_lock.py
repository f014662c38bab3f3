"""Locks a file as long as this process has it open."""

from __future__ import annotations

import os
import sys
from typing import Optional

if sys.platform == "win32":
    import msvcrt

    def _lock(fd: int) -> bool:
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _lock(fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def lock_file(path: str, create: bool) -> Optional[int]:
    """The descriptor of a locked file; None if somebody else has it, or removed it in between."""
    try:
        fd = os.open(path, os.O_RDWR | (os.O_CREAT if create else 0), 0o600)
    except FileNotFoundError:
        return None
    try:
        if _lock(fd) and os.path.samestat(os.fstat(fd), os.stat(path)):
            return fd
    except FileNotFoundError:
        pass
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)
    return None


def unlock_and_remove(path: str, fd: int) -> None:
    """Removes the file while it is locked, so that nobody locks a name that goes away."""
    if sys.platform == "win32":  # an open file cannot be removed there
        os.close(fd)
        os.remove(path)
        return
    os.remove(path)
    os.close(fd)
