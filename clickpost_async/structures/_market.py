"""Chooses between ClickPost's two create-order endpoints by an order's shape."""

import enum
from collections.abc import Iterable, Mapping
from typing import Any


class Market(enum.StrEnum):
    """India's endpoint (v3), or the one for the world and across borders (v4)."""

    INDIA = "india"
    WORLD = "world"


_INDIA_NAMES = frozenset({"pincode", "name", "address", "city", "state", "phone", "country"})
_WORLD_NAMES = frozenset(
    {"country_code", "postal_code", "name", "address", "city", "state", "phone", "time"}
)
_INDIA = frozenset({"IN", "IND", "INDIA"})


def market_of(order: Mapping[str, Any]) -> Market | None:
    """Return the market whose names an order has, by `pickup_info` first, then by `drop_info`.

    India's names repeat the section (`pickup_pincode`), the world's do not (`postal_code`). `None`:
    neither section has a name of either.
    """
    for side in ("pickup", "drop"):
        section = order.get(f"{side}_info")
        names = section.keys() if isinstance(section, Mapping) else frozenset[str]()
        if any(f"{side}_{name}" in names for name in _INDIA_NAMES):
            return Market.INDIA
        if _WORLD_NAMES & names:
            return Market.WORLD
    return None


def is_india(country: str) -> bool:
    """Return whether a country's name or code is India's; case is ignored."""
    return country.strip().upper() in _INDIA


def market_of_countries(countries: Iterable[str]) -> Market:
    """Return the market of an order that is sent between these countries."""
    return Market.INDIA if all(map(is_india, countries)) else Market.WORLD
