"""What a browser shows, as HTML; and how times, amounts, codes and faults are written there."""

import json
import re
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from urllib.parse import quote

from attrs import frozen
from jinja2 import Environment, PackageLoader, StrictUndefined

from clickpost_async.sandbox.control import SandboxControl
from clickpost_async.sandbox.http.faults import Fault
from clickpost_async.sandbox.operation import JSON
from clickpost_async.sandbox.redaction import cover, people_in, redact
from clickpost_async.sandbox.store.records import LoggedCall, Order, Parcel, Scan, scan_values
from clickpost_async.sandbox.store.repository import KEPT
from clickpost_async.sandbox.world.clock import IST, ist
from clickpost_async.sandbox.world.couriers import name_of

# The number of rows of each list.
ROWS = 100


@cache
def environment() -> Environment:
    """Return what renders the page: everything is escaped, and a name that is missing is a bug."""
    made = Environment(
        loader=PackageLoader("clickpost_async.sandbox", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(_FILTERS)
    return made


@frozen(kw_only=True)
class View:
    """What a browser wants: rows with a text in them, a list, one thing opened, persons or not."""

    search: str = ""
    shown: str = ""
    tab: str = ""
    persons: bool = False


def render(control: SandboxControl, view: View, api: str = "") -> str:
    """Return the main part of the page; `api` is the base URL that it shows."""
    store = control.store
    lists = {
        "requests": store.latest_calls(ROWS, view.search),
        "orders": store.order_list(ROWS, view.search),
        "ledger": store.purchases(ROWS, view.search),
        "returns": store.returns(ROWS, view.search),
        "webhooks": control.deliveries()[:ROWS],
    }
    page = environment().get_template("main.html")
    return page.render(control=control, view=view, api=api, lists=lists, **_opened(control, view))


def _opened(control: SandboxControl, view: View) -> Mapping[str, object]:
    """Return what is shown in detail, as far as it is stored: a call, an order, its parcel."""
    kind, _, name = view.shown.partition("/")
    call, order, parcel = None, None, None
    if kind == "request" and re.fullmatch(r"[0-9]{1,15}", name):
        is_stored = int(name) > control.store.call_counts()[0] - KEPT
        call = control.store.one(LoggedCall, id=int(name)) if is_stored else None
    elif kind == "order":
        order = control.store.one(Order, reference_number=name)
        parcel = order and control.parcel(order.waybill or "", order.courier_partner)
    elif kind == "parcel":
        parcel = control.store.one(Parcel, waybill=name)
    return {"kind": kind, "name": name, "call": call, "order": order, "parcel": parcel}


# --- filters --------------------------------------------------------------------------------------


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


_FILTERS: Mapping[str, Callable[..., object]] = {
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
