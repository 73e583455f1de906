"""One adapter for each event loop that a client is used on.

Sockets belong to the loop they were opened on: a second `asyncio.run`, Django's `async_to_sync` and
a forked worker each get separate connections, which are closed when their loop has ended.
"""

from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any

from clickpost_async._concurrency.per_loop import PerLoop
from clickpost_async._http.adapter import HTTPRequest, LoopAdapter, SendProgress
from clickpost_async._http.response_reader import ResponseReader
from clickpost_async.errors import FailureKind


class PerLoopAdapter:
    """An adapter that is opened on first use, once per event loop."""

    def __init__(self, open_adapter: Callable[[], LoopAdapter]) -> None:
        self._adapters = PerLoop(open_adapter, self._abandon)
        self._ends: dict[int, AsyncGenerator[None]] = {}

    @property
    def connections(self) -> int:
        """How many connections are open on this event loop."""
        adapter = self._adapters.get()
        return 0 if adapter is None else adapter.connections

    def send(
        self, request: HTTPRequest, progress: SendProgress, reader: ResponseReader
    ) -> Coroutine[Any, Any, None]:
        """Send a request through this event loop's adapter."""
        # Not a coroutine function: one more coroutine costs memory per waiting call.
        adapter = self._adapters.get()
        if adapter is None:
            return self._open_and_send(request, progress, reader)
        return adapter.send(request, progress, reader)

    async def _open_and_send(
        self, request: HTTPRequest, progress: SendProgress, reader: ResponseReader
    ) -> None:
        adapter = await self._open()
        await adapter.send(request, progress, reader)

    def failure_of(self, error: Exception) -> FailureKind:
        """Classify an exception of the adapter's library."""
        adapter = self._adapters.get()
        return FailureKind.UNEXPECTED if adapter is None else adapter.failure_of(error)

    async def _open(self) -> LoopAdapter:
        adapter = self._adapters.get_or_create()
        # An event loop has no hook for its end, but an orderly shutdown, as by asyncio.run, closes
        # its asynchronous generators; `PerLoop` handles other cases.
        end = self._ends[id(adapter)] = self._close_of(adapter)
        await anext(end)
        return adapter

    async def _close_of(self, adapter: LoopAdapter) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            self._ends.pop(id(adapter), None)
            await adapter.aclose()

    def _abandon(self, adapter: LoopAdapter) -> None:
        self._ends.pop(id(adapter), None)
        adapter.abandon()

    async def aclose(self) -> None:
        """Close the connections of this event loop and of event loops that are closed."""
        self._adapters.sweep()
        end = self._ends.get(id(self._adapters.get()))
        if end is not None:
            await end.aclose()
