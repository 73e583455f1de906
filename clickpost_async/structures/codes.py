"""Enumerations of ClickPost's fixed strings and codes."""

import enum


class OrderType(enum.StrEnum):
    """How an order is paid; ClickPost's code 307 names these three."""

    COD = "COD"
    PREPAID = "PREPAID"
    EXCHANGE = "EXCHANGE"


class DeliveryType(enum.StrEnum):
    """Which way a parcel travels: to the customer, or back from them (reverse pickup)."""

    FORWARD = "FORWARD"
    RVP = "RVP"


class Level(enum.StrEnum):
    """How urgent a world order is."""

    NORMAL = "NORMAL"
    URGENT = "URGENT"


class AddressType(enum.StrEnum):
    """What kind of place an address is."""

    OFFICE = "OFFICE"
    RESIDENTIAL = "RESIDENTIAL"


class DutyPayer(enum.StrEnum):
    """Who pays customs duty: the sender or the receiver."""

    SENDER = "S"
    RECEIVER = "R"


class TrackingCode(enum.IntEnum):
    """ClickPost's own state of a parcel; unknown codes in responses stay plain integers.

    Source: ClickPost's page of tracking status codes. 101 and 102 are states of a return here, and
    have nothing to do with a `meta.status` of 102.
    """

    ORDER_PLACED = 1
    PICKUP_PENDING = 2
    PICKUP_FAILED = 3
    PICKED_UP = 4
    IN_TRANSIT = 5
    OUT_FOR_DELIVERY = 6
    NOT_SERVICEABLE = 7
    DELIVERED = 8
    FAILED_DELIVERY = 9
    CANCELLED = 10
    RTO_REQUESTED = 11
    RTO_MARKED = 12
    RTO_OUT_FOR_DELIVERY = 13
    RTO_DELIVERED = 14
    RTO_FAILED = 15
    LOST = 16
    DAMAGED = 17
    SHIPMENT_DELAYED = 18
    CONTACT_CUSTOMER_CARE = 19
    SHIPMENT_HELD = 20
    RTO_IN_TRANSIT = 21
    EXPIRED = 23
    OUT_FOR_PICKUP = 25
    RTO_CONTACT_CUSTOMER_CARE = 26
    RTO_DELAYED = 27
    AWB_REGISTERED = 28
    EXCHANGE_PICKUP = 30
    EXCHANGE_IN_TRANSIT = 31
    EXCHANGE_DELIVERED = 32
    RETURN_PLACED = 101
    RETURN_APPROVED = 102
    DESTINATION_HUB_IN = 1004


class Bucket(enum.IntEnum):
    """The groups of tracking codes.

    Return requests use 8 as well ("Return Request Placed"): look at the code first.
    """

    ORDER_PLACED = 1
    DISPATCHED = 2
    IN_TRANSIT = 3
    OUT_FOR_DELIVERY = 4
    FAILED_DELIVERY = 5
    DELIVERED = 6
    RETURNED = 7
    LOST = 8
    DAMAGED = 9


class NdrCode(enum.IntEnum):
    """Why a delivery failed; unknown codes in responses stay plain integers.

    Source: ClickPost's documentation of 2020. A 14 has been seen with the description of a 1.
    """

    UNKNOWN = 0
    CUSTOMER_UNAVAILABLE = 1
    REJECTED = 2
    RESCHEDULED = 3
    NOT_ATTEMPTED = 4
    UNREACHABLE = 5
    ADDRESS_ISSUE = 6
    PAYMENT_ISSUE = 7
    OUT_OF_DELIVERY_AREA = 8
    ALREADY_CANCELLED = 9
    SELF_COLLECT = 10
    SEIZED = 11
    OPEN_DELIVERY_WANTED = 12
    MISROUTED = 13


class NotificationEvent(enum.IntEnum):
    """The subject of a selected-event webhook; unknown codes stay plain integers.

    Source: ClickPost's page of notification events.
    """

    OUT_FOR_PICKUP = 1
    SHIPPED = 2
    OUT_FOR_DELIVERY = 3
    FAILED_DELIVERY = 4
    DELIVERED = 5
    RTO_IN_TRANSIT = 6
    AWB_GENERATED = 9
    CANCELLED = 10
    RETURN_PLACED = 11
    RTO_DELIVERED = 12
    DESTINATION_HUB_IN = 13
    EXCHANGE_PICKUP = 14
    EXCHANGE_DELIVERED = 15
    PICKUP_CANCELLED = 16
    STUCK = 17
    SLA_BREACHED = 18
    LOST = 19
    DAMAGED = 20
    RETURN_APPROVED = 22
    RETURN_REJECTED = 23
    EXCHANGE_APPROVED = 29
    EXCHANGE_PLACED = 30
    EXCHANGE_REJECTED = 31
    EXPIRED = 80
