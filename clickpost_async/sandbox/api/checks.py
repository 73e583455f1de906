"""The checks of an order before it reaches a courier, as rows in ClickPost's order.

Fields that are documented in two places are accepted in both, undocumented fields anywhere. What is
mandatory is what the client's structures require, which ClickPost's own examples decide.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import Factory, field, frozen

from clickpost_async.endpoints import CATALOG
from clickpost_async.sandbox import params
from clickpost_async.sandbox.operation import JSON, RefusalError, SandboxRequest
from clickpost_async.sandbox.world import couriers, scenarios
from clickpost_async.structures._schema import FieldSpec, member_kind, specs
from clickpost_async.structures._shipment import BLUEDART

INDIA = "v3"
WORLD = "v4"
B2B = "b2b"
CREATES = {INDIA: "orders.create_india", WORLD: "orders.create_world", B2B: "orders.create_b2b"}

_MANDATORY = "{path} is mandatory"
_EITHER = "shipment_details|additional"
_SIDES = ("pickup", "drop")
_NUMBERS = ("height", "breadth", "length", "weight", "invoice_value")
_MAX_REFERENCE_LENGTH = 100
_MAX_BLUEDART_REFERENCE_LENGTH = 20
_MAX_REASON_LENGTH = 500
_MAX_BOXES = 1000


def _first_invalid(path: str, is_valid: Callable[[Any], bool]) -> Callable[[JSON], int | None]:
    """Return a function that finds the position of the first value that is not valid, if any."""
    head, each, tail = path.partition("[]")
    find, member = params.getter(head), params.getter(tail[1:])
    if not each:
        return lambda payload: None if is_valid(find(payload)) else 0

    def find_in_list(payload: JSON) -> int | None:
        members = find(payload)
        for number, part in enumerate(members if isinstance(members, list) else ()):
            if not is_valid(member(part) if tail else part):
                return number
        return None

    return find_in_list


@frozen
class Check:
    """One check: the code of the rejection when the value at a path is not valid.

    A path is a name, or a section and a name in it; `a|b.name` is the first of `a.name` and
    `b.name` that is present, and what follows `[]` is within each member of a list. `message` is
    appended to ClickPost's own for that code. The check applies to payloads `when` that is true.
    """

    code: int
    path: str
    is_valid: Callable[[Any], bool]
    message: str = ""
    when: Callable[[JSON], bool] | None = None
    first_invalid: Callable[[JSON], int | None] = field(
        init=False,
        default=Factory(lambda it: _first_invalid(it.path, it.is_valid), takes_self=True),
    )


def checked(call: SandboxRequest) -> tuple[str, JSON]:
    """Return the version and the payload of an order, or reject it for the first failed check."""
    [version] = (name for name, create in CREATES.items() if create == call.operation)
    payload = params.body(call)
    for check in CHECKS[version]:
        if check.when is not None and not check.when(payload):
            continue
        number = check.first_invalid(payload)
        if number is not None:
            path = re.sub(r"\|\w+", "", check.path).replace("[]", f"[{number}]")
            raise RefusalError(check.code, detail=check.message.format(path=path))
    return version, payload


# --- predicates -----------------------------------------------------------------------------------


def _is_filled(value: Any) -> bool:
    return value not in (None, "", [], {})


def _is_amount(value: Any) -> bool:
    number = params.number(value)
    return number is not None and number >= 0


def _is_amount_or_blank(value: Any) -> bool:
    return not _is_filled(value) or _is_amount(value)


def _is_paid_as_ordered(shipment: Any) -> bool:
    value = params.number(shipment.get("cod_value") or 0)
    if shipment.get("order_type") == "COD":
        return value is not None and value > 0
    return shipment.get("order_type") != "PREPAID" or value == 0


def _is_reason(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value.strip()) <= _MAX_REASON_LENGTH


def _is_account(value: Any) -> bool:
    # The accounts of the scenarios are rejected with a code of their own.
    scenarios.check_account(value)
    return True


def _is_one_of(*values: object) -> Callable[[Any], bool]:
    return lambda value: value in values


def _matches(pattern: str) -> Callable[[Any], bool]:
    match = re.compile(pattern).fullmatch
    return lambda value: match(str(value)) is not None


def _has(path: str, *values: object) -> Callable[[JSON], bool]:
    find = params.getter(path)
    return lambda payload: find(payload) in values


# --- orders within India and of the world ---------------------------------------------------------


def _sections(shipment: str) -> Sequence[Check]:
    names = ("pickup_info", "drop_info", shipment)
    return (
        *(Check(328, name, lambda part: isinstance(part, Mapping), _MANDATORY) for name in names),
        Check(302, f"{shipment}.courier_partner", params.is_courier),
    )


def _listed(path: str) -> Sequence[Check]:
    message = f"{path.rpartition('.')[2]} must be a list of objects"
    return (
        Check(312, path, lambda value: value not in (None, [])),
        Check(313, path, lambda value: isinstance(value, list), message),
        Check(313, f"{path}[]", lambda member: isinstance(member, Mapping), message),
    )


def _reference(section: str) -> Sequence[Check]:
    path = f"{section}.reference_number"
    is_bluedart = _has(f"{section}.courier_partner", *BLUEDART)
    return (
        _no_longer(path, _MAX_REFERENCE_LENGTH),
        _no_longer(path, _MAX_BLUEDART_REFERENCE_LENGTH, is_bluedart),
        Check(314, path, params.is_text, "reference_number is not text"),
    )


def _no_longer(path: str, max_length: int, when: Callable[[JSON], bool] | None = None) -> Check:
    message = f"reference_number is longer than {max_length} characters"
    return Check(314, path, lambda value: len(str(value)) <= max_length, message, when)


def _required(version: str, path: str, code: int = 328) -> Sequence[Check]:
    """Return a check for every field that the client's structure of an order requires."""
    kind: Any = CATALOG[CREATES[version]].takes
    for name in path.removesuffix("[]").split("."):
        kind = next(spec.kind for spec in specs(kind) if spec.wire == name)
    return [
        Check(code, f"{path}.{spec.wire}", _mandatory(spec), _MANDATORY)
        for spec in specs(member_kind(kind) or kind)
        if spec.required
    ]


def _mandatory(spec: FieldSpec) -> Callable[[Any], bool]:
    return _is_filled if any(spec.check("")) else lambda value: value is not None


def _of_order(version: str, places: Sequence[Check]) -> Sequence[Check]:
    is_rvp = _has(f"{_EITHER}.delivery_type", "RVP")
    amount = "{path} must be a number that is not negative"
    items, account = "shipment_details.items", f"{_EITHER}.account_code"
    courier = "shipment_details.courier_partner"
    return (
        *_sections("shipment_details"),
        Check(351, account, _is_account),
        Check(355, f"{_EITHER}.vendor_code", bool, when=_has(account, scenarios.NEEDS_VENDOR_CODE)),
        Check(307, f"{_EITHER}.order_type", _is_one_of("COD", "PREPAID", "EXCHANGE")),
        Check(308, "additional|shipment_details.priority", _is_one_of(None, "NORMAL", "URGENT")),
        Check(309, f"{_EITHER}.delivery_type", _is_one_of(None, "FORWARD", "RVP")),
        Check(310, f"{_EITHER}.rvp_reason", _is_reason, when=is_rvp),
        Check(311, courier, lambda value: value not in couriers.FORWARD_ONLY, when=is_rvp),
        *_listed(items),
        *_required(version, f"{items}[]", 313),
        *_required(version, "pickup_info"),
        *_required(version, "drop_info"),
        *_required(version, "shipment_details"),
        Check(314, "shipment_details.cod_value", _is_amount_or_blank, amount),
        Check(315, "shipment_details", _is_paid_as_ordered),
        *(Check(314, f"shipment_details.{name}", _is_amount, amount) for name in _NUMBERS),
        *(Check(314, f"{items}[].{name}", _is_amount, amount) for name in ("quantity", "price")),
        *(
            Check(314, f"{items}[].{name}", _is_amount_or_blank, amount)
            for name in ("weight", "additional.weight")
        ),
        *places,
        *_reference("shipment_details"),
    )


_OF_INDIA = [
    check
    for side in _SIDES
    for check in (
        Check(
            314, f"{side}_info.{side}_pincode", _matches(r"[0-9]{6}"), "{path} must be six digits"
        ),
        Check(314, f"{side}_info.{side}_country", _matches(r"(?i:IN|India)"), "{path} must be IN"),
    )
]
_OF_THE_WORLD = [
    Check(314, f"{side}_info.country_code", _matches(r"[A-Za-z]{2}"), "{path} must be two letters")
    for side in _SIDES
]

# --- B2B orders -----------------------------------------------------------------------------------


def _place(section: str) -> Sequence[Check]:
    has_no_code = _has(f"{section}.location_code", None, "")
    always, unless_code = ("name", "phone", "country"), ("address", "city", "state", "pincode")
    needed = {**dict.fromkeys(always), **dict.fromkeys(unless_code, has_no_code)}
    return (
        *(Check(328, f"{section}.{n}", _is_filled, _MANDATORY, when) for n, when in needed.items()),
        Check(314, f"{section}.country", _matches(r"(?i:india|in)"), "{path} must be India"),
    )


def _is_measured(box: Any) -> bool:
    sides = (box.get(name) for name in ("length", "breadth", "height"))
    return bool(box.get("box_master_code")) or all(params.number(side) for side in sides)


def box_count(box: JSON) -> int:
    """Return how many boxes of a kind there are."""
    count = box.get("count")
    return int(params.number(1 if count is None else count) or 0)


_OF_B2B = (
    *_sections("shipment_info"),
    Check(351, "shipment_info.account_code", _is_account),
    Check(307, "shipment_info.order_type", _is_one_of("COD", "PREPAID")),
    Check(309, "shipment_info.delivery_type", _is_one_of("FORWARD", "RVP")),
    Check(315, "shipment_info", _is_paid_as_ordered),
    *_place("pickup_info"),
    *_place("drop_info"),
    *_listed("shipment_info.box_info"),
    Check(313, "shipment_info.box_info[]", _is_measured, "{path} has neither size nor master code"),
    Check(
        314,
        "shipment_info.box_info[]",
        lambda box: 1 <= box_count(box) <= _MAX_BOXES,
        f"{{path}}.count must be from 1 to {_MAX_BOXES}",
    ),
    Check(328, "shipment_info.reference_number", _is_filled, _MANDATORY),
    *_reference("shipment_info"),
)

CHECKS: Mapping[str, Sequence[Check]] = {
    INDIA: _of_order(INDIA, _OF_INDIA),
    WORLD: _of_order(WORLD, _OF_THE_WORLD),
    B2B: _OF_B2B,
}
