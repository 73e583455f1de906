"""Queries of the page and the control API: the newest orders, labels and returns, and totals."""

from collections.abc import Sequence
from typing import Any

from attrs import field, frozen

from clickpost_async.sandbox.api.returns import Returns
from clickpost_async.sandbox.store.notes import Note
from clickpost_async.sandbox.store.orders import Order, OrderStore, State
from clickpost_async.sandbox.store.parcels import Parcel, ParcelStore, Scan
from clickpost_async.sandbox.world import couriers, tracking_codes
from clickpost_async.sandbox.world.tracking_codes import BUCKETS, ShipmentKind

_COLUMNS = """
p.kind, p.code, p.upcoming, p.order_type, p.cod_value, p.last_scan, (
    SELECT count(*) FROM labels l WHERE l.reference_number = {table}.reference_number
) AS labels
"""
# Parcels that have no order were registered, or are on their way back.
_ORDERS = f"""
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
_LEDGER = """
SELECT l.id, l.reference_number, l.waybill, l.bought_at, (
    SELECT count(*) FROM labels m
    WHERE m.reference_number = l.reference_number AND m.id <= l.id
) AS nth
FROM labels l WHERE instr(lower(l.reference_number || ' ' || l.waybill), :search)
ORDER BY l.id DESC LIMIT :limit
"""
_TOTALS = """
SELECT (SELECT count(*) FROM orders WHERE state = :placed) AS placed,
    (SELECT count(*) FROM orders WHERE state = :queued) AS queued,
    (SELECT count(*) FROM labels) AS labels,
    (SELECT count(*) FROM (
        SELECT 1 FROM labels GROUP BY reference_number HAVING count(*) > 1
    )) AS twice
"""


@frozen(kw_only=True)
class Totals:
    """How many orders are placed and queued, labels bought, and orders that have two."""

    placed: int
    queued: int
    labels: int
    twice: int


@frozen(kw_only=True)
class OrderListRow:
    """One order and where its parcel is, or a parcel without one; `labels` were bought for it."""

    rank: int
    reference_number: str
    state: str
    attempts: int
    waybill: str | None
    courier_partner: int
    kind: str | None
    code: int | None
    upcoming: int | None
    order_type: str | None
    cod_value: float | None
    last_scan: int | None
    labels: int

    @property
    def key(self) -> str:
        """What it is opened by."""
        if self.state == "tracked":
            return f"parcel/{self.waybill}"
        return f"order/{self.reference_number}"

    @property
    def status(self) -> str:
        """Where the parcel is, or how far the order."""
        return self.state if self.code is None else tracking_codes.station(self.code).description

    @property
    def bucket(self) -> int:
        """The group of statuses, 0 without a parcel."""
        return 0 if self.code is None else tracking_codes.station(self.code).bucket

    @property
    def courier(self) -> str:
        """Who brings it."""
        return couriers.name_of(self.courier_partner)

    @property
    def has_label(self) -> bool:
        """Whether there is a file to print."""
        return self.state == State.PLACED and self.kind != ShipmentKind.RVP


@frozen(kw_only=True)
class LabelPurchase:
    """One label bought, the `nth` for its order."""

    id: int
    reference_number: str
    waybill: str
    bought_at: float
    nth: int


@frozen(kw_only=True)
class Journey:
    """Where a parcel was, the oldest scan first, and the stations that come if nothing happens."""

    parcel: Parcel
    scans: Sequence[Scan]
    ahead: Sequence[str]
    may_fail: bool
    may_return: bool

    @property
    def bucket(self) -> str:
        """In which group of statuses it is."""
        return BUCKETS[tracking_codes.station(self.parcel.code).bucket]


@frozen(kw_only=True)
class SandboxQueries:
    """Read-only queries; every list has a limit."""

    book: OrderStore = field(repr=False)
    parcels: ParcelStore
    returns: Returns

    def totals(self) -> Totals:
        """Count."""
        (row,) = self._rows(_TOTALS, placed=State.PLACED, queued=State.QUEUED)
        return Totals(**row)

    def orders(self, limit: int, search: str = "") -> Sequence[OrderListRow]:
        """Return the newest orders whose reference or waybill has that text."""
        return [
            OrderListRow(**row) for row in self._rows(_ORDERS, search=search.lower(), limit=limit)
        ]

    def ledger(self, limit: int, search: str = "") -> Sequence[LabelPurchase]:
        """Return the labels bought last."""
        return [
            LabelPurchase(**row) for row in self._rows(_LEDGER, search=search.lower(), limit=limit)
        ]

    def return_requests(self, limit: int, search: str = "") -> Sequence[Note]:
        """Return the returns that were requested last."""
        wanted = search.lower()
        found = [
            note
            for note in reversed(self.returns.everything())
            if wanted in f"{note.about} {note.said['forward_waybill']}".lower()
        ]
        return found[:limit]

    def journey(self, waybill: str, courier_partner: int | None = None) -> Journey:
        """Return where a parcel was and will be; raises LookupError."""
        found = (
            None if courier_partner is None else self.parcels.find(waybill, courier_partner)
        ) or self.parcels.named(waybill)
        way = tracking_codes.to_the_door(found.kind, found.code, found.upcoming)
        return Journey(
            parcel=found,
            scans=tuple(reversed(self.parcels.scans(found))),
            ahead=tuple(tracking_codes.station(code).description for code in _ahead(found)),
            may_fail=way is not None,
            may_return=found.kind is ShipmentKind.FORWARD
            and found.code == tracking_codes.DELIVERED,
        )

    def order(self, reference_number: str) -> Order | None:
        """Return an order, also a rejected one."""
        return self.book.find(reference_number)

    def purchases(self, reference_number: str) -> Sequence[str]:
        """Return the waybills of the labels bought for an order."""
        return self.book.bought(reference_number)

    def _rows(self, statement: str, **values: object) -> list[dict[str, Any]]:
        return self.book.store.rows(statement, **values)


def _ahead(parcel: Parcel) -> Sequence[int]:
    way: list[int] = []
    upcoming = parcel.upcoming
    while upcoming is not None and upcoming not in way:
        way.append(upcoming)
        upcoming = tracking_codes.after(parcel.kind, upcoming, None)
    return way
