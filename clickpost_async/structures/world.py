"""An order for the rest of the world, and across borders (v4).

Where ClickPost takes a field in two places both are here: `rvp_reason`, `account_code`,
`vendor_code`, `order_id` in `shipment_details` or `additional`, `return_info` beside them or in
`additional`.
"""

from collections.abc import Iterable, Sequence
from typing import Annotated, ClassVar

from attrs import frozen

from clickpost_async.errors import Problem
from clickpost_async.structures import _shipment
from clickpost_async.structures._base import RequestModel
from clickpost_async.structures._constraints import (
    Address,
    City,
    Code,
    CountryCode,
    Currency,
    DateOrTime,
    Direction,
    DutyPaidBy,
    Email,
    Landmark,
    Latitude,
    Longitude,
    MaxLength,
    Money,
    Name,
    Phone,
    PhoneCode,
    Place,
    PlaceType,
    PostalCode,
    Priority,
    RvpReason,
    Time,
)
from clickpost_async.structures._marks import Personal, WireName
from clickpost_async.structures._rules import BILLING, DOCUMENT, Rules, Severity, cross_rule
from clickpost_async.structures.items import CustomField, GstInfo, UserDefinedField

# FedEx multi-piece cross-border wants the payer's account (API document, courier_custom_fields).
_FEDEX_CROSS_BORDER = 330


@frozen(kw_only=True, repr=False)
class _Place(RequestModel):
    """An address; state and postal code may be blank where a country has none."""

    name: Name
    address: Address
    city: City
    state: Place
    postal_code: PostalCode
    country_code: CountryCode
    phone: Phone
    lat: Latitude | None = None
    long: Longitude | None = None
    district: Place | None = None
    landmark: Landmark | None = None
    phone_code: PhoneCode | None = None
    address_type: PlaceType | None = None
    organisation: Annotated[str, MaxLength(100)] | None = None
    delivery_instructions: Annotated[str, Personal()] | None = None


@frozen(kw_only=True, repr=False)
class WorldReturn(_Place):
    """Where an undelivered parcel travels back to (RTO)."""

    email: Email | None = None
    time: Time | None = None


@frozen(kw_only=True, repr=False)
class WorldDrop(_Place):
    """Where an order ends, and when it is expected there."""

    email: Email | None = None
    time: Time | None = None


@cross_rule(
    "email",
    "given",
    source=f'{DOCUMENT}: "Mandatory. Email of the pickup contact"',
    severity=Severity.WARNING,
)
def _has_an_email(pickup: "WorldPickup") -> Iterable[Problem]:
    if pickup.email is None:
        yield Problem("email", "not given")


@cross_rule(
    "time",
    "given",
    source=f'{DOCUMENT}: "Mandatory. Time of pickup"',
    severity=Severity.WARNING,
)
def _has_a_time(pickup: "WorldPickup") -> Iterable[Problem]:
    if pickup.time is None:
        yield Problem("time", "not given")


@frozen(kw_only=True, repr=False)
class WorldPickup(_Place):
    """Where an order starts, and when it can be picked up."""

    email: Email | None = None
    time: Time | None = None

    rules: ClassVar[Rules] = (_has_an_email, _has_a_time)


@frozen(kw_only=True, repr=False)
class WorldShipment(_shipment.Shipment):
    """The shipment: contents, payment and courier; centimetres and grams."""

    delivery_type: Direction | None = None
    currency_code: Currency | None = None

    rules: ClassVar[Rules] = _shipment.Shipment.rules


@frozen(kw_only=True, repr=False)
class TaxInfo(RequestModel):
    """Customs data; ClickPost's pages differ in the names, so all of them are here."""

    shipper_tax_id: str | None = None
    consignee_tax_id: str | None = None
    consignee_tax_type: str | None = None
    consignee_tax_type_country_code: str | None = None
    consignee_tax_country_code: str | None = None
    exporter_tax_id: str | None = None
    exporter_tax_type: str | None = None
    exporter_type: str | None = None
    exporter_tax_type_country_code: str | None = None
    exporter_tax_country_code: str | None = None
    lut_bond_number: str | None = None
    shipping_charges: float | str | None = None
    import_duty_vat_charges: float | str | None = None
    tax_paid: bool | None = None
    tax_amount: float | str | None = None


@frozen(kw_only=True, repr=False)
class CourierCustomFields(RequestModel):
    """Fields that only some couriers need."""

    payor_fedex_account_number: str | None = None


@frozen(kw_only=True, repr=False)
class WorldAdditional(RequestModel):
    """The optional rest of an order; with `async_` ClickPost responds before the courier does."""

    label: bool | None = None
    async_: Annotated[bool, WireName("async")] | None = None
    priority: Priority | None = None
    account_code: Code | None = None
    delivery_type: Direction | None = None
    awb_number: Code | None = None
    rvp_reason: RvpReason | None = None
    merchant_order_id: Annotated[Code, WireName("order_id")] | None = None
    return_info: WorldReturn | None = None
    order_date: DateOrTime | None = None
    estimated_delivery_date: DateOrTime | None = None
    vendor_code: Code | None = None
    invoice_base_64: Annotated[str, Personal()] | None = None
    duty_fee_paid_by: DutyPaidBy | None = None
    qc_type: str | None = None
    service_type: str | None = None
    otp_based_delivery: bool | None = None
    insured: bool | None = None
    fareye_store_id: Code | None = None
    fareye_order_type: Code | None = None
    insurance_amount: Money | None = None
    user_defined_field_array: Sequence[UserDefinedField] | None = None
    custom_fields: Sequence[CustomField] | None = None


@cross_rule(
    "courier_custom_fields.payor_fedex_account_number",
    "given for courier 330 (FedEx cross-border)",
    source=BILLING,
)
def _fedex_has_a_payer(order: "WorldOrder") -> Iterable[Problem]:
    if order.shipment_details.courier_partner != _FEDEX_CROSS_BORDER:
        return
    fields = order.courier_custom_fields
    if fields is None or not fields.payor_fedex_account_number:
        yield Problem(
            "courier_custom_fields.payor_fedex_account_number",
            "required field missing: courier 330 (FedEx cross-border) needs the payer's account",
        )


@frozen(kw_only=True, repr=False)
class WorldOrder(RequestModel):
    """An order outside India or across borders: `POST /v4/create-order/`."""

    pickup_info: WorldPickup
    drop_info: WorldDrop
    shipment_details: WorldShipment
    additional: WorldAdditional | None = None
    return_info: WorldReturn | None = None
    tax_info: TaxInfo | None = None
    courier_custom_fields: CourierCustomFields | None = None
    gst_info: GstInfo | None = None

    rules: ClassVar[Rules] = (
        _shipment.has_a_delivery_type,
        _shipment.rvp_has_a_reason,
        _fedex_has_a_payer,
    )

    @property
    def reference_number(self) -> str:
        """The merchant's own number, by which ClickPost recognises an order sent again."""
        return self.shipment_details.reference_number
