"""Event loops of any kind, in any thread: which one runs, how to reach it, and ages across them."""

import asyncio
import weakref
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import anyio
from attrs import frozen

from clickpost_async._concurrency.per_loop import current_loop, loop_time
from clickpost_async._util.clock import boottime


def running_loop() -> object | None:
    """Return the event loop that runs in this thread, if any: asyncio's, or trio's token."""
    try:
        return current_loop()
    except RuntimeError:
        return None


def asyncio_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop that runs in this thread if it is one of asyncio's."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def call_on(loop: Any, callback: Callable[[], object]) -> None:
    """Call something on an event loop: at once if it is this one, otherwise as soon as it can.

    Does nothing if the loop is closed or the trio run has ended.
    """
    if loop is running_loop():
        callback()
        return
    schedule = getattr(loop, "call_soon_threadsafe", None)
    with suppress(RuntimeError):
        (schedule or loop.run_sync_soon)(callback)


def time_limit(seconds: float) -> "asyncio.Timeout | _ScopeLimit":
    """Return an `async with` block that raises `TimeoutError` after so many seconds.

    Its `expired()` distinguishes that from a `TimeoutError` of the block itself.
    """
    if asyncio_loop() is None:
        return _ScopeLimit(seconds)
    # As anyio's, at a third of its cost.
    return asyncio.timeout(seconds)


class _ScopeLimit:
    """What `asyncio.Timeout` is, made of anyio's cancel scope: for trio."""

    def __init__(self, seconds: float) -> None:
        self._scope = anyio.CancelScope(deadline=anyio.current_time() + seconds)

    def expired(self) -> bool:
        return self._scope.cancelled_caught

    async def __aenter__(self) -> Self:
        self._scope.__enter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._scope.__exit__(kind, error, trace)
        if self._scope.cancelled_caught:
            raise TimeoutError


@frozen
class Instant:
    """A point in time whose age can be computed on any event loop."""

    _loop: "weakref.ref[Any] | None"
    _loop_time: float
    _boottime: float

    @classmethod
    def now(cls) -> Self:
        """Return this moment; may be called outside of any event loop."""
        loop = running_loop()
        if loop is None:
            return cls(None, 0.0, boottime())
        return cls(weakref.ref(loop), loop_time(), boottime())

    def age(self) -> float:
        """Return the seconds since then.

        On the same event loop by the loop's own time, which a test may turn; otherwise by a clock
        that cannot be set.
        """
        loop = running_loop()
        if loop is not None and self._loop is not None and self._loop() is loop:
            return loop_time() - self._loop_time
        return boottime() - self._boottime
