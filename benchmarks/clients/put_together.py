"""What one puts together of good parts: httpx, cattrs, tenacity, aiolimiter, and a semaphore."""

import asyncio
import importlib
from collections.abc import Sequence
from typing import Any

from aiolimiter import AsyncLimiter
from cattrs.preconf.json import make_converter
from tenacity import (
    retry,
    retry_if_exception,
    stop_after_attempt,
    wait_random_exponential,
)

from benchmarks._models import CreateResponse, Order
from benchmarks._orders import KEY, PATH, USERNAME

_CONVERTER = make_converter()


class RefusedError(Exception):
    """ClickPost rejected the order."""


def read(order: dict[str, Any]) -> Order:
    """Read an order."""
    return _CONVERTER.structure(order, Order)


async def create_all(
    url: str,
    orders: Sequence[Order],
    *,
    library: str = "httpx",
    max_concurrency: int = 20,
    over_aiohttp: bool = False,
) -> Sequence[CreateResponse]:
    """Create all orders at once, with httpx, its successor, or httpx on aiohttp's connections.

    20 is what suits httpx's pool best: its queue is searched for each call that comes and goes.
    """
    http: Any = importlib.import_module(library)
    slots = asyncio.Semaphore(max_concurrency)
    # As for ours: asked, and never reached.
    limiter = AsyncLimiter(1_000_000, 1)

    def passes(error: BaseException) -> bool:
        if isinstance(error, http.HTTPStatusError):
            return error.response.status_code == 429 or error.response.status_code >= 500
        return isinstance(error, http.TransportError)

    query = {"username": USERNAME, "key": KEY}
    settings: dict[str, Any] = {"base_url": url, "params": query, "timeout": 60}
    if over_aiohttp:
        from httpx_aiohttp import AiohttpTransport

        settings["transport"] = AiohttpTransport()
    async with http.AsyncClient(**settings) as client:

        @retry(
            stop=stop_after_attempt(4),
            wait=wait_random_exponential(max=20),
            retry=retry_if_exception(passes),
            reraise=True,
        )
        async def create(order: Order) -> CreateResponse:
            async with slots, limiter:
                response = await client.post(PATH, json=_CONVERTER.unstructure(order))
            response.raise_for_status()
            created = _CONVERTER.structure(response.json(), CreateResponse)
            if created.meta.status != 200:
                raise RefusedError(created.meta.message)
            return created

        return await asyncio.gather(*map(create, orders))


def waybill(created: CreateResponse) -> str:
    """Return the waybill."""
    return created.result.waybill
