"""This library, with all that it does: types both ways, pace, retries, outcome, nothing secret."""

import asyncio
from collections.abc import Sequence
from typing import Any

from benchmarks._orders import KEY, USERNAME
from clickpost_async import ClickPost, IndiaOrder, Rate, structure
from clickpost_async.structures import CreatedOrder

# A limit that is never reached: what it costs to ask is paid, no call waits.
_FREE = Rate(1_000_000)


def read(order: dict[str, Any]) -> IndiaOrder:
    """Read an order."""
    return structure(order, IndiaOrder)


async def create_all(
    url: str, orders: Sequence[Any], *, paced: bool = True, **settings: Any
) -> Sequence[CreatedOrder]:
    """Create all orders at once; with `paced=False` the rate is left to be learned."""
    if paced:
        settings["rate"] = _FREE
    async with ClickPost(USERNAME, KEY, base_url=url, **settings) as clickpost:
        return await asyncio.gather(*map(clickpost.orders.create, orders))


def waybill(created: CreatedOrder) -> str | None:
    """Return what it was all about."""
    return created.waybill
