"""How the page writes times, amounts, codes and faults."""

import json
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from urllib.parse import quote

from clickpost_async.sandbox.http.faults import Fault
from clickpost_async.sandbox.operation import JSON
from clickpost_async.sandbox.redaction import cover, people_in, redact
from clickpost_async.sandbox.store.records import Parcel, Scan, scan_values
from clickpost_async.sandbox.world.clock import IST, ist
from clickpost_async.sandbox.world.couriers import name_of


def duration(seconds: float) -> str:
    """Write how long something took."""
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def nth(number: int) -> str:
    """Write an ordinal."""
    last = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10)
    return f"{number}{last or 'th'}"


def city(scan: Scan, parcel: Parcel) -> str:
    """Write the city of a scan, to follow its remark."""
    name = scan_values(parcel, scan)["city"]
    return f", {name}" if name else ""


def tone(code: int) -> str:
    """Return the class of a code: success, a duplicate, pending, rejected, or broken."""
    if code in (102, 202):
        return "pending"
    if code in (323, 303, 600):
        return "known"
    if code in (0, 429) or code >= 500:
        return "broken"
    return "well" if code == 200 else "refused"


def pretty(value: object) -> str:
    """Write JSON, indented."""
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)


def people(payload: JSON, persons: bool) -> Mapping[str, Mapping[str, str]]:  # noqa: FBT001
    """Return the addresses of an order, which are redacted unless persons are shown."""
    if persons:
        return people_in(payload)
    return {
        role: {name: cover(name, text) for name, text in party.items()}
        for role, party in people_in(payload).items()
    }


FILTERS: Mapping[str, Callable[..., object]] = {
    "ahead": lambda moment: moment - time.time(),
    "amount": lambda value: f"{value:,.2f}",
    "city": city,
    # The time of day in India, as couriers write it.
    "clock": lambda moment: ist(moment)[11:],
    "courier": name_of,
    "date": lambda moment: ist(moment)[:16],
    "day": lambda moment: f"{datetime.fromtimestamp(moment, IST):%d %b %H:%M:%S}",
    "duration": duration,
    "hint": lambda fault: f"{'placed; ' if Fault(fault).books else ''}{Fault(fault).effect}",
    "nth": nth,
    "people": people,
    "percent": lambda chance: f"{chance * 100:g} %",
    "pretty": pretty,
    "redact": redact,
    "quoted": lambda text: quote(str(text), safe=""),
    "span": lambda seconds: f"{seconds / 3600:g} h" if seconds >= 3600 else f"{seconds:g} s",
    "title": lambda fault: Fault(fault).title_text,
    "tone": tone,
}
