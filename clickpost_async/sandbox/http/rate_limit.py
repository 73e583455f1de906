"""The sandbox's rate limit, and a measure of the calls received."""

import bisect
import math
from collections.abc import Sequence

from attrs import define, field, validators

# Sums of fractions of a second are not exact: a microsecond is no offence.
_EXACT = 1e-6


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
