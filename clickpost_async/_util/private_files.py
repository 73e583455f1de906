"""Files that only their owner can read, whatever they were before."""

import os
import stat
from contextlib import suppress
from pathlib import Path

# Windows has no O_NOFOLLOW, and needs O_BINARY.
_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_PRIVATE = 0o600


def open_private(path: str | os.PathLike[str], flags: int) -> int:
    """Open a file, and make it readable by its owner only before anything is written.

    A link is not followed. Raises `OSError`, where its mode cannot be changed as well.
    """
    descriptor = os.open(path, flags | _FLAGS, _PRIVATE)
    try:
        # Of the file that was opened, whatever its name leads to by now; a device keeps its mode.
        mode = os.fstat(descriptor).st_mode
        is_shared = stat.S_ISREG(mode) and stat.S_IMODE(mode) != _PRIVATE
        if is_shared and hasattr(os, "fchmod"):
            os.fchmod(descriptor, _PRIVATE)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def make_private(path: Path) -> None:
    """Make a file readable by its owner only, if it is there."""
    with suppress(FileNotFoundError):
        os.close(open_private(path, os.O_RDWR))
