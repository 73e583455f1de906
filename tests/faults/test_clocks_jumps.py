"""Chapter C: a wall clock that jumps changes nothing."""

import itertools
import random
import time
from collections.abc import Callable
from typing import Any

import anyio
import httpx
import pytest

from clickpost_async import Rate, RetryPolicy, ThrottledError
from clickpost_async.limits import Limiter, NoRateLimit
from clickpost_async.sandbox import Fault, Faults, Sandbox
from clickpost_async.testing import run_virtual, virtual_time
from tests.faults.misbehaving_sandbox import Door, keeps_faith, orders, run
from tests.helpers.scripted_transport import Play, placed, playing
from tests.sandbox.samples import india_order

HOUR = 3600.0
MIXED: dict[str, Any] = {fault.value: 0.02 for fault in Fault}


def jumping(*jumps: float) -> Callable[[], float]:
    """Return a clock that stands elsewhere whenever it is looked at."""
    wall, turns = time.time, itertools.cycle(jumps)
    return lambda: wall() + next(turns)


def course(limited: bool) -> list[tuple[str, str, float]]:
    """Run orders through faults of all kinds, and return what arrived when."""
    random.seed(1)
    faults = Faults(latency=0.1, seed=1, **MIXED)
    door = Door(Sandbox(faults=faults, rate=30, courier_seconds=1))

    async def main() -> None:
        settings: dict[str, Any] = {"rate": Rate(20)} if limited else {}
        async with door.client(**settings) as clickpost:
            bounded = clickpost.with_options(deadline=2 * HOUR)
            outcomes, _ = await run(bounded, orders(150, additional={"async": True}))
        keeps_faith(door, outcomes)

    run_virtual(main)
    return [(one.operation, one.reference_number, one.moment) for one in door.sandbox.requests()]


@pytest.mark.fault("C01")
@pytest.mark.parametrize("limited", [True, False])
def test_c01_run_takes_the_same_course_under_any_wall_clock(
    limited: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = course(limited)
    assert len(usual) > 300

    jumps = (HOUR, -HOUR, 24 * HOUR, -24 * HOUR, 1e9, -1e9)
    monkeypatch.setattr(time, "time", jumping(*jumps))
    assert course(limited) == usual


async def departure(limiter: Limiter, leap: Callable[[], None]) -> float:
    """Return when a call leaves that comes while all are to wait, and after the clock has leapt."""
    play = Play([httpx.Response(429, headers={"retry-after": "60"}), placed()])
    async with playing(play, limiter=limiter, retry=RetryPolicy.never()) as clickpost:
        with pytest.raises(ThrottledError):
            await clickpost.orders.create(india_order("R-1"))
        leap()
        await clickpost.orders.create(india_order("R-2"))
    return play.times[1]


@pytest.mark.fault("C01")
@pytest.mark.parametrize("jump", [HOUR, -HOUR])
@virtual_time
async def test_c01_minute_to_wait_is_a_minute_when_the_wall_clock_has_jumped(
    jump: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leap() -> None:
        monkeypatch.setattr(time, "time", jumping(jump))

    assert await departure(NoRateLimit(), leap) == 60


@pytest.mark.fault("C01", control=True)
@virtual_time
async def test_c01_control_a_wait_by_the_wall_clock_ends_at_once() -> None:
    jump = 0.0

    def leap() -> None:
        nonlocal jump
        jump = HOUR

    def wall() -> float:
        return anyio.current_time() + jump

    assert await departure(NoRateLimit(clock=wall), leap) == 0
