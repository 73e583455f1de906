"""A monotonic clock for ages that must hold across event loops and suspends."""

import time

_BOOTTIME: int | None = getattr(time, "CLOCK_BOOTTIME", None)


def boottime() -> float:
    """Return seconds since some beginning, those in suspend included where the system counts them.

    Linux has CLOCK_BOOTTIME; elsewhere it is the monotonic clock, which may stand in suspend.
    """
    return time.monotonic() if _BOOTTIME is None else time.clock_gettime(_BOOTTIME)
