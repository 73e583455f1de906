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
from clickpost_async.structures._base import RequestModel, Rules
from clickpost_async.structures._constraints import (
    Address,
    City,
    Code,
    CountryCode,
    Currency,
    DateOrTime,
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
    PostalCode,
    RvpReason,
    Time,
)
from clickpost_async.structures._marks import Personal, WireName
from clickpost_async.structures.codes import AddressType, DeliveryType, DutyPayer, Level
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
    address_type: AddressType | None = None
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


@frozen(kw_only=True, repr=False)
class WorldPickup(_Place):
    """Where an order starts, and when it can be picked up."""

    email: Email
    time: Time


@frozen(kw_only=True, repr=False)
class WorldShipment(_shipment.Shipment):
    """What is sent, how it is paid and by whom it travels; centimetres and grams."""

    delivery_type: DeliveryType
    currency_code: Currency | None = None

    rules: ClassVar[Rules] = _shipment.Shipment.rules


@frozen(kw_only=True, repr=False)
class TaxInfo(RequestModel):
    """Customs facts; ClickPost's pages differ in the names, so all of them are here."""

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
    """What single couriers want to know."""

    payor_fedex_account_number: str | None = None


@frozen(kw_only=True, repr=False)
class WorldAdditional(RequestModel):
    """The optional rest of an order; `async_` lets ClickPost answer before the courier does."""

    label: bool | None = None
    async_: Annotated[bool, WireName("async")] | None = None
    priority: Level | None = None
    account_code: Code | None = None
    delivery_type: DeliveryType | None = None
    awb_number: Code | None = None
    rvp_reason: RvpReason | None = None
    merchant_order_id: Annotated[str, MaxLength(100), WireName("order_id")] | None = None
    return_info: WorldReturn | None = None
    order_date: DateOrTime | None = None
    estimated_delivery_date: DateOrTime | None = None
    vendor_code: Code | None = None
    invoice_base_64: Annotated[str, Personal()] | None = None
    duty_fee_paid_by: DutyPayer | None = None
    qc_type: str | None = None
    otp_based_delivery: bool | None = None
    insured: bool | None = None
    insurance_amount: Money | None = None
    user_defined_field_array: Sequence[UserDefinedField] | None = None
    custom_fields: Sequence[CustomField] | None = None


def _fedex_knows_who_pays(order: "WorldOrder") -> Iterable[Problem]:
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

    rules: ClassVar[Rules] = (_shipment.rvp_has_a_reason, _fedex_knows_who_pays)

    @property
    def reference_number(self) -> str:
        """The merchant's own number, by which ClickPost recognises a repeated order."""
        return self.shipment_details.reference_number
