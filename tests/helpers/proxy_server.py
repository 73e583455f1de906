"""A proxy on loopback: forwards bytes, or refuses in one of several ways."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from tests.helpers.http_server import until


class Proxy:
    """Answers CONNECT, and calls for plain http.

    `status` refuses every call; with `credentials` those that do not give them are refused with
    407. `hangs` and `resets` say nothing at all. `routes` has the ports of this machine that names
    lead to.
    """

    def __init__(
        self,
        *,
        status: int | None = None,
        credentials: str | None = None,
        hangs: bool = False,
        resets: bool = False,
        routes: Mapping[str, int] | None = None,
    ) -> None:
        self.status = status
        self.credentials = credentials
        self.hangs = hangs
        self.resets = resets
        self.routes = routes or {}
        self.asked: list[str] = []
        self.port = 0
        self.open = 0
        self._tasks: set[asyncio.Task[Any]] = set()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client disconnected, or the test is over
        finally:
            self._tasks.discard(task)
            self.open -= 1
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        line, *headers = head.decode().split("\r\n")
        self.asked.append(line)
        if self.hangs:
            await reader.read()
            return
        if self.resets:
            return
        status = self.status
        if self.credentials is not None:
            encoded = base64.b64encode(self.credentials.encode()).decode()
            if f"proxy-authorization: Basic {encoded}" not in (
                header.replace("Proxy-Authorization", "proxy-authorization") for header in headers
            ):
                status = 407
        if status is not None:
            writer.write(b"HTTP/1.1 %d No\r\ncontent-length: 0\r\n\r\n" % status)
            await writer.drain()
            return
        method, target, _ = line.split(" ")
        address = target if method == "CONNECT" else target.split("/")[2]
        port = self.routes.get(address) or int(address.rpartition(":")[2])
        upstream, downstream = await asyncio.open_connection("127.0.0.1", port)
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        else:
            path = target.split("/", 3)[3]
            downstream.write(f"{method} /{path} HTTP/1.1\r\n".encode() + head.split(b"\r\n", 1)[1])
        try:
            await asyncio.gather(_pass_on(reader, downstream), _pass_on(upstream, writer))
        finally:
            downstream.close()

    def hang_up(self) -> None:
        for task in self._tasks:
            task.cancel()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


@asynccontextmanager
async def proxying(*, tls: ssl.SSLContext | None = None, **ways: Any) -> AsyncIterator[Proxy]:
    proxy = Proxy(**ways)
    listener = await asyncio.start_server(proxy.connected, "127.0.0.1", 0, ssl=tls)
    proxy.port = listener.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        listener.close()
        proxy.hang_up()
        await until(lambda: not proxy.open)
