"""The stations of a parcel: ClickPost's tracking codes, what comes after each, and what they mean.

Codes and buckets: ClickPost's "tracking status codes" page; events: its "notification events" page.
Where the buckets' page has no bucket for a code, the nearest one is taken.
"""

import enum
from collections.abc import Mapping, Sequence

from attrs import frozen

from clickpost_async.structures import Bucket, NdrCode
from clickpost_async.structures import TrackingCode as Code

HANDED_OVER = frozenset({Code.DELIVERED, Code.RTO_DELIVERED, Code.EXCHANGE_DELIVERED})
UNDELIVERED = frozenset({Code.FAILED_DELIVERY, Code.SHIPMENT_HELD})


class ShipmentKind(enum.StrEnum):
    """Which way a parcel goes."""

    FORWARD = "FORWARD"
    RVP = "RVP"
    EXCHANGE = "EXCHANGE"


@frozen
class Station:
    """The description of a tracking code; `event` is that of selected-event webhooks."""

    description: str
    bucket: int
    status: str
    remark: str
    event: int | None = None
    at_drop: bool = False

    @property
    def bucket_description(self) -> str:
        """The description of its bucket."""
        return BUCKETS[self.bucket]


STATIONS: Mapping[int, Station] = {
    1: Station("OrderPlaced", 1, "Manifested", "Shipment details manifested", 9),
    2: Station("PickupPending", 1, "Not Picked", "Shipment not received from client"),
    3: Station("PickupFailed", 1, "Not Picked", "Shipper unavailable"),
    4: Station("PickedUp", 2, "Picked Up", "Shipment picked up", 2),
    5: Station("InTransit", 3, "In Transit", "Added to bag"),
    6: Station("OutForDelivery", 4, "Dispatched", "Out for delivery", 3, at_drop=True),
    7: Station("NotServiceable", 5, "Pending", "Pincode not serviced", at_drop=True),
    8: Station("Delivered", 6, "Delivered", "Delivered to consignee", 5, at_drop=True),
    9: Station("FailedDelivery", 5, "Pending", "Delivery failed", 4, at_drop=True),
    10: Station("Cancelled", 1, "Cancelled", "Cancelled by the seller", 10),
    11: Station("RTO-Requested", 7, "RTO Requested", "Return requested", at_drop=True),
    12: Station("RTO-Marked", 7, "RTO", "Marked for return", at_drop=True),
    13: Station("RTO-OutForDelivery", 7, "RTO Dispatched", "Out to the seller"),
    14: Station("RTO-Delivered", 7, "RTO Delivered", "Returned to the seller", 12),
    15: Station("RTO-Failed", 7, "RTO Pending", "The seller did not take it"),
    16: Station("Lost", 8, "Lost", "Shipment lost", 19),
    17: Station("Damaged", 9, "Damaged", "Shipment damaged", 20),
    18: Station("ShipmentDelayed", 3, "Delayed", "Shipment delayed"),
    19: Station("ContactCustomerCare", 3, "Pending", "Contact customer care"),
    20: Station("ShipmentHeld", 3, "Held", "Waiting for instructions", at_drop=True),
    21: Station("RTO-InTransit", 7, "RTO In Transit", "On the way to the seller", 6),
    23: Station("Expired", 1, "Expired", "Never picked up", 80),
    25: Station("OutForPickup", 1, "Out for Pickup", "Out for pickup", 1),
    26: Station("RTO-ContactCustomerCare", 7, "RTO Pending", "Contact customer care"),
    27: Station("RTO-ShipmentDelay", 7, "RTO Delayed", "Return delayed"),
    28: Station("AwbRegistered", 1, "AWB Registered", "AWB registered"),
    30: Station("ExchangePickup", 3, "Exchange Pickup", "Exchanged", 14, at_drop=True),
    31: Station("ExchangeInTransit", 3, "Exchange In Transit", "On the way to the seller"),
    32: Station("ExchangeDelivered", 6, "Exchange Delivered", "Exchange delivered", 15),
    1004: Station("DestinationHubIn", 3, "Reached", "Reached the hub", 13, at_drop=True),
}


def _texts(codes: type[Bucket] | type[NdrCode]) -> dict[int, str]:
    return {code: code.name.replace("_", " ").capitalize() for code in codes}


BUCKETS: Mapping[int, str] = {**_texts(Bucket), Bucket.DISPATCHED: "Shipped"}
NDR: Mapping[int, str] = _texts(NdrCode)

_OVER = HANDED_OVER | {Code.CANCELLED, Code.LOST, Code.DAMAGED, Code.EXPIRED}

# Without instructions a courier holds what it could not deliver, and then returns it.
_ONWARD: Mapping[int, int] = {25: 4, 4: 5, 5: 6, 9: 20, 20: 12, 11: 21, 12: 21, 21: 13, 13: 14}
_OF_KIND: Mapping[ShipmentKind, Mapping[int, int]] = {
    ShipmentKind.FORWARD: {1: 4, 28: 4, 6: 8},
    ShipmentKind.RVP: {1: 25, 28: 25, 3: 25, 6: 8},
    ShipmentKind.EXCHANGE: {1: 4, 28: 4, 6: 30, 30: 31, 31: 32},
}


def station(code: int) -> Station:
    """Return what is known of a code; ClickPost pushes some that its pages do not have."""
    known = STATIONS.get(code)
    return known or Station("NoStatusExist", 3, f"Code {code}", f"Code {code}")


def after(kind: ShipmentKind, code: int, otherwise: int | None) -> int | None:
    """Return the code that comes after one; a code that is on no route changes nothing."""
    if code in _OVER:
        return None
    return _OF_KIND[kind].get(code) or _ONWARD.get(code, otherwise)


def route(kind: ShipmentKind, upcoming: int | None) -> Sequence[int]:
    """Return the codes that follow if nothing happens, beginning with the upcoming one."""
    way: list[int] = []
    while upcoming is not None and upcoming not in way:
        way.append(upcoming)
        upcoming = after(kind, upcoming, None)
    return way


def to_the_door(kind: ShipmentKind, code: int, upcoming: int | None) -> Sequence[int] | None:
    """Return the codes until a parcel is out for delivery; None if it never will be."""
    if kind is ShipmentKind.RVP:
        return None
    out = Code.OUT_FOR_DELIVERY
    if code == out:
        return []
    if code in UNDELIVERED and upcoming in (Code.SHIPMENT_HELD, out, Code.RTO_MARKED):
        return [out]
    way = route(kind, upcoming)
    return way[: way.index(out) + 1] if out in way else None
