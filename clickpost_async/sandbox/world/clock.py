"""How ClickPost writes times: differently nearly everywhere."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo

IST = timezone(timedelta(hours=5, minutes=30))

HOUR = 3600
DAY = 24 * HOUR

# The end of the sandbox's clock, 9999-01-01: datetime ends a year later, and some responses have
# future days.
END = 253_370_764_800

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
