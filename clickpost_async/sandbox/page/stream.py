"""What one browser shows, and what has changed since it was last sent.

A window remembers the rows it has sent, no events: a browser that is slow to read misses states in
between, and costs no memory.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

from attrs import define, field, frozen
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from clickpost_async.sandbox.control import SandboxControl
from clickpost_async.sandbox.operation import JSON
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
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(formatting.FILTERS)
    return made


@frozen(kw_only=True)
class ViewOptions:
    """What a browser wants to see: rows with a text in them, one thing opened, persons or not."""

    search: str = ""
    shown: str = ""
    persons: bool = False


@define
class PageStream:
    """One browser's view; `news` is what changed."""

    _control: SandboxControl
    _templates: Environment
    _options: ViewOptions
    _rows: dict[str, dict[str, object]] = field(factory=dict, init=False)
    _parts: dict[str, str] = field(factory=dict, init=False)
    _seen: object = field(default=None, init=False)

    def news(self) -> JSON | None:
        """Return the rows and parts that differ from those sent last; None if none does."""
        seen = self._control.changes()
        if seen == self._seen:
            return None
        self._seen = seen
        lists = {name: self._list(name, rows) for name, rows in self._lists().items()}
        parts = {name: part for name, part in self._rendered() if self._parts.get(name) != part}
        self._parts |= parts
        return {"lists": {name: rows for name, rows in lists.items() if rows}, "parts": parts}

    def _lists(self) -> Mapping[str, Sequence[tuple[str, object]]]:
        control, search = self._control, self._options.search
        store = control.store
        return {
            "requests": [(str(call.id), call) for call in store.latest_calls(ROWS, search)],
            "orders": [(row.key, row) for row in store.order_list(ROWS, search)],
            "ledger": [(str(label.id), label) for label in store.purchases(ROWS, search)],
            "returns": [(note.about, note) for note in control.return_requests(ROWS, search)],
            "webhooks": [(str(sent.id), sent) for sent in control.deliveries()[:ROWS]],
        }

    def _list(self, name: str, rows: Sequence[tuple[str, object]]) -> JSON | None:
        before, now = self._rows.get(name), dict(rows)
        if before == now:
            return None
        self._rows[name] = now
        other = {
            key: self._write("rows", name, it)
            for key, it in now.items()
            if not before or before.get(key) != it
        }
        return {"keys": list(now), "rows": other}

    def _rendered(self) -> Iterable[tuple[str, str]]:
        control = self._control
        for name in ("totals", "clock", "faults", "hooks"):
            yield name, self._write("parts", name, control)
        yield "detail", self._detail()

    def _detail(self) -> str:
        kind, _, name = self._options.shown.partition("/")
        if kind == "request":
            return self._request(name)
        control, store, order = self._control, self._control.store, None
        if kind == "order":
            order = store.one(Order, reference_number=name)
            if order is None:
                return self._write("details", "missing", "There is no such order.")
            parcel = control.parcel(order.waybill or "", order.courier_partner)
            return self._order(order, parcel)
        if kind == "parcel":
            parcel = store.one(Parcel, waybill=name)
            if parcel is None:
                return self._write("details", "missing", "There is no such parcel.")
            return self._order(None, parcel)
        return ""

    def _request(self, name: str) -> str:
        is_number = re.fullmatch(r"[0-9]{1,15}", name)
        store = self._control.store
        call = store.one(LoggedCall, id=int(name)) if is_number else None
        if call is None or call.id <= store.call_counts()[0] - KEPT:
            return self._write("details", "missing", "This request is no longer stored.")
        show = (lambda it: it) if self._options.persons else redact
        request, response = show(call.request_json), show(call.response_json)
        return self._write("details", "request", call, request, response, self._options.persons)

    def _order(self, order: Order | None, parcel: Parcel | None) -> str:
        control, reference = self._control, order.reference_number if order else ""
        people = people_in(order.payload) if order else {}
        if not self._options.persons:
            people = {
                role: {name: cover(name, text) for name, text in party.items()}
                for role, party in people.items()
            }
        calls = control.store.latest_calls(ROWS, reference) if reference else []
        return self._write(
            "details",
            "order",
            order,
            control.journey_of(parcel) if parcel else None,
            people,
            self._options.persons,
            control.store.bought(reference),
            [call for call in calls if call.about == reference][:12],
            [sent for sent in control.deliveries() if parcel and sent.about == parcel.waybill][:12],
        )

    def _write(self, file: str, macro: str, *values: object) -> str:
        module = self._templates.get_template(f"{file}.html").module
        return str(getattr(module, macro)(*values))
