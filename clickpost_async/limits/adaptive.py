"""A rate limiter that learns an unknown limit from 429 responses."""

import math
from collections import deque
from collections.abc import Callable

from clickpost_async._concurrency.per_loop import loop_time
from clickpost_async.limits.token_bucket import NoRateLimit

# The rate before the first 429, in calls per second, and what each waiting call adds to it: a
# hundred are sent within 0.4 s, a thousand within 0.8 s. Without a limit, a gather could have as
# many calls rejected as may be in flight.
_OPENING = 100.0
_OPENING_GAIN = 5.0
# Afterwards 2 % more a second, 4 % after ten seconds of use without a 429, 18 % after twenty: slow
# around the learned rate, fast if the limit has changed.
_GAIN = 0.02
_CALM = 10.0
# At the measured rate itself the next 429 would follow at once.
_BELOW = 0.9
_MIN_RATE = 1.0
# Burst after an idle time, in seconds' worth of calls.
_SLACK = 0.1
# 429 responses within a second count as one; the pause gives them time to arrive.
_LESSON = 1.0
_MIN_PAUSE = 0.5
_MARKS = 16


class AdaptiveLimiter(NoRateLimit):
    """Finds an unknown rate limit by raising the rate until there is a 429.

    It starts practically unthrottled. A 429 pauses all calls for as long as the server asks; then
    the rate is a little less than the one that was accepted, but never less than half the rate
    before. From there it grows while it is used, slowly at first. 429 responses within a second
    count as one. The rate never falls below one call per second.

    It needs an occasional 429, and each process learns for itself: if you know the rate, pass it.
    """

    def __init__(self, *, clock: Callable[[], float] = loop_time) -> None:
        super().__init__(clock=clock)
        self._slack = _SLACK
        self._interval = 1 / _OPENING
        # For how long the rate has been used fully since the last 429.
        self._used = 0.0
        self._accepted = 0
        self._refused = 0
        self._refused_at = -math.inf
        self._learned_at = -math.inf
        # Since when a server-side bucket may have filled, and the calls accepted until then.
        self._marks: deque[tuple[float, int]] = deque(maxlen=_MARKS)

    @property
    def rate(self) -> float | None:
        """Return the calls per second, or `None` before the first 429."""
        return None if self._learned_at == -math.inf else 1 / self._interval

    async def pause(self, seconds: float) -> None:
        """Pause all calls for so many seconds, and lower the rate."""
        await super().pause(max(seconds, _MIN_PAUSE))
        if not self._refused:
            self._refused_at = self._seen
        self._refused += 1

    def _spend(self, slack: float) -> None:
        if self._refused:
            self._learn()
        elif self._next > self._seen - self._slack:
            # A rate that was not used fully is not known to be accepted.
            self._used += self._interval
            self._interval = 1 / (1 / self._interval + self._gain)
        if not self._marks or self._seen - self._marks[-1][0] >= 2:
            # The server's bucket may hold a second's worth of calls.
            self._marks.append((self._seen - 1, self._accepted))
        self._accepted += 1
        super()._spend(slack)

    def _learn(self) -> None:
        # They were counted when they were sent.
        self._accepted -= self._refused
        self._refused = 0
        at = self._refused_at
        if at < self._learned_at + _LESSON or not self._marks:
            return
        granted = max((self._accepted - then) / (at - since) for since, then in self._marks)
        least = (self.rate or 0) / 2
        self._interval = 1 / max(granted * _BELOW, least, _MIN_RATE)
        self._learned_at = at
        self._used = 0.0
        # The server responded with 429, so its bucket is empty.
        self._marks.clear()
        self._marks.append((at, self._accepted))

    @property
    def _gain(self) -> float:
        if self.rate is None:
            return _OPENING_GAIN
        return min(_GAIN * (1 + (self._used / _CALM) ** 3), _OPENING_GAIN)

    def _now(self) -> float:
        before = self._seen
        now = super()._now()
        if now < before:
            # Another event loop has another clock.
            self._marks.clear()
            self._refused = 0
            self._learned_at = min(self._learned_at, now - _LESSON)
        return now
