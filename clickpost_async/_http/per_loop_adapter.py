"""One wire for each event loop that a client is used on.

Sockets belong to the loop they were opened on: a second `asyncio.run`, Django's `async_to_sync` and
a forked worker each get connections of their own, which are closed when their loop has ended.
"""

from collections.abc import AsyncGenerator, Callable

from clickpost_async._concurrency.per_loop import PerLoop
from clickpost_async._http.adapter import Fault, LoopWire, Outgoing, Progress
from clickpost_async._http.response_reader import Incoming


class Connections:
    """A wire that is opened on first use, once per event loop."""

    def __init__(self, open_wire: Callable[[], LoopWire]) -> None:
        self._wires = PerLoop(open_wire, self._abandon)
        self._ends: dict[int, AsyncGenerator[None]] = {}

    @property
    def connections(self) -> int:
        """How many connections are open on this event loop."""
        wire = self._wires.seen()
        return 0 if wire is None else wire.connections

    async def send(self, call: Outgoing, progress: Progress, answer: Incoming) -> None:
        """Send a call over this event loop's wire."""
        wire = self._wires.seen() or await self._opened()
        await wire.send(call, progress, answer)

    def fault(self, error: Exception) -> Fault:
        """Sort an exception of the library behind."""
        wire = self._wires.seen()
        return Fault.UNFORESEEN if wire is None else wire.fault(error)

    async def _opened(self) -> LoopWire:
        wire = self._wires.here()
        # An event loop tells nobody that it ends, but those that are shut down in good order, as
        # by asyncio.run, close their asynchronous generators. For the others see `PerLoop`.
        end = self._ends[id(wire)] = self._end_of(wire)
        await anext(end)
        return wire

    async def _end_of(self, wire: LoopWire) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            self._ends.pop(id(wire), None)
            await wire.aclose()

    def _abandon(self, wire: LoopWire) -> None:
        self._ends.pop(id(wire), None)
        wire.abandon()

    async def aclose(self) -> None:
        """Close what this event loop has open, and what loops have left open that are closed."""
        self._wires.sweep()
        end = self._ends.get(id(self._wires.seen()))
        if end is not None:
            await end.aclose()
