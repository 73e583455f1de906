"""Create orders one at a time: how long a call takes, and what it costs."""

import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

from benchmarks._measure import Case, Row, client_core, cpu, interleaved
from benchmarks._nginx import nginx
from benchmarks._nginx import versions as server_versions
from benchmarks._orders import KEY, PATH, USERNAME, WAYBILL, mapping
from benchmarks._tables import Column

PLAIN = "clickpost_async"
HTTPX = "httpx, by hand"

COLUMNS = (Column("p50 µs", "p50_us"), Column("CPU µs", "cpu_us"))

LIBRARIES = ("aiohttp", "httpcore", "httptools", "httpx", "orjson")
programs = server_versions

_QUERY = {"username": USERNAME, "key": KEY}
# So many calls before the first that is measured.
_WARM = 200

Create = Callable[[Any], Awaitable[Any]]


async def ours(
    stack: AsyncExitStack, url: str, *, structures: bool, transport: Any
) -> tuple[Create, Callable[[dict[str, Any]], Any]]:
    """Return how this library creates an order, and how the order is read before."""
    from clickpost_async import ClickPost, IndiaOrder, Rate, structure

    client = ClickPost(USERNAME, KEY, base_url=url, transport=transport, rate=Rate(1_000_000))
    clickpost = await stack.enter_async_context(client)

    async def create(order: Any) -> str | None:
        return (await clickpost.orders.create(order)).waybill

    return create, (lambda order: structure(order, IndiaOrder)) if structures else dict


async def httpx(stack: AsyncExitStack, url: str) -> tuple[Create, Callable[[dict[str, Any]], Any]]:
    """Return the same with httpx, and plain dictionaries both ways."""
    import httpx as library

    client = await stack.enter_async_context(library.AsyncClient(params=_QUERY))

    async def create(order: Any) -> str:
        response = await client.post(url + PATH, json=order)
        response.raise_for_status()
        return str(response.json()["result"]["waybill"])

    return create, dict


async def aiohttp(
    stack: AsyncExitStack, url: str
) -> tuple[Create, Callable[[dict[str, Any]], Any]]:
    """Return the same with aiohttp, and plain dictionaries both ways."""
    import aiohttp as library

    session = await stack.enter_async_context(library.ClientSession())

    async def create(order: Any) -> str:
        async with session.post(url + PATH, json=order, params=_QUERY) as response:
            response.raise_for_status()
            return str((await response.json())["result"]["waybill"])

    return create, dict


def _ours(transport: str | None, *, structures: bool) -> tuple[str, Mapping[str, Any]]:
    return "ours", {"structures": structures, "transport": transport}


_CLIENTS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    PLAIN: _ours(None, structures=True),
    "clickpost_async, plain mappings": _ours(None, structures=False),
    "clickpost_async[fast]": _ours("httptools", structures=True),
    "clickpost_async[fast], plain mappings": _ours("httptools", structures=False),
    HTTPX: ("httpx", {}),
    "aiohttp, by hand": ("aiohttp", {}),
}


def measure(*, quick: bool) -> Sequence[Row]:
    """Measure all of them."""
    cases = [
        Case(
            labels={"client": name},
            arguments={
                "function": function,
                "settings": settings,
                "calls": 100 if quick else 3_000,
            },
            without=["orjson"] if settings.get("transport", "") is None else [],
            rounds=1 if quick else 3,
            timeout=60,
        )
        for name, (function, settings) in _CLIENTS.items()
    ]
    with nginx() as server:
        return interleaved(cases, lambda case: case.call("single:once", url=server.url))


def once(function: str, settings: Mapping[str, Any], calls: int, url: str) -> Mapping[str, float]:
    """Create so many orders, one after the other, having done so before."""
    client_core()
    return asyncio.run(_once(getattr(sys.modules[__name__], function), settings, calls, url))


async def _once(
    connect: Any, settings: Mapping[str, Any], calls: int, url: str
) -> Mapping[str, float]:
    async with AsyncExitStack() as stack:
        create, read = await connect(stack, url, **settings)
        orders = [read(mapping(f"single-{number}")) for number in range(_WARM + calls)]
        for order in orders[:_WARM]:
            assert await create(order) == WAYBILL
        seconds = []
        spent = cpu()
        for order in orders[_WARM:]:
            began = time.perf_counter()
            await create(order)
            seconds.append(time.perf_counter() - began)
        spent = cpu() - spent
    return {"p50_us": statistics.median(seconds) * 1e6, "cpu_us": spent / calls * 1e6}
