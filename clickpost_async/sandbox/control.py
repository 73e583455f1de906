"""Control of a sandbox from Python: parcels, time, faults, webhooks."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path

from attrs import frozen

from clickpost_async.sandbox import export
from clickpost_async.sandbox.api.account import Account
from clickpost_async.sandbox.api.couriers import Couriers
from clickpost_async.sandbox.api.delivery import Delivery
from clickpost_async.sandbox.api.labels import Labels
from clickpost_async.sandbox.api.management import Management
from clickpost_async.sandbox.api.ndr import Ndr
from clickpost_async.sandbox.api.orders import OrderBehaviour, Orders
from clickpost_async.sandbox.api.pickups import Pickups
from clickpost_async.sandbox.api.reports import Reports
from clickpost_async.sandbox.api.responses import ResponseBuilder
from clickpost_async.sandbox.api.returns import Returns
from clickpost_async.sandbox.api.serviceability import Serviceability
from clickpost_async.sandbox.api.tracking import Tracking
from clickpost_async.sandbox.call_log import KEPT, CallLog, LoggedCall
from clickpost_async.sandbox.http.faults import Faults
from clickpost_async.sandbox.operation import JSON, Operation
from clickpost_async.sandbox.queries import SandboxQueries
from clickpost_async.sandbox.store.notes import NoteStore
from clickpost_async.sandbox.store.orders import Order, OrderStore
from clickpost_async.sandbox.store.parcels import Parcel, ParcelStore, Scan
from clickpost_async.sandbox.webhooks import WebhookDelivery, Webhooks
from clickpost_async.sandbox.world.clock import Clock


@frozen(kw_only=True)
class SandboxSettings:
    """Settings of a sandbox."""

    username: str
    password: str
    seed: int
    page_size: int
    clock: Callable[[], float] | None
    scan_every: float | None
    manners: OrderBehaviour
    faults: Faults


class SandboxControl:
    """The part of a sandbox that tests control; nothing here is ClickPost's API."""

    def __init__(self, book: OrderStore, setting: SandboxSettings) -> None:
        if setting.page_size < 1:
            raise ValueError("page_size: a page has at least one row")
        if setting.scan_every is not None and setting.scan_every <= 0:
            raise ValueError("scan_every: more than 0 seconds are needed, or None")
        self.faults: Faults = setting.faults
        self._book = book
        self._exchanges = CallLog()
        self.scan_every: float | None = setting.scan_every
        self._clock = clock = Clock(setting.clock or time.time)
        self._webhooks = Webhooks()
        self._notes = notes = NoteStore(book.store)
        self._parcels = parcels = ParcelStore(book.store, clock, self._on_change)
        username, seed = setting.username, setting.seed
        shapes = ResponseBuilder(username=username, seed=seed)
        self._ndr = Ndr(parcels=parcels, notes=notes, clock=clock, username=username)
        self._returns = Returns(
            parcels=parcels, notes=notes, clock=clock, seed=seed, on_change=self._webhooks.returned
        )
        self._tracking = Tracking(parcels=parcels, seed=seed)
        self._labels = Labels(book=book, parcels=parcels)
        self.board: SandboxQueries = SandboxQueries(
            book=book, parcels=parcels, returns=self._returns
        )
        self._reports = Reports(
            parcels=parcels, notes=notes, clock=clock, polls=setting.manners.async_polls
        )
        self._chapters = (
            Orders(book, parcels, shapes, setting.manners),
            Management(parcels=parcels, notes=notes, clock=clock, page_size=setting.page_size),
            self._tracking,
            self._ndr,
            Pickups(parcels=parcels, notes=notes, clock=clock),
            self._labels,
            Couriers(username=username),
            Serviceability(),
            Delivery(clock=clock),
            self._reports,
            self._returns,
            Account(
                notes=notes, clock=clock, username=username, password=setting.password, seed=seed
            ),
        )

    def operations(self) -> tuple[Operation, ...]:
        """Return every operation of ClickPost's API in the sandbox."""
        return tuple(row for chapter in self._chapters for row in chapter.operations())

    def now(self) -> float:
        """Return the sandbox's time, in seconds since the epoch."""
        return self._clock.now()

    def tick(self, seconds: float) -> None:
        """Advance the clock by so many seconds; with `scan_every` parcels are scanned meanwhile."""
        self._clock.tick(seconds)
        self.catch_up()

    def catch_up(self) -> None:
        """Make the scans that are due with `scan_every`; every call to the sandbox does so."""
        if self.scan_every is not None:
            self._parcels.catch_up(self.scan_every)

    def parcels(self) -> Sequence[Parcel]:
        """Return every parcel, the oldest first."""
        return self._parcels.everything()

    def scans(self, waybill: str) -> Sequence[Scan]:
        """Return the scans of a parcel, the newest first."""
        return self._parcels.scans(self._parcels.named(waybill))

    def advance(self, waybill: str, steps: int = 1) -> int:
        """Advance a parcel by so many stations, at most to the last; returns its tracking code.

        A forward parcel is placed (1), picked up (4), in transit (5), out for delivery (6) and
        delivered (8). One that was not delivered (9) is held (20) and returned (12, 21, 13, 14),
        unless there is an NDR instruction. Raises LookupError for an unknown waybill.
        """
        return self._parcels.advance(waybill, steps)

    def advance_all(self) -> int:
        """Advance every parcel by one station; returns how many moved."""
        return self._parcels.advance_all()

    def scan(
        self,
        waybill: str,
        code: int,
        *,
        ndr_code: int | None = None,
        remark: str | None = None,
    ) -> None:
        """Record a courier's scan with any code: lost (16), delayed (18), or an unknown one."""
        self._parcels.scan(self._parcels.named(waybill), code, ndr_code=ndr_code, remark=remark)

    def fail_delivery(self, waybill: str, ndr_code: int = 1) -> None:
        """Fail the delivery of a parcel; `ndr_code` is the reason (1: customer unavailable).

        Raises ValueError for a parcel that is not on its way to a customer.
        """
        self._parcels.fail(waybill, ndr_code)

    def leave_feedback(
        self,
        waybill: str,
        *,
        comment: str | None = None,
        preferred_date: str | None = None,
        address: str | None = None,
        phone: str | None = None,
    ) -> None:
        """Record a customer's feedback on a failed delivery."""
        self._ndr.note(
            self._parcels.named(waybill),
            "CUSTOMER_FEED",
            comment=comment,
            preferred_date=preferred_date,
            address=address,
            phone=phone,
        )

    def request_return(
        self, forward_waybill: str, *, reason: str = "Size too small", refund_mode: str = "Credits"
    ) -> str:
        """Request a return as the customer; returns the return's reference number."""
        parcel = self._parcels.named(forward_waybill)
        return self._returns.request(parcel, reason=reason, refund_mode=refund_mode)

    def approve_return(self, return_reference_number: str) -> str:
        """Approve a return, and book a courier for it; returns the waybill of the return."""
        return self._returns.approve(return_reference_number)

    def webhooks_to(
        self,
        url: str,
        *,
        token: str | None = None,
        header: str = "webhook_key",
        parameter: str | None = None,
        events: Iterable[int] | None = None,
        attempts: int = 3,
        duplicates: int = 0,
        out_of_order: bool = False,
    ) -> None:
        """Send a webhook for every scan and return from now on, to a URL on this machine.

        A sandbox on a port sends by itself, any other when `push_webhooks` is called.

        Args:
            url: the receiver, at a loopback address.
            token: the token that the receiver checks.
            header: the header that the token is sent in.
            parameter: send the token in the URL's query under this name instead.
            events: ClickPost's notification events, for selected-event webhooks; by default every
                scan is sent.
            attempts: how often a webhook is sent until it gets HTTP 200.
            duplicates: how many times more every webhook is sent.
            out_of_order: send the newest first.

        Raises:
            ValueError: `url` is no loopback address, or a number is out of range.

        """
        self._webhooks.send_to(
            url,
            token=token,
            header=header,
            parameter=parameter,
            events=events,
            attempts=attempts,
            duplicates=duplicates,
            out_of_order=out_of_order,
        )

    def deliveries(self) -> Sequence[WebhookDelivery]:
        """Return the latest webhooks that were sent, the newest first."""
        return self._webhooks.deliveries()

    def push_again(self, number: int) -> None:
        """Resend a webhook unchanged, by its `id`; raises LookupError."""
        self._webhooks.push_again(number)

    def ledger(self) -> Mapping[str, tuple[str, ...]]:
        """Return the waybills of all labels bought, by reference: more than one is a duplicate."""
        return self._book.ledger()

    def orders(self) -> Mapping[str, Order]:
        """Return every order that is queued or placed, by reference."""
        return self._book.orders()

    def webhook_urls(self) -> Sequence[str]:
        """Return the URLs that webhooks are sent to."""
        return self._webhooks.urls

    def exchanges(self, limit: int = KEPT, search: str = "") -> Sequence[LoggedCall]:
        """Return the latest calls with their responses, the newest first."""
        return self._exchanges.latest(limit, search)

    def exchange(self, number: int) -> LoggedCall | None:
        """Return one of the latest calls by its `id`."""
        return self._exchanges.numbered(number)

    def counts(self) -> tuple[int, int]:
        """Return the number of calls received, and of those with an injected fault."""
        return self._exchanges.total, self._exchanges.misbehaved

    def pulse(self) -> Sequence[tuple[int, int]]:
        """Return, for each of the last 60 seconds, the number of calls and of injected faults."""
        return self._exchanges.pulse()

    def changes(self) -> object:
        """Return a value that differs whenever anything visible has changed."""
        return (
            self._book.store.changes,
            self.counts(),
            self._exchanges.pulse(),
            self._webhooks.count,
            self._webhooks.urls,
            self.faults.state(),
            self._clock.ahead,
        )

    def samples(self) -> Mapping[str, JSON]:
        """Return the latest calls as samples with placeholder data, by file name."""
        return export.of(self.exchanges())

    def write_samples(self, folder: str | PathLike[str]) -> Sequence[Path]:
        """Write the samples as JSON files below a folder; returns their paths."""
        return export.write(self.samples(), Path(folder))

    def reset(self) -> None:
        """Delete orders, parcels, calls and faults; the clock is not reset."""
        self._book.store.clear()
        self._exchanges.clear()
        self._webhooks.forget()
        self.faults.forget()

    async def push_webhooks(self) -> Sequence[WebhookDelivery]:
        """Send every queued webhook, and return the deliveries."""
        return await self._webhooks.push()

    async def keep_pushing_webhooks(self) -> None:
        """Send webhooks as they are queued, on asyncio, until cancelled."""
        await self._webhooks.keep_pushing(self.catch_up, self.scan_every)

    def _on_change(self, parcel: Parcel, scan: Scan) -> None:
        self._webhooks.scanned(self._parcels, parcel, scan)
