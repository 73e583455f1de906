"""One pool for each event loop."""

import asyncio

import httpx
import pytest

from clickpost_async._transport.connections import Connections

from .server import PLACED, serving


async def ask(connections: Connections, url: str) -> bytes:
    response = await connections.handle_async_request(httpx.Request("GET", f"{url}/x"))
    try:
        return await response.aread()
    finally:
        await response.aclose()


def test_each_loop_has_its_own_and_outside_of_any_there_are_none() -> None:
    connections = Connections()

    async def main() -> tuple[int, int, int]:
        before = connections.count
        async with serving() as server:
            for _ in range(2):
                assert await ask(connections, server.url) == PLACED
            counts = before, connections.count, server.connections
            await connections.aclose()
        return counts

    assert connections.count == 0
    assert asyncio.run(main()) == (0, 1, 1)
    assert connections.count == 0
    # Closed is closed for the loop it was closed on; whoever owns the transport says no to others.
    assert asyncio.run(main()) == (0, 1, 1)


@pytest.mark.asyncio
async def test_closing_what_was_never_opened_does_nothing() -> None:
    connections = Connections()
    await connections.aclose()
    assert connections.count == 0
