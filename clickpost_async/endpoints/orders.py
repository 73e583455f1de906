"""Create, fetch and find orders.

Creating an order buys a courier's label. ClickPost recognises a repeated order by its reference
number and answers 323 with the first one, so a create is repeated under the same number only.
"""

from collections.abc import Mapping
from typing import Any

from clickpost_async._codec.endpoint import Get, Idempotency, Post
from clickpost_async._codec.envelope import order_of
from clickpost_async.endpoints._base import check
from clickpost_async.endpoints.management import Management
from clickpost_async.errors import InvalidRequestError, Problem
from clickpost_async.structures import CreatedOrder, FetchedOrder, IndiaOrder, WorldOrder
from clickpost_async.structures._base import not_a_mapping
from clickpost_async.structures._market import Market, market_of
from clickpost_async.structures.b2b import B2BOrder

_CREATED = {200, 202, 102, 323}

FETCH_INDIA = Get(
    "/v3/create-order/",
    name="orders.fetch_india",
    returns=FetchedOrder,
    accepts_meta=order_of,
    accepts=_CREATED,
    idempotency=Idempotency.SAFE,
)
FETCH_WORLD = Get(
    "/v4/create-order/",
    name="orders.fetch_world",
    returns=FetchedOrder,
    accepts_meta=order_of,
    accepts=_CREATED,
    idempotency=Idempotency.SAFE,
)
# The look-up by reference number is documented for v3 only, as "globally supported".
FIND_INDIA = Get(
    "/v3/create-order/",
    name="orders.find_india",
    returns=FetchedOrder,
    accepts_meta=order_of,
    accepts=_CREATED,
    idempotency=Idempotency.SAFE,
)
FIND_WORLD = Get(
    "/v4/create-order/",
    name="orders.find_world",
    returns=FetchedOrder,
    accepts_meta=order_of,
    accepts=_CREATED,
    idempotency=Idempotency.SAFE,
)
CREATE_INDIA = Post(
    "/v3/create-order/",
    name="orders.create_india",
    takes=IndiaOrder,
    returns=CreatedOrder,
    accepts_meta=order_of,
    accepts=_CREATED,
    idempotency=Idempotency.BY_REFERENCE,
    found_by=FIND_INDIA,
)
CREATE_WORLD = Post(
    "/v4/create-order/",
    name="orders.create_world",
    takes=WorldOrder,
    returns=CreatedOrder,
    accepts_meta=order_of,
    accepts=_CREATED,
    idempotency=Idempotency.BY_REFERENCE,
    found_by=FIND_WORLD,
)
FIND_B2B = Get(
    "/v1/create-b2b-order/",
    name="orders.find_b2b",
    returns=FetchedOrder,
    accepts_meta=order_of,
    accepts=_CREATED,
    idempotency=Idempotency.SAFE,
)
# ClickPost's guide polls with the look-up; whether a repeated B2B order is recognised it leaves
# open, so none is sent again before a look-up has not found it.
CREATE_B2B = Post(
    "/v1/create-b2b-order/",
    name="orders.create_b2b",
    takes=B2BOrder,
    returns=CreatedOrder,
    accepts_meta=order_of,
    accepts=_CREATED,
    idempotency=Idempotency.BY_REFERENCE,
    found_by=FIND_B2B,
    polls_by_lookup=True,
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
)


class Orders(Management):
    """`clickpost.orders`."""

    async def create(self, order: IndiaOrder | WorldOrder | Mapping[str, Any]) -> CreatedOrder:
        """Create an order with the endpoint that its shape belongs to.

        A plain mapping is India's if its `pickup_info` has India's names (`pickup_pincode`), and
        the world's if it has the world's (`country_code`). Raises as `create_india` does.
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

        Weights are in grams, lengths in centimetres, money in rupees. The answer is `pending` when
        ClickPost has recorded the order but its courier has not, after it was polled for as long as
        the retry policy says; `already_placed` when the reference number had an order before.

        Equal creates of one process are sent once, and share the result. One that an earlier create
        left in doubt is looked up first, and not sent before its settle delay has passed.

        Raises:
            InvalidRequestError: a field is wrong; found here, before anything is sent, or there. Or
                an order with other contents is under way, or in doubt, under its reference number.
            CourierError: the courier refused, in its own words.
            CredentialsError: the key or the courier account is wrong.
            NotSentError: nothing was processed; `ThrottledError` when ClickPost has asked for a
                longer pause than the call may wait.
            NoReplyError, UnreadableReplyError, BusyCourierError, ServerError: nobody knows whether
                the order was placed; look it up with `find_india`.

        """
        call = self._caller.post(CREATE_INDIA, order)
        del order  # error trackers export the variables of frames that fail
        return await call

    async def create_world(self, order: WorldOrder | Mapping[str, Any]) -> CreatedOrder:
        """Create an order outside India or across borders; otherwise as `create_india`."""
        call = self._caller.post(CREATE_WORLD, order)
        del order  # error trackers export the variables of frames that fail
        return await call

    async def create_b2b(self, order: B2BOrder | Mapping[str, Any]) -> CreatedOrder:
        """Create a B2B order within India: boxes, invoices and an appointment.

        ClickPost places it after it has responded, unless the order's `is_async` is false. It is
        looked up by its reference number until it is placed, for as long as the retry policy says;
        the response is `pending` when it is not placed by then. Otherwise as `create_india`.

        Raises:
            CourierError: the courier refused, also later on (420).
            InvalidRequestError, CredentialsError, NotSentError: as `create_india`.
            NoReplyError, UnreadableReplyError, BusyCourierError, ServerError: the outcome is
                unknown; look the order up with `find_b2b`.

        """
        call = self._caller.post(CREATE_B2B, order)
        del order  # error trackers export the variables of frames that fail
        return await call

    async def fetch_india(self, waybill: str, *, courier_partner: int) -> FetchedOrder:
        """Fetch an order within India by the courier's waybill."""
        check(waybill=waybill, courier_partner=courier_partner)
        return await self._caller.get(FETCH_INDIA, {"awb": waybill, "cp_id": courier_partner})

    async def fetch_world(self, waybill: str, *, courier_partner: int) -> FetchedOrder:
        """Fetch an order outside India by the courier's waybill."""
        check(waybill=waybill, courier_partner=courier_partner)
        return await self._caller.get(FETCH_WORLD, {"awb": waybill, "cp_id": courier_partner})

    async def find_india(self, reference_number: str) -> FetchedOrder:
        """Find an order within India by the merchant's reference number.

        Raises `InvalidRequestError` (321) when ClickPost knows none.
        """
        check(reference_number=reference_number)
        return await self._caller.get(FIND_INDIA, {"reference_number": reference_number})

    async def find_world(self, reference_number: str) -> FetchedOrder:
        """Find an order outside India by the merchant's reference number.

        Raises `InvalidRequestError` (321) when ClickPost knows none.
        """
        check(reference_number=reference_number)
        return await self._caller.get(FIND_WORLD, {"reference_number": reference_number})

    async def find_b2b(self, reference_number: str) -> FetchedOrder:
        """Find a B2B order by the merchant's reference number; `pending` until it is placed.

        Raises:
            InvalidRequestError: ClickPost knows none (321).
            CourierError: the courier refused it (420).

        """
        check(reference_number=reference_number)
        return await self._caller.get(FIND_B2B, {"reference_number": reference_number})


def is_india(order: Mapping[str, Any]) -> bool:
    """Tell India's order from the world's by the names in `pickup_info` and `drop_info`."""
    if not isinstance(order, Mapping):
        raise InvalidRequestError.of([not_a_mapping(order, "IndiaOrder or WorldOrder")])
    market = market_of(order)
    if market is None:
        raise InvalidRequestError.of(
            [
                Problem(
                    "pickup_info",
                    "an object is needed with India's names (pickup_pincode …)"
                    " or the world's (country_code …)",
                )
            ]
        )
    return market is Market.INDIA
