"""A connection that is given up while it is opened is closed, however it is given up."""

import asyncio
import gc
import ssl
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpcore
import pytest
import trustme
from anyio.abc import ByteStream, SocketAttribute
from anyio.lowlevel import checkpoint

from clickpost_async import (
    Auth,
    ClickPost,
    Get,
    Idempotency,
    NotSentError,
    RetryPolicy,
    Timeouts,
)
from clickpost_async._download.downloader import Downloader
from clickpost_async._http import happy_eyeballs
from clickpost_async._http.httpcore_stream import AsyncioStream, TrackingBackend
from clickpost_async.endpoints.labels import LABEL
from clickpost_async.structures import ResponseModel
from tests.helpers.descriptors import needs_descriptors_listed
from tests.helpers.event_loops import EVERY_LOOP
from tests.helpers.http_server import PLACED, http, listening, reset_on_close, until
from tests.helpers.scripted_transport import KEY

QUESTION = Get("/v9/own/", returns=ResponseModel, idempotency=Idempotency.UNSAFE, auth=Auth.KEY)
PDF = b"%PDF-1.4\n%%EOF\n"
BACKENDS: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: ("asyncio", {"loop_factory": factory}) for name, factory in EVERY_LOOP.items()},
    "trio": ("trio", {}),
}

Start = Callable[[], Awaitable[object]]


class Server:
    """Counts its connections, and sends nothing, or responses over TLS."""

    def __init__(self) -> None:
        self.port = 0
        self.connected = 0
        self.open = 0
        self.received = b""

    async def serve(self, stream: ByteStream) -> None:
        self.connected += 1
        self.open += 1
        try:
            async with stream:
                await self.talk(stream)
        except (anyio.EndOfStream, anyio.BrokenResourceError, ssl.SSLError):
            pass  # the client closed the connection
        finally:
            self.open -= 1

    async def talk(self, stream: ByteStream) -> None:
        while True:
            self.received += await stream.receive()


class RespondingServer(Server):
    async def talk(self, stream: ByteStream) -> None:
        while True:
            head = await stream.receive()
            while b"\r\n\r\n" not in head:
                head += await stream.receive()
            await stream.send(http(PDF if b"DL1.pdf" in head else PLACED))


@asynccontextmanager
async def serving(server: Server, context: ssl.SSLContext | None = None) -> AsyncGenerator[Server]:
    async with listening(server.serve, context) as server.port:
        yield server


# --- what connects --------------------------------------------------------------------------------


def client(port: int, transport: Any = None) -> ClickPost:
    return ClickPost(
        "acme",
        KEY,
        base_url=f"https://127.0.0.1:{port}",
        retry=RetryPolicy.never(),
        timeouts=Timeouts(shutdown=0.001),
        transport=transport,
    )


@asynccontextmanager
async def calling(port: int, transport: Any) -> AsyncGenerator[Start]:
    async with client(port, transport) as clickpost:
        yield partial(clickpost.get, QUESTION)


@asynccontextmanager
async def downloading(port: int, path: Path) -> AsyncGenerator[Start]:
    url = f"https://127.0.0.1:{port}/DL1.pdf"
    downloader = Downloader(loopback=True)
    yield partial(downloader.download, LABEL, url, path, overwrite=True)


CONNECTS: dict[str, Callable[[int, Path], Any]] = {
    "call": lambda port, _: calling(port, None),
    "call-httptools": lambda port, _: calling(port, "httptools"),
    "download": lambda port, tmp_path: downloading(port, tmp_path / "label.pdf"),
}
PAIRS = [
    (connects, backend)
    for connects in CONNECTS
    for backend in BACKENDS
    if (connects, backend) != ("call-httptools", "trio")
]
every_connection = pytest.mark.parametrize(("connects", "backend"), PAIRS)
every_call = pytest.mark.parametrize(
    ("connects", "backend"), [pair for pair in PAIRS if pair[0] != "download"]
)


@pytest.fixture(autouse=True)
def no_garbage_collection() -> Iterator[None]:
    """Collect nothing meanwhile: a connection that is collected is closed too."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def run(test: Callable[[], Awaitable[None]], backend: str) -> None:
    name, options = BACKENDS[backend]
    anyio.run(test, backend=name, backend_options=options)


async def hold(start: Start, errors: list[BaseException]) -> None:
    """Start something, and keep its error, whose traceback keeps its connection."""
    try:
        await start()
    except BaseException as error:
        errors.append(error)
        if not isinstance(error, Exception):
            raise


# --- the handshake does not end -------------------------------------------------------------------


@every_connection
def test_connection_cancelled_in_its_handshake_is_closed(
    connects: str, backend: str, tmp_path: Path
) -> None:
    async def test() -> None:
        errors: list[BaseException] = []
        async with (
            serving(Server()) as server,
            CONNECTS[connects](server.port, tmp_path) as start,
        ):
            async with anyio.create_task_group() as group:
                group.start_soon(hold, start, errors)
                await until(lambda: server.received)
                assert server.open == 1
                group.cancel_scope.cancel()
            await until(lambda: not server.open)
        assert [isinstance(error, Exception) for error in errors] == [False]
        errors.clear()

    run(test, backend)


@every_call
def test_client_that_is_closed_ends_handshakes_and_sends_nothing(
    connects: str, backend: str
) -> None:
    async def test() -> None:
        errors: list[BaseException] = []
        async with serving(Server()) as server, anyio.create_task_group() as group:
            clickpost = client(server.port, "httptools" if connects == "call-httptools" else None)
            group.start_soon(hold, partial(clickpost.get, QUESTION), errors)
            await until(lambda: server.received)
            await clickpost.aclose()
            await until(lambda: not server.open)
            await until(lambda: errors)
        assert [type(error) for error in errors] == [NotSentError]
        errors.clear()

    run(test, backend)


@pytest.mark.parametrize("transport", [None, "httptools"])
@pytest.mark.asyncio
async def test_client_that_is_closed_while_it_connects_sends_nothing(
    transport: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    connecting, may_connect = asyncio.Event(), asyncio.Event()
    addresses = happy_eyeballs._addresses

    async def slowly(*arguments: Any) -> Any:
        connecting.set()
        await may_connect.wait()
        return await addresses(*arguments)

    monkeypatch.setattr(happy_eyeballs, "_addresses", slowly)
    async with serving(Server()) as server:
        clickpost = client(server.port, transport)
        call = asyncio.create_task(clickpost.get(QUESTION))
        await connecting.wait()
        await clickpost.aclose()
        may_connect.set()
        with pytest.raises(NotSentError):
            await call
        await until(lambda: server.connected)
        await until(lambda: not server.open)
        assert server.received == b""


LOOP = """
import asyncio, gc, sys, warnings
from tests.helpers.descriptors import descriptors
from tests.http.test_tls_handshake import QUESTION, client

def stop_in_the_handshake():
    loop = asyncio.new_event_loop()
    call = loop.create_task(clickpost.get(QUESTION))
    for _ in range(20):
        loop.run_until_complete(asyncio.sleep(0.001))
    loop.close()
    return call

clickpost = client(int(sys.argv[1]), sys.argv[2] or None)
calls = [stop_in_the_handshake()]
before = descriptors()
calls += [stop_in_the_handshake() for _ in range(10)]
asyncio.run(clickpost.aclose())
print(descriptors() - before, all(not call.done() for call in calls))
sys.stdout.flush()
__import__("os")._exit(0)
"""


@needs_descriptors_listed
@pytest.mark.parametrize("transport", [None, "httptools"])
@pytest.mark.asyncio
async def test_event_loop_closed_in_handshakes_leaves_no_descriptor(transport: Any) -> None:
    async with serving(Server()) as server:
        # In a process of its own: asyncio complains of pending tasks when they are collected.
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", LOOP, str(server.port), transport or ""),
            stdout=subprocess.PIPE,
        )
        out, _ = await process.communicate()
        grown, are_pending = out.split()
        assert (int(grown) <= 0, are_pending) == (True, b"True"), out
        assert server.connected == 11


def test_connect_timeout_includes_the_handshake(monkeypatch: pytest.MonkeyPatch) -> None:
    class Loop(asyncio.SelectorEventLoop):
        elapsed = 0.0

        def time(self) -> float:
            return super().time() + self.elapsed

    loop = Loop()
    addresses = happy_eyeballs._addresses

    async def for_an_hour(*arguments: Any) -> Any:
        loop.elapsed = 3599.9
        return await addresses(*arguments)

    async def test() -> None:
        async with serving(Server()) as server:
            stream = AsyncioStream(TrackingBackend(), loop)
            await stream.connect("127.0.0.1", server.port, 3600)
            with anyio.fail_after(60), pytest.raises(httpcore.ConnectTimeout):
                await stream.start_tls(ssl.create_default_context(), "127.0.0.1", 3600)
            await until(lambda: not server.open)

    monkeypatch.setattr(happy_eyeballs, "_addresses", for_an_hour)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(test())


@asynccontextmanager
async def failing_five_times(
    server: Server, connects: str, tmp_path: Path
) -> AsyncGenerator[Server]:
    """Connect to a server with which no handshake succeeds; nothing may have been sent."""
    async with serving(server), CONNECTS[connects](server.port, tmp_path) as start:
        for _ in range(5):
            with pytest.raises(NotSentError):
                await start()
        yield server


@pytest.mark.parametrize("is_reset", [False, True])
@pytest.mark.parametrize("reads", [False, True])
@every_connection
def test_server_that_closes_in_the_handshake_is_not_waited_for(
    connects: str, backend: str, reads: bool, is_reset: bool, tmp_path: Path
) -> None:
    class Closing(Server):
        async def talk(self, stream: ByteStream) -> None:
            if reads:
                await stream.receive()
            if is_reset:
                reset_on_close(stream.extra(SocketAttribute.raw_socket))

    async def test() -> None:
        async with failing_five_times(Closing(), connects, tmp_path) as server:
            pass
        assert server.connected == 5

    run(test, backend)


@every_connection
def test_response_before_the_handshake_is_not_believed(
    connects: str, backend: str, tmp_path: Path
) -> None:
    class Forging(Server):
        async def talk(self, stream: ByteStream) -> None:
            await stream.send(http(PDF if connects == "download" else PLACED))
            await super().talk(stream)

    async def test() -> None:
        async with failing_five_times(Forging(), connects, tmp_path) as server:
            await until(lambda: not server.open)

    run(test, backend)


# --- at any point ---------------------------------------------------------------------------------


@every_connection
def test_connection_cancelled_at_any_point_is_closed(
    connects: str, backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(trusting)
    for module in ("_http.tls", "_download.downloader"):
        monkeypatch.setattr(f"clickpost_async.{module}.verifying_context", lambda: trusting)

    async def cancel_after(turns: int, server: Server) -> bool:
        """Return whether it was cancelled."""
        errors: list[BaseException] = []
        async with CONNECTS[connects](server.port, tmp_path) as start:
            async with anyio.create_task_group() as group:
                group.start_soon(hold, start, errors)
                for _ in range(turns):
                    await checkpoint()
                group.cancel_scope.cancel()
            if errors:
                await until(lambda: not server.open)
        await until(lambda: not server.open)
        return bool(errors)

    async def test() -> None:
        async with serving(RespondingServer(), context) as server:
            turns = 1
            while await cancel_after(turns, server):
                turns += 1
            assert turns > 5

    run(test, backend)
