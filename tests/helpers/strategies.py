"""Valid orders: one of each kind by hand, and any number made from the annotations.

The annotations are those that the package itself reads, so that a new field or structure is
covered as soon as it is declared.
"""

import copy
import enum
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import cache
from typing import Any, Union, get_args, get_origin

import attrs
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from clickpost_async import structure, structures
from clickpost_async.structures import (
    B2BShipment,
    CartaPorte,
    IndiaOrder,
    IndiaParcel,
    IndiaPickup,
    IndiaShipment,
    Item,
    ReportFilters,
    RequestModel,
    WorldOrder,
    WorldPickup,
    WorldPickupPlace,
    WorldShipment,
)
from clickpost_async.structures._constraints import (
    AtLeast,
    Country,
    Day,
    DayOrMoment,
    GreaterThan,
    InRange,
    MaxLength,
    Moment,
    NotBlank,
    OneOf,
    Pattern,
)
from clickpost_async.structures._schema import FieldSpec, member_kind, specs, undecorate

DROPPED: Any = object()

_INDIA: Mapping[str, Any] = {
    "pickup_info": {
        "pickup_name": "North Warehouse",
        "pickup_address": "12 Ring Road",
        "pickup_city": "Ahmedabad",
        "pickup_state": "Gujarat",
        "pickup_pincode": "380055",
        "pickup_phone": "9000000001",
        "pickup_time": "2026-03-02T10:00:00",
        "pickup_country": "IN",
        "email": "dispatch@example.com",
        "tin": "24TESTS0000A1Z5",
    },
    "drop_info": {
        "drop_name": "Asha Tester",
        "drop_address": "7 Lake View",
        "drop_city": "Pune",
        "drop_state": "Maharashtra",
        "drop_pincode": "411001",
        "drop_phone": "9000000002",
        "drop_country": "IN",
    },
    "shipment_details": {
        "items": [
            {
                "description": "cotton shirt",
                "quantity": 2,
                "price": 450.5,
                "sku": "SHIRT-M",
                "weight": 200,
            }
        ],
        "courier_partner": 4,
        "reference_number": "order-1001",
        "order_type": "COD",
        "cod_value": 901,
        "invoice_value": 901,
        "invoice_date": "2026-03-01",
        "height": 5,
        "breadth": 20,
        "length": 30,
        "weight": 400,
        "account_code": "Delhivery Surface",
        "delivery_type": "FORWARD",
    },
}

_WORLD: Mapping[str, Any] = {
    "pickup_info": {
        "name": "Souk Store",
        "address": "Unit 4, Harbour Street",
        "city": "Dubai",
        "state": "Dubai",
        "postal_code": "",
        "country_code": "AE",
        "phone": "500000001",
        "email": "souk@example.com",
        "time": "2026-03-02T10:00:00",
    },
    "drop_info": {
        "name": "Omar Tester",
        "address": "King Road 18",
        "city": "Riyadh",
        "state": "",
        "postal_code": "12211",
        "country_code": "SA",
        "phone": "500000002",
    },
    "shipment_details": {
        "items": [{"description": "sandals", "quantity": 1, "price": 120, "weight": 500}],
        "courier_partner": 138,
        "reference_number": "world-2001",
        "order_type": "PREPAID",
        "cod_value": 0,
        "invoice_value": 120,
        "invoice_date": "2026-03-01",
        "height": 10,
        "breadth": 20,
        "length": 30,
        "weight": 500,
        "delivery_type": "FORWARD",
        "currency_code": "SAR",
    },
}


def india(changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return a valid order for India, with values changed by path (`drop_info.drop_name`)."""
    return changed(_INDIA, changes or {})


def world(changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return a valid order for the world, with values changed by path."""
    return changed(_WORLD, changes or {})


def changed(payload: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy with values at paths replaced, added, or `DROPPED`."""
    copied = copy.deepcopy(dict(payload))
    for path, value in changes.items():
        *way, last = _parts(path)
        place: Any = copied
        for part in way:
            is_index = isinstance(place, list) and part.isdecimal()
            place = place[int(part)] if is_index else place.setdefault(part, {})
        key: Any = int(last) if isinstance(place, list) and last.isdecimal() else last
        if value is DROPPED:
            del place[key]
        else:
            place[key] = value
    return copied


def _parts(path: str) -> list[str]:
    return re.findall(r"[^.\[\]]+", path)


def warned(payload: Any, kind: type[RequestModel]) -> list[str]:
    """Return the paths of a payload's warnings."""
    return [warning.path for warning in structure(payload, kind).warnings]


# --- every structure ----------------------------------------------------------------------------


def every_sent() -> list[type[RequestModel]]:
    """Return the structures that can be sent, whose rules between fields are known here."""
    return [
        kind
        for kind in (getattr(structures, name) for name in dir(structures))
        if isinstance(kind, type)
        and issubclass(kind, RequestModel)
        and kind is not RequestModel
        and (kind in _MENDS or not kind.rules)
    ]


def every_field() -> list[tuple[type[RequestModel], FieldSpec]]:
    """Return every field of these structures."""
    return [(kind, spec) for kind in every_sent() for spec in specs(kind)]


def parts_of(kind: Any) -> set[type[RequestModel]]:
    """Return a structure and all that it is made of."""
    inner = member_kind(kind) or kind
    if not (isinstance(inner, type) and issubclass(inner, RequestModel)):
        return set()
    return {inner}.union(*(parts_of(spec.kind) for spec in specs(inner)))


def simplest(kind: type[RequestModel]) -> dict[str, Any]:
    """Return the smallest valid payload of a structure."""
    payload = {spec.wire: simple_value(spec.kind, spec.rules) for spec in _needed(kind)}
    return _mended(kind, payload)


_TEXTS = (
    *("a", "9", "110001", "IN", "INR", "true"),
    *("2026-01-31", "2026-01-31T10:00:00", "2026-01-31 10:00:00", "10:45"),
)


def simple_value(kind: Any, rules: tuple[Any, ...] = ()) -> Any:
    """Return the first plain value of a kind that keeps the rules."""
    member = member_kind(kind)
    if member is not None:
        return [simple_value(*undecorate(member))]
    if isinstance(kind, type) and issubclass(kind, RequestModel):
        return simplest(kind)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return next(iter(kind)).value
    if kind is bool:
        return False
    if get_origin(kind) is Mapping:
        return {"a": 1}
    candidates = (1, 0) if kind in (int, float) else (*_TEXTS, *_members(rules))
    return next(value for value in candidates if _keeps(rules, value))


def _members(rules: tuple[Any, ...]) -> list[str]:
    return [str(member) for rule in rules if isinstance(rule, OneOf) for member in rule.kind]


def _keeps(rules: tuple[Any, ...], value: Any) -> bool:
    return all(rule(value) is None for rule in rules)


def _needed(kind: type[RequestModel]) -> list[FieldSpec]:
    """Return the fields without a default, and those that are written even if not given."""
    defaults = {attribute.name: attribute.default for attribute in attrs.fields(kind)}
    return [spec for spec in specs(kind) if defaults[spec.name] is not None]


# --- any number ---------------------------------------------------------------------------------


@cache
def payloads(kind: type[RequestModel]) -> SearchStrategy[dict[str, Any]]:
    """Make valid payloads of a structure."""
    return _payloads(kind)


def made(kind: type[Any]) -> SearchStrategy[Any]:
    """Make valid structures."""
    return payloads(kind).map(lambda payload: structure(payload, kind))


@st.composite
def _payloads(draw: st.DrawFn, kind: type[RequestModel]) -> dict[str, Any]:
    needed = _needed(kind)
    optional = [spec for spec in specs(kind) if spec not in needed]
    chosen = (
        draw(st.lists(st.sampled_from(optional), max_size=6, unique_by=lambda spec: spec.name))
        if optional
        else []
    )
    payload = {spec.wire: draw(values(spec.kind, spec.rules)) for spec in (*needed, *chosen)}
    return _mended(kind, payload)


@cache
def values(kind: Any, rules: tuple[Any, ...] = ()) -> SearchStrategy[Any]:
    """Make valid values of one field."""
    member = member_kind(kind)
    if member is not None:
        return st.lists(values(*undecorate(member)), min_size=1, max_size=2)
    if get_origin(kind) is Union:
        return st.one_of([values(arm, rules) for arm in get_args(kind)])
    if get_origin(kind) is Mapping:
        return st.dictionaries(texts(), texts(), max_size=2)
    if kind is Any:
        return st.one_of(st.none(), st.booleans(), st.integers(), texts(), st.lists(texts()))
    return _plain_values(kind, rules)


def _plain_values(kind: type[Any], rules: tuple[Any, ...]) -> SearchStrategy[Any]:
    if issubclass(kind, RequestModel):
        return payloads(kind)
    if issubclass(kind, enum.Enum):
        return st.sampled_from([member.value for member in kind])
    if kind is bool:
        return st.booleans()
    if kind in (int, float):
        return _numbers(kind, rules)
    return _texts(rules)


def texts(longest: int = 12) -> SearchStrategy[str]:
    """Make any text that ClickPost could take."""
    letters = st.characters(exclude_categories=["Cs"], exclude_characters="\x00")
    return st.text(letters, max_size=min(longest, 12))


def _numbers(kind: type[Any], rules: tuple[Any, ...]) -> SearchStrategy[Any]:
    low, high = 0.0, 1_000_000.0
    for rule in rules:
        match rule:
            case AtLeast(bound) | GreaterThan(bound):
                low = bound
            case InRange(lowest, highest):
                low, high = lowest, highest
    whole = st.integers(int(low), int(high))
    found = whole if kind is int else whole | st.floats(low, high)
    return found.filter(lambda value: _keeps(rules, value))


def _texts(rules: tuple[Any, ...]) -> SearchStrategy[str]:
    if _members(rules) or sum(isinstance(rule, Pattern | Moment) for rule in rules) > 1:
        candidates = (*_TEXTS, *_members(rules))
        return st.sampled_from([text for text in candidates if _keeps(rules, text)])
    found: SearchStrategy[str] = texts()
    longest = 12
    for rule in rules:
        match rule:
            case MaxLength(length):
                longest = min(longest, length)
            case Day():
                found = _days()
            case Moment():
                found = _moments()
            case DayOrMoment():
                found = _days() | _moments()
            case Country():
                found = st.sampled_from(("AE", "DE", "IN", "MX", "US", "XK"))
            case Pattern(matches):
                expression = matches.__self__  # type: ignore[attr-defined]
                found = st.from_regex(expression, fullmatch=True)
            case NotBlank():
                pass
    return found.map(lambda text: text if _timed(rules) else text[:longest]).filter(
        lambda text: _keeps(rules, text)
    )


def _timed(rules: tuple[Any, ...]) -> bool:
    return any(isinstance(rule, Day | Moment | DayOrMoment) for rule in rules)


def _days() -> SearchStrategy[str]:
    return st.dates(date(2000, 1, 1)).map(date.isoformat)


def _moments() -> SearchStrategy[str]:
    zones = st.sampled_from(("", "Z", "+05:30", "+0530", "-03:00"))
    moments = st.datetimes().map(datetime.isoformat)
    return st.tuples(moments, zones).map("".join)


# --- how fields go together ---------------------------------------------------------------------


def _mended(kind: type[RequestModel], payload: dict[str, Any]) -> dict[str, Any]:
    for ancestor, mend in _MENDS.items():
        if issubclass(kind, ancestor):
            mend(payload)
    return payload


def _mend_shipment(shipment: dict[str, Any]) -> None:
    if shipment["order_type"] == "PREPAID":
        shipment["cod_value"] = 0
    else:
        shipment["cod_value"] = shipment.get("cod_value") or 1
    if shipment["courier_partner"] in (5, 28, 129):
        shipment["reference_number"] = shipment["reference_number"][:20]
        shipment["weight"] = max(shipment["weight"], 10)


def _mend_india_shipment(shipment: dict[str, Any]) -> None:
    _mend_shipment(shipment)
    shipment.setdefault("delivery_type", "FORWARD")


def _mend_pickup(pickup: dict[str, Any]) -> None:
    pickup.setdefault("pickup_time", "2026-03-02T10:00:00")
    if not pickup.keys() & {"email", "pickup_email"}:
        pickup["email"] = "dispatch@example.com"


def _mend_world_pickup(pickup: dict[str, Any]) -> None:
    pickup.setdefault("time", "2026-03-02T10:00:00")
    pickup.setdefault("email", "dispatch@example.com")


def _mend_parcel(parcel: dict[str, Any]) -> None:
    parcel.setdefault("item", "shirt")


def _mend_item(item: dict[str, Any]) -> None:
    item.setdefault("weight", 100)


def _mend_carta(carta: dict[str, Any]) -> None:
    if carta["materialPeligroso"]:
        carta["cveMaterialPeligroso"] = "1203"


def _mend_order(order: dict[str, Any]) -> None:
    if order["shipment_details"].get("delivery_type") == "RVP":
        order.setdefault("additional", {}).setdefault("rvp_reason", "does not fit")


def _mend_world_order(order: dict[str, Any]) -> None:
    _mend_order(order)
    if order["shipment_details"]["courier_partner"] == 330:
        order["courier_custom_fields"] = {"payor_fedex_account_number": "123456789"}


def _mend_pickup_place(place: dict[str, Any]) -> None:
    place |= {"start_time": "10:45", "end_time": "18:00"}


def _mend_report_filters(filters: dict[str, Any]) -> None:
    filters |= {
        "updated_at_start_time": "2026-01-31 00:00:00",
        "updated_at_end_time": "2026-01-31 23:59:00",
    }


def _mend_b2b_shipment(shipment: dict[str, Any]) -> None:
    shipment["cod_value"] = 0 if shipment["order_type"] == "PREPAID" else 1
    shipment["reference_number"] = shipment["reference_number"][:20]


_MENDS: Mapping[type[RequestModel], Callable[[dict[str, Any]], None]] = {
    B2BShipment: _mend_b2b_shipment,
    IndiaShipment: _mend_india_shipment,
    WorldShipment: _mend_india_shipment,
    IndiaPickup: _mend_pickup,
    WorldPickup: _mend_world_pickup,
    IndiaParcel: _mend_parcel,
    Item: _mend_item,
    CartaPorte: _mend_carta,
    IndiaOrder: _mend_order,
    WorldOrder: _mend_world_order,
    WorldPickupPlace: _mend_pickup_place,
    ReportFilters: _mend_report_filters,
}
