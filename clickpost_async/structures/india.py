"""An order within India (v3); the fields are those of the API document and ClickPost's guides.

Where ClickPost takes a field in two places or spellings, both are here: `rvp_reason`,
`account_code`, `delivery_type`, `awb_number` and `order_id` in `shipment_details` or `additional`,
the consignor's e-mail as `email` or `pickup_email`.
"""

from collections.abc import Iterable, Sequence
from typing import Annotated, ClassVar

from attrs import frozen

from clickpost_async.errors import Problem
from clickpost_async.structures import _shipment
from clickpost_async.structures._base import RequestModel
from clickpost_async.structures._constraints import (
    Address,
    AlternatePhone,
    City,
    Code,
    CourierPartner,
    DateOrTime,
    Direction,
    Email,
    India,
    InvoiceNumber,
    Landmark,
    Latitude,
    Longitude,
    MaxLength,
    Name,
    OneOf,
    Phone,
    PhoneCode,
    Pincode,
    Place,
    PlaceType,
    RvpReason,
    Time,
)
from clickpost_async.structures._marks import Personal, WireName
from clickpost_async.structures._rules import DOCUMENT, Rules, Severity, cross_rule
from clickpost_async.structures.codes import Level, OrderType
from clickpost_async.structures.items import (
    CustomField,
    FreeForm,
    GstInfo,
    Item,
    Reseller,
    UserDefinedField,
)


@cross_rule(
    "email",
    "given here or in pickup_email",
    source=f'{DOCUMENT}: "Mandatory. Pickup email"',
    severity=Severity.WARNING,
)
def _has_an_email(pickup: "IndiaPickup") -> Iterable[Problem]:
    if pickup.email is None and pickup.pickup_email is None:
        yield Problem("email", "not given (here or in pickup_email)")


@cross_rule(
    "pickup_time",
    "given",
    source=f'{DOCUMENT}: "Mandatory. Time"',
    severity=Severity.WARNING,
)
def _has_a_time(pickup: "IndiaPickup") -> Iterable[Problem]:
    if pickup.pickup_time is None:
        yield Problem("pickup_time", "not given")


@frozen(kw_only=True, repr=False)
class IndiaPickup(RequestModel):
    """Where an order starts: the warehouse, or the customer's door for RVP."""

    pickup_name: Name
    pickup_address: Address
    pickup_city: City
    pickup_state: City
    pickup_pincode: Pincode
    pickup_phone: Phone
    pickup_time: Time | None = None
    pickup_country: India = "IN"
    email: Email | None = None
    pickup_email: Email | None = None
    tin: Annotated[str, MaxLength(100)] | None = None
    pickup_lat: Latitude | None = None
    pickup_long: Longitude | None = None
    pickup_district: Place | None = None
    pickup_landmark: Landmark | None = None
    pickup_organisation: Annotated[str, MaxLength(100)] | None = None
    pickup_address_type: PlaceType | None = None
    pickup_phone_code: PhoneCode | None = None

    rules: ClassVar[Rules] = (_has_an_email, _has_a_time)


@frozen(kw_only=True, repr=False)
class IndiaDrop(RequestModel):
    """Where an order ends: the customer's door, or the warehouse for RVP."""

    drop_name: Name
    drop_address: Address
    drop_city: City
    drop_state: City
    drop_pincode: Pincode
    drop_phone: Phone
    drop_country: India = "IN"
    drop_email: Email | None = None
    drop_alternate_phone: AlternatePhone | None = None
    drop_phone_code: PhoneCode | None = None
    drop_lat: Latitude | None = None
    drop_long: Longitude | None = None
    drop_district: Place | None = None
    drop_landmark: Landmark | None = None
    drop_organisation: Annotated[str, MaxLength(100)] | None = None
    drop_address_type: PlaceType | None = None
    drop_start_time: Time | None = None
    drop_end_time: Time | None = None
    drop_vendor_code: Code | None = None
    location_type: str | None = None
    location_value: Annotated[str, Personal()] | None = None


@frozen(kw_only=True, repr=False)
class IndiaReturn(RequestModel):
    """Where an undelivered parcel travels back to (RTO)."""

    name: Name
    phone: Phone
    address: Address
    city: City
    state: Place
    pincode: Pincode
    country: India = "IN"
    email: Email | None = None
    lat: Latitude | None = None
    long: Longitude | None = None
    district: Place | None = None
    landmark: Landmark | None = None


@frozen(kw_only=True, repr=False)
class IndiaShipment(_shipment.Shipment):
    """The shipment: contents, payment and courier; centimetres and grams."""

    delivery_type: Direction | None = None

    rules: ClassVar[Rules] = _shipment.Shipment.rules


@frozen(kw_only=True, repr=False)
class TransitInfo(RequestModel):
    """Where the second courier of a multi-modal order takes the parcel over."""

    transit_name: Name | None = None
    transit_address: Address | None = None
    transit_city: Place | None = None
    transit_state: Place | None = None
    transit_pincode: Pincode | None = None
    transit_country: Place | None = None
    transit_phone: Phone | None = None
    transit_email: Email | None = None


@frozen(kw_only=True, repr=False)
class MultiModal(RequestModel):
    """The second courier of an order that two couriers carry, one after the other."""

    last_mile_courier_partner: CourierPartner | None = None
    last_mile_pickup_time: str | None = None
    last_mile_order_type: OrderType | None = None
    transit_info: TransitInfo | None = None


@frozen(kw_only=True, repr=False)
class IndiaAdditional(RequestModel):
    """The optional rest of an order; with `async_` ClickPost responds before the courier does."""

    label: bool | None = None
    async_: Annotated[bool, WireName("async")] | None = None
    account_code: Code | None = None
    delivery_type: Direction | None = None
    awb_number: Code | None = None
    rvp_reason: RvpReason | None = None
    merchant_order_id: Annotated[Code, WireName("order_id")] | None = None
    return_info: IndiaReturn | None = None
    reseller_info: Reseller | None = None
    order_date: DateOrTime | None = None
    estimated_delivery_date: DateOrTime | None = None
    min_edd: int | None = None
    max_edd: int | None = None
    vendor_code: Code | None = None
    store_code: Code | None = None
    channel_name: str | None = None
    zone: str | None = None
    gst_number: str | None = None
    is_multi_seller: bool | None = None
    is_fragile: bool | None = None
    is_dangerous: bool | None = None
    insured: bool | None = None
    insurance_amount: float | None = None
    priority: (
        Annotated[Level | str, OneOf(Level, source=DOCUMENT, severity=Severity.WARNING)] | None
    ) = None
    service_type: str | None = None
    multi_modal: MultiModal | None = None
    fareye_store_id: Code | None = None
    fareye_order_type: Code | None = None
    invoice_base_64: Annotated[str, Personal()] | None = None
    invoice_reference: InvoiceNumber | None = None
    inv_url: str | None = None
    enable_whatsapp: bool | None = None
    from_wh: str | None = None
    to_wh: str | None = None
    pickup_type: str | None = None
    otp_based_delivery: bool | None = None
    otp_code: Annotated[str, Personal()] | None = None
    data_validation: bool | None = None
    categories: str | None = None
    customer_id_number: Annotated[str, Personal()] | None = None
    template_category: str | None = None
    template_id: Annotated[str, MaxLength(100)] | None = None
    qc_type: str | None = None
    qc_params: Sequence[str] | None = None
    exchange_rvp_awb: Code | None = None
    exchange_shipment_description: str | None = None
    exchange_address: Address | None = None
    exchange_city: Place | None = None
    exchange_state: Place | None = None
    exchange_pincode: Pincode | None = None
    exchange_country: India | None = None
    user_defined_field_array: Sequence[UserDefinedField] | None = None
    custom_fields: Sequence[CustomField] | None = None


@frozen(kw_only=True, repr=False)
class IndiaOrder(RequestModel):
    """An order picked up and delivered within India: `POST /v3/create-order/`."""

    pickup_info: IndiaPickup
    drop_info: IndiaDrop
    shipment_details: IndiaShipment
    additional: IndiaAdditional | None = None
    gst_info: GstInfo | None = None

    rules: ClassVar[Rules] = (_shipment.has_a_delivery_type, _shipment.rvp_has_a_reason)

    @property
    def reference_number(self) -> str:
        """The merchant's own number, by which ClickPost recognises an order sent again."""
        return self.shipment_details.reference_number


__all__ = [
    "FreeForm",
    "IndiaAdditional",
    "IndiaDrop",
    "IndiaOrder",
    "IndiaPickup",
    "IndiaReturn",
    "IndiaShipment",
    "Item",
]
