"""A B2B order within India: many equal boxes, invoices and an appointment.

Its names have no prefixes, unlike those of India's other orders, and its country is "India".
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, ClassVar

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
from clickpost_async.structures._rules import (
    COD_VALUE,
    IDENTITY,
    INVALID,
    CrossRule,
    Rules,
    Severity,
    cross_rule,
)
from clickpost_async.structures._shipment import BLUEDART
from clickpost_async.structures.codes import DeliveryType, OrderType

_MAX_BLUEDART_REFERENCE_LENGTH = 20
_NEEDS_EWAY_BILL = 50_000

_Phone = Annotated[str, NotBlank(), MaxLength(15), Personal()]
_GUIDE = "ClickPost's guide of B2B orders"
_India = Annotated[
    str,
    Pattern.of(
        r"(?i:India|IN)",
        'a B2B order stays within "India"',
        source=_GUIDE,
        severity=Severity.WARNING,
    ),
]


def _missing(structure: Any, *names: str) -> Iterable[Problem]:
    for name in names:
        if getattr(structure, name) is None:
            yield Problem(name, "not given")


def _guide(path: str, text: str) -> Callable[[Callable[[Any], Iterable[Problem]]], CrossRule]:
    """Declare a requirement of the guide alone, which is only warned of."""
    return cross_rule(path, text, source=_GUIDE, severity=Severity.WARNING)


@_guide("organisation, country", "given")
def _names_its_organisation(place: "B2BPlace") -> Iterable[Problem]:
    yield from _missing(place, "organisation", "country")


@_guide("address, city, state, pincode", "given, unless there is a location_code")
def _has_an_address(place: "B2BPlace") -> Iterable[Problem]:
    if place.location_code is None:
        yield from _missing(place, "address", "city", "state", "pincode")


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

    rules: ClassVar[Rules] = (_names_its_organisation, _has_an_address)


@_guide("ewaybill_serial_number", "given from 50,000 rupees on")
def _has_an_eway_bill(invoice: "B2BInvoice") -> Iterable[Problem]:
    if invoice.value is not None and invoice.value >= _NEEDS_EWAY_BILL:
        yield from _missing(invoice, "ewaybill_serial_number")


@frozen(kw_only=True, repr=False)
class B2BInvoice(RequestModel):
    """An invoice of the order; from 50,000 rupees on it has an e-way bill."""

    number: InvoiceNumber
    value: Money | None = None
    date: Date | None = None
    ewaybill_serial_number: Code | None = None
    ewaybill_expiry_date: DateOrTime | None = None

    rules: ClassVar[Rules] = (_has_an_eway_bill,)


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
    # The table of ClickPost's guide has `count`, its sample `sku_count`.
    count: Quantity | None = None
    price: Money | None = None


@_guide("length, breadth, height", "given, or a box_master_code, and not both")
def _is_measured_once(box: "B2BBox") -> Iterable[Problem]:
    sizes = (box.length, box.breadth, box.height)
    if box.box_master_code is None:
        yield from _missing(box, "length", "breadth", "height")
    elif any(size is not None for size in sizes):
        yield Problem("box_master_code", "given together with a size")


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

    rules: ClassVar[Rules] = (_is_measured_once,)


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
    is_too_long = len(shipment.reference_number) > _MAX_BLUEDART_REFERENCE_LENGTH
    if shipment.courier_partner in BLUEDART and is_too_long:
        yield Problem("reference_number", "Bluedart takes at most 20 characters")


@_guide("account_code, invoice_info", "given")
def _names_account_and_invoice(shipment: "B2BShipment") -> Iterable[Problem]:
    yield from _missing(shipment, "account_code", "invoice_info")


@frozen(kw_only=True, repr=False)
class B2BShipment(RequestModel):
    """The shipment: contents, payment and courier; grams and rupees."""

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

    rules: ClassVar[Rules] = (
        _has_a_box,
        _cod_fits_the_order_type,
        _reference_fits_bluedart,
        _names_account_and_invoice,
    )


@frozen(kw_only=True, repr=False)
class B2BAppointment(RequestModel):
    """The slot in which the boxes are delivered."""

    start_time: Time | None = None
    end_time: Time | None = None
    id: str | None = None


@frozen(kw_only=True, repr=False)
class B2BAdditional(RequestModel):
    """How ClickPost processes the order; each option is true by default.

    `is_async` false has it place the order before it responds; not for large orders.
    """

    is_async: bool | None = None
    is_label_required: bool | None = None
    is_box_sticker_required: bool | None = None


@_guide("pickup_info.time", "given")
def _says_when_it_is_picked_up(order: "B2BOrder") -> Iterable[Problem]:
    if order.pickup_info.time is None:
        yield Problem("pickup_info.time", "not given")


@frozen(kw_only=True, repr=False)
class B2BOrder(RequestModel):
    """An order for `POST /v1/create-b2b-order/`."""

    pickup_info: B2BPlace
    drop_info: B2BPlace
    shipment_info: B2BShipment
    appointment_info: B2BAppointment | None = None
    additional_info: B2BAdditional | None = None

    rules: ClassVar[Rules] = (_says_when_it_is_picked_up,)

    @property
    def reference_number(self) -> str:
        """The merchant's own number, by which an order sent again is the same order."""
        return self.shipment_info.reference_number
