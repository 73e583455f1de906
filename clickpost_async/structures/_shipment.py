"""What the shipments of India and the world share, and the rules between an order's parts."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, ClassVar

from attrs import frozen

from clickpost_async.errors import Problem
from clickpost_async.structures._base import RequestModel, Rules
from clickpost_async.structures._constraints import (
    Centimetres,
    Code,
    CourierPartner,
    Date,
    Grams,
    InvoiceNumber,
    MaxLength,
    Money,
    Reference,
    RvpReason,
)
from clickpost_async.structures._marks import WireName
from clickpost_async.structures.codes import DeliveryType, OrderType
from clickpost_async.structures.items import Item

# Bluedart, its RVP and its multi-piece partner take short references and no parcel below 10 g
# (ClickPost's order creation guide).
BLUEDART = frozenset({5, 28, 129})


def _items_are_there(shipment: "Shipment") -> Iterable[Problem]:
    if not shipment.items:
        yield Problem("items", "at least one item is needed")


def _cod_fits_the_order_type(shipment: "Shipment") -> Iterable[Problem]:
    if shipment.order_type == OrderType.COD and shipment.cod_value == 0:
        yield Problem("cod_value", "COD needs the amount to collect, above 0")
    if shipment.order_type == OrderType.PREPAID and shipment.cod_value != 0:
        yield Problem("cod_value", "PREPAID needs 0, there is nothing to collect")


def _fits_bluedart(shipment: "Shipment") -> Iterable[Problem]:
    if shipment.courier_partner not in BLUEDART:
        return
    if len(shipment.reference_number) > 20:
        yield Problem("reference_number", "Bluedart takes at most 20 characters")
    if shipment.weight < 10:
        yield Problem("weight", "Bluedart takes parcels of 10 g and more")


@frozen(kw_only=True, repr=False)
class Shipment(RequestModel):
    """What is sent, how it is paid and by whom it travels; centimetres and grams."""

    items: Sequence[Item]
    courier_partner: CourierPartner
    reference_number: Reference
    order_type: OrderType
    cod_value: Money
    invoice_value: Money
    invoice_date: Date
    height: Centimetres
    breadth: Centimetres
    length: Centimetres
    weight: Grams
    account_code: Code | None = None
    invoice_number: InvoiceNumber | None = None
    merchant_order_id: Annotated[str, MaxLength(100), WireName("order_id")] | None = None
    awb_number: Code | None = None
    vendor_code: Code | None = None
    rvp_reason: RvpReason | None = None
    shipment_type: str | None = None
    currency_code: Annotated[str, MaxLength(3)] | None = None
    items_in_shipment: Sequence[Any] | None = None

    rules: ClassVar[Rules] = (_items_are_there, _cod_fits_the_order_type, _fits_bluedart)


def stated_value(order: Any, name: str) -> Any:
    """Return what an order says of a field that ClickPost takes in either of two places."""
    value = getattr(order.shipment_details, name)
    if value is None and order.additional is not None:
        value = getattr(order.additional, name)
    return value


def delivery_type_is_said(order: Any) -> Iterable[Problem]:
    if stated_value(order, "delivery_type") is None:
        yield Problem("shipment_details.delivery_type", "required field missing: FORWARD or RVP")


def rvp_has_a_reason(order: Any) -> Iterable[Problem]:
    if (
        stated_value(order, "delivery_type") == DeliveryType.RVP
        and stated_value(order, "rvp_reason") is None
    ):
        yield Problem(
            "additional.rvp_reason", "RVP needs the customer's reason, at most 500 characters"
        )
