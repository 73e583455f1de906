"""httpx-aiohttp as the transport: aiohttp's errors are classified by their cause.

That library raises httpx's ConnectTimeout for a connection that breaks after the request was sent.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from httpx_aiohttp import AiohttpTransport

from clickpost_async import (
    ClickPost,
    ClickPostError,
    Outcome,
    RetryPolicy,
    Timeouts,
)
from tests.helpers.http_server import Peer, closed_port, serving
from tests.helpers.scripted_transport import KEY
from tests.helpers.server_behaviours import FAULTS, timeouts_for, verdict
from tests.sandbox.samples import india_order


def client(url: str, **settings: Any) -> ClickPost:
    settings = {"retry": RetryPolicy.never()} | settings
    transport = AiohttpTransport(trust_env=False)
    return ClickPost("acme", KEY, base_url=url, transport=transport, **settings)


async def error_of_create(clickpost: ClickPost) -> ClickPostError:
    with pytest.raises(ClickPostError) as caught:
        await clickpost.orders.create(india_order("R-1"))
    return caught.value


@pytest.mark.asyncio
async def test_order_is_created_through_httpx_aiohttp() -> None:
    async with serving() as server, client(server.url) as clickpost:
        for _ in range(3):
            assert (await clickpost.orders.create(india_order("R-1"))).waybill == "W-1"
        assert (server.connections, len(server.heads)) == (1, 3)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.asyncio
async def test_failure_after_the_request_was_sent_leaves_its_outcome_unknown(fault: str) -> None:
    talk, expected = FAULTS[fault]
    timeouts = timeouts_for(fault)
    async with serving(talk) as server, client(server.url, timeouts=timeouts) as clickpost:
        error = await error_of_create(clickpost)

    assert verdict(error) == expected


async def breaks_at_its_second_request(peer: Peer) -> None:
    await peer.read()
    await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
    await peer.read()


@pytest.mark.asyncio
async def test_control_httpx_aiohttp_calls_a_lost_response_a_connect_timeout() -> None:
    async with serving(breaks_at_its_second_request) as server:
        async with httpx.AsyncClient(transport=AiohttpTransport(trust_env=False)) as plain:
            await plain.post(server.url)
            with pytest.raises(httpx.ConnectTimeout):
                await plain.post(server.url)
        assert len(server.heads) == 2


@pytest.mark.asyncio
async def test_closed_port_means_that_nothing_was_sent() -> None:
    async with client(f"http://127.0.0.1:{closed_port()}/api") as clickpost:
        error = await error_of_create(clickpost)

    assert error.outcome is Outcome.NOT_SENT
    assert "connection refused" in error.message


@pytest.mark.parametrize(
    "slow", [lambda loop: (loop, "getaddrinfo"), lambda loop: (loop, "sock_connect")]
)
@pytest.mark.asyncio
async def test_connect_timeout_means_that_nothing_was_sent(
    slow: Callable[[asyncio.AbstractEventLoop], tuple[Any, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hangs(*_: Any, **__: Any) -> Any:
        await asyncio.sleep(1000)

    monkeypatch.setattr(*slow(asyncio.get_running_loop()), hangs)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [])
    quick = Timeouts(connect=0.05)
    async with client("http://127.0.0.1:9/api", timeouts=quick) as clickpost:
        error = await error_of_create(clickpost)

    assert error.outcome is Outcome.NOT_SENT
