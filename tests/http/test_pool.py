"""Connections: one for each request in flight, kept for the next one, and never leaked."""

import asyncio
import contextlib
import os
import ssl
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import httpcore
import httpx
import pytest
import trustme
from httpcore._synchronization import AsyncLock

from clickpost_async import NotSentError, UnreadableReplyError
from clickpost_async._http import pool as pool_module
from clickpost_async._http.adapter import BaseURL, HTTPRequest, SendProgress, StepTimeouts
from clickpost_async._http.httpcore_connection import HTTPCoreConnection
from clickpost_async._http.httptools_connection import HTTPToolsConnection
from clickpost_async._http.pool import ConnectionPool
from clickpost_async._http.response_reader import ResponseReader
from clickpost_async._http.tls import verifying_context
from tests.helpers.http_server import PLACED, Peer, Server, closed_port, http, serving, until, well

_base = cache(BaseURL.parse)
TIMEOUTS = StepTimeouts(5, 5, 5)
MakePool = Callable[[], ConnectionPool]


@pytest.fixture(params=[HTTPCoreConnection, HTTPToolsConnection])
def make_pool(request: pytest.FixtureRequest) -> MakePool:
    return lambda: ConnectionPool(request.param)


async def ask(
    pool: ConnectionPool,
    server: Server,
    timeouts: StepTimeouts = TIMEOUTS,
    progress: SendProgress | None = None,
) -> bytes:
    response = ResponseReader()
    call = HTTPRequest("GET", _base(server.url), "/x", None, timeouts)
    await pool.send(call, progress or SendProgress(), response)
    return response.body()


@pytest.mark.asyncio
async def test_connection_is_used_again(make_pool: MakePool) -> None:
    pool = make_pool()
    async with serving() as server:
        for _ in range(5):
            assert await ask(pool, server) == PLACED
        assert (server.connections, pool.connections) == (1, 1)
        await pool.aclose()
        assert pool.connections == 0


@pytest.mark.asyncio
async def test_request_on_a_used_connection_takes_no_lock_of_httpcore(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken: list[AsyncLock] = []
    take = AsyncLock.__aenter__

    async def counted(self: AsyncLock) -> AsyncLock:
        taken.append(self)
        return await take(self)

    monkeypatch.setattr(AsyncLock, "__aenter__", counted)
    pool = ConnectionPool(HTTPCoreConnection)
    async with serving() as server:
        await ask(pool, server)
        opening = len(taken)
        assert opening > 0, "the locks are counted"
        for _ in range(3):
            await ask(pool, server)
        assert (len(taken), server.connections) == (opening, 1)
        await pool.aclose()


@pytest.mark.asyncio
async def test_calls_at_once_have_a_connection_each_and_leave_them_for_the_next(
    make_pool: MakePool,
) -> None:
    pool = make_pool()
    async with serving() as server:
        for _ in range(3):
            await asyncio.gather(*(ask(pool, server) for _ in range(20)))
        assert (server.connections, pool.connections, len(server.heads)) == (20, 20, 60)
        await pool.aclose()


@pytest.mark.asyncio
async def test_unread_response_closes_the_connection(
    make_pool: MakePool,
) -> None:
    async def talk(peer: Peer) -> None:
        await peer.read()
        await peer.send(http(b"x" * 3_000_000))
        await peer.until_gone()

    pool = make_pool()
    async with serving(talk) as server:
        with pytest.raises(UnreadableReplyError, match="larger"):
            await ask(pool, server)
        assert pool.connections == 0
        await until(lambda: not server.open)
        server.talk = well
        assert await ask(pool, server) == PLACED
        await pool.aclose()


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.asyncio
async def test_connection_with_data_after_the_response_is_not_reused(
    later: bool, make_pool: MakePool
) -> None:
    first, stray = http(b"first"), http(b"stray")

    async def talk(peer: Peer) -> None:
        await peer.read()
        await peer.send(first if later else first + stray)
        if later:
            await asyncio.sleep(0.02)
            await peer.send(stray)
        await peer.until_gone()

    pool = make_pool()
    async with serving(talk) as server:
        assert await ask(pool, server) == b"first"
        await asyncio.sleep(0.05)
        server.talk = well
        assert await ask(pool, server) == PLACED
        assert server.connections == 2
        await pool.aclose()


@pytest.mark.asyncio
async def test_connection_close_makes_the_next_call_open_a_new_one(
    make_pool: MakePool,
) -> None:
    async def talk(peer: Peer) -> None:
        await peer.read()
        await peer.send(http(PLACED, connection="close"))
        await peer.until_gone()

    pool = make_pool()
    async with serving(talk) as server:
        for number in range(1, 4):
            assert await ask(pool, server) == PLACED
            assert (server.connections, pool.connections) == (number, 0)


@pytest.mark.asyncio
async def test_connection_that_idled_for_too_long_is_not_reused(
    monkeypatch: pytest.MonkeyPatch, make_pool: MakePool
) -> None:
    monkeypatch.setattr(pool_module, "KEEP_ALIVE", 0.02)
    pool = make_pool()
    async with serving() as server:
        await asyncio.gather(*(ask(pool, server) for _ in range(5)))
        await asyncio.sleep(0.05)
        await ask(pool, server)
        # None of the five is kept, not even those that were not looked for.
        assert (server.connections, pool.connections) == (6, 1)
        await pool.aclose()


@pytest.mark.asyncio
async def test_surplus_idle_connections_are_closed_while_one_is_in_use(
    monkeypatch: pytest.MonkeyPatch, make_pool: MakePool
) -> None:
    monkeypatch.setattr(pool_module, "KEEP_ALIVE", 0.05)
    pool = make_pool()
    async with serving() as server:
        await asyncio.gather(*(ask(pool, server) for _ in range(5)))
        for _ in range(6):
            await asyncio.sleep(0.02)
            await ask(pool, server)
        assert pool.connections == 1
        await pool.aclose()


@pytest.mark.asyncio
async def test_connections_of_one_server_are_not_used_for_another(make_pool: MakePool) -> None:
    pool = make_pool()
    async with serving() as one, serving() as other:
        await ask(pool, one)
        await ask(pool, other)
        await ask(pool, one)
        assert (one.connections, other.connections, pool.connections) == (1, 1, 2)
        await pool.aclose()


@pytest.mark.asyncio
@pytest.mark.parametrize("turns", range(1, 40))
async def test_call_that_is_cancelled_at_any_point_leaves_no_connection(
    turns: int, make_pool: MakePool
) -> None:
    pool = make_pool()
    async with serving() as server:
        call = asyncio.create_task(ask(pool, server))
        for _ in range(turns):
            await asyncio.sleep(0)
        call.cancel()
        done = await asyncio.gather(call, return_exceptions=True)
        idle = pool.connections
        # Not in use: either it was read to its end, or it is closed.
        assert (idle, pool._busy) == (1 if done == [PLACED] else 0, set())
        assert await ask(pool, server) == PLACED
        await pool.aclose()
        await until(lambda: not server.open)


@pytest.mark.asyncio
async def test_cancelling_twice_leaves_no_connection_either(make_pool: MakePool) -> None:
    async def hang(peer: Peer) -> None:
        await peer.read()
        await peer.until_gone()

    pool = make_pool()
    async with serving(hang) as server:
        call = asyncio.create_task(ask(pool, server))
        await until(lambda: server.heads)
        for _ in range(3):
            call.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await call
        assert pool.connections == 0
        await until(lambda: not server.open)


@pytest.mark.asyncio
async def test_after_the_end_nothing_is_opened(make_pool: MakePool) -> None:
    pool = make_pool()
    await pool.aclose()
    await pool.aclose()
    async with serving() as server:
        with pytest.raises(NotSentError, match="closed"):
            await ask(pool, server)
        assert server.connections == 0


@pytest.mark.asyncio
async def test_closing_ends_the_calls_under_way(make_pool: MakePool) -> None:
    async def hang(peer: Peer) -> None:
        await peer.read()
        await peer.until_gone()

    pool = make_pool()
    async with serving(hang) as server:
        call = asyncio.create_task(ask(pool, server))
        await until(lambda: server.heads)
        await pool.aclose()
        with pytest.raises(httpcore.ReadError):
            await call
        assert pool.connections == 0


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("timeouts", "expected"),
    [
        (StepTimeouts(5, 5, 0.05), httpcore.ReadTimeout),
        (StepTimeouts(5, 5, 5), httpcore.ConnectError),
    ],
)
async def test_errors_are_those_of_httpcore(
    timeouts: StepTimeouts, expected: type[Exception], make_pool: MakePool
) -> None:
    async def hang(peer: Peer) -> None:
        await peer.until_gone()

    pool = make_pool()
    async with serving(hang) as server:
        port = server.port
        if expected is httpcore.ConnectError:
            server.port = closed_port()
        with pytest.raises(expected):
            await ask(pool, server, timeouts)
        server.port = port
        assert pool.connections == 0


@pytest.mark.asyncio
async def test_httpcore_connection_closed_after_the_pool_took_it_is_noticed_before_the_first_byte(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # httptools' connection writes in the very turn of the event loop in which it was taken.
    pool = ConnectionPool(HTTPCoreConnection)
    async with serving() as server:
        await ask(pool, server)
        handle = httpcore.AsyncHTTPConnection.handle_async_request

        async def late(self: Any, request: httpcore.Request) -> httpcore.Response:
            # What other tasks do between the look at the connection and the first byte.
            server.hang_up()
            await until(lambda: not server.open)
            return await handle(self, request)

        monkeypatch.setattr(httpcore.AsyncHTTPConnection, "handle_async_request", late)
        assert await ask(pool, server) == PLACED
        assert (server.connections, len(server.heads), pool.connections) == (2, 2, 1)
        await pool.aclose()


@pytest.mark.asyncio
async def test_send_progress_is_known_on_new_and_reused_connections(
    make_pool: MakePool,
) -> None:
    async def silent(peer: Peer) -> None:
        await peer.until_gone()

    pool, soon = make_pool(), StepTimeouts(5, 5, 0.05)
    async with serving() as server:
        port = server.port
        server.port = closed_port()
        unsent = SendProgress()
        with pytest.raises(httpcore.ConnectError):
            await ask(pool, server, soon, unsent)
        assert (unsent.is_reliable, unsent.may_have_been_sent) == (True, False)

        server.port = port
        for _ in range(2):
            completed = SendProgress()
            await ask(pool, server, soon, completed)
            assert (completed.is_reliable, completed.may_have_been_sent) == (True, True)

        server.talk = silent
        lost = SendProgress()
        other = make_pool()
        with pytest.raises(httpcore.ReadTimeout):
            await ask(other, server, soon, lost)
        assert (lost.is_reliable, lost.may_have_been_sent) == (True, True)
        await pool.aclose()


def test_certificates_are_checked_and_old_tls_is_refused() -> None:
    context = verifying_context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.get_ca_certs()


def test_http2_is_not_negotiated_with_a_server_that_prefers_it() -> None:
    authority = trustme.CA()
    context = verifying_context.__wrapped__()
    authority.configure_trust(context)
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("nila.example").configure_cert(theirs)
    theirs.set_alpn_protocols(["h2", "http/1.1"])
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(back, there, server_hostname="nila.example")
    server = theirs.wrap_bio(there, back, server_side=True)
    for side in (client, server, client, server):
        with contextlib.suppress(ssl.SSLWantReadError):
            side.do_handshake()

    assert client.selected_alpn_protocol() == "http/1.1"


def test_keys_of_a_session_are_written_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "SSLKEYLOGFILE", str(tmp_path / "keys"))
    verifying_context.cache_clear()
    try:
        assert verifying_context().keylog_filename is None
        # The control: the usual way would.
        assert ssl.create_default_context().keylog_filename == str(tmp_path / "keys")
    finally:
        verifying_context.cache_clear()


@pytest.mark.asyncio
async def test_http_server_of_the_tests_responds() -> None:
    async with serving(well) as server, httpx.AsyncClient(trust_env=False) as plain:
        assert (await plain.get(server.url)).content == PLACED
