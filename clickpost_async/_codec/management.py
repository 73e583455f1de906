"""Reads the responses of order management."""

from collections.abc import Mapping
from datetime import date
from typing import Any


def without_meta(body: Mapping[str, Any]) -> Any:
    """Read everything beside `meta`: nothing there is documented, or required."""
    return {name: value for name, value in body.items() if name != "meta"}


def days_of(body: Mapping[str, Any]) -> Any:
    """Read counts by day as `days`; what is no day, or no count, is kept unchanged."""
    result = body.get("result") or {}
    if not isinstance(result, Mapping):
        return None
    days: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for key, value in result.items():
        day = _day(key)
        if day is None or not isinstance(value, Mapping | None):
            rest[key] = value
        else:
            days[day] = value or {}
    return {**rest, "days": days}


def _day(text: str) -> str | None:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        return None
