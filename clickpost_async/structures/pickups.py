"""Pickup requests and their confirmations."""

from collections.abc import Iterable, Sequence
from typing import Annotated, ClassVar

from attrs import frozen

from clickpost_async.errors import Problem
from clickpost_async.structures._base import RequestModel, ResponseModel
from clickpost_async.structures._constraints import (
    Address,
    Centimetres,
    City,
    Code,
    CountryCode,
    CourierPartner,
    Date,
    Email,
    Grams,
    India,
    MaxLength,
    Name,
    NotBlank,
    Pattern,
    Phone,
    PhoneCode,
    Pincode,
    Place,
    Reference,
    Time,
    WaybillToSend,
)
from clickpost_async.structures._marks import Personal, WireName
from clickpost_async.structures._rules import (
    DOCUMENT,
    NO_ITEMS,
    Rules,
    Severity,
    Source,
    cross_rule,
)
from clickpost_async.structures.items import Item

_City = Annotated[str, NotBlank(), MaxLength(100)]
_ShortEmail = Annotated[str, NotBlank(), MaxLength(50), Personal()]
_Clock = Annotated[
    str,
    Pattern.of(
        r"([01]\d|2[0-3]):[0-5]\d",
        "a time of day is written HH:MM, like 10:45",
        source=DOCUMENT,
        severity=Severity.WARNING,
    ),
]


@frozen(kw_only=True, repr=False)
class IndiaPickupOrder(RequestModel):
    """A pickup within India: `POST /v1/create-pickup/`.

    ClickPost's guide names Delhivery (4), FedEx (1), Bluedart (5) and XpressBees Cargo (61) as the
    supported couriers; others are not rejected here. `items` is free text, and `pickup_date`
    a point in time.
    """

    pickup_date: Time
    courier_partner: CourierPartner
    items: Annotated[str, NotBlank(), MaxLength(500)]
    pickup_name: Name
    pickup_address: Address
    pickup_city: _City
    pickup_state: _City
    pickup_pincode: Pincode
    pickup_phone: Phone
    pickup_email: _ShortEmail
    pickup_country: India | None = None
    account_code: Code | None = None


@frozen(kw_only=True, repr=False)
class WorldPickupShipment(RequestModel):
    """The parcel that is picked up, and its courier; centimetres and grams."""

    waybill: Annotated[WaybillToSend, WireName("awb_number")]
    courier_partner: Annotated[CourierPartner, WireName("courier_partner_id")]
    account_code: Code
    items: Annotated[Sequence[Item], Source(NO_ITEMS)]
    length: Centimetres
    breadth: Centimetres
    height: Centimetres
    weight: Grams
    reference_number: Reference | None = None


@cross_rule("end_time", "later than start_time", source=DOCUMENT, severity=Severity.WARNING)
def _ends_after_it_starts(place: "WorldPickupPlace") -> Iterable[Problem]:
    if place.end_time <= place.start_time:
        yield Problem("end_time", "must be later on the same day than start_time")


@frozen(kw_only=True, repr=False)
class WorldPickupPlace(RequestModel):
    """The address, day and hours of a pickup."""

    date: Date
    start_time: _Clock
    end_time: _Clock
    name: Name
    address: Address
    city: City
    state: Place
    postal_code: Annotated[str | int, MaxLength(50)]
    country_code: CountryCode
    phone: Phone
    phone_code: PhoneCode
    email: Email

    rules: ClassVar[Rules] = (_ends_after_it_starts,)


@frozen(kw_only=True, repr=False)
class WorldPickupOrder(RequestModel):
    """A pickup outside India: `POST /v2/create-pickup/`, which serves DHL International only."""

    shipment_details: WorldPickupShipment
    pickup_info: WorldPickupPlace

    @property
    def reference_number(self) -> str | None:
        """The merchant's own number, which only shows up in ClickPost's logs here."""
        return self.shipment_details.reference_number


@frozen(kw_only=True, repr=False)
class CreatedPickup(ResponseModel):
    """The courier's confirmation; `location` is its own name of the place."""

    confirmation_number: str | None = None
    location: str | None = None
