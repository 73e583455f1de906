"""One transport for each event loop that a client is used on.

Sockets belong to the loop they were opened on: a second `asyncio.run`, Django's `async_to_sync` and
a forked worker each get connections of their own. A loop that ends takes its connections along.
"""

from collections.abc import AsyncGenerator

import httpx

from clickpost_async._transport.pool import ScaledTransport
from clickpost_async.limits.per_loop import PerLoop


class Connections(httpx.AsyncBaseTransport):
    """The default transport: stock httpx's interface, opened on first use, once per event loop."""

    def __init__(self) -> None:
        self._pools = PerLoop(ScaledTransport)
        self._ends: dict[int, AsyncGenerator[None]] = {}

    @property
    def count(self) -> int:
        """How many connections are open on this event loop."""
        pool = self._pools.seen()
        return 0 if pool is None else pool.connections

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        pool = self._pools.seen() or await self._opened()
        return await pool.handle_async_request(request)

    async def _opened(self) -> ScaledTransport:
        pool = self._pools.here()
        # An event loop tells nobody that it ends, but it closes its asynchronous generators.
        end = self._ends[id(pool)] = self._end_of(pool)
        await anext(end)
        return pool

    async def _end_of(self, pool: ScaledTransport) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            self._ends.pop(id(pool), None)
            await pool.aclose()

    async def aclose(self) -> None:
        """Close what this event loop has open."""
        end = self._ends.get(id(self._pools.seen()))
        if end is not None:
            await end.aclose()
