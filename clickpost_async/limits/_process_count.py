"""How many processes share a rate, by the heartbeats that the store has counted."""

from collections import deque

# Seconds between two heartbeats of a process.
HEARTBEAT = 3.0
# The share follows the largest count of so many seconds: a Redis that was emptied counts too few.
_COUNTED = 18.0


class ProcessCount:
    """The number of processes; at least `least`, which is 0 where none was given."""

    def __init__(self, least: int) -> None:
        self._least = least
        self._counts: deque[tuple[float, int]] = deque()
        self._joined_at: float | None = None
        self._is_known = least > 0

    def add(self, count: int, now: float, *, is_prompt: bool) -> int | None:
        """Add a count, and return the number of processes; `None` while it is not known.

        A process that has joined lately may not be counted by all others yet. A count that was not
        `is_prompt` may raise the number, but is not enough to begin with: where a heartbeat takes
        long, those of others may not have arrived.
        """
        self._counts.append((now, count))
        while self._is_outdated(now):
            self._counts.popleft()
        if self._joined_at is None or now < self._joined_at:
            self._joined_at = now
        is_counted = now - self._joined_at >= 2 * HEARTBEAT
        if not (self._least or (is_counted and (is_prompt or self._is_known))):
            return None
        self._is_known = True
        return max(self._least, *(number for _, number in self._counts))

    def _is_outdated(self, now: float) -> bool:
        """Return whether the oldest count is old, and the next one has stood for two heartbeats.

        After an outage the first count may be of a Redis that was emptied, which counts too few.
        """
        oldest = self._counts[0][0]
        # The clock of another event loop may be ahead.
        if oldest > now:
            return True
        return oldest < now - _COUNTED and not now - 2 * HEARTBEAT < self._counts[1][0] <= now
