"""Virtual time for tests: an event loop whose clock jumps to the next timer instead of waiting.

An hour of retries, pauses and throttling takes milliseconds, and is deterministic:

    @virtual_time
    async def test_a_pause_of_a_minute_takes_a_minute():
        limiter = NoRateLimit()
        await limiter.pause(60)
        await limiter.acquire()
        assert anyio.current_time() == 60
"""

import asyncio
import functools
import selectors
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import ParamSpec, TypeVar, TypeVarTuple

P = ParamSpec("P")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")

# 97 days. asyncio fires timers a nanosecond early, and never where the clock's floats are further
# apart than that; `sleep_forever` is a timer too.
_END = 2.0**23
# Seconds to wait for a thread that asyncio did not start, and that may still wake a task.
_THREADS_PATIENCE = 5.0


class VirtualLoop(asyncio.SelectorEventLoop):
    """An asyncio event loop whose clock starts at 0 and jumps to the next timer when all is idle.

    It is meant for code within the process: mock transports, ASGI applications, queues. While a
    socket is open, or a thread of `run_in_executor` or `asyncio.to_thread` runs, waiting takes real
    time, since they may wake a task before the next timer. Threads that are started in other ways
    work, but timers do not wait for them.

    If every task waits and nothing will wake one within 97 days, it raises `RuntimeError`.
    """

    def __init__(self) -> None:
        self._clock = _JumpingSelector(self._who_waits)
        super().__init__(self._clock)
        self._clock.own_files = len(self._clock.get_map())

    def time(self) -> float:
        """Return the virtual time, in seconds."""
        return self._clock.now

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Run a function in a thread, in real time.

        Args:
            executor: The executor; `None` is the default one.
            func: The function.
            args: Its arguments.

        """
        future = super().run_in_executor(executor, func, *args)
        self._clock.threads += 1
        future.add_done_callback(self._thread_is_done)
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ARG002, ASYNC109
        """Wait for the threads of the default executor, in real time."""
        # Without the timeout, which Python 3.11 does not have.
        self._clock.threads += 1
        try:
            await super().shutdown_default_executor()
        finally:
            self._clock.threads -= 1

    def _thread_is_done(self, _: object) -> None:
        self._clock.threads -= 1

    def _who_waits(self) -> str:
        return ", ".join(sorted(task.get_name() for task in asyncio.all_tasks(self)))


class _JumpingSelector(selectors.DefaultSelector):
    """A selector that advances the clock instead of waiting."""

    def __init__(self, who_waits: Callable[[], str]) -> None:
        super().__init__()
        self.now = 0.0
        self.own_files = 0
        self.threads = 0
        self._who_waits = who_waits

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if self.threads or len(self.get_map()) > self.own_files:
            return self._wait(timeout)
        if timeout is None and threading.active_count() > 1:
            ready = self._wait(_THREADS_PATIENCE)
            if ready:
                return ready
        if timeout is None or self.now >= _END:
            message = (
                "deadlock: every task waits, and no timer, socket or thread wakes one within"
                f" 97 days; waiting: {self._who_waits()}"
            )
            raise RuntimeError(message)
        self.now += timeout
        return ready

    def _wait(self, timeout: float | None) -> list[tuple[selectors.SelectorKey, int]]:
        began = time.monotonic()
        ready = super().select(timeout)
        passed = time.monotonic() - began
        if timeout is not None:
            passed = min(passed, timeout) if ready else timeout
        self.now += passed
        return ready


def run_virtual(main: Callable[[], Coroutine[object, None, T]]) -> T:
    """Run a coroutine function in virtual time, in a new event loop."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main())


def virtual_time(test: Callable[P, Coroutine[object, None, T]]) -> Callable[P, T]:
    """Turn an async test into a synchronous one that runs in virtual time, with its fixtures."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        return run_virtual(lambda: test(*args, **kwargs))

    return run
