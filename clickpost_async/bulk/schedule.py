"""The orders of a run: its input, those scheduled again, and those that wait for another."""

import heapq
import itertools
import logging
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from typing import Any

import anyio
from attrs import define, evolve, field

from clickpost_async._core.retry import poll_pause
from clickpost_async._core.telemetry import LONG_WAIT
from clickpost_async.bulk.outcome import OrderOutcome, Pending, Unknown
from clickpost_async.bulk.records import Key
from clickpost_async.errors import FailureKind
from clickpost_async.files.order_rows import OrderRow
from clickpost_async.structures import IndiaOrder, WorldOrder

_log = logging.getLogger("clickpost_async.bulk")

BulkOrder = IndiaOrder | WorldOrder | Mapping[str, Any] | OrderRow

# How often an order is scheduled again because the retry budget was spent.
_ROUNDS = 3
# Timers may fire a little early, and floats are rounded.
_TICK = 0.001
# Orders at hand are read so many at a time: more would block the event loop for longer than a few
# milliseconds, and gain little.
_AHEAD = 16
# No more orders are read while so many are scheduled again: each is in memory as a whole.
_MAX_WAITING = 10_000


@define(eq=False)
class ScheduledOrder:
    """An order of the input; what is known of it, if a first round was not the end of it.

    `in_doubt`: it may have been sent before. `look_up_only`: it is not to be sent again, because
    that was too long ago, or because the row `differs`: it has other contents than were sent.
    `polled`: for how many seconds it has been polled since ClickPost recorded it.
    """

    position: int
    source: BulkOrder = field(repr=False)
    key: Key | None = None
    rounds: int = 0
    last_outcome: Unknown | Pending | None = None
    in_doubt: bool = False
    look_up_only: bool = False
    differs: bool = False
    polled: float = 0.0
    due: float = 0.0

    def add(self, outcome: OrderOutcome) -> OrderOutcome:
        """Return the combined outcome of this round and the ones before."""
        self.rounds += 1
        before = self.last_outcome
        if before is None:
            return outcome
        unsent = isinstance(outcome, Pending) and outcome.order is None
        # An order in doubt stays in doubt if a later attempt was not sent.
        return evolve(
            before if unsent and not _is_unsent(before) else outcome,
            attempts=before.attempts + outcome.attempts,
            seconds=before.seconds + outcome.seconds,
        )

    def wait_for(self, outcome: OrderOutcome, seconds: float) -> None:
        """Schedule it again in so many seconds."""
        assert isinstance(outcome, Unknown | Pending)  # noqa: S101 - all others are final
        self.last_outcome = outcome
        self.in_doubt = self.in_doubt or isinstance(outcome, Unknown)
        self.due = anyio.current_time() + seconds

    def repeat_wait(self, outcome: OrderOutcome, attempts: int) -> float | None:
        """Return the seconds until it may be retried, if only the retry budget prevented that."""
        if not isinstance(outcome, Unknown | Pending) or outcome.error is None:
            return None
        unaffordable = outcome.error.kind is FailureKind.RETRY_BUDGET_SPENT
        again = unaffordable and self.rounds < _ROUNDS and outcome.attempts < attempts
        return outcome.error.safe_to_retry_in if again else None

    def poll_wait(self, outcome: OrderOutcome, interval: float, timeout: float) -> float | None:
        """Return the seconds until a queued order is polled again; they grow."""
        if not isinstance(outcome, Pending) or outcome.order is None:
            return None
        pause = poll_pause(interval, self.polled)
        if self.polled + pause > timeout:
            return None
        self.polled += pause
        return pause


def _is_unsent(outcome: Unknown | Pending) -> bool:
    return isinstance(outcome, Pending) and outcome.order is None


@define(eq=False)
class InFlightOrder:
    """The order in flight with a reference number, and the rows that wait for its outcome."""

    scheduled: ScheduledOrder
    followers: deque[ScheduledOrder] = field(factory=deque)


async def _number(orders: AsyncIterable[BulkOrder]) -> AsyncIterator[ScheduledOrder]:
    position = 0
    async for order in orders:
        yield ScheduledOrder(position, order)
        del order  # error trackers export the variables of frames that fail
        position += 1


def scheduled_orders(
    orders: Iterable[BulkOrder] | AsyncIterable[BulkOrder],
) -> Iterator[ScheduledOrder] | AsyncIterator[ScheduledOrder]:
    """Wrap each order of an input when it is read."""
    if isinstance(orders, AsyncIterable):
        return _number(orders)
    return itertools.starmap(ScheduledOrder, enumerate(orders))


class Schedule:
    """Returns the next order: a scheduled one that is due, else the next one of the input.

    The input is read no faster than orders are asked for; an asynchronous one is read by `read`,
    so that it may take its time while orders come up again.

    Args:
        orders: The input.
        prepare: Called with each order of an input that is at hand: a few are read, and then
            prepared. The same step for several orders takes two thirds of the time of all steps for
            each in turn: the processor finds its code in the caches.

    """

    def __init__(
        self,
        orders: Iterator[ScheduledOrder] | AsyncIterator[ScheduledOrder],
        prepare: Callable[[ScheduledOrder], object] | None = None,
    ) -> None:
        self.unfinished: int = 0
        self.input_error: Exception | None = None
        self._input = orders
        self._prepare = prepare
        self._is_open = True
        self._ended = False
        self._reader: anyio.CancelScope | None = None
        # Read and not taken yet: at most one, or a few of an input that is at hand.
        self._read: deque[ScheduledOrder] = deque()
        self._is_requested = False
        self._requested = anyio.Event()
        self._changed = anyio.Event()
        # Scheduled again: some when they are due, others after the whole input.
        self._later: list[tuple[bool, float, int, ScheduledOrder]] = []
        self._number = itertools.count()
        self._under_way: dict[Key, InFlightOrder] = {}
        self._followers = 0
        self._waiting = anyio.Lock()
        self._is_reported = False

    @property
    def is_exhausted(self) -> bool:
        """Whether the whole input was read."""
        return not (self._is_open or self._ended or self.input_error)

    def end(self) -> None:
        """Read no more orders; those scheduled again are due at once."""
        self._ended = True
        self._is_open = False
        if self._reader is not None:
            self._reader.cancel()
        self._changed.set()

    # --- what is next -----------------------------------------------------------------------------

    async def next(self) -> ScheduledOrder | None:
        """Return the next order; `None`: there is none, and this worker is not needed any more."""
        scheduled = self._take()
        if scheduled is not None:
            return scheduled
        # One worker waits for all of them; the others queue behind it.
        async with self._waiting:
            while True:
                scheduled = self._take()
                if scheduled is not None:
                    return scheduled
                if not (self._is_open or self._later or self._reader):
                    return None
                await self._wait()

    def _take(self) -> ScheduledOrder | None:
        if self._later:
            behind_all, due, _, scheduled = self._later[0]
            is_due = self._ended or due <= anyio.current_time() + _TICK
            if is_due and not (behind_all and self._may_read):
                heapq.heappop(self._later)
                return scheduled
        if self._read:
            return self._read.popleft()
        if self._may_read and not isinstance(self._input, AsyncIterator):
            self._read_some()
            return self._read.popleft() if self._read else None
        return None

    @property
    def _may_read(self) -> bool:
        return self._is_open and len(self._later) + self._followers < _MAX_WAITING

    async def _wait(self) -> None:
        if self._may_read and not self._is_requested:
            self._is_requested = True
            self._requested.set()
        seconds = None
        if self._later:
            behind_all, due, _, _ = self._later[0]
            if not (behind_all and self._may_read):
                seconds = max(0.0, due - anyio.current_time())
            if seconds is not None and seconds > LONG_WAIT and not self._is_reported:
                self._is_reported = True
                _log.warning(
                    "orders that settle before they are looked up or sent again: %d;"
                    " the next is due in %.0f s",
                    len(self._later),
                    seconds,
                )
        with anyio.move_on_after(seconds):
            await self._changed.wait()
        self._changed = anyio.Event()

    # --- the input --------------------------------------------------------------------------------

    async def read(self) -> None:
        """Read an asynchronous input: an order whenever a worker needs one."""
        if not isinstance(self._input, AsyncIterator):
            return
        with anyio.CancelScope() as self._reader:
            await self._read_each(self._input)
        self._is_open = False
        self._reader = None
        self._changed.set()

    async def _read_each(self, orders: AsyncIterator[ScheduledOrder]) -> None:
        try:
            while self._is_open:
                await self._requested.wait()
                self._requested = anyio.Event()
                self._add(await anext(orders))
        except StopAsyncIteration:
            pass
        except Exception as error:  # noqa: BLE001 - it is the caller's own, and is given back
            self.input_error = error

    def _read_some(self) -> None:
        assert isinstance(self._input, Iterator)  # noqa: S101 - the others are read by `read`
        try:
            for _ in range(1 if self._prepare is None else _AHEAD):
                self._add(next(self._input))
        except StopIteration:
            self._is_open = False
        except Exception as error:  # noqa: BLE001 - as above
            self._is_open = False
            self.input_error = error
        if self._prepare is not None:
            for scheduled in self._read:
                self._prepare(scheduled)

    def _add(self, scheduled: ScheduledOrder) -> None:
        self._read.append(scheduled)
        self.unfinished += 1
        self._is_requested = False
        self._changed.set()

    # --- orders that are scheduled again ----------------------------------------------------------

    def put(self, scheduled: ScheduledOrder, *, behind_all: bool = False) -> None:
        """Schedule an order again when it is due."""
        heapq.heappush(self._later, (behind_all, scheduled.due, next(self._number), scheduled))
        self._changed.set()

    def claim(self, key: Key, scheduled: ScheduledOrder) -> InFlightOrder | None:
        """Register an order as the one in flight under its reference number, or return that one."""
        scheduled.key = key
        claim = self._under_way.setdefault(key, InFlightOrder(scheduled))
        return None if claim.scheduled is scheduled else claim

    def follow(self, other: InFlightOrder, scheduled: ScheduledOrder) -> None:
        """Schedule an order again when another one has its outcome."""
        other.followers.append(scheduled)
        self._followers += 1

    def finish(self, scheduled: ScheduledOrder) -> None:
        """Record that an order has its outcome, and schedule the next one that waits for it."""
        self.unfinished -= 1
        claim = None if scheduled.key is None else self._under_way.get(scheduled.key)
        if scheduled.key is None or claim is None or claim.scheduled is not scheduled:
            return
        if claim.followers:
            # One after the other, and each keeps the number for those behind it.
            claim.scheduled = claim.followers.popleft()
            self._followers -= 1
            self.put(claim.scheduled)
        else:
            del self._under_way[scheduled.key]
