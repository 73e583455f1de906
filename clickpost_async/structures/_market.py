"""Chooses between ClickPost's two create-order endpoints by an order's shape."""

import enum
from collections.abc import Iterable, Mapping
from typing import Any


class Market(enum.StrEnum):
    """India's endpoint (v3), or the one for the world and across borders (v4)."""

    INDIA = "india"
    WORLD = "world"


_INDIA_NAMES = {
    side: frozenset(
        f"{side}_{name}"
        for name in ("pincode", "name", "address", "city", "state", "phone", "country")
    )
    for side in ("pickup", "drop")
}
_WORLD_NAMES = frozenset(
    {"country_code", "postal_code", "name", "address", "city", "state", "phone", "time"}
)
_INDIA = frozenset({"IN", "IND", "INDIA"})


def market_of(order: Mapping[str, Any]) -> Market | None:
    """Return the market whose names an order has, by `pickup_info` first, then by `drop_info`.

    India's names repeat the section (`pickup_pincode`), the world's do not (`postal_code`). `None`:
    neither section has a name of either.
    """
    for side, names in _INDIA_NAMES.items():
        section = order.get(f"{side}_info")
        if not isinstance(section, Mapping):
            continue
        if not names.isdisjoint(section):
            return Market.INDIA
        if not _WORLD_NAMES.isdisjoint(section):
            return Market.WORLD
    return None


def is_india(country: str) -> bool:
    """Return whether a country's name or code is India's; case is ignored."""
    return country.strip().upper() in _INDIA


def market_of_countries(countries: Iterable[str]) -> Market:
    """Return the market of an order that is sent between these countries."""
    return Market.INDIA if all(map(is_india, countries)) else Market.WORLD
