"""What an expert writes for speed: aiohttp and msgspec; no pace, no retry, nothing checked."""

import asyncio
from collections.abc import Sequence
from typing import Any

import aiohttp
import msgspec

from benchmarks import _models
from benchmarks._orders import KEY, PATH, USERNAME

_ORDER = _models.structs(_models.Order)
_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(_models.structs(_models.CreateResponse))
_HEADERS = {"Content-Type": "application/json"}


def read(order: dict[str, Any]) -> Any:
    """Read an order."""
    return msgspec.convert(order, _ORDER)


async def create_all(url: str, orders: Sequence[Any]) -> Sequence[Any]:
    """Create all orders at once."""
    target = aiohttp.client.URL(f"{url}{PATH}?username={USERNAME}&key={KEY}")
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=100)) as session:

        async def create(order: Any) -> Any:
            body = _ENCODER.encode(order)
            async with session.post(target, data=body, headers=_HEADERS) as response:
                created = _DECODER.decode(await response.read())
            if created.meta.status != 200:
                raise ValueError(created.meta.message)
            return created

        return await asyncio.gather(*map(create, orders))


def waybill(created: Any) -> str:
    """Return what it was all about."""
    return str(created.result.waybill)
