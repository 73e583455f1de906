"""The parcels that the sandbox tracks, from orders or registrations, and their scans."""

import json
from collections.abc import Callable, Sequence

from attrs import field, frozen

from clickpost_async.sandbox.operation import JSON
from clickpost_async.sandbox.store.database import Database
from clickpost_async.sandbox.world import tracking_codes
from clickpost_async.sandbox.world.clock import Clock
from clickpost_async.sandbox.world.tracking_codes import ShipmentKind, Station

# Apart from those of orders, and as live: they do not fit into 32 bits.
_FIRST_TRACKING_ID = 7_100_000_000

_TABLES = """
CREATE TABLE IF NOT EXISTS parcels (
    id INTEGER PRIMARY KEY,
    waybill TEXT NOT NULL,
    courier_partner INTEGER NOT NULL,
    account_code TEXT NOT NULL,
    reference_number TEXT NOT NULL,
    tracking_id INTEGER NOT NULL DEFAULT 0,
    security_key TEXT NOT NULL,
    kind TEXT NOT NULL,
    ordered INTEGER NOT NULL,
    order_type TEXT NOT NULL,
    cod_value REAL NOT NULL,
    details TEXT NOT NULL,
    created_at REAL NOT NULL,
    code INTEGER NOT NULL DEFAULT 0,
    upcoming INTEGER,
    scanned_at REAL NOT NULL DEFAULT 0,
    last_scan INTEGER NOT NULL DEFAULT 0,
    cancelling INTEGER NOT NULL DEFAULT 0,
    whatsapp INTEGER NOT NULL DEFAULT 1,
    UNIQUE (waybill, courier_partner)
);
CREATE INDEX IF NOT EXISTS parcels_by_last_scan ON parcels (scanned_at, last_scan);
CREATE INDEX IF NOT EXISTS parcels_by_reference ON parcels (reference_number);
CREATE INDEX IF NOT EXISTS parcels_by_next_scan ON parcels (scanned_at) WHERE upcoming IS NOT NULL;
CREATE TABLE IF NOT EXISTS scans (
    id INTEGER PRIMARY KEY,
    parcel INTEGER NOT NULL,
    code INTEGER NOT NULL,
    ndr_code INTEGER,
    remark TEXT NOT NULL,
    moment REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS scans_of_parcel ON scans (parcel);
"""


@frozen(kw_only=True)
class Parcel:
    """One parcel; `code` is where it is, `upcoming` what happens to it next, if anything does."""

    id: int
    waybill: str
    courier_partner: int
    account_code: str
    reference_number: str
    tracking_id: int
    security_key: str = field(repr=False)
    kind: ShipmentKind = field(converter=ShipmentKind)
    ordered: bool = field(converter=bool)
    order_type: str
    cod_value: float
    details: JSON = field(converter=json.loads, repr=False)
    created_at: float
    code: int
    upcoming: int | None
    scanned_at: float
    last_scan: int
    cancelling: bool = field(converter=bool)
    whatsapp: bool = field(converter=bool)

    def text(self, name: str) -> str:
        """Return one of the details as text."""
        value = self.details.get(name)
        return "" if value is None else str(value)


@frozen(kw_only=True)
class Scan:
    """One event of a parcel's journey; `moment` is in seconds since the epoch."""

    id: int
    parcel: int
    code: int
    ndr_code: int | None
    remark: str
    moment: float

    @property
    def station(self) -> Station:
        """What is known of its code."""
        return tracking_codes.station(self.code)


class ParcelStore:
    """All parcels and their scans; `on_scan` is called with every new one."""

    def __init__(
        self, store: Database, clock: Clock, on_scan: Callable[[Parcel, Scan], None]
    ) -> None:
        store.add_tables(_TABLES)
        self._store = store
        self._clock = clock
        self._on_scan = on_scan

    def open(self, *, first_scan: int, **columns: object) -> tuple[Parcel, bool]:
        """Begin to track a parcel; returns it, and whether it is new."""
        columns |= {"details": json.dumps(columns["details"]), "created_at": self._clock.now()}
        names, marks = ", ".join(columns), ", ".join("?" * len(columns))
        with self._store.together():
            known = self.find(str(columns["waybill"]), columns["courier_partner"])
            if known is not None:
                return known, False
            number = self._store.run(
                f"INSERT INTO parcels ({names}) VALUES ({marks})",  # noqa: S608 - names of columns
                *columns.values(),
            )
            if "tracking_id" not in columns:
                self._store.run(
                    "UPDATE parcels SET tracking_id = ? WHERE id = ?",
                    _FIRST_TRACKING_ID + number,
                    number,
                )
            self.scan(self.known(number), first_scan)
            return self.known(number), True

    def known(self, number: int) -> Parcel:
        """Return the parcel with that id, which is there."""
        (row,) = self._store.rows("SELECT * FROM parcels WHERE id = ?", number)
        return Parcel(**row)

    def find(self, waybill: str, courier_partner: object) -> Parcel | None:
        """Return the parcel with that waybill at that courier."""
        rows = self._store.rows(
            "SELECT * FROM parcels WHERE waybill = ? AND courier_partner = ?",
            waybill,
            courier_partner,
        )
        return Parcel(**rows[0]) if rows else None

    def referenced(self, reference_number: str) -> Parcel | None:
        """Return the newest parcel of an order."""
        rows = self._store.rows(
            "SELECT * FROM parcels WHERE reference_number = ? ORDER BY id DESC LIMIT 1",
            reference_number,
        )
        return Parcel(**rows[0]) if rows else None

    def named(self, waybill: str) -> Parcel:
        """Return the newest parcel with that waybill; raises LookupError."""
        rows = self._store.rows(
            "SELECT * FROM parcels WHERE waybill = ? ORDER BY id DESC LIMIT 1", waybill
        )
        if not rows:
            raise LookupError(f"the sandbox has no parcel with waybill {waybill}")
        return Parcel(**rows[0])

    def exists(self, waybill: str) -> bool:
        """Return whether any courier has a parcel with that waybill."""
        return bool(self._store.rows("SELECT 1 FROM parcels WHERE waybill = ?", waybill))

    def everything(self) -> Sequence[Parcel]:
        """Return all parcels, the oldest first."""
        return [Parcel(**row) for row in self._store.rows("SELECT * FROM parcels ORDER BY id")]

    def change(self, parcel: Parcel, **columns: object) -> None:
        """Set some of a parcel's columns."""
        names = ", ".join(f"{name} = ?" for name in columns)
        self._store.run(
            f"UPDATE parcels SET {names} WHERE id = ?",  # noqa: S608 - names of columns
            *columns.values(),
            parcel.id,
        )

    def scan(
        self,
        parcel: Parcel,
        code: int,
        *,
        ndr_code: int | None = None,
        remark: str | None = None,
        moment: float | None = None,
    ) -> Scan:
        """Record that a parcel was scanned, now or at a moment."""
        at = self._clock.now() if moment is None else moment
        text = tracking_codes.station(code).remark if remark is None else remark
        with self._store.together():
            number = self._store.run(
                "INSERT INTO scans (parcel, code, ndr_code, remark, moment) VALUES (?, ?, ?, ?, ?)",
                parcel.id,
                code,
                ndr_code,
                text,
                at,
            )
            upcoming = tracking_codes.after(parcel.kind, code, parcel.upcoming)
            self.change(parcel, code=code, upcoming=upcoming, scanned_at=at, last_scan=number)
        scan = Scan(
            id=number, parcel=parcel.id, code=code, ndr_code=ndr_code, remark=text, moment=at
        )
        self._on_scan(parcel, scan)
        return scan

    def advance(self, waybill: str, steps: int = 1) -> int:
        """Advance a parcel by so many stations, at most to the last; returns its tracking code."""
        if steps < 1:
            raise ValueError(f"a parcel advances by at least one step, not by {steps}")
        with self._store.together():
            for _ in range(steps):
                parcel = self.named(waybill)
                if parcel.upcoming is None:
                    break
                self.scan(parcel, parcel.upcoming)
        return self.named(waybill).code

    def advance_all(self) -> int:
        """Advance every parcel by one station; returns how many moved."""
        with self._store.together():
            rows = self._store.rows("SELECT * FROM parcels WHERE upcoming IS NOT NULL ORDER BY id")
            for parcel in (Parcel(**row) for row in rows):
                if parcel.upcoming is not None:
                    self.scan(parcel, parcel.upcoming)
        return len(rows)

    def fail(self, waybill: str, ndr_code: int) -> int:
        """Fail the delivery of a parcel."""
        with self._store.together():
            parcel = self.named(waybill)
            way = tracking_codes.to_the_door(parcel.kind, parcel.code, parcel.upcoming)
            if way is None:
                raise ValueError(f"parcel {waybill} is not going to be delivered to a customer")
            for code in way:
                self.scan(parcel, code)
            remark = tracking_codes.NDR.get(ndr_code, tracking_codes.NDR[0])
            self.scan(parcel, tracking_codes.FAILED, ndr_code=ndr_code, remark=remark)
        return tracking_codes.FAILED

    def scans(self, parcel: Parcel) -> Sequence[Scan]:
        """Return the scans of a parcel, the newest first."""
        rows = self._store.rows("SELECT * FROM scans WHERE parcel = ? ORDER BY id DESC", parcel.id)
        return [Scan(**row) for row in rows]

    def scanned(
        self, start: float, end: float, *, after: tuple[float, int] = (0.0, 0), limit: int = -1
    ) -> Sequence[Parcel]:
        """Return the parcels whose newest scan is within a window, the oldest scan first.

        `after` is the moment and the number of the scan that they follow.
        """
        rows = self._store.rows(
            "SELECT * FROM parcels WHERE scanned_at BETWEEN ? AND ?"
            " AND (scanned_at, last_scan) > (?, ?) ORDER BY scanned_at, last_scan LIMIT ?",
            max(start, after[0]),
            end,
            *after,
            limit,
        )
        return [Parcel(**row) for row in rows]

    def opened(self, start: float, end: float) -> Sequence[Parcel]:
        """Return the parcels that became known from `start` until before `end`."""
        rows = self._store.rows(
            "SELECT * FROM parcels WHERE created_at >= ? AND created_at < ? ORDER BY id", start, end
        )
        return [Parcel(**row) for row in rows]

    def was_out(self, parcel: Parcel) -> bool:
        """Return whether a parcel has been out for delivery."""
        return any(scan.code == tracking_codes.OUT_FOR_DELIVERY for scan in self.scans(parcel))

    def catch_up(self, every: float) -> None:
        """Make the scans that are due, when parcels are scanned every so many seconds."""
        due = (
            "SELECT * FROM parcels WHERE upcoming IS NOT NULL AND scanned_at <= ?"
            " ORDER BY scanned_at, id LIMIT 1"
        )
        with self._store.together():
            while rows := self._store.rows(due, self._clock.now() - every):
                parcel = Parcel(**rows[0])
                if parcel.upcoming is not None:
                    self.scan(parcel, parcel.upcoming, moment=parcel.scanned_at + every)


def place(parcel: Parcel, scan: Scan) -> tuple[str, str]:
    """Return where a scan was made, as couriers write it, and the city as ClickPost does."""
    city = parcel.text("drop_city" if scan.station.at_drop else "pickup_city")
    return (f"{city}_Hub" if city else "", city)
