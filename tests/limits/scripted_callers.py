"""Scripted callers for limiters: when each comes and gives up, and how each ends."""

import asyncio
import math
from collections.abc import Sequence
from typing import Protocol

import anyio
from attrs import frozen
from hypothesis import strategies as st

from clickpost_async.settings import Priority
from clickpost_async.testing import run_virtual

NORMAL, BULK = Priority.NORMAL, Priority.BULK


class Pace(Protocol):
    async def acquire(self, priority: Priority = Priority.NORMAL) -> None: ...
    async def pause(self, seconds: float) -> None: ...


@frozen(kw_only=True)
class Coming:
    """One that comes at a time, and gives up after so long, if it does."""

    at: float
    priority: Priority = Priority.NORMAL
    patience: float | None = None


@frozen(kw_only=True)
class Holding:
    at: float
    seconds: float


@frozen(kw_only=True)
class Leaving:
    """Which of those that came left, and when."""

    who: int
    at: float


def play(
    limiter: Pace, comings: Sequence[Coming], holdings: Sequence[Holding] = ()
) -> list[Leaving]:
    """Play it in virtual time and return who left, in order."""
    leavings: list[Leaving] = []

    async def come(who: int, coming: Coming) -> None:
        with anyio.move_on_after(coming.patience):
            await (limiter.acquire() if coming.priority is NORMAL else limiter.acquire(BULK))
            leavings.append(Leaving(who=who, at=anyio.current_time()))

    async def main() -> None:
        start = anyio.current_time()
        acts: list[tuple[float, int, Coming | Holding]] = [
            *((holding.at, -1, holding) for holding in holdings),
            *((coming.at, who, coming) for who, coming in enumerate(comings)),
        ]
        async with asyncio.TaskGroup() as group:
            for at, who, act in sorted(acts, key=lambda line: line[:2]):
                await anyio.sleep(max(0.0, start + at - anyio.current_time()))
                if isinstance(act, Holding):
                    await limiter.pause(act.seconds)
                else:
                    group.create_task(come(who, act))
        assert anyio.current_time() < 100_000

    run_virtual(main)
    return leavings


def overshoot(leavings: Sequence[Leaving], rate: float, burst: float) -> float:
    """Return by how many calls the worst of all windows exceeds `burst + rate * window`."""
    worst, begun = 0.0, -math.inf
    for place, leaving in enumerate(leavings):
        begun = max(begun, rate * leaving.at - place)
        worst = max(worst, place + 1 - burst - rate * leaving.at + begun)
    # Sums of floats: a millionth of a call is none.
    return round(worst, 6)


moments = st.floats(0, 20) | st.integers(0, 20).map(float)
rates = st.floats(0.2, 2000) | st.integers(1, 50).map(float)
bursts = st.integers(1, 20).map(float) | st.floats(1, 20)
holdings = st.lists(st.builds(Holding, at=moments, seconds=st.floats(0, 15)), max_size=3)


def comings(patience: st.SearchStrategy[float | None]) -> st.SearchStrategy[list[Coming]]:
    priorities = st.sampled_from(Priority)
    coming = st.builds(Coming, at=moments, priority=priorities, patience=patience)
    return st.lists(coming, min_size=1, max_size=40)


patient = comings(st.none())
impatient = comings(st.none() | st.floats(0, 10))
