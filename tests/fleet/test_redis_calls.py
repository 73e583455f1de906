"""Batched and retried calls to Redis, in virtual time."""

import asyncio
import logging
from collections.abc import Sequence

import pytest

from clickpost_async.fleet.redis_calls import (
    Batcher,
    RedisBackoff,
    RedisError,
    UnsuitableRedisError,
)
from clickpost_async.testing import virtual_time


class ScriptedRedis:
    """Doubles numbers, in a second; fails until `back_at`."""

    def __init__(self, back_at: float = 0.0, error: Exception | None = None) -> None:
        self.batches: list[list[int]] = []
        self.batcher: Batcher[int, int] = Batcher(self.call, RedisBackoff("a test"))
        self._back_at = back_at
        self._error = error or RedisError("max number of clients reached")

    async def call(self, items: Sequence[int]) -> list[int]:
        self.batches.append(list(items))
        if asyncio.get_running_loop().time() < self._back_at:
            raise self._error
        await asyncio.sleep(1)
        return [2 * item for item in items]


@virtual_time
async def test_items_that_come_while_a_call_is_under_way_share_the_next() -> None:
    redis = ScriptedRedis()
    first = asyncio.create_task(redis.batcher(0))
    await asyncio.sleep(0.5)
    others = await asyncio.gather(*(redis.batcher(number) for number in range(1, 251)))

    assert [await first, *others] == [2 * number for number in range(251)]
    assert [len(batch) for batch in redis.batches] == [1, 100, 100, 50]


@virtual_time
async def test_outage_is_logged_once_however_many_wait(caplog: pytest.LogCaptureFixture) -> None:
    redis = ScriptedRedis(back_at=60.0)
    results = await asyncio.gather(*(redis.batcher(number) for number in range(90)))

    assert results == [2 * number for number in range(90)]
    assert len(redis.batches) <= 70
    assert [record.getMessage() for record in caplog.records] == [
        "a test: waiting for Redis (RedisError)",
        "a test: Redis is back",
    ]
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


@virtual_time
async def test_refused_connection_is_an_outage() -> None:
    redis = ScriptedRedis(back_at=3.0, error=ConnectionRefusedError("port 6379"))

    assert await redis.batcher(4) == 8


@virtual_time
async def test_unsuitable_redis_is_logged_at_once_with_the_reason(
    caplog: pytest.LogCaptureFixture,
) -> None:
    redis = ScriptedRedis(back_at=3.0, error=UnsuitableRedisError("maxmemory-policy is allkeys"))

    assert await redis.batcher(4) == 8
    assert caplog.records[0].getMessage() == (
        "a test: waiting for Redis (maxmemory-policy is allkeys)"
    )


@virtual_time
async def test_cancelled_item_is_not_sent_and_the_others_are() -> None:
    redis = ScriptedRedis(back_at=5.0)
    given_up, stays = (asyncio.create_task(redis.batcher(number)) for number in (1, 2))
    await asyncio.sleep(1)
    given_up.cancel()

    assert await stays == 4
    assert given_up.cancelled()
    assert redis.batches[-1] == [2]


@virtual_time
async def test_error_that_is_no_outage_is_raised_by_all_of_its_batch_only() -> None:
    redis = ScriptedRedis(back_at=1.0, error=ValueError("not text"))
    failed = await asyncio.gather(redis.batcher(1), redis.batcher(2), return_exceptions=True)
    await asyncio.sleep(1)

    assert [str(error) for error in failed] == ["not text"] * 2
    assert await redis.batcher(3) == 6


@virtual_time
async def test_closing_cancels_what_waits() -> None:
    redis = ScriptedRedis(back_at=1e9)
    waiting = asyncio.create_task(redis.batcher(1))
    await asyncio.sleep(2)
    await redis.batcher.aclose()
    await asyncio.wait([waiting])

    assert waiting.cancelled()
