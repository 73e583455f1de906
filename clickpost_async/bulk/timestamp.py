"""Points in time that another process can compare, and how much time has passed since one."""

import time
from functools import cache
from pathlib import Path

from attrs import frozen

from clickpost_async._util.clock import boottime

# Only CLOCK_BOOTTIME counts time in suspend, and only with a boot id can it be compared later.
_HAS_BOOTTIME = hasattr(time, "CLOCK_BOOTTIME")


@cache
def boot_id() -> str:
    """Return the id of this boot of the machine; "" where the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


@frozen
class Timestamp:
    """A point in time, by two clocks.

    `wall` is in seconds since the epoch, and may be set. `clock` is in seconds of a clock that
    cannot be set and starts anew with each `boot`; `None` where a journal did not record it.
    """

    wall: float
    clock: float | None
    boot: str

    @classmethod
    def now(cls) -> "Timestamp":
        """Read the clocks."""
        return cls(time.time(), boottime(), boot_id())

    def left_of(self, delay: float, now: "Timestamp") -> float:
        """Return the remaining seconds of a delay that began here.

        All of them where no clock can tell: after a reboot, or where one was set back.
        """
        clock = self._by_clock(now)
        if clock is None:
            return delay
        age = clock if _is_steady(now) else min(clock, now.wall - self.wall)
        return delay if age < 0 else max(0.0, delay - age)

    def is_older_than(self, seconds: float, now: "Timestamp") -> bool:
        """Return whether more seconds have passed since; a time in the future counts as older."""
        clock, wall = self._by_clock(now), now.wall - self.wall
        ages = [wall] if clock is None else [clock] if _is_steady(now) else [clock, wall]
        return min(ages) < 0 or max(ages) > seconds

    def _by_clock(self, now: "Timestamp") -> float | None:
        if self.clock is None or now.clock is None or self.boot != now.boot:
            return None
        return now.clock - self.clock


def _is_steady(now: Timestamp) -> bool:
    """Return whether the clock alone can be trusted: suspends counted, reboots recognised."""
    return _HAS_BOOTTIME and now.boot != ""
