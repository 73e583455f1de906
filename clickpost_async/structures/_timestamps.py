"""Reads the times that ClickPost writes; its zones differ by field, and are seldom said."""

from datetime import UTC, datetime, timedelta, timezone, tzinfo

# Tracking timestamps carry no zone and are India's: an update's lies five and a half hours after
# its `created_at`, which is UTC and says so.
IST = timezone(timedelta(hours=5, minutes=30), "IST")


def parse_timestamp(text: str | None, zone: tzinfo = UTC) -> datetime | None:
    """Read a time; `zone` is its zone if it says none. `None` if there is nothing to be read."""
    if text is None:
        return None
    try:
        read = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return read if read.tzinfo is not None else read.replace(tzinfo=zone)
