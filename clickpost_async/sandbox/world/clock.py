"""The sandbox's clock, and how ClickPost writes times: differently nearly everywhere."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo

from attrs import define, field

IST = timezone(timedelta(hours=5, minutes=30))

HOUR = 3600
DAY = 24 * HOUR

# 9999-01-01: datetime ends a year later, and some responses have future days.
_END = 253_370_764_800


@define
class Clock:
    """Seconds since the epoch; `tick` moves it ahead, nothing moves it back."""

    source: Callable[[], float] = time.time
    ahead: float = field(default=0.0, init=False)

    def now(self) -> float:
        """Return the sandbox's time."""
        return self.source() + self.ahead

    def tick(self, seconds: float) -> None:
        """Advance the clock by so many seconds."""
        if not seconds >= 0:  # NaN is not either
            raise ValueError("the sandbox's clock only goes forward")
        if self.now() + seconds >= _END:
            raise ValueError("seconds: the sandbox's clock ends with the year 9998")
        self.ahead += seconds


_Writer = Callable[[float], str]


def _writer(zone: tzinfo, form: str) -> _Writer:
    return lambda moment: f"{datetime.fromtimestamp(moment, zone):{form}}"


# A scan's time: India's, without a zone; and the day there.
ist: _Writer = _writer(IST, "%Y-%m-%d %H:%M:%S")
ist_day: _Writer = _writer(IST, "%Y-%m-%d")
# As in tracking webhooks: India's time, with a Z (ClickPost's guide).
stamped_in_ist: _Writer = _writer(IST, "%Y-%m-%dT%H:%M:%SZ")
utc: _Writer = _writer(UTC, "%Y-%m-%d %H:%M:%S")
day: _Writer = _writer(UTC, "%Y-%m-%d")
stamped: _Writer = _writer(UTC, "%Y-%m-%dT%H:%M:%SZ")
exact: _Writer = _writer(UTC, "%Y-%m-%dT%H:%M:%S.%fZ")


def read_utc(text: str, form: str) -> float:
    """Read a time in UTC; raises ValueError."""
    return datetime.strptime(text, form).replace(tzinfo=UTC).timestamp()
