"""Counts the connections and calls of a sandbox."""

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager

from attrs import define, field


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
