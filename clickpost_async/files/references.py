"""Finds reference numbers that are in several places of a file."""

import sqlite3
from types import TracebackType
from typing import Self

from attrs import frozen


@frozen
class Repetition:
    """Another row with the same reference number.

    `is_same_order`: all of them have the same contents, so that one order is sent.
    """

    row: int
    is_same_order: bool


class ReferenceIndex:
    """The first row of each order by reference number, in a database that spills to disk.

    So memory use does not grow with the number of orders.
    """

    def __init__(self) -> None:
        # A temporary database, deleted when closed; written to disk if its cache is full.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute(
            "CREATE TABLE refs (ref BLOB PRIMARY KEY, first INT, digest INT, other INT)"
            " WITHOUT ROWID"
        )
        self._database.execute("BEGIN")
        # Most files have none: then nothing is looked up.
        self._has_repetitions = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._database.close()

    def add(self, reference: str, row: int, digest: int) -> None:
        """Record that an order begins in a row; `digest` is the hash of its contents."""
        key = _key(reference)
        inserted = self._database.execute(
            "INSERT OR IGNORE INTO refs VALUES (?, ?, ?, NULL)", (key, row, digest)
        )
        if not inserted.rowcount:
            self._has_repetitions = True
            self._database.execute(
                "UPDATE refs SET other = coalesce(other, ?) WHERE ref = ? AND digest <> ?",
                (row, key, digest),
            )

    def find(self, reference: str, row: int) -> Repetition | None:
        """Return another row in which an order with this reference begins, or `None`."""
        if not self._has_repetitions:
            return None
        found = self._database.execute(
            "SELECT first, other FROM refs WHERE ref = ?", (_key(reference),)
        ).fetchone()
        if found is None:
            return None
        first, other = found
        if other is None:
            return None if row == first else Repetition(first, is_same_order=True)
        return Repetition(other if row == first else first, is_same_order=False)


def _key(reference: str) -> bytes:
    # A reference that is invalid Unicode is rejected later, but has to be a key until then.
    return reference.encode("utf-8", "surrogatepass")
