"""The words and numbers that ClickPost has fixed."""

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
    """ClickPost's own state of a parcel; answers may hold others, which stay plain integers.

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
