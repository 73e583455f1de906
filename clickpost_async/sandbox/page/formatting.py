"""How the page calls faults, and how it writes times and amounts."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from urllib.parse import quote

from clickpost_async.sandbox.http.faults import Fault
from clickpost_async.sandbox.store.records import Parcel, Scan, place
from clickpost_async.sandbox.world.clock import IST, ist
from clickpost_async.sandbox.world.couriers import name_of
from clickpost_async.sandbox.world.tracking_codes import station

FAULTS: Mapping[Fault, tuple[str, str]] = MappingProxyType(
    {
        Fault.TOO_MANY: ("Too many calls", "HTTP 429 with Retry-After"),
        Fault.DROP_BEFORE: ("Cut before booking", "nothing booked, no answer"),
        Fault.DROP_AFTER: ("Cut after booking", "booked, but no answer"),
        Fault.HALF_ANSWER: ("Half an answer", "booked, and it breaks off"),
        Fault.COURIER_DOWN: ("Courier down", "creates are answered 322"),
        Fault.BUSY: ("Busy", "HTTP 503 with Retry-After"),
        Fault.SERVER_ERROR: ("Server error", "HTTP 500 and a page of HTML"),
        Fault.HTML: ("Maintenance", "HTTP 200 and a page of HTML"),
        Fault.GATEWAY: ("Gateway time-out", "booked, but HTTP 504"),
        Fault.OOPS: ("Oops", "booked, but status 500"),
        Fault.HANG: ("Silence", "booked, and nothing is said"),
    }
)


def called(fault: str) -> str:
    """Name a fault."""
    return FAULTS[Fault(fault)][0]


def hint(fault: str) -> str:
    """Tell what a fault does."""
    return FAULTS[Fault(fault)][1]


def where(scan: Scan, parcel: Parcel) -> str:
    """Write where a scan was made, as what follows its remark."""
    city = place(parcel, scan)[1]
    return f", {city}" if city else ""


def bucket(code: int) -> int:
    """Return the group of statuses that a code is in."""
    return station(code).bucket


def clock(moment: float) -> str:
    """Write the time of day, India's as couriers do."""
    return ist(moment)[11:]


def moment(at: float) -> str:
    """Write a day of the year and the time of day."""
    return f"{datetime.fromtimestamp(at, IST):%d %b %H:%M:%S}"


def date(moment: float) -> str:
    """Write a day and the time of day."""
    return ist(moment)[:16]


def duration(seconds: float) -> str:
    """Write how long something took."""
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def span(seconds: float) -> str:
    """Write a while."""
    return f"{seconds / 3600:g} h" if seconds >= 3600 else f"{seconds:g} s"


def nth(number: int) -> str:
    """Write an ordinal."""
    last = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10)
    return f"{number}{last or 'th'}"


def amount(value: float) -> str:
    """Write an amount of money."""
    return f"{value:,.2f}"


def percent(chance: float) -> str:
    """Write a probability."""
    return f"{chance * 100:g} %"


def tone(code: int) -> str:
    """Return how a code looks: well, known already, being worked on, refused, or broken."""
    if code in (102, 202):
        return "pending"
    if code in (323, 303, 600):
        return "known"
    if code in (0, 429) or code >= 500:
        return "broken"
    return "well" if code == 200 else "refused"


def pretty(value: object) -> str:
    """Write JSON for people."""
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)


def quoted(text: object) -> str:
    """Write a text as a part of a path."""
    return quote(str(text), safe="")


FILTERS: Mapping[str, Callable[..., object]] = MappingProxyType(
    {
        "amount": amount,
        "bucket": bucket,
        "called": called,
        "clock": clock,
        "courier": name_of,
        "date": date,
        "duration": duration,
        "hint": hint,
        "moment": moment,
        "nth": nth,
        "percent": percent,
        "pretty": pretty,
        "quoted": quoted,
        "span": span,
        "tone": tone,
        "where": where,
    }
)
