"""The recorded state of orders in SQLite: a journal's table, or that of a run without one.

All of it is called by one thread at a time, through one connection.
"""

import sqlite3
from collections.abc import Callable, Sequence
from typing import TypeVar

from attrs import frozen

from clickpost_async.bulk.decisions import Action, decide
from clickpost_async.bulk.records import (
    FINAL,
    JournalEntry,
    JournalRecord,
    JournalState,
    Key,
    StoredOrder,
)
from clickpost_async.bulk.timestamp import Timestamp

T = TypeVar("T")

ORDERS = """
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
    clock REAL,
    boot TEXT NOT NULL,
    run INTEGER NOT NULL,
    seen_as BLOB,
    PRIMARY KEY (market, reference_number)
) WITHOUT ROWID
"""
_COLUMNS = "state, digest, outcome, attempts, since, clock, boot, run, position, row, seen_as"
_ONE = "market = ? AND reference_number = ?"
# As in the index of a journal, which SQLite uses for these words only.
IN_DOUBT = "state IN ('sending', 'unknown', 'queued')"
# The digest of contents that are invalid: no other ones are the same.
_INVALID = b""
# In kibibytes; SQLite writes what is beyond it into a temporary file.
_CACHE = 2048


@frozen
class Admission:
    """What to do with an order, and what was recorded of it."""

    action: Action
    record: JournalRecord


class JournalStore:
    """The orders of one database; `run` is the number of the current run.

    One that is `is_durable` outlives the run: it stores payloads, and what is about to be sent.
    """

    def __init__(
        self, database: sqlite3.Connection, *, run: int = 1, is_durable: bool = False
    ) -> None:
        self._database = database
        self._run = run
        self._is_durable = is_durable

    @classmethod
    def private(cls) -> "JournalStore":
        """Make one for this run alone: beyond its cache a temporary file that is gone with it."""
        database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        database.execute("PRAGMA synchronous = OFF")
        database.execute("PRAGMA journal_mode = OFF")
        database.execute(f"PRAGMA cache_size = -{_CACHE}")
        database.execute(ORDERS)
        # Never ended: at the end of each transaction SQLite visits every changed page in its cache.
        database.execute("BEGIN")
        return cls(database)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def commit(
        self,
        writes: Sequence[Callable[[], T]],
        *,
        durable: bool = True,  # noqa: ARG002 - for a file
    ) -> list[T]:
        """Do all of it, or, where the database is a file, nothing of it.

        What need not be `durable` becomes so with the next commit that is.
        """
        return [write() for write in writes]

    # --- within a transaction ------------------------------------------------------------

    def admit(self, entry: JournalEntry) -> Admission:
        """Record an order, or read its record, and decide what to do with it."""
        now = Timestamp.now()
        if self._insert(entry, now, or_else="IGNORE"):
            record = JournalRecord(state=None, position=entry.position, row=entry.row, since=now)
            return Admission(decide(None, matches=True), record)
        row = self._database.execute(
            f"SELECT {_COLUMNS} FROM orders WHERE {_ONE}",  # noqa: S608 - constants
            entry.key,
        ).fetchone()
        record = JournalRecord(
            state=JournalState(row[0]),
            matches=row[1] == entry.digest,
            outcome=row[2],
            attempts=row[3],
            since=Timestamp(*row[4:7]),
            seen=row[7] == self._run,
            contradicts=row[7] == self._run and entry.digest != (row[10] or row[1]),
            position=row[8],
            row=row[9],
        )
        action = decide(record.state, matches=record.matches, contradicts=record.contradicts)
        if action is Action.SEND and not record.matches:
            self._insert(entry, now, or_else="REPLACE")
        elif not record.seen:
            seen_as = None if record.matches else (entry.digest or _INVALID)
            self._database.execute(
                f"UPDATE orders SET run = ?, position = ?, row = ?, seen_as = ? WHERE {_ONE}",  # noqa: S608 - a constant
                (self._run, entry.position, entry.row, seen_as, *entry.key),
            )
        return Admission(action, record)

    def _insert(self, entry: JournalEntry, now: Timestamp, *, or_else: str) -> bool:
        """Record an order that was not sent yet; return whether it was recorded."""
        state = JournalState.REJECTED if entry.digest is None else JournalState.ACCEPTED
        inserted = self._database.execute(
            f"INSERT OR {or_else} INTO orders (market, reference_number, position, row, state,"  # noqa: S608 - constants
            " digest, payload, since, clock, boot, run) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *entry.key,
                entry.position,
                entry.row,
                state.value,
                entry.digest or _INVALID,
                entry.payload if self._is_durable else None,
                now.wall,
                now.clock,
                now.boot,
                self._run,
            ),
        )
        return inserted.rowcount == 1

    def mark_sending(self, key: Key) -> None:
        """Record that its first byte is about to be sent."""
        now = Timestamp.now()
        self._database.execute(
            "UPDATE orders SET state = 'sending', attempts = attempts + 1, since = ?, clock = ?,"
            " boot = ? WHERE market = ? AND reference_number = ?",
            (now.wall, now.clock, now.boot, *key),
        )

    def record(self, key: Key, state: JournalState, outcome: bytes) -> None:
        """Record an outcome; a final one drops the payload."""
        since = clock = boot = None
        if not (state is JournalState.UNKNOWN and self._is_durable):
            # What stays unknown has been so since it was last sent, if that was recorded.
            now = Timestamp.now()
            since, clock, boot = now.wall, now.clock, now.boot
        self._database.execute(
            "UPDATE orders SET state = ?, outcome = ?,"  # noqa: S608 - a constant
            " payload = CASE WHEN ? THEN NULL ELSE payload END,"
            " since = coalesce(?, since), clock = coalesce(?, clock), boot = coalesce(?, boot)"
            f" WHERE {_ONE}",
            (state.value, outcome, state in FINAL, since, clock, boot, *key),
        )

    def count_unseen(self) -> int:
        """Count the orders that this run has not seen in its input."""
        found = self._database.execute("SELECT COUNT(*) FROM orders WHERE run <> ?", (self._run,))
        return int(found.fetchone()[0])

    def doubts(self, after: tuple[int, str, str], limit: int) -> list[StoredOrder]:
        """Return orders in doubt, by their position in the input."""
        found = self._database.execute(
            "SELECT market, reference_number, position, row, digest, payload FROM orders"  # noqa: S608 - a constant
            f" WHERE {IN_DOUBT}"
            " AND (position, market, reference_number) > (?, ?, ?)"
            " ORDER BY position, market, reference_number LIMIT ?",
            (*after, limit),
        )
        return [
            StoredOrder(
                key=(row[0], row[1]), position=row[2], row=row[3], digest=row[4], payload=row[5]
            )
            for row in found
        ]
