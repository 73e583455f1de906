"""A circuit breaker: stops sending to a server that is down, and probes it one call at a time."""

import math
from collections.abc import Callable
from types import TracebackType
from typing import Self

import anyio

from clickpost_async._concurrency.per_loop import PerLoop, loop_time
from clickpost_async._concurrency.priority_semaphore import PrioritySemaphore
from clickpost_async.settings import Priority

# It opens when half of at least twenty attempts in ten seconds failed.
_SHARE = 0.5
_ENOUGH = 20
_SPAN = 10
_FIRST_PAUSE = 5.0
_MAX_PAUSE = 60.0
# How often the first in line checks on a probe, which may run in another event loop; in seconds.
_LOOK = 0.25


class CircuitOpenError(Exception):
    """Too many calls failed lately: nothing is sent for `wait` seconds."""

    def __init__(self, wait: float) -> None:
        super().__init__(f"too many calls failed lately; the next is tried in {wait:.1f} s")
        self.wait = wait


class CircuitBreaker:
    """Lets calls pass while the server responds; opens once most of them fail.

    Open, it rejects `NORMAL` calls and queues `BULK` calls. After 5 s, and twice as
    long each time up to 60 s, the first call is the probe: exactly one, whose success closes
    the breaker. The caller decides what a failure is: no response, or no usable one. A rejection
    counts as success: the server is reachable.

        with breaker.try_acquire() or await breaker.acquire(priority) as permit:
            ...
            permit.succeeded()
    """

    def __init__(self, *, clock: Callable[[], float] = loop_time) -> None:
        self._clock = clock
        self._recent = _Recent()
        self._open = False
        self._pause = _FIRST_PAUSE
        self._due = -math.inf
        self._probe: Permit | None = None
        # Results of attempts from before the last opening or closing do not count.
        self._generation = 0
        self._lines = PerLoop(lambda: PrioritySemaphore(1))

    @property
    def is_open(self) -> bool:
        """Return whether calls are rejected or wait."""
        return self._open

    async def acquire(self, priority: Priority = Priority.NORMAL) -> "Permit":
        """Return a permit for one attempt; while open, raise `CircuitOpenError` or wait."""
        permit = self.try_acquire()
        if permit is not None:
            return permit
        if priority is not Priority.BULK:
            raise CircuitOpenError(self.wait or _LOOK)
        # One timer for all: only the first in line looks.
        async with self._lines.get_or_create().slot(priority):
            while True:
                permit = self.try_acquire()
                if permit is not None:
                    return permit
                await anyio.sleep(self.wait or _LOOK)

    def try_acquire(self) -> "Permit | None":
        """Return a permit for one attempt if it may be sent now, else `None`."""
        if not self._open:
            return Permit(self, self._generation)
        if self._probe is None and not self.wait:
            self._probe = Permit(self, self._generation)
            return self._probe
        return None

    @property
    def wait(self) -> float:
        """Return the seconds until the next probe."""
        now = self._clock()
        # Later than was ever set: it is due by the clock of another event loop.
        self._due = min(self._due, now + self._pause)
        return max(0.0, self._due - now)

    def is_permit_valid(self, permit: "Permit", generation: int) -> bool:
        """Return whether a permit still allows its attempt to be sent."""
        return permit is self._probe or (not self._open and generation == self._generation)

    def record(self, permit: "Permit", generation: int, *, failed: bool | None) -> None:
        """Record the result of an attempt, if it has one."""
        if permit is self._probe:
            self._probe = None
            if failed is not None:
                self._switch(failed=failed)
        elif failed is not None and generation == self._generation and not self._open:
            now = self._clock()
            self._recent.add(now, failed=failed)
            if failed and self._recent.mostly_failed(now):
                self._switch(failed=True)

    def _switch(self, *, failed: bool) -> None:
        self._generation += 1
        self._recent = _Recent()
        if failed:
            self._pause = min(self._pause * 2, _MAX_PAUSE) if self._open else _FIRST_PAUSE
            self._due = self._clock() + self._pause
        self._open = failed


class Permit:
    """Lets one attempt through; the first result that is recorded counts."""

    __slots__ = ("_breaker", "_ended", "_generation")

    def __init__(self, breaker: CircuitBreaker, generation: int) -> None:
        self._breaker = breaker
        self._generation = generation
        self._ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def release(self) -> None:
        """Give the permit back; without a recorded result it records nothing."""
        self._end(failed=None)

    @property
    def is_valid(self) -> bool:
        """Return whether the attempt may still be sent, after it has waited."""
        return self._breaker.is_permit_valid(self, self._generation)

    def succeeded(self) -> None:
        """Record that the server responded, whatever the response was."""
        self._end(failed=False)

    def failed(self) -> None:
        """Record that the server was not reached, or that there was no usable response."""
        self._end(failed=True)

    def _end(self, *, failed: bool | None) -> None:
        if not self._ended:
            self._ended = True
            self._breaker.record(self, self._generation, failed=failed)


class _Recent:
    """Counts the attempts of the last seconds, and those of them that failed, by the second."""

    __slots__ = ("_seconds",)

    def __init__(self) -> None:
        # Which second it is, attempts, failures.
        self._seconds = [[-1, 0, 0] for _ in range(_SPAN)]

    def add(self, now: float, *, failed: bool) -> None:
        second = int(now)
        slot = self._seconds[second % _SPAN]
        if slot[0] != second:
            slot[:] = second, 0, 0
        slot[1] += 1
        slot[2] += failed

    def mostly_failed(self, now: float) -> bool:
        # A second in the future is another event loop's.
        lately = [slot for slot in self._seconds if 0 <= int(now) - slot[0] < _SPAN]
        attempts = sum(slot[1] for slot in lately)
        return attempts >= _ENOUGH and sum(slot[2] for slot in lately) >= attempts * _SHARE
