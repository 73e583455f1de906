"""A B2B order within India: many equal boxes, invoices and an appointment.

Its names have no prefixes, unlike those of India's other orders, and its country is "India".
"""

from collections.abc import Iterable, Sequence
from typing import Annotated, ClassVar

from attrs import frozen

from clickpost_async.errors import Problem
from clickpost_async.structures._base import RequestModel
from clickpost_async.structures._constraints import (
    Address,
    Centimetres,
    City,
    Code,
    CourierPartner,
    Date,
    DateOrTime,
    Email,
    Grams,
    InvoiceNumber,
    MaxLength,
    Money,
    Name,
    NotBlank,
    Pattern,
    Pincode,
    Place,
    Quantity,
    Reference,
    Time,
)
from clickpost_async.structures._marks import Personal
from clickpost_async.structures._rules import COD_VALUE, IDENTITY, INVALID, Rules, cross_rule
from clickpost_async.structures._shipment import BLUEDART
from clickpost_async.structures.codes import DeliveryType, OrderType

_LONGEST_BLUEDART_REFERENCE = 20

_Phone = Annotated[str, NotBlank(), MaxLength(15), Personal()]
_India = Annotated[str, Pattern.of(r"(?i:India|IN)", 'a B2B order stays within "India"')]


@frozen(kw_only=True, repr=False)
class B2BPlace(RequestModel):
    """Where boxes are picked up or delivered.

    A `location_code` stands in place of `address`, `city`, `state` and `pincode`. `time` is needed
    at the pickup.
    """

    name: Name
    phone: _Phone
    organisation: Name | None = None
    country: _India | None = None
    address: Address | None = None
    city: City | None = None
    state: Place | None = None
    pincode: Pincode | None = None
    location_code: Code | None = None
    time: Time | None = None
    tin: Code | None = None
    email: Email | None = None


@frozen(kw_only=True, repr=False)
class B2BInvoice(RequestModel):
    """An invoice of the order; from 50,000 rupees on it has an e-way bill."""

    number: InvoiceNumber
    value: Money | None = None
    date: Date | None = None
    ewaybill_serial_number: Code | None = None
    ewaybill_expiry_date: DateOrTime | None = None


@frozen(kw_only=True, repr=False)
class B2BPurchaseOrder(RequestModel):
    """A purchase order that the shipment belongs to."""

    number: Code
    expiry_date: DateOrTime | None = None


@frozen(kw_only=True, repr=False)
class B2BGst(RequestModel):
    """The tax of the order, in rupees."""

    enterprise_gstin: Code | None = None
    consignee_gstin: Code | None = None
    taxable_value: Money | None = None
    gst_total_tax: Money | None = None
    sgst_amount: Money | None = None
    cgst_amount: Money | None = None
    igst_amount: Money | None = None


@frozen(kw_only=True, repr=False)
class B2BProduct(RequestModel):
    """What is in a box, how often, and its price in rupees."""

    sku: Code
    sku_count: Quantity | None = None
    # The table of ClickPost's guide says `count`, its sample `sku_count`.
    count: Quantity | None = None
    price: Money | None = None


@frozen(kw_only=True, repr=False)
class B2BBox(RequestModel):
    """`count` equal boxes; centimetres, or a `box_master_code`, and the grams of one box.

    ClickPost numbers the boxes `reference_number_prefix` + ".001", ".002" …
    """

    count: Quantity | None = None
    length: Centimetres | None = None
    breadth: Centimetres | None = None
    height: Centimetres | None = None
    box_master_code: Code | None = None
    weight: Grams | None = None
    reference_number_prefix: Code | None = None
    description: str | None = None
    invoice_info: Sequence[B2BInvoice] | None = None
    purchase_order_info: Sequence[B2BPurchaseOrder] | None = None
    product_info: Sequence[B2BProduct] | None = None


@cross_rule("box_info", "not empty", source=INVALID)
def _has_a_box(shipment: "B2BShipment") -> Iterable[Problem]:
    if not shipment.box_info:
        yield Problem("box_info", "at least one box is needed")


@cross_rule("cod_value", "above 0 for COD, 0 for PREPAID", source=COD_VALUE)
def _cod_fits_the_order_type(shipment: "B2BShipment") -> Iterable[Problem]:
    if shipment.order_type == OrderType.COD and not shipment.cod_value:
        yield Problem("cod_value", "COD needs the amount to collect, above 0")
    if shipment.order_type == OrderType.PREPAID and shipment.cod_value:
        yield Problem("cod_value", "PREPAID needs 0, there is nothing to collect")


@cross_rule("reference_number", "at most 20 characters for Bluedart (5, 28, 129)", source=IDENTITY)
def _reference_fits_bluedart(shipment: "B2BShipment") -> Iterable[Problem]:
    is_too_long = len(shipment.reference_number) > _LONGEST_BLUEDART_REFERENCE
    if shipment.courier_partner in BLUEDART and is_too_long:
        yield Problem("reference_number", "Bluedart takes at most 20 characters")


@frozen(kw_only=True, repr=False)
class B2BShipment(RequestModel):
    """What is sent, how it is paid and by whom it travels; grams and rupees."""

    reference_number: Reference
    courier_partner: CourierPartner
    order_type: OrderType
    delivery_type: DeliveryType
    box_info: Sequence[B2BBox]
    account_code: Code | None = None
    cod_value: Money | None = None
    weight: Grams | None = None
    invoice_info: Sequence[B2BInvoice] | None = None
    purchase_order_info: Sequence[B2BPurchaseOrder] | None = None
    gst_info: B2BGst | None = None

    rules: ClassVar[Rules] = (_has_a_box, _cod_fits_the_order_type, _reference_fits_bluedart)


@frozen(kw_only=True, repr=False)
class B2BAppointment(RequestModel):
    """The slot in which the boxes are delivered."""

    start_time: Time | None = None
    end_time: Time | None = None
    id: str | None = None


@frozen(kw_only=True, repr=False)
class B2BAdditional(RequestModel):
    """What ClickPost makes of the order: each is true unless said otherwise.

    `is_async` false has it place the order before it responds; not for large orders.
    """

    is_async: bool | None = None
    is_label_required: bool | None = None
    is_box_sticker_required: bool | None = None


@frozen(kw_only=True, repr=False)
class B2BOrder(RequestModel):
    """An order for `POST /v1/create-b2b-order/`."""

    pickup_info: B2BPlace
    drop_info: B2BPlace
    shipment_info: B2BShipment
    appointment_info: B2BAppointment | None = None
    additional_info: B2BAdditional | None = None

    @property
    def reference_number(self) -> str:
        """The merchant's own number, which makes a repeated order the same order."""
        return self.shipment_info.reference_number
