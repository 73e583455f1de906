"""A semaphore with two priorities, and a queue for each."""

from collections import OrderedDict
from collections.abc import Generator
from types import TracebackType
from typing import Any, Self

from clickpost_async._concurrency.waiter import Waiter, make_waiter, wake
from clickpost_async.settings import Priority

# After so many NORMAL calls have overtaken a waiting BULK call, that one goes first, so that BULK
# does not starve.
_OVERTAKES = 8
# While NORMAL calls hold slots, more are likely to follow: BULK leaves them one slot in so many,
# or the next would wait until a BULK call has ended.
_KEPT_FREE = 10


class PrioritySemaphore:
    """Bounds how many calls run at once; first in, first out, `NORMAL` before `BULK`.

    A released slot goes directly to the next waiter, so there are no spurious wake-ups, and FIFO
    order holds. While `NORMAL` calls hold slots, `BULK` leaves a tenth of the slots free. A
    free slot is taken without suspending. A semaphore with waiting calls belongs to one event loop.
    """

    __slots__ = ("_bulk", "_held", "_normal", "_normal_held", "_overtakes", "_width")

    def __init__(self, width: int) -> None:
        if width < 1:
            message = "width: at least 1 is needed"
            raise ValueError(message)
        self._width = width
        self._held = 0
        self._normal_held = 0
        self._overtakes = 0
        # Ordered, so that the first is found, and a cancelled one removed, in constant time.
        self._normal: OrderedDict[Slot, None] = OrderedDict()
        self._bulk: OrderedDict[Slot, None] = OrderedDict()

    @property
    def in_use(self) -> int:
        """Return how many slots are held, those included that were granted and not taken yet."""
        return self._held

    @property
    def waiting(self) -> int:
        """Return how many calls wait for a slot."""
        return len(self._normal) + len(self._bulk)

    def slot(self, priority: Priority = Priority.NORMAL, *, is_returning: bool = False) -> "Slot":
        """Return a slot, which an `async with` block holds.

        A call that `is_returning` has held one before, so it has waited already: it is first in its
        queue.
        """
        lane = self._bulk if priority is Priority.BULK else self._normal
        return Slot(self, lane, is_returning=is_returning)

    def admit(self, lane: "OrderedDict[Slot, None]") -> bool:
        """Grant a slot if one is free and none in its lane is waiting."""
        if lane or not self._has_room(lane):
            return False
        self._count(lane, 1)
        return True

    def leave(self, lane: "OrderedDict[Slot, None]") -> None:
        """Release a slot, and grant the free ones to waiting calls."""
        self._count(lane, -1)
        while (next_lane := self._next_lane()) is not None:
            is_guaranteed = next_lane is self._bulk and bool(self._normal)
            if next_lane is self._bulk:
                self._overtakes = 0
            elif self._bulk:
                self._overtakes += 1
            self._count(next_lane, 1)
            next_lane.popitem(last=False)[0].grant(is_guaranteed=is_guaranteed)

    def _count(self, lane: "OrderedDict[Slot, None]", change: int) -> None:
        self._held += change
        if lane is self._normal:
            self._normal_held += change

    def _has_room(self, lane: "OrderedDict[Slot, None]") -> bool:
        kept = self._width // _KEPT_FREE if lane is self._bulk and self._normal_held else 0
        return self._held < self._width - kept

    def _next_lane(self) -> "OrderedDict[Slot, None] | None":
        lanes = [self._normal, self._bulk]
        if self._overtakes >= _OVERTAKES:
            lanes.reverse()
        return next((lane for lane in lanes if lane and self._has_room(lane)), None)

    def outranks(self, lane: "OrderedDict[Slot, None]") -> bool:
        """Return whether a call of a higher lane is waiting."""
        return lane is self._bulk and bool(self._normal)


class Slot:
    """A slot of a semaphore: pending, held or released.

    `async with` holds it for a block. Where thousands wait, a frame less for each is saved by
    awaiting it, and releasing it in any case:

        slot = semaphore.slot(priority)
        try:
            await slot
            ...
        finally:
            slot.release()
    """

    __slots__ = ("_is_guaranteed", "_is_held", "_is_returning", "_lane", "_semaphore", "_waiter")

    _waiter: Waiter | None

    def __init__(
        self, semaphore: PrioritySemaphore, lane: "OrderedDict[Slot, None]", *, is_returning: bool
    ) -> None:
        self._semaphore = semaphore
        self._lane = lane
        self._is_returning = is_returning
        self._is_held = False
        self._is_guaranteed = False
        self._waiter = None

    def __await__(self) -> Generator[Any, None, object]:
        if self._is_held or self._semaphore.admit(self._lane):
            self._is_held = True
            return _at_once()
        return self._queue().__await__()

    def release(self) -> None:
        """Give the slot up, or the place in the queue; it may be awaited again."""
        if self._is_held:
            self._leave()
        elif self._waiter is not None:
            self._waiter = None
            del self._lane[self]

    async def __aenter__(self) -> Self:
        try:
            await self
        except BaseException:
            self.release()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    async def yield_to_higher(self) -> None:
        """Let a more urgent call in first, and return before all others of the own lane.

        Starvation guard: a slot that was granted after the lane had been overtaken often enough is
        kept.
        """
        if self._is_guaranteed or not self._semaphore.outranks(self._lane):
            return
        self._is_returning = True
        waiter = self._queue()
        self._leave()
        await waiter

    def grant(self, *, is_guaranteed: bool = False) -> None:
        """Grant the slot; `is_guaranteed`: it does not yield to a more urgent call."""
        self._is_held = True
        self._is_guaranteed = is_guaranteed
        if self._waiter is not None:
            wake(self._waiter)
            self._waiter = None

    def _queue(self) -> Waiter:
        self._waiter = waiter = make_waiter()
        self._lane[self] = None
        if self._is_returning:
            self._lane.move_to_end(self, last=False)
        return waiter

    def _leave(self) -> None:
        self._is_held = False
        self._semaphore.leave(self._lane)


def _at_once() -> Generator[Any, None, None]:
    """Wait for nothing."""
    yield from ()
