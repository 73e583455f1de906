"""Read payloads of any shape: their fields, sections and addresses."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from clickpost_async.sandbox.operation import JSON


def get(payload: JSON, path: str) -> Any:
    """Return the value at a path without lists, `None` if there is none."""
    return getter(path)(payload)


@cache
def getter(path: str) -> Callable[[JSON], Any]:
    """Return a function that does so: `a|b.name` is in the first section that has it."""
    sections, _, name = path.rpartition(".")
    if not sections:
        return lambda payload: payload.get(name)
    place, *others = sections.split("|")
    find_elsewhere = getter(f"{'|'.join(others)}.{name}") if others else lambda _: None

    def find(payload: JSON) -> Any:
        part = payload.get(place)
        value = part.get(name) if isinstance(part, dict) else None
        return find_elsewhere(payload) if value is None else value

    return find


def section(payload: JSON, name: str) -> JSON:
    """Return an object inside the payload, empty if there is none."""
    value = payload.get(name)
    return value if isinstance(value, Mapping) else {}


def objects(value: object) -> Sequence[JSON]:
    """Return the objects in a list, none if it is no list."""
    return [part for part in value if isinstance(part, Mapping)] if isinstance(value, list) else []


def address(payload: JSON, side: str) -> JSON:
    """Return an address (pickup, drop or return) with plain names.

    Orders of v3 prefix them, registrations of v2 have some beside the shipment.
    """
    prefix = f"{side}_"
    beside = section(payload, "shipment_info").items()
    found = {name: value for name, value in beside if name.startswith(prefix)}
    found |= section(payload, f"{side}_info")
    return {name.removeprefix(prefix): value for name, value in found.items()}
