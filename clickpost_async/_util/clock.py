"""A monotonic clock for ages that must hold across event loops and suspends."""

import time

_BOOTTIME: int | None = getattr(time, "CLOCK_BOOTTIME", None)


def boottime() -> float:
    """Return seconds since an arbitrary start, including suspend where the system counts it.

    Linux has CLOCK_BOOTTIME; elsewhere it is the monotonic clock, which may stop in suspend.
    """
    return time.monotonic() if _BOOTTIME is None else time.clock_gettime(_BOOTTIME)
