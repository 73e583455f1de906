"""Shared by the shipments of India and the world: fields, and cross-field rules."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, ClassVar

from attrs import frozen

from clickpost_async.errors import Problem
from clickpost_async.structures._base import RequestModel
from clickpost_async.structures._constraints import (
    Centimetres,
    Code,
    CourierPartner,
    Date,
    Grams,
    InvoiceNumber,
    MaxLength,
    Money,
    Payment,
    Quantity,
    Reference,
    RvpReason,
)
from clickpost_async.structures._marks import Personal, WireName
from clickpost_async.structures._rules import (
    COD_VALUE,
    DOCUMENT,
    GUIDE,
    IDENTITY,
    NO_ITEMS,
    RVP_REASON,
    Rules,
    Severity,
    Source,
    cross_rule,
)
from clickpost_async.structures.codes import DeliveryType, OrderType
from clickpost_async.structures.items import Item

# Bluedart, its RVP and its multi-piece partner take short references and no parcel below 10 g
# (ClickPost's order creation guide).
BLUEDART = frozenset({5, 28, 129})


@cross_rule("items", "at least one item", source=NO_ITEMS)
def _has_items(shipment: "Shipment") -> Iterable[Problem]:
    if not shipment.items:
        yield Problem("items", "at least one item is needed")


@cross_rule("cod_value", "above 0 for COD, 0 for PREPAID", source=COD_VALUE)
def _cod_value_fits_the_order_type(shipment: "Shipment") -> Iterable[Problem]:
    if shipment.order_type == OrderType.COD and not shipment.cod_value:
        yield Problem("cod_value", "COD needs the amount to collect, above 0")
    if shipment.order_type == OrderType.PREPAID and shipment.cod_value:
        yield Problem("cod_value", "PREPAID needs 0, there is nothing to collect")


@cross_rule(
    "cod_value",
    "given for PREPAID and EXCHANGE too",
    source=f'{DOCUMENT}: "Mandatory. 0 for Prepaid"',
    severity=Severity.WARNING,
)
def _has_a_cod_value(shipment: "Shipment") -> Iterable[Problem]:
    if shipment.cod_value is None and shipment.order_type != OrderType.COD:
        yield Problem("cod_value", "not given; 0 says that nothing is collected")


@cross_rule("reference_number", "at most 20 characters for Bluedart (5, 28, 129)", source=IDENTITY)
def _reference_fits_bluedart(shipment: "Shipment") -> Iterable[Problem]:
    if shipment.courier_partner in BLUEDART and len(shipment.reference_number) > 20:
        yield Problem("reference_number", "Bluedart takes at most 20 characters")


@cross_rule(
    "weight", "10 g and more for Bluedart (5, 28, 129)", source=GUIDE, severity=Severity.WARNING
)
def _weight_fits_bluedart(shipment: "Shipment") -> Iterable[Problem]:
    if shipment.courier_partner in BLUEDART and shipment.weight < 10:
        yield Problem("weight", "Bluedart takes parcels of 10 g and more")


@frozen(kw_only=True, repr=False)
class Shipment(RequestModel):
    """The shipment: contents, payment and courier; centimetres and grams."""

    items: Annotated[Sequence[Item], Source(NO_ITEMS)]
    courier_partner: CourierPartner
    reference_number: Reference
    order_type: Payment
    invoice_value: Money
    invoice_date: Date
    height: Centimetres
    breadth: Centimetres
    length: Centimetres
    weight: Grams
    cod_value: Money | None = None
    cod_currency_code: Annotated[str, MaxLength(3)] | None = None
    account_code: Code | None = None
    invoice_number: InvoiceNumber | None = None
    merchant_order_id: Annotated[Code, WireName("order_id")] | None = None
    awb_number: Code | None = None
    vendor_code: Code | None = None
    rvp_reason: RvpReason | None = None
    shipment_type: str | None = None
    currency_code: Annotated[str, MaxLength(3)] | None = None
    items_in_shipment: Sequence[Any] | None = None
    item_count: Quantity | None = None
    higher_of_dry_weight_and_volumetric_weight: Grams | None = None
    booking_id: Code | None = None
    reseller_name: Annotated[str, MaxLength(100), Personal()] | None = None
    is_fragile: bool | None = None
    is_dangerous: bool | None = None

    rules: ClassVar[Rules] = (
        _has_items,
        _cod_value_fits_the_order_type,
        _has_a_cod_value,
        _reference_fits_bluedart,
        _weight_fits_bluedart,
    )


def stated_value(order: Any, name: str) -> Any:
    """Return the value of a field that ClickPost accepts in either of two places."""
    value = getattr(order.shipment_details, name)
    if value is None and order.additional is not None:
        value = getattr(order.additional, name)
    return value


@cross_rule(
    "shipment_details.delivery_type",
    "given here or in additional",
    source=f'{DOCUMENT}: "Mandatory. FORWARD or RVP"',
    severity=Severity.WARNING,
)
def has_a_delivery_type(order: Any) -> Iterable[Problem]:
    """Warn of an order that is neither FORWARD nor RVP."""
    if stated_value(order, "delivery_type") is None:
        yield Problem("shipment_details.delivery_type", "not given: FORWARD or RVP")


@cross_rule(
    "additional.rvp_reason", "given for RVP, here or in shipment_details", source=RVP_REASON
)
def rvp_has_a_reason(order: Any) -> Iterable[Problem]:
    """Reject a reverse pickup without a reason."""
    if (
        stated_value(order, "delivery_type") == DeliveryType.RVP
        and stated_value(order, "rvp_reason") is None
    ):
        yield Problem(
            "additional.rvp_reason", "RVP needs the customer's reason, at most 500 characters"
        )
