"""The fallback limiter of a process while its shared limiter is unreachable."""

import math
from collections.abc import Callable

# Seconds before the shared limiter is tried again after a failure: doubled up to the second value.
_SOONEST, _LATEST = 0.05, 1.0
# Seconds of calls without a slot that are booked at once.
_MAX_BOOKED = 10.0
# The timeout of a request to the shared limiter: the time it takes is made up for.
_CATCH_UP = 0.05


class FallbackShare:
    """This process's share of the rate, and the pauses, while the shared limiter is unreachable.

    A process that has lost the shared limiter tries it again after a second at the latest, and
    sends calls at its share of the rate meanwhile. After a success it keeps to its share for a
    little longer than a second, since other processes may not have reconnected yet: so the
    processes together never exceed the rate. Without an `interval` the share is not known and no
    call is sent.
    """

    def __init__(self, interval: float | None, clock: Callable[[], float]) -> None:
        self.interval = interval
        self._pause = _SOONEST
        self._clock = clock
        self._seen = -math.inf
        self._next = -math.inf
        self.held_until = -math.inf
        self.ask_at = -math.inf
        self._until = -math.inf
        self.lost = False
        # How many pauses there were: slots granted before the last one may be void.
        self.holds = 0
        self._spent = 0
        self._booked_at = -math.inf

    def now(self) -> float:
        """Return the time of the running event loop's clock."""
        now = self._clock()
        if now < self._seen:
            # Another event loop has another clock: the remaining waits stay the same.
            ahead = self._seen - now
            self._next -= ahead
            self.held_until -= ahead
            self.ask_at -= ahead
            self._until -= ahead
        self._seen = now
        return now

    def hold(self, until: float) -> None:
        """Pause all calls until then; of overlapping pauses the later end counts."""
        if until > self.held_until:
            self.held_until = until
            self.holds += 1

    def keeps_share(self) -> bool:
        """Return whether calls must keep to the share, though the shared limiter may respond."""
        return self.lost or self._seen < self._until

    def delay(self) -> float:
        """Return how many seconds the next call must wait, for a pause or for the share."""
        return max(0.0, self.held_until - self._seen, self._share_begins() - self._seen)

    def _share_begins(self) -> float:
        if not self.keeps_share():
            return -math.inf
        if self.interval is None:
            return math.inf if self.lost else self._until
        return self._next

    def spend(self) -> None:
        """Use one call of the share."""
        if self.interval is not None:
            self._next = max(self._next, self._seen - _CATCH_UP) + self.interval
        if self.lost:
            self._spent += 1

    def take_spent(self) -> tuple[int, float]:
        """Return how many calls were sent without a slot since the last time, and its age."""
        now = self.now()
        age = min(max(now - self._booked_at, 0.0), _MAX_BOOKED)
        spent, self._spent, self._booked_at = self._spent, 0, now
        return spent, age

    def lose(self) -> bool:
        """Record that the shared limiter does not respond; return whether that is new."""
        was, self.lost = self.lost, True
        self._pause = min(2 * self._pause, _LATEST) if was else _SOONEST
        self.ask_at = self._seen + self._pause
        return not was

    def find(self) -> bool:
        """Record that the shared limiter responds; return whether that is new."""
        was, self.lost = self.lost, False
        if was:
            self.keep_share()
        return was

    def keep_share(self) -> None:
        """Keep to the share until all processes have noticed the change."""
        self._until = self._seen + _LATEST * 1.2

    def begin_after(self, line: float) -> None:
        """Start the share at `line`, or now if that has passed."""
        self._next = max(self._next, self._seen, line)
