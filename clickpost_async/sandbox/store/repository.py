"""The sandbox's data in SQLite: orders, labels, parcels, scans, notes and calls."""

import json
import sqlite3
import threading
import time
import weakref
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from os import PathLike, fspath
from types import NoneType, UnionType
from typing import Any, TypeVar
from zlib import crc32

import attrs

from clickpost_async.sandbox.store.records import (
    BoughtLabel,
    LoggedCall,
    Note,
    Order,
    OrderListRow,
    Parcel,
    Row,
    Scan,
    State,
)

R = TypeVar("R", bound=Row)

# The number of calls whose bodies are kept, and the size of the largest body, in bytes.
KEPT = 500
_MAX_BODY_SIZE = 64 * 1024

_RECORDS = (Order, BoughtLabel, Parcel, Scan, Note, LoggedCall)
_AFFINITIES: Mapping[Any, str] = {int: "INTEGER", bool: "INTEGER", float: "REAL", bytes: "BLOB"}

_COLUMNS = """
p.kind, p.code, p.upcoming, p.order_type, p.cod_value, p.last_scan, (
    SELECT count(*) FROM labels l WHERE l.reference_number = {table}.reference_number
) AS labels
"""
# Parcels without an order were registered, or are on their way back.
_ORDER_LIST = f"""
SELECT o.id AS rank, o.reference_number, o.state, o.attempts, o.waybill, o.courier_partner,
    {_COLUMNS.format(table="o")}
FROM orders o LEFT JOIN parcels p USING (waybill, courier_partner)
WHERE instr(lower(o.reference_number || ' ' || coalesce(o.waybill, '')), :search)
UNION ALL
SELECT p.id, p.reference_number, 'tracked', 0, p.waybill, p.courier_partner,
    {_COLUMNS.format(table="p")}
FROM parcels p LEFT JOIN orders o USING (waybill, courier_partner)
WHERE (p.ordered = 0 OR p.kind = 'RVP') AND o.id IS NULL
AND instr(lower(p.reference_number || ' ' || p.waybill), :search)
ORDER BY rank DESC LIMIT :limit
"""  # noqa: S608 - constants only
_BUY_LABEL = """
INSERT INTO labels (reference_number, waybill, bought_at, nth)
SELECT ?, ?, ?, count(*) + 1 FROM labels WHERE reference_number = ?
"""
_TOTALS = """
SELECT (SELECT count(*) FROM orders WHERE state = 'placed') AS placed,
    (SELECT count(*) FROM orders WHERE state = 'queued') AS queued,
    (SELECT count(*) FROM labels) AS labels,
    (SELECT count(*) FROM labels WHERE nth = 2) AS twice
"""
_LATEST_ATTEMPT = "SELECT coalesce(max(attempt), 0) FROM calls WHERE operation = ? AND about = ?"
_DROP_BODIES = f"""
CREATE TRIGGER IF NOT EXISTS drop_bodies AFTER INSERT ON calls BEGIN
    UPDATE calls SET query = '{{}}', body = x'', response = x'' WHERE id = new.id - {KEPT};
END;
"""  # noqa: S608 - a constant


def _table(record: type[Row]) -> str:
    """Return the statements that create a table with its indexes."""
    table, columns = record.table, [_column(column) for column in attrs.fields(record)]
    unique = [f"UNIQUE ({record.unique})"] if record.unique else []
    indexes = (
        f"CREATE INDEX IF NOT EXISTS {table}_{number} ON {table} {index};"
        for number, index in enumerate(filter(None, record.indexes.split(";")), 1)
    )
    create = f"CREATE TABLE IF NOT EXISTS {table} ({', '.join(columns + unique)});"
    return "\n".join((create, *indexes))


def _column(column: "attrs.Attribute[Any]") -> str:
    if column.name == "id":
        return "id INTEGER PRIMARY KEY"
    kinds = column.type.__args__ if isinstance(column.type, UnionType) else (column.type,)
    needed = "" if NoneType in kinds else " NOT NULL"
    default = "" if column.default in (attrs.NOTHING, None) else f" DEFAULT {int(column.default)}"
    return f"{column.name} {_AFFINITIES.get(kinds[0], 'TEXT')}{needed}{default}"


_TABLES = "\n".join((*map(_table, _RECORDS), _DROP_BODIES))
# A file whose tables were declared in another way has another number.
_VERSION = crc32(_TABLES.encode()) >> 1
_SCHEMA = f"""
PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA user_version = {_VERSION};
{_TABLES}
"""


class SandboxStore:
    """The sandbox's data; with a path they outlive the process, and another one can read them.

    One connection and one lock serve the threads of the server and of the test. A file with the
    tables of another version of the sandbox raises ValueError, and is left alone.
    """

    def __init__(self, path: str | PathLike[str] | None = None) -> None:
        self._db = sqlite3.connect(
            ":memory:" if path is None else fspath(path),
            isolation_level=None,
            check_same_thread=False,
        )
        self._lock = threading.RLock()
        self._closing = weakref.finalize(self, self._db.close)
        self._db.row_factory = sqlite3.Row
        [(version,)] = self.rows("PRAGMA user_version")
        if version != _VERSION and self.rows("SELECT name FROM sqlite_master"):
            self.close()
            problem = "its tables are those of another version or program"
            raise ValueError(f"{path}: {problem}; delete it, or choose another file")
        self._db.executescript(_SCHEMA)

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

    # --- any record -----------------------------------------------------------------------------

    def all(self, record: type[R], **columns: object) -> Sequence[R]:
        """Return the records whose columns have these values, the oldest first."""
        return self._select(record, _where(columns) + " ORDER BY id", *columns.values())

    def one(self, record: type[R], **columns: object) -> R | None:
        """Return the newest record whose columns have these values."""
        return next(iter(self._latest(record, _where(columns), *columns.values(), 1)), None)

    def get(self, record: type[R], **columns: object) -> R:
        """Return the newest record whose columns have these values; raises LookupError."""
        found = self.one(record, **columns)
        if found is None:
            key = ", ".join(f"{name} {value}" for name, value in columns.items())
            raise LookupError(f"the sandbox has no {record.__name__.lower()} with {key}")
        return found

    def insert(self, record: type[R], **columns: object) -> R:
        """Add a record, and return it."""
        return record(id=self.run(_insert(record, columns), *_sql(columns)), **columns)

    def update(self, row: R, **columns: Any) -> R:
        """Set some columns of a record, and return it."""
        names = ", ".join(f"{name} = ?" for name in columns)
        statement = f"UPDATE {row.table} SET {names} WHERE id = ?"  # noqa: S608 - names of columns
        self.run(statement, *_sql(columns), row.id)
        return attrs.evolve(row, **columns)

    def _select(self, record: type[R], condition: str, *values: object) -> Sequence[R]:
        rows = self.rows(f"SELECT * FROM {record.table} {condition}", *values)  # noqa: S608 - constants
        return [record(**row) for row in rows]

    def _latest(self, record: type[R], condition: str, *values: object) -> Sequence[R]:
        """Return the newest records that meet a condition; the last value is how many at most."""
        return self._select(record, f"{condition} ORDER BY id DESC LIMIT ?", *values)

    # --- orders and labels ----------------------------------------------------------------------

    def orders(self) -> Mapping[str, Order]:
        """Return every order that is queued or placed, by reference number."""
        orders = self._select(Order, "WHERE state IN ('queued', 'placed') ORDER BY id")
        return {order.reference_number: order for order in orders}

    def attempt_order(self, reference_number: str, **columns: object) -> Order:
        """Record an attempt to place an order, and return the order."""
        columns |= {"reference_number": reference_number, "state": State.PLACING}
        changes = ", ".join(f"{name} = excluded.{name}" for name in columns)
        again = f"(reference_number) DO UPDATE SET attempts = attempts + 1, {changes}"
        insert = f"{_insert(Order, columns)} ON CONFLICT {again} RETURNING *"
        [row] = self.rows(insert, *_sql(columns))
        return Order(**row)

    def buy_label(self, reference_number: str, waybill: str) -> None:
        """Add one bought label to the ledger."""
        self.run(_BUY_LABEL, reference_number, waybill, time.time(), reference_number)

    def bought(self, reference_number: str) -> tuple[str, ...]:
        """Return the waybills of all labels bought for one reference number, in that order."""
        labels = self.all(BoughtLabel, reference_number=reference_number)
        return tuple(label.waybill for label in labels)

    def ledger(self) -> Mapping[str, tuple[str, ...]]:
        """Return the waybills of all labels bought, by reference: more than one is a duplicate."""
        ledger: dict[str, tuple[str, ...]] = {}
        for label in self.all(BoughtLabel):
            reference = label.reference_number
            ledger[reference] = (*ledger.get(reference, ()), label.waybill)
        return ledger

    def totals(self) -> Mapping[str, int]:
        """Return how many orders are placed and queued, labels bought, and orders with two."""
        return dict(self.rows(_TOTALS)[0])

    def order_list(self, limit: int, search: str = "") -> Sequence[OrderListRow]:
        """Return the newest orders whose reference number or waybill contains a text."""
        rows = self.rows(_ORDER_LIST, search=search.lower(), limit=limit)
        return [OrderListRow(**row) for row in rows]

    def purchases(self, limit: int, search: str = "") -> Sequence[BoughtLabel]:
        """Return the labels bought last whose reference number or waybill contains a text."""
        condition = "WHERE instr(lower(reference_number || ' ' || waybill), ?)"
        return self._latest(BoughtLabel, condition, search.lower(), limit)

    # --- parcels and notes ----------------------------------------------------------------------

    def due_parcel(self, before: float) -> Parcel | None:
        """Return the parcel on its route that was scanned first, if that was before a moment."""
        condition = "WHERE upcoming IS NOT NULL AND scanned_at <= ? ORDER BY scanned_at, id LIMIT 1"
        return next(iter(self._select(Parcel, condition, before)), None)

    def parcels_scanned(
        self, start: float, end: float, *, after: tuple[float, int] = (0.0, 0), limit: int = -1
    ) -> Sequence[Parcel]:
        """Return the parcels whose newest scan is within a window, the oldest scan first.

        `after` is the moment and the number of the scan that they follow.
        """
        condition = (
            "WHERE scanned_at BETWEEN ? AND ? AND (scanned_at, last_scan) > (?, ?)"
            " ORDER BY scanned_at, last_scan LIMIT ?"
        )
        return self._select(Parcel, condition, max(start, after[0]), end, *after, limit)

    def parcels_created(self, start: float, end: float) -> Sequence[Parcel]:
        """Return the parcels that became known from `start` until before `end`."""
        condition = "WHERE created_at >= ? AND created_at < ? ORDER BY id"
        return self._select(Parcel, condition, start, end)

    def notes(self, kind: str, start: float, end: float) -> Sequence[Note]:
        """Return the notes of a window, both ends included, the oldest first."""
        condition = "WHERE kind = ? AND moment BETWEEN ? AND ? ORDER BY moment, id"
        return self._select(Note, condition, kind, start, end)

    def returns(self, limit: int, search: str = "") -> Sequence[Note]:
        """Return the returns requested last whose number or forward waybill contains a text."""
        text = "about || ' ' || json_extract(content, '$.forward_waybill')"
        condition = f"WHERE kind = 'return' AND instr(lower({text}), ?)"
        return self._latest(Note, condition, search.lower(), limit)

    # --- calls ----------------------------------------------------------------------------------

    def log_call(self, **columns: object) -> None:
        """Log a call, with the number of calls of that operation about the same thing."""
        bodies = {name: _bounded(columns[name]) for name in ("body", "response")}
        about = (columns["operation"], columns["about"])
        [(latest,)] = self.rows(_LATEST_ATTEMPT, *about) if columns["about"] else [(0,)]
        columns |= {**bodies, "attempt": latest + 1}
        self.run(_insert(LoggedCall, columns), *_sql(columns))

    def latest_calls(self, limit: int, search: str = "") -> Sequence[LoggedCall]:
        """Return the latest calls that contain a text, the newest first."""
        condition = (
            "WHERE id > ? AND instr(lower(operation || ' ' || about || ' ' || http_status || ' '"
            " || coalesce(fault, '')), ?)"
        )
        first = self.call_counts()[0] - KEPT
        return self._latest(LoggedCall, condition, first, search.lower(), limit)

    def call_counts(self) -> tuple[int, int]:
        """Return the number of calls, and of those with an injected fault."""
        [row] = self.rows(
            "SELECT (SELECT coalesce(max(id), 0) FROM calls) AS total,"
            " (SELECT count(*) FROM calls WHERE fault IS NOT NULL) AS faults"
        )
        return row["total"], row["faults"]

    def pulse(self, seconds: int = 60) -> Sequence[tuple[int, int]]:
        """Return, for each of the last seconds, the number of calls and of injected faults."""
        now = int(time.monotonic())
        rows = self.rows(
            "SELECT CAST(moment AS INTEGER) AS second, count(*) AS calls, count(fault) AS faults"
            " FROM calls WHERE moment >= ? AND moment < ? GROUP BY second",
            now - seconds + 1,
            now + 1,
        )
        counts = {row["second"]: (row["calls"], row["faults"]) for row in rows}
        return [counts.get(second, (0, 0)) for second in range(now - seconds + 1, now + 1)]


def fingerprint(body: bytes) -> str:
    """Return a short hash of a payload, byte for byte; nothing for nothing."""
    return sha256(body).hexdigest()[:16] if body else ""


def _insert(record: type[Row], columns: Collection[str]) -> str:
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    return f"INSERT INTO {record.table} ({names}) VALUES ({marks})"  # noqa: S608 - names of columns


def _where(columns: Mapping[str, object]) -> str:
    return "WHERE " + " AND ".join(f"{name} = ?" for name in columns) if columns else ""


def _sql(columns: Mapping[str, Any]) -> list[Any]:
    return [json.dumps(it) if isinstance(it, dict) else it for it in columns.values()]


def _bounded(body: object) -> object:
    return body if isinstance(body, bytes) and len(body) <= _MAX_BODY_SIZE else b""
