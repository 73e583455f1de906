"""Calls under a frozen clock, as with freezegun: none hangs."""

import asyncio
from typing import Any

import freezegun
import httpx
import pytest

from clickpost_async import NotSentError, Rate, RetryPolicy
from clickpost_async._concurrency.per_loop import is_clock_frozen
from clickpost_async.limits import AdaptiveLimiter, NoRateLimit, TokenBucket
from clickpost_async.testing import run_virtual
from tests.helpers.scripted_transport import Play, placed, playing
from tests.sandbox.samples import india_order

MANY = 60


async def create_many(**settings: Any) -> int:
    play = Play([placed()])
    async with playing(play, **settings) as clickpost:
        for number in range(MANY):
            await clickpost.orders.create(india_order(f"R-{number}"))
        await asyncio.gather(
            *(clickpost.orders.create(india_order(f"G-{number}")) for number in range(MANY))
        )
    return len(play.requests)


@pytest.mark.parametrize(
    "settings",
    [{}, {"rate": Rate(1, burst=1)}, {"rate": Rate(100)}],
    ids=["adaptive", "strict", "rate"],
)
def test_calls_are_made_while_the_clock_is_frozen(settings: dict[str, Any]) -> None:
    with freezegun.freeze_time("2026-03-02"):
        assert asyncio.run(create_many(**settings)) == 2 * MANY


@pytest.mark.parametrize("how", [{"tick": True}, {"real_asyncio": True}])
def test_clock_that_was_only_set_keeps_the_pace(how: dict[str, bool]) -> None:
    async def seconds_of_20() -> float:
        bucket = TokenBucket(200, burst=1)
        began = asyncio.get_running_loop().time()
        for _ in range(20):
            await bucket.acquire()
        assert not is_clock_frozen()
        return asyncio.get_running_loop().time() - began

    with freezegun.freeze_time("2026-03-02", **how):
        assert asyncio.run(seconds_of_20()) >= 19 / 200 - 0.01


def test_clock_jump_blocks_no_call() -> None:
    async def main() -> int:
        play = Play([placed()])
        async with playing(play) as clickpost:
            for number in range(MANY):
                await clickpost.orders.create(india_order(f"R-{number}"))
                frozen.tick(-3600 if number % 2 else 3600)
        return len(play.requests)

    with freezegun.freeze_time("2026-03-02") as frozen:
        assert asyncio.run(main()) == MANY


def test_after_the_clock_was_frozen_nothing_is_left_to_be_waited_for() -> None:
    limiter = AdaptiveLimiter()

    async def take(times: int) -> float:
        for _ in range(times):
            await limiter.acquire()
        return limiter.delay()

    with freezegun.freeze_time("2026-03-02"):
        asyncio.run(take(1000))
    assert asyncio.run(take(1)) < 0.1


def test_open_breaker_rejects_calls_while_the_clock_is_frozen() -> None:
    async def main() -> NotSentError:
        play = Play([httpx.ConnectError("")])
        async with playing(play, retry=RetryPolicy.never(), limiter=NoRateLimit()) as clickpost:
            for number in range(MANY):
                try:
                    await clickpost.orders.create(india_order(f"R-{number}"))
                except NotSentError as error:
                    last = error
        assert len(play.requests) == 20
        return last

    with freezegun.freeze_time("2026-03-02"):
        assert asyncio.run(main()).safe_to_retry_in == 5


def test_loop_with_a_clock_of_its_own_is_not_frozen() -> None:
    async def minutes() -> float:
        bucket = TokenBucket(1, per=60, burst=1)
        for _ in range(3):
            await bucket.acquire()
        return asyncio.get_running_loop().time()

    assert run_virtual(minutes) == 120
    with freezegun.freeze_time("2026-03-02"):
        assert run_virtual(minutes) == 120
