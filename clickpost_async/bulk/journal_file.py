"""The file behind a journal: SQLite with a write-ahead log that is flushed at every commit.

A lock file beside it keeps other processes out. Only one connection writes: SQLite before 3.51.3
could lose a reset of its log where several did.
"""

import os
import sqlite3
import stat
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from clickpost_async._util.file_lock import try_lock
from clickpost_async._util.private_files import make_private, open_private
from clickpost_async.bulk.records import JournalError, JournalState, JournalStatus
from clickpost_async.bulk.sqlite import IN_DOUBT, ORDERS, JournalStore

T = TypeVar("T")

# "ClkP": what makes a SQLite file one of ours.
_APPLICATION = 0x436C6B50
_VERSION = 3
_SCHEMA = (
    f"PRAGMA application_id = {_APPLICATION}",
    f"PRAGMA user_version = {_VERSION}",
    "CREATE TABLE facts (name TEXT PRIMARY KEY, value) WITHOUT ROWID",
    ORDERS,
    f"CREATE INDEX doubts ON orders (position) WHERE {IN_DOUBT}",
)
# What older versions lack; the age of their records is unknown.
_MIGRATIONS: Mapping[int, str] = {
    1: "ALTER TABLE orders ADD COLUMN clock REAL",
    2: "ALTER TABLE orders ADD COLUMN seen_as BLOB",
}
_COUNT_DIGITS = 20
# How a database and a rollback journal of SQLite begin, and how large its smallest page is.
_DATABASE = b"SQLite format 3\0"
_ROLLBACK = bytes.fromhex("d9d505f920a163d7")
_PAGE = 4096
# Where its first page says whose it is (SQLite's file format, 1.3).
_APPLICATION_AT = 68


class JournalFile(JournalStore):
    """An open journal file, locked against every other process."""

    def __init__(self, path: str | os.PathLike[str], *, account: str) -> None:
        self._path = Path(path)
        with _explaining_errors(self._path):
            # Before anything is created, changed or locked: it may be another program's file.
            _refuse_foreign(self._path)
            self._lock = self._lock_file()
            try:
                self._file = self._private_file()
                try:
                    database = self._open(account)
                except BaseException:
                    os.close(self._file)
                    raise
            except BaseException:
                os.close(self._lock)
                raise
        # As they are now: the working directory may change.
        place = self._path.absolute()
        self._opened = ((place, self._file), (Path(f"{place}-lock"), self._lock))
        super().__init__(database, run=int(_read_setting(database, "run")), is_durable=True)

    def _lock_file(self) -> int:
        """Open and lock the file that also counts the commits, so that a lost log is noticed."""
        path = f"{self._path}-lock"
        lock = open_private(path, os.O_RDWR | os.O_CREAT)
        problem = None
        try:
            if not try_lock(lock):
                problem = (
                    f"{self._path} is in use by another process; wait until it ends, or stop it"
                )
            elif _read_count(lock) is None:
                problem = f"{path} is not the lock file of a journal; choose another journal"
        except BaseException:
            os.close(lock)
            raise
        if problem is not None:
            os.close(lock)
            raise JournalError(problem)
        return lock

    def _private_file(self) -> int:
        """Create the file if it is missing, readable by its owner only.

        It stays open as long as the database: a process that closes any descriptor of a file loses
        the locks that SQLite has on it.
        """
        # SQLite makes those beside it with the same mode, but takes those that are there.
        for suffix in ("-wal", "-shm", "-journal"):
            make_private(Path(f"{self._path}{suffix}"))
        return open_private(self._path, os.O_RDWR | os.O_CREAT)

    def _open(self, account: str) -> sqlite3.Connection:
        log_is_missing = not Path(f"{self._path}-wal").exists()
        database = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        try:
            database.execute("PRAGMA synchronous = FULL")
            # One that was killed while it was made is empty again.
            if not database.execute("SELECT 1 FROM sqlite_master").fetchone():
                os.ftruncate(self._lock, 0)
                _make(database, account)
            self._check(database, account, log_is_missing=log_is_missing)
            database.execute("PRAGMA journal_mode = WAL")
            self._commits = int(_read_setting(database, "commits"))
            with _transaction(database):
                _upgrade(database)
                _write_settings(database, run=int(_read_setting(database, "run")) + 1, clean=0)
            # In the file itself: a log that is missing from now on was deleted.
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except BaseException:
            database.close()
            raise
        return database

    def _check(self, database: sqlite3.Connection, account: str, *, log_is_missing: bool) -> None:
        if _version(database) > _VERSION:
            self._refuse("was written by a newer release; use that one")
        (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            self._refuse("is damaged; restore it from a copy, or look its orders up one by one")
        whose = _read_setting(database, "account")
        if whose != account:
            self._refuse(f"belongs to {whose}, not to {account}; give each its own")
        counted = _read_count(self._lock) or 0
        is_cut = counted > int(_read_setting(database, "commits"))
        # Without a count, only a run that has closed the file shows that no log is missing. With
        # one, the file is whole: SQLite has removed the log of a run that could not close it.
        is_unsure = log_is_missing and not counted and not _read_setting(database, "clean")
        if is_cut or is_unsure:
            self._refuse(
                "is missing its last writes: its -wal file is missing or truncated;"
                " restore it, or look the orders of that run up one by one"
            )

    def _refuse_if_removed(self) -> None:
        """Raise `JournalError` once another file, or none, is where this one or its lock was.

        Writes would succeed, and could not be found by the run that resumes this one.
        """
        for place, descriptor in self._opened:
            try:
                is_here = os.path.samestat(place.stat(), os.fstat(descriptor))
            except FileNotFoundError:
                is_here = False
            if not is_here:
                self._refuse(
                    "or its -lock file was deleted, moved or replaced while a run was using it;"
                    " put it back, or look the orders of that run up one by one"
                )

    def _refuse(self, why: str) -> None:
        message = f"the journal {self._path} {why}"
        raise JournalError(message)

    def close(self) -> None:
        """Close the file; it is whole without its log then."""
        try:
            with _explaining_errors(self._path), _transaction(self._database):
                _write_settings(self._database, clean=1)
        finally:
            super().close()
            os.close(self._file)
            os.close(self._lock)

    def commit(self, writes: Sequence[Callable[[], T]], *, durable: bool = True) -> list[T]:
        """Do all of it in one transaction, or nothing of it, nor of the transaction before.

        Unless it has to be `durable`, the transaction stays open for the next commit.
        """
        with _explaining_errors(self._path):
            with _transaction(self._database, stays_open=not durable):
                done = [write() for write in writes]
                if durable:
                    self._refuse_if_removed()
                    self._commits += 1
                    _write_settings(self._database, commits=self._commits)
            if durable:
                _write_count(self._lock, self._commits)
        return done


def _make(database: sqlite3.Connection, account: str) -> None:
    # In one transaction: there is a whole journal, or none.
    with _transaction(database):
        for statement in _SCHEMA:
            database.execute(statement)
        _write_settings(database, account=account, run=0, commits=0, clean=1)


def _upgrade(database: sqlite3.Connection) -> None:
    for older in range(_version(database), _VERSION):
        database.execute(_MIGRATIONS[older])
    database.execute(f"PRAGMA user_version = {_VERSION}")


@contextmanager
def _transaction(database: sqlite3.Connection, *, stays_open: bool = False) -> Generator[None]:
    if not database.in_transaction:
        database.execute("BEGIN IMMEDIATE")
    try:
        yield
        if not stays_open:
            database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


def _read_count(lock: int) -> int | None:
    """Return how many commits a lock file counts; `None` if it holds something else."""
    os.lseek(lock, 0, os.SEEK_SET)
    counted = os.read(lock, _COUNT_DIGITS + 1).strip(b"\0 ")
    if not counted:
        return 0
    return int(counted) if counted.isdigit() and len(counted) <= _COUNT_DIGITS else None


def _write_count(lock: int, commits: int) -> None:
    os.lseek(lock, 0, os.SEEK_SET)
    os.write(lock, b"%0*d" % (_COUNT_DIGITS, commits))


def read_status(path: str | os.PathLike[str]) -> JournalStatus:
    """Count a journal's orders; while a run is writing it, too."""
    path = Path(path)
    with _explaining_errors(path):
        if not path.exists():
            message = f"there is no journal {path}"
            raise JournalError(message)
        _refuse_foreign(path, may_be_new=False)
        # Without a log no run is writing, and reading must not create one.
        beside = "" if Path(f"{path}-wal").exists() else "&immutable=1"
        database = sqlite3.connect(f"{_read_only(path)}{beside}", uri=True)
        try:
            counts: Mapping[str, int] = dict(
                database.execute("SELECT state, COUNT(*) FROM orders GROUP BY state").fetchall()
            )
            (oldest,) = database.execute(
                f"SELECT MIN(since) FROM orders WHERE {IN_DOUBT}"  # noqa: S608 - a constant
            ).fetchone()
            account = str(_read_setting(database, "account"))
        finally:
            database.close()
    return JournalStatus(
        account=account,
        counts={state: counts.get(state.value, 0) for state in JournalState},
        oldest_doubt=oldest,
    )


def _refuse_foreign(path: Path, *, may_be_new: bool = True) -> None:
    """Raise `JournalError` for a file that is no journal, without leaving a trace on it.

    A link is none. What is missing, empty, or was killed while it was made, can become one, and is
    accepted if it `may_be_new`.
    """
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    is_file = stat.S_ISREG(found.st_mode)
    is_new = is_file and may_be_new and (not found.st_size or _is_half_made(path))
    if not is_file or not (is_new or _is_ours(path)):
        message = f"{path} is not a bulk-run journal; choose another file"
        raise JournalError(message)


def _is_ours(path: Path) -> bool:
    # Without SQLite, which would need the log as well: a file that is not whole without it, as its
    # process was killed during a checkpoint, is a journal.
    page = _first_page(path)
    return page.startswith(_DATABASE) and _has_our_number(page)


def _is_half_made(path: Path) -> bool:
    """Return whether a process was killed while it made a journal; SQLite takes that back."""
    try:
        with Path(f"{path}-journal").open("rb") as beside:
            is_journal = beside.read(len(_ROLLBACK)) == _ROLLBACK
    except OSError:
        return False
    page = _first_page(path)
    is_unwritten = len(page) < _PAGE or not any(page)
    return is_journal and (is_unwritten or _has_our_number(page))


def _first_page(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_PAGE)


def _has_our_number(page: bytes) -> bool:
    return page[_APPLICATION_AT : _APPLICATION_AT + 4] == _APPLICATION.to_bytes(4)


def _version(database: sqlite3.Connection) -> int:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    return int(version)


def _read_only(path: Path) -> str:
    return f"{path.absolute().as_uri()}?mode=ro"


def _read_setting(database: sqlite3.Connection, name: str) -> Any:
    found = database.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
    return found[0]


def _write_settings(database: sqlite3.Connection, **settings: object) -> None:
    database.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", settings.items())


@contextmanager
def _explaining_errors(path: Path) -> Generator[None]:
    """Raise a `JournalError` that says which file could not be used, and why."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        message = f"the journal {path} could not be read or written: {error}"
        raise JournalError(message) from None
