"""The sandbox's data in SQLite: orders, labels, parcels, scans, notes and calls."""

import json
import time
from collections.abc import Mapping, Sequence
from hashlib import sha256
from importlib import resources
from os import PathLike
from typing import TypeVar

from clickpost_async.sandbox.operation import JSON
from clickpost_async.sandbox.store.database import Database
from clickpost_async.sandbox.store.records import (
    LabelPurchase,
    LoggedCall,
    Note,
    Order,
    OrderListRow,
    Parcel,
    Scan,
    State,
    Totals,
)
from clickpost_async.sandbox.world.tracking_codes import OUT_FOR_DELIVERY

R = TypeVar("R")

# The number of calls whose bodies are kept, and the size of the largest body, in bytes.
KEPT = 500
_LARGEST_BODY = 64 * 1024
# Above those of orders, and as live: they do not fit into 32 bits.
_FIRST_TRACKING_ID = 7_100_000_000

_COLUMNS = """
p.kind, p.code, p.upcoming, p.order_type, p.cod_value, p.last_scan, (
    SELECT count(*) FROM labels l WHERE l.reference_number = {table}.reference_number
) AS labels
"""
# Parcels without an order were registered, or are on their way back.
_ORDER_LIST = f"""
SELECT * FROM (
    SELECT o.id AS rank, o.reference_number, o.state, o.attempts, o.waybill, o.courier_partner,
        {_COLUMNS.format(table="o")}
    FROM orders o
    LEFT JOIN parcels p ON p.waybill = o.waybill AND p.courier_partner = o.courier_partner
    WHERE instr(lower(o.reference_number || ' ' || coalesce(o.waybill, '')), :search)
    ORDER BY o.id DESC LIMIT :limit
) UNION ALL SELECT * FROM (
    SELECT p.id, p.reference_number, 'tracked', 0, p.waybill, p.courier_partner,
        {_COLUMNS.format(table="p")}
    FROM parcels p
    WHERE (p.ordered = 0 OR p.kind = 'RVP')
    AND instr(lower(p.reference_number || ' ' || p.waybill), :search)
    AND NOT EXISTS (
        SELECT 1 FROM orders o
        WHERE o.waybill = p.waybill AND o.courier_partner = p.courier_partner
    )
    ORDER BY p.id DESC LIMIT :limit
) ORDER BY rank DESC LIMIT :limit
"""  # noqa: S608 - constants only
_PURCHASES = """
SELECT l.id, l.reference_number, l.waybill, l.bought_at, (
    SELECT count(*) FROM labels m
    WHERE m.reference_number = l.reference_number AND m.id <= l.id
) AS nth
FROM labels l WHERE instr(lower(l.reference_number || ' ' || l.waybill), :search)
ORDER BY l.id DESC LIMIT :limit
"""
_TOTALS = """
SELECT (SELECT count(*) FROM orders WHERE state = 'placed') AS placed,
    (SELECT count(*) FROM orders WHERE state = 'queued') AS queued,
    (SELECT count(*) FROM labels) AS labels,
    (SELECT count(*) FROM (
        SELECT 1 FROM labels GROUP BY reference_number HAVING count(*) > 1
    )) AS twice
"""
_LATEST_CALLS = """
SELECT * FROM calls WHERE id > (SELECT coalesce(max(id), 0) FROM calls) - :kept
AND instr(lower(operation || ' ' || about || ' ' || http_status || ' ' || coalesce(fault, '')),
    :search)
ORDER BY id DESC LIMIT :limit
"""


class SandboxStore(Database):
    """The sandbox's data; with a path they outlive the process, and another one can read them."""

    def __init__(self, path: str | PathLike[str] | None = None) -> None:
        schema = resources.files("clickpost_async.sandbox.store") / "schema.sql"
        super().__init__(path, schema.read_text("utf-8"))

    # --- orders and labels ----------------------------------------------------------------------

    def order(self, reference_number: str) -> Order | None:
        """Return the order with that reference number, also a rejected one."""
        return self._one(Order, "SELECT * FROM orders WHERE reference_number = ?", reference_number)

    def order_by_waybill(self, waybill: str, courier_partner: int) -> Order | None:
        """Return the order with that waybill at that courier."""
        statement = "SELECT * FROM orders WHERE waybill = ? AND courier_partner = ?"
        return self._one(Order, statement, waybill, courier_partner)

    def known_order(self, reference_number: str) -> Order:
        """Return the order with that reference number; raises LookupError."""
        order = self.order(reference_number)
        if order is None:
            raise LookupError("no such order in the sandbox")
        return order

    def orders(self) -> Mapping[str, Order]:
        """Return every order that is queued or placed, by reference number."""
        orders = self._all(Order, "SELECT * FROM orders WHERE state != ? ORDER BY id", "refused")
        return {order.reference_number: order for order in orders}

    def attempt_order(self, reference_number: str, **columns: object) -> Order:
        """Record an attempt to place an order, and return the order."""
        with self.together():
            known = self.order(reference_number)
            if known is not None:
                return self.change_order(known, attempts=known.attempts + 1, **columns)
            columns |= {"state": State.REFUSED, "attempts": 1}
            self._insert("orders", reference_number=reference_number, **columns)
            return self.known_order(reference_number)

    def change_order(self, order: Order, **columns: object) -> Order:
        """Set some of an order's columns, and return the order."""
        self._update("orders", order.id, columns)
        return self.known_order(order.reference_number)

    def buy_label(self, reference_number: str, waybill: str) -> None:
        """Add one bought label to the ledger."""
        self._insert(
            "labels", reference_number=reference_number, waybill=waybill, bought_at=time.time()
        )

    def bought(self, reference_number: str) -> tuple[str, ...]:
        """Return the waybills of all labels bought for one reference number, in that order."""
        statement = "SELECT waybill FROM labels WHERE reference_number = ? ORDER BY id"
        return tuple(row["waybill"] for row in self.rows(statement, reference_number))

    def ledger(self) -> Mapping[str, tuple[str, ...]]:
        """Return the waybills of all labels bought, by reference: more than one is a duplicate."""
        ledger: dict[str, tuple[str, ...]] = {}
        for row in self.rows("SELECT reference_number, waybill FROM labels ORDER BY id"):
            reference = row["reference_number"]
            ledger[reference] = (*ledger.get(reference, ()), row["waybill"])
        return ledger

    def totals(self) -> Totals:
        """Return the number of orders, labels and duplicates."""
        (row,) = self.rows(_TOTALS)
        return Totals(**row)

    def order_list(self, limit: int, search: str = "") -> Sequence[OrderListRow]:
        """Return the newest orders whose reference number or waybill contains a text."""
        return self._all(OrderListRow, _ORDER_LIST, search=search.lower(), limit=limit)

    def purchases(self, limit: int, search: str = "") -> Sequence[LabelPurchase]:
        """Return the labels bought last whose reference number or waybill contains a text."""
        return self._all(LabelPurchase, _PURCHASES, search=search.lower(), limit=limit)

    # --- parcels and scans ----------------------------------------------------------------------

    def add_parcel(self, **columns: object) -> Parcel:
        """Add a parcel, without a scan."""
        columns["details"] = json.dumps(columns["details"])
        number = self._insert("parcels", **columns)
        if "tracking_id" not in columns:
            self._update("parcels", number, {"tracking_id": _FIRST_TRACKING_ID + number})
        return self.known_parcel(number)

    def known_parcel(self, number: int) -> Parcel:
        """Return the parcel with that id, which exists."""
        (row,) = self.rows("SELECT * FROM parcels WHERE id = ?", number)
        return Parcel(**row)

    def parcel(self, waybill: str, courier_partner: object) -> Parcel | None:
        """Return the parcel with that waybill at that courier."""
        statement = "SELECT * FROM parcels WHERE waybill = ? AND courier_partner = ?"
        return self._one(Parcel, statement, waybill, courier_partner)

    def parcel_by_reference(self, reference_number: str) -> Parcel | None:
        """Return the newest parcel of an order."""
        statement = "SELECT * FROM parcels WHERE reference_number = ? ORDER BY id DESC LIMIT 1"
        return self._one(Parcel, statement, reference_number)

    def parcel_by_waybill(self, waybill: str) -> Parcel | None:
        """Return the newest parcel with that waybill at any courier."""
        statement = "SELECT * FROM parcels WHERE waybill = ? ORDER BY id DESC LIMIT 1"
        return self._one(Parcel, statement, waybill)

    def parcels(self) -> Sequence[Parcel]:
        """Return all parcels, the oldest first."""
        return self._all(Parcel, "SELECT * FROM parcels ORDER BY id")

    def moving_parcels(self) -> Sequence[Parcel]:
        """Return the parcels that have not reached the end of their route, the oldest first."""
        return self._all(Parcel, "SELECT * FROM parcels WHERE upcoming IS NOT NULL ORDER BY id")

    def due_parcel(self, before: float) -> Parcel | None:
        """Return the parcel on its route that was scanned first, if that was before a moment."""
        statement = (
            "SELECT * FROM parcels WHERE upcoming IS NOT NULL AND scanned_at <= ?"
            " ORDER BY scanned_at, id LIMIT 1"
        )
        return self._one(Parcel, statement, before)

    def parcels_scanned(
        self, start: float, end: float, *, after: tuple[float, int] = (0.0, 0), limit: int = -1
    ) -> Sequence[Parcel]:
        """Return the parcels whose newest scan is within a window, the oldest scan first.

        `after` is the moment and the number of the scan that they follow.
        """
        statement = (
            "SELECT * FROM parcels WHERE scanned_at BETWEEN ? AND ?"
            " AND (scanned_at, last_scan) > (?, ?) ORDER BY scanned_at, last_scan LIMIT ?"
        )
        return self._all(Parcel, statement, max(start, after[0]), end, *after, limit)

    def parcels_created(self, start: float, end: float) -> Sequence[Parcel]:
        """Return the parcels that became known from `start` until before `end`."""
        statement = "SELECT * FROM parcels WHERE created_at >= ? AND created_at < ? ORDER BY id"
        return self._all(Parcel, statement, start, end)

    def change_parcel(self, parcel: Parcel, **columns: object) -> None:
        """Set some of a parcel's columns."""
        self._update("parcels", parcel.id, columns)

    def add_scan(self, parcel: Parcel, **columns: object) -> Scan:
        """Add a scan of a parcel."""
        number = self._insert("scans", parcel=parcel.id, **columns)
        return self._all(Scan, "SELECT * FROM scans WHERE id = ?", number)[0]

    def scans(self, parcel: Parcel) -> Sequence[Scan]:
        """Return the scans of a parcel, the newest first."""
        return self._all(Scan, "SELECT * FROM scans WHERE parcel = ? ORDER BY id DESC", parcel.id)

    def was_out(self, parcel: Parcel) -> bool:
        """Return whether a parcel has been out for delivery."""
        return any(scan.code == OUT_FOR_DELIVERY for scan in self.scans(parcel))

    # --- notes ----------------------------------------------------------------------------------

    def add_note(self, kind: str, about: str, moment: float, content: JSON) -> Note:
        """Add a note; its id is unique among all kinds."""
        text = json.dumps(content)
        number = self._insert("notes", kind=kind, about=about, moment=moment, content=text)
        return Note(id=number, kind=kind, about=about, moment=moment, content=text)

    def notes(self, kind: str, start: float, end: float) -> Sequence[Note]:
        """Return the notes of a window, both ends included, the oldest first."""
        statement = (
            "SELECT * FROM notes WHERE kind = ? AND moment BETWEEN ? AND ? ORDER BY moment, id"
        )
        return self._all(Note, statement, kind, start, end)

    def notes_about(self, kind: str, about: str) -> Sequence[Note]:
        """Return the notes about a waybill or number, the oldest first."""
        statement = "SELECT * FROM notes WHERE kind = ? AND about = ? ORDER BY moment, id"
        return self._all(Note, statement, kind, about)

    def note(self, kind: str, number: int) -> Note | None:
        """Return the note with that id, if it is of that kind."""
        return self._one(Note, "SELECT * FROM notes WHERE kind = ? AND id = ?", kind, number)

    def change_note(self, note: Note, **content: object) -> None:
        """Set some values of a note's content."""
        self._update("notes", note.id, {"content": json.dumps({**note.content, **content})})

    # --- calls ----------------------------------------------------------------------------------

    def log_call(self, operation: str, about: str, **columns: object) -> None:
        """Log a call, and drop the bodies of the oldest one that has them."""
        columns |= {
            "query": json.dumps(columns["query"]),
            "body": _bounded(columns["body"]),
            "response": _bounded(columns["response"]),
        }
        latest = "SELECT max(attempt) AS attempt FROM calls WHERE operation = ? AND about = ?"
        with self.together():
            [row] = self.rows(latest, operation, about)
            columns["attempt"] = 1 + (row["attempt"] or 0) if about else 1
            number = self._insert("calls", operation=operation, about=about, **columns)
            dropped = {"query": "{}", "body": b"", "response": b""}
            self._update("calls", number - KEPT, dropped)

    def calls(self) -> Sequence[LoggedCall]:
        """Return every call, in the order of the responses."""
        return self._all(LoggedCall, "SELECT * FROM calls ORDER BY id")

    def latest_calls(self, limit: int, search: str = "") -> Sequence[LoggedCall]:
        """Return the latest calls that contain a text, the newest first."""
        wanted = {"kept": KEPT, "search": search.lower(), "limit": limit}
        return self._all(LoggedCall, _LATEST_CALLS, **wanted)

    def call(self, number: int) -> LoggedCall | None:
        """Return a call by its id, if its bodies are still kept."""
        found = self._one(LoggedCall, "SELECT * FROM calls WHERE id = ?", number)
        return found if found and number > self.call_counts()[0] - KEPT else None

    def call_counts(self) -> tuple[int, int]:
        """Return the number of calls, and of those with an injected fault."""
        statement = (
            "SELECT (SELECT coalesce(max(id), 0) FROM calls) AS total,"
            " (SELECT count(*) FROM calls WHERE fault IS NOT NULL) AS faults"
        )
        (row,) = self.rows(statement)
        return row["total"], row["faults"]

    def pulse(self, seconds: int) -> Sequence[tuple[int, int]]:
        """Return, for each of the last seconds, the number of calls and of injected faults."""
        now = int(time.monotonic())
        statement = (
            "SELECT CAST(moment AS INTEGER) AS second, count(*) AS calls, count(fault) AS faults"
            " FROM calls WHERE moment >= ? AND moment < ? GROUP BY second"
        )
        rows = self.rows(statement, now - seconds + 1, now + 1)
        counts = {row["second"]: (row["calls"], row["faults"]) for row in rows}
        return [counts.get(second, (0, 0)) for second in range(now - seconds + 1, now + 1)]

    # --- rows -----------------------------------------------------------------------------------

    def _all(
        self, record: type[R], statement: str, *values: object, **named: object
    ) -> Sequence[R]:
        return [record(**row) for row in self.rows(statement, *values, **named)]

    def _one(self, record: type[R], statement: str, *values: object) -> R | None:
        found = self._all(record, statement, *values)
        return found[0] if found else None

    def _insert(self, table: str, /, **columns: object) -> int:
        names, marks = ", ".join(columns), ", ".join("?" * len(columns))
        statement = f"INSERT INTO {table} ({names}) VALUES ({marks})"  # noqa: S608 - names of columns
        return self.run(statement, *columns.values())

    def _update(self, table: str, number: int, columns: Mapping[str, object]) -> None:
        names = ", ".join(f"{name} = ?" for name in columns)
        statement = f"UPDATE {table} SET {names} WHERE id = ?"  # noqa: S608 - names of columns
        self.run(statement, *columns.values(), number)


def fingerprint(body: bytes) -> str:
    """Return a short hash of a payload, byte for byte; nothing for nothing."""
    return sha256(body).hexdigest()[:16] if body else ""


def _bounded(body: object) -> object:
    return body if isinstance(body, bytes) and len(body) <= _LARGEST_BODY else b""
