"""Rate limiters: a token bucket, and one that only pauses."""

import math
from collections.abc import Callable
from typing import Protocol

import anyio

from clickpost_async._concurrency.per_loop import PerLoop, is_clock_frozen, loop_time
from clickpost_async._concurrency.priority_semaphore import PrioritySemaphore
from clickpost_async._util.arguments import check_number
from clickpost_async.settings import Priority

# A timer wakes some milliseconds late. Making up for that keeps fast rates fully used; making up
# for more would send all calls that a blocked event loop delayed in one burst.
_CATCH_UP = 0.01


class Limiter(Protocol):
    """A client's rate limiter: any object with these two coroutines."""

    async def acquire(self, priority: Priority = Priority.NORMAL) -> None:
        """Wait until one call may be sent."""
        ...

    async def pause(self, seconds: float) -> None:
        """Pause all calls for so many seconds; of overlapping pauses the later end counts."""
        ...


class _PacedLimiter:
    """Spaces calls an interval apart, with a burst of `slack` seconds' worth after an idle time.

    `_next` is when the next call may be sent. It may lie in the past by `slack`, the unused time;
    each call moves it by `interval`. So of any n consecutive calls the last is sent at least
    `(n - 1) * interval - slack` after the first.

    Waiting calls queue, and only the first of the queue sleeps: one timer for all, and a cancelled
    call has taken no token. The queue is per event loop, `_next` is shared: the rate holds when
    event loops follow each other, and a fork starts with an empty queue.
    """

    def __init__(self, interval: float, slack: float, clock: Callable[[], float]) -> None:
        self._interval = interval
        self._slack = slack
        self._clock = clock
        self._next = -math.inf
        self._seen = -math.inf
        self._waiting = 0
        self._turns = PerLoop(lambda: PrioritySemaphore(1))

    async def acquire(self, priority: Priority = Priority.NORMAL) -> None:
        """Wait until one call may be sent; does not suspend if a token is free and none waits."""
        if self.try_take():
            return
        slot = self._turns.get_or_create().slot(priority)
        self._waiting += 1
        try:
            await slot
            while wait := self.delay():
                await anyio.sleep(wait)
                await slot.yield_to_higher()
            self._spend(min(self._slack, _CATCH_UP))
        finally:
            slot.release()
            self._waiting -= 1

    def try_take(self) -> bool:
        """Take a token if one is free and no call waits."""
        # After a fork the count may include tasks of the parent; the semaphore does not.
        if (self._waiting and self._turns.get_or_create().in_use) or self.delay():
            return False
        self._spend(self._slack)
        return True

    async def pause(self, seconds: float) -> None:
        """Pause all calls for so many seconds, then resume without a burst; the later end wins."""
        check_number("seconds", seconds, unit="seconds")
        self._next = max(self._next, self._now() + seconds)

    def delay(self) -> float:
        """Return how many seconds a new call would wait if no other call were waiting.

        With a frozen clock there is no rate, and no call waits.
        """
        now = self._now()
        if self._next > now and is_clock_frozen():
            self._next = now
        return max(0.0, self._next - now)

    def _spend(self, slack: float) -> None:
        self._next = max(self._next, self._seen - slack) + self._interval

    def _now(self) -> float:
        now = self._clock()
        if now < self._seen:
            # Another event loop has another clock: the remaining wait stays the same.
            self._next -= self._seen - now
        self._seen = now
        return now


class TokenBucket(_PacedLimiter):
    """Sends `rate` calls every `per` seconds, and up to `burst` at once after an idle time.

    In any w seconds at most `burst + rate / per * w` calls are sent. The order is first come, first
    served, `NORMAL` before `BULK`. After a `pause` there is no burst: the first call is sent at its
    end, the others at the rate.

    Args:
        rate: How many calls, above 0.
        burst: How many calls may be sent at once, at least 1; `None` is one second's worth. With 1
            calls are strictly spaced, and late timers lower the rate; from 10 ms worth of calls on,
            they are made up for.
        per: In how many seconds, above 0.
        clock: Returns the current time in seconds.

    Raises:
        TypeError: A value is not a number.
        ValueError: A value is too small, infinite or NaN.

    """

    def __init__(
        self,
        rate: float,
        burst: float | None = None,
        *,
        per: float = 1.0,
        clock: Callable[[], float] = loop_time,
    ) -> None:
        check_number("rate", rate, unit="calls", exclusive=True)
        check_number("per", per, unit="seconds", exclusive=True)
        check_number("rate / per", rate / per, unit="calls a second", exclusive=True)
        if burst is not None:
            check_number("burst", burst, unit="calls", minimum=1)
        self._rate = rate
        self._per = per
        self._burst = max(1.0, rate / per) if burst is None else burst
        interval = per / rate
        super().__init__(interval, (self._burst - 1) * interval, clock)

    def __repr__(self) -> str:
        return f"TokenBucket({self._rate:g}, {self._burst:g}, per={self._per:g})"


class NoRateLimit(_PacedLimiter):
    """No rate limit, but pauses after a 429; calls continue in order."""

    def __init__(self, *, clock: Callable[[], float] = loop_time) -> None:
        super().__init__(interval=0.0, slack=0.0, clock=clock)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"
