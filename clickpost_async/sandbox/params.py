"""Reads payloads of any shape and the parameters of a call, and rejects invalid ones."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import attrs

from clickpost_async.endpoints import CATALOG
from clickpost_async.sandbox.operation import JSON, RefusalError, SandboxRequest
from clickpost_async.sandbox.state import SandboxState
from clickpost_async.sandbox.store.records import Parcel
from clickpost_async.sandbox.world import couriers
from clickpost_async.structures._schema import member_kind, specs

_TRUE = frozenset({"True", "t", "1"})
_FALSE = frozenset({"False", "f", "0"})

_SURROGATE = re.compile(r"[\ud800-\udfff]").search
_LATEST_MOMENT = 253_402_300_799  # 9999-12-31T23:59:59Z


# --- payloads -------------------------------------------------------------------------------------


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


def members(value: object) -> Sequence[JSON]:
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


# --- parameters -----------------------------------------------------------------------------------


def body(call: SandboxRequest, *, status: int = 400) -> JSON:
    """Return the JSON object that was sent, which has the mandatory fields."""
    if not isinstance(call.payload, Mapping):
        raise RefusalError(400, "The request body is not a JSON object")
    required(call.payload, *_mandatory(call.operation), status=status)
    return call.payload


def objects(call: SandboxRequest) -> Sequence[JSON]:
    """Return the list of objects that was sent, one at least, which have the mandatory fields."""
    parts = call.payload
    if not isinstance(parts, list) or not parts or not all(isinstance(p, Mapping) for p in parts):
        raise RefusalError(400, "The request body is not a list of objects")
    for part in parts:
        required(part, *_mandatory(call.operation))
    return parts


@cache
def _mandatory(operation: str) -> Sequence[str]:
    """Return the fields that the client's structure requires.

    Couriers, booleans and sections are left out: they are rejected in ways of their own.
    """
    kind = CATALOG[operation].takes
    return [
        spec.wire
        for spec in specs(member_kind(kind) or kind)
        if spec.required and spec.kind not in (int, bool) and not attrs.has(spec.kind)
    ]


def required(part: JSON, *names: str, status: int = 400) -> None:
    """Reject a call that lacks one of these, or in which one cannot be encoded."""
    missing = [name for name in names if part.get(name) in (None, "")]
    if missing:
        raise RefusalError(status, f"{', '.join(missing)}: mandatory")
    for name in names:
        if not is_text(part[name]):
            raise RefusalError(status, f"{name} is not text")


def is_text(value: object) -> bool:
    """Return whether a value can be encoded as UTF-8, which an unpaired surrogate cannot."""
    return _SURROGATE(str(value)) is None


def printable(value: object) -> str:
    """Return a value as text that can be encoded; nothing for None."""
    return "" if value is None else str(value).encode("utf-8", "replace").decode()


def number(value: object) -> float | None:
    """Read a number, which may be written as text; None if it is none, or is infinite."""
    try:
        found = float(value) if isinstance(value, int | float | str) else math.nan
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) and not isinstance(value, bool) else None


def is_courier(value: object) -> bool:
    """Return whether a value is the id of a courier partner."""
    return isinstance(value, int) and not isinstance(value, bool) and value in couriers.IDS


def courier(value: object) -> int:
    """Return the id of a courier partner, which a query has as digits."""
    found = int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value) else value
    if isinstance(found, int) and is_courier(found):
        return found
    raise RefusalError(302)


def courier_in_body(value: object) -> int:
    """Return the id of a courier partner, which a body has as a number."""
    return courier(None if isinstance(value, str) else value)


def parcel(state: SandboxState, call: SandboxRequest) -> Parcel | None:
    """Return the parcel with the waybill and the courier in a query, which are mandatory."""
    required(call.query, "waybill", "cp_id")
    return state.parcel(call.query["waybill"], courier(call.query["cp_id"]))


def boolean(text: str | None) -> bool | None:
    """Read a boolean as Django's forms do not, but its models do: not in lower case."""
    if text is None:
        return None
    if text not in _TRUE | _FALSE:
        message = f"\N{LEFT DOUBLE QUOTATION MARK}{text}\N{RIGHT DOUBLE QUOTATION MARK} value must"
        raise RefusalError(400, str([f"{message} be either True or False."]))
    return text in _TRUE


def flag(call: SandboxRequest, name: str, default: str | None = None) -> bool:
    """Read a boolean in lower case."""
    value = call.query.get(name, default)
    if value not in ("true", "false"):
        raise RefusalError(400, f"{name} must be true or false")
    return value == "true"


def epoch(call: SandboxRequest, name: str) -> int:
    """Return seconds since the epoch."""
    text = call.query.get(name, "")
    if not re.fullmatch(r"[0-9]{1,12}", text) or int(text) > _LATEST_MOMENT:
        raise RefusalError(400, f"{name} must be in epoch seconds")
    return int(text)


def window(call: SandboxRequest, max_seconds: int) -> tuple[int, int]:
    """Return the time window of a call; one that is too wide gets a 500, as from ClickPost."""
    start, end = epoch(call, "start_date"), epoch(call, "end_date")
    if end - start > max_seconds:
        message = f"(end_date-start_date) diff can not be more than {max_seconds} seconds"
        raise RefusalError(500, message)
    return start, end
