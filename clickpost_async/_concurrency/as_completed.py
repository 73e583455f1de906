"""Results of many calls as they complete, with a bounded number of them under way at any time."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from contextvars import copy_context
from typing import Any, Generic, Self, TypeVar

import anyio

from clickpost_async._concurrency.waiter import Waiter, make_waiter, wake

T = TypeVar("T")
Calls = Iterable[Callable[[], Awaitable[Iterable[T]]]]


class AsCompleted(Generic[T]):
    """The results of calls, for `async for`; each call returns any number of them.

    Calls are taken from their iterable only when there is room for them, so memory stays flat
    however many there are. An exception of a call ends the others. A consumer that leaves the loop
    early may cancel the calls in flight by `aclose()`; otherwise they run to their end, and none
    follows.
    """

    def __init__(self, calls: Calls[T], *, max_concurrency: int) -> None:
        self._calls: Iterator[Callable[[], Awaitable[Iterable[T]]]] = iter(calls)
        self._max_concurrency = max_concurrency
        self._scopes: set[anyio.CancelScope] = set()
        self._tasks: set[object] = set()
        self._results: deque[T] = deque()
        self._error: Exception | None = None
        self._waiter: Waiter | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        try:
            await self._wait_for_result()
        except BaseException:
            await self.aclose()
            raise
        if self._error is not None:
            error, self._error = self._error, None
            await self.aclose()
            raise error
        if not self._results:
            raise StopAsyncIteration
        return self._results.popleft()

    async def aclose(self) -> None:
        """Cancel the calls that are under way, and start no more; may be repeated."""
        self._calls = iter(())
        self._results.clear()
        for scope in self._scopes:
            scope.cancel()

    async def _wait_for_result(self) -> None:
        while self._error is None:
            self._start_more()
            if self._results or not self._scopes:
                return
            self._waiter = make_waiter()
            await self._waiter

    def _start_more(self) -> None:
        # A consumer that is slower than the calls holds them back.
        while len(self._scopes) < self._max_concurrency > len(self._results):
            call = next(self._calls, None)
            if call is None:
                return
            scope = anyio.CancelScope()
            self._scopes.add(scope)
            self._spawn(self._run(call, scope))

    async def _run(
        self, call: Callable[[], Awaitable[Iterable[T]]], scope: anyio.CancelScope
    ) -> None:
        try:
            with scope:
                self._results.extend(await call())
        except Exception as error:  # noqa: BLE001 - raised where the results are read
            self._error = self._error or error
        finally:
            self._scopes.discard(scope)
            if self._waiter is not None:
                wake(self._waiter)

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            import trio

            async def run() -> None:
                await coroutine

            trio.lowlevel.spawn_system_task(run, context=copy_context())
            return
        task = loop.create_task(coroutine)
        # The event loop itself keeps weak references only.
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
