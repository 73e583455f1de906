"""What a browser shows, as HTML."""

import re
from functools import cache

from attrs import frozen
from jinja2 import Environment, PackageLoader, StrictUndefined

from clickpost_async.sandbox.control import SandboxControl
from clickpost_async.sandbox.page import formatting
from clickpost_async.sandbox.redaction import cover, people_in, redact
from clickpost_async.sandbox.store.records import LoggedCall, Order, Parcel
from clickpost_async.sandbox.store.repository import KEPT

# So many rows of each list are shown, and of those about one order.
ROWS, _FEW = 100, 12


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
    kind, _, name = view.shown.partition("/")
    details = {"request": _request, "order": _order, "parcel": _parcel}
    detail = details[kind](control, view, name) if kind in details else ""
    page = environment().get_template("main.html")
    return page.render(control=control, view=view, api=api, lists=lists, detail=detail)


def _request(control: SandboxControl, view: View, name: str) -> str:
    is_number = re.fullmatch(r"[0-9]{1,15}", name)
    call = control.store.one(LoggedCall, id=int(name)) if is_number else None
    if call is None or call.id <= control.store.call_counts()[0] - KEPT:
        return _detail("missing", "This request is no longer stored.")
    show = (lambda it: it) if view.persons else redact
    request, response = show(call.request_json), show(call.response_json)
    return _detail("request", call, request, response, view.persons)


def _order(control: SandboxControl, view: View, name: str) -> str:
    order = control.store.one(Order, reference_number=name)
    if order is None:
        return _detail("missing", "There is no such order.")
    people = people_in(order.payload)
    if not view.persons:
        people = {
            role: {name: cover(name, text) for name, text in party.items()}
            for role, party in people.items()
        }
    calls = [call for call in control.store.latest_calls(ROWS, name) if call.about == name]
    parcel = control.parcel(order.waybill or "", order.courier_partner)
    bought = control.store.bought(name)
    return _journey(control, parcel, order, people, view.persons, bought, calls[:_FEW])


def _parcel(control: SandboxControl, _: View, name: str) -> str:
    parcel = control.store.one(Parcel, waybill=name)
    if parcel is None:
        return _detail("missing", "There is no such parcel.")
    return _journey(control, parcel, None, {}, False, (), ())  # noqa: FBT003 - a template's


def _journey(control: SandboxControl, parcel: Parcel | None, *values: object) -> str:
    journey = control.journey_of(parcel) if parcel else None
    pushed = [sent for sent in control.deliveries() if parcel and sent.about == parcel.waybill]
    return _detail("order", journey, pushed[:_FEW], *values)


def _detail(macro: str, *values: object) -> str:
    rendered: str = getattr(environment().get_template("details.html").module, macro)(*values)
    return rendered
