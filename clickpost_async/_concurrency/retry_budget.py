"""How many retries all calls of a client may make together."""

import math

# All calls pause after a 429, so its retries cannot become a storm; each call can afford one.
THROTTLE_PRICE = 0.1
# What the look-up, which is a first attempt itself, brings in.
LOOK_UP_PRICE = 0.1


class RetryBudget:
    """Limits retries to a share of first attempts, so that they cannot overload a failing server.

    Each first attempt deposits `share` of a retry, up to `capacity` retries, and `at_start` retries
    are there from the beginning. It needs no clock: without first attempts there are no retries.
    """

    def __init__(self, share: float = 0.1, capacity: float = 100.0, at_start: float = 10.0) -> None:
        if not 0 < share <= 1:
            message = "share must be above 0, and at most 1"
            raise ValueError(message)
        if not 0 <= at_start <= capacity < math.inf:
            message = "capacity and at_start must be finite numbers, 0 <= at_start <= capacity"
            raise ValueError(message)
        # Counted in first attempts, not in retries: ten times a tenth is less than one in floats.
        self._share = share
        self._capacity = capacity / share
        self._saved = at_start / share

    @property
    def left(self) -> float:
        """Return how many retries could be made now."""
        return self._saved * self._share

    def deposit(self) -> None:
        """Record a first attempt."""
        self._saved = min(self._saved + 1, self._capacity)

    def withdraw(self, price: float = 1.0) -> bool:
        """Withdraw the price of a retry; `False` if the budget is too low for it."""
        cost = price / self._share
        if self._saved < cost:
            return False
        self._saved -= cost
        return True
