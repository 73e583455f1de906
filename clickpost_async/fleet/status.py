"""Reads the state of a fleet from its Redis."""

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, cast

from attrs import frozen
from redis.exceptions import NoPermissionError, ResponseError

from clickpost_async._util.redis_keys import key_prefix
from clickpost_async.fleet.ledger import ALIVE

if TYPE_CHECKING:
    from redis.asyncio import Redis

# Seconds over which the rate is measured.
_MEASURED = 2.0

# Counts the orders of the messages between two numbers, a part of the stream at a time.
_COUNT = """
local orders, last = 0, nil
for _, message in ipairs(redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[2], 'COUNT', 1000)) do
  last = message[1]
  for place = 1, #message[2], 2 do
    if message[2][place] == 'orders' then
      orders = orders + message[2][place + 1]
    end
  end
end
return { orders, last }
"""


@frozen(kw_only=True)
class FleetStatus:
    """How many orders and workers an account has, and what Redis uses.

    `waiting` orders are in messages that no worker has read, `in_progress` ones in those that a
    worker has read and not finished, even if it is done with some of their orders; `in_doubt` ones
    ended with an unknown outcome, and are looked up when they are queued again. `calls_per_second`
    are those that the shared rate let leave in the last two seconds, of at most `rate`: `None` if
    no process uses it. `memory_bytes` is `None` where the user may not call INFO.
    """

    waiting: int
    in_progress: int
    in_doubt: int
    workers: int
    processes: int
    calls_per_second: float | None
    rate: float | None
    memory_bytes: int | None


async def read_status(redis: "Redis", account: str) -> FleetStatus:
    """Return the state of an account's fleet; `redis` decodes its responses."""
    prefix = key_prefix(account)
    before, began = await _rate(redis, prefix)
    await asyncio.sleep(_MEASURED)
    after, ended = await _rate(redis, prefix)
    waiting, in_progress = await _count_orders(redis, f"{prefix}orders")
    interval = float(after["interval"]) if after.get("interval") else None
    used = None
    if interval and ended > began:
        slots = float(after["next"]) - max(float(before.get("next") or began), began)
        used = max(0.0, slots / interval) / (ended - began)
    return FleetStatus(
        waiting=waiting,
        in_progress=in_progress,
        in_doubt=int(await redis.zcard(f"{prefix}doubts")),
        workers=int(await redis.zcount(f"{prefix}workers", ended - ALIVE, "+inf")),
        processes=int(await redis.zcount(f"{prefix}rate:processes", ended - ALIVE, "+inf")),
        calls_per_second=used,
        rate=None if interval is None else 1 / interval,
        memory_bytes=await _memory(redis),
    )


async def _rate(redis: "Redis", prefix: str) -> tuple[dict[str, str], float]:
    fields = await cast("Awaitable[dict[str, str]]", redis.hgetall(f"{prefix}rate"))
    seconds, microseconds = await redis.time()
    return fields, int(seconds) + int(microseconds) / 1e6


async def _count_orders(redis: "Redis", queue: str) -> tuple[int, int]:
    """Count the orders that no worker has read, and those of messages that one has read."""
    try:
        groups = await redis.xinfo_groups(queue)
    except ResponseError as error:
        if "no such key" not in str(error):
            raise
        return 0, 0
    # Finished messages are deleted.
    read = next((str(group["last-delivered-id"]) for group in groups), "0-0")
    return await _sum(redis, queue, f"({read}", "+"), await _sum(redis, queue, "-", read)


async def _sum(redis: "Redis", queue: str, first: str, last: str) -> int:
    total = 0
    while True:
        counting = cast("Awaitable[list[Any]]", redis.eval(_COUNT, 1, queue, first, last))
        orders, *number = await counting
        total += int(orders)
        if not number:
            return total
        first = f"({number[0]}"


async def _memory(redis: "Redis") -> int | None:
    try:
        memory = await redis.info("memory")
    except NoPermissionError:
        return None
    return int(memory["used_memory"])
