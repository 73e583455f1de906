"""Control of a sandbox from Python and over HTTP: parcels, time, faults, webhooks, its data."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Annotated

from clickpost_async.sandbox import export
from clickpost_async.sandbox.api import ndr, returns
from clickpost_async.sandbox.commands import Command, Limit
from clickpost_async.sandbox.http.faults import Fault, Faults
from clickpost_async.sandbox.operation import JSON
from clickpost_async.sandbox.settings import DEFAULT_KEY
from clickpost_async.sandbox.state import SandboxState
from clickpost_async.sandbox.store.records import LoggedCall, Order, OrderListRow, Parcel, Scan
from clickpost_async.sandbox.store.repository import KEPT
from clickpost_async.sandbox.webhooks import Hook, WebhookDelivery
from clickpost_async.sandbox.world import tracking_codes
from clickpost_async.sandbox.world.clock import END
from clickpost_async.structures import TrackingCode
from clickpost_async.structures._constraints import InRange


class SandboxControl(SandboxState):
    """The part of a sandbox that tests and its page control; nothing here is ClickPost's API."""

    @property
    def shown_key(self) -> str:
        """The API key for print; only the default one is shown, since another may be real."""
        return self.api_key if self.api_key == DEFAULT_KEY else "…"

    def export_lines(self, base_url: str) -> tuple[str, ...]:
        """Return the shell commands that configure `ClickPost()` for this sandbox at `base_url`."""
        return (
            f"export CLICKPOST_USERNAME={shlex.quote(self.username)}",
            f"export CLICKPOST_API_KEY={self.shown_key}",
            f"export CLICKPOST_BASE_URL={base_url}",
        )

    # --- queries --------------------------------------------------------------------------------

    @Command("/state", method="GET")
    def status(self) -> Mapping[str, object]:
        """Return the time, the faults, the totals, and where webhooks are sent."""
        return {
            "now": self.now(),
            "faults": self.faults.chances(),
            "totals": self.store.totals(),
            "webhooks_to": self.webhooks.urls,
        }

    @Command("/orders", method="GET")
    def order_list(self, limit: Limit = 100, search: str = "") -> Sequence[OrderListRow]:
        """Return the newest orders, and where their parcels are."""
        return self.store.order_list(limit, search)

    @Command("/parcels/{waybill:path}", method="GET")
    def journey(self, waybill: str) -> Mapping[str, object]:
        """Return every scan of a parcel, and the stations that follow; raises LookupError."""
        parcel = self.parcel_named(waybill)
        return {
            "waybill": parcel.waybill,
            "reference_number": parcel.reference_number,
            "code": parcel.code,
            "scans": self.store.all(Scan, parcel=parcel.id),
            "ahead": parcel.ahead,
        }

    @Command("/requests", method="GET")
    def latest_calls(self, limit: Limit = KEPT, search: str = "") -> Sequence[LoggedCall]:
        """Return the latest calls with their responses, the newest first."""
        return self.store.latest_calls(limit, search)

    @Command("/ledger", method="GET")
    def ledger(self) -> Mapping[str, tuple[str, ...]]:
        """Return the waybills of all labels bought, by reference: more than one is a duplicate."""
        return self.store.ledger()

    @Command("/webhooks", method="GET")
    def deliveries(self) -> Sequence[WebhookDelivery]:
        """Return the latest webhooks that were sent, the newest first."""
        return self.webhooks.deliveries()

    @Command("/samples", method="GET")
    def samples(self) -> Mapping[str, JSON]:
        """Return the latest calls as samples with placeholder data, by file name."""
        return export.of(self.latest_calls())

    def orders(self) -> Mapping[str, Order]:
        """Return every order that is queued or placed, by reference."""
        return self.store.orders()

    def parcels(self) -> Sequence[Parcel]:
        """Return every parcel, the oldest first."""
        return self.store.all(Parcel)

    def scans(self, waybill: str) -> Sequence[Scan]:
        """Return the scans of a parcel, the newest first; raises LookupError."""
        return self.scans_of(self.parcel_named(waybill))

    def requests(self) -> Sequence[LoggedCall]:
        """Return every call received, in the order of the responses."""
        return self.store.all(LoggedCall)

    def changes(self) -> object:
        """Return a value that differs whenever anything visible has changed."""
        store, webhooks = self.store, self.webhooks
        pushed = (webhooks.count, *webhooks.urls)
        faults = (self.faults.chances(), self.faults.scripted())
        return store.changes, store.pulse(), pushed, faults, self.ahead

    # --- commands -------------------------------------------------------------------------------

    @Command("/clock", result="now", example='{"seconds": 3600}')
    def tick(self, seconds: float) -> float:
        """Advance the clock by so many seconds, and return the new time.

        With `scan_every` parcels are scanned meanwhile.
        """
        if not seconds >= 0:  # NaN is not either
            raise ValueError("the sandbox's clock only goes forward")
        if self.now() + seconds >= END:
            raise ValueError("seconds: the sandbox's clock ends with the year 9998")
        self.go_forward(seconds)
        self.catch_up()
        return self.now()

    @Command("/parcels", result="moved")
    def advance_all(self) -> int:
        """Advance every parcel by one station; returns how many moved."""
        with self.store.together():
            moving = [parcel for parcel in self.parcels() if parcel.upcoming is not None]
            for parcel in moving:
                self.scan_parcel(parcel, parcel.upcoming or parcel.code)
        return len(moving)

    @Command("/parcels/{waybill:path}/advance", result="code", example='{"steps": 1}')
    def advance(self, waybill: str, steps: Annotated[int, InRange(1, 1000)] = 1) -> int:
        """Advance a parcel by so many stations, at most to the last; returns its tracking code.

        A forward parcel is placed (1), picked up (4), in transit (5), out for delivery (6) and
        delivered (8). One that was not delivered (9) is held (20) and returned (12, 21, 13, 14),
        unless there is an NDR instruction. Raises LookupError for an unknown waybill.
        """
        if steps < 1:
            raise ValueError(f"a parcel advances by at least one step, not by {steps}")
        with self.store.together():
            for _ in range(steps):
                parcel = self.parcel_named(waybill)
                if parcel.upcoming is None:
                    break
                self.scan_parcel(parcel, parcel.upcoming)
        return self.parcel_named(waybill).code

    def scan(
        self, waybill: str, code: int, *, ndr_code: int | None = None, remark: str | None = None
    ) -> None:
        """Record a courier's scan with any code: lost (16), delayed (18), or an unknown one."""
        self.scan_parcel(self.parcel_named(waybill), code, ndr_code=ndr_code, remark=remark)

    @Command("/parcels/{waybill:path}/fail", example='{"ndr_code": 1}')
    def fail_delivery(self, waybill: str, ndr_code: Annotated[int, InRange(0, 9999)] = 1) -> None:
        """Fail the delivery of a parcel; `ndr_code` is the reason (1: customer unavailable).

        Raises ValueError for a parcel that is not on its way to a customer.
        """
        with self.store.together():
            parcel = self.parcel_named(waybill)
            way = tracking_codes.to_the_door(parcel.kind, parcel.code, parcel.upcoming)
            if way is None:
                raise ValueError(f"parcel {waybill} is not going to be delivered to a customer")
            for code in way:
                self.scan_parcel(parcel, code)
            remark = tracking_codes.NDR.get(ndr_code, tracking_codes.NDR[0])
            self.scan_parcel(parcel, TrackingCode.FAILED_DELIVERY, ndr_code=ndr_code, remark=remark)

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
        ndr.add_feedback(
            self,
            self.parcel_named(waybill),
            "CUSTOMER_FEED",
            comment=comment,
            preferred_date=preferred_date,
            address=address,
            phone=phone,
        )

    @Command(
        "/parcels/{waybill:path}/return",
        result="return_reference_number",
        example='{"reason": "too small"}',
    )
    def request_return(
        self, waybill: str, *, reason: str = "Size too small", refund_mode: str = "Credits"
    ) -> str:
        """Request a return as the customer; returns the return's reference number."""
        parcel = self.parcel_named(waybill)
        return returns.request(self, parcel, reason=reason, refund_mode=refund_mode)

    @Command("/returns/{return_reference_number:path}/approve", result="waybill")
    def approve_return(self, return_reference_number: str) -> str:
        """Approve a return, and book a courier for it; returns the waybill of the return."""
        return returns.approve(self, return_reference_number)

    @Command("/webhooks", example='{"url": "http://127.0.0.1:9000/", "token": "…"}')
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
            url: The receiver, at a loopback address.
            token: The token that the receiver checks.
            header: The header that the token is sent in.
            parameter: Send the token in the URL's query under this name instead.
            events: ClickPost's notification events, for selected-event webhooks; by default every
                scan is sent.
            attempts: How often a webhook is sent until it gets HTTP 200.
            duplicates: How many times more every webhook is sent.
            out_of_order: Send the newest first.

        Raises:
            ValueError: `url` is no loopback address, or a number is out of range.

        """
        chosen = None if events is None else frozenset(events)
        hook = Hook(url, token, header, parameter, chosen, attempts, duplicates, out_of_order)
        self.webhooks.send_to(hook)

    @Command("/webhooks/{number}/push")
    def push_again(self, number: int) -> None:
        """Resend a webhook unchanged, by its `id`; raises LookupError."""
        self.webhooks.push_again(number)

    @Command("/faults", example='{"too_many": 0.5, "latency": 2}')
    def set_faults(self, **chances: float) -> Mapping[str, float]:
        """Set the probabilities of faults, and `latency` in seconds; returns all of them."""
        known = self.faults.chances()
        for name in chances.keys() - known.keys():
            raise ValueError(f"faults: {name[:40]!r} is none of {', '.join(known)}")
        # All are checked before one is set.
        for faults in (Faults(), self.faults):
            for name, chance in chances.items():
                setattr(faults, name, chance)
        return self.faults.chances()

    @Command("/faults/next", example='{"fault": "drop_after", "times": 1}')
    def fail_next(
        self, fault: Fault, *, times: int = 1, reference_number: str | None = None
    ) -> None:
        """Inject a fault into the next calls, or the next ones with that reference number."""
        self.faults.next(fault, times=times, reference_number=reference_number or None)

    @Command("/reset")
    def reset(self) -> None:
        """Delete orders, parcels, calls and faults; the clock is not reset."""
        self.store.clear()
        self.webhooks.clear()
        self.faults.clear()

    def write_samples(self, folder: str | PathLike[str]) -> Sequence[Path]:
        """Write the samples as JSON files below a folder; returns their paths."""
        return export.write(self.samples(), Path(folder))

    async def push_webhooks(self) -> Sequence[WebhookDelivery]:
        """Send every queued webhook, and return the deliveries."""
        return await self.webhooks.push()
