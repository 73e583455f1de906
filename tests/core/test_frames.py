"""How many coroutines of the package a waiting call has: each costs memory and a traceback line.

A gather has thousands of calls wait, so a coroutine that only forwards to another is a defect.
"""

import asyncio
from collections.abc import Coroutine, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, Literal

import pytest

import clickpost_async
from clickpost_async import ClickPost, Hosts
from tests.helpers.scripted_transport import KEY
from tests.sandbox.samples import india_order

MOST = 9
PACKAGE = Path(clickpost_async.__file__).parent


def own_frames(awaitable: Any) -> Iterator[str]:
    """Walk from a coroutine to what it waits for, and name the package's own frames."""
    while awaitable is not None:
        frame: FrameType | None = getattr(awaitable, "cr_frame", None)
        if frame is not None and PACKAGE in Path(frame.f_code.co_filename).parents:
            yield frame.f_code.co_name
        awaitable = getattr(awaitable, "cr_await", None)


async def frames_of(call: Coroutine[Any, Any, Any], is_waiting: asyncio.Event) -> list[str]:
    task = asyncio.create_task(call)
    await is_waiting.wait()
    for _ in range(10):
        await asyncio.sleep(0)
    found = list(own_frames(call))
    task.cancel()
    await asyncio.wait([task])
    return found


async def forwards(call: Coroutine[Any, Any, Any]) -> Any:
    return await call


async def inner() -> None:
    await asyncio.sleep(1000)


@pytest.mark.asyncio
async def test_own_frames_finds_the_coroutines_of_the_package_alone() -> None:
    clickpost = ClickPost("acme", KEY)
    call = forwards(clickpost._caller.pause(1000))
    started = asyncio.Event()
    started.set()
    assert await frames_of(call, started) == ["pause"]
    assert await frames_of(inner(), started) == []
    await clickpost.aclose()


@pytest.mark.parametrize(("transport", "most"), [(None, MOST), ("httptools", 7)])
@pytest.mark.asyncio
async def test_create_waits_for_its_response_in_few_coroutines(
    transport: Literal["httptools"] | None, most: int
) -> None:
    received = asyncio.Event()

    async def never_responds(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        received.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(never_responds, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        hosts = Hosts.at(f"http://127.0.0.1:{port}/api")
        async with ClickPost("acme", KEY, hosts=hosts, transport=transport) as clickpost:
            call = clickpost.orders.create_india(india_order("R-1"))
            found = await frames_of(call, received)

    assert found[0] == "create_india"
    assert found[1:4] == ["run", "_attempt", "send"]
    # The last ones read from the socket.
    assert len(found) <= most, found
