"""An application on uvicorn with several workers, at a sandbox on its port, and its shutdown."""

import asyncio
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from clickpost_async.sandbox import Sandbox, WebhookDelivery
from tests.helpers.redis_server import RedisServer
from tests.integrations.servers import http_client, serving
from tests.sandbox.samples import india_order
from tests.test_personal_data import leaks as shows_person
from tests.test_personal_data import order as personal_order
from tests.test_secrets import CANARY
from tests.test_secrets import leaks as shows_key

TOKEN = "new-word"


@pytest.fixture
def notes() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest_asyncio.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(api_key=CANARY) as sandbox:
        yield sandbox


def environ(sandbox: Sandbox, notes: RedisServer, **more: str) -> dict[str, str]:
    return {
        "CLICKPOST_USERNAME": sandbox.username,
        "CLICKPOST_API_KEY": sandbox.api_key,
        "CLICKPOST_BASE_URL": sandbox.base_url,
        "NOTES_URL": notes.url,
        **more,
    }


async def gone(sandbox: Sandbox) -> None:
    """Return when no connection to the sandbox is left."""
    async with asyncio.timeout(60):
        while sandbox.traffic.open_connections:  # noqa: ASYNC110 - it lives on a thread
            await asyncio.sleep(0.01)


@pytest.mark.fault("X09")
@pytest.mark.asyncio
async def test_every_worker_places_orders_and_leaves_no_connection(
    sandbox: Sandbox, notes: RedisServer
) -> None:
    sandbox.faults.latency = 0.02
    workers: set[int] = set()
    waybills: dict[str, str] = {}
    with serving(environ(sandbox, notes), "--workers", "2") as server:
        async with http_client(server) as http:
            for turn in range(50):
                names = [f"PEN-{turn}-{number}" for number in range(10)]
                responses = await asyncio.gather(
                    *(http.post("/orders", json=india_order(name)) for name in names)
                )
                for name, response in zip(names, responses, strict=True):
                    assert response.status_code == 200, response.text
                    waybills[name] = response.json()["waybill"]
                    workers.add(response.json()["worker"])
                if len(workers) == 2:
                    break
        assert sandbox.traffic.open_connections > 0
        assert server.stop() == 0

    assert len(workers) == 2
    assert sandbox.ledger() == {name: (waybill,) for name, waybill in waybills.items()}
    await gone(sandbox)


@pytest.mark.asyncio
async def test_order_in_flight_gets_a_response_when_the_server_stops(
    notes: RedisServer,
) -> None:
    async with Sandbox(api_key=CANARY, courier_seconds=3.0) as sandbox:
        with serving(environ(sandbox, notes)) as server:
            async with http_client(server) as http:
                call = asyncio.create_task(http.post("/orders", json=india_order("PEN-1")))
                async with asyncio.timeout(60):
                    while not sandbox.traffic.in_flight:  # noqa: ASYNC110 - it lives on a thread
                        await asyncio.sleep(0.01)
                code = await asyncio.to_thread(server.stop)
                response = await call

        assert (response.status_code, code) == (200, -signal.SIGTERM)
        assert sandbox.ledger() == {"PEN-1": (response.json()["waybill"],)}
        await gone(sandbox)


# --- responses ------------------------------------------------------------------------------------

WRONG = {"shipment_details__order_type": "CASH", "pickup_info__pickup_pincode": "1"}

SCENARIOS: dict[str, tuple[dict[str, Any], str | None, int, str | None]] = {
    "R-WRONG": (WRONG, None, 422, None),
    "R-COURIER-REFUSES": ({}, None, 409, None),
    "R-ACCOUNT": ({"shipment_details__account_code": "inactive-account"}, None, 500, None),
    "R-COURIER-BUSY": ({}, None, 504, "7"),
    "R-COURIER-ODD": ({}, None, 504, "7"),
    "R-CLICKPOST-DOWN": ({}, None, 504, "7"),
    "R-LOST": ({}, "drop_after", 504, "7"),
    "R-HTML": ({}, "html", 504, "7"),
    # The last one: the others wait for it.
    "R-TOO-MANY": ({}, "too_many", 503, "1"),
}


@pytest.mark.fault("S05")
@pytest.mark.asyncio
async def test_responses_and_logs_show_no_key_and_no_personal_data(
    sandbox: Sandbox, notes: RedisServer
) -> None:
    texts: list[str] = []
    with serving(environ(sandbox, notes), "--log-level", "trace") as server:
        async with http_client(server) as http:
            for name, (changes, fault, status, retry_after) in SCENARIOS.items():
                if fault is not None:
                    sandbox.faults.next(fault, reference_number=name)
                response = await http.post("/orders", json=personal_order(name, **changes))
                texts += [response.text, repr(response.headers)]
                assert (response.status_code, response.headers.get("Retry-After")) == (
                    status,
                    retry_after,
                ), name
            for path in ("/health", "/clickpost-health", "/hook"):
                response = await http.get(path)
                texts += [response.text, repr(response.headers)]
        server.stop()
        output_text = server.output_text

    assert "orders.create_india" in output_text  # it did listen
    assert [text for text in [*texts, output_text] if shows_key(text)] == []
    assert shows_person([*texts, output_text]) == []


@pytest.mark.fault("S05", control=True)
@pytest.mark.asyncio
async def test_application_that_leaks_in_logs_and_responses_is_caught(
    sandbox: Sandbox, notes: RedisServer
) -> None:
    with serving(environ(sandbox, notes)) as server:
        async with http_client(server) as http:
            response = await http.post("/careless", json=personal_order("R-1"))
        server.stop()
        output_text = server.output_text

    assert shows_person([response.text])
    assert shows_person([output_text])
    assert shows_key(output_text)


# --- webhooks -------------------------------------------------------------------------------------


PUSH = {"waybill": "W-1", "clickpost_status_code": 8, "timestamp": "2026-03-04T12:40:00Z"}
EVENTS = sorted(f"W{number} {code}" for number in range(4) for code in (1, 4, 5, 6, 8))


def handled(notes: RedisServer) -> list[str]:
    with notes.client() as client:
        return sorted(client.lrange("handled", 0, -1))


async def pushes(sandbox: Sandbox, http: httpx.AsyncClient, count: int) -> list[WebhookDelivery]:
    """Place orders, move their parcels, and return so many of the deliveries."""
    for number in range(4):
        order = india_order(f"PEN-{number}", shipment_details__awb_number=f"W{number}")
        assert (await http.post("/orders", json=order)).status_code == 200
        sandbox.advance(f"W{number}", steps=4)
    # It pushes by itself.
    async with asyncio.timeout(30):
        while len(sandbox.deliveries()) < count:  # noqa: ASYNC110 - it lives on a thread
            await asyncio.sleep(0.01)
    return list(sandbox.deliveries())


async def push_at_once(http: httpx.AsyncClient) -> set[int]:
    """Push one event many times together, over as many connections."""
    headers = {"webhook_key": TOKEN}
    responses = await asyncio.gather(
        *(http.post("/hook", json=PUSH, headers=headers) for _ in range(20))
    )
    return {response.status_code for response in responses}


@pytest.mark.fault("S07")
@pytest.mark.asyncio
async def test_webhook_of_a_sandbox_is_handled_once_however_often_and_late(
    sandbox: Sandbox, notes: RedisServer
) -> None:
    with serving(environ(sandbox, notes, SHARED="yes"), "--workers", "2") as server:
        async with http_client(server) as http:
            sandbox.webhooks_to(
                f"{server.url}/hook", token=TOKEN, attempts=10, duplicates=2, out_of_order=True
            )
            deliveries = await pushes(sandbox, http, 3 * len(EVENTS))
        server.stop()

    assert all(delivery.delivered for delivery in deliveries)
    assert handled(notes) == EVENTS


@pytest.mark.fault("S07")
@pytest.mark.asyncio
async def test_workers_that_share_a_store_handle_an_event_once(
    sandbox: Sandbox, notes: RedisServer
) -> None:
    with serving(environ(sandbox, notes, SHARED="yes"), "--workers", "2") as server:
        async with http_client(server) as http:
            responses = [await push_at_once(http) for _ in range(20)]
        server.stop()

    assert responses[0] <= {200, 503}
    assert responses[1:] == [{200}] * 19
    assert handled(notes) == ["W-1 8"]


@pytest.mark.fault("S07", control=True)
@pytest.mark.asyncio
async def test_workers_with_a_memory_each_handle_an_event_once_each(
    sandbox: Sandbox, notes: RedisServer
) -> None:
    with serving(environ(sandbox, notes), "--workers", "2") as server:
        async with http_client(server) as http:
            for _ in range(20):
                await push_at_once(http)
                if len(handled(notes)) > 1:
                    break
        server.stop()

    assert handled(notes) == ["W-1 8", "W-1 8"]


@pytest.mark.fault("S07")
@pytest.mark.asyncio
async def test_event_whose_handler_fails_is_pushed_and_handled_again(
    sandbox: Sandbox, notes: RedisServer
) -> None:
    with notes.client() as client:
        client.rpush("to fail", "W1", "W3", "W3")
    with serving(environ(sandbox, notes, SHARED="yes"), "--workers", "2") as server:
        async with http_client(server) as http:
            sandbox.webhooks_to(f"{server.url}/hook", token="old-word", attempts=10)
            deliveries = await pushes(sandbox, http, len(EVENTS))
        server.stop()
        output_text = server.output_text

    assert all(delivery.delivered for delivery in deliveries)
    found = Counter(handled(notes))
    assert found.keys() == set(EVENTS)
    assert found.total() == len(EVENTS) + 3
    assert "set to fail" in output_text
    assert not shows_key(output_text)


@pytest.mark.fault("S07")
@pytest.mark.asyncio
async def test_push_over_the_size_limit_is_rejected(sandbox: Sandbox, notes: RedisServer) -> None:
    with serving(environ(sandbox, notes)) as server:
        async with http_client(server) as http:
            response = await http.post(
                "/hook", content=b"x" * 2**21, headers={"webhook_key": TOKEN}
            )
            assert response.status_code == 413
            assert (await http.get("/health")).status_code == 200
        server.stop()

    assert handled(notes) == []


# --- an application that is loaded first, and forked then -----------------------------------------

PRELOADING = """
import asyncio, os, signal, socket, sys
import uvicorn
from clickpost_async import ClickPost, ClickPostError
from clickpost_async.integrations.starlette import handle_error, get_clickpost, health, lifespan
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

# Made before the fork, and used before it: the worst that a preloading server can do.
clickpost = ClickPost()
asyncio.run(clickpost.health())

async def place(request):
    clickpost = await get_clickpost(request)
    created = await clickpost.orders.create(await request.json())
    return JSONResponse({"waybill": created.waybill, "worker": os.getpid()})

app = Starlette(
    lifespan=lifespan(lambda: clickpost),
    exception_handlers={ClickPostError: handle_error},
    routes=[Route("/orders", place, methods=["POST"]), Route("/health", health)],
)

listening = socket.create_server(("127.0.0.1", 0))
children = []
for _ in range(2):
    child = os.fork()
    if not child:
        code = 1
        try:
            server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
            # After a graceful end uvicorn raises the signal again.
            signal.signal(signal.SIGTERM, lambda *_: None)
            server.run(sockets=[listening])
            code = 0
        finally:
            os._exit(code)
    children.append(child)
print(listening.getsockname()[1], flush=True)
sys.stdin.readline()
for child in children:
    os.kill(child, 15)
print([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
"""


@pytest.mark.fault("X09")
@pytest.mark.asyncio
async def test_client_that_was_used_before_the_fork_serves_every_worker(
    sandbox: Sandbox, notes: RedisServer
) -> None:
    sandbox.faults.latency = 0.02
    process = subprocess.Popen(
        [sys.executable, "-c", PRELOADING],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environ(sandbox, notes),
    )
    assert process.stdout is not None
    try:
        port = (await asyncio.to_thread(process.stdout.readline)).strip()
        workers: set[int] = set()
        names: list[str] = []
        limits = httpx.Limits(max_keepalive_connections=0)
        url = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(
            base_url=url, trust_env=False, timeout=60, limits=limits
        ) as http:
            for turn in range(50):
                made = [f"PEN-{turn}-{number}" for number in range(10)]
                responses = await asyncio.gather(
                    *(http.post("/orders", json=india_order(name)) for name in made)
                )
                assert {response.status_code for response in responses} == {200}
                names += made
                workers |= {response.json()["worker"] for response in responses}
                if len(workers) == 2:
                    break
        output_text, complained = await asyncio.to_thread(process.communicate, "stop\n", 30)
    finally:
        process.kill()
        process.wait()

    assert (output_text, complained) == ("[0, 0]\n", "")
    assert len(workers) == 2
    assert sandbox.ledger().keys() == set(names)
    assert {len(waybills) for waybills in sandbox.ledger().values()} == {1}
    await gone(sandbox)
