"""What a process may do by itself when it cannot ask, and until all know that they can again."""

import math
from collections.abc import Callable

# So soon one that got no answer asks again, then later and later, up to that.
_SOONEST, _LATEST = 0.05, 1.0
# As long as one asks in vain: what that takes is made up for.
_CATCH_UP = 0.05


class FallbackShare:
    """A share of the pace, the holds, and whether both must be kept without asking anybody.

    Who is lost asks again after a second at the latest, and lets nobody leave in between that is
    not in its share. Who has found back keeps to its share for a little longer than that, since
    others may not have found back yet: so at no time do all of them together go too fast.
    """

    def __init__(self, interval: float, clock: Callable[[], float]) -> None:
        self._interval = interval
        self._pause = _SOONEST
        self._clock = clock
        self._seen = -math.inf
        self._next = -math.inf
        self.held_until = -math.inf
        self.ask_at = -math.inf
        self._until = -math.inf
        self.lost = False
        # How many holds there were: what was told before the last one may not hold any more.
        self.holds = 0

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
        """Let nobody leave before that; of overlapping holds the later end counts."""
        if until > self.held_until:
            self.held_until = until
            self.holds += 1

    def keeps_share(self) -> bool:
        """Tell whether calls must keep to the share, though there may be somebody to ask."""
        return self.lost or self._seen < self._until

    def delay(self) -> float:
        """Return how long a hold still is or, where the share is kept, its next call must wait."""
        own = self._next if self.keeps_share() else -math.inf
        return max(0.0, self.held_until - self._seen, own - self._seen)

    def spend(self) -> None:
        """Let one of the share leave."""
        self._next = max(self._next, self._seen - _CATCH_UP) + self._interval

    def lose(self) -> bool:
        """Note that nobody answers; return whether that is new."""
        was, self.lost = self.lost, True
        self._pause = min(2 * self._pause, _LATEST) if was else _SOONEST
        self.ask_at = self._seen + self._pause
        return not was

    def find(self) -> bool:
        """Note that there is an answer; return whether that is new."""
        was, self.lost = self.lost, False
        if was:
            self.keep_share()
        return was

    def keep_share(self) -> None:
        """Keep to the share until all know what has happened."""
        self._until = self._seen + _LATEST * 1.2

    def begin_after(self, line: float) -> None:
        """Let the share begin there, or now if that is past."""
        self._next = max(self._next, self._seen, line)
