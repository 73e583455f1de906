"""What one browser shows, rendered anew whenever anything has changed.

No events are kept for a browser: one that is slow to read misses states in between, and costs no
memory.
"""

import re
from functools import cache

from attrs import define, field, frozen
from jinja2 import Environment, PackageLoader, StrictUndefined

from clickpost_async.sandbox.control import SandboxControl
from clickpost_async.sandbox.page import formatting
from clickpost_async.sandbox.redaction import cover, people_in, redact
from clickpost_async.sandbox.store.records import LoggedCall, Order, Parcel
from clickpost_async.sandbox.store.repository import KEPT

# So many rows of each list are shown.
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
class ViewOptions:
    """What a browser shows: rows with a text in them, a list, one thing opened, persons or not."""

    search: str = ""
    shown: str = ""
    tab: str = ""
    persons: bool = field(default=False, converter=bool)


@define
class PageStream:
    """One browser's view; `api` is the base URL that it shows."""

    _control: SandboxControl
    _options: ViewOptions
    _api: str = ""
    _seen: object = field(default=None, init=False)

    def news(self) -> str | None:
        """Return the main part of the page as HTML; None if nothing has changed since the last."""
        seen = self._control.changes()
        if seen == self._seen:
            return None
        self._seen = seen
        control, store, search = self._control, self._control.store, self._options.search
        lists = {
            "requests": store.latest_calls(ROWS, search),
            "orders": store.order_list(ROWS, search),
            "ledger": store.purchases(ROWS, search),
            "returns": control.return_requests(ROWS, search),
            "webhooks": control.deliveries()[:ROWS],
        }
        detail, page = self._detail(), environment().get_template("main.html")
        return page.render(
            control=control, view=self._options, api=self._api, lists=lists, detail=detail
        )

    def _detail(self) -> str:
        kind, _, name = self._options.shown.partition("/")
        control, store, order = self._control, self._control.store, None
        if kind == "request":
            return self._request(name)
        if kind == "order":
            order = store.one(Order, reference_number=name)
            if order is None:
                return _detail("missing", "There is no such order.")
            return self._order(order, control.parcel(order.waybill or "", order.courier_partner))
        if kind == "parcel":
            parcel = store.one(Parcel, waybill=name)
            if parcel is None:
                return _detail("missing", "There is no such parcel.")
            return self._order(None, parcel)
        return ""

    def _request(self, name: str) -> str:
        is_number = re.fullmatch(r"[0-9]{1,15}", name)
        store = self._control.store
        call = store.one(LoggedCall, id=int(name)) if is_number else None
        if call is None or call.id <= store.call_counts()[0] - KEPT:
            return _detail("missing", "This request is no longer stored.")
        show = (lambda it: it) if self._options.persons else redact
        request, response = show(call.request_json), show(call.response_json)
        return _detail("request", call, request, response, self._options.persons)

    def _order(self, order: Order | None, parcel: Parcel | None) -> str:
        control, reference = self._control, order.reference_number if order else ""
        people = people_in(order.payload) if order else {}
        if not self._options.persons:
            people = {
                role: {name: cover(name, text) for name, text in party.items()}
                for role, party in people.items()
            }
        calls = control.store.latest_calls(ROWS, reference) if reference else []
        return _detail(
            "order",
            order,
            control.journey_of(parcel) if parcel else None,
            people,
            self._options.persons,
            control.store.bought(reference),
            [call for call in calls if call.about == reference][:12],
            [sent for sent in control.deliveries() if parcel and sent.about == parcel.waybill][:12],
        )


def _detail(macro: str, *values: object) -> str:
    rendered: str = getattr(environment().get_template("details.html").module, macro)(*values)
    return rendered
