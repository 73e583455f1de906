"""The report of a bulk run: its counts."""

import time
from collections.abc import Sequence

from attrs import define, field

from clickpost_async.bulk.outcome import OrderOutcome, Pending, Placed, Rejected, Unknown
from clickpost_async.errors import ClickPostError


@define(kw_only=True)
class Report:
    """Counts of a run so far, and of the whole run at its end.

    Attributes:
        placed: Orders that have a waybill by this run.
        already_placed: Orders whose reference number had a waybill before.
        rejected: Orders that do not exist.
        unknown: Orders that may or may not exist.
        pending: Orders without a waybill yet.
        skipped: Orders that an earlier run had finished; counted by their outcome too.
        missing: Orders of the journal that are no longer in the input.
        changed: Orders that are placed or in doubt, whose rows have changed since they were sent.
        duplicates: Rows that repeat an earlier one of the input, and share its outcome; those of
            placed orders are counted as already placed.
        duplicates_avoided: Orders that an attempt had placed whose response was lost, and that were
            found again instead of being bought twice.
        requests: Attempts to create orders.
        retries: Those that were not an order's first.
        seconds: How long the run has taken.
        slowest: How many seconds the slowest order took.
        halted: The error that would have failed every order, such as a wrong key.
        stopped: Whether `Run.stop` was called.

    """

    placed: int = 0
    already_placed: int = 0
    rejected: int = 0
    unknown: int = 0
    pending: int = 0
    skipped: int = 0
    missing: int = 0
    changed: int = 0
    duplicates: int = 0
    duplicates_avoided: int = 0
    requests: int = 0
    retries: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    halted: ClickPostError | None = None
    stopped: bool = False
    _began: float = field(factory=time.perf_counter, repr=False)

    @property
    def total(self) -> int:
        """How many orders have an outcome."""
        return self.placed + self.already_placed + self.rejected + self.unknown + self.pending

    def count(self, outcome: OrderOutcome) -> None:
        """Count one more outcome."""
        match outcome:
            case Placed(already_placed=True):
                self.already_placed += 1
            case Placed():
                self.placed += 1
            case Rejected():
                self.rejected += 1
            case Unknown():
                self.unknown += 1
            case Pending():
                self.pending += 1
        self.changed += outcome.differs
        self.duplicates += outcome.duplicate_of is not None
        if outcome.recorded:
            self.skipped += 1
        elif outcome.duplicate_of is None:
            self.duplicates_avoided += isinstance(outcome, Placed) and outcome.recovered
            self.requests += outcome.attempts
            self.retries += max(outcome.attempts - 1, 0)
            self.slowest = max(self.slowest, outcome.seconds)
        self.seconds = time.perf_counter() - self._began

    @property
    def title(self) -> str:
        """How many orders there were, and how long they took."""
        return f"{self.total} {_noun(self.total, 'order', 'orders')} in {self.seconds:.1f} s"

    @property
    def counts(self) -> Sequence[tuple[int, str]]:
        """Each count and what it counts; rare ones only where they occurred.

        The first five are those of the outcomes, which add up to `total`.
        """
        counts = [
            (self.placed, "placed"),
            (self.already_placed, "already placed"),
            (self.rejected, "rejected"),
            (self.unknown, "unknown"),
            (self.pending, "pending"),
            (self.requests, _noun(self.requests, "request", "requests")),
            (self.retries, _noun(self.retries, "retry", "retries")),
            (
                self.duplicates_avoided,
                _noun(self.duplicates_avoided, "duplicate avoided", "duplicates avoided"),
            ),
        ]
        rare = [
            (self.skipped, "known from the journal"),
            (self.missing, "in the journal and not in the input"),
            (self.changed, "changed since they were sent, and not sent again"),
            (self.duplicates, "duplicates of earlier rows"),
        ]
        return counts + [count for count in rare if count[0]]

    @property
    def notes(self) -> Sequence[str]:
        """How long the slowest order took, and why the run ended early if it did."""
        notes = [f"slowest {self.slowest:.2f} s"]
        if self.stopped:
            notes.append("stopped")
        if self.halted is not None:
            notes.append(f"halted: {self.halted}")
        return notes

    def __str__(self) -> str:
        counts = [f"{number} {what}" for number, what in self.counts]
        return f"{self.title}: {', '.join([*counts, *self.notes])}"


def _noun(count: int, one: str, many: str) -> str:
    return one if count == 1 else many
