"""Responses about orders, and requests to edit and cancel them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Any, ClassVar, Self

from attrs import field, frozen

from clickpost_async.errors import Problem
from clickpost_async.structures._base import ListResponse, RequestModel, ResponseModel
from clickpost_async.structures._constraints import (
    Code,
    CourierPartner,
    Date,
    InvoiceNumber,
    Money,
    NotBlank,
    Pattern,
    Payment,
    Waybill,
    WaybillToSend,
    is_waybill,
)
from clickpost_async.structures._marks import Personal, WireName
from clickpost_async.structures._rules import (
    COD_VALUE,
    COURIER_ID,
    DOCUMENT,
    GUIDE,
    Rules,
    Severity,
    cross_rule,
)
from clickpost_async.structures._timestamps import IST, parse_timestamp
from clickpost_async.structures.codes import OrderType, TrackingCode

_ALREADY_PLACED = 323
_PENDING = frozenset({102, 202})


@frozen(kw_only=True, repr=False)
class ChildItem(ResponseModel):
    """The carton behind a child waybill: ClickPost echoes the item of the order."""

    description: str | None = None
    sku: str | None = None
    quantity: float | None = None
    price: float | None = None
    weight: float | None = None
    length: float | None = None
    breadth: float | None = None
    height: float | None = None
    hs_code: str | None = None
    hsn_code: str | None = None
    inbound_hs_code: str | None = None
    cat: str | None = None
    sub_category: str | None = None
    brand: str | None = None
    color: str | None = None
    size: str | None = None
    ean: str | None = None
    imei: str | None = None
    manufacture_country: str | None = None
    manufacture_country_code: str | None = None
    product_id: str | None = None
    variant_id: str | None = None
    product_url: str | None = None
    images: str | None = None
    image_urls: Sequence[str] | None = None
    return_days: int | None = None
    exchange_days: int | None = None
    return_reason: str | None = None
    special_instructions: str | None = None
    final_amount_paid: str | None = None
    store_credits_used: str | None = None
    gst_info: Mapping[str, Any] | None = None
    carta_porte: Mapping[str, Any] | None = None
    additional: Mapping[str, Any] | None = None
    waybill: Waybill | None = None


@frozen(kw_only=True, repr=False)
class ChildShipment(ResponseModel):
    """One piece of a multi-piece order."""

    waybill: Waybill | None = None
    reference_number: str | None = None
    label: Annotated[str | None, Personal()] = None
    item: ChildItem | None = None
    destination_area: Annotated[str | None, WireName("DestinationArea")] = None
    destination_location: Annotated[str | None, WireName("DestinationLocation")] = None


@frozen(kw_only=True, repr=False)
class Order(ResponseModel):
    """An order as ClickPost returns it.

    `waybill` is the courier's number (of the master piece, where there are `children`); what cannot
    be one, such as "None" or 1.5e+20, is not taken, and stays in `extra`. `order_id` and
    `tracking_id` are ClickPost's own; the merchant's is returned as `merchant_order_id`. `label` is
    a URL that may expire after a week, or `None`: no label was requested, it is not ready, or the
    parcel is a reverse pickup.
    """

    waybill: Waybill | None = None
    reference_number: str | None = None
    label: Annotated[str | None, Personal()] = None
    courier_partner: Annotated[
        int | None, WireName("courier_partner_id", also=("courier_partner",))
    ] = None
    courier_name: str | None = None
    account_code: str | None = None
    sort_code: str | None = None
    security_key: Annotated[str | None, Personal()] = None
    commercial_invoice_url: Annotated[str | None, Personal()] = None
    order_id: int | None = None
    tracking_id: int | None = None
    merchant_order_id: str | None = None
    children: Sequence[ChildShipment] = ()
    token_number: str | None = None
    destination_area: Annotated[str | None, WireName("DestinationArea")] = None
    destination_location: Annotated[str | None, WireName("DestinationLocation")] = None
    second_waybill: Annotated[Waybill | None, WireName("waybill1")] = None
    second_label: Annotated[str | None, WireName("label1"), Personal()] = None

    @property
    def pending(self) -> bool:
        """Whether ClickPost has recorded the order but the courier has not booked it yet."""
        return self.response.status in _PENDING

    @property
    def own_reference(self) -> str | None:
        """Its reference number."""
        return self.reference_number


@frozen(kw_only=True, repr=False)
class CreatedOrder(Order):
    """The response to a create call."""

    essential = "waybill"

    @property
    def incomplete(self) -> bool:
        """Whether the response reports success but contains no waybill."""
        return not self.pending and not is_waybill(self.waybill)

    @property
    def already_placed(self) -> bool:
        """Whether this reference number had an order before; it is returned then."""
        return self.response.status == _ALREADY_PLACED


@frozen(kw_only=True, repr=False)
class FetchedOrder(Order):
    """The response to a look-up by waybill or reference number."""


# `edit_order_service` of the e-way bill, the only one in ClickPost's reference.
_EWAY_BILL = 2

_EWAY_BILL_FIELDS = (
    "ewaybill_serial_number",
    "invoice_number",
    "invoice_date",
    "edit_order_service",
)


def _stated(edit: "OrderEdit", name: str) -> Any:
    """Return the value of a field of an edit, which `shipment_details` may have instead."""
    value = getattr(edit, name)
    return getattr(edit.shipment_details, name, None) if value is None else value


@cross_rule("courier_partner", "given here or in shipment_details", source=COURIER_ID)
def _has_a_courier(edit: "OrderEdit") -> Iterable[Problem]:
    if _stated(edit, "courier_partner") is None:
        yield Problem("courier_partner", "required field missing")


@cross_rule("cod_value", "above 0 for COD, none for PREPAID", source=COD_VALUE)
def _cod_value_fits_the_order_type(edit: "OrderEdit") -> Iterable[Problem]:
    order_type, cod_value = _stated(edit, "order_type"), _stated(edit, "cod_value")
    if order_type is OrderType.COD and not cod_value:
        yield Problem("cod_value", "an amount above 0 is needed for COD")
    if order_type is OrderType.PREPAID and cod_value:
        yield Problem("cod_value", "nothing is collected for PREPAID")


@cross_rule(
    "order_type", "COD or PREPAID, given with cod_value", source=GUIDE, severity=Severity.WARNING
)
def _changes_the_payment(edit: "OrderEdit") -> Iterable[Problem]:
    order_type = _stated(edit, "order_type")
    if order_type is OrderType.EXCHANGE:
        yield Problem("order_type", "an order is edited to COD or to PREPAID")
    if order_type is None and _stated(edit, "cod_value"):
        yield Problem("order_type", "not given with cod_value: COD")


@cross_rule(
    "ewaybill_serial_number",
    "given together with invoice_number, invoice_date and edit_order_service",
    source=GUIDE,
    severity=Severity.WARNING,
)
def _eway_bill_is_complete(edit: "OrderEdit") -> Iterable[Problem]:
    missing = [name for name in _EWAY_BILL_FIELDS if getattr(edit, name) is None]
    if len(missing) < len(_EWAY_BILL_FIELDS):
        for name in missing:
            yield Problem(name, "an e-way bill needs this too")


@cross_rule("", "something is changed", source="an edit without a change is reported as accepted")
def _changes_something(edit: "OrderEdit") -> Iterable[Problem]:
    names = ("order_type", "cod_value", "qc_type", "sku", *_EWAY_BILL_FIELDS)
    stated = edit.shipment_details is not None or any(
        getattr(edit, name) is not None for name in names
    )
    if not stated and not (edit.extra or edit.original.get("qc_type", 0) is None):
        yield Problem("", "nothing is edited; give order_type, qc_type or ewaybill_serial_number")


@frozen(kw_only=True, repr=False)
class OrderEditDetails(RequestModel):
    """The change of an order's payment, as ClickPost's documentation of 2020 nests it."""

    courier_partner: CourierPartner | None = None
    order_type: Payment | None = None
    cod_value: Money | None = None


@frozen(kw_only=True, repr=False)
class OrderEdit(RequestModel):
    """A change to an order that is not out for delivery yet; only some couriers accept one.

    ClickPost documents four: to PREPAID, to COD with its `cod_value` in rupees, a quality check at
    the door (`qc_type`, of one `sku` or of all), and an e-way bill. `courier_partner`, `order_type`
    and `cod_value` may be in `shipment_details` instead.
    """

    waybill: Annotated[WaybillToSend, WireName("awb_number")]
    courier_partner: CourierPartner | None = None
    shipment_details: OrderEditDetails | None = None
    order_type: Payment | None = None
    cod_value: Money | None = None
    qc_type: (
        Annotated[
            str,
            Pattern.of(
                "doorstep",
                'the only quality check is "doorstep"',
                source=DOCUMENT,
                severity=Severity.WARNING,
            ),
        ]
        | None
    ) = None
    sku: Code | None = None
    ewaybill_serial_number: Annotated[Code, NotBlank()] | None = None
    invoice_number: Annotated[InvoiceNumber, NotBlank()] | None = None
    invoice_date: Date | None = None
    edit_order_service: (
        Annotated[
            int,
            Pattern.of(
                str(_EWAY_BILL),
                "the service of an e-way bill is 2",
                source=GUIDE,
                severity=Severity.WARNING,
            ),
        ]
        | None
    ) = None

    @classmethod
    def to_prepaid(cls, waybill: str, *, courier_partner: int) -> Self:
        """Make an edit to PREPAID: nothing is collected on delivery.

        Args:
            waybill: The courier's number of the parcel.
            courier_partner: The courier's id in ClickPost.

        Returns:
            The edit.

        """
        return cls(waybill=waybill, courier_partner=courier_partner, order_type=OrderType.PREPAID)

    @classmethod
    def to_cod(cls, waybill: str, *, courier_partner: int, cod_value: float) -> Self:
        """Make an edit to COD.

        Args:
            waybill: The courier's number of the parcel.
            courier_partner: The courier's id in ClickPost.
            cod_value: What is collected on delivery, in rupees.

        Returns:
            The edit.

        """
        return cls(
            waybill=waybill,
            courier_partner=courier_partner,
            order_type=OrderType.COD,
            cod_value=cod_value,
        )

    @classmethod
    def with_quality_check(
        cls, waybill: str, *, courier_partner: int, sku: str | None = None
    ) -> Self:
        """Make an edit after which items are checked at pickup.

        Args:
            waybill: The courier's number of the parcel.
            courier_partner: The courier's id in ClickPost.
            sku: The only item that is checked; `None` is all.

        Returns:
            The edit.

        """
        return cls(waybill=waybill, courier_partner=courier_partner, qc_type="doorstep", sku=sku)

    @classmethod
    def without_quality_check(
        cls, waybill: str, *, courier_partner: int, sku: str | None = None
    ) -> Self:
        """Make an edit after which items are not checked at pickup.

        ClickPost needs an explicit null for that.

        Args:
            waybill: The courier's number of the parcel.
            courier_partner: The courier's id in ClickPost.
            sku: The only item that is meant; `None` is all.

        Returns:
            The edit.

        """
        return cls(
            waybill=waybill, courier_partner=courier_partner, sku=sku, original={"qc_type": None}
        )

    @classmethod
    def with_eway_bill(
        cls,
        waybill: str,
        *,
        courier_partner: int,
        ewaybill_serial_number: str,
        invoice_number: str,
        invoice_date: date,
    ) -> Self:
        """Make an edit that adds an e-way bill to a parcel.

        Args:
            waybill: The courier's number of the parcel.
            courier_partner: The courier's id in ClickPost.
            ewaybill_serial_number: The number of the e-way bill.
            invoice_number: The number of the invoice that it belongs to.
            invoice_date: The date of the invoice.

        Returns:
            The edit.

        """
        return cls(
            waybill=waybill,
            courier_partner=courier_partner,
            ewaybill_serial_number=ewaybill_serial_number,
            invoice_number=invoice_number,
            invoice_date=invoice_date.isoformat(),
            edit_order_service=_EWAY_BILL,
        )

    rules: ClassVar[Rules] = (
        _has_a_courier,
        _cod_value_fits_the_order_type,
        _changes_the_payment,
        _eway_bill_is_complete,
        _changes_something,
    )


@frozen(kw_only=True, repr=False)
class EditedOrder(ResponseModel):
    """ClickPost has accepted the edit; its message is in `response.message`."""


_ALREADY_CANCELLED = 600
_CANCELLED = frozenset({200, _ALREADY_CANCELLED})
_CANCELLATION_PENDING = 202


@frozen(kw_only=True, repr=False)
class CancelledOrder(ResponseModel):
    """The result of a cancellation."""

    @property
    def cancelled(self) -> bool:
        """Whether the courier has cancelled it, by this call or an earlier one."""
        return self.response.status in _CANCELLED

    @property
    def pending(self) -> bool:
        """Whether it was only requested; the courier decides later."""
        return self.response.status == _CANCELLATION_PENDING

    @property
    def already_cancelled(self) -> bool:
        """Whether ClickPost reports that it was cancelled before.

        Some couriers' first cancellations get this response too, so it does not show who was first.
        """
        return self.response.status == _ALREADY_CANCELLED


@frozen(kw_only=True, repr=False)
class UpdatedOrder(ResponseModel):
    """The newest scan of an order, as ClickPost has it."""

    waybill: Annotated[Waybill | None, WireName("waybill", also=("awb",))] = None
    courier_partner: Annotated[
        int | None, WireName("courier_partner", also=("carrier_partner", "cp_id"))
    ] = None
    account_code: str | None = None
    reference_number: str | None = None
    order_id: str | None = None
    channel_name: str | None = None
    clickpost_status_code: TrackingCode | int | None = None
    clickpost_status_description: str | None = None
    clickpost_city: str | None = None
    status: str | None = None
    remark: str | None = None
    location: str | None = None
    timestamp: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    customer_feedback_present: bool | None = None

    @property
    def scanned(self) -> datetime | None:
        """When the courier scanned the parcel, its `timestamp`, which is India's time."""
        return parse_timestamp(self.timestamp, IST)

    @property
    def created(self) -> datetime | None:
        """When ClickPost received the order."""
        return parse_timestamp(self.created_at)

    @property
    def updated(self) -> datetime | None:
        """When ClickPost received this scan."""
        return parse_timestamp(self.updated_at)


@frozen(kw_only=True, repr=False)
class UpdatedOrders(ResponseModel, ListResponse[UpdatedOrder]):
    """One page of updates; `next_page` is for the next call, `None` on the last page."""

    rows: Sequence[UpdatedOrder] = ()
    next_page: Mapping[str, str] | None = None


@frozen(kw_only=True, repr=False)
class DailyCount(ResponseModel):
    """The shipments of a day: created through ClickPost, and registered for tracking."""

    manifestation: int = 0
    tracking: int = 0


@frozen(kw_only=True, repr=False)
class DailyCounts(ResponseModel):
    """Counts by day: `counts[date(2026, 1, 31)]`; a day without shipments has zeros."""

    days: Mapping[str, DailyCount] = field(factory=dict)

    def __getitem__(self, day: date | str) -> DailyCount:
        return self.days[str(day)]

    def __iter__(self) -> Iterator[date]:
        return map(date.fromisoformat, self.days)

    def __len__(self) -> int:
        return len(self.days)

    def __contains__(self, day: object) -> bool:
        return str(day) in self.days
