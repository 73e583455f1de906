"""Edit, cancel, follow and count orders."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from clickpost_async._codec.endpoint import Auth, Get, Idempotency, Post
from clickpost_async._codec.management import days_of, without_meta
from clickpost_async._codec.pages import page_of
from clickpost_async._codec.spelling import title
from clickpost_async.endpoints._base import check
from clickpost_async.endpoints._time_windows import (
    OVERLAP,
    Checkpoint,
    Feed,
    Page,
    Timed,
    Windows,
    window_or_fault,
)
from clickpost_async.errors import InvalidRequestError, Problem
from clickpost_async.settings import Host
from clickpost_async.structures.management import (
    CancelledOrder,
    DailyCounts,
    EditedOrder,
    OrderEdit,
    UpdatedOrder,
    UpdatedOrders,
)

EDIT = Post(
    "/v1/edit-order/",
    name="orders.edit",
    takes=OrderEdit,
    returns=EditedOrder,
    accepts_meta=without_meta,
    # The same values set twice are set.
    idempotency=Idempotency.IDEMPOTENT,
)
CANCEL = Get(
    "/v1/cancel-order/",
    name="orders.cancel",
    returns=CancelledOrder,
    accepts_meta=without_meta,
    # 202: the courier decides later. 600: cancelled before, which is how a second call is answered.
    accepts={200, 202, 600},
    idempotency=Idempotency.IDEMPOTENT,
)
UPDATED = Get(
    "/v1/updated-order",
    name="orders.updated",
    returns=UpdatedOrders,
    accepts_meta=page_of,
    host=Host.TRACKING,
    # What it answers to a long window is not documented; its sibling, NDR feedback, says 500.
    means={500: window_or_fault},
    idempotency=Idempotency.SAFE,
)
DAILY_COUNTS = Get(
    "/v1/fetch-shipment-count/",
    name="orders.daily_counts",
    returns=DailyCounts,
    accepts_meta=days_of,
    auth=Auth.KEY,
    idempotency=Idempotency.SAFE,
)

ENDPOINTS = (EDIT, CANCEL, UPDATED, DAILY_COUNTS)

_DAYS_UNTIL_COUNTED = timedelta(days=2)


def _identity(order: UpdatedOrder) -> Sequence[object]:
    return (
        order.waybill,
        order.courier_partner,
        order.clickpost_status_code,
        order.updated_at,
    )


_UPDATES = Feed(name=UPDATED.name, longest=timedelta(seconds=1800), identity=_identity)


class Management(Timed):
    """What `clickpost.orders` does with orders after they were created."""

    async def edit(self, edit: OrderEdit | Mapping[str, Any]) -> EditedOrder:
        """Change an order that is not out for delivery yet; only some couriers take it.

        Raises:
            InvalidRequestError: a field is wrong, found here or there.
            RefusedError, and those below it: ClickPost or the courier said no.
            NoReplyError, UnreadableReplyError, ServerError: nobody knows; the same edit may be
                sent again.

        """
        call = self._caller.post(EDIT, edit)
        del edit  # error trackers export the variables of frames that fail
        return await call

    async def cancel(
        self,
        waybill: str,
        *,
        courier_partner: int,
        account_code: str | None = None,
        manually_update_status: bool | None = None,
    ) -> CancelledOrder:
        """Cancel an order at its courier; look at `cancelled` and `pending` of the response.

        A cancellation without a response is sent again after the settle delay.

        Args:
            waybill: the courier's number of the parcel.
            courier_partner: the courier's id.
            account_code: the account it was created with; needed where there are several accounts
                with the courier, since ClickPost may take the wrong one otherwise (350, 352).
            manually_update_status: have its tracking say "Cancelled" as soon as the courier agrees.

        Raises:
            CourierError: it cannot be cancelled, or the courier does not know it (350).
            CredentialsError: the account is not one of this courier's (351), or one of several
                (352): give its `account_code`.
            NoReplyError, UnreadableReplyError, ServerError: the outcome is unknown; cancel again.

        """
        check(
            waybill=waybill,
            courier_partner=courier_partner,
            manually_update_status=manually_update_status,
            **({} if account_code is None else {"account_code": account_code}),
        )
        return await self._caller.get(
            CANCEL,
            {
                "waybill": waybill,
                "cp_id": courier_partner,
                "account_code": account_code,
                "manually_update_status": title(manually_update_status),
            },
        )

    async def updated(
        self, start: datetime, end: datetime, *, page: Page | None = None
    ) -> UpdatedOrders:
        """Fetch one page of the orders that got a new status in a window of at most 1,800 seconds.

        Both ends are cut to the second. `page` is the `next_page` of the page before;
        `iter_updated` turns the pages by itself.

        Raises `InvalidRequestError` for a longer window, before anything is sent.
        """
        _UPDATES.check_window(start, end)
        return await self._caller.get(
            UPDATED,
            {
                "start_date": int(start.timestamp()),
                "end_date": int(end.timestamp()),
                **(page or {}),
            },
        )

    def iter_updated(
        self,
        start: datetime,
        end: datetime | None = None,
        *,
        checkpoint: Checkpoint | None = None,
        overlap: timedelta = OVERLAP,
    ) -> Windows[UpdatedOrder]:
        """Iterate over every update of a span of any length, oldest window first, each once.

        `end` is now unless it is earlier: what has not happened yet is left to the next run. To go
        on where an earlier run stopped, give its `checkpoint`; `start` does not count then. No
        update is missed by that; some come again where there are more than 256 within `overlap` and
        the window that was being read.
        `overlap` is how far clocks may differ, and how late ClickPost may be, without a loss.

        ClickPost keeps the newest status of an order only: one that was replaced before it was
        asked for is not seen.
        """
        return Windows(
            _UPDATES,
            self.updated,
            start=start,
            end=end,
            checkpoint=checkpoint,
            overlap=overlap,
            now=self._now,
        )

    async def daily_counts(self, start: date, end: date) -> DailyCounts:
        """Count the shipments of each day from `start` to `end`, both included.

        ClickPost counts offline and is done two days later, so `end` is at most the day before
        yesterday (UTC).

        Raises `InvalidRequestError` for a later one, before anything is sent.
        """
        problems = [
            Problem(name, "a date is needed, like date(2026, 1, 31), without a time of day")
            for name, day in (("start", start), ("end", end))
            if not isinstance(day, date) or isinstance(day, datetime)
        ]
        if not problems:
            counted = self._now().date() - _DAYS_UNTIL_COUNTED
            if end < start:
                problems.append(Problem("end", "must not be before start"))
            if end > counted:
                problems.append(
                    Problem("end", f"is counted two days later; ask up to {counted} today")
                )
        if problems:
            raise InvalidRequestError.of(problems)
        return await self._caller.get(
            DAILY_COUNTS, {"start-date": start.isoformat(), "end-date": end.isoformat()}
        )
