"""Rules for single values, attached to a field by `Annotated`: each names its severity and source.

A rule gets a value of the right type and returns what is wrong with it, or `None`.
"""

import enum
import math
import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Annotated

from attrs import field, frozen

from clickpost_async.structures._marks import Compact, Personal
from clickpost_async.structures._rules import (
    BILLING,
    COURIER_ID,
    CUSTOMS,
    DAY,
    DELIVERY_TYPE,
    DOCUMENT,
    IDENTITY,
    INVALID,
    ITEM_FIELD,
    LABEL,
    LENGTHS,
    MANDATORY,
    NUMBER,
    ORDER_TYPE,
    PINCODE,
    PRIORITY,
    RVP_REASON,
    UNKNOWN_WAYBILL,
    Severity,
    Source,
    ValueRule,
)
from clickpost_async.structures.codes import (
    AddressType,
    DeliveryType,
    DutyPayer,
    Level,
    OrderType,
)

_MISTAKE, _WARNING = Severity.MISTAKE, Severity.WARNING


_TEXTS, _NUMBERS = frozenset[type]({str}), frozenset[type]({int, float})


@frozen
class MaxLength(ValueRule):
    """At most so many characters; `advice` is added to the message about a longer value.

    A warning unless it is declared otherwise: couriers accept longer values, or truncate them.
    """

    length: int
    advice: str = ""
    source: str = field(default=LENGTHS, kw_only=True)
    severity: Severity = field(default=Severity.WARNING, kw_only=True)

    @property
    def text(self) -> str:
        """The rule in a few words."""
        return f"at most {self.length} characters"

    inline_kinds = _TEXTS

    def inline(self, value: str, rule: str) -> str:  # noqa: ARG002 - as its base
        """See the base."""
        return f"len({value}) <= {self.length}"

    def __call__(self, value: object) -> str | None:
        length = len(value if isinstance(value, str) else str(value))
        if length > self.length:
            return f"at most {self.length} characters, this has {length}{self.advice}"
        return None


@frozen
class NotBlank(ValueRule):
    """At least one character that is not blank."""

    source: str = field(default=MANDATORY, kw_only=True)

    text = "not blank"
    inline_kinds = _TEXTS

    def inline(self, value: str, rule: str) -> str:  # noqa: ARG002 - as its base
        """See the base."""
        return f"{value}.strip()"

    def __call__(self, value: object) -> str | None:
        return None if str(value).strip() else "must not be blank"


@frozen
class Pattern(ValueRule):
    """A regular expression that has to match the whole value."""

    matches: Callable[[str], object]
    text: str

    @classmethod
    def of(
        cls,
        expression: str,
        text: str,
        *,
        source: str = INVALID,
        severity: Severity = Severity.MISTAKE,
    ) -> "Pattern":
        """Compile the expression; `text` describes a valid value, and is the message."""
        matches = re.compile(expression, re.ASCII).fullmatch
        return cls(matches, text, source=source, severity=severity)

    inline_kinds = _TEXTS

    def inline(self, value: str, rule: str) -> str:
        """See the base."""
        return f"{rule}.matches({value})"

    def __call__(self, value: object) -> str | None:
        return None if self.matches(str(value)) else self.text


@frozen
class AtLeast(ValueRule):
    """A number that is not below a bound."""

    bound: float

    @property
    def text(self) -> str:
        """The rule in a few words."""
        return f"at least {self.bound:g}"

    inline_kinds = _NUMBERS

    def inline(self, value: str, rule: str) -> str:  # noqa: ARG002 - as its base
        """See the base."""
        return f"{value} >= {self.bound!r}"

    def __call__(self, value: object) -> str | None:
        number = _to_number(value)
        return f"must be {self.text}" if number is None or number < self.bound else None


@frozen
class GreaterThan(ValueRule):
    """A number above a bound."""

    bound: float

    @property
    def text(self) -> str:
        """The rule in a few words."""
        return f"above {self.bound:g}"

    inline_kinds = _NUMBERS

    def inline(self, value: str, rule: str) -> str:  # noqa: ARG002 - as its base
        """See the base."""
        return f"{value} > {self.bound!r}"

    def __call__(self, value: object) -> str | None:
        number = _to_number(value)
        return f"must be {self.text}" if number is None or number <= self.bound else None


@frozen
class InRange(ValueRule):
    """A number between two bounds, both allowed."""

    low: float
    high: float

    @property
    def text(self) -> str:
        """The rule in a few words."""
        return f"from {self.low:g} to {self.high:g}"

    def __call__(self, value: object) -> str | None:
        number = _to_number(value)
        if number is None or not self.low <= number <= self.high:
            return f"must be {self.text}"
        return None


def _to_number(value: object) -> float | None:
    if not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


@frozen
class OneOf(ValueRule):
    """A member of an enumeration, where other strings are only warned of."""

    kind: type[enum.StrEnum]

    @property
    def text(self) -> str:
        """The rule in a few words."""
        return f"one of {', '.join(self.kind)}"

    def __call__(self, value: object) -> str | None:
        return None if value in set(self.kind) else f"expected {self.text}"


_DAY_TEXT = "a date is written YYYY-MM-DD, like 2026-01-31"


@frozen
class Day(ValueRule):
    """A date in ClickPost's format, YYYY-MM-DD."""

    text = _DAY_TEXT

    def __call__(self, value: object) -> str | None:
        return self.text if not _DAY(str(value)) or _to_date(str(value)) is None else None


@frozen
class ReadableDay(ValueRule):
    """A date that begins with the year, so that day and month cannot be confused."""

    text = _DAY_TEXT

    def __call__(self, value: object) -> str | None:
        day = str(value).strip()[:10].replace("/", "-")
        return self.text if _to_date(day) is None else None


def _to_date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


@frozen
class Moment(ValueRule):
    """A point in time in ClickPost's format; fraction and offset are optional."""

    text = "a time is written YYYY-MM-DDTHH:MM:SS, like 2026-01-31T18:30:00"

    def __call__(self, value: object) -> str | None:
        text = str(value)
        if not _MOMENT(text):
            return self.text
        try:
            datetime.fromisoformat(text)
        except ValueError:
            return self.text
        return None


@frozen
class DayOrMoment(ValueRule):
    """A date, with or without the time of day."""

    text = "a date is written YYYY-MM-DD, with or without THH:MM:SS"

    def __call__(self, value: object) -> str | None:
        return Moment()(value) if "T" in str(value) else Day()(value)


_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII).fullmatch
_MOMENT = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:?\d\d)?", re.ASCII
).fullmatch

# ISO 3166-1 alpha-2, and XK, which couriers use for Kosovo.
_COUNTRIES = frozenset(
    """
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR
    BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ
    EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW
    GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY
    KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV
    MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY
    QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG
    TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA
    ZM ZW
    """.split()  # noqa: SIM905 - a list of 250 strings is a page of quotation marks
)


@frozen
class Country(ValueRule):
    """A country by its ISO 3166-1 alpha-2 code."""

    text = "a country is written as its ISO alpha-2 code in capitals, like AE"

    def __call__(self, value: object) -> str | None:
        return None if value in _COUNTRIES else self.text


_PINCODE_TEXT = "a pincode is six digits, like 110001"
_pincode = Pattern.of(r"[1-9]\d{5}", _PINCODE_TEXT, source=PINCODE)

# Maximum lengths are ClickPost's own (order creation guides and their 2020 forerunner); where two
# of its pages differ, the longer one counts here.
Name = Annotated[str, NotBlank(), MaxLength(100), Personal()]
Address = Annotated[str, NotBlank(), MaxLength(500), Personal()]
Landmark = Annotated[str, MaxLength(500), Personal()]
Phone = Annotated[
    str,
    NotBlank(),
    Pattern.of(r"(?s).*\d.*", "a phone number needs digits", source=LABEL),
    Pattern.of(
        r"[+\d][\d \-]*",
        "digits only; the country's dialling code goes into phone_code",
        source=DOCUMENT,
        severity=_WARNING,
    ),
    MaxLength(11, "; the country's dialling code goes into phone_code"),
    Personal(),
]
AlternatePhone = Annotated[str, MaxLength(12), Personal()]
PhoneCode = Annotated[str, MaxLength(5)]
Email = Annotated[str, MaxLength(100), Personal()]
Place = Annotated[str, MaxLength(200)]
City = Annotated[str, NotBlank(), MaxLength(200)]
Pincode = Annotated[str, Compact(), _pincode]
BlankPincode = Annotated[
    str, Compact(), Pattern.of(r"([1-9]\d{5})?", f"{_PINCODE_TEXT}, or blank", source=PINCODE)
]
PostalCode = Annotated[str, MaxLength(50)]
CountryCode = Annotated[str, NotBlank(), Country(source=DOCUMENT, severity=_WARNING)]
_MAX_WAYBILL_LENGTH = 100
# What programs send by mistake for a missing or non-string value where a string is expected.
_NO_WAYBILLS = frozenset(
    {"none", "null", "nil", "nan", "nat", "<na>", "n/a", "undefined", "true", "false"}
    | {"inf", "infinity"}
)
_FLOAT = re.compile(r"\d+\.\d+(e[+-]?\d+)?|\d+e\+\d+", re.ASCII | re.IGNORECASE).fullmatch


def is_waybill(value: object) -> bool:
    """Return whether a JSON value can be a courier's number.

    A number with a decimal point has lost digits, and 0 or "None" is what a program sends if it has
    no waybill.
    """
    if not isinstance(value, str):
        return isinstance(value, int) and value > 0 and not isinstance(value, bool)
    if len(value) > _MAX_WAYBILL_LENGTH:
        return False
    if value.isalnum() and not value.isalpha():
        # Most have letters and digits only: such a text is no placeholder and no float.
        return value.strip("0") != ""
    text = value.strip()
    return (
        value.isprintable()
        and text.casefold() not in _NO_WAYBILLS
        and any(map(str.isalnum, text))
        and text.strip("0") != ""
        and not _FLOAT(text)
    )


@frozen
class CanBeWaybill(ValueRule):
    """A courier's number."""

    text = (
        "a courier's waybill is needed, without control characters,"
        ' and not a placeholder such as "None" or "0"'
    )

    def __call__(self, value: object) -> str | None:
        return None if is_waybill(value) else self.text


India = Annotated[
    str,
    Pattern.of(r"\s*(?i:IN|India|IND|Bharat)\s*", 'India is written "IN"; other countries are v4'),
    Pattern.of(r"IN|India", 'India is written "IN"', source=DOCUMENT, severity=_WARNING),
]
Latitude = Annotated[float, InRange(-90, 90, source=NUMBER, severity=_WARNING)]
Longitude = Annotated[float, InRange(-180, 180, source=NUMBER, severity=_WARNING)]
Currency = Annotated[
    str,
    Pattern.of(r"(?i:[a-z]{3})", "a currency is three capitals, like INR", source=CUSTOMS),
    Pattern.of(
        r"[A-Z]{3}", "a currency is three capitals, like INR", source=DOCUMENT, severity=_WARNING
    ),
]
Money = Annotated[float, AtLeast(0, source=BILLING)]
# Of taxes and discounts, which some programs send as negative numbers.
Amount = Annotated[float, AtLeast(0, source=DOCUMENT, severity=_WARNING)]
Centimetres = Annotated[
    float,
    AtLeast(0, source=BILLING),
    GreaterThan(0, source=DOCUMENT, severity=_WARNING),
]
Grams = Annotated[float, GreaterThan(0, source=BILLING)]
# Of one item of several: some programs send 0 for an unknown weight.
ItemGrams = Centimetres
Quantity = Annotated[int, AtLeast(1, source=ITEM_FIELD)]
CourierPartner = Annotated[int, AtLeast(1, source=COURIER_ID), Source(COURIER_ID)]
Reference = Annotated[
    str, NotBlank(source=IDENTITY), MaxLength(100, source=IDENTITY, severity=_MISTAKE)
]
Code = Annotated[str, MaxLength(100)]
Waybill = Annotated[str, CanBeWaybill(source=UNKNOWN_WAYBILL)]
# With a separate message for each mistake.
WaybillToSend = Annotated[
    str,
    NotBlank(source=UNKNOWN_WAYBILL),
    MaxLength(_MAX_WAYBILL_LENGTH, source=UNKNOWN_WAYBILL, severity=_MISTAKE),
    CanBeWaybill(source=UNKNOWN_WAYBILL),
]
InvoiceNumber = Annotated[str, MaxLength(100)]
Date = Annotated[str, ReadableDay(source=DAY), Day(source=DOCUMENT, severity=_WARNING)]
Time = Annotated[str, ReadableDay(source=DAY), Moment(source=DOCUMENT, severity=_WARNING)]
DateOrTime = Annotated[
    str, ReadableDay(source=DAY), DayOrMoment(source=DOCUMENT, severity=_WARNING)
]
RvpReason = Annotated[
    str, NotBlank(source=RVP_REASON), MaxLength(500, source=RVP_REASON, severity=_MISTAKE)
]
Urls = Annotated[str, MaxLength(1000)]
Payment = Annotated[OrderType, Source(ORDER_TYPE)]
Direction = Annotated[DeliveryType, Source(DELIVERY_TYPE)]
Priority = Annotated[Level, Source(PRIORITY)]
PlaceType = Annotated[AddressType | str, OneOf(AddressType, source=DOCUMENT, severity=_WARNING)]
DutyPaidBy = Annotated[DutyPayer, Source(CUSTOMS)]
