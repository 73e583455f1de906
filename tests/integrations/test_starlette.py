"""Applications on Starlette and FastAPI, in process: client, error responses, webhooks."""

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket

from clickpost_async import ClickPost, ClickPostError, NotSentError, RetryPolicy
from clickpost_async.integrations.starlette import (
    PushedEvent,
    clickpost_health,
    get_clickpost,
    handle_error,
    health,
    lifespan,
    webhook,
)
from clickpost_async.sandbox import Sandbox
from clickpost_async.structures import TrackingCode
from tests.helpers.scripted_transport import api_response, never_responds, placed, playing
from tests.integrations.asgi import running
from tests.sandbox.samples import india_order

TOKEN = "a-word-typed-on-the-dashboard"
PUSH = {
    "waybill": "W-1",
    "clickpost_status_code": 8,
    "timestamp": "2026-03-04T12:40:00Z",
}
ONCE = RetryPolicy(attempts=1, reconcile=False, settle_delay=7)


async def place(request: Request) -> Response:
    clickpost = await get_clickpost(request)
    created = await clickpost.orders.create(await request.json())
    return JSONResponse({"waybill": created.waybill})


def starlette(client: Callable[[], ClickPost]) -> Starlette:
    return Starlette(
        lifespan=lifespan(client),
        exception_handlers={ClickPostError: handle_error},
        routes=[
            Route("/orders", place, methods=["POST"]),
            Route("/health", health),
            Route("/clickpost-health", clickpost_health),
        ],
    )


def fastapi(client: Callable[[], ClickPost]) -> FastAPI:
    app = FastAPI(lifespan=lifespan(client), exception_handlers={ClickPostError: handle_error})
    app.include_router(router)
    app.add_route("/health", health)
    app.add_api_route("/clickpost-health", clickpost_health)
    return app


router = APIRouter()


@router.post("/orders")
async def depending(
    order: dict[str, Any], clickpost: Annotated[ClickPost, Depends(get_clickpost)]
) -> dict[str, Any]:
    created = await clickpost.orders.create(order)
    return {"waybill": created.waybill}


frameworks = pytest.mark.parametrize("make", [starlette, fastapi])


# --- the client ---------------------------------------------------------------------------------


@frameworks
@pytest.mark.asyncio
async def test_requests_share_a_client_that_lives_as_long_as_the_application(make: Any) -> None:
    opened: list[ClickPost] = []

    def client() -> ClickPost:
        opened.append(ClickPost(sandbox.username, sandbox.api_key, base_url=sandbox.base_url))
        return opened[-1]

    before = asyncio.all_tasks()
    async with Sandbox() as sandbox:
        async with running(make(client)) as http:
            responses = await asyncio.gather(
                *(http.post("/orders", json=india_order(f"PEN-{number}")) for number in range(20))
            )
            (clickpost,) = opened
            assert clickpost.stats().calls == 20
            assert clickpost.stats().connections > 0
        assert clickpost.stats().connections == 0
        async with asyncio.timeout(60):
            while sandbox.traffic.open_connections:  # noqa: ASYNC110 - it lives on a thread
                await asyncio.sleep(0.005)

    assert {response.status_code for response in responses} == {200}
    assert {(response.json()["waybill"],) for response in responses} == set(
        sandbox.ledger().values()
    )
    with pytest.raises(NotSentError, match="closed"):
        await clickpost.health()
    assert asyncio.all_tasks() == before


@pytest.mark.asyncio
async def test_custom_lifespan_enters_it_and_passes_on_its_state() -> None:
    messages: list[str] = []

    @asynccontextmanager
    async def own(app: Starlette) -> AsyncIterator[dict[str, Any]]:
        async with lifespan(lambda: playing([placed("W-9")]))(app) as state:
            messages.append(repr(state["clickpost"]))
            yield {**state, "shop": "Lotus"}

    async def both(request: Request) -> Response:
        clickpost = await get_clickpost(request)
        created = await clickpost.orders.create(india_order("R-1"))
        return JSONResponse([created.waybill, request.state.shop])

    async with running(Starlette(lifespan=own, routes=[Route("/", both)])) as http:
        assert (await http.get("/")).json() == ["W-9", "Lotus"]
    assert messages == ["ClickPost(max_concurrency=100)"]


@pytest.mark.asyncio
async def test_client_may_be_made_by_a_context_manager() -> None:
    messages: list[str] = []

    @asynccontextmanager
    async def client() -> AsyncIterator[ClickPost]:
        messages.append("a limiter is opened")
        async with playing([placed()]) as clickpost:
            yield clickpost
        messages.append("and closed")

    async with running(Starlette(lifespan=lifespan(client), routes=[Route("/", health)])) as http:
        assert (await http.get("/")).status_code == 200
        assert messages == ["a limiter is opened"]
    assert messages == ["a limiter is opened", "and closed"]


@pytest.mark.parametrize("child", [starlette, fastapi])
@pytest.mark.asyncio
async def test_mounted_application_has_the_client_of_the_one_it_is_mounted_in(child: Any) -> None:
    # A mounted application's own lifespan is not run.
    inner = child(lambda: pytest.fail("no client may be opened here"))
    outer = Starlette(
        lifespan=lifespan(lambda: playing([placed("W-7")])), routes=[Mount("/shop", inner)]
    )

    async with running(outer) as http:
        response = await http.post("/shop/orders", json=india_order("R-1"))

    assert response.json() == {"waybill": "W-7"}


@frameworks
@pytest.mark.asyncio
async def test_application_without_the_lifespan_is_an_error_with_advice(make: Any) -> None:
    app = make(lambda: pytest.fail("it must not be started"))
    unstarted = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=unstarted, base_url="http://shop.test") as http:
        with pytest.raises(RuntimeError, match=r"make it with lifespan=lifespan\("):
            await http.post("/orders", json=india_order("R-1"))


@pytest.mark.asyncio
async def test_websocket_has_the_client_too() -> None:
    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        created = await (await get_clickpost(socket)).orders.create(india_order("R-1"))
        await socket.send_text(str(created.waybill))

    app = Starlette(routes=[WebSocketRoute("/", talk)])
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    async with lifespan(lambda: playing([placed("W-8")]))(app) as state:
        scope = {"type": "websocket", "path": "/", "headers": [], "state": state}
        await app(scope, receive, send)

    assert [message.get("text") for message in sent] == [None, "W-8"]


@pytest.mark.asyncio
async def test_test_puts_another_client_in_its_place() -> None:
    app = fastapi(lambda: pytest.fail("no client may be opened here"))

    async def played() -> ClickPost:
        return playing([placed("W-5")])

    app.dependency_overrides[get_clickpost] = played
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop.test") as http:
        assert (await http.post("/orders", json=india_order("R-1"))).json() == {"waybill": "W-5"}


@pytest.mark.fault("X09")
def test_every_event_loop_that_serves_an_application_has_a_client_of_its_own() -> None:
    opened: list[ClickPost] = []
    waybills: list[str] = []

    def client() -> ClickPost:
        opened.append(ClickPost(sandbox.username, sandbox.api_key, base_url=sandbox.base_url))
        return opened[-1]

    async def serve(name: str) -> None:
        async with running(app) as http:
            met.wait(10)
            response = await http.post("/orders", json=india_order(f"PEN-{name}"))
            met.wait(10)
            waybills.append(response.json()["waybill"])

    app = starlette(client)
    met = threading.Barrier(3)
    sandbox = Sandbox()
    sandbox.start()
    threads = [threading.Thread(target=asyncio.run, args=(serve(name),)) for name in "ABC"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    sandbox.stop()

    assert len({id(clickpost) for clickpost in opened}) == 3
    assert [clickpost.stats().calls for clickpost in opened] == [1, 1, 1]
    assert {(waybill,) for waybill in waybills} == set(sandbox.ledger().values())
    sandbox.close()


# --- responses ----------------------------------------------------------------------------------


@frameworks
@pytest.mark.asyncio
async def test_error_response_states_the_outcome(make: Any) -> None:
    words = "the courier's own words"
    play = [
        api_response(319, words),
        api_response(353, words),
        api_response(322, words),
        # The last one: the others wait for it.
        httpx.Response(429, headers={"Retry-After": "12"}),
    ]
    async with running(make(lambda: playing(play, retry=ONCE))) as http:
        wrong = await http.post(
            "/orders", json=india_order("R-0", shipment_details__order_type="CASH")
        )
        responses = [await http.post("/orders", json=india_order(f"R-{n}")) for n in (1, 2, 3, 4)]

    assert wrong.status_code == 422
    (problem,) = wrong.json()["problems"]
    assert problem["path"] == "shipment_details.order_type"
    assert [
        (response.status_code, response.json()["outcome"], response.headers.get("Retry-After"))
        for response in responses
    ] == [
        (409, "rejected", None),
        (500, "rejected", None),
        (504, "unknown", "7"),
        (503, "not sent", "12"),
    ]
    assert [response.json()["reference_number"] for response in responses] == [
        "R-1",
        "R-2",
        "R-3",
        "R-4",
    ]
    assert words not in "".join(response.text for response in responses)


@pytest.mark.asyncio
async def test_other_errors_are_not_handled() -> None:
    async def fails(request: Request) -> Response:
        raise LookupError(request.url.path)

    app = Starlette(exception_handlers={Exception: handle_error}, routes=[Route("/", fails)])
    async with running(app, raises=True) as http:
        with pytest.raises(LookupError):
            await http.get("/")


@frameworks
@pytest.mark.asyncio
async def test_health_shows_load_without_a_request(make: Any) -> None:
    async with running(make(lambda: playing([never_responds]))) as http:
        idle = (await http.get("/health")).json()
        call = asyncio.create_task(http.post("/orders", json=india_order("R-1")))
        for _ in range(1000):
            await asyncio.sleep(0)
            busy = (await http.get("/health")).json()
            if busy != idle:
                break
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)

    assert idle == {"in_flight": 0, "queued": 0}
    assert busy == {"in_flight": 1, "queued": 0}


@frameworks
@pytest.mark.parametrize(
    ("line", "status"),
    [
        (api_response(200), 200),
        (api_response(404, "no such pincode"), 200),
        (api_response(301, "a wrong key"), 503),
        (httpx.ConnectError("refused"), 503),
    ],
)
@pytest.mark.asyncio
async def test_health_check_is_cached_and_returns_no_details(
    make: Any, line: Any, status: int
) -> None:
    clickpost = playing([line])
    async with running(make(lambda: clickpost)) as http:
        response = await http.get("/clickpost-health")

    assert (response.status_code, response.json()) == (status, {"ready": status == 200})
    assert clickpost.stats().attempts == 1


# --- webhooks -----------------------------------------------------------------------------------


class Hooked:
    """An application that takes pushes, and what it was handed over."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []
        self.fails = False
        self.app = Starlette(
            lifespan=lifespan(lambda: playing([placed()])),
            routes=[Route("/hook", webhook(self.handle, token=TOKEN), methods=["POST"])],
        )

    async def handle(self, event: PushedEvent, request: Request) -> None:
        assert isinstance(await get_clickpost(request), ClickPost)
        if self.fails:
            raise LookupError("set to fail")
        self.events.append((event.subject, event.clickpost_status_code))


@pytest.mark.asyncio
async def test_push_is_handed_over_as_a_typed_event_with_its_request() -> None:
    hooked = Hooked()
    async with running(hooked.app) as http:
        assert (await http.get("/hook")).status_code == 405
        assert (await http.post("/hook", json=PUSH)).status_code == 401
        responses = [
            await http.post("/hook", json=PUSH, headers={"webhook_key": TOKEN}) for _ in range(2)
        ]

    assert [response.status_code for response in responses] == [200, 200]
    assert hooked.events == [("W-1", TrackingCode.DELIVERED)]


@pytest.mark.asyncio
async def test_handler_that_fails_has_the_event_pushed_again() -> None:
    hooked = Hooked()
    async with running(hooked.app) as http:
        hooked.fails = True
        assert (
            await http.post("/hook", json=PUSH, headers={"webhook_key": TOKEN})
        ).status_code == 500
        hooked.fails = False
        assert (
            await http.post("/hook", json=PUSH, headers={"webhook_key": TOKEN})
        ).status_code == 200

    assert hooked.events == [("W-1", TrackingCode.DELIVERED)]


@pytest.mark.asyncio
async def test_sender_that_disconnects_during_a_push_causes_no_crash() -> None:
    hooked = Hooked()
    messages = iter(
        [
            {"type": "http.request", "body": json.dumps(PUSH).encode()[:9], "more_body": True},
            {"type": "http.disconnect"},
        ]
    )
    sent: list[Any] = []

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/hook",
        "query_string": b"",
        "headers": [(b"webhook_key", TOKEN.encode())],
    }
    await hooked.app(scope, receive, send)

    assert hooked.events == []
    assert sent[0]["status"] == 400


@pytest.mark.parametrize("room", ["starlette", "litestar"])
def test_missing_framework_names_what_to_install(room: str) -> None:
    script = (
        f"import sys; sys.modules['{room}'] = None\n"
        f"try: import clickpost_async.integrations.{room}\n"
        "except ImportError as error: print(error)"
    )
    messages = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=300
    )
    assert messages.stdout.strip().endswith(f"pip install {room}")


def test_starlette_is_enough() -> None:
    script = (
        "import sys; sys.modules['fastapi'] = sys.modules['pydantic'] = None\n"
        "import clickpost_async.integrations.starlette as it; print(it.lifespan.__name__)"
    )
    messages = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=300
    )
    assert messages.stdout == "lifespan\n"
