"""Request pickups by couriers."""

import re

from clickpost_async.sandbox import params
from clickpost_async.sandbox.operation import JSON, Operation, RefusalError, SandboxRequest
from clickpost_async.sandbox.state import PICKUP, SandboxState
from clickpost_async.sandbox.world import scenarios

# The couriers that ClickPost's pages name for pickups.
_OF_INDIA = frozenset({1, 4, 5, 61})
_OF_THE_WORLD = (145, 159)

_WORLD = (
    *("date", "start_time", "end_time", "email", "phone"),
    *("name", "address", "city", "country_code", "postal_code"),
)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?", re.ASCII)


@Operation("pickups.create_india")
def create_india(state: SandboxState, call: SandboxRequest) -> JSON:
    """Request a pickup within India; few couriers support it."""
    pickup = params.body(call)
    if not _TIME.fullmatch(str(pickup["pickup_date"])):
        raise RefusalError(400, "pickup_date must be YYYY-MM-DDTHH:MM:SS")
    if not re.fullmatch(r"[0-9]{6}", str(pickup["pickup_pincode"])):
        raise RefusalError(400, "pickup_pincode must be six digits")
    if params.courier_in_body(pickup.get("courier_partner")) not in _OF_INDIA:
        raise RefusalError(400, "Pickup creation is not supported for this courier partner")
    scenarios.check_account(pickup.get("account_code"))
    city = re.sub(r"[^A-Z]", "", str(pickup["pickup_city"]).upper())
    return {"location": city[:5] or "HUB", "confirmation_number": _number(state, pickup)}


@Operation("pickups.create_world")
def create_world(state: SandboxState, call: SandboxRequest) -> JSON:
    """Request a pickup by DHL of a known parcel; errors are a dict of lists."""
    pickup = params.body(call)
    shipment, place = (
        params.section(pickup, "shipment_details"),
        params.section(pickup, "pickup_info"),
    )
    _require(shipment, "awb_number", "account_code", "items")
    _require(place, *_WORLD)
    courier_partner = shipment.get("courier_partner_id")
    if courier_partner not in _OF_THE_WORLD:
        raise _refusal(f": invalid Courier Partner {courier_partner}")
    parcel = state.parcel(params.printable(shipment["awb_number"]), courier_partner)
    if parcel is None:
        raise _refusal(f": invalid Waybill {shipment['awb_number']}")
    if parcel.account_code != shipment["account_code"]:
        raise _refusal(f": invalid Account Code {shipment['account_code']}")
    return {"confirmation_number": f"CBJ{_number(state, pickup):0>12}"}


def _number(state: SandboxState, pickup: JSON) -> str:
    return str(state.add_note(PICKUP, "", pickup).id)


def _require(part: JSON, *names: str) -> None:
    missing = {name: ["This field is required."] for name in names if part.get(name) in (None, "")}
    if missing:
        raise RefusalError(400, missing)


def _refusal(text: str) -> RefusalError:
    return RefusalError(400, {"non_field_errors": [text]})
