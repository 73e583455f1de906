"""One wire for each event loop that a client is used on.

Sockets belong to the loop they were opened on: a second `asyncio.run`, Django's `async_to_sync` and
a forked worker each get connections of their own, which are closed when their loop has ended.
"""

from collections.abc import AsyncGenerator, Callable

from clickpost_async._concurrency.per_loop import PerLoop
from clickpost_async._http.adapter import HTTPRequest, LoopAdapter, SendProgress
from clickpost_async._http.response_reader import ResponseReader
from clickpost_async.errors import FailureKind


class PerLoopAdapter:
    """A wire that is opened on first use, once per event loop."""

    def __init__(self, open_adapter: Callable[[], LoopAdapter]) -> None:
        self._adapters = PerLoop(open_adapter, self._abandon)
        self._ends: dict[int, AsyncGenerator[None]] = {}

    @property
    def connections(self) -> int:
        """How many connections are open on this event loop."""
        wire = self._adapters.get()
        return 0 if wire is None else wire.connections

    async def send(self, call: HTTPRequest, progress: SendProgress, answer: ResponseReader) -> None:
        """Send a call over this event loop's wire."""
        wire = self._adapters.get() or await self._open()
        await wire.send(call, progress, answer)

    def failure_of(self, error: Exception) -> FailureKind:
        """Sort an exception of the library behind."""
        wire = self._adapters.get()
        return FailureKind.UNEXPECTED if wire is None else wire.failure_of(error)

    async def _open(self) -> LoopAdapter:
        wire = self._adapters.get_or_create()
        # An event loop tells nobody that it ends, but those that are shut down in good order, as
        # by asyncio.run, close their asynchronous generators. For the others see `PerLoop`.
        end = self._ends[id(wire)] = self._close_of(wire)
        await anext(end)
        return wire

    async def _close_of(self, wire: LoopAdapter) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            self._ends.pop(id(wire), None)
            await wire.aclose()

    def _abandon(self, wire: LoopAdapter) -> None:
        self._ends.pop(id(wire), None)
        wire.abandon()

    async def aclose(self) -> None:
        """Close what this event loop has open, and what loops have left open that are closed."""
        self._adapters.sweep()
        end = self._ends.get(id(self._adapters.get()))
        if end is not None:
            await end.aclose()
