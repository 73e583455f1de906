"""Create and fetch orders, as ClickPost does."""

from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
from attrs import define, field, frozen

from clickpost_async.sandbox.api import order_summary, params, validation
from clickpost_async.sandbox.api.b2b import VERSION as B2B
from clickpost_async.sandbox.api.b2b import check as check_b2b
from clickpost_async.sandbox.api.labels import address
from clickpost_async.sandbox.api.responses import ResponseBuilder
from clickpost_async.sandbox.api.validation import INDIA, WORLD, Booking
from clickpost_async.sandbox.operation import (
    Auth,
    Operation,
    ReceivedCall,
    RefusalError,
    Reply,
    refusal,
)
from clickpost_async.sandbox.store.orders import Order, OrderStore, State
from clickpost_async.sandbox.store.parcels import ParcelStore
from clickpost_async.sandbox.world import scenarios, tracking_codes


@frozen(kw_only=True)
class OrderBehaviour:
    """How couriers and ClickPost behave towards an order."""

    courier_seconds: float
    async_polls: int
    racy: bool


@define
class Orders:
    """The chapter of order creation."""

    book: OrderStore
    parcels: ParcelStore
    shapes: ResponseBuilder
    manners: OrderBehaviour
    _turns: dict[str, anyio.Lock] = field(factory=dict, init=False)
    _waiting: Counter[str] = field(factory=Counter, init=False)

    def operations(self) -> tuple[Operation, ...]:
        """Return this chapter's rows of the table."""
        v3, v4 = "/v3/create-order/", "/v4/create-order/"
        read = Auth.KEY_AT_LEAST
        # ClickPost's example of a rejected v4 order has HTTP 400, all others have 200.
        bad = {400: 400}
        b2b = "/v1/create-b2b-order/"
        return (
            Operation("orders.create_b2b", "POST", b2b, self.create_b2b),
            Operation("orders.find_b2b", "GET", b2b, self.find_b2b),
            Operation("orders.create_india", "POST", v3, self.create_india),
            Operation("orders.create_world", "POST", v4, self.create_world, Auth.BOTH, bad),
            Operation("orders.fetch_india", "GET", v3, self.fetch, read),
            Operation("orders.fetch_world", "GET", v4, self.fetch, read, bad),
        )

    async def create_india(self, call: ReceivedCall) -> Reply:
        """Create an order within India."""
        return await self._create(validation.check(call, INDIA))

    async def create_world(self, call: ReceivedCall) -> Reply:
        """Create an order elsewhere, or across borders."""
        return await self._create(validation.check(call, WORLD))

    async def create_b2b(self, call: ReceivedCall) -> Reply:
        """Create a B2B order, which is placed later unless its `is_async` is false."""
        return await self._create(check_b2b(call))

    async def find_b2b(self, call: ReceivedCall) -> Reply:
        """Return a B2B order by its reference: this is how it is polled."""
        params.required(call.query, "reference_number")
        order = self.book.find(call.query["reference_number"])
        if order is None or order.version != B2B:
            return refusal(321)
        if order.state is State.QUEUED:
            unfinished = self._progress(order, call.origin)
            if unfinished is not None:
                return unfinished
            order = self.book.known(order.reference_number)
        if order.state is State.REFUSED:
            failure = self._refused_by_courier(order, _checked(order, call.origin))
            return refusal(321) if failure is None else failure
        return self.shapes.placed_b2b(order)

    async def fetch(self, call: ReceivedCall) -> Reply:
        """Return an order by its waybill and courier, or by its reference."""
        reference = call.query.get("reference_number")
        waybill, courier_partner = call.query.get("awb"), call.query.get("cp_id")
        if reference:
            order = self.book.find(reference)
            shape = self.shapes.found
        elif waybill and courier_partner:
            if not courier_partner.isdecimal():
                raise RefusalError(302)
            order = self.book.find_waybill(waybill, int(courier_partner))
            shape = self.shapes.fetched
        else:
            raise RefusalError(400, "awb and cp_id, or reference_number, are mandatory")
        if order is not None and order.state is State.QUEUED:
            unfinished = self._progress(order, call.origin)
            if unfinished is not None:
                return unfinished
            order = self.book.known(order.reference_number)
        if order is None or order.state is State.REFUSED:
            return refusal(321)
        return shape(order)

    async def _create(self, booking: Booking) -> Reply:
        if self.manners.racy:
            return await self._book(booking)
        async with self._turn(booking.reference_number):
            return await self._book(booking)

    @asynccontextmanager
    async def _turn(self, reference: str) -> AsyncGenerator[None, None]:
        """Let one call at a time decide about a reference: check and courier are one step."""
        self._waiting[reference] += 1
        try:
            async with self._turns.setdefault(reference, anyio.Lock()):
                yield
        finally:
            self._waiting[reference] -= 1
            if not self._waiting[reference]:
                del self._waiting[reference], self._turns[reference]

    async def _book(self, booking: Booking) -> Reply:
        reference = booking.reference_number
        known = self.book.find(reference)
        if known is not None and known.state is not State.REFUSED:
            return self._again(known, booking)
        if booking.awb_number is not None and self.parcels.find(
            booking.awb_number, booking.courier_partner
        ):
            return refusal(303)
        order = self.book.attempt(
            reference,
            version=booking.version,
            body=booking.body,
            courier_partner=booking.courier_partner,
            account_code=booking.account_code,
        )
        if booking.asynchronous:
            self.book.queue(order)
            return self.shapes.accepted(order)
        failure = self._refused_by_courier(order, booking)
        if failure is not None:
            await anyio.sleep(self.manners.courier_seconds)
            return failure
        return self.shapes.placed(await self._buy(order, booking), booking.version)

    def _again(self, known: Order, booking: Booking) -> Reply:
        """Respond to a create of an order that is queued or placed."""
        if known.state is State.PLACED:
            return self.shapes.duplicate(known, booking.version)
        if booking.version == B2B:
            # It is polled with the look-up.
            return self.shapes.pending(known)
        unfinished = self._progress(known, booking.origin)
        done = self.book.known(known.reference_number)
        return unfinished or self.shapes.placed(done, booking.version)

    def _progress(self, order: Order, origin: str) -> Reply | None:
        """Respond for a queued order, or finish it and return None."""
        if order.polls < self.manners.async_polls:
            self.book.poll(order)
            return self.shapes.pending(order)
        booking = _checked(order, origin)
        failure = self._refused_by_courier(order, booking)
        if failure is None:
            self._buy_and_place(order, booking)
            return None
        self.book.ask_again(order)
        if failure.status not in scenarios.PASSING:
            self.book.give_up(order)
        return failure

    def _refused_by_courier(self, order: Order, booking: Booking) -> Reply | None:
        try:
            scenarios.ask_courier(booking.reference_number, booking.drop_pincode, order.attempts)
        except RefusalError as no:
            # What an order of this kind fails with after it was taken.
            late = order.version == B2B and booking.asynchronous and no.status == 319
            return self.shapes.failed(order, 420 if late else no.status, no.message)
        return None

    async def _buy(self, order: Order, booking: Booking) -> Order:
        if not self.manners.racy:
            await anyio.sleep(self.manners.courier_seconds)
            return self._buy_and_place(order, booking)
        waybill = self._buy_label(order, booking)
        await anyio.sleep(self.manners.courier_seconds)
        return self._place(order, booking, waybill)

    def _buy_and_place(self, order: Order, booking: Booking) -> Order:
        with self.book.together():
            return self._place(order, booking, self._buy_label(order, booking))

    def _buy_label(self, order: Order, booking: Booking) -> str:
        bought = len(self.book.bought(order.reference_number))
        waybill = booking.awb_number or self.shapes.waybill(order, bought)
        self.book.buy(order.reference_number, waybill)
        return waybill

    def _place(self, order: Order, booking: Booking, waybill: str) -> Order:
        label = address(booking.origin, waybill) if booking.wants_label else None
        payload = order.payload
        self.parcels.open(
            first_scan=tracking_codes.PLACED,
            waybill=waybill,
            courier_partner=order.courier_partner,
            account_code=order.account_code,
            reference_number=order.reference_number,
            tracking_id=self.shapes.tracking_id(order),
            security_key=self.shapes.security_key(order),
            kind=booking.kind,
            ordered=True,
            order_type=booking.order_type,
            cod_value=booking.cod_value,
            details=order_summary.of_order(payload, order.version),
        )
        return self.book.place(order, waybill=waybill, label=label)


def _checked(order: Order, origin: str) -> Booking:
    """Return what was booked by an order that was taken earlier."""
    call = ReceivedCall(query={}, body=order.body, payload=order.payload, url=origin)
    return check_b2b(call) if order.version == B2B else validation.check(call, order.version)
