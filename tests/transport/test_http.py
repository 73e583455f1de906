"""What goes over the wire, what comes back, and an honest word on how far a call got."""

import gzip
import ssl
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import anyio
import anyio.lowlevel
import httpx
import pytest
import respx
import trustme

from clickpost_async import (
    Auth,
    ClickPost,
    ClickPostError,
    Credentials,
    Get,
    Hosts,
    NoReplyError,
    NotSentError,
    Outcome,
    Post,
    Repeat,
    RetryPolicy,
    Timeouts,
    UnreadableReplyError,
)
from clickpost_async._transport.pool import ScaledTransport
from clickpost_async.structures import Answer
from tests.sandbox.samples import india_order

from .plays import KEY, Play, placed, playing, said
from .server import (
    PLACED,
    Peer,
    Server,
    bomb,
    closed_port,
    gzipped,
    http,
    serving,
    until,
    well,
)

FOUND = said(200, "SUCCESS", result={"waybill": "W-1", "reference_number": "R-1"})
LIVE = "https://www.clickpost.in/api"


def client(url: str, **settings: Any) -> ClickPost:
    settings = {"retry": RetryPolicy.never()} | settings
    return ClickPost(Credentials("acme", KEY), hosts=Hosts.at(url), **settings)


# --- what goes out ----------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_the_stock_transport_is_httpcores_and_so_respx_sees_it() -> None:
    with respx.mock:
        route = respx.post(f"{LIVE}/v3/create-order/").mock(return_value=placed())
        async with ClickPost(Credentials("acme", KEY)) as clickpost:
            order = await clickpost.orders.create(india_order("R-1"))

    assert (order.waybill, route.call_count) == ("W-1", 1)


@pytest.mark.asyncio
async def test_a_transport_of_ones_own_is_used_as_it_is() -> None:
    router = respx.Router()
    router.get(f"{LIVE}/v3/create-order/").mock(return_value=FOUND)
    transport = httpx.MockTransport(router.async_handler)
    async with ClickPost(Credentials("acme", KEY), transport=transport) as clickpost:
        order = await clickpost.orders.find_india("R-1")

    assert order.waybill == "W-1"


@pytest.mark.asyncio
async def test_a_create_has_these_headers_and_is_patient() -> None:
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
async def test_a_question_says_nothing_of_a_body_and_is_less_patient() -> None:
    play = Play([FOUND])
    async with playing(play, timeouts=Timeouts(connect=1, write=2, read=3)) as clickpost:
        await clickpost.orders.fetch_india("W-1", courier_partner=4)

    (sent,) = play.requests
    assert "content-type" not in sent.headers
    assert sent.extensions["timeout"] == {"connect": 1, "write": 2, "read": 3, "pool": 1}


@pytest.mark.asyncio
async def test_the_query_keeps_its_order_and_ends_with_the_credentials() -> None:
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
async def test_the_credentials_go_where_the_endpoint_wants_them(
    auth: Auth, query: dict[str, str], body: bytes
) -> None:
    play = Play([said(200)])
    endpoint = Post("/v9/own/", returns=Answer, repeat=Repeat.NEVER, auth=auth)
    async with playing(play) as clickpost:
        await clickpost.post(endpoint, {"a": 1})

    sent = play.requests[0]
    assert dict(parse_qsl(urlsplit(str(sent.url)).query)) == query
    assert sent.content == body


# --- what a server does to one ----------------------------------------------------------------


def answers(*parts: bytes) -> Callable[[Peer], Any]:
    async def talk(peer: Peer) -> None:
        await peer.read()
        await peer.send(*parts)

    return talk


async def closes_at_once(peer: Peer) -> None:
    """Say nothing."""


async def resets_at_once(peer: Peer) -> None:
    peer.reset()


async def resets_after_the_call(peer: Peer) -> None:
    await peer.read()
    peer.reset()


async def hangs(peer: Peer) -> None:
    await peer.read()
    await peer.until_gone()


async def resets_in_the_body(peer: Peer) -> None:
    await peer.read()
    await peer.send(http(PLACED[:30], length=len(PLACED)))
    await anyio.sleep(0.02)
    peer.reset()


async def stalls_in_the_body(peer: Peer) -> None:
    await peer.read()
    await peer.send(http(PLACED[:30], length=len(PLACED)))
    await peer.until_gone()


async def drips(peer: Peer) -> None:
    await peer.read()
    await peer.drip(http(PLACED), 0.02)


def chunked(*parts: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"".join(
        b"%x\r\n%s\r\n" % (len(part), part) for part in parts
    )


NO_ANSWER = (NoReplyError, Outcome.UNKNOWN, True)
UNREADABLE = (UnreadableReplyError, Outcome.UNKNOWN, True)
MOVED = (NotSentError, Outcome.NOT_SENT, False)
FAULTS = {
    "closed on accept": (closes_at_once, NO_ANSWER),
    "reset on accept": (resets_at_once, NO_ANSWER),
    "reset after the call": (resets_after_the_call, NO_ANSWER),
    "closed after the call": (answers(), NO_ANSWER),
    "hangs": (hangs, NO_ANSWER),
    "half a head": (answers(b"HTTP/1.1 200 OK\r\ncontent-"), NO_ANSWER),
    "no HTTP at all": (answers(b"\x16\x03\x01 good day\r\n\r\n"), NO_ANSWER),
    "a head of 200 kB": (answers(http(PLACED, x="y" * 200_000)), NO_ANSWER),
    "100 and no more": (answers(b"HTTP/1.1 100 Continue\r\n\r\n"), NO_ANSWER),
    "half a body": (answers(http(PLACED[:30], length=len(PLACED))), NO_ANSWER),
    "half a body and a reset": (resets_in_the_body, NO_ANSWER),
    "half a body and silence": (stalls_in_the_body, NO_ANSWER),
    "half of the chunks": (answers(chunked(PLACED[:30])), NO_ANSWER),
    "drips for longer than the whole may take": (drips, NO_ANSWER),
    "damaged gzip": (answers(http(b"\x1f\x8bnot", content_encoding="gzip")), UNREADABLE),
    "cut gzip": (answers(http(gzipped(PLACED)[:-9], content_encoding="gzip")), UNREADABLE),
    "brotli": (answers(http(b"\x0b\x02\x80hey\x03", content_encoding="br")), UNREADABLE),
    "gzip twice": (answers(http(PLACED, content_encoding="gzip, gzip")), UNREADABLE),
    "3 MB": (answers(http(b'"' + b"x" * 3_000_000 + b'"')), UNREADABLE),
    "3 MB in gzip": (
        answers(http(gzipped(b'"' + b"x" * 3_000_000 + b'"'), content_encoding="gzip")),
        UNREADABLE,
    ),
    "a page of HTML": (answers(http(b"<html>", content_type="text/html")), UNREADABLE),
    "nothing": (answers(http(b"")), UNREADABLE),
    **{
        f"redirected by {status}": (
            answers(http(b"", f"{status} Moved", location="http://127.0.0.1:9/elsewhere")),
            MOVED,
        )
        for status in (301, 302, 303, 307, 308)
    },
}


def verdict(error: ClickPostError) -> tuple[type[ClickPostError], Outcome, bool]:
    return type(error), error.outcome, error.transient


async def call_is_well(clickpost: ClickPost, server: Server) -> None:
    server.talk = well
    assert (await clickpost.orders.create(india_order("R-1"))).waybill == "W-1"


@pytest.mark.asyncio
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_on_the_wire_says_what_is_known_and_leaves_nothing_behind(
    fault: str,
) -> None:
    talk, expected = FAULTS[fault]
    quick = Timeouts(read=0.15, create=0.15, total=0.6)
    async with serving(talk) as server, client(server.url, timeouts=quick) as clickpost:
        with pytest.raises(ClickPostError) as caught:
            await clickpost.orders.create(india_order("R-1"))
        error, stats = caught.value, clickpost.stats()
        await call_is_well(clickpost.with_options(timeouts=Timeouts()), server)
        after = clickpost.stats()

    assert verdict(error) == expected
    assert (error.endpoint, error.reference_number) == ("orders.create_india", "R-1")
    assert error.attempts == 1
    # An answer that was read to its end leaves its connection idle.
    assert (stats.in_flight, stats.waiting, stats.connections in (0, 1)) == (0, 0, True)
    assert (after.in_flight, after.connections) == (0, 1)


@pytest.mark.asyncio
async def test_without_a_fault_the_same_server_answers() -> None:
    async with serving() as server, client(server.url) as clickpost:
        await call_is_well(clickpost, server)
        assert (clickpost.stats().connections, server.connections) == (1, 1)


@pytest.mark.fault("P10")
@pytest.mark.asyncio
async def test_a_redirect_is_followed_nowhere() -> None:
    async with serving() as elsewhere:
        moved = http(b"", "307 Moved", location=f"{elsewhere.url}/v3/create-order/")
        async with serving(answers(moved)) as server, client(server.url) as clickpost:
            with pytest.raises(NotSentError, match="check the base URL"):
                await clickpost.orders.create(india_order("R-1"))

    assert (len(server.heads), elsewhere.connections) == (1, 0)


@pytest.mark.asyncio
async def test_a_closed_port_means_that_nothing_left() -> None:
    async with client(f"http://127.0.0.1:{closed_port()}/api") as clickpost:
        with pytest.raises(NotSentError) as caught:
            await clickpost.orders.create(india_order("R-1"))
        assert clickpost.stats().connections == 0

    assert verdict(caught.value) == (NotSentError, Outcome.NOT_SENT, True)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "body",
    [http(gzip.compress(PLACED), content_encoding="gzip"), chunked(PLACED[:9], PLACED[9:], b"")],
)
async def test_packed_and_chunked_answers_are_read(body: bytes) -> None:
    async with serving(answers(body)) as server, client(server.url) as clickpost:
        order = await clickpost.orders.create(india_order("R-1"))

    assert order.waybill == "W-1"


@pytest.mark.fault("P08")
@pytest.mark.asyncio
async def test_a_bomb_of_one_megabyte_does_not_unpack_to_its_gigabyte() -> None:
    packed = http(bomb(1024), content_encoding="gzip")
    async with serving(answers(packed)) as server, client(server.url) as clickpost:
        tracemalloc.start()
        with pytest.raises(UnreadableReplyError, match="larger than"):
            await clickpost.orders.create(india_order("R-1"))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert clickpost.stats().connections == 0

    assert peak < 16 * 2**20


@pytest.mark.asyncio
async def test_a_connection_that_was_closed_while_idle_is_noticed() -> None:
    async with serving(answers(http(PLACED))) as server, client(server.url) as clickpost:
        for _ in range(3):
            await clickpost.orders.create(india_order("R-1"))
            await until(lambda: not server.open)
            await anyio.sleep(0.01)

    assert (server.connections, len(server.heads)) == (3, 3)


@pytest.mark.asyncio
async def test_a_connection_that_breaks_at_its_second_call_leaves_that_one_unknown() -> None:
    async def talk(peer: Peer) -> None:
        await peer.read()
        await peer.send(http(PLACED))
        await peer.read()
        peer.reset()

    async with serving(talk) as server, client(server.url) as clickpost:
        await clickpost.orders.create(india_order("R-1"))
        with pytest.raises(NoReplyError):
            await clickpost.orders.create(india_order("R-1"))
        assert (server.connections, clickpost.stats().connections) == (1, 0)


# --- certificates -----------------------------------------------------------------------------


async def tls_server(certificate: trustme.LeafCert) -> Any:
    import asyncio

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    server = Server(well)
    listener = await asyncio.start_server(server.connected, "127.0.0.1", 0, ssl=context)
    return server, listener


@pytest.mark.fault("T04")
@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("name", "trusted", "until", "works"),
    [
        ("127.0.0.1", True, None, True),
        ("127.0.0.1", False, None, False),
        ("nila.example", True, None, False),
        ("127.0.0.1", True, datetime(2020, 1, 1, tzinfo=UTC), False),
    ],
    ids=["good", "self-signed", "another's", "expired"],
)
async def test_a_certificate_is_checked_and_refusing_it_is_final(
    name: str, trusted: bool, until: datetime | None, works: bool
) -> None:
    authority = trustme.CA()
    trusting = ssl.create_default_context()
    if trusted:
        authority.configure_trust(trusting)
    server, listener = await tls_server(authority.issue_cert(name, not_after=until))
    port = listener.sockets[0].getsockname()[1]
    async with client(
        f"https://127.0.0.1:{port}/api", transport=ScaledTransport(verify=trusting)
    ) as clickpost:
        if works:
            await call_is_well(clickpost, server)
        else:
            with pytest.raises(NotSentError, match="certificate") as caught:
                await clickpost.orders.create(india_order("R-1"))
            assert (caught.value.transient, server.heads) == (False, [])
    listener.close()
    server.hang_up()
    await anyio.sleep(0.02)


@pytest.mark.fault("T04")
@pytest.mark.asyncio
async def test_a_server_that_does_not_speak_tls_is_sent_nothing() -> None:
    async with (
        serving(answers(http(PLACED))) as server,
        client(f"https://127.0.0.1:{server.port}/api", timeouts=Timeouts(connect=0.2)) as clickpost,
    ):
        with pytest.raises(NotSentError):
            await clickpost.orders.create(india_order("R-1"))

    assert server.heads == []


# --- how far it got ---------------------------------------------------------------------------

QUESTION = Get("/v9/own/", returns=Answer, repeat=Repeat.NEVER)


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
async def test_evidence_comes_from_the_trace_where_there_is_one(
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
        (httpx.ReadTimeout(""), NO_ANSWER),
        (httpx.WriteTimeout(""), NO_ANSWER),
        (httpx.ReadError(""), NO_ANSWER),
        (httpx.WriteError(""), NO_ANSWER),
        (httpx.RemoteProtocolError(""), NO_ANSWER),
        (ConnectionResetError(), NO_ANSWER),
        (RuntimeError(), NO_ANSWER),
    ],
)
async def test_without_a_trace_only_a_connection_that_failed_proves_that_nothing_left(
    error: Exception, expected: object
) -> None:
    async with playing([error], retry=RetryPolicy.never()) as clickpost:
        with pytest.raises(ClickPostError) as caught:
            await clickpost.get(QUESTION)

    assert verdict(caught.value) == expected


@pytest.mark.asyncio
@pytest.mark.parametrize("error", [OSError("vault is down"), TypeError(), TimeoutError()])
async def test_a_key_that_cannot_be_read_means_that_nothing_left(error: Exception) -> None:
    async def vault() -> str:
        raise error

    play = Play([said(200)])
    async with ClickPost(
        Credentials("acme", vault),
        transport=httpx.MockTransport(play),
        retry=RetryPolicy.never(),
    ) as clickpost:
        with pytest.raises(NotSentError) as caught:
            await clickpost.get(QUESTION)

    assert type(error).__name__ in caught.value.message
    assert play.requests == []


@pytest.mark.asyncio
async def test_a_vault_that_hangs_ends_with_the_attempt_and_nothing_has_left() -> None:
    async def vault() -> str:
        await anyio.sleep_forever()
        raise AssertionError

    async with ClickPost(
        Credentials("acme", vault), timeouts=Timeouts(total=0.05), retry=RetryPolicy.never()
    ) as clickpost:
        with pytest.raises(NotSentError):
            await clickpost.get(QUESTION)
