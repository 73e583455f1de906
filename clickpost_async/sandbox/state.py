"""The state of a sandbox: its store, its time, and its webhooks."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any
from uuid import UUID
from weakref import WeakValueDictionary

import anyio

from clickpost_async.sandbox.operation import JSON
from clickpost_async.sandbox.settings import SandboxSettings
from clickpost_async.sandbox.store.records import Note, Parcel, Scan
from clickpost_async.sandbox.store.repository import SandboxStore
from clickpost_async.sandbox.webhooks import Hook, Webhooks, tracking_payload
from clickpost_async.sandbox.world import tracking_codes
from clickpost_async.structures import TrackingCode

# Above those of orders, and as live: they do not fit into 32 bits.
_FIRST_TRACKING_ID = 7_100_000_000

# The kinds of notes.
AUDIT, FEEDBACK, PICKUP, REPORT, RETURN = "audit", "feedback", "pickup", "report", "return"


class SandboxState(SandboxSettings):
    """What the endpoints of ClickPost's API read and change."""

    def __attrs_post_init__(self) -> None:
        self.store: SandboxStore = SandboxStore(self.path)
        self.ahead: float = 0.0
        self.webhooks: Webhooks = Webhooks()
        self._locks: WeakValueDictionary[str, anyio.Lock] = WeakValueDictionary()

    def now(self) -> float:
        """Return the sandbox's time, in seconds since the epoch; nothing moves it back."""
        return self.clock() + self.ahead

    def go_forward(self, seconds: float) -> None:
        """Advance the time."""
        self.ahead += seconds

    def noise(self, purpose: str, size: int = 16) -> bytes:
        """Return bytes that look random, and are the same for the same seed and purpose."""
        return blake2b(f"{self.seed}/{purpose}".encode(), digest_size=size).digest()

    def secret(self, purpose: str) -> str:
        """Return a security key, which looks like a UUID."""
        return str(UUID(bytes=self.noise(purpose)))

    def creating(self, reference_number: str) -> anyio.Lock:
        """Return the lock of a reference number, to be held while its order is created."""
        # It lives as long as a call holds it, or waits for it.
        return self._locks.setdefault(reference_number, anyio.Lock(fast_acquire=True))

    def audit(self, service: str, payload: JSON | None = None) -> None:
        """Add an entry to the audit log."""
        self.add_note(AUDIT, "", {"service_type": service, "payload": payload})

    def add_note(self, kind: str, about: str, content: JSON) -> Note:
        """Add a note of this moment; its id is unique among all kinds."""
        return self.store.insert(Note, kind=kind, about=about, moment=self.now(), content=content)

    def parcel(self, waybill: str, courier_partner: object) -> Parcel | None:
        """Return the parcel with that waybill at that courier."""
        return self.store.one(Parcel, waybill=waybill, courier_partner=courier_partner)

    def parcel_named(self, waybill: str) -> Parcel:
        """Return the newest parcel with that waybill; raises LookupError."""
        return self.store.get(Parcel, waybill=waybill)

    def open_parcel(self, *, first_scan: int, **columns: Any) -> tuple[Parcel, bool]:
        """Begin to track a parcel; returns it, and whether it is new."""
        with self.store.together():
            known = self.parcel(columns["waybill"], columns["courier_partner"])
            if known is not None:
                return known, False
            parcel = self.store.insert(Parcel, **columns, created_at=self.now())
            if not parcel.tracking_id:
                parcel = self.store.update(parcel, tracking_id=_FIRST_TRACKING_ID + parcel.id)
            return self.scan_parcel(parcel, first_scan), True

    def scans_of(self, parcel: Parcel) -> Sequence[Scan]:
        """Return the scans of a parcel, the newest first."""
        return self.store.all(Scan, parcel=parcel.id)[::-1]

    def was_out(self, parcel: Parcel) -> bool:
        """Return whether a parcel has been out for delivery."""
        out = TrackingCode.OUT_FOR_DELIVERY
        return self.store.one(Scan, parcel=parcel.id, code=out) is not None

    def scan_parcel(
        self,
        parcel: Parcel,
        code: int,
        *,
        ndr_code: int | None = None,
        remark: str | None = None,
        moment: float | None = None,
    ) -> Parcel:
        """Record that a parcel was scanned, now or at a moment, and queue the webhooks."""
        at = self.now() if moment is None else moment
        text = tracking_codes.station(code).remark if remark is None else remark
        with self.store.together():
            scan = self.store.insert(
                Scan, parcel=parcel.id, code=code, ndr_code=ndr_code, remark=text, moment=at
            )
            upcoming = tracking_codes.after(parcel.kind, code, parcel.upcoming)
            parcel = self.store.update(
                parcel, code=code, upcoming=upcoming, scanned_at=at, last_scan=scan.id
            )
        self._queue_webhooks(parcel, scan)
        return parcel

    def catch_up(self) -> None:
        """Make the scans that are due with `scan_every`; every call to the sandbox does so."""
        if self.scan_every is None:
            return
        with self.store.together():
            while parcel := self.store.due_parcel(self.now() - self.scan_every):
                moment = parcel.scanned_at + self.scan_every
                self.scan_parcel(parcel, parcel.upcoming or parcel.code, moment=moment)

    def _queue_webhooks(self, parcel: Parcel, scan: Scan) -> None:
        event = scan.station.event

        def payload(hook: Hook) -> JSON:
            # With the parcel's newest scan at the time of sending.
            latest = self.scans_of(parcel)[0]
            return tracking_payload(parcel, scan, latest, None if hook.events is None else event)

        self.webhooks.queue(event, payload)
