"""500 creates at once where 50 a second are let in: how many succeed, how soon, after how many 429.

ClickPost is played by the sandbox, which responds to those over the rate with 429 and Retry-After.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from benchmarks._measure import Case, Row, interleaved
from benchmarks._orders import PATH, mapping
from benchmarks._tables import Column
from clickpost_async.sandbox import Sandbox

GIVEN, LEARNED = "clickpost_async, rate given", "clickpost_async"
RATE, BURST = 50, 50

COLUMNS = (
    Column("completed", "completed"),
    Column("429", "refused"),
    Column("seconds", "seconds", 1),
    Column("ideal", "ideal", 1),
)

LIBRARIES = ("aiohttp", "aiohttp-retry", "httpx", "httpx-retries", "openai", "tenacity")

Orders = Sequence[dict[str, Any]]
Query = Mapping[str, str]


async def ours(url: str, query: Query, orders: Orders, rate: int | None = None) -> int:
    """Return how many creates of this library succeeded."""
    from clickpost_async import ClickPost, IndiaOrder, Rate, structure

    typed = [structure(order, IndiaOrder) for order in orders]
    async with ClickPost(
        query["username"],
        query["key"],
        base_url=url,
        rate=Rate(rate, burst=BURST) if rate else None,
    ) as clickpost:
        return await _completed(clickpost.orders.create(order) for order in typed)


async def tenacity(url: str, query: Query, orders: Orders) -> int:
    """Return how many creates of httpx succeeded, with tenacity's usual decorator."""
    import httpx
    from tenacity import retry, stop_after_attempt, wait_random_exponential

    slots = asyncio.Semaphore(20)
    async with httpx.AsyncClient(base_url=url, params=query, timeout=60) as client:

        @retry(stop=stop_after_attempt(4), wait=wait_random_exponential(max=20), reraise=True)
        async def create(order: dict[str, Any]) -> None:
            async with slots:
                response = await client.post(PATH, json=order)
            response.raise_for_status()

        return await _completed(create(order) for order in orders)


async def httpx_retries(url: str, query: Query, orders: Orders) -> int:
    """Return how many creates of httpx succeeded with httpx-retries, which may resend a POST."""
    import httpx
    from httpx_retries import Retry, RetryTransport

    transport = RetryTransport(retry=Retry(allowed_methods=["POST"]))
    slots = asyncio.Semaphore(20)
    async with httpx.AsyncClient(
        base_url=url, params=query, timeout=60, transport=transport
    ) as client:

        async def create(order: dict[str, Any]) -> None:
            async with slots:
                response = await client.post(PATH, json=order)
            response.raise_for_status()

        return await _completed(create(order) for order in orders)


async def aiohttp_retry(url: str, query: Query, orders: Orders) -> int:
    """Return how many creates of aiohttp succeeded with aiohttp-retry, resending after 429."""
    from aiohttp_retry import ExponentialRetry, RetryClient

    async with RetryClient(retry_options=ExponentialRetry(statuses={429})) as client:

        async def create(order: dict[str, Any]) -> None:
            async with client.post(url + PATH, json=order, params=query) as response:
                response.raise_for_status()

        return await _completed(create(order) for order in orders)


async def openai(url: str, query: Query, orders: Orders) -> int:
    """Return how many creates of a large API's client succeeded, pointed at this one."""
    from openai import AsyncOpenAI

    async with AsyncOpenAI(api_key="not-a-real-key", base_url=url) as client:
        return await _completed(
            client.post(PATH, cast_to=object, body=order, options={"params": dict(query)})
            for order in orders
        )


async def _completed(calls: Any) -> int:
    ends = await asyncio.gather(*calls, return_exceptions=True)
    return sum(not isinstance(end, BaseException) for end in ends)


_CLIENTS: Mapping[str, tuple[str, Mapping[str, Any], int]] = {
    GIVEN: ("ours", {"rate": RATE}, 3),
    LEARNED: ("ours", {}, 3),
    "openai's client, as it comes": ("openai", {}, 1),
    "httpx + tenacity": ("tenacity", {}, 1),
    "httpx + httpx-retries": ("httpx_retries", {}, 1),
    "aiohttp + aiohttp-retry": ("aiohttp_retry", {}, 1),
}


def measure(*, quick: bool) -> Sequence[Row]:
    """Measure all of them, each at a sandbox of its own."""
    cases = [
        Case(
            labels={"client": name},
            arguments={"function": function, "settings": settings, "count": 60 if quick else 500},
            rounds=1 if quick else rounds,
            timeout=120,
        )
        for name, (function, settings, rounds) in _CLIENTS.items()
    ]
    return interleaved(cases, _at_a_sandbox)


def _at_a_sandbox(case: Case) -> Mapping[str, float]:
    sandbox = Sandbox(rate=RATE, burst=BURST)
    sandbox.start()
    try:
        query = {"username": sandbox.username, "key": sandbox.api_key}
        found = case.call("limited:once", url=sandbox.base_url, query=query)
        refused = sum(arrival.http_status == 429 for arrival in sandbox.requests())
        # What the client takes for created has been bought, once each.
        bought = sandbox.ledger()
        assert all(len(labels) == 1 for labels in bought.values()), bought
        assert found["completed"] <= len(bought), found
    finally:
        sandbox.stop()
        sandbox.close()
    ideal = (case.arguments["count"] - BURST) / RATE
    return {**found, "refused": refused, "ideal": ideal}


def once(
    function: str, settings: Mapping[str, Any], count: int, url: str, query: Query
) -> Mapping[str, float]:
    """Create so many orders, once the client's code has been imported."""
    create: Callable[..., Awaitable[int]] = getattr(sys.modules[__name__], function)

    async def run() -> Mapping[str, float]:
        await create(url, query, [], **settings)
        orders = [mapping(f"limited-{number}") for number in range(count)]
        began = time.perf_counter()
        completed = await create(url, query, orders, **settings)
        return {"completed": completed, "seconds": time.perf_counter() - began}

    return asyncio.run(run())
