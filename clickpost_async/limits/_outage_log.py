"""Logs that the store of a shared rate is unavailable, and that it is back."""

import logging
import math

_log = logging.getLogger("clickpost_async")

# An outage within so many seconds of one that was logged is logged only if it lasts for so many: a
# busy Redis has many short ones.
_QUIET, _LASTING = 60.0, 1.0


class OutageLog:
    """Logs the beginning and the end of outages, of short ones at most one a minute."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lost_at = self._logged_at = -math.inf
        self._is_logged = False

    def begin(self, now: float) -> None:
        """Note that an outage has begun."""
        self._lost_at = now

    def failed(self, now: float, error: object, effect: str) -> None:
        """Note a failed request: what failed, and what that means for this process."""
        lasts = now - self._lost_at >= _LASTING
        if self._is_logged or not (lasts or now - self._logged_at >= _QUIET):
            return
        self._is_logged, self._logged_at = True, now
        _log.warning("%s: Redis unavailable (%s); %s", self._name, error, effect)

    def end(self) -> None:
        """Note that the outage is over."""
        if self._is_logged:
            self._is_logged = False
            _log.warning("%s: Redis is back, and all processes share one rate again", self._name)
