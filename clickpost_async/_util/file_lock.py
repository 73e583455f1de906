"""A file lock that the operating system releases when its process ends, also after a crash."""

import os
from collections.abc import Callable
from typing import Any

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

# Far beyond the contents: on Windows a locked byte cannot be read by others.
_LOCKED_BYTE = 1 << 30


def try_lock(descriptor: int) -> bool:
    """Lock an open file for this process; `False` if another one has it.

    Raises `OSError` where files cannot be locked.
    """
    lock = _lock_by_msvcrt if fcntl is None else _lock_by_flock
    try:
        lock(descriptor)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _lock_by_flock(descriptor: int) -> None:
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _lock_by_msvcrt(descriptor: int) -> None:
    import msvcrt

    windows: Any = msvcrt
    locking: Callable[[int, int, int], None] = windows.locking
    os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
    locking(descriptor, windows.LK_NBLCK, 1)
