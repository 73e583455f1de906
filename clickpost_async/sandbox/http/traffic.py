"""Counts the connections and calls of a sandbox, and limits the rate of calls."""

import bisect
import math
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager

from attrs import define, field, validators

# Sums of fractions of a second are not exact: a microsecond is no offence.
_EXACT = 1e-6


@define
class Traffic:
    """Counters; `overlaps` are creates of a reference that is still being created."""

    calls: int = 0
    in_flight: int = 0
    most_in_flight: int = 0
    connections: int = 0
    open_connections: int = 0
    most_open_connections: int = 0
    overlaps: int = 0
    _references: Counter[str] = field(factory=Counter, init=False, repr=False)

    def connected(self) -> None:
        """Count a connection that opens."""
        self.connections += 1
        self.open_connections += 1
        self.most_open_connections = max(self.most_open_connections, self.open_connections)

    def disconnected(self) -> None:
        """Count a connection that closes."""
        self.open_connections -= 1

    @contextmanager
    def call(self) -> Generator[None, None, None]:
        """Count a call while it is in flight."""
        self.calls += 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            yield
        finally:
            self.in_flight -= 1

    @contextmanager
    def create(self, reference: str) -> Generator[None, None, None]:
        """Count an overlap if this reference, if there is one, is being created already."""
        self.overlaps += bool(reference and self._references[reference])
        self._references[reference] += 1
        try:
            yield
        finally:
            self._references[reference] -= 1
            if not self._references[reference]:
                del self._references[reference]


@define(kw_only=True)
class Limit:
    """Let through at most `burst + rate * t` calls in every window of `t` seconds, not one more."""

    rate: float = field(validator=validators.gt(0))
    burst: int = field(validator=validators.ge(1))
    _due: float = field(default=-math.inf, init=False)

    def wait(self, now: float) -> float:
        """Let a call through and return 0, or return the seconds until one would be."""
        due = max(self._due, now)
        over = due - (self.burst - 1) / self.rate - now
        if over > _EXACT:
            return over
        self._due = due + 1 / self.rate
        return 0.0


def busiest(moments: Sequence[float], seconds: float) -> int:
    """Return the largest number of the ascending moments in any window of that length."""
    return max(
        (bisect.bisect_left(moments, at + seconds) - i for i, at in enumerate(moments)), default=0
    )
