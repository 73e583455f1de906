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
