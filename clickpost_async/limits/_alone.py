"""The fallback limiter of a process while its shared limiter is unreachable."""

import math
from collections.abc import Callable

# Seconds until a process that got no response asks again: longer and longer, up to the second.
_SOONEST, _LATEST = 0.05, 1.0
# Seconds of calls without a slot that are booked at once.
_MAX_BOOKED = 10.0
# As long as one asks in vain: what that takes is made up for.
_CATCH_UP = 0.05


class FallbackShare:
    """A share of the pace, the pauses, and whether both must be kept without a shared limiter.

    A process that has lost the shared limiter asks again after a second at the latest, and lets no
    call leave in between that is not in its share. When it has found it again, it keeps to its
    share for a little longer than that, since others may not have found it yet: so at no time do
    all of them together go too fast. Without an `interval` its share is not known: no call leaves.
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
        """Return the time, by the clock of the event loop that runs."""
        now = self._clock()
        if now < self._seen:
            # Another event loop, whose clock began elsewhere: what is still to be waited stays.
            ahead = self._seen - now
            self._next -= ahead
            self.held_until -= ahead
            self.ask_at -= ahead
            self._until -= ahead
        self._seen = now
        return now

    def hold(self, until: float) -> None:
        """Let no call leave before that; of overlapping pauses the later end counts."""
        if until > self.held_until:
            self.held_until = until
            self.holds += 1

    def keeps_share(self) -> bool:
        """Return whether calls must keep to the share, though the shared limiter may respond."""
        return self.lost or self._seen < self._until

    def delay(self) -> float:
        """Return how long a pause still is or, where the share is kept, its next call must wait."""
        return max(0.0, self.held_until - self._seen, self._share_begins() - self._seen)

    def _share_begins(self) -> float:
        if not self.keeps_share():
            return -math.inf
        if self.interval is None:
            return math.inf if self.lost else self._until
        return self._next

    def spend(self) -> None:
        """Let one call of the share leave."""
        if self.interval is not None:
            self._next = max(self._next, self._seen - _CATCH_UP) + self.interval
        if self.lost:
            self._spent += 1

    def take_spent(self) -> tuple[int, float]:
        """Return how many calls have left without a slot since the last time, and its age."""
        now = self.now()
        age = min(max(now - self._booked_at, 0.0), _MAX_BOOKED)
        spent, self._spent, self._booked_at = self._spent, 0, now
        return spent, age

    def lose(self) -> bool:
        """Note that the shared limiter does not respond; return whether that is new."""
        was, self.lost = self.lost, True
        self._pause = min(2 * self._pause, _LATEST) if was else _SOONEST
        self.ask_at = self._seen + self._pause
        return not was

    def find(self) -> bool:
        """Note that the shared limiter responds; return whether that is new."""
        was, self.lost = self.lost, False
        if was:
            self._spent = 0
            self.keep_share()
        return was

    def keep_share(self) -> None:
        """Keep to the share until all processes know what has happened."""
        self._until = self._seen + _LATEST * 1.2

    def begin_after(self, line: float) -> None:
        """Let the share begin there, or now if that is past."""
        self._next = max(self._next, self._seen, line)
