"""Never run: how type checkers see the public surface.

Every `type: ignore` here is a mistake that a user could make; a checker that stops telling of it
makes the comment unused, which is an error.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, assert_type

import httpx
from attrs import frozen
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from clickpost_async import (
    BodyStyle,
    ClickPost,
    ClickPostError,
    Get,
    Hosts,
    Idempotency,
    IndiaOrder,
    InvalidRequestError,
    Outcome,
    Post,
    Priority,
    Problem,
    Rate,
    ResponseInfo,
    RetryPolicy,
    ThrottledError,
    Timeouts,
    WorldOrder,
    structure,
)
from clickpost_async.integrations.starlette import (
    InMemoryEventStore,
    PushedEvent,
    get_clickpost,
    handle_error,
    health,
    lifespan,
    webhook,
)
from clickpost_async.structures import (
    B2BOrder,
    ChildShipment,
    CreatedOrder,
    FetchedOrder,
    IndiaDrop,
    IndiaPickup,
    IndiaShipment,
    Item,
    OrderType,
    PincodePair,
    ResponseModel,
    SecurityKey,
    Track,
)
from clickpost_async.webhooks import ReturnEvent, TrackingEvent


async def create(
    clickpost: ClickPost, india: IndiaOrder, world: WorldOrder, plain: Mapping[str, Any]
) -> None:
    assert_type(await clickpost.orders.create(india), CreatedOrder)
    assert_type(await clickpost.orders.create(world), CreatedOrder)
    assert_type(await clickpost.orders.create(plain), CreatedOrder)
    assert_type(await clickpost.orders.create_india(india), CreatedOrder)
    assert_type(await clickpost.orders.create_world(plain), CreatedOrder)

    await clickpost.orders.create_india(world)  # type: ignore[arg-type]
    await clickpost.orders.create_world(india)  # type: ignore[arg-type]
    await clickpost.orders.create("order")  # type: ignore[arg-type]
    await clickpost.orders.create()  # type: ignore[call-arg]

    many = await asyncio.gather(*(clickpost.orders.create(order) for order in [india, india]))
    assert_type(many, list[CreatedOrder])


async def look_up(clickpost: ClickPost) -> None:
    assert_type(await clickpost.orders.fetch_india("W1", courier_partner=4), FetchedOrder)
    assert_type(await clickpost.orders.fetch_world("W1", courier_partner=4), FetchedOrder)
    assert_type(await clickpost.orders.find_india("order-1"), FetchedOrder)
    assert_type(await clickpost.orders.find_world("order-1"), FetchedOrder)

    await clickpost.orders.fetch_india("W1", 4)  # type: ignore[call-arg]
    await clickpost.orders.fetch_india("W1")  # type: ignore[call-arg]
    await clickpost.orders.fetch_india("W1", courier_partner="4")  # type: ignore[arg-type]
    await clickpost.orders.find_india(1001)  # type: ignore[arg-type]


async def serviceability(clickpost: ClickPost, order: B2BOrder, pair: PincodePair) -> None:
    assert_type(await clickpost.orders.create_b2b(order), CreatedOrder)
    assert_type(await clickpost.orders.find_b2b("order-1"), FetchedOrder)
    check = await clickpost.serviceability.check("560034", order_type="COD")
    assert_type(check.serviceable, bool)
    options = await clickpost.serviceability.options("380009", "560034", weight_kg=0.5)
    assert_type(options[0].committed_sla, int | None)
    pincodes = await clickpost.serviceability.pincodes(4, account_code="main")
    assert_type(pincodes.drop, Mapping[str, Sequence[str]])
    predictions = await clickpost.delivery.predict([pair, {"pickup_pincode": "380009"}])
    assert_type(predictions[0].days_with(4), tuple[int, int] | None)

    await clickpost.serviceability.options("380009")  # type: ignore[call-arg]
    await clickpost.orders.create_b2b("order")  # type: ignore[arg-type]


async def track(clickpost: ClickPost) -> None:
    assert_type(await clickpost.tracking.security_key("W1", courier_partner=4), SecurityKey)
    assert_type(await clickpost.tracking.security_key(reference_number="R"), SecurityKey)
    async for outcome in clickpost.tracking.iter_track(iter(["W1"]), courier_partner=4):
        assert_type(outcome.track, Track | None)
        assert_type(outcome.error, ClickPostError | None)

    await clickpost.tracking.security_key("W1")  # type: ignore[call-overload]
    await clickpost.labels.fetch("W1", courier_partner=4, regenerate=True)  # type: ignore[call-arg]


def read(order: CreatedOrder) -> None:
    assert_type(order.waybill, str | None)
    assert_type(order.order_id, int | None)
    assert_type(order.children, Sequence[ChildShipment])
    assert_type(order.pending, bool)
    assert_type(order.already_placed, bool)
    assert_type(order.response, ResponseInfo)
    assert_type(order.response.status, int | None)
    order.response.seconds.hex()

    order.waybill.upper()  # type: ignore[union-attr]
    order.waybill = "W1"  # type: ignore[misc]
    order.awb  # type: ignore[attr-defined]  # noqa: B018


def make(pickup: IndiaPickup, drop: IndiaDrop, shipment: IndiaShipment) -> None:
    order = IndiaOrder(pickup_info=pickup, drop_info=drop, shipment_details=shipment)
    assert_type(order.shipment_details.order_type, OrderType)
    assert_type(order.reference_number, str)
    Item(description="shirt", quantity=1, price=450.5, weight=200)

    IndiaOrder(pickup, drop, shipment)  # type: ignore[call-arg, arg-type]
    IndiaOrder(pickup_info=pickup, drop_info=drop)  # type: ignore[call-arg]
    IndiaOrder(pickup_info=drop, drop_info=drop, shipment_details=shipment)  # type: ignore[arg-type]
    Item(description="shirt", quantity="1", price=1, weight=1)  # type: ignore[arg-type]


def convert(plain: Mapping[str, Any]) -> None:
    assert_type(structure(plain, IndiaOrder), IndiaOrder)
    assert_type(structure(plain, WorldOrder), WorldOrder)


def configure() -> None:
    ClickPost(
        "acme",
        "not-a-real-key",
        rate=Rate(10),
        retry=RetryPolicy(attempts=3),
        timeouts=Timeouts(create=45),
        max_concurrency=50,
        base_url="http://127.0.0.1:8000/api",
        body_style=BodyStyle.RAW_BODY,
        transport="httptools",
    )
    ClickPost(transport=httpx.AsyncHTTPTransport())
    ClickPost(username="acme", api_key="not-a-real-key", rate=10)
    ClickPost(rate=2.5)
    ClickPost(rate="600/60s")
    ClickPost(hosts=Hosts.at("http://sandbox:8000/api", allow_http=True))
    assert_type(ClickPost(), ClickPost)
    assert_type(ClickPost().with_options(deadline=5), ClickPost)
    ClickPost().with_options(priority=Priority.BULK, retry=RetryPolicy.never())

    ClickPost("acme", "not-a-real-key", "https://acme.example")  # type: ignore[call-arg]
    ClickPost(hosts="https://acme.example")  # type: ignore[arg-type]
    ClickPost(retry=3)  # type: ignore[arg-type]
    ClickPost(timeouts=5)  # type: ignore[arg-type]
    ClickPost(max_concurrency="5")  # type: ignore[arg-type]
    ClickPost(body_style="plain")  # type: ignore[arg-type]
    ClickPost(transport="curl")  # type: ignore[arg-type]
    ClickPost(observers=print)  # type: ignore[arg-type]
    ClickPost(ratez=10)  # type: ignore[call-arg]
    Timeouts(5)  # type: ignore[call-arg]


async def rotate() -> str:
    return "not-a-real-key"


def rotating() -> None:
    ClickPost("acme", rotate)
    ClickPost("acme", lambda: "not-a-real-key")

    ClickPost("acme", 5)  # type: ignore[arg-type]
    ClickPost("acme", lambda: 5)  # type: ignore[arg-type, return-value]


async def enter() -> None:
    async with ClickPost() as clickpost:
        assert_type(clickpost, ClickPost)

    with ClickPost():  # type: ignore[attr-defined]
        pass


@frozen(kw_only=True, repr=False)
class Weather(ResponseModel):
    """A response of a custom endpoint."""

    degrees: float | None = None


async def escape(clickpost: ClickPost) -> None:
    ask = Get("/v9/weather/", returns=Weather, idempotency=Idempotency.SAFE)
    report = Post("/v9/weather/", returns=Weather, idempotency=Idempotency.UNSAFE)
    assert_type(await clickpost.get(ask, {"city": "Pune"}), Weather)
    assert_type(await clickpost.post(report, {"city": "Pune"}), Weather)

    await clickpost.get(report)  # type: ignore[arg-type]
    Get("/v9/weather/", returns=Weather)  # type: ignore[call-arg]
    Get("/v9/weather/", returns=dict, idempotency=Idempotency.SAFE)  # type: ignore[type-var]


async def handle(event: PushedEvent, request: Request) -> None:
    assert_type(event, TrackingEvent | ReturnEvent)
    assert_type(await get_clickpost(request), ClickPost)


async def handle_nothing() -> None: ...


def serve() -> None:
    Starlette(
        lifespan=lifespan(ClickPost),
        exception_handlers={ClickPostError: handle_error},
        routes=[
            Route("/health", health),
            Route("/hook", webhook(handle, token=["old", "new"]), methods=["POST"]),
        ],
    )
    FastAPI(lifespan=lifespan(ClickPost))
    webhook(handle, token="word", seen=InMemoryEventStore(max_events=100))

    lifespan(ClickPost())  # type: ignore[arg-type]
    webhook(handle)  # type: ignore[call-arg]
    webhook(handle_nothing, token="word")  # type: ignore[arg-type]


def catch(error: ClickPostError) -> None:
    assert_type(error.outcome, Outcome)
    assert_type(error.transient, bool)
    assert_type(error.status, int | None)
    assert_type(error.reference_number, str | None)
    assert_type(error.advice, str)
    if isinstance(error, ThrottledError):
        assert_type(error.retry_after, float | None)
    if isinstance(error, InvalidRequestError):
        assert_type(error.problems, tuple[Problem, ...])
