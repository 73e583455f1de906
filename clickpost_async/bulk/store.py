"""The file behind a journal: SQLite with a write-ahead log that is flushed at every commit.

All of it is called by one thread at a time, through one connection, in whole transactions: SQLite
before 3.51.3 could lose a reset of its log where several connections wrote.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from clickpost_async.bulk.standing import (
    FINAL,
    Entry,
    JournalError,
    Kept,
    Key,
    Standing,
    State,
    Status,
)

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows
    fcntl = None  # type: ignore[assignment]

T = TypeVar("T")

# "ClkP": what makes a SQLite file one of ours.
_APPLICATION = 0x436C6B50
_VERSION = 1
_SCHEMA = f"""
CREATE TABLE facts (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE orders (
    market TEXT NOT NULL,
    reference_number TEXT NOT NULL,
    position INTEGER NOT NULL,
    row INTEGER,
    state TEXT NOT NULL,
    digest BLOB NOT NULL,
    payload BLOB,
    outcome BLOB,
    attempts INTEGER NOT NULL DEFAULT 0,
    since REAL NOT NULL,
    boot TEXT NOT NULL,
    run INTEGER NOT NULL,
    PRIMARY KEY (market, reference_number)
) WITHOUT ROWID;
CREATE INDEX doubts ON orders (position) WHERE state IN ('sending', 'unknown', 'queued');
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {_VERSION};
"""
_COLUMNS = "state, digest, outcome, attempts, since, boot, run"
_ONE = "market = ? AND reference_number = ?"


def boot() -> str:
    """Return what tells one start of this machine from another; clocks may differ between them."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


class Store:
    """An open journal file, locked against every other process."""

    def __init__(self, path: str | os.PathLike[str], *, account: str, keep_payloads: bool) -> None:
        self._path = Path(path)
        self._keep_payloads = keep_payloads
        self._boot = boot()
        self._run = 0
        self._commits = 0
        with _told(self._path):
            self._lock = self._locked()
            try:
                self._database = self._opened(account)
            except BaseException:
                os.close(self._lock)
                raise

    def _locked(self) -> int:
        """Hold a lock that the operating system releases when this process ends, however it does.

        The file also counts the commits, so that a log that was cut or deleted is noticed.
        """
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        lock = os.open(f"{self._path}-lock", flags, 0o600)
        try:
            if fcntl is not None:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            message = f"{self._path} is in use by another process; wait for it, or stop it"
            raise JournalError(message) from None
        return lock

    def _opened(self, account: str) -> sqlite3.Connection:
        is_new = not self._path.exists() or not self._path.stat().st_size
        if is_new:
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
            os.close(os.open(self._path, flags, 0o600))
            os.ftruncate(self._lock, 0)
        else:
            self._path.chmod(0o600)
        log_is_missing = not Path(f"{self._path}-wal").exists()
        database = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        try:
            if is_new:
                database.executescript(_SCHEMA)
                _put(database, account=account, run=0, commits=0, clean=1)
            self._check(database, account, log_is_missing=log_is_missing)
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
            self._run = int(_fact(database, "run")) + 1
            self._commits = int(_fact(database, "commits"))
            _put(database, run=self._run, clean=0)
            # In the file itself: a log that is missing from now on was deleted.
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except BaseException:
            database.close()
            raise
        return database

    def _check(self, database: sqlite3.Connection, account: str, *, log_is_missing: bool) -> None:
        version = _readable(self._path, database)
        if version > _VERSION:
            self._refuse("was written by a newer release; use that one")
        (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            self._refuse("is damaged; restore it from a copy, or look its orders up one by one")
        whose = _fact(database, "account")
        if whose != account:
            self._refuse(f"belongs to {whose}, not to {account}; give each its own")
        counted = os.pread(self._lock, 20, 0).strip(b"\0 ")
        lost = counted.isdigit() and int(counted) > int(_fact(database, "commits"))
        if lost or (log_is_missing and not _fact(database, "clean")):
            self._refuse(
                "lacks what was written last: its -wal file is missing or cut;"
                " put it back, or look the orders of that run up one by one"
            )

    def _refuse(self, why: str) -> None:
        message = f"the journal {self._path} {why}"
        raise JournalError(message)

    def close(self) -> None:
        """Close the file; it is whole without its log then."""
        try:
            with _told(self._path):
                _put(self._database, clean=1)
        finally:
            self._database.close()
            os.close(self._lock)

    def commit(self, acts: Sequence[Callable[[], T]]) -> list[T]:
        """Do all of it in one transaction, durably, or nothing of it."""
        database = self._database
        with _told(self._path):
            database.execute("BEGIN IMMEDIATE")
            try:
                done = [act() for act in acts]
                self._commits += 1
                _put(database, commits=self._commits)
                database.execute("COMMIT")
            except BaseException:
                if database.in_transaction:
                    database.execute("ROLLBACK")
                raise
            os.pwrite(self._lock, b"%020d" % self._commits, 0)
        return done

    # --- what is done in a transaction ------------------------------------------------------------

    def admit(self, entry: Entry) -> Standing:
        """Take an order in, or tell what is known of it."""
        row = self._database.execute(
            f"SELECT {_COLUMNS} FROM orders WHERE {_ONE}",  # noqa: S608 - constants
            entry.key,
        ).fetchone()
        if row is None:
            return self._taken_in(entry)
        standing = Standing(
            state=State(row[0]),
            payload_matches=row[1] == entry.digest,
            outcome=row[2],
            attempts=row[3],
            since=row[4],
            boot=row[5],
            seen=row[6] == self._run,
        )
        if not (standing.payload_matches or standing.seen) and standing.may_change:
            return self._taken_in(entry)
        self._database.execute(
            f"UPDATE orders SET run = ?, position = ?, row = ? WHERE {_ONE}",  # noqa: S608
            (self._run, entry.position, entry.row, *entry.key),
        )
        return standing

    def _taken_in(self, entry: Entry) -> Standing:
        now = time.time()
        self._database.execute(
            "INSERT OR REPLACE INTO orders (market, reference_number, position, row, state, digest,"
            " payload, since, boot, run) VALUES (?, ?, ?, ?, 'accepted', ?, ?, ?, ?, ?)",
            (
                *entry.key,
                entry.position,
                entry.row,
                entry.digest,
                entry.payload,
                now,
                self._boot,
                self._run,
            ),
        )
        return Standing(state=State.ACCEPTED, since=now, boot=self._boot)

    def mark_sending(self, key: Key) -> None:
        """Note that its first byte is about to leave."""
        self._database.execute(
            "UPDATE orders SET state = 'sending', attempts = attempts + 1, since = ?, boot = ?"
            " WHERE market = ? AND reference_number = ?",
            (time.time(), self._boot, *key),
        )

    def record(self, key: Key, state: State, outcome: bytes) -> None:
        """Note what it came to; what is final needs its payload no more."""
        purge = ", payload = NULL" if state in FINAL and not self._keep_payloads else ""
        # What stays unknown has been so since it was last sent.
        since, boot = (None, None) if state is State.UNKNOWN else (time.time(), self._boot)
        self._database.execute(
            "UPDATE orders SET state = ?, outcome = ?, since = COALESCE(?, since),"  # noqa: S608
            f" boot = COALESCE(?, boot){purge} WHERE {_ONE}",
            (state.value, outcome, since, boot, *key),
        )

    def count_unseen(self) -> int:
        """Count the orders that this run has not seen in its input."""
        found = self._database.execute("SELECT COUNT(*) FROM orders WHERE run <> ?", (self._run,))
        return int(found.fetchone()[0])

    def doubts(self, after: tuple[int, str, str], most: int) -> list[Kept]:
        """Return orders in doubt, by their position in the input."""
        found = self._database.execute(
            "SELECT market, reference_number, position, row, digest, payload FROM orders"
            " WHERE state IN ('sending', 'unknown', 'queued')"
            " AND (position, market, reference_number) > (?, ?, ?)"
            " ORDER BY position, market, reference_number LIMIT ?",
            (*after, most),
        )
        return [
            Kept(key=(row[0], row[1]), position=row[2], row=row[3], digest=row[4], payload=row[5])
            for row in found
        ]


def read_status(path: str | os.PathLike[str]) -> Status:
    """Count a journal's orders; while a run is writing it, too."""
    with _told(Path(path)):
        if not Path(path).exists():
            message = f"there is no journal {path}"
            raise JournalError(message)
        database = sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True)
        try:
            _readable(Path(path), database)
            counts: Mapping[str, int] = dict(
                database.execute("SELECT state, COUNT(*) FROM orders GROUP BY state").fetchall()
            )
            (oldest,) = database.execute(
                "SELECT MIN(since) FROM orders WHERE state IN ('sending', 'unknown', 'queued')"
            ).fetchone()
            account = str(_fact(database, "account"))
        finally:
            database.close()
    return Status(
        account=account,
        counts={state: counts.get(state.value, 0) for state in State},
        oldest_doubt=oldest,
    )


def _readable(path: Path, database: sqlite3.Connection) -> int:
    """Return the version of a file that is one of ours."""
    (application,) = database.execute("PRAGMA application_id").fetchone()
    if application != _APPLICATION:
        message = f"{path} is no journal of a bulk run; name another file"
        raise JournalError(message)
    (version,) = database.execute("PRAGMA user_version").fetchone()
    return int(version)


def _fact(database: sqlite3.Connection, name: str) -> Any:
    found = database.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
    return found[0]


def _put(database: sqlite3.Connection, **facts: object) -> None:
    database.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", facts.items())


@contextmanager
def _told(path: Path) -> Generator[None]:
    """Tell what is wrong with a file in words that help."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        message = f"the journal {path} could not be read or written: {error}"
        raise JournalError(message) from None
