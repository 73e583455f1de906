"""Who keeps a pace: what gets through, and what asking costs, free and in a long queue."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from benchmarks._measure import Case, Row, client_core, cpu, interleaved
from benchmarks._rate_windows import fullest, over
from benchmarks._tables import Column

OURS = "clickpost_async"

COLUMNS = (
    Column("more than allowed, calls", "over"),
    Column("fullest second", "fullest_second"),
    Column("of what is allowed %", "used_percent", 1),
    Column("CPU µs/call, free", "free_us", 2),
    Column("CPU µs/call, in a queue", "queue_us", 1),
)

LIBRARIES = ("aiolimiter", "pyrate-limiter", "throttled-py")

_RATE, _BURST = 2_000, 20
_NEVER_REACHED = 1_000_000_000

Take = Callable[[], Awaitable[object]]


def ours(rate: int, burst: int) -> Take:
    """Return this library's bucket."""
    from clickpost_async.limits import TokenBucket

    return TokenBucket(rate, burst).acquire


def aiolimiter(rate: int, burst: int) -> Take:
    """Return aiolimiter's, whose burst is its rate, over as long as that is `burst` calls."""
    from aiolimiter import AsyncLimiter

    return AsyncLimiter(burst, burst / rate).acquire


def pyrate_limiter(rate: int, burst: int) -> Take:
    """Return pyrate-limiter's, of the kind that costs least.

    Who waits sleeps for another 50 ms by itself, which a small burst never makes up for.
    """
    import pyrate_limiter as library

    bucket = library.StateBucket([library.Rate(rate, library.Duration.SECOND, burst=burst)])
    spare = 50 if burst >= rate else 1
    return library.Limiter(bucket, buffer_ms=spare).try_acquire_async


def throttled(rate: int, burst: int) -> Take:
    """Return throttled-py's, by the algorithm that is exact."""
    from throttled.asyncio import RateLimiterType, Throttled, per_sec

    limiter = Throttled(
        using=RateLimiterType.GCRA.value, quota=per_sec(rate, burst=burst), timeout=600
    )

    async def take() -> None:
        result: Any = await limiter.limit("all")
        assert not result.limited

    return take


# As each comes, one second's worth may leave at once; where that can be set, it is set as well.
_LIMITERS: Mapping[str, tuple[str, int]] = {
    OURS: ("ours", _BURST),
    "aiolimiter": ("aiolimiter", _RATE),
    f"aiolimiter, burst {_BURST}": ("aiolimiter", _BURST),
    "pyrate-limiter": ("pyrate_limiter", _RATE),
    f"pyrate-limiter, burst {_BURST}": ("pyrate_limiter", _BURST),
    "throttled-py": ("throttled", _RATE),
    f"throttled-py, burst {_BURST}": ("throttled", _BURST),
}


def measure(*, quick: bool) -> Sequence[Row]:
    """Measure all of them."""
    cases = [
        Case(
            labels={"limiter": name},
            arguments={"function": function, "burst": burst, "waiting": 400 if quick else 10_000}
            | {"free": 1_000 if quick else 50_000, "seconds": 2 if quick else 10},
            rounds=1 if quick else 3,
            timeout=60,
        )
        for name, (function, burst) in _LIMITERS.items()
    ]
    return interleaved(cases, lambda case: case.call("limiters:once"))


def once(function: str, burst: int, waiting: int, free: int, seconds: float) -> Mapping[str, float]:
    """Have so many calls come at once, and see them leave; give up after some seconds."""
    client_core()
    make = getattr(sys.modules[__name__], function)
    return asyncio.run(_once(make, burst, waiting, free, seconds))


async def _once(
    make: Callable[[int, int], Take], burst: int, waiting: int, free: int, seconds: float
) -> Mapping[str, float]:
    take = make(_NEVER_REACHED, _NEVER_REACHED)
    await take()
    began = cpu()
    for _ in range(free):
        await take()
    free_us = (cpu() - began) / free * 1e6

    take, left = make(_RATE, burst), list[float]()

    async def come() -> None:
        await take()
        left.append(time.monotonic())

    spent = cpu()
    crowd = [asyncio.ensure_future(come()) for _ in range(waiting)]
    # All come in the next turn of the event loop, which is blocked meanwhile.
    await asyncio.sleep(0)
    came, early = time.monotonic(), len(left)
    await asyncio.wait(crowd, timeout=seconds)
    spent = cpu() - spent
    lasted = (left[-1] if len(left) == waiting else time.monotonic()) - came
    for one in crowd:
        one.cancel()
    await asyncio.gather(*crowd, return_exceptions=True)
    return {
        "over": over(left, _RATE, burst),
        "fullest_second": fullest(left, 1.0),
        "used_percent": (len(left) - early) / (_RATE * lasted) * 100,
        "free_us": free_us,
        "queue_us": spent / len(left) * 1e6,
    }
