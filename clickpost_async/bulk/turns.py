"""The orders of a run that come up again: later, in the order in which they are due."""

import heapq
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import anyio
from attrs import define, evolve, field

from clickpost_async.bulk.outcome import Outcome, Pending, Unknown
from clickpost_async.bulk.rows import Row
from clickpost_async.errors import Trouble
from clickpost_async.structures import IndiaOrder, WorldOrder

BulkOrder = IndiaOrder | WorldOrder | Mapping[str, Any] | Row

# How often an order is taken up again after all others, where repeats had become too many.
_ROUNDS = 3
_LONGEST_POLL = 300.0


@define
class Turn:
    """An order of the input; what is known of it, if a first round was not the end of it.

    `in_doubt`: an earlier run ended while it was under way; `is_old`: so long ago that it is not
    sent again. `polled` is for how many seconds it has been asked for since ClickPost recorded it.
    """

    position: int
    given: BulkOrder
    rounds: int = 0
    known: Unknown | Pending | None = None
    in_doubt: bool = False
    is_old: bool = False
    polled: float = 0.0
    due: float = 0.0

    def add(self, outcome: Outcome) -> Outcome:
        """Return what this round and the ones before it tell together."""
        self.rounds += 1
        before = self.known
        if before is None:
            return outcome
        unsent = isinstance(outcome, Pending) and outcome.order is None
        # What was in doubt, or recorded, is not unsent because it did not leave once more.
        return evolve(
            before if unsent and not _is_unsent(before) else outcome,
            attempts=before.attempts + outcome.attempts,
            seconds=before.seconds + outcome.seconds,
        )

    def waits(self) -> bool:
        """Tell whether it is to come up at a later time."""
        return self.known is not None

    def wait_for(self, outcome: Outcome, seconds: float) -> None:
        """Come up again in so many seconds."""
        assert isinstance(outcome, Unknown | Pending)  # noqa: S101 - all others are final
        self.known = outcome
        self.due = anyio.current_time() + seconds

    def repeat_wait(self, outcome: Outcome, attempts: int) -> float | None:
        """Return after how many seconds it may be repeated, if only the budget kept it back."""
        if not isinstance(outcome, Unknown | Pending) or outcome.error is None:
            return None
        unaffordable = outcome.error.trouble is Trouble.UNAFFORDABLE
        again = unaffordable and self.rounds < _ROUNDS and outcome.attempts < attempts
        return outcome.error.again_in if again else None

    def poll_wait(self, outcome: Outcome, every: float, longest: float) -> float | None:
        """Return after how many seconds a recorded order is asked for again, ever more slowly."""
        if not isinstance(outcome, Pending) or outcome.order is None:
            return None
        pause = min(every + self.polled / 2, _LONGEST_POLL)
        if self.polled + pause > longest:
            return None
        self.polled += pause
        return pause


def _is_unsent(outcome: Unknown | Pending) -> bool:
    return isinstance(outcome, Pending) and outcome.order is None


@define
class Later:
    """Those that come up again: some as soon as they are due, others behind the whole input."""

    _turns: list[tuple[bool, float, int, Turn]] = field(factory=list, init=False)
    _number: Iterator[int] = field(factory=itertools.count, init=False)

    def __len__(self) -> int:
        return len(self._turns)

    def put(self, turn: Turn, *, behind_all: bool = False) -> None:
        """Keep one for later."""
        heapq.heappush(self._turns, (behind_all, turn.due, next(self._number), turn))

    def due(self) -> Turn | None:
        """Take out one whose time has come."""
        if self._turns:
            behind_all, due, _, turn = self._turns[0]
            if not behind_all and due <= anyio.current_time():
                heapq.heappop(self._turns)
                return turn
        return None

    def take(self) -> Turn | None:
        """Take out the next one, whether its time has come or not."""
        return heapq.heappop(self._turns)[-1] if self._turns else None
