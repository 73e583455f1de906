"""One attempt: the bytes sent and received, and whether the request may have been sent."""

import asyncio
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import anyio
import httpx
import pytest
import respx

from clickpost_async import (
    Auth,
    ClickPost,
    ClickPostError,
    Get,
    Idempotency,
    NoReplyError,
    NotSentError,
    Outcome,
    Post,
    RetryPolicy,
    Timeouts,
)
from clickpost_async.events import AttemptStarted, CallFinished, Event
from clickpost_async.structures import ResponseModel
from tests.helpers.scripted_transport import KEY, Play, api_response, placed, playing
from tests.helpers.server_behaviours import NO_RESPONSE, verdict
from tests.sandbox.samples import india_order

FOUND = api_response(200, "SUCCESS", result={"waybill": "W-1", "reference_number": "R-1"})
LIVE = "https://www.clickpost.in/api"


def client(url: str, **settings: Any) -> ClickPost:
    settings = {"retry": RetryPolicy.never()} | settings
    return ClickPost("acme", KEY, base_url=url, **settings)


# --- what goes out ----------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_stock_transport_is_httpcores_and_so_respx_sees_it() -> None:
    with respx.mock:
        route = respx.post(f"{LIVE}/v3/create-order/").mock(return_value=placed())
        async with ClickPost("acme", KEY) as clickpost:
            order = await clickpost.orders.create(india_order("R-1"))

    assert (order.waybill, route.call_count) == ("W-1", 1)


@pytest.mark.asyncio
async def test_custom_transport_is_used_unchanged() -> None:
    router = respx.Router()
    router.get(f"{LIVE}/v3/create-order/").mock(return_value=FOUND)
    transport = httpx.MockTransport(router.async_handler)
    async with ClickPost("acme", KEY, transport=transport) as clickpost:
        order = await clickpost.orders.find_india("R-1")

    assert order.waybill == "W-1"


@pytest.mark.asyncio
async def test_create_has_these_headers_and_is_patient() -> None:
    play = Play([placed()])
    async with playing(play) as clickpost:
        await clickpost.orders.create(india_order("R-1"))

    (sent,) = play.requests
    assert {name: value for name, value in sent.headers.items() if name != "content-length"} == {
        "host": "www.clickpost.in",
        "accept": "application/json",
        "accept-encoding": "gzip",
        "user-agent": "clickpost_async",
        "content-type": "application/json",
    }
    assert sent.extensions["timeout"] == {"connect": 5, "write": 30, "read": 60, "pool": 5}


@pytest.mark.asyncio
async def test_get_has_no_body_and_a_shorter_timeout() -> None:
    play = Play([FOUND])
    async with playing(play, timeouts=Timeouts(connect=1, write=2, read=3)) as clickpost:
        await clickpost.orders.fetch_india("W-1", courier_partner=4)

    (sent,) = play.requests
    assert "content-type" not in sent.headers
    assert sent.extensions["timeout"] == {"connect": 1, "write": 2, "read": 3, "pool": 1}


@pytest.mark.asyncio
async def test_query_keeps_its_order_and_ends_with_the_credentials() -> None:
    play = Play([FOUND])
    async with playing(play) as clickpost:
        await clickpost.orders.fetch_india("AWB 1&key=x#/../", courier_partner=4)

    assert play.requests[0].url.raw_path == (
        b"/api/v3/create-order/?awb=AWB%201%26key%3Dx%23%2F..%2F&cp_id=4"
        b"&username=acme&key=not-a-real-key"
    )


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("auth", "query", "body"),
    [
        (Auth.USERNAME_AND_KEY, {"username": "acme", "key": KEY}, b'{"a":1}'),
        (Auth.USER_NAME_AND_KEY, {"user_name": "acme", "key": KEY}, b'{"a":1}'),
        (Auth.KEY, {"key": KEY}, b'{"a":1}'),
        (Auth.KEY_IN_BODY, {}, b'{"key":"not-a-real-key","a":1}'),
        (Auth.NONE, {}, b'{"a":1}'),
    ],
)
async def test_credentials_go_where_the_endpoint_declares(
    auth: Auth, query: dict[str, str], body: bytes
) -> None:
    play = Play([api_response(200)])
    endpoint = Post("/v9/own/", returns=ResponseModel, idempotency=Idempotency.UNSAFE, auth=auth)
    async with playing(play) as clickpost:
        await clickpost.post(endpoint, {"a": 1})

    sent = play.requests[0]
    assert dict(parse_qsl(urlsplit(str(sent.url)).query)) == query
    assert sent.content == body


# --- how far it got ---------------------------------------------------------------------------

QUESTION = Get("/v9/own/", returns=ResponseModel, idempotency=Idempotency.UNSAFE)


class Traced(httpx.AsyncBaseTransport):
    """Tells its progress as httpcore does, then fails."""

    def __init__(self, error: Exception, *steps: str) -> None:
        self.error = error
        self.steps = steps

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        for step in self.steps:
            await request.extensions["trace"](step, {})
        raise self.error


CONNECTING = "connection.connect_tcp.started"
SENDING = "http11.send_request_headers.started"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("steps", "error", "expected"),
    [
        ((CONNECTING,), httpx.ConnectError(""), NotSentError),
        ((CONNECTING,), httpx.ReadError("TLS broke off"), NotSentError),
        ((CONNECTING,), OSError(24, "too many open files"), NotSentError),
        ((CONNECTING, SENDING), httpx.ConnectError("leaked"), NoReplyError),
        ((CONNECTING, SENDING), httpx.ReadError(""), NoReplyError),
        ((CONNECTING, SENDING), httpx.WriteError(""), NoReplyError),
        ((CONNECTING, SENDING), RuntimeError("foreign"), NoReplyError),
        ((SENDING.replace("11", "2"),), httpx.ReadTimeout(""), NoReplyError),
    ],
)
async def test_send_progress_is_read_from_the_trace_where_there_is_one(
    steps: tuple[str, ...], error: Exception, expected: type[ClickPostError]
) -> None:
    transport = Traced(error, *steps)
    async with client("https://acme.example/api", transport=transport) as clickpost:
        with pytest.raises(ClickPostError) as caught:
            await clickpost.get(QUESTION)

    assert type(caught.value) is expected


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (httpx.ConnectError(""), (NotSentError, Outcome.NOT_SENT, True)),
        (httpx.ConnectTimeout(""), (NotSentError, Outcome.NOT_SENT, True)),
        (httpx.PoolTimeout(""), (NotSentError, Outcome.NOT_SENT, True)),
        (httpx.ProxyError(""), (NotSentError, Outcome.NOT_SENT, True)),
        (httpx.UnsupportedProtocol(""), (NotSentError, Outcome.NOT_SENT, False)),
        (httpx.ReadTimeout(""), NO_RESPONSE),
        (httpx.WriteTimeout(""), NO_RESPONSE),
        (httpx.ReadError(""), NO_RESPONSE),
        (httpx.WriteError(""), NO_RESPONSE),
        (httpx.RemoteProtocolError(""), NO_RESPONSE),
        (ConnectionResetError(), NO_RESPONSE),
        (RuntimeError(), NO_RESPONSE),
    ],
)
async def test_without_a_trace_only_a_failed_connection_proves_nothing_was_sent(
    error: Exception, expected: object
) -> None:
    async with playing([error], retry=RetryPolicy.never()) as clickpost:
        with pytest.raises(ClickPostError) as caught:
            await clickpost.get(QUESTION)

    assert verdict(caught.value) == expected


@pytest.mark.asyncio
@pytest.mark.parametrize("error", [OSError("vault is down"), TypeError(), TimeoutError()])
async def test_key_that_cannot_be_read_means_nothing_was_sent(error: Exception) -> None:
    async def vault() -> str:
        raise error

    play = Play([api_response(200)])
    async with ClickPost(
        "acme",
        vault,
        transport=httpx.MockTransport(play),
        retry=RetryPolicy.never(),
    ) as clickpost:
        with pytest.raises(NotSentError) as caught:
            await clickpost.get(QUESTION)

    assert type(error).__name__ in caught.value.message
    assert play.requests == []


@pytest.mark.asyncio
async def test_hanging_secret_store_ends_with_the_attempt_and_nothing_is_sent() -> None:
    async def vault() -> str:
        await anyio.sleep_forever()
        raise AssertionError

    async with ClickPost(
        "acme", vault, timeouts=Timeouts(total=0.05), retry=RetryPolicy.never()
    ) as clickpost:
        with pytest.raises(NotSentError):
            await clickpost.get(QUESTION)


# --- a coroutine that is closed, as when its event loop was ------------------------------------


class CannotCleanUp(httpx.AsyncBaseTransport):
    """Like libraries that need an event loop to close a connection."""

    def __init__(self, *, awaits: bool) -> None:
        self._awaits = awaits

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        del request
        try:
            await anyio.sleep_forever()
        except GeneratorExit:
            if self._awaits:
                await asyncio.sleep(0)
            raise RuntimeError("no running event loop") from None
        raise AssertionError("it never ends")


@pytest.mark.asyncio
@pytest.mark.parametrize("awaits", [False, True])
async def test_call_that_is_closed_half_way_is_no_failure_of_the_server(awaits: bool) -> None:
    events: list[Event] = []
    transport = CannotCleanUp(awaits=awaits)
    clickpost = client(LIVE, transport=transport, observers=[events.append], rate=1000)

    for _ in range(30):
        call = clickpost.couriers.pincode("380055")
        call.send(None)
        call.close()

    assert [type(event) for event in events] == [AttemptStarted, CallFinished] * 30
