"""The state of a fleet, as its Redis has it."""

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, cast

from attrs import frozen
from redis.exceptions import NoPermissionError, ResponseError

if TYPE_CHECKING:
    from redis.asyncio import Redis

# Seconds over which the rate is measured.
_MEASURED = 2.0
# As in the heartbeats of workers.
_ALIVE = 15


@frozen(kw_only=True)
class FleetStatus:
    """How many orders and workers an account has, and what Redis uses.

    `waiting` orders have no worker yet, `in_progress` ones have; `in_doubt` ones ended with an
    unknown outcome, and are looked up when they are queued again. `calls_per_second` are those that
    the shared rate let leave in the last two seconds, of at most `rate`: `None` if no process uses
    it. `memory_bytes` is `None` where the user may not call INFO.
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
    prefix = f"clickpost:{{{account}}}:"
    before, began = await _rate(redis, prefix)
    await asyncio.sleep(_MEASURED)
    after, ended = await _rate(redis, prefix)
    queued = int(await redis.xlen(f"{prefix}orders"))
    in_progress = await _pending(redis, f"{prefix}orders")
    interval = float(after["interval"]) if after.get("interval") else None
    used = None
    if interval and ended > began:
        slots = float(after["next"]) - max(float(before.get("next") or began), began)
        used = max(0.0, slots / interval) / (ended - began)
    return FleetStatus(
        waiting=max(0, queued - in_progress),
        in_progress=in_progress,
        in_doubt=int(await redis.zcard(f"{prefix}doubts")),
        workers=int(await redis.zcount(f"{prefix}workers", ended - _ALIVE, "+inf")),
        processes=int(await redis.zcount(f"{prefix}rate:processes", ended - _ALIVE, "+inf")),
        calls_per_second=used,
        rate=None if interval is None else 1 / interval,
        memory_bytes=await _memory(redis),
    )


async def _rate(redis: "Redis", prefix: str) -> tuple[dict[str, str], float]:
    fields = await cast("Awaitable[dict[str, str]]", redis.hgetall(f"{prefix}rate"))
    seconds, microseconds = await redis.time()
    return fields, int(seconds) + int(microseconds) / 1e6


async def _pending(redis: "Redis", queue: str) -> int:
    try:
        pending = await redis.xpending(queue, "workers")
    except ResponseError as error:
        if not str(error).startswith("NOGROUP"):
            raise
        return 0
    return int(pending["pending"])


async def _memory(redis: "Redis") -> int | None:
    try:
        memory = await redis.info("memory")
    except NoPermissionError:
        return None
    return int(memory["used_memory"])
