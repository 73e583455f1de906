"""What ClickPost says of an order."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from attrs import frozen

from clickpost_async.structures._base import ResponseModel
from clickpost_async.structures._constraints import Waybill, is_waybill
from clickpost_async.structures._marks import Personal, WireName

_ALREADY_PLACED = 323
_PENDING = frozenset({102, 202})


@frozen(kw_only=True, repr=False)
class ChildItem(ResponseModel):
    """The carton behind a child waybill: ClickPost echoes whatever the order said of it."""

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
    """An order as ClickPost knows it.

    `waybill` is the courier's number (of the master piece, where there are `children`); what cannot
    be one, such as "None" or 1.5e+20, is not taken, and stays in `extra`. `order_id` and
    `tracking_id` are ClickPost's own; the merchant's comes back as `merchant_order_id`. `label` is
    a URL that may expire after a week, or `None`: no label was asked for, it is not ready, or the
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


@frozen(kw_only=True, repr=False)
class CreatedOrder(Order):
    """The answer to a create call."""

    @property
    def incomplete(self) -> bool:
        """Whether it claims to be placed and has no waybill that could be one."""
        return not self.pending and not is_waybill(self.waybill)

    @property
    def already_placed(self) -> bool:
        """Whether this reference number had an order before; it is that order then."""
        return self.response.status == _ALREADY_PLACED


@frozen(kw_only=True, repr=False)
class FetchedOrder(Order):
    """The answer to a look-up by waybill or reference number."""
