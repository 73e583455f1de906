"""The SQLite database of a sandbox, in a file or in memory."""

import sqlite3
import threading
import weakref
from collections.abc import Generator
from contextlib import contextmanager
from os import PathLike, fspath


class Database:
    """One connection and one lock, for the threads of the server and of the test."""

    def __init__(self, path: str | PathLike[str] | None, tables: str) -> None:
        self._db = sqlite3.connect(
            ":memory:" if path is None else fspath(path),
            isolation_level=None,
            check_same_thread=False,
        )
        self._lock = threading.RLock()
        self._closing = weakref.finalize(self, self._db.close)
        self._db.row_factory = sqlite3.Row
        self._db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;" + tables)

    def close(self) -> None:
        """Close the file; without this it is closed when the store is collected."""
        self._closing()

    @property
    def changes(self) -> int:
        """The number of rows written or deleted: it changes whenever the data do."""
        return self._db.total_changes

    def clear(self) -> None:
        """Delete everything; ids start again at 1."""
        with self.together():
            for table in self.rows("SELECT name FROM sqlite_master WHERE type = 'table'"):
                self.run(f"DELETE FROM {table['name']}")  # noqa: S608 - our own tables

    def rows(self, statement: str, *values: object, **named: object) -> list[sqlite3.Row]:
        """Return the rows of a query; its values are positional or named."""
        with self._lock:
            return self._db.execute(statement, named or values).fetchall()

    def run(self, statement: str, *values: object) -> int:
        """Execute a statement; returns the id of the last inserted row."""
        with self._lock:
            return self._db.execute(statement, values).lastrowid or 0

    @contextmanager
    def together(self) -> Generator[None, None, None]:
        """Make a transaction of what is written inside: all of it survives a crash, or none."""
        with self._lock:
            if self._db.in_transaction:
                yield
                return
            self.run("BEGIN")
            try:
                yield
            except BaseException:
                self.run("ROLLBACK")
                raise
            self.run("COMMIT")
