"""A raw server on loopback that can break off anywhere in a response."""

import asyncio
import json
import socket
import ssl
import struct
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSListener

_LINGER_ZERO = struct.pack("ii", 1, 0)


class Peer:
    """One connection, seen from the server."""

    def __init__(
        self, server: "Server", reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._server = server
        self._reader = reader
        self._writer = writer

    async def read(self) -> bytes:
        """Read one call, head and body."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        self._server.heads.append(head)
        length = 0
        for line in head.lower().split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name == b"content-length":
                length = int(value)
        return head + await self._reader.readexactly(length)

    async def send(self, *parts: bytes) -> None:
        for part in parts:
            self._writer.write(part)
            await self._writer.drain()

    async def drip(self, data: bytes, seconds: float) -> None:
        """Send byte by byte."""
        for byte in data:
            await self.send(bytes([byte]))
            await asyncio.sleep(seconds)

    async def until_gone(self) -> None:
        """Wait until the client hangs up."""
        await self._reader.read()

    def reset(self) -> None:
        """Close with an RST, which a client learns of as an error, not as an end."""
        reset_on_close(self._writer.get_extra_info("socket"))
        self._writer.transport.abort()


def reset_on_close(wire: socket.socket) -> None:
    """Have a connection closed with an RST."""
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)


async def until(holds: Callable[[], object]) -> None:
    """Wait, for a minute at most, until something holds; on trio, too."""
    with anyio.fail_after(60):
        while not holds():  # noqa: ASYNC110 - a server has no event for all that may be waited for
            await anyio.sleep(0.001)


@asynccontextmanager
async def listening(
    handle: Callable[[ByteStream], Awaitable[None]], tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """Serve connections on asyncio or trio, over TLS if there is a context; yield the port."""
    listener: Any = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(SocketAttribute.local_port)
    if tls is not None:
        listener = TLSListener(listener, tls, standard_compatible=False)
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, handle)
        yield port
        group.cancel_scope.cancel()


Talk = Callable[[Peer], Awaitable[None]]


def http(
    body: bytes = b"", status: str = "200 OK", *, length: int | None = None, **headers: str
) -> bytes:
    """Return a response; `length` is the Content-Length that it claims."""
    all_headers = {"content-length": str(len(body) if length is None else length)} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in all_headers.items() if value)
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body


def envelope(status: int = 200, message: str = "SUCCESS", **beside: Any) -> bytes:
    """Write ClickPost's envelope."""
    meta = {"status": status, "message": message, "success": status == 200}
    return json.dumps({"meta": meta, **beside}).encode()


PLACED = envelope(result={"waybill": "W-1", "reference_number": "R-1"}, order_id=1)


async def well(peer: Peer) -> None:
    """Answer every call as it should be."""
    while True:
        await peer.read()
        await peer.send(http(PLACED))


def gzipped(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return packer.compress(data) + packer.flush()


def bomb(megabytes: int) -> bytes:
    """Write some kilobytes of gzip that unpack to that much; its end is never reached."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    head = packer.compress(b"") + packer.flush(zlib.Z_FULL_FLUSH)
    # After a full flush a block stands for itself, so one can be repeated without packing it again.
    block = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return head + block * megabytes


class Server:
    """Talks to every connection as `talk` says, and counts."""

    def __init__(self, talk: Talk) -> None:
        self.talk = talk
        self.heads: list[bytes] = []
        self.connections = 0
        self.open = 0
        self.port = 0
        self._talks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        task = asyncio.current_task()
        assert task is not None
        self._talks.add(task)
        try:
            await self.talk(Peer(self, reader, writer))
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client hung up, or the test is over
        finally:
            self._talks.discard(task)
            self.open -= 1
            writer.close()

    def hang_up(self) -> None:
        for task in self._talks:
            task.cancel()


@asynccontextmanager
async def serving(talk: Talk = well, *, port: int = 0) -> AsyncIterator[Server]:
    server = Server(talk)
    listener = await asyncio.start_server(server.connected, "127.0.0.1", port)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        # asyncio leaks a connection that is being accepted while its listener is closed.
        for _ in range(5):
            await asyncio.sleep(0)
        listener.close()
        server.hang_up()
        await until(lambda: not server.open)


def closed_port() -> int:
    """Return a port on which no server listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port
