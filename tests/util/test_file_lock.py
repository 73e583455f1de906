"""A file lock, also with Windows' kind of locks."""

import errno
import importlib
import os
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from clickpost_async._util import file_lock
from clickpost_async._util.file_lock import try_lock
from clickpost_async.bulk import JournalError, status
from clickpost_async.bulk.journal import Journal
from clickpost_async.bulk.records import JournalState
from clickpost_async.testing import virtual_time
from tests.bulk.test_journal import ME, entry, key


class Windows(types.ModuleType):
    """Windows' `msvcrt`: a lock belongs to an open file, and is gone when that is closed."""

    LK_NBLCK = 2

    def __init__(self) -> None:
        super().__init__("msvcrt")
        self.locked: dict[int, tuple[int, int]] = {}
        self.error: int | None = None

    def locking(self, descriptor: int, mode: int, length: int) -> None:
        assert (mode, length) == (self.LK_NBLCK, 1)
        if self.error is not None:
            raise OSError(self.error, "cannot lock")
        # Other processes cannot read what is locked: it has to be away from what is written.
        assert os.lseek(descriptor, 0, os.SEEK_CUR) > os.fstat(descriptor).st_size
        place = (os.fstat(descriptor).st_ino, os.lseek(descriptor, 0, os.SEEK_CUR))
        if place in self.locked.values():
            raise PermissionError(errno.EACCES, "Permission denied")
        self.locked[descriptor] = place

    def closed(self, descriptor: int) -> None:
        self.locked.pop(descriptor, None)


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> Iterator[Windows]:
    fake = Windows()
    close = os.close

    def closed(descriptor: int) -> None:
        close(descriptor)
        fake.closed(descriptor)

    with monkeypatch.context() as there:
        there.setitem(sys.modules, "fcntl", None)
        there.setitem(sys.modules, "msvcrt", fake)
        importlib.reload(file_lock)
        # The journal's file has the function from before.
        there.setattr("clickpost_async.bulk.journal_file.try_lock", file_lock.try_lock)
        there.setattr(os, "close", closed)
        there.delattr(os, "fchmod")
        there.delattr(os, "O_NOFOLLOW")
        yield fake
    importlib.reload(file_lock)


def test_file_is_locked_once(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    first, second = (os.open(path, os.O_RDWR | os.O_CREAT) for _ in range(2))
    assert try_lock(first)
    assert not try_lock(second)
    os.close(first)
    assert try_lock(second)
    os.close(second)


def test_file_that_cannot_be_locked_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with pytest.raises(OSError, match="No locks available"):
        try_lock(0)


@virtual_time
async def test_on_windows_a_journal_is_locked_too(windows: Windows, tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    async with Journal.at(path, account=ME) as journal:
        assert len(windows.locked) == 1
        await journal.admit(entry(1))
        await journal.sending(key(1))
        with pytest.raises(JournalError, match="is in use by another process"):
            async with Journal.at(path, account=ME):
                pass
        await journal.admit(entry(2))
    async with Journal.at(path, account=ME) as journal:
        assert (await journal.admit(entry(1))).record.state is JournalState.SENDING
    assert status(path).counts[JournalState.ACCEPTED] == 1
    # Its lock file counts the commits that must be durable there, too: the one "sending".
    assert int((tmp_path / "run.db-lock").read_bytes()) == 1


@virtual_time
async def test_unavailable_lock_on_windows_is_reported(windows: Windows, tmp_path: Path) -> None:
    windows.error = errno.ENOSYS
    with pytest.raises(JournalError, match="cannot lock"):
        async with Journal.at(tmp_path / "run.db", account=ME):
            pass
