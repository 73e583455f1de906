"""A proxy between a client and a real sandbox that injects faults into their connection."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from attrs import define, field

from clickpost_async import ClickPost, RetryPolicy, Timeouts
from clickpost_async.sandbox import Sandbox
from tests.helpers.http_server import Peer, Server, serving

QUICK = RetryPolicy(attempts=4, backoff=0.001, settle_delay=0.05)
# For faults that are waited for; with others a busy machine would end an attempt too early.
SHORT = Timeouts(connect=0.3, write=0.3, read=0.3, create=0.3, total=1.0)

Spoil = Callable[["Line"], Awaitable[None]]


@define
class Line:
    """One call that came in: what it says, where it came from, and where it should go."""

    peer: Peer
    call: bytes
    port: int

    async def response(self) -> bytes:
        """Pass it to the sandbox, and return the response."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(self.call)
            await writer.drain()
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line.partition(b":")[2])
                for line in head.lower().split(b"\r\n")
                if line.startswith(b"content-length")
            )
            return head + await reader.readexactly(length)
        finally:
            writer.close()

    async def go_on(self) -> None:
        """Forward whatever else comes on this connection."""
        while True:
            await self.peer.send(
                await Line(self.peer, await self.peer.read(), self.port).response()
            )


@define
class Proxy:
    """Forwards calls to the sandbox, but for the first creates, with which it does its worst."""

    sandbox: Sandbox
    server: Server
    creates: list[bytes] = field(factory=list)

    @property
    def bodies(self) -> set[bytes]:
        """What the creates carried."""
        return {create.partition(b"\r\n\r\n")[2] for create in self.creates}

    def client(self, **settings: Any) -> ClickPost:
        return ClickPost(
            self.sandbox.username,
            self.sandbox.api_key,
            base_url=self.server.url,
            **{"retry": QUICK} | settings,
        )


@asynccontextmanager
async def proxied(
    spoil: Spoil | None = None,
    *,
    times: int = 1,
    on_accept: Callable[[Peer], Awaitable[None]] | None = None,
    **settings: Any,
) -> AsyncIterator[Proxy]:
    """Serve a sandbox behind a proxy that spoils the first creates, or the first connections."""
    sandbox = Sandbox(**settings)
    accepted = 0

    async def talk(peer: Peer) -> None:
        nonlocal accepted
        accepted += 1
        if on_accept is not None and accepted <= times:
            await on_accept(peer)
            return
        while True:
            line = Line(peer, await peer.read(), port)
            if line.call.startswith(b"POST"):
                proxy.creates.append(line.call)
                if spoil is not None and len(proxy.creates) <= times:
                    await spoil(line)
                    return
            await peer.send(await line.response())

    async with sandbox, serving(talk) as server:
        port = int(sandbox.base_url.rsplit(":", 1)[1].partition("/")[0])
        proxy = Proxy(sandbox, server)
        yield proxy
