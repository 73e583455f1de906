"""What a browser shows, as HTML."""

import re
from collections.abc import Mapping
from functools import cache

from attrs import frozen
from jinja2 import Environment, PackageLoader, StrictUndefined

from clickpost_async.sandbox.control import SandboxControl
from clickpost_async.sandbox.page import formatting
from clickpost_async.sandbox.store.records import LoggedCall, Order, Parcel
from clickpost_async.sandbox.store.repository import KEPT

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
    made.filters.update(formatting.FILTERS)
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
        "returns": control.return_requests(ROWS, view.search),
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
