"""Tracking: shipments that are registered for it, and their scans."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

from attrs import field, frozen

from clickpost_async.structures._base import RequestModel, ResponseModel
from clickpost_async.structures._constraints import (
    Centimetres,
    Code,
    CountryCode,
    CourierPartner,
    DateOrTime,
    Direction,
    ItemGrams,
    Latitude,
    Longitude,
    MaxLength,
    Money,
    NotBlank,
    Payment,
    Place,
    PostalCode,
    Waybill,
    WaybillToSend,
)
from clickpost_async.structures._marks import Personal, WireName
from clickpost_async.structures._rules import ACCOUNT, Source
from clickpost_async.structures._timestamps import IST, parse_timestamp
from clickpost_async.structures.codes import Bucket, NdrCode, TrackingCode
from clickpost_async.structures.items import FreeForm, ItemDetails

_PersonalText = Annotated[str, MaxLength(500), Personal()]


# --- requests ---------------------------------------------------------------------


@frozen(kw_only=True, repr=False)
class TrackedConsumer(RequestModel):
    """Who receives the notifications of a parcel."""

    name: Annotated[str, MaxLength(250), Personal()] | None = None
    email: Annotated[str, MaxLength(150), Personal()] | None = None
    phone: Annotated[str, MaxLength(15), Personal()] | None = None
    # ClickPost's table has this name, all its samples have `phone`.
    phone_number: Annotated[str, MaxLength(15), Personal()] | None = None


@frozen(kw_only=True, repr=False)
class TrackedPlace(RequestModel):
    """Where a parcel starts or ends; ClickPost's pages write `pincode` or `postal_code`."""

    name: _PersonalText | None = None
    email: _PersonalText | None = None
    phone: _PersonalText | None = None
    phone_code: str | None = None
    address: _PersonalText | None = None
    landmark: _PersonalText | None = None
    pincode: PostalCode | None = None
    postal_code: PostalCode | None = None
    country_code: CountryCode | None = None
    city: Place | None = None
    district: Place | None = None
    state: Place | None = None
    lat: Latitude | None = None
    long: Longitude | None = None
    time: DateOrTime | None = None


@frozen(kw_only=True, repr=False)
class TrackedItem(ItemDetails):
    """What is in the parcel."""

    description: Annotated[str, MaxLength(500)] | None = None
    quantity: int | None = None
    price: Money | None = None
    additional: ItemDetails | None = None
    extras: FreeForm | None = None
    # ClickPost's table has `extras`, its sample `extra`.
    extra_fields: Annotated[FreeForm, WireName("extra")] | None = None


@frozen(kw_only=True, repr=False)
class TrackedDetails(RequestModel):
    """The order behind the parcel; centimetres and grams. `cod_amount` is also `cod_value`."""

    order_type: Payment | None = None
    delivery_type: Direction | None = None
    invoice_value: Money | None = None
    cod_amount: Money | None = None
    cod_value: Money | None = None
    currency_code: Annotated[str, MaxLength(3)] | None = None
    reference_number: Code | None = None
    merchant_order_id: Annotated[Code, WireName("order_id")] | None = None
    length: Centimetres | None = None
    breadth: Centimetres | None = None
    height: Centimetres | None = None
    weight: ItemGrams | None = None
    items: Sequence[TrackedItem] | None = None


@frozen(kw_only=True, repr=False)
class TrackedAdditional(RequestModel):
    """Dates and wishes; `min_edd` and `max_edd` are days."""

    order_date: DateOrTime | None = None
    ship_date: DateOrTime | None = None
    estimated_delivery_date: DateOrTime | None = None
    min_edd: int | None = None
    max_edd: int | None = None
    enable_whatsapp: bool | None = None
    language_code: str | None = None
    merchant_order_id: Annotated[Code, WireName("order_id")] | None = None


@frozen(kw_only=True, repr=False)
class ShipmentToTrack(RequestModel):
    """A parcel for `POST /v3/tracking/awb-register/`; only the first three are needed."""

    waybill: WaybillToSend
    courier_partner: CourierPartner
    account_code: Annotated[Code, NotBlank(source=ACCOUNT), Source(ACCOUNT)]
    consumer_details: TrackedConsumer | None = None
    shipment_info: TrackedDetails | None = None
    pickup_info: TrackedPlace | None = None
    drop_info: TrackedPlace | None = None
    additional: TrackedAdditional | None = None


@frozen(kw_only=True, repr=False)
class OldTrackedItems(RequestModel):
    """Where the old registration keeps the items."""

    items: Sequence[TrackedItem] | None = None


@frozen(kw_only=True, repr=False)
class OldTrackedDetails(TrackedDetails):
    """The order behind the parcel, as the old registration writes it."""

    item: Annotated[str, MaxLength(500)] | None = None
    pickup_pincode: PostalCode | None = None
    drop_pincode: PostalCode | None = None
    drop_address: _PersonalText | None = None
    additional: OldTrackedItems | None = None


@frozen(kw_only=True, repr=False)
class OldShipmentToTrack(RequestModel):
    """A parcel for `POST /v2/tracking/awb-register/`, the older way to register one."""

    waybill: WaybillToSend
    courier_partner: Annotated[CourierPartner, WireName("cp_id")]
    account_code: Annotated[Code, NotBlank(source=ACCOUNT), Source(ACCOUNT)]
    consumer_details: TrackedConsumer | None = None
    shipment_info: OldTrackedDetails | None = None
    additional: TrackedAdditional | None = None


@frozen(kw_only=True, repr=False)
class WhatsAppChoice(RequestModel):
    """Whether customers are notified of a parcel by WhatsApp."""

    # ClickPost's own example has "NONE".
    waybill: Annotated[str, NotBlank(), MaxLength(100), WireName("awb")]
    whatsapp_disable: bool


@frozen(kw_only=True, repr=False)
class ShipmentToUnregister(RequestModel):
    """A request to stop tracking a parcel."""

    waybill: WaybillToSend
    courier_partner: Annotated[CourierPartner, WireName("cp_id")]


# --- responses -------------------------------------------------------------------------------


@frozen(kw_only=True, repr=False)
class Numbered(ResponseModel):
    """An object of ClickPost's, by its id."""

    id: int | None = None


@frozen(kw_only=True, repr=False)
class RegisteredShipment(ResponseModel):
    """A parcel that ClickPost tracks from now on, or did already.

    Where it was registered before (303), v3 returns no more than that; v2 returns its numbers.
    """

    tracking_id: int | None = None
    security_key: Annotated[str | None, Personal()] = None
    consumer_details: Numbered | None = None
    shipment_info: Numbered | None = None

    @property
    def already_registered(self) -> bool:
        """Whether ClickPost tracked it before this call."""
        return self.response.status == 303


@frozen(kw_only=True, repr=False)
class NotificationSetting(ResponseModel):
    """WhatsApp messages are on or off now; ClickPost's message is in `response.message`."""


@frozen(kw_only=True, repr=False)
class SecurityKey(ResponseModel):
    """The `key` of a tracking page."""

    waybill: Waybill | None = None
    courier_partner: Annotated[int | None, WireName("cp_id")] = None
    security_key: Annotated[str | None, Personal()] = None
    reference_number: str | None = None


@frozen(kw_only=True, repr=False)
class UnregisteredShipment(ResponseModel):
    """A parcel that ClickPost has stopped tracking."""

    waybill: Annotated[Waybill | None, WireName("awb", also=("waybill",))] = None


@frozen(kw_only=True, repr=False)
class ProofOfDelivery(ResponseModel):
    """The URL of a proof of delivery (PDF), open to anyone who has it; it may expire."""

    url: Annotated[str | None, WireName("pod_url"), Personal()] = None


@frozen(kw_only=True, repr=False)
class Scan(ResponseModel):
    """One event of a parcel, as ClickPost describes it, and as the courier does (`status`)."""

    timestamp: str | None = None
    location: str | None = None
    # Couriers write who received the parcel, and customers' phone numbers, into it.
    remark: Annotated[str | None, Personal()] = None
    status: str | None = None
    clickpost_status_code: TrackingCode | int | None = None
    clickpost_status_description: str | None = None
    clickpost_status_bucket: Bucket | int | None = None
    clickpost_status_bucket_description: str | None = None
    reference_number: str | None = None
    clickpost_city: str | None = None
    created_at: str | None = None
    checkpoint_id: int | None = None
    tracking_id: int | None = None

    @property
    def at(self) -> datetime | None:
        """When it happened; `timestamp` has no zone, and is in India's."""
        return parse_timestamp(self.timestamp, IST)


@frozen(kw_only=True, repr=False)
class ExpectedDays(ResponseModel):
    """In how many days a parcel is expected."""

    min_sla: float | None = None
    max_sla: float | None = None
    exact_sla: float | None = None


@frozen(kw_only=True, repr=False)
class FailedDelivery(ResponseModel):
    """Why a delivery failed."""

    ndr_bucket_code: NdrCode | int | None = None
    ndr_description: str | None = None


@frozen(kw_only=True, repr=False)
class TrackedOrder(ResponseModel):
    """The order behind a parcel, as far as ClickPost returns it.

    `order_detail` has an object for each item; `dest_hub_inscan` is false before the scan.
    """

    is_stuck: bool | None = None
    merchant_order_id: Annotated[str | None, WireName("order_id")] = None
    sku: Sequence[str] | None = None
    edd: ExpectedDays | None = None
    ndr: FailedDelivery | None = None
    invoice_number: str | None = None
    pickup_city: str | None = None
    drop_city: str | None = None
    cod_value: float | None = None
    currency_code: str | None = None
    courier_partner: Annotated[int | None, WireName("courier_partner_id")] = None
    courier_name: Annotated[
        str | None, WireName("courier_name", also=("courier_partner_name",))
    ] = None
    courier_partner_edd: str | None = None
    channel_name: str | None = None
    qc_images: Sequence[str] | None = None
    dest_hub_inscan: bool | str | None = None
    rto_intransit_timestamp: str | None = None
    order_detail: Sequence[Mapping[str, Any]] | None = None


@frozen(kw_only=True, repr=False)
class Track(ResponseModel):
    """A parcel's journey: where it is, and its scans, newest first.

    `known` is false for a waybill that ClickPost does not know for this courier.
    """

    latest_status: Scan | None = None
    scans: Sequence[Scan] = ()
    valid: bool | None = None
    additional: TrackedOrder | None = None

    @property
    def known(self) -> bool:
        """Whether ClickPost tracks this waybill with this courier."""
        return self.valid is not False and (self.latest_status is not None or bool(self.scans))


@frozen(kw_only=True, repr=False)
class Tracked(ResponseModel):
    """The tracks of the requested waybills: `tracked[waybill]`."""

    tracks: Mapping[str, Track] = field(factory=dict)

    def __getitem__(self, waybill: str) -> Track:
        return self.tracks[waybill]

    def __iter__(self) -> Iterator[str]:
        return iter(self.tracks)

    def __len__(self) -> int:
        return len(self.tracks)

    def __contains__(self, waybill: object) -> bool:
        return waybill in self.tracks
