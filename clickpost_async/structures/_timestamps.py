"""Parses ClickPost's timestamps; their zone differs by field, and is seldom written."""

from datetime import UTC, datetime, timedelta, timezone, tzinfo

# Tracking timestamps have no zone and are India's: an update's is five and a half hours after its
# `created_at`, which is marked as UTC.
IST = timezone(timedelta(hours=5, minutes=30), "IST")


def parse_timestamp(text: str | None, zone: tzinfo = UTC) -> datetime | None:
    """Parse a time, in `zone` if it has none of its own; `None` if it is missing or malformed."""
    if text is None:
        return None
    try:
        read = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return read if read.tzinfo is not None else read.replace(tzinfo=zone)
