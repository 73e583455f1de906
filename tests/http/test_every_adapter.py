"""The same tests for every transport, over real sockets."""

import asyncio
import gzip
import logging
import ssl
import sys
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import aiohttp
import anyio
import httpx
import httpx2
import pytest
import trio
import trustme

from clickpost_async import (
    Auth,
    ClickPost,
    ClickPostError,
    Get,
    Idempotency,
    NoReplyError,
    NotSentError,
    Outcome,
    RetryPolicy,
    Timeouts,
    UnreadableReplyError,
)
from clickpost_async._http import tls
from clickpost_async.structures import ResponseModel
from clickpost_async.testing import reset
from tests.helpers.http_server import (
    PLACED,
    Peer,
    Server,
    bomb,
    closed_port,
    http,
    serving,
    until,
    well,
)
from tests.helpers.scripted_transport import KEY
from tests.helpers.server_behaviours import (
    FAULTS,
    chunked,
    hangs,
    responds_with,
    timeouts_for,
    verdict,
)
from tests.sandbox.samples import india_order

ADAPTERS: dict[str, Callable[[], Any]] = {
    "default": lambda: None,
    "httpx": lambda: httpx.AsyncHTTPTransport(verify=tls.verifying_context(), trust_env=False),
    "httptools": lambda: "httptools",
    "httpx2": lambda: httpx2.AsyncHTTPTransport(verify=tls.verifying_context(), trust_env=False),
}
# The adapters of this package; a transport that is given is the user's to open and to close, once
# for each event loop, and does not say how many connections it has.
OURS = ("default", "httptools")

every_adapter = pytest.mark.parametrize("wire", ADAPTERS)
every_adapter_of_ours = pytest.mark.parametrize("wire", OURS)

QUESTION = Get("/v9/own/", returns=ResponseModel, idempotency=Idempotency.UNSAFE, auth=Auth.KEY)
BIG = {"remark": "x" * 6_000_000}


def client(wire: str, url: str, **settings: Any) -> ClickPost:
    settings = {"retry": RetryPolicy.never(), "transport": ADAPTERS[wire]()} | settings
    return ClickPost("acme", KEY, base_url=url, **settings)


async def is_well(clickpost: ClickPost, server: Server) -> None:
    server.talk = well
    # What an order that is in doubt waits for is not a transport's business.
    reset()
    assert (await clickpost.orders.create(india_order("R-1"))).waybill == "W-1"


# --- what goes out ----------------------------------------------------------------------------


@asynccontextmanager
async def noting(*headers: bytes) -> AsyncIterator[tuple[Server, list[bytes]]]:
    calls: list[bytes] = []

    async def talk(peer: Peer) -> None:
        while True:
            calls.append(await peer.read())
            await peer.send(http(PLACED).replace(b"\r\n", b"\r\n" + b"".join(headers), 1))

    async with serving(talk) as server:
        yield server, calls


@every_adapter
@pytest.mark.asyncio
async def test_request_has_exactly_these_headers(wire: str) -> None:
    async with noting() as (server, calls), client(wire, server.url) as clickpost:
        await clickpost.get(QUESTION, {"q": "A 1&key=x#/../+é%2F"})
        await clickpost.orders.create(india_order("R-1"))

    heads = [call.partition(b"\r\n\r\n")[0].split(b"\r\n") for call in calls]
    assert [head[0] for head in heads] == [
        b"GET /api/v9/own/?q=A%201%26key%3Dx%23%2F..%2F%2B%C3%A9%252F&key=not-a-real-key HTTP/1.1",
        b"POST /api/v3/create-order/?username=acme&key=not-a-real-key HTTP/1.1",
    ]
    usual = {
        b"host: 127.0.0.1:%d" % server.port,
        b"accept: application/json",
        b"accept-encoding: gzip",
        b"user-agent: clickpost_async",
    }
    body = calls[1].partition(b"\r\n\r\n")[2]
    about = {b"content-type: application/json", b"content-length: %d" % len(body)}
    # httpx's requests may name what HTTP/1.1 does anyway.
    found = [{line.lower() for line in head[1:]} - {b"connection: keep-alive"} for head in heads]
    assert found == [usual, usual | about]
    assert body.startswith(b'{"pickup_info":')


@every_adapter
@pytest.mark.asyncio
async def test_large_body_is_sent_whole(wire: str) -> None:
    async with noting() as (server, calls), client(wire, server.url) as clickpost:
        order = india_order("R-1", additional=BIG)
        assert (await clickpost.orders.create(order)).waybill == "W-1"

    assert len(calls[0]) > 6_000_000
    assert calls[0].endswith(b"}")


@every_adapter
@pytest.mark.asyncio
async def test_cookies_are_not_stored(wire: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    cookies = b'set-cookie: a=b; path=/\r\nset-cookie: "odd="value\r\n'
    async with noting(cookies) as (server, calls), client(wire, server.url) as clickpost:
        for _ in range(2):
            await clickpost.get(QUESTION)

    assert [b"cookie" in call.lower() for call in calls] == [False, False]
    assert "odd" not in caplog.text


@pytest.mark.fault("T21")
@every_adapter
@pytest.mark.asyncio
async def test_proxy_of_the_environment_sees_nothing(
    wire: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving() as server, serving() as evil:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            for spelled in (name, name.upper()):
                monkeypatch.setenv(spelled, f"http://127.0.0.1:{evil.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        async with client(wire, server.url) as clickpost:
            await is_well(clickpost, server)

    assert (len(server.heads), evil.connections) == (1, 0)


@pytest.mark.parametrize("library", [httpx, httpx2])
@pytest.mark.asyncio
async def test_httpx_transport_uses_its_own_proxy(library: Any) -> None:
    seen: list[bytes] = []

    async def talk(peer: Peer) -> None:
        seen.append(await peer.read())
        await peer.send(http(PLACED))
        await peer.until_gone()

    async with serving(talk) as proxy:
        transport = library.AsyncHTTPTransport(
            proxy=library.Proxy(f"http://127.0.0.1:{proxy.port}"), trust_env=False
        )
        async with client("default", "http://127.0.0.1:9/api", transport=transport) as clickpost:
            assert (await clickpost.orders.create(india_order("R-1"))).waybill == "W-1"

        # And a proxy that is not there has sent nothing on.
        transport = library.AsyncHTTPTransport(
            proxy=library.Proxy(f"http://127.0.0.1:{closed_port()}"), trust_env=False
        )
        async with client("default", "http://127.0.0.1:9/api", transport=transport) as clickpost:
            with pytest.raises(NotSentError):
                await clickpost.orders.create(india_order("R-1"))

    assert [call.split(b"?")[0] for call in seen] == [
        b"POST http://127.0.0.1:9/api/v3/create-order/"
    ]


# --- what a server does to one ----------------------------------------------------------------


@every_adapter
@pytest.mark.asyncio
async def test_calls_without_a_fault_share_one_connection(wire: str) -> None:
    async with serving() as server, client(wire, server.url) as clickpost:
        for _ in range(5):
            await is_well(clickpost, server)
        assert (server.connections, server.open) == (1, 1)
        assert clickpost.stats().connections == (1 if wire in OURS else 0)


@every_adapter
@pytest.mark.asyncio
@pytest.mark.parametrize("fault", FAULTS)
async def test_fault_on_the_wire_reports_the_outcome_and_leaks_no_connection(
    fault: str, wire: str
) -> None:
    talk, expected = FAULTS[fault]
    timeouts = timeouts_for(fault)
    async with serving(talk) as server, client(wire, server.url, timeouts=timeouts) as clickpost:
        with pytest.raises(ClickPostError) as caught:
            await clickpost.orders.create(india_order("R-1"))
        error, stats = caught.value, clickpost.stats()
        assert len(server.heads) <= 1
        await is_well(clickpost.with_options(timeouts=Timeouts()), server)
        after = clickpost.stats()
        await until(lambda: server.open == 1)

    assert verdict(error) == expected
    assert (error.endpoint, error.reference_number) == ("orders.create_india", "R-1")
    assert error.attempts == 1
    # A response that was read to its end leaves its connection idle.
    assert (stats.in_flight, stats.queued, stats.connections in (0, 1)) == (0, 0, True)
    assert (after.in_flight, after.connections) == (0, 1 if wire in OURS else 0)


@pytest.mark.fault("P10")
@every_adapter
@pytest.mark.asyncio
async def test_redirect_is_not_followed(wire: str) -> None:
    async with serving() as elsewhere:
        moved = http(b"", "307 Moved", location=f"{elsewhere.url}/v3/create-order/")
        async with serving(responds_with(moved)) as server, client(wire, server.url) as clickpost:
            with pytest.raises(NotSentError, match="check the base URL"):
                await clickpost.orders.create(india_order("R-1"))

    assert (len(server.heads), elsewhere.connections) == (1, 0)


@every_adapter
@pytest.mark.asyncio
async def test_closed_port_means_not_sent(wire: str) -> None:
    async with client(wire, f"http://127.0.0.1:{closed_port()}/api") as clickpost:
        with pytest.raises(NotSentError) as caught:
            await clickpost.orders.create(india_order("R-1"))
        assert clickpost.stats().connections == 0

    assert verdict(caught.value) == (NotSentError, Outcome.NOT_SENT, True)


@every_adapter
@pytest.mark.asyncio
@pytest.mark.parametrize(
    "body",
    [http(gzip.compress(PLACED), content_encoding="gzip"), chunked(PLACED[:9], PLACED[9:], b"")],
    ids=["packed", "chunked"],
)
async def test_gzipped_and_chunked_responses_are_read(body: bytes, wire: str) -> None:
    async with serving(responds_with(body)) as server, client(wire, server.url) as clickpost:
        order = await clickpost.orders.create(india_order("R-1"))

    assert order.waybill == "W-1"


@pytest.mark.fault("P08")
@every_adapter
@pytest.mark.asyncio
async def test_bomb_of_one_megabyte_does_not_unpack_to_its_gigabyte(wire: str) -> None:
    packed = http(bomb(1024), content_encoding="gzip")
    async with serving(responds_with(packed)) as server, client(wire, server.url) as clickpost:
        tracemalloc.start()
        try:
            with pytest.raises(UnreadableReplyError, match="larger than"):
                await clickpost.orders.create(india_order("R-1"))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert clickpost.stats().connections == 0

    assert peak < 16 * 2**20


@pytest.mark.fault("T14")
@every_adapter
@pytest.mark.asyncio
async def test_server_that_stops_reading_leaves_the_call_in_doubt(wire: str) -> None:
    async def does_not_read(peer: Peer) -> None:
        await asyncio.sleep(30)

    quick = Timeouts(write=0.5, total=10.0)
    async with (
        serving(does_not_read) as server,
        client(wire, server.url, timeouts=quick) as clickpost,
    ):
        with pytest.raises(NoReplyError) as caught:
            await clickpost.orders.create(india_order("R-1", additional=BIG))
        assert clickpost.stats().connections == 0

    assert "WriteTimeout" in caught.value.message


@pytest.mark.fault("T15")
@every_adapter
@pytest.mark.asyncio
async def test_early_page_of_a_gateway_leaves_the_call_in_doubt(wire: str) -> None:
    async def refuses_early(peer: Peer) -> None:
        await peer._reader.read(1000)
        await peer.send(http(b"no", "413 Content Too Large"))
        await asyncio.sleep(0.05)

    async with serving(refuses_early) as server, client(wire, server.url) as clickpost:
        with pytest.raises(ClickPostError) as caught:
            await clickpost.orders.create(india_order("R-1", additional=BIG))

    error = caught.value
    assert (error.outcome, error.http_status in (None, 413)) == (Outcome.UNKNOWN, True)


# --- connections ------------------------------------------------------------------------------


@every_adapter
@pytest.mark.asyncio
async def test_connection_that_was_closed_while_idle_is_noticed(wire: str) -> None:
    async with (
        serving(responds_with(http(PLACED))) as server,
        client(wire, server.url) as clickpost,
    ):
        for _ in range(3):
            await clickpost.orders.create(india_order("R-1"))
            await until(lambda: not server.open)
            await anyio.sleep(0.01)

    assert (server.connections, len(server.heads)) == (3, 3)


async def breaks_at_its_second_call(peer: Peer) -> None:
    await peer.read()
    await peer.send(http(PLACED))
    await peer.read()
    peer.reset()


async def closes_at_its_second_call(peer: Peer) -> None:
    await peer.read()
    await peer.send(http(PLACED))
    await peer.read()


@pytest.mark.fault("T08")
@every_adapter
@pytest.mark.parametrize("talk", [breaks_at_its_second_call, closes_at_its_second_call])
@pytest.mark.asyncio
async def test_connection_that_breaks_at_its_second_call_leaves_that_one_unknown(
    talk: Callable[[Peer], Any], wire: str
) -> None:
    async with serving(talk) as server, client(wire, server.url) as clickpost:
        await clickpost.get(QUESTION)
        with pytest.raises(NoReplyError):
            await clickpost.get(QUESTION)
        # Not even a GET is sent again without the layers above.
        assert (server.connections, len(server.heads)) == (1, 2)
        await clickpost.orders.create(india_order("R-1"))
        with pytest.raises(NoReplyError):
            await clickpost.orders.create(india_order("R-1"))
        assert (server.connections, len(server.heads)) == (2, 4)


@pytest.mark.fault("T08", control=True)
@pytest.mark.asyncio
async def test_aiohttp_by_itself_sends_such_a_get_twice() -> None:
    async with (
        serving(closes_at_its_second_call) as server,
        aiohttp.ClientSession() as session,
    ):
        for _ in range(2):
            async with session.get(server.url) as response:
                await response.read()
        assert (server.connections, len(server.heads)) == (2, 3)


@every_adapter
@pytest.mark.asyncio
async def test_concurrent_calls_share_as_many_connections_as_allowed(wire: str) -> None:
    in_flight = most_in_flight = 0
    all_arrived = asyncio.Event()

    async def respond_once_8_are_in_flight(peer: Peer) -> None:
        nonlocal in_flight, most_in_flight
        while True:
            await peer.read()
            in_flight += 1
            most_in_flight = max(most_in_flight, in_flight)
            if in_flight == 8:
                all_arrived.set()
            await all_arrived.wait()
            in_flight -= 1
            await peer.send(http(PLACED))

    async with (
        serving(respond_once_8_are_in_flight) as server,
        client(wire, server.url, max_concurrency=8) as clickpost,
    ):
        found = await asyncio.gather(*(clickpost.get(QUESTION) for _ in range(300)))
        assert {one.response.status for one in found} == {200}
        assert (most_in_flight, len(server.heads)) == (8, 300)
        # Not exactly 8: on a busy machine one may idle for too long, and another is opened.
        assert server.connections in range(8, 30)
        assert clickpost.stats().connections in (range(1, 9) if wire in OURS else (0,))
    await until(lambda: not server.open)


@every_adapter
@pytest.mark.asyncio
async def test_calls_under_way_when_the_client_closes_end_in_an_error(wire: str) -> None:
    async with serving(hangs) as server:
        clickpost = client(wire, server.url, timeouts=Timeouts(shutdown=0.01))
        calls = [asyncio.create_task(clickpost.get(QUESTION)) for _ in range(3)]
        await until(lambda: len(server.heads) == 3)
        with anyio.fail_after(60):
            await clickpost.aclose()
            errors = await asyncio.gather(*calls, return_exceptions=True)
        await until(lambda: not server.open)
        assert clickpost.stats().connections == 0

    assert [type(error) for error in errors] == [NoReplyError] * 3


@every_adapter_of_ours
def test_each_event_loop_has_connections_of_its_own(wire: str) -> None:
    port = closed_port()
    clickpost = client(wire, f"http://127.0.0.1:{port}/api")

    async def main() -> tuple[int, int]:
        async with serving(port=port) as server:
            for _ in range(2):
                await is_well(clickpost, server)
            return server.connections, clickpost.stats().connections

    for _ in range(3):
        assert asyncio.run(main()) == (1, 1 if wire in OURS else 0)
    asyncio.run(clickpost.aclose())


# --- calls that are given up ------------------------------------------------------------------


async def reads_slowly(peer: Peer) -> None:
    await peer._reader.read(1000)
    await asyncio.sleep(30)


@every_adapter
@pytest.mark.parametrize("talk", [hangs, reads_slowly, FAULTS["half a body and silence"][0]])
@pytest.mark.asyncio
async def test_call_cancelled_while_sending_or_reading_leaves_no_connection(
    talk: Callable[[Peer], Any], wire: str
) -> None:
    async with serving(talk) as server, client(wire, server.url) as clickpost:
        order = india_order("R-1", additional=BIG if talk is reads_slowly else {})
        call = asyncio.create_task(clickpost.orders.create(order))
        await until(lambda: server.open)
        await asyncio.sleep(0.05)
        for _ in range(2):
            call.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await call
        assert clickpost.stats().connections == 0
        await is_well(clickpost, server)
        assert clickpost.stats().in_flight == 0


@every_adapter
@pytest.mark.asyncio
@pytest.mark.parametrize("turns", range(1, 24))
async def test_call_cancelled_at_any_step_leaves_a_working_client(turns: int, wire: str) -> None:
    async with serving() as server, client(wire, server.url, max_concurrency=1) as clickpost:
        call = asyncio.create_task(clickpost.get(QUESTION))
        for _ in range(turns):
            await asyncio.sleep(0)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        await is_well(clickpost, server)
        assert clickpost.stats().in_flight == 0
        if wire != "httpx":  # its pool may keep one that is unused (encode/httpcore #1093)
            await until(lambda: server.open <= 1)


@every_adapter
@pytest.mark.asyncio
async def test_call_that_is_given_up_while_it_connects_has_sent_nothing(
    wire: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = asyncio.Event()

    async def slow(*_: Any, **__: Any) -> Any:
        looked.set()
        await asyncio.sleep(1000)

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", slow)
    async with client(wire, "https://clickpost.invalid/api") as clickpost:
        call = asyncio.create_task(clickpost.orders.create(india_order("R-1")))
        await looked.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        # One that is not given up ends by itself.
        with pytest.raises(NotSentError):
            await clickpost.with_options(timeouts=Timeouts(connect=0.05)).orders.create(
                india_order("R-1")
            )
        assert clickpost.stats().in_flight == 0


# --- certificates -----------------------------------------------------------------------------


@asynccontextmanager
async def serving_tls(certificate: trustme.LeafCert) -> AsyncIterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    server = Server(well)
    listener = await asyncio.start_server(server.connected, "127.0.0.1", 0, ssl=context)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        server.hang_up()
        await until(lambda: not server.open)


@pytest.fixture
def authority(monkeypatch: pytest.MonkeyPatch) -> Iterator[trustme.CA]:
    """Return one that is trusted, in place of those that certifi knows."""
    authority = trustme.CA()
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(trusting)
    monkeypatch.setattr(tls, "verifying_context", lambda: trusting)
    return authority


@pytest.mark.fault("T04")
@every_adapter
@pytest.mark.asyncio
async def test_tls_connections_are_reused(wire: str, authority: trustme.CA) -> None:
    async with serving_tls(authority.issue_cert("127.0.0.1")) as server:
        async with client(wire, f"https://127.0.0.1:{server.port}/api") as clickpost:
            for _ in range(3):
                await is_well(clickpost, server)
            await clickpost.orders.create(india_order("R-1", additional=BIG))
            assert (server.connections, len(server.heads)) == (1, 4)
        await until(lambda: not server.open)


@pytest.mark.fault("T04")
@every_adapter
@pytest.mark.asyncio
@pytest.mark.parametrize("flaw", ["self-signed", "another's", "expired"])
async def test_refused_certificate_is_final(flaw: str, wire: str, authority: trustme.CA) -> None:
    issuer = trustme.CA() if flaw == "self-signed" else authority
    name = "nila.example" if flaw == "another's" else "127.0.0.1"
    end = datetime(2020, 1, 1, tzinfo=UTC) if flaw == "expired" else None
    async with (
        serving_tls(issuer.issue_cert(name, not_after=end)) as server,
        client(wire, f"https://127.0.0.1:{server.port}/api") as clickpost,
    ):
        with pytest.raises(NotSentError, match="certificate") as caught:
            await clickpost.orders.create(india_order("R-1"))

    assert (caught.value.transient, server.heads) == (False, [])


@pytest.mark.fault("T04")
@every_adapter
@pytest.mark.asyncio
async def test_server_without_tls_is_sent_nothing(wire: str) -> None:
    async with (
        serving(responds_with(http(PLACED))) as server,
        client(
            wire, f"https://127.0.0.1:{server.port}/api", timeouts=Timeouts(connect=0.2)
        ) as clickpost,
    ):
        with pytest.raises(NotSentError):
            await clickpost.orders.create(india_order("R-1"))

    assert server.heads == []


# --- where they do not work -------------------------------------------------------------------


@pytest.mark.parametrize("name", ["aiohttp", "httpx2", "httpx", "", "HTTPTOOLS"])
def test_unknown_transport_name_is_refused_listing_the_known_ones(name: str) -> None:
    with pytest.raises(ValueError, match="transport: pass 'httptools', or a transport object"):
        client("default", "http://127.0.0.1:9/api", transport=name)


def test_client_without_httptools_names_the_extra_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "httptools", None)
    monkeypatch.delitem(sys.modules, "clickpost_async._http.httptools_connection", raising=False)
    with pytest.raises(ImportError, match=r"pip install 'clickpost_async\[fast\]'"):
        client("httptools", "http://127.0.0.1:9/api")


def test_httptools_on_trio_is_refused_with_the_reason() -> None:
    clickpost = client("httptools", "http://127.0.0.1:9/api")
    with pytest.raises(NotSentError, match="transport='httptools' needs asyncio") as caught:
        trio.run(clickpost.get, QUESTION)

    assert not caught.value.transient


@pytest.mark.parametrize("wire", ["default", "httpx", "httpx2"])
def test_others_work_on_trio(wire: str) -> None:
    from clickpost_async.sandbox import Sandbox

    sandbox = Sandbox()
    sandbox.start()

    async def main() -> str | None:
        async with ClickPost(
            "sandbox",
            "sandbox-key-not-a-secret",
            base_url=sandbox.base_url,
            transport=ADAPTERS[wire](),
        ) as clickpost:
            for number in range(3):
                order = await clickpost.orders.create(india_order(f"R-{number}"))
        return order.reference_number

    try:
        assert trio.run(main) == "R-2"
    finally:
        sandbox.stop()
