"""The sandbox's orders, the labels bought for them, and every call received, in SQLite."""

import enum
import json
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from hashlib import sha256
from os import PathLike

from attrs import field, frozen

from clickpost_async.sandbox.operation import JSON
from clickpost_async.sandbox.store.database import Database


class State(enum.StrEnum):
    """The state of an order; of a rejected one only the attempt is stored."""

    REFUSED = "refused"
    QUEUED = "queued"
    PLACED = "placed"


@frozen(kw_only=True)
class Order:
    """One order, as the sandbox has it."""

    id: int
    reference_number: str
    version: str
    state: State = field(converter=State)
    body: bytes
    courier_partner: int
    account_code: str
    attempts: int
    polls: int
    waybill: str | None
    label: str | None

    @property
    def payload(self) -> JSON:
        """What the merchant sent."""
        payload = json.loads(self.body)
        return payload if isinstance(payload, dict) else {}

    @property
    def payload_hash(self) -> str:
        """A fingerprint of what the merchant sent, byte for byte."""
        return fingerprint(self.body)


@frozen(kw_only=True)
class ReceivedCreate:
    """One call received; `status` is the response's `meta.status`, `moment` is monotonic seconds.

    `status` is that of the call as it was carried out, None if it was not; `http_status` is that of
    the response, 0 if a fault dropped it.
    """

    operation: str
    reference_number: str
    payload_hash: str
    status: int | None
    http_status: int
    fault: str | None
    moment: float


_TABLES = """
CREATE TABLE IF NOT EXISTS orders (
    id INTEGER PRIMARY KEY,
    reference_number TEXT NOT NULL UNIQUE,
    version TEXT NOT NULL,
    state TEXT NOT NULL,
    body BLOB NOT NULL,
    courier_partner INTEGER NOT NULL,
    account_code TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    polls INTEGER NOT NULL DEFAULT 0,
    waybill TEXT,
    label TEXT
);
CREATE INDEX IF NOT EXISTS orders_by_waybill ON orders (waybill, courier_partner);
CREATE INDEX IF NOT EXISTS orders_by_state ON orders (state);
CREATE TABLE IF NOT EXISTS labels (
    id INTEGER PRIMARY KEY,
    reference_number TEXT NOT NULL,
    waybill TEXT NOT NULL,
    bought_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS labels_by_reference ON labels (reference_number);
CREATE TABLE IF NOT EXISTS arrivals (
    operation TEXT NOT NULL,
    reference_number TEXT NOT NULL,
    payload_hash TEXT NOT NULL,
    status INTEGER,
    http_status INTEGER NOT NULL,
    fault TEXT,
    moment REAL NOT NULL
);
"""


class OrderStore:
    """The sandbox's data; with a path they outlive the process, and another one can read them."""

    def __init__(self, path: str | PathLike[str] | None = None) -> None:
        self.store: Database = Database(path, _TABLES)

    def close(self) -> None:
        """Close the file; without this it is closed when the book is collected."""
        self.store.close()

    def find(self, reference_number: str) -> Order | None:
        """Return the order with that reference."""
        return self._order("SELECT * FROM orders WHERE reference_number = ?", reference_number)

    def find_waybill(self, waybill: str, courier_partner: int) -> Order | None:
        """Return the order with that waybill at that courier."""
        return self._order(
            "SELECT * FROM orders WHERE waybill = ? AND courier_partner = ?",
            waybill,
            courier_partner,
        )

    def attempt(
        self,
        reference_number: str,
        *,
        version: str,
        body: bytes,
        courier_partner: int,
        account_code: str,
    ) -> Order:
        """Record that an order is attempted, and return it; it is not placed by this."""
        self.store.run(
            "INSERT INTO orders"
            " (reference_number, version, state, body, courier_partner, account_code, attempts)"
            " VALUES (?, ?, ?, ?, ?, ?, 1) ON CONFLICT (reference_number) DO UPDATE SET"
            " version = excluded.version, body = excluded.body, attempts = attempts + 1,"
            " courier_partner = excluded.courier_partner, account_code = excluded.account_code",
            reference_number,
            version,
            State.REFUSED,
            body,
            courier_partner,
            account_code,
        )
        return self.known(reference_number)

    def known(self, reference_number: str) -> Order:
        """Return the order with that reference, which is there."""
        order = self.find(reference_number)
        if order is None:
            raise LookupError("no such order in the sandbox")
        return order

    def queue(self, order: Order) -> None:
        """Queue an order."""
        self.store.run(
            "UPDATE orders SET state = ?, polls = 0 WHERE id = ?", State.QUEUED, order.id
        )

    def poll(self, order: Order) -> None:
        """Count a poll of a queued order."""
        self.store.run("UPDATE orders SET polls = polls + 1 WHERE id = ?", order.id)

    def ask_again(self, order: Order) -> None:
        """Count one more attempt at the courier."""
        self.store.run("UPDATE orders SET attempts = attempts + 1 WHERE id = ?", order.id)

    def give_up(self, order: Order) -> None:
        """Remove an order from the queue."""
        self.store.run("UPDATE orders SET state = ? WHERE id = ?", State.REFUSED, order.id)

    def buy(self, reference_number: str, waybill: str) -> None:
        """Enter one label bought into the ledger."""
        self.store.run(
            "INSERT INTO labels (reference_number, waybill, bought_at) VALUES (?, ?, ?)",
            reference_number,
            waybill,
            time.time(),
        )

    def place(self, order: Order, *, waybill: str, label: str | None) -> Order:
        """Record the courier's booking."""
        self.store.run(
            "UPDATE orders SET state = ?, waybill = ?, label = ? WHERE id = ?",
            State.PLACED,
            waybill,
            label,
            order.id,
        )
        return self.known(order.reference_number)

    def bought(self, reference_number: str) -> tuple[str, ...]:
        """Return the waybills of all labels bought for one reference, the first one first."""
        rows = self.store.rows(
            "SELECT waybill FROM labels WHERE reference_number = ? ORDER BY id", reference_number
        )
        return tuple(row["waybill"] for row in rows)

    def ledger(self) -> Mapping[str, tuple[str, ...]]:
        """Return the waybills of all labels bought, by reference: more than one is a duplicate."""
        ledger: dict[str, tuple[str, ...]] = {}
        for row in self.store.rows("SELECT reference_number, waybill FROM labels ORDER BY id"):
            reference = row["reference_number"]
            ledger[reference] = (*ledger.get(reference, ()), row["waybill"])
        return ledger

    def orders(self) -> Mapping[str, Order]:
        """Return every order that is queued or placed, by reference."""
        rows = self.store.rows("SELECT * FROM orders WHERE state != ? ORDER BY id", State.REFUSED)
        return {row["reference_number"]: Order(**row) for row in rows}

    def note(self, arrival: ReceivedCreate) -> None:
        """Log a call."""
        self.store.run(
            "INSERT INTO arrivals VALUES (?, ?, ?, ?, ?, ?, ?)",
            arrival.operation,
            arrival.reference_number,
            arrival.payload_hash,
            arrival.status,
            arrival.http_status,
            arrival.fault,
            arrival.moment,
        )

    def arrivals(self) -> tuple[ReceivedCreate, ...]:
        """Return every call received, in the order of the responses."""
        return tuple(
            ReceivedCreate(**row)
            for row in self.store.rows("SELECT * FROM arrivals ORDER BY rowid")
        )

    def together(self) -> AbstractContextManager[None]:
        """Make a transaction of what is written inside: all of it survives a crash, or none."""
        return self.store.together()

    def _order(self, statement: str, *values: object) -> Order | None:
        rows = self.store.rows(statement, *values)
        return Order(**rows[0]) if rows else None


def fingerprint(body: bytes) -> str:
    """Return a short hash of a payload, byte for byte; nothing for nothing."""
    return sha256(body).hexdigest()[:16] if body else ""
