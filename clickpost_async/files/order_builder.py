"""Combines the rows of a table to one order: reads its cells, and nests their values."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

from attrs import define

from clickpost_async.files.cells import (
    BadCellError,
    CellContext,
    CellKind,
    Value,
    read_cell,
    shown,
    strip_blanks,
)
from clickpost_async.files.columns import COLUMNS, ITEMS, Column, Market, fold_choice
from clickpost_async.files.header import Heading
from clickpost_async.files.order_columns import (
    COUNTRY_PATHS,
    ITEM_FIELDS,
    NOT_SENT,
    ColumnField,
    OrderColumns,
)
from clickpost_async.files.order_rows import (
    WHOLE_ROW,
    OrderRow,
    RowProblem,
    SourceRow,
    TableRow,
)
from clickpost_async.files.phones import read_phone
from clickpost_async.files.places import read_country, read_indian_state
from clickpost_async.structures._market import market_of_countries

# ClickPost expects an empty text for countries without postal codes (API document, v4).
_BLANK_IN_THE_WORLD = ("pickup_info.postal_code", "drop_info.postal_code")
# Kinds whose values depend on the market, or on the choices of the column.
_NORMALISED = frozenset({CellKind.TEXT, CellKind.COUNTRY, CellKind.STATE, CellKind.POSTCODE})
_COD_VALUE = "shipment_details.cod_value"
_PINCODE = re.compile(r"[1-9][\d \-]*", re.ASCII).fullmatch


def build(
    lines: Sequence[TableRow],
    columns: OrderColumns,
    context: CellContext,
    *,
    source: tuple[SourceRow, ...] = (),
    header: Sequence[str] = (),
    skipped: int = 0,
) -> OrderRow:
    """Build one order from the consecutive lines that have the same reference.

    `source` and `header` are as in the file; `skipped` of the lines are not counted.
    """
    group = _OrderBuilder(lines, columns, context)
    return OrderRow(
        number=lines[0].number,
        last=lines[-1].number,
        market=group.market,
        reference=lines[0].reference,
        order=None if group.problems else group.order(),
        problems=_sorted(group.problems),
        warnings=_sorted(group.warnings),
        notes=_sorted(group.notes),
        row_count=sum(line.count for line in lines) - skipped,
        source=source,
        header=header,
        item_rows=tuple(group.items),
        titles=group.titles,
    )


def _sorted(problems: Sequence[RowProblem]) -> tuple[RowProblem, ...]:
    return tuple(sorted(problems, key=lambda problem: problem.row)) if problems else ()


@define(eq=False)
class _Source:
    """The row and column of a value, for messages."""

    row: int
    title: str
    is_fixed: bool = False


class _OrderBuilder:
    """The lines of one order: values by path, those of items also by row."""

    def __init__(
        self,
        lines: Sequence[TableRow],
        columns: OrderColumns,
        context: CellContext,
    ) -> None:
        self.problems = [problem for line in lines for problem in line.problems]
        self.warnings = [warning for line in lines for warning in line.warnings]
        self.notes = [note for line in lines for note in line.notes]
        whole = [line for line in lines if not line.problems]
        if len(whole) > 1:
            self.warnings += _repeated_rows(whole)
        self._columns = columns
        self._context = context
        self.market = self._market(whole)
        self.titles = columns.titles(self.market)
        self.items: dict[int, dict[str, Value]] = {}
        self._fields: dict[str, Value] = {}
        # The first row and column of each value.
        self._sources: dict[str, tuple[int, str]] = {}
        self._phones: dict[str, _Source] = {}
        fields = columns.fields(self.market)
        for line in whole:
            self._read(line, fields)
        for column, cell in columns.fixed.items():
            self._fix(lines[0].number, column, cell)
        for path, source in self._phones.items():
            self._read_phone(path, source)
        self._read_blank_cod(lines[0].number)

    def order(self) -> Mapping[str, object]:
        """Return the nested payload."""
        fields: dict[str, object] = dict(self._fields)
        if self.market is Market.WORLD:
            for path in _BLANK_IN_THE_WORLD:
                if path in self.titles:
                    fields.setdefault(path, "")
        if self.items:
            fields[ITEMS] = [nest(item) for item in self.items.values()]
        return nest(fields)

    # --- India or world ---------------------------------------------------------------------------

    def _market(self, lines: Iterable[TableRow]) -> Market:
        """Return the market of the column `market`, else that of the countries."""
        for line in lines:
            for heading in self._columns.markets:
                if text := strip_blanks(line.cells[heading.index]):
                    if text.lower() in list(Market):
                        return Market(text.lower())
                    self._wrong(_Source(line.number, heading.title), "india or world is needed")
        for column, cell in self._columns.fixed.items():
            if column.name == "market" and cell.lower() in list(Market):
                return Market(cell.lower())
        return market_of_countries(self._countries(lines))

    def _countries(self, lines: Iterable[TableRow]) -> Iterator[str]:
        filled: set[str] = set()
        for line in lines:
            for heading in self._columns.countries:
                if country := _country(line.cells[heading.index]):
                    filled |= heading.column.paths
                    yield country
        for column, cell in self._columns.fixed.items():
            if column.paths & COUNTRY_PATHS and not column.paths & filled:
                yield _country(cell)

    # --- cells ------------------------------------------------------------------------------------

    def _fix(self, row: int, column: Column, cell: str) -> None:
        path = column.path(self.market)
        if path is None:
            return
        source = _Source(row, column.name, is_fixed=True)
        before = len(self.warnings)
        try:
            value = self._value(source, column, cell)
        except BadCellError as bad:
            self.problems.append(RowProblem(row=row, column=column.name, message=f"fixed: {bad}"))
            return
        if value is None:
            return
        self.titles.setdefault(path, column.name)
        if path.startswith(ITEM_FIELDS):
            if not self.items:
                # In a file without item columns every order has one item.
                self.items[row] = {}
            name = path.removeprefix(ITEM_FIELDS)
            is_used = [item.setdefault(name, value) is value for item in self.items.values()]
        else:
            is_used = [path not in self._fields]
            self._fields.setdefault(path, value)
            if is_used[0] and column.kind is CellKind.PHONE:
                self._phones[path] = source
        if not any(is_used):
            del self.warnings[before:]

    def _read(self, line: TableRow, fields: Sequence[ColumnField]) -> None:
        cells, row = line.cells, line.number
        known, market = self._context.known, self.market
        for each in fields:
            cell = cells[each.index]
            if not cell:
                continue
            value = known.get((each.column.name, market, cell))
            if value is None:
                source = _Source(row, each.title)
                try:
                    value = self._value(source, each.column, cell)
                except BadCellError as bad:
                    self._wrong(source, str(bad))
                    continue
                if value is None:
                    continue
            if each.item_path is not None:
                self._take_item(row, each, value)
            elif each.path is not None:
                if each.path in self._fields:
                    self._compare(row, each.path, each.title, value)
                else:
                    self._fields[each.path] = value
                    self._sources[each.path] = row, each.title
                if each.column.kind is CellKind.PHONE and each.path not in self._phones:
                    self._phones[each.path] = _Source(row, each.title)
            else:
                message = f"an order for {market} has no such field; leave it empty"
                self._wrong(_Source(row, each.title), message)

    def _value(self, source: _Source, column: Column, cell: str) -> Value | None:
        """Read a cell by its column and market."""
        context = self._context
        key = (column.name, self.market, cell)
        if key in context.known:
            return context.known[key]
        try:
            value = read_cell(cell, column.kind, context)
            if column.kind in _NORMALISED and isinstance(value, str):
                plain = self._normalise(column, value)
                if plain != value:
                    context.note(value, plain)
                value = plain
        except BadCellError:
            context.clear()
            raise
        if context.notes or context.warnings:
            for message in context.notes:
                self._note(source, message)
            self.warnings += [self._say(source, message) for message in context.warnings]
            context.clear()
        elif not isinstance(value, list):
            context.remember(key, value)
        return value

    def _normalise(self, column: Column, text: str) -> str:
        if column.choices:
            return column.choices.get(fold_choice(text), text)
        match column.kind:
            case CellKind.COUNTRY:
                return read_country(text)
            case CellKind.STATE if self.market is Market.INDIA:
                if text.isdigit():
                    self._context.warnings.append("a number where the name of a state is needed")
                return read_indian_state(text)
            case CellKind.POSTCODE if self.market is Market.INDIA and _PINCODE(text):
                return re.sub(r"\D", "", text)
            case _:
                return text

    def _read_phone(self, path: str, source: _Source) -> None:
        text = self._fields.get(path)
        if not isinstance(text, str):
            return
        party = path.rpartition(".")[0]
        is_india = self.market is Market.INDIA
        country = "IN" if is_india else str(self._fields.get(f"{party}.country_code", ""))
        try:
            phone = read_phone(text, country)
        except BadCellError as bad:
            self._wrong(source, str(bad))
            return
        if not phone.is_valid:
            where = f"of {country}" if country else "with a dialling code"
            self.warnings.append(self._say(source, f"does not look like a phone number {where}"))
            return
        if phone.code is not None and not self._set_dialling_code(path, source, phone.code):
            return
        if phone.number != text:
            self._fields[path] = phone.number
            self._note(source, f"{shown(text)} read as {phone.number}")

    def _set_dialling_code(self, path: str, source: _Source, code: str) -> bool:
        place = f"{path}_code"
        if place not in COLUMNS.by_path:
            # There is no field for it: the number stays unchanged.
            return False
        present = self._fields.get(place)
        if present is None:
            self._fields[place] = code
            self._note(source, f"dialling code {code} put into {place}")
        elif str(present).lstrip("+0") != code.lstrip("+"):
            self._wrong(source, f"has the dialling code {code}, and {place} another; correct one")
            return False
        return True

    def _read_blank_cod(self, row: int) -> None:
        is_prepaid = self._fields.get("shipment_details.order_type") == "PREPAID"
        if is_prepaid and _COD_VALUE not in self._fields and not self.problems:
            self._fields[_COD_VALUE] = 0
            if title := self.titles.get(_COD_VALUE):
                self._note(_Source(row, title), "blank read as 0, since the order is PREPAID")

    def _compare(self, row: int, path: str, title: str, value: Value) -> None:
        """Report a value that differs from the first one of its field."""
        if self._fields[path] == value:
            return
        first_row, first_title = self._sources[path]
        if first_row == row:
            message = f"differs from column {first_title}; fill in one of the two"
        else:
            message = (
                f"differs from row {first_row}, which has the same reference; "
                "further rows of an order repeat its fields or leave them empty"
            )
        self._wrong(_Source(row, title), message)

    def _take_item(self, row: int, each: ColumnField, value: Value) -> None:
        assert each.item_path is not None  # noqa: S101 - the caller has looked
        item = self.items.setdefault(row, {})
        if item.setdefault(each.item_path, value) != value:
            message = "differs from another column for the same field; fill in one"
            self._wrong(_Source(row, each.title), message)

    def _wrong(self, source: _Source, message: str) -> None:
        self.problems.append(self._say(source, message))

    def _note(self, source: _Source, message: str) -> None:
        # Values that a map fixes for all orders need no notes.
        if not source.is_fixed:
            self.notes.append(self._say(source, message))

    def _say(self, source: _Source, message: str) -> RowProblem:
        return RowProblem(row=source.row, column=source.title, message=message)


@lru_cache(1024)
def _country(cell: str) -> str:
    """Return the country of a cell as it will be sent, empty for an empty cell."""
    try:
        return read_country(str(read_cell(cell, CellKind.COUNTRY) or ""))
    except BadCellError:
        return cell


def _repeated_rows(lines: Sequence[TableRow]) -> Iterator[RowProblem]:
    seen: dict[Sequence[str], int] = {}
    for line in lines:
        first = seen.setdefault(tuple(line.cells), line.number)
        if first != line.number:
            message = f"the same as row {first}; both are read as rows of this order"
            yield RowProblem(row=line.number, column=WHOLE_ROW, message=message)


def nest(fields: Mapping[str, object]) -> dict[str, object]:
    """Convert values by dotted path to nested objects."""
    tree: dict[str, object] = {}
    branches: dict[str, dict[str, object]] = {"": tree}
    for path, value in fields.items():
        parent, leaf = _split(path)
        branch = branches.get(parent)
        if branch is None:
            branch = _branch(branches, parent)
        branch[leaf] = value
    return tree


@lru_cache(maxsize=4096)
def _split(path: str) -> tuple[str, str]:
    parent, _, leaf = path.rpartition(".")
    return parent, leaf


def _branch(branches: dict[str, dict[str, object]], path: str) -> dict[str, object]:
    if path not in branches:
        parent, leaf = _split(path)
        _branch(branches, parent)[leaf] = branches[path] = {}
    return branches[path]


def is_further_item(line: TableRow, headings: Sequence[Heading]) -> bool:
    """Return whether only fields of an item are filled in."""
    filled = [h for h in headings if strip_blanks(line.cells[h.index])]
    return all(heading.belongs_to_items or heading.column.name in NOT_SENT for heading in filled)
