"""Rules for single values, attached to a field by `Annotated`, with messages that teach.

A rule is asked with a value of the right type and answers with what to do, or `None`.
"""

import math
import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Annotated, Protocol

from attrs import frozen

from clickpost_async.structures._marks import Personal


class Rule(Protocol):
    """Say what is wrong with a value, or `None`."""

    def __call__(self, value: object, /) -> str | None: ...


@frozen
class MaxLength:
    """At most so many characters; `advice` is for those whose value has more."""

    length: int
    advice: str = ""

    def __call__(self, value: object) -> str | None:
        if len(str(value)) > self.length:
            return f"at most {self.length} characters, this has {len(str(value))}{self.advice}"
        return None


@frozen
class NotBlank:
    """At least one character that is not blank."""

    def __call__(self, value: object) -> str | None:
        return None if str(value).strip() else "must not be blank"


@frozen
class Pattern:
    """A regular expression that has to match the whole value."""

    matches: Callable[[str], object]
    advice: str

    @classmethod
    def of(cls, expression: str, advice: str) -> "Pattern":
        return cls(re.compile(expression, re.ASCII).fullmatch, advice)

    def __call__(self, value: object) -> str | None:
        return None if self.matches(str(value)) else self.advice


@frozen
class AtLeast:
    """A number that is not below a bound."""

    bound: float

    def __call__(self, value: object) -> str | None:
        number = _to_number(value)
        if number is None or number < self.bound:
            return f"a number of at least {self.bound:g} is needed"
        return None


@frozen
class GreaterThan:
    """A number above a bound."""

    bound: float

    def __call__(self, value: object) -> str | None:
        number = _to_number(value)
        if number is None or number <= self.bound:
            return f"a number above {self.bound:g} is needed"
        return None


@frozen
class InRange:
    """A number between two bounds, both allowed."""

    low: float
    high: float

    def __call__(self, value: object) -> str | None:
        number = _to_number(value)
        if number is None or not self.low <= number <= self.high:
            return f"a number from {self.low:g} to {self.high:g} is needed"
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
class Day:
    """A date as ClickPost writes it."""

    def __call__(self, value: object) -> str | None:
        text = str(value)
        try:
            date.fromisoformat(text)
        except ValueError:
            return "a date is written YYYY-MM-DD, like 2026-01-31"
        return None if _DAY(text) else "a date is written YYYY-MM-DD, like 2026-01-31"


@frozen
class Moment:
    """A point in time as ClickPost writes it; fraction and offset are accepted, not needed."""

    def __call__(self, value: object) -> str | None:
        text = str(value)
        advice = "a time is written YYYY-MM-DDTHH:MM:SS, like 2026-01-31T18:30:00"
        if not _MOMENT(text):
            return advice
        try:
            datetime.fromisoformat(text)
        except ValueError:
            return advice
        return None


@frozen
class DayOrMoment:
    """A date, with or without the time of day."""

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
class Country:
    """A country by its ISO 3166-1 alpha-2 code."""

    def __call__(self, value: object) -> str | None:
        if value in _COUNTRIES:
            return None
        return "a country is written as its ISO alpha-2 code in capitals, like AE"


# Maximum lengths are ClickPost's own (order creation guides and their 2020 forerunner); where two
# of its pages differ, the longer one is accepted here.
Name = Annotated[str, NotBlank(), MaxLength(100), Personal()]
Address = Annotated[str, NotBlank(), MaxLength(500), Personal()]
Landmark = Annotated[str, MaxLength(500), Personal()]
Phone = Annotated[
    str,
    NotBlank(),
    MaxLength(11, "; the country's dialling code goes into phone_code"),
    Pattern.of(r"[+\d][\d \-]*", "digits only; the country's dialling code goes into phone_code"),
    Personal(),
]
AlternatePhone = Annotated[str, MaxLength(12), Personal()]
PhoneCode = Annotated[str, MaxLength(5)]
Email = Annotated[str, MaxLength(100), Personal()]
Place = Annotated[str, MaxLength(200)]
City = Annotated[str, NotBlank(), MaxLength(200)]
Pincode = Annotated[str, Pattern.of(r"[1-9]\d{5}", "a pincode is six digits, like 110001")]
BlankPincode = Annotated[
    str, Pattern.of(r"([1-9]\d{5})?", "a pincode is six digits, like 110001, or blank")
]
PostalCode = Annotated[str, MaxLength(50)]
CountryCode = Annotated[str, Country()]
_LONGEST_WAYBILL = 100
# How programs write nothing, or what is no text, where a text is wanted.
_NO_WAYBILLS = frozenset(
    {"none", "null", "nil", "nan", "nat", "<na>", "n/a", "undefined", "true", "false"}
    | {"inf", "infinity"}
)
_FLOAT = re.compile(r"\d+\.\d+(e[+-]?\d+)?|\d+e\+\d+", re.ASCII | re.IGNORECASE).fullmatch


def is_waybill(value: object) -> bool:
    """Return whether a JSON value can be a courier's number.

    A number with a decimal point has lost digits, and 0 or "None" is what a program writes where it
    has no waybill.
    """
    if isinstance(value, int):
        return value > 0 and not isinstance(value, bool)
    if not isinstance(value, str) or not value.isprintable():
        return False
    text = value.strip()
    return (
        any(letter.isalnum() for letter in text)
        and len(value) <= _LONGEST_WAYBILL
        and text.strip("0") != ""
        and text.casefold() not in _NO_WAYBILLS
        and not _FLOAT(text)
    )


@frozen
class CanBeWaybill:
    """A courier's number."""

    def __call__(self, value: object) -> str | None:
        if is_waybill(value):
            return None
        return (
            "a courier's waybill is needed, without control characters,"
            ' and not a placeholder such as "None" or "0"'
        )


India = Annotated[str, Pattern.of(r"IN|India", 'India is written "IN"; other countries are v4')]
Latitude = Annotated[float, InRange(-90, 90)]
Longitude = Annotated[float, InRange(-180, 180)]
Currency = Annotated[str, Pattern.of(r"[A-Z]{3}", "a currency is three capitals, like INR")]
Money = Annotated[float, AtLeast(0)]
Centimetres = Annotated[float, GreaterThan(0)]
Grams = Annotated[float, GreaterThan(0)]
Quantity = Annotated[int, AtLeast(1)]
CourierPartner = Annotated[int, AtLeast(1)]
Reference = Annotated[str, NotBlank(), MaxLength(100)]
Code = Annotated[str, MaxLength(100)]
Waybill = Annotated[str, CanBeWaybill()]
# With the messages that a request deserves.
WaybillToSend = Annotated[str, NotBlank(), MaxLength(_LONGEST_WAYBILL), CanBeWaybill()]
InvoiceNumber = Annotated[str, MaxLength(100)]
Date = Annotated[str, Day()]
Time = Annotated[str, Moment()]
DateOrTime = Annotated[str, DayOrMoment()]
RvpReason = Annotated[str, NotBlank(), MaxLength(500)]
Urls = Annotated[str, MaxLength(1000)]
