"""The fallback limiter of a process while its shared limiter is unreachable."""

import math
from collections.abc import Callable

# Seconds before the shared limiter is tried again after a failure: doubled up to the second value.
_SOONEST, _LATEST = 0.05, 1.0
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
        self.paused_until = -math.inf
        self.retry_at = -math.inf
        self._until = -math.inf
        self.lost = False
        # How many pauses there were: slots granted before the last one may be void.
        self.pauses = 0
        # How many calls are booked at the shared limiter and not sent yet.
        self._booked = 0

    def now(self) -> float:
        """Return the time of the running event loop's clock."""
        now = self._clock()
        if now < self._seen:
            # Another event loop has another clock: the remaining waits stay the same.
            ahead = self._seen - now
            self._next -= ahead
            self.paused_until -= ahead
            self.retry_at -= ahead
            self._until -= ahead
        self._seen = now
        return now

    def pause(self, until: float) -> None:
        """Pause all calls until then; of overlapping pauses the later end counts."""
        if until > self.paused_until:
            self.paused_until = until
            self.pauses += 1

    def keeps_share(self) -> bool:
        """Return whether calls must keep to the share, though the shared limiter may respond."""
        return self.lost or self._seen < self._until

    def delay(self) -> float:
        """Return how many seconds the next call must wait, for a pause or for the share."""
        return max(0.0, self.paused_until - self._seen, self._share_begins() - self._seen)

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
        self._booked = max(0, self._booked - 1)

    def book_ahead(self, seconds: float) -> int:
        """Return how many calls to book at the shared limiter, for the next `seconds`.

        While it is unreachable from here it may respond to other processes in time, which would use
        the whole rate: so the share of this process is booked there before it is used.
        """
        if not self.lost or self.interval is None:
            self._booked = 0
            return 0
        calls = max(0, math.ceil(seconds / self.interval) - self._booked)
        self._booked += calls
        return calls

    def mark_lost(self) -> bool:
        """Record that the shared limiter does not respond; return whether that is new."""
        was, self.lost = self.lost, True
        self._pause = min(2 * self._pause, _LATEST) if was else _SOONEST
        self.retry_at = self._seen + self._pause
        return not was

    def mark_found(self) -> bool:
        """Record that the shared limiter responds; return whether that is new."""
        was, self.lost = self.lost, False
        if was:
            self.keep_share()
        return was

    def keep_share(self) -> None:
        """Keep to the share until all processes have noticed the change."""
        self._until = self._seen + _LATEST * 1.2

    def begin_after(self, time: float) -> None:
        """Start the share at `time`, or now if that has passed."""
        self._next = max(self._next, self._seen, time)
