"""The adaptive limiter finds an unknown rate limit."""

import asyncio
import math
import random
from collections import deque
from typing import Protocol

import anyio
import pytest
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from clickpost_async._concurrency.priority_semaphore import PrioritySemaphore
from clickpost_async.limits import Limiter, NoRateLimit
from clickpost_async.limits.adaptive import AdaptiveLimiter
from clickpost_async.sandbox.http.traffic import Limit
from clickpost_async.testing import run_virtual, virtual_time
from tests.limits.scripted_callers import (
    BULK,
    NORMAL,
    Coming,
    Holding,
    holdings,
    impatient,
    patient,
    play,
)

near = 1e-6


class ServerRate(Protocol):
    def wait(self, now: float) -> float: ...


@define
class Sliding:
    """So many in any second, and nothing saved up."""

    rate: int
    _times: deque[float] = field(factory=deque, init=False)

    def wait(self, now: float) -> float:
        while self._times and self._times[0] <= now - 1:
            self._times.popleft()
        if len(self._times) == self.rate:
            return self._times[0] + 1 - now
        self._times.append(now)
        return 0.0


@define
class Run:
    refused: int = 0
    seconds: float = 0.0
    most_attempts: int = 0


def run(limiter: Limiter, server_rate: ServerRate, calls: int, *, latency: float = 0.02) -> Run:
    """Gather calls, a hundred at once, on a server that enforces a rate, and sends Retry-After."""
    chance = random.Random(1)
    seen = Run()

    async def call(semaphore: PrioritySemaphore) -> None:
        attempts, wait = 0, 1.0
        while wait:
            async with semaphore.slot():
                await limiter.acquire()
                attempts += 1
                half = latency * chance.uniform(0.25, 0.75)
                await anyio.sleep(half)
                wait = server_rate.wait(anyio.current_time())
                await anyio.sleep(half)
                if wait:
                    seen.refused += 1
                    await limiter.pause(max(1, math.ceil(wait)))
            if wait:
                await anyio.sleep(chance.uniform(0, 0.5))
        seen.most_attempts = max(seen.most_attempts, attempts)

    async def main() -> None:
        semaphore = PrioritySemaphore(100)
        async with asyncio.TaskGroup() as group:
            for _ in range(calls):
                group.create_task(call(semaphore))
        seen.seconds = anyio.current_time()

    run_virtual(main)
    return seen


@pytest.mark.parametrize(
    ("server_rate", "calls", "refused", "ideal", "slower"),
    [
        pytest.param(Limit(rate=50, burst=50), 500, 25, 9, 1.3, id="50 a second"),
        pytest.param(Limit(rate=5, burst=5), 100, 25, 19, 1.3, id="5 a second"),
        pytest.param(Limit(rate=200, burst=200), 2000, 60, 9, 1.3, id="200 a second"),
        pytest.param(Limit(rate=1000, burst=1000), 10_000, 80, 9, 1.3, id="1000 a second"),
        pytest.param(Limit(rate=10, burst=100), 500, 40, 40, 1.3, id="a large bucket"),
        pytest.param(Limit(rate=50, burst=10), 500, 25, 9.8, 3, id="a small bucket"),
        pytest.param(Sliding(50), 500, 25, 9, 1.5, id="a sliding window"),
    ],
)
def test_gather_adapts_to_the_rate_limit_with_few_429s(
    server_rate: ServerRate, calls: int, refused: int, ideal: float, slower: float
) -> None:
    seen = run(AdaptiveLimiter(), server_rate, calls)
    assert seen.refused <= refused
    assert seen.seconds <= ideal * slower
    # The retry policy gives a call four.
    assert seen.most_attempts <= 3


def test_control_gather_without_a_rate_limit_gets_hundreds_of_429s() -> None:
    assert run(NoRateLimit(), Limit(rate=50, burst=50), 500).refused > 500


def test_server_without_a_limit_is_hardly_slowed() -> None:
    free = Limit(rate=1e9, burst=10**9)
    assert (
        run(AdaptiveLimiter(), free, 2000).seconds <= run(NoRateLimit(), free, 2000).seconds + 0.8
    )


async def leave(limiter: AdaptiveLimiter, calls: int) -> None:
    for _ in range(calls):
        await limiter.acquire()


@virtual_time
async def test_before_the_first_429_there_is_no_rate_limit() -> None:
    limiter = AdaptiveLimiter()
    await leave(limiter, 1000)
    assert limiter.rate is None
    assert anyio.current_time() < 0.8


@virtual_time
async def test_adaptive_limiter_learns_the_accepted_rate() -> None:
    limiter = AdaptiveLimiter()
    await leave(limiter, 60)
    # A server that had a second's worth in its bucket, and that refuses ten.
    let_through = 50 / (1 + anyio.current_time())
    for _ in range(10):
        await limiter.pause(1)
    await limiter.acquire()
    assert limiter.rate == pytest.approx(0.9 * let_through)


@virtual_time
async def test_429s_within_a_second_lower_the_rate_once() -> None:
    limiter = AdaptiveLimiter()
    await leave(limiter, 100)
    for _ in range(50):
        await limiter.pause(0)
    await limiter.acquire()
    learned = limiter.rate
    assert learned is not None
    for _ in range(3):
        await limiter.pause(0)
    assert anyio.current_time() < 1
    await limiter.acquire()
    assert limiter.rate == learned


@virtual_time
async def test_one_429_halves_the_rate_at_most() -> None:
    limiter = AdaptiveLimiter()
    await leave(limiter, 200)
    await limiter.pause(1)
    await limiter.acquire()
    for _ in range(5):
        before = limiter.rate or 0
        await anyio.sleep(1)
        await limiter.pause(1)
        await limiter.acquire()
        assert limiter.rate == pytest.approx(before / 2)


@virtual_time
async def test_adaptive_rate_stays_at_or_above_one_call_a_second() -> None:
    limiter = AdaptiveLimiter()
    for _ in range(20):
        await limiter.acquire()
        await limiter.pause(2)
    await limiter.acquire()
    assert limiter.rate == 1


@virtual_time
async def test_pace_grows_slowly_at_first_and_only_while_it_is_used() -> None:
    limiter = AdaptiveLimiter()
    await leave(limiter, 100)
    await limiter.pause(1)
    await limiter.acquire()
    learned = limiter.rate or 0
    for _ in range(100):
        await anyio.sleep(1)
        await limiter.acquire()
    assert limiter.rate == learned
    began = anyio.current_time()
    while anyio.current_time() < began + 5:
        await limiter.acquire()
    assert limiter.rate == pytest.approx(learned * 1.1, rel=0.03)
    while anyio.current_time() < began + 30:
        await limiter.acquire()
    assert (limiter.rate or 0) > learned * 3


@virtual_time
async def test_rate_grows_slowly_again_after_each_429() -> None:
    limiter = AdaptiveLimiter()
    await leave(limiter, 100)
    for _ in range(2):
        await limiter.pause(1)
        await limiter.acquire()
        learned = limiter.rate or 0
        began = anyio.current_time()
        while anyio.current_time() < began + 5:
            await limiter.acquire()
        assert limiter.rate == pytest.approx(learned * 1.1, rel=0.03)
        # For so long without a refusal that it grows fast.
        while anyio.current_time() < began + 25:
            await limiter.acquire()
        assert (limiter.rate or 0) > learned * 2


@virtual_time
async def test_pause_of_zero_seconds_merges_429s_of_half_a_second() -> None:
    limiter = AdaptiveLimiter()
    await leave(limiter, 3)
    began = anyio.current_time()
    await limiter.pause(0)
    await limiter.acquire()
    assert anyio.current_time() == pytest.approx(began + 0.5)


def test_restarted_clock_lengthens_no_wait() -> None:
    limiter = AdaptiveLimiter()

    async def main() -> float:
        await leave(limiter, 50)
        await limiter.pause(3)
        await limiter.acquire()
        await limiter.pause(2)
        return anyio.current_time()

    assert run_virtual(main) == pytest.approx(3, abs=0.5)

    async def later() -> float:
        await limiter.acquire()
        return anyio.current_time()

    assert run_virtual(later) == pytest.approx(2, abs=near)


@given(patient, holdings)
def test_no_call_is_sent_during_a_pause_and_each_once_after_it(
    come: list[Coming], hold: list[Holding]
) -> None:
    leavings = play(AdaptiveLimiter(), come, hold)
    assert sorted(leaving.who for leaving in leavings) == list(range(len(come)))
    for one in hold:
        during = [x for x in leavings if one.at + near < x.at < one.at + one.seconds - near]
        assert during == []


@given(impatient, st.lists(st.builds(Holding, at=st.floats(0, 20), seconds=st.just(1.0))))
def test_each_lane_is_first_come_first_served(come: list[Coming], hold: list[Holding]) -> None:
    leavings = play(AdaptiveLimiter(), come, hold)
    for lane in (NORMAL, BULK):
        left = [one.who for one in leavings if come[one.who].priority is lane]
        assert left == sorted(left, key=lambda who: (come[who].at, who))
