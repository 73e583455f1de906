"""A file that is written beside its target, and replaces it when it is complete."""

import errno
import os
import secrets
from pathlib import Path

from clickpost_async._util.private_files import open_private


class PendingFile:
    """A file that only its owner can read; the target is not changed before `publish`.

    A target that is no regular file, such as `/dev/stdout`, is written directly. Raises `OSError`
    where the target is a link, a folder, or in a folder that cannot be written.
    """

    def __init__(self, target: str | os.PathLike[str]) -> None:
        self.target = Path(target)
        if self.target.is_symlink():
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(target))
        self._is_direct = self.target.exists() and not self.target.is_file()
        self.path: Path = self.target
        flags = os.O_WRONLY
        if not self._is_direct:
            self.path = self.target.with_name(f"{self.target.name}.{secrets.token_hex(4)}.part")
            flags |= os.O_CREAT | os.O_EXCL
        self.descriptor: int = open_private(self.path, flags)

    def publish(self) -> None:
        """Replace the target by what was written; close the descriptor first."""
        if not self._is_direct:
            self.path.replace(self.target)

    def cut(self, size: int) -> None:
        """Truncate what was written to so many bytes."""
        if not self._is_direct:
            os.truncate(self.path, size)

    def discard(self) -> None:
        """Remove what was written, and leave the target as it is."""
        if not self._is_direct:
            self.path.unlink(missing_ok=True)
