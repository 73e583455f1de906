"""What is done with orders after they were created: edited, cancelled, followed, counted."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, ClassVar, Self

from attrs import field, frozen

from clickpost_async.errors import Problem
from clickpost_async.structures._base import ListResponse, RequestModel, ResponseModel, Rules
from clickpost_async.structures._constraints import (
    Code,
    CourierPartner,
    Date,
    InvoiceNumber,
    Money,
    NotBlank,
    Pattern,
    Waybill,
    WaybillToSend,
)
from clickpost_async.structures._marks import WireName
from clickpost_async.structures._timestamps import IST, parse_timestamp
from clickpost_async.structures.codes import OrderType, TrackingCode

# `edit_order_service` of the e-way bill, the only one that ClickPost's reference names.
_EWAY_BILL = 2

_EWAY_BILL_FIELDS = (
    "ewaybill_serial_number",
    "invoice_number",
    "invoice_date",
    "edit_order_service",
)


def _goes_with_the_bill(name: str) -> Callable[["OrderEdit"], Iterable[Problem]]:
    others = tuple(other for other in _EWAY_BILL_FIELDS if other != name)

    def rule(edit: "OrderEdit") -> Iterable[Problem]:
        if getattr(edit, name) is None and any(
            getattr(edit, other) is not None for other in others
        ):
            yield Problem(name, "an e-way bill needs this too")

    return rule


@frozen(kw_only=True, repr=False)
class OrderEdit(RequestModel):
    """A change to an order that is not out for delivery yet; only some couriers take one.

    ClickPost documents four: to PREPAID, to COD with its `cod_value` in rupees, a quality check at
    the door (`qc_type`, of one `sku` or of all), and an e-way bill.
    """

    waybill: Annotated[WaybillToSend, WireName("awb_number")]
    courier_partner: CourierPartner
    order_type: OrderType | None = None
    cod_value: Money | None = None
    qc_type: (
        Annotated[str, Pattern.of("doorstep", 'the only quality check is "doorstep"')] | None
    ) = None
    sku: Code | None = None
    ewaybill_serial_number: Annotated[Code, NotBlank()] | None = None
    invoice_number: Annotated[InvoiceNumber, NotBlank()] | None = None
    invoice_date: Date | None = None
    edit_order_service: (
        Annotated[int, Pattern.of(str(_EWAY_BILL), "the service of an e-way bill is 2")] | None
    ) = None

    @classmethod
    def to_prepaid(cls, waybill: str, *, courier_partner: int) -> Self:
        """Make the edit after which nothing is collected at the door."""
        return cls(waybill=waybill, courier_partner=courier_partner, order_type=OrderType.PREPAID)

    @classmethod
    def to_cod(cls, waybill: str, *, courier_partner: int, cod_value: float) -> Self:
        """Make the edit after which `cod_value` is collected at the door."""
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
        """Make the edit after which the goods are checked at the door."""
        return cls(waybill=waybill, courier_partner=courier_partner, qc_type="doorstep", sku=sku)

    @classmethod
    def without_quality_check(
        cls, waybill: str, *, courier_partner: int, sku: str | None = None
    ) -> Self:
        """Make the edit after which they are not: ClickPost wants a null said for that."""
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
        """Make the edit that gives a parcel its e-way bill."""
        return cls(
            waybill=waybill,
            courier_partner=courier_partner,
            ewaybill_serial_number=ewaybill_serial_number,
            invoice_number=invoice_number,
            invoice_date=invoice_date.isoformat(),
            edit_order_service=_EWAY_BILL,
        )

    @staticmethod
    def _is_cod_or_prepaid(edit: "OrderEdit") -> Iterable[Problem]:
        if edit.order_type is OrderType.EXCHANGE:
            yield Problem("order_type", "an order is edited to COD or to PREPAID")

    @staticmethod
    def _collects_what_its_type_says(edit: "OrderEdit") -> Iterable[Problem]:
        if edit.order_type is OrderType.COD and not edit.cod_value:
            yield Problem("cod_value", "an amount above 0 is needed for COD")
        if edit.order_type is not OrderType.COD and edit.cod_value:
            yield Problem("cod_value", "an amount is collected by COD only; say its order_type")

    @staticmethod
    def _changes_something(edit: "OrderEdit") -> Iterable[Problem]:
        said = (edit.order_type, edit.cod_value, edit.qc_type, edit.sku)
        bill = (getattr(edit, name) for name in _EWAY_BILL_FIELDS)
        if not any(value is not None for value in (*said, *bill)) and not (
            edit.original or edit.extra
        ):
            yield Problem(
                "", "nothing is edited; say order_type, qc_type or ewaybill_serial_number"
            )

    rules: ClassVar[Rules] = (
        _is_cod_or_prepaid,
        _collects_what_its_type_says,
        *map(_goes_with_the_bill, _EWAY_BILL_FIELDS),
        _changes_something,
    )


@frozen(kw_only=True, repr=False)
class EditedOrder(ResponseModel):
    """ClickPost has taken the edit; its words are in `reply.message`."""


_ALREADY_CANCELLED = 600
_CANCELLED = frozenset({200, _ALREADY_CANCELLED})
_PENDING = 202


@frozen(kw_only=True, repr=False)
class CancelledOrder(ResponseModel):
    """What became of a cancellation."""

    @property
    def cancelled(self) -> bool:
        """Whether the courier has cancelled it, by this call or an earlier one."""
        return self.response.status in _CANCELLED

    @property
    def pending(self) -> bool:
        """Whether it was only asked for; the courier decides later."""
        return self.response.status == _PENDING

    @property
    def already_cancelled(self) -> bool:
        """Whether ClickPost says it was cancelled before.

        Some couriers' first cancellations are answered like this too, so it tells no two callers
        apart.
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
        """When ClickPost got to know the order."""
        return parse_timestamp(self.created_at)

    @property
    def updated(self) -> datetime | None:
        """When ClickPost got to know this scan."""
        return parse_timestamp(self.updated_at)


@frozen(kw_only=True, repr=False)
class UpdatedOrders(ResponseModel, ListResponse[UpdatedOrder]):
    """One page of updates; `next_page` asks for the one after it, `None` is the last."""

    rows: Sequence[UpdatedOrder] = ()
    next_page: Mapping[str, str] | None = None


@frozen(kw_only=True, repr=False)
class DailyCount(ResponseModel):
    """How many shipments a day brought: created through ClickPost, and registered for tracking."""

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
