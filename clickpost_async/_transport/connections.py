"""One transport for each event loop that a client is used on.

Sockets belong to the loop they were opened on: a second `asyncio.run`, Django's `async_to_sync` and
a forked worker each get connections of their own.
"""

import httpx

from clickpost_async._transport.pool import ScaledTransport
from clickpost_async.limits.per_loop import PerLoop


class Connections(httpx.AsyncBaseTransport):
    """The default transport: stock httpx's interface, opened on first use, once per event loop."""

    def __init__(self) -> None:
        self._pools = PerLoop(ScaledTransport)

    @property
    def count(self) -> int:
        """How many connections are open on this event loop."""
        pool = self._pools.seen()
        return 0 if pool is None else pool.connections

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._pools.here().handle_async_request(request)

    async def aclose(self) -> None:
        """Close what this event loop has open."""
        pool = self._pools.seen()
        if pool is not None:
            await pool.aclose()
