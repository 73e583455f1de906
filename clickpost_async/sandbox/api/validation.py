"""Validation of orders before they reach a courier, in ClickPost's order.

Fields that are documented in two places are accepted in both, undocumented fields anywhere.
"""

import re
from collections.abc import Mapping, Sequence

from attrs import frozen

from clickpost_async.sandbox.api import params
from clickpost_async.sandbox.operation import JSON, ReceivedCall, RefusalError
from clickpost_async.sandbox.world import couriers, scenarios
from clickpost_async.sandbox.world.tracking_codes import ShipmentKind

INDIA = "v3"
WORLD = "v4"

_SECTIONS = ("pickup_info", "drop_info", "shipment_details")

# ClickPost's own examples and what merchants send decide what is mandatory, not its tables: they go
# without `tin`, `account_code`, an item's `weight`, and PREPAID without `cod_value`. A pickup's
# e-mail and time are mandatory by the word of the document only.
_MANDATORY: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    INDIA: {
        "pickup_info": (
            "pickup_name",
            "pickup_address",
            "pickup_city",
            "pickup_state",
            "pickup_pincode",
            "pickup_country",
            "pickup_phone",
        ),
        "drop_info": (
            "drop_name",
            "drop_address",
            "drop_city",
            "drop_state",
            "drop_pincode",
            "drop_country",
            "drop_phone",
        ),
    },
    WORLD: {
        "pickup_info": ("name", "address", "city", "country_code", "phone"),
        "drop_info": ("name", "address", "city", "country_code", "phone"),
    },
}
# Some countries have no states or no postal codes: they are mandatory, but may be blank.
_MAY_BE_BLANK: Mapping[str, tuple[str, ...]] = {INDIA: (), WORLD: ("state", "postal_code")}
_SHIPMENT = ("reference_number", "invoice_value", "invoice_date")
_MEASURES = ("height", "breadth", "length", "weight")
_ITEM = ("description", "quantity", "price")

_LONGEST_REFERENCE = 100
_LONGEST_BLUEDART_REFERENCE = 20
_LONGEST_RVP_REASON = 500


@frozen(kw_only=True)
class Booking:
    """An order that passed the checks, with what the sandbox needs of it."""

    version: str
    body: bytes
    reference_number: str
    courier_partner: int
    account_code: str
    awb_number: str | None
    drop_pincode: str
    wants_label: bool
    kind: ShipmentKind
    order_type: str
    cod_value: float
    origin: str
    asynchronous: bool


def check(call: ReceivedCall, version: str) -> Booking:
    """Return the order in a call, or raise what ClickPost has against it."""
    payload = call.payload
    if not isinstance(payload, Mapping):
        raise RefusalError(400, "The request body is not a JSON object")
    for name in _SECTIONS:
        if not isinstance(payload.get(name), Mapping):
            raise _missing(name)
    pickup, drop, shipment = (section(payload, name) for name in _SECTIONS)
    additional = section(payload, "additional")

    courier_partner = _courier(shipment)
    account_code = str(_either(shipment, additional, "account_code") or "")
    scenarios.check_account(account_code, _either(shipment, additional, "vendor_code"))
    _choices(shipment, additional, courier_partner)
    items = _items(shipment)
    _present(payload, version)
    cod_value = _money(shipment)
    _valid(pickup, drop, shipment, items, version)
    reference = _reference(shipment, courier_partner)

    order_type = str(_either(shipment, additional, "order_type"))
    awb_number = _either(shipment, additional, "awb_number")
    pincode = drop["drop_pincode"] if version == INDIA else drop.get("postal_code")
    return Booking(
        version=version,
        body=call.body,
        reference_number=reference,
        courier_partner=courier_partner,
        account_code=account_code,
        awb_number=str(awb_number) if awb_number else None,
        drop_pincode=str(pincode),
        wants_label=additional.get("label") is not False and not _is_rvp(shipment, additional),
        kind=_kind(shipment, additional),
        order_type=order_type,
        cod_value=cod_value,
        origin=call.origin,
        asynchronous=additional.get("async") is True,
    )


def section(payload: JSON, name: str) -> JSON:
    """Return an object inside the payload, empty if there is none."""
    value = payload.get(name)
    return value if isinstance(value, Mapping) else {}


def items_of(payload: JSON) -> Sequence[JSON]:
    """Return the items of an order that passed the checks."""
    items = section(payload, "shipment_details").get("items")
    return [item for item in items if isinstance(item, Mapping)] if isinstance(items, list) else []


def merchant_order_id(payload: JSON) -> object:
    """Return the merchant's own order id, from any of its places."""
    return _either(section(payload, "shipment_details"), section(payload, "additional"), "order_id")


def _either(shipment: JSON, additional: JSON, name: str) -> object:
    value = shipment.get(name)
    return additional.get(name) if value is None else value


def _missing(path: str) -> RefusalError:
    return RefusalError(328, detail=f"{path} is mandatory")


def _is_rvp(shipment: JSON, additional: JSON) -> bool:
    return _either(shipment, additional, "delivery_type") == "RVP"


def _kind(shipment: JSON, additional: JSON) -> ShipmentKind:
    if _is_rvp(shipment, additional):
        return ShipmentKind.RVP
    exchange = _either(shipment, additional, "order_type") == "EXCHANGE"
    return ShipmentKind.EXCHANGE if exchange else ShipmentKind.FORWARD


def _courier(shipment: JSON) -> int:
    value = shipment.get("courier_partner")
    if not isinstance(value, int) or isinstance(value, bool) or not couriers.exists(value):
        raise RefusalError(302)
    return value


def _choices(shipment: JSON, additional: JSON, courier_partner: int) -> None:
    if _either(shipment, additional, "order_type") not in ("COD", "PREPAID", "EXCHANGE"):
        raise RefusalError(307)
    if _either(additional, shipment, "priority") not in (None, "NORMAL", "URGENT"):
        raise RefusalError(308)
    if _either(shipment, additional, "delivery_type") not in (None, "FORWARD", "RVP"):
        raise RefusalError(309)
    if _is_rvp(shipment, additional):
        reason = _either(shipment, additional, "rvp_reason")
        if not isinstance(reason, str) or not 0 < len(reason.strip()) <= _LONGEST_RVP_REASON:
            raise RefusalError(310)
        if courier_partner in couriers.FORWARD_ONLY:
            raise RefusalError(311)


def _items(shipment: JSON) -> Sequence[JSON]:
    items = shipment.get("items")
    if items is None or items == []:
        raise RefusalError(312)
    if not isinstance(items, list) or not all(isinstance(item, Mapping) for item in items):
        raise RefusalError(313, detail="items must be a list of objects")
    for position, item in enumerate(items):
        for name in _ITEM:
            if _blank(item.get(name)):
                raise RefusalError(313, detail=f"items[{position}].{name} is mandatory")
    return items


def _present(payload: JSON, version: str) -> None:
    for name, mandatory in _MANDATORY[version].items():
        part = section(payload, name)
        for field in mandatory:
            if _blank(part.get(field)):
                raise _missing(f"{name}.{field}")
        for field in _MAY_BE_BLANK[version]:
            if part.get(field) is None:
                raise _missing(f"{name}.{field}")
    shipment = section(payload, "shipment_details")
    for field in (*_SHIPMENT, *_MEASURES):
        if _blank(shipment.get(field)):
            raise _missing(f"shipment_details.{field}")


def _money(shipment: JSON) -> float:
    is_given = not _blank(shipment.get("cod_value"))
    cod_value = _number(shipment, "shipment_details.cod_value") if is_given else 0.0
    if shipment.get("order_type") == "PREPAID" and cod_value != 0:
        raise RefusalError(315)
    if shipment.get("order_type") == "COD" and cod_value == 0:
        raise RefusalError(315)
    return cod_value


def _valid(pickup: JSON, drop: JSON, shipment: JSON, items: Sequence[JSON], version: str) -> None:
    for field in (*_MEASURES, "invoice_value"):
        _number(shipment, f"shipment_details.{field}")
    for position, item in enumerate(items):
        for field in ("quantity", "price"):
            _number(item, f"items[{position}].{field}")
        for part, path in ((item, "items"), (section(item, "additional"), "items.additional")):
            if not _blank(part.get("weight")):
                _number(part, f"{path}[{position}].weight")
    for side, part in (("pickup", pickup), ("drop", drop)):
        if version == INDIA:
            _match(part, side, f"{side}_pincode", r"[0-9]{6}", "six digits")
            _match(part, side, f"{side}_country", r"(?i:IN|India)", "IN")
        else:
            _match(part, side, "country_code", r"[A-Za-z]{2}", "two letters")


def _reference(shipment: JSON, courier_partner: int) -> str:
    reference = str(shipment["reference_number"])
    bluedart = courier_partner in couriers.BLUEDART
    longest = _LONGEST_BLUEDART_REFERENCE if bluedart else _LONGEST_REFERENCE
    if len(reference) > longest:
        raise RefusalError(314, detail=f"reference_number is longer than {longest} characters")
    if any("\ud800" <= letter <= "\udfff" for letter in reference):
        raise RefusalError(314, detail="reference_number is not text")
    return reference


def _blank(value: object) -> bool:
    return value is None or value in ("", [], {})


def _match(part: JSON, side: str, name: str, pattern: str, wanted: str) -> None:
    if re.fullmatch(pattern, str(part.get(name))) is None:
        raise RefusalError(314, detail=f"{side}_info.{name} must be {wanted}")


def _number(part: JSON, path: str) -> float:
    number = params.number(part.get(path.rpartition(".")[2]))
    if number is None or number < 0:
        raise RefusalError(314, detail=f"{path} must be a number that is not negative")
    return number
