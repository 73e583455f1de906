"""Create, fetch, find, edit, cancel, follow and count orders.

Creating an order buys a courier's label. ClickPost recognises an order sent again by its reference
number and responds 323 with the first one, so a create is retried under the same number only.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from clickpost_async._codec.endpoint import Auth, Get, Idempotency, Post
from clickpost_async._codec.envelope import days_of, order_of, without_meta
from clickpost_async._codec.pages import page_of
from clickpost_async.endpoints._base import check, title_case
from clickpost_async.endpoints._time_windows import (
    OVERLAP,
    Checkpoint,
    Page,
    WindowedList,
    WindowedNamespace,
    Windows,
    window_error,
)
from clickpost_async.errors import InvalidRequestError, Problem
from clickpost_async.settings import Host
from clickpost_async.structures import CreatedOrder, FetchedOrder, IndiaOrder, WorldOrder
from clickpost_async.structures._base import not_a_mapping
from clickpost_async.structures._market import Market, market_of
from clickpost_async.structures.b2b import B2BOrder
from clickpost_async.structures.orders import (
    CancelledOrder,
    DailyCounts,
    EditedOrder,
    OrderEdit,
    UpdatedOrder,
    UpdatedOrders,
)

# 202 and 102: recorded, and not placed yet. 323: placed before, under the same reference number.
_CREATED = {200, 202, 102, 323}

FETCH_INDIA = Get(
    "/v3/create-order/",
    name="orders.fetch_india",
    returns=FetchedOrder,
    extract=order_of,
    accepts=_CREATED,
    idempotency=Idempotency.SAFE,
)
FETCH_WORLD = Get(
    "/v4/create-order/",
    name="orders.fetch_world",
    returns=FetchedOrder,
    extract=order_of,
    accepts=_CREATED,
    idempotency=Idempotency.SAFE,
)
# The look-up by reference number is documented for v3 only, as "globally supported".
FIND_INDIA = Get(
    "/v3/create-order/",
    name="orders.find_india",
    returns=FetchedOrder,
    extract=order_of,
    accepts=_CREATED,
    idempotency=Idempotency.SAFE,
)
FIND_WORLD = Get(
    "/v4/create-order/",
    name="orders.find_world",
    returns=FetchedOrder,
    extract=order_of,
    accepts=_CREATED,
    idempotency=Idempotency.SAFE,
)
CREATE_INDIA = Post(
    "/v3/create-order/",
    name="orders.create_india",
    takes=IndiaOrder,
    returns=CreatedOrder,
    extract=order_of,
    accepts=_CREATED,
    idempotency=Idempotency.BY_REFERENCE,
    found_by=FIND_INDIA,
)
CREATE_WORLD = Post(
    "/v4/create-order/",
    name="orders.create_world",
    takes=WorldOrder,
    returns=CreatedOrder,
    extract=order_of,
    accepts=_CREATED,
    idempotency=Idempotency.BY_REFERENCE,
    found_by=FIND_WORLD,
)
FIND_B2B = Get(
    "/v1/create-b2b-order/",
    name="orders.find_b2b",
    returns=FetchedOrder,
    extract=order_of,
    accepts=_CREATED,
    idempotency=Idempotency.SAFE,
)
# ClickPost's guide polls with the look-up. Whether a B2B order sent again is recognised is not
# documented, so none is resent unless a look-up has not found it.
CREATE_B2B = Post(
    "/v1/create-b2b-order/",
    name="orders.create_b2b",
    takes=B2BOrder,
    returns=CreatedOrder,
    extract=order_of,
    accepts=_CREATED,
    idempotency=Idempotency.BY_REFERENCE,
    found_by=FIND_B2B,
    polls_by_lookup=True,
)

EDIT = Post(
    "/v1/edit-order/",
    name="orders.edit",
    takes=OrderEdit,
    returns=EditedOrder,
    extract=without_meta,
    # Setting the same values twice has no further effect.
    idempotency=Idempotency.IDEMPOTENT,
)
CANCEL = Get(
    "/v1/cancel-order/",
    name="orders.cancel",
    returns=CancelledOrder,
    extract=without_meta,
    # 202: the courier decides later. 600: cancelled before, the response to a second call.
    accepts={200, 202, 600},
    idempotency=Idempotency.IDEMPOTENT,
)
UPDATED = Get(
    "/v1/updated-order",
    name="orders.updated",
    returns=UpdatedOrders,
    extract=page_of,
    host=Host.TRACKING,
    # The response to a too long window is not documented; that of NDR feedback is a 500.
    means={500: window_error},
    idempotency=Idempotency.SAFE,
)
DAILY_COUNTS = Get(
    "/v1/fetch-shipment-count/",
    name="orders.daily_counts",
    returns=DailyCounts,
    extract=days_of,
    auth=Auth.KEY,
    idempotency=Idempotency.SAFE,
)

ENDPOINTS = (
    CREATE_INDIA,
    CREATE_WORLD,
    CREATE_B2B,
    FETCH_INDIA,
    FETCH_WORLD,
    FIND_INDIA,
    FIND_WORLD,
    FIND_B2B,
    EDIT,
    CANCEL,
    UPDATED,
    DAILY_COUNTS,
)

_DAYS_UNTIL_COUNTED = timedelta(days=2)


def _identity(order: UpdatedOrder) -> Sequence[object]:
    return (
        order.waybill,
        order.courier_partner,
        order.clickpost_status_code,
        order.updated_at,
    )


_UPDATES = WindowedList(name=UPDATED.name, max_window=timedelta(seconds=1800), identity=_identity)


class Orders(WindowedNamespace):
    """`clickpost.orders`."""

    async def create(self, order: IndiaOrder | WorldOrder | Mapping[str, Any]) -> CreatedOrder:
        """Create an order with `create_india` or `create_world`, whichever its shape fits.

        Args:
            order: An order; a plain mapping is within India if its `pickup_info` has India's names
                (`pickup_pincode`), and worldwide if it has the others (`country_code`).

        Returns:
            The order that ClickPost created, as `create_india`.

        Raises:
            InvalidRequestError: Also when it fits neither shape.
            ClickPostError: Any other error of `create_india`.

        """
        try:
            india = isinstance(order, IndiaOrder) or (
                not isinstance(order, WorldOrder) and is_india(order)
            )
        except InvalidRequestError as error:
            del order  # error trackers export the variables of frames that fail
            raise error.with_traceback(None) from None
        if india:
            call = self._caller.post(CREATE_INDIA, order)
        else:
            call = self._caller.post(CREATE_WORLD, order)
        del order  # as above
        return await call

    async def create_india(self, order: IndiaOrder | Mapping[str, Any]) -> CreatedOrder:
        """Create an order picked up and delivered within India.

        Equal creates of one process are sent once, and share the result. An order that an earlier
        create left in doubt is looked up first, and not sent before its settle delay has passed.

        Args:
            order: Weights in grams, lengths in centimetres, money in rupees.

        Returns:
            The order. It is `pending` when ClickPost has recorded it but its courier has not, after
            polling for the retry policy's `poll_timeout`; it is `already_placed` when the reference
            number had an order before.

        Raises:
            InvalidRequestError: A field is invalid; found before anything is sent, or by ClickPost.
                Or an order with other contents is in flight, or in doubt, under its reference
                number.
            CourierError: The courier rejected the order; `message` is the courier's.
            CredentialsError: The key or the courier account is wrong.
            NotSentError: Nothing was processed; `ThrottledError` when ClickPost requested a longer
                pause than the call may wait.
            NoReplyError, UnreadableReplyError, BusyCourierError, ServerError: outcome unknown; look
                the order up with `find_india`.

        """
        call = self._caller.post(CREATE_INDIA, order)
        del order  # error trackers export the variables of frames that fail
        return await call

    async def create_world(self, order: WorldOrder | Mapping[str, Any]) -> CreatedOrder:
        """Create an order outside India or across borders.

        Otherwise as `create_india`; `find_world` looks it up.

        Args:
            order: Weights in grams, lengths in centimetres, money in the order's `currency_code`.

        Returns:
            The order, as `create_india`.

        Raises:
            ClickPostError: The errors of `create_india`.

        """
        call = self._caller.post(CREATE_WORLD, order)
        del order  # error trackers export the variables of frames that fail
        return await call

    async def create_b2b(self, order: B2BOrder | Mapping[str, Any]) -> CreatedOrder:
        """Create a B2B order within India: boxes, invoices and an appointment.

        ClickPost places it after it has responded, unless the order's `is_async` is false. It is
        looked up by its reference number until it is placed, for at most the retry policy's
        `poll_timeout`; it is `pending` when it is not placed by then. Otherwise as `create_india`.

        Args:
            order: Weights in grams, lengths in centimetres, money in rupees.

        Returns:
            The order, as `create_india`.

        Raises:
            CourierError: The courier rejected it, also after the first response (420).
            InvalidRequestError, CredentialsError, NotSentError: as `create_india`.
            NoReplyError, UnreadableReplyError, BusyCourierError, ServerError: outcome unknown; look
                the order up with `find_b2b`.

        """
        call = self._caller.post(CREATE_B2B, order)
        del order  # error trackers export the variables of frames that fail
        return await call

    async def fetch_india(self, waybill: str, *, courier_partner: int) -> FetchedOrder:
        """Fetch an order within India by the courier's waybill.

        Args:
            waybill: The courier's number of the parcel.
            courier_partner: The courier's id in ClickPost.

        Returns:
            The order, with its waybill and label.

        Raises:
            InvalidRequestError: There is no such order (321), or an argument is wrong.
            CredentialsError: The key is wrong.

        """
        check(waybill=waybill, courier_partner=courier_partner)
        return await self._caller.get(FETCH_INDIA, {"awb": waybill, "cp_id": courier_partner})

    async def fetch_world(self, waybill: str, *, courier_partner: int) -> FetchedOrder:
        """Fetch an order outside India by the courier's waybill.

        Args:
            waybill: The courier's number of the parcel.
            courier_partner: The courier's id in ClickPost.

        Returns:
            The order, with its waybill and label.

        Raises:
            InvalidRequestError: There is no such order (321), or an argument is wrong.
            CredentialsError: The key is wrong.

        """
        check(waybill=waybill, courier_partner=courier_partner)
        return await self._caller.get(FETCH_WORLD, {"awb": waybill, "cp_id": courier_partner})

    async def find_india(self, reference_number: str) -> FetchedOrder:
        """Find an order within India by the merchant's reference number.

        Args:
            reference_number: The number that the order was created with.

        Returns:
            The order; `pending` until it is placed.

        Raises:
            InvalidRequestError: There is no such order (321), or the argument is wrong.
            CredentialsError: The key is wrong.

        """
        check(reference_number=reference_number)
        return await self._caller.get(FIND_INDIA, {"reference_number": reference_number})

    async def find_world(self, reference_number: str) -> FetchedOrder:
        """Find an order outside India by the merchant's reference number.

        Args:
            reference_number: The number that the order was created with.

        Returns:
            The order; `pending` until it is placed.

        Raises:
            InvalidRequestError: There is no such order (321), or the argument is wrong.
            CredentialsError: The key is wrong.

        """
        check(reference_number=reference_number)
        return await self._caller.get(FIND_WORLD, {"reference_number": reference_number})

    async def find_b2b(self, reference_number: str) -> FetchedOrder:
        """Find a B2B order by the merchant's reference number; `pending` until it is placed.

        Args:
            reference_number: The number that the order was created with.

        Returns:
            The order.

        Raises:
            InvalidRequestError: There is no such order (321).
            CourierError: The courier rejected it (420).

        """
        check(reference_number=reference_number)
        return await self._caller.get(FIND_B2B, {"reference_number": reference_number})

    async def edit(self, edit: OrderEdit | Mapping[str, Any]) -> EditedOrder:
        """Change an order that is not out for delivery yet; only some couriers accept it.

        Args:
            edit: The waybill, its courier, and the fields to change.

        Returns:
            ClickPost's acknowledgement; its message is in `response.message`.

        Raises:
            InvalidRequestError: A field is invalid; found before anything is sent, or by ClickPost.
            RefusedError, and its subclasses: ClickPost or the courier rejected the edit.
            NoReplyError, UnreadableReplyError, ServerError: outcome unknown; safe to retry the same
                edit.

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
            waybill: The courier's number of the parcel.
            courier_partner: The courier's id.
            account_code: The account it was created with; needed where there are several accounts
                with the courier, since ClickPost may use the wrong one otherwise (350, 352).
            manually_update_status: Whether its tracking status becomes "Cancelled" as soon as the
                courier agrees.

        Returns:
            `cancelled`, or `pending` while the courier decides.

        Raises:
            CourierError: It cannot be cancelled, or the courier has no record of it (350).
            CredentialsError: The account is not one of this courier's (351), or one of several
                (352): give its `account_code`.
            NoReplyError, UnreadableReplyError, ServerError: outcome unknown; safe to cancel again.

        """
        check(
            waybill=waybill,
            courier_partner=courier_partner,
            account_code=account_code,
            manually_update_status=manually_update_status,
        )
        return await self._caller.get(
            CANCEL,
            {
                "waybill": waybill,
                "cp_id": courier_partner,
                "account_code": account_code,
                "manually_update_status": title_case(manually_update_status),
            },
        )

    async def updated(
        self, start: datetime, end: datetime, *, page: Page | None = None
    ) -> UpdatedOrders:
        """Fetch one page of the orders that got a new status in a window of at most 1,800 seconds.

        Args:
            start: The window's start, with a time zone; truncated to the second.
            end: Its end, likewise.
            page: The `next_page` of the page before; `iter_updated` fetches all pages by itself.

        Returns:
            The updated orders, and `next_page` if there is another one.

        Raises:
            InvalidRequestError: The window is too long, or a time has no zone; nothing is sent.

        """
        return await self._caller.get(UPDATED, _UPDATES.query(start, end, page))

    def iter_updated(
        self,
        start: datetime,
        end: datetime | None = None,
        *,
        checkpoint: Checkpoint | None = None,
        overlap: timedelta = OVERLAP,
    ) -> Windows[UpdatedOrder]:
        """Iterate over every update of a span of any length, oldest window first, each once.

        ClickPost keeps the newest status of an order only: one that was replaced before it was
        fetched is not seen.

        Args:
            start: The span's start, with a time zone.
            end: Its end; now by default, and at the latest.
            checkpoint: That of an earlier run, to resume it; `start` is ignored then. No update is
                missed; some are yielded again where there are more than 256 within `overlap` and
                the window that was being read.
            overlap: How far clocks may differ, and how late ClickPost may be, without a loss.

        Returns:
            The updates, for `async for`; its `checkpoint` is up to date after every row.

        Raises:
            InvalidRequestError: A time has no zone, `overlap` is too long, or `checkpoint` belongs
                to another list; nothing is sent.

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

        Args:
            start: The first day.
            end: The last day.

        Returns:
            The count of each day.

        Raises:
            InvalidRequestError: `end` is later than that, or before `start`; nothing is sent.
            CredentialsError: The key is wrong.

        """
        problems = [
            Problem(name, "expected a date without a time of day, such as date(2026, 1, 31)")
            for name, day in (("start", start), ("end", end))
            if not isinstance(day, date) or isinstance(day, datetime)
        ]
        if not problems:
            counted = self._now().date() - _DAYS_UNTIL_COUNTED
            if end < start:
                problems.append(Problem("end", "must not be before start"))
            if end > counted:
                problems.append(
                    Problem(
                        "end",
                        "counts are published two days late; the latest available day is"
                        f" {counted}",
                    )
                )
        if problems:
            raise InvalidRequestError.of(problems)
        return await self._caller.get(
            DAILY_COUNTS, {"start-date": start.isoformat(), "end-date": end.isoformat()}
        )


def is_india(order: Mapping[str, Any]) -> bool:
    """Return whether an order has India's names in `pickup_info`, rather than the world's."""
    if not isinstance(order, Mapping):
        raise InvalidRequestError.of([not_a_mapping(order, "IndiaOrder or WorldOrder")])
    market = market_of(order)
    if market is None:
        names = "India's names (pickup_pincode …) or the world's (country_code …)"
        problem = Problem("pickup_info", f"expected an object with {names}")
        if len(order) == 1 and "pickup_info" not in order:
            # As ClickPost's document has it, or a shop's own export.
            (name,) = order
            problem = Problem(
                str(name), "give the order itself, which has pickup_info, drop_info …"
            )
        raise InvalidRequestError.of([problem])
    return market is Market.INDIA
