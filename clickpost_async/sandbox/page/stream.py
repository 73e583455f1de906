"""What one browser shows, and what has changed since it was last sent.

A window remembers the rows it has sent, no events: a browser that is slow to read misses states in
between, and costs no memory.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

import attrs
from attrs import define, field, frozen
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from clickpost_async.sandbox.control import SandboxControl
from clickpost_async.sandbox.operation import JSON
from clickpost_async.sandbox.page import formatting
from clickpost_async.sandbox.redaction import cover, people_in, redact
from clickpost_async.sandbox.store.orders import Order

FOLDER = Path(__file__).parent
# So many rows of each list are shown.
ROWS = 100
_CHANCES = (0.0, 0.05, 0.1, 0.25, 0.5, 1.0)
_DELAYS = (0.0, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


@cache
def environment() -> Environment:
    """Return what renders the page: everything is escaped, and a name that is missing is a bug."""
    made = Environment(
        loader=FileSystemLoader(FOLDER),
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
    _look: ViewOptions
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
        control, board, search = self._control, self._control.board, self._look.search
        return {
            "requests": [(str(call.id), call) for call in control.exchanges(ROWS, search)],
            "orders": [(line.key, line) for line in board.orders(ROWS, search)],
            "ledger": [(str(sale.id), sale) for sale in board.ledger(ROWS, search)],
            "returns": [(note.about, note) for note in board.return_requests(ROWS, search)],
            "webhooks": [(str(pushed.id), pushed) for pushed in control.deliveries()[:ROWS]],
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
        scripted = control.faults.scripted()
        chances = {fault: getattr(control.faults, fault.value) for fault in formatting.FAULTS}
        pulse = control.pulse()
        yield (
            "totals",
            self._write(
                "parts",
                "totals",
                attrs.asdict(control.board.totals()),
                control.counts(),
                pulse,
                max(10, *(calls for calls, _ in pulse)),
            ),
        )
        yield "clock", self._write("parts", "clock", control.now(), control.scan_every)
        yield (
            "faults",
            self._write(
                "parts",
                "faults",
                [
                    (fault, chance, sorted({*_CHANCES, chance}), scripted.get(fault, 0))
                    for fault, chance in chances.items()
                ],
                control.faults.latency,
                sorted({*_DELAYS, control.faults.latency}),
            ),
        )
        yield "hooks", self._write("parts", "hooks", control.webhook_urls())
        yield "detail", self._detail()

    def _detail(self) -> str:
        kind, _, name = self._look.shown.partition("/")
        if kind == "request":
            is_number = re.fullmatch(r"[0-9]{1,15}", name)
            exchange = self._control.exchange(int(name)) if is_number else None
            if exchange is None:
                return self._write("details", "gone", "This call is not kept any more.")
            show = (lambda it: it) if self._look.persons else redact
            sent, answered = show(exchange.sent), show(exchange.answered)
            return self._write("details", "request", exchange, sent, answered, self._look.persons)
        if kind not in ("order", "parcel"):
            return ""
        return self._order(name) if kind == "order" else self._parcel(name)

    def _order(self, reference: str) -> str:
        order = self._control.board.order(reference)
        if order is None:
            return self._write("details", "gone", "There is no such order.")
        return self._message(order, reference, order.waybill, order.courier_partner)

    def _parcel(self, waybill: str) -> str:
        return self._message(None, "", waybill, None)

    def _message(
        self, order: Order | None, reference: str, waybill: str | None, courier: int | None
    ) -> str:
        board = self._control.board
        try:
            way = board.journey(waybill, courier) if waybill else None
        except LookupError:
            return self._write("details", "gone", "There is no such parcel.")
        people = people_in(order.payload) if order else {}
        if not self._look.persons:
            people = {
                role: {name: cover(name, said) for name, said in party.items()}
                for role, party in people.items()
            }
        calls = self._control.exchanges(ROWS, reference) if reference else []
        pushed = [push for push in self._control.deliveries() if waybill and push.about == waybill]
        return self._write(
            "details",
            "order",
            order,
            way,
            people,
            self._look.persons,
            board.purchases(reference) if reference else [],
            [call for call in calls if call.about == reference][:12],
            pushed[:12],
        )

    def _write(self, file: str, macro: str, *values: object) -> str:
        module = self._templates.get_template(f"{file}.html").module
        return str(getattr(module, macro)(*values))
