"""One adapter for each event loop."""

import asyncio

import pytest

from clickpost_async._http.adapter import (
    BaseURL,
    HTTPRequest,
    SendProgress,
    StepTimeouts,
)
from clickpost_async._http.httptools_connection import HTTPToolsConnection
from clickpost_async._http.per_loop_adapter import PerLoopAdapter
from clickpost_async._http.pool import ConnectionPool
from clickpost_async._http.response_reader import ResponseReader
from clickpost_async.errors import FailureKind
from tests.helpers.http_server import PLACED, serving


async def ask(connections: PerLoopAdapter, base: BaseURL) -> bytes:
    response = ResponseReader()
    call = HTTPRequest("GET", base, "/x", None, StepTimeouts(5, 5, 5))
    await connections.send(call, SendProgress(), response)
    return response.body()


def test_each_loop_has_its_own_object_and_code_outside_has_none() -> None:
    connections = PerLoopAdapter(lambda: ConnectionPool(HTTPToolsConnection))

    async def main() -> tuple[int, int, int]:
        before = connections.connections
        async with serving() as server:
            base = BaseURL.parse(server.url)
            for _ in range(2):
                assert await ask(connections, base) == PLACED
            counts = before, connections.connections, server.connections
            await connections.aclose()
        return counts

    assert connections.connections == 0
    assert asyncio.run(main()) == (0, 1, 1)
    assert connections.connections == 0
    # It is closed on its own loop; on others the transport itself rejects calls.
    assert asyncio.run(main()) == (0, 1, 1)


@pytest.mark.asyncio
async def test_closing_what_was_never_opened_does_nothing() -> None:
    connections = PerLoopAdapter(lambda: ConnectionPool(HTTPToolsConnection))
    await connections.aclose()
    assert connections.connections == 0
    assert connections.failure_of(OSError()) is FailureKind.UNEXPECTED
