"""Request pickups by couriers."""

import re

from attrs import frozen

from clickpost_async.sandbox.api import params
from clickpost_async.sandbox.api.validation import section
from clickpost_async.sandbox.operation import (
    JSON,
    Operation,
    ReceivedCall,
    RefusalError,
    Reply,
    success,
)
from clickpost_async.sandbox.store import notes
from clickpost_async.sandbox.store.notes import NoteStore
from clickpost_async.sandbox.store.parcels import ParcelStore
from clickpost_async.sandbox.world import scenarios
from clickpost_async.sandbox.world.clock import Clock

# The couriers that ClickPost's pages name for pickups.
_OF_INDIA = frozenset({1, 4, 5, 61})
_OF_THE_WORLD = (145, 159)

_INDIA = (
    "pickup_date",
    "pickup_name",
    "pickup_address",
    "pickup_city",
    "pickup_state",
    "pickup_email",
    "pickup_phone",
    "pickup_pincode",
    "items",
)
_WORLD = (
    "date",
    "start_time",
    "end_time",
    "email",
    "phone",
    "name",
    "address",
    "city",
    "country_code",
    "postal_code",
)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?", re.ASCII)


@frozen(kw_only=True)
class Pickups:
    """The chapter of pickups."""

    parcels: ParcelStore
    notes: NoteStore
    clock: Clock

    def operations(self) -> tuple[Operation, ...]:
        """Return this chapter's rows of the table."""
        return (
            Operation("pickups.create_india", "POST", "/v1/create-pickup/", self.create_india),
            Operation("pickups.create_world", "POST", "/v2/create-pickup/", self.create_world),
        )

    async def create_india(self, call: ReceivedCall) -> Reply:
        """Request a pickup within India; few couriers support it."""
        pickup = params.body(call)
        params.required(pickup, *_INDIA)
        if not _TIME.fullmatch(str(pickup["pickup_date"])):
            raise RefusalError(400, "pickup_date must be YYYY-MM-DDTHH:MM:SS")
        if not re.fullmatch(r"[0-9]{6}", str(pickup["pickup_pincode"])):
            raise RefusalError(400, "pickup_pincode must be six digits")
        if params.courier_in_body(pickup.get("courier_partner")) not in _OF_INDIA:
            raise RefusalError(400, "Pickup creation is not supported for this courier partner")
        account_code = str(pickup.get("account_code") or "")
        scenarios.check_account(account_code, vendor_code=True)
        city = re.sub(r"[^A-Z]", "", str(pickup["pickup_city"]).upper())
        return success({"location": city[:5] or "HUB", "confirmation_number": self._number(call)})

    async def create_world(self, call: ReceivedCall) -> Reply:
        """Request a pickup by DHL of a known parcel; errors are a dict of lists."""
        pickup = params.body(call)
        shipment, place = section(pickup, "shipment_details"), section(pickup, "pickup_info")
        _fields(shipment, "awb_number", "account_code", "items")
        _fields(place, *_WORLD)
        courier_partner = shipment.get("courier_partner_id")
        if courier_partner not in _OF_THE_WORLD:
            raise _refusal(f": invalid Courier Partner {courier_partner}")
        parcel = self.parcels.find(params.text(shipment, "awb_number"), courier_partner)
        if parcel is None:
            raise _refusal(f": invalid Waybill {shipment['awb_number']}")
        if parcel.account_code != shipment["account_code"]:
            raise _refusal(f": invalid Account Code {shipment['account_code']}")
        return success({"confirmation_number": f"CBJ{self._number(call):0>12}"})

    def _number(self, call: ReceivedCall) -> str:
        return str(self.notes.add(notes.PICKUP, "", self.clock.now(), params.body(call)).id)


def _fields(part: JSON, *names: str) -> None:
    missing = {name: ["This field is required."] for name in names if part.get(name) in (None, "")}
    if missing:
        raise RefusalError(400, missing)


def _refusal(text: str) -> RefusalError:
    return RefusalError(400, {"non_field_errors": [text]})
