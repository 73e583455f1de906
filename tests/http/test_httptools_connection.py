"""The connection with httptools reads responses as httpcore with h11 does."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

import httpcore
import pytest

from clickpost_async import UnreadableReplyError
from clickpost_async._http.adapter import BaseURL, HTTPRequest, SendProgress, StepTimeouts
from clickpost_async._http.httpcore_connection import HTTPCoreConnection
from clickpost_async._http.httptools_connection import HTTPToolsConnection
from clickpost_async._http.pool import ConnectionPool
from clickpost_async._http.response_reader import ResponseReader
from clickpost_async._http.signature import Signature
from tests.helpers.event_loops import EVERY_LOOP
from tests.helpers.http_server import Peer, Server, http, serving, until

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
BODY = b"content-length: 2\r\n\r\nok"
PATIENT = StepTimeouts(5, 5, 5)

base_of = cache(BaseURL.parse)
both = pytest.mark.parametrize("kind", [HTTPCoreConnection, HTTPToolsConnection])


def request_to(server: Server, timeouts: StepTimeouts = PATIENT, **parts: Any) -> HTTPRequest:
    parts = {"method": "POST", "target": "/x", "body": b"{}"} | parts
    return HTTPRequest(base=base_of(server.url), timeouts=timeouts, **parts)


async def read(pool: ConnectionPool, server: Server, **parts: Any) -> tuple[int, bytes]:
    reader = ResponseReader()
    await pool.send(request_to(server, **parts), SendProgress(), reader)
    return reader.status, reader.body()


def responds_with(*pieces: bytes, close: bool = False) -> Callable[[Peer], Awaitable[None]]:
    """Send a response in pieces, then close, or wait for the client to."""

    async def talk(peer: Peer) -> None:
        while True:
            await peer.read()
            for piece in pieces:
                await peer.send(piece)
                await asyncio.sleep(0)
            if close:
                return

    return talk


def bytewise(data: bytes) -> list[bytes]:
    return [bytes([byte]) for byte in data]


# --- responses that are read --------------------------------------------------------------------

READ: dict[str, tuple[bytes, bytes]] = {
    "a length": (OK + BODY, b"ok"),
    "an empty body": (OK + b"content-length: 0\r\n\r\n", b""),
    "no reason": (b"HTTP/1.1 200\r\n" + BODY, b"ok"),
    "chunks": (CHUNKED + b"2\r\nok\r\n1\r\n!\r\n0\r\n\r\n", b"ok!"),
    "chunks with extensions": (CHUNKED + b'2;a=b;c="d"\r\nok\r\n0;last\r\n\r\n', b"ok"),
    "chunks with trailers": (CHUNKED + b"2\r\nok\r\n0\r\nX-Sum: 1\r\nX-B: 2\r\n\r\n", b"ok"),
    "100 before it": (b"HTTP/1.1 100 Continue\r\n\r\n" + OK + BODY, b"ok"),
    "102 twice and 103 before it": (
        b"HTTP/1.1 102 Processing\r\n\r\n" * 2
        + b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n"
        + OK
        + BODY,
        b"ok",
    ),
    "an upgrade that is offered": (
        OK + b"Upgrade: h2c\r\nConnection: Upgrade\r\n" + BODY,
        b"ok",
    ),
    "an empty header": (OK + b"X-Empty:\r\n" + BODY, b"ok"),
    "a header that is not ASCII": (OK + b"X-Name: \xc3\xa9\xff\r\n" + BODY, b"ok"),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    "not modified, with a length": (b"HTTP/1.1 304 Same\r\ncontent-length: 9\r\n\r\n", b""),
}


@pytest.mark.parametrize("loop", EVERY_LOOP)
@both
@pytest.mark.parametrize("form", READ)
@pytest.mark.parametrize("cut", ["whole", "bytewise"])
def test_response_is_read_and_its_connection_used_again(
    form: str, cut: str, kind: Any, loop: str
) -> None:
    data, body = READ[form]
    pieces = bytewise(data) if cut == "bytewise" else [data]

    async def main() -> None:
        pool = ConnectionPool(kind)
        async with serving(responds_with(*pieces)) as server:
            for _ in range(2):
                assert (await read(pool, server))[1] == body
            assert (server.connections, pool.connections) == (1, 1)
            await pool.aclose()

    with asyncio.Runner(loop_factory=EVERY_LOOP[loop]) as runner:
        runner.run(main())


@both
@pytest.mark.parametrize(
    "head",
    [OK, b"HTTP/1.0 200 OK\r\n", OK + b"Connection: close\r\n"],
    ids=["1.1", "1.0", "close"],
)
@pytest.mark.parametrize("pieces", [1, 3])
@pytest.mark.asyncio
async def test_body_that_ends_with_the_connection_is_read(
    head: bytes, pieces: int, kind: Any
) -> None:
    pool = ConnectionPool(kind)
    async with serving(responds_with(head + b"\r\n", *[b"part"] * pieces, close=True)) as server:
        for number in (1, 2):
            assert await read(pool, server) == (200, b"part" * pieces)
            assert server.connections == number
        await pool.aclose()


@both
@pytest.mark.parametrize("head", [OK + b"Connection: close\r\n", b"HTTP/1.0 200 OK\r\n"])
@pytest.mark.asyncio
async def test_server_that_closes_is_not_sent_a_second_request(head: bytes, kind: Any) -> None:
    pool = ConnectionPool(kind)
    async with serving(responds_with(head + BODY)) as server:
        for number in (1, 2):
            assert await read(pool, server) == (200, b"ok")
            assert (server.connections, pool.connections) == (number, 0)


@both
@pytest.mark.parametrize("surplus", [b"garbage", b"HTTP", OK + BODY, b"\x00", b"0\r\n\r\n"])
@pytest.mark.parametrize("together", [True, False])
@pytest.mark.asyncio
async def test_data_after_a_response_belongs_to_no_other(
    surplus: bytes, together: bool, kind: Any
) -> None:
    first = OK + b"content-length: 5\r\n\r\nfirst"
    pool = ConnectionPool(kind)
    pieces = [first + surplus] if together else [first, surplus]
    async with serving(responds_with(*pieces)) as server:
        assert await read(pool, server) == (200, b"first")
        await asyncio.sleep(0.02)
        server.talk = responds_with(OK + BODY)
        assert await read(pool, server) == (200, b"ok")
        assert (server.connections, pool.connections) == (2, 1)
        await pool.aclose()


# --- responses that are refused -----------------------------------------------------------------

REFUSED: dict[str, bytes] = {
    "two lengths": OK + b"content-length: 2\r\ncontent-length: 3\r\n\r\nok!",
    "two lengths in one": OK + b"content-length: 2, 3\r\n\r\nok!",
    "a negative length": OK + b"content-length: -2\r\n\r\nok",
    "a length with a sign": OK + b"content-length: +2\r\n\r\nok",
    "a length in hexadecimal": OK + b"content-length: 0x2\r\n\r\nok",
    "an empty length": OK + b"content-length:\r\n\r\nok",
    "a length beyond all numbers": OK + b"content-length: " + b"9" * 40 + b"\r\n\r\nok",
    "another transfer coding": OK + b"transfer-encoding: gzip\r\n\r\nok",
    "two transfer codings": OK + b"transfer-encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "a chunk that is longer": CHUNKED + b"2\r\nokay\r\n0\r\n\r\n",
    "a chunk size that is none": CHUNKED + b"xyz\r\nok\r\n0\r\n\r\n",
    "a chunk size with a sign": CHUNKED + b"+2\r\nok\r\n0\r\n\r\n",
    "a chunk size beyond all numbers": CHUNKED + b"f" * 40 + b"\r\nok\r\n0\r\n\r\n",
    "an upgrade": b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
    "an upgrade and data": b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\n\r\nhello",
    "informational with a body": (b"HTTP/1.1 150 Odd\r\ncontent-length: 3\r\n\r\nabc" + OK + BODY),
    "informational with chunks": (
        b"HTTP/1.1 150 Odd\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n" + OK + BODY
    ),
    "a status below 100": b"HTTP/1.1 099 Odd\r\n" + BODY,
    "a status with four digits": b"HTTP/1.1 2000 OK\r\n" + BODY,
    "another protocol": b"ICY 200 OK\r\n" + BODY,
    "RTSP": b"RTSP/1.0 200 OK\r\n" + BODY,
    "no HTTP": b"\x16\x03\x01 hello\r\n\r\n",
    "a line before the status": b"\r\n" + OK + BODY,
    "a header without a name": OK + b": x\r\n" + BODY,
    "a header with a space in its name": OK + b"X Y: x\r\n" + BODY,
    "a header with a space after its name": OK + b"X : x\r\n" + BODY,
    "a header with NUL": OK + b"X: a\x00b\r\n" + BODY,
    "a header with a bare CR": OK + b"X: a\rb\r\n" + BODY,
    "a header without a colon": OK + b"content-length 2\r\n" + BODY,
}
# Here h11 is more lenient, and what it reads depends on who reads it.
REFUSED_BY_HTTPTOOLS: dict[str, bytes] = {
    "the same length twice": OK + b"content-length: 2\r\n" + BODY,
    "a length and chunks": (
        OK + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    ),
    "chunks and a length": (
        OK + b"transfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    ),
    "lines that end with LF": (OK + BODY).replace(b"\r", b""),
    "a folded header": OK + b"X: a\r\n b\r\n" + BODY,
    "a length in the trailers": CHUNKED + b"2\r\nok\r\n0\r\ncontent-length: 9\r\n\r\n",
}


def after_another(talk: Callable[[Peer], Awaitable[None]]) -> Callable[[Peer], Awaitable[None]]:
    """Respond to the first request as expected, and to others as `talk` does."""

    async def both_in_turn(peer: Peer) -> None:
        await peer.read()
        await peer.send(OK + BODY)
        await talk(peer)

    return both_in_turn


used = pytest.mark.parametrize("is_used", [False, True], ids=["new", "used"])


async def is_refused(
    kind: Any, talk: Callable[[Peer], Awaitable[None]], *, is_used: bool = False
) -> None:
    pool = ConnectionPool(kind)
    progress = SendProgress()
    async with serving(after_another(talk) if is_used else talk) as server:
        if is_used:
            assert await read(pool, server) == (200, b"ok")
        with pytest.raises(httpcore.RemoteProtocolError):
            await pool.send(request_to(server), progress, ResponseReader())
        assert (server.connections, pool.connections) == (1, 0)
        await until(lambda: not server.open)
    # A response that cannot be read says nothing of the order: its outcome is unknown.
    assert (progress.is_reliable, progress.may_have_been_sent) == (True, True)


@both
@used
@pytest.mark.parametrize("form", REFUSED)
@pytest.mark.parametrize("cut", ["whole", "bytewise"])
@pytest.mark.asyncio
async def test_malformed_response_is_refused(form: str, cut: str, is_used: bool, kind: Any) -> None:
    data = REFUSED[form]
    pieces = bytewise(data) if cut == "bytewise" else [data]
    await is_refused(kind, responds_with(*pieces), is_used=is_used)


@pytest.mark.parametrize("form", REFUSED_BY_HTTPTOOLS)
@pytest.mark.parametrize("cut", ["whole", "bytewise"])
@pytest.mark.asyncio
async def test_response_open_to_interpretation_is_refused(form: str, cut: str) -> None:
    data = REFUSED_BY_HTTPTOOLS[form]
    pieces = bytewise(data) if cut == "bytewise" else [data]
    await is_refused(HTTPToolsConnection, responds_with(*pieces))


TRUNCATED = {
    "a head": OK + b"content-le",
    "100 and no more": b"HTTP/1.1 100 Continue\r\n\r\n",
    "a body": OK + b"content-length: 9\r\n\r\nok",
    "a chunk": CHUNKED + b"9\r\nok",
    "chunks without the last": CHUNKED + b"2\r\nok\r\n",
    "trailers without their end": CHUNKED + b"2\r\nok\r\n0\r\nX: 1\r\n",
    "nothing": b"",
}


@both
@used
@pytest.mark.parametrize("form", TRUNCATED)
@pytest.mark.asyncio
async def test_truncated_response_is_refused(form: str, is_used: bool, kind: Any) -> None:
    await is_refused(kind, responds_with(TRUNCATED[form], close=True), is_used=is_used)


@pytest.mark.asyncio
async def test_data_before_the_request_fails_it_unsent() -> None:
    async def speaks_first(peer: Peer) -> None:
        await peer.send(OK + BODY)
        await peer.until_gone()

    async with serving(speaks_first) as server:
        connection = HTTPToolsConnection(base_of(server.url))
        await connection.connect("127.0.0.1", server.port, 5)
        await until(connection.is_broken)
        progress = SendProgress()
        with pytest.raises(httpcore.RemoteProtocolError, match="outside of a response"):
            await connection.send(request_to(server), progress, ResponseReader())
        assert (progress.is_reliable, progress.may_have_been_sent) == (True, False)
        await until(lambda: not server.open)


# --- bounds -------------------------------------------------------------------------------------


FLOODS = {
    "one header": (OK + b"X: ", b"y" * 50_000),
    "headers": (OK, b"X-Name: value\r\n" * 3_000),
    "the name of a header": (OK, b"y" * 50_000),
    "the reason": (b"HTTP/1.1 200 ", b"y" * 50_000),
    "informational responses": (b"", b"HTTP/1.1 102 Processing\r\n\r\n" * 2_000),
    "an extension of a chunk": (CHUNKED + b"2;", b"y" * 50_000),
    "trailers": (CHUNKED + b"2\r\nok\r\n0\r\n", b"X-Name: value\r\n" * 3_000),
}


@pytest.mark.parametrize("form", FLOODS)
@pytest.mark.asyncio
async def test_flood_outside_of_the_body_is_cut_off(form: str) -> None:
    read_by_peer = 0

    async def talk(peer: Peer) -> None:
        nonlocal read_by_peer
        start, piece = FLOODS[form]
        await peer.read()
        await peer.send(start)
        while True:
            read_by_peer += len(piece)
            await peer.send(piece)

    await is_refused(HTTPToolsConnection, talk)
    # What is in the buffers of both sockets has been sent, too.
    assert read_by_peer < 20_000_000


@both
@pytest.mark.parametrize("start", [OK + b"\r\n", CHUNKED, OK + b"content-length: 99999999\r\n\r\n"])
@pytest.mark.asyncio
async def test_body_beyond_the_bound_is_cut_off(start: bytes, kind: Any) -> None:
    async def talk(peer: Peer) -> None:
        await peer.read()
        await peer.send(start)
        while True:
            await peer.send(b"8000\r\n%s\r\n" % (b"x" * 0x8000))

    pool = ConnectionPool(kind)
    async with serving(talk) as server:
        with pytest.raises(UnreadableReplyError, match="larger than"):
            await read(pool, server)
        assert pool.connections == 0
        await until(lambda: not server.open)


@pytest.mark.parametrize("size", [100 * 1024, 100 * 1024 + 200])
@pytest.mark.asyncio
async def test_head_may_have_100_kib(size: int) -> None:
    response = OK + b"X: " + b"y" * (size - 100) + b"\r\n" + BODY
    pool = ConnectionPool(HTTPToolsConnection)
    async with serving(responds_with(response)) as server:
        if size > 100 * 1024:
            with pytest.raises(httpcore.RemoteProtocolError):
                await read(pool, server)
        else:
            assert await read(pool, server) == (200, b"ok")
        await pool.aclose()


# --- requests -----------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_request_is_written_in_one_piece() -> None:
    written: list[bytes] = []

    class Recording(HTTPToolsConnection):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            write = transport.write
            self._transport = type(
                "Transport",
                (),
                {
                    "write": lambda _, data: (written.append(data), write(data)),
                    "__getattr__": lambda _, name: getattr(transport, name),
                },
            )()

    signature = Signature("key=REDACTED", "key=secret", in_body=False)
    pool = ConnectionPool(Recording)
    async with serving(responds_with(OK + BODY)) as server:
        await read(
            pool, server, target="/x?a=b&key=REDACTED", body=b'{"a": 1}', signature=signature
        )
        await read(pool, server, method="GET", body=None)
        await pool.aclose()

    usual = b"Host: 127.0.0.1:%d\r\nAccept: application/json\r\nAccept-Encoding: gzip\r\n"
    usual = (usual + b"User-Agent: clickpost_async\r\n") % server.port
    assert written == [
        b"POST /api/x?a=b&key=secret HTTP/1.1\r\n"
        + usual
        + b'Content-Type: application/json\r\nContent-Length: 8\r\n\r\n{"a": 1}',
        b"GET /api/x HTTP/1.1\r\n" + usual + b"\r\n",
    ]


@both
@pytest.mark.parametrize("target", ["/a b", "/a\r\nX: y", "/a\tb", "/a\x7f", "/a\x00"])
@pytest.mark.asyncio
async def test_target_that_would_split_the_request_is_not_sent(target: str, kind: Any) -> None:
    pool = ConnectionPool(kind)
    async with serving(responds_with(OK + BODY)) as server:
        with pytest.raises(httpcore.LocalProtocolError):
            await read(pool, server, target=target)
        assert (server.heads, pool.connections) == ([], 0)


@pytest.mark.asyncio
async def test_early_response_is_read_and_the_half_written_connection_not_used_again() -> None:
    async def talk(peer: Peer) -> None:
        await peer._reader.read(1000)
        await peer.send(http(b"no", "413 Content Too Large"))
        await asyncio.sleep(60)

    pool = ConnectionPool(HTTPToolsConnection)
    async with serving(talk) as server:
        assert await read(pool, server, body=b"x" * 30_000_000) == (413, b"no")
        assert pool.connections == 0


# --- timeouts -----------------------------------------------------------------------------------


@pytest.mark.parametrize("loop", EVERY_LOOP)
def test_read_timeout_counts_from_the_last_data(loop: str) -> None:
    async def drips(peer: Peer) -> None:
        await peer.read()
        for byte in OK + BODY:
            await peer.send(bytes([byte]))
            await asyncio.sleep(0.02)
        await peer.read()
        await peer.send(OK + b"content-length: 2\r\n\r\no")
        await peer.until_gone()

    async def main() -> None:
        pool = ConnectionPool(HTTPToolsConnection)
        patient, quick = StepTimeouts(5, 5, 0.5), StepTimeouts(5, 5, 0.1)
        async with serving(drips) as server:
            # All of it takes longer than the timeout; no pause does.
            assert await read(pool, server, timeouts=patient) == (200, b"ok")
            with pytest.raises(httpcore.ReadTimeout):
                await read(pool, server, timeouts=quick)
            assert pool.connections == 0

    with asyncio.Runner(loop_factory=EVERY_LOOP[loop]) as runner:
        runner.run(main())


@pytest.mark.asyncio
async def test_short_timeout_holds_on_a_connection_that_had_a_long_one() -> None:
    async def responds_once(peer: Peer) -> None:
        await peer.read()
        await asyncio.sleep(0.01)  # the first request has to wait, with a timer
        await peer.send(OK + BODY)
        await peer.until_gone()

    pool = ConnectionPool(HTTPToolsConnection)
    async with serving(responds_once) as server, asyncio.timeout(60):
        assert await read(pool, server, timeouts=StepTimeouts(5, 5, 1000)) == (200, b"ok")
        with pytest.raises(httpcore.ReadTimeout):
            await read(pool, server, timeouts=StepTimeouts(5, 5, 0.01))
        assert server.connections == 1
