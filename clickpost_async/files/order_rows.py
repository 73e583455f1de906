"""One order as it stands in a file, and how the rows of a table become one."""

import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from attrs import field, frozen

from clickpost_async.files.cells import BadCellError, Value, read_cell, strip_blanks
from clickpost_async.files.columns import COLUMNS, ITEMS, Column, Market
from clickpost_async.files.header import IGNORED, Heading

WHOLE_ROW = "(whole row)"

_SPOKEN = frozenset({"market", "note", "reason", "advice", IGNORED.name})
_NOTHING: Mapping[Column, str] = MappingProxyType({})
_COUNTRIES = frozenset(
    path for name in ("pickup_country", "drop_country") for path in COLUMNS[name].paths
)
_INDIA = ("IN", "INDIA")
# ClickPost wants a blank text where a country has no postal codes (API document, v4).
_BLANK_IN_THE_WORLD = ("pickup_info.postal_code", "drop_info.postal_code")
_ITEM_PATH = re.compile(rf"{re.escape(ITEMS)}\[(\d+)\](.*)", re.DOTALL).fullmatch
_ELSEWHERE = {"additional": "shipment_details", "shipment_details": "additional"}


@frozen(kw_only=True)
class RowProblem:
    """One mistake in a file: its row as a spreadsheet counts, its column, and what to do."""

    row: int
    column: str
    message: str

    def __str__(self) -> str:
        return f"row {self.row}, {self.column}: {self.message}"


@frozen
class SourceRow:
    """A row as it stands in the file; no cells where it cannot be read."""

    number: int
    cells: Sequence[str] = field(repr=False)


@frozen(kw_only=True)
class TableRow:
    """One row of a table, and what is wrong with it as a whole."""

    number: int
    cells: Sequence[str] = ()
    reference: str | None = None
    problems: tuple[RowProblem, ...] = ()
    is_further_item: bool = False


@frozen(kw_only=True)
class OrderRow:
    """One order of a file: `order` is its wire payload, `None` where there are problems.

    `source` is its rows as they stand in the file, and `header` the names of their columns, which
    JSON Lines have none of; `row_count` is how many of them are sent, without skipped items.
    `is_heading`: the problems are those of the first row, and no other row is read.
    """

    number: int
    last: int
    market: Market
    reference: str | None = field(default=None, repr=False)
    order: Mapping[str, object] | None = field(default=None, repr=False)
    problems: tuple[RowProblem, ...] = ()
    item_rows: tuple[int, ...] = field(default=(), repr=False)
    titles: Mapping[str, str] | None = field(default=None, repr=False)
    source: tuple[SourceRow, ...] = field(default=(), repr=False)
    header: Sequence[str] = field(default=(), repr=False)
    row_count: int = 1
    is_heading: bool = False

    def locate(self, path: str, message: str) -> RowProblem:
        """Say in which row and column of the file the value at a path of the order stands."""
        if self.titles is None:
            return RowProblem(row=self.number, column=path or WHOLE_ROW, message=message)
        row, plain = self.number, path
        if item := _ITEM_PATH(path):
            index = int(item[1])
            row = self.item_rows[index] if index < len(self.item_rows) else self.number
            plain = f"{ITEMS}{item[2]}"
        return RowProblem(row=row, column=self._title(plain) or WHOLE_ROW, message=message)

    def _title(self, path: str) -> str:
        titles = self.titles or {}
        if path == ITEMS:
            path = f"{ITEMS}.description"
        root, _, rest = path.partition(".")
        for place in (path, f"{_ELSEWHERE.get(root, root)}.{rest}"):
            if place in titles:
                return titles[place]
            for column in COLUMNS.values():
                if column.path(self.market) == place:
                    return column.name
        return path


def invalid_row(*problems: RowProblem) -> OrderRow:
    """Make a row that is no order, only problems."""
    numbers = [problem.row for problem in problems]
    return OrderRow(number=min(numbers), last=max(numbers), market=Market.INDIA, problems=problems)


def build(
    lines: Sequence[TableRow], headings: Sequence[Heading], fixed: Mapping[Column, str] = _NOTHING
) -> OrderRow:
    """Make one order of the consecutive lines that have the same reference.

    `fixed` is what columns hold where the file says nothing.
    """
    group = _OrderBuilder(lines, headings, fixed)
    problems = tuple(sorted(group.problems, key=lambda problem: problem.row))
    return OrderRow(
        number=lines[0].number,
        last=lines[-1].number,
        market=group.market,
        reference=lines[0].reference,
        order=None if problems else group.order(),
        problems=problems,
        item_rows=tuple(group.items),
        titles=group.titles,
    )


class _OrderBuilder:
    """The lines of one order: values by path, those of items also by row."""

    def __init__(
        self, lines: Sequence[TableRow], headings: Sequence[Heading], fixed: Mapping[Column, str]
    ) -> None:
        self.problems = [problem for line in lines for problem in line.problems]
        whole = [line for line in lines if not line.problems]
        self._headings = headings
        self._fixed = fixed
        self.market = self._market(whole)
        self.titles = {
            path: heading.title
            for heading in reversed(headings)
            if (path := heading.column.path(self.market))
        }
        self.items: dict[int, dict[str, Value]] = {}
        self._fields: dict[str, Value] = {}
        self._said: dict[str, tuple[int, str]] = {}
        for line in whole:
            self._read(line)
        for column, cell in fixed.items():
            self._fix(lines[0].number, column, cell)

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

    def _market(self, lines: Iterable[TableRow]) -> Market:
        market = self._fixed_market()
        for line in lines:
            for heading in self._headings:
                text = strip_blanks(line.cells[heading.index])
                if not text:
                    continue
                if heading.column.name == "market":
                    if text.lower() in list(Market):
                        return Market(text.lower())
                    self._wrong(line, heading, "india or world is needed")
                elif heading.column.paths & _COUNTRIES and text.upper() not in _INDIA:
                    market = Market.WORLD
        return market

    def _fixed_market(self) -> Market:
        for column, cell in self._fixed.items():
            if column.name == "market" and cell.lower() in list(Market):
                return Market(cell.lower())
            if column.paths & _COUNTRIES and cell.upper() not in _INDIA:
                return Market.WORLD
        return Market.INDIA

    def _fix(self, row: int, column: Column, cell: str) -> None:
        path = column.path(self.market)
        if path is None:
            return
        try:
            value = read_cell(cell, column.kind)
        except BadCellError as bad:
            self.problems.append(RowProblem(row=row, column=column.name, message=f"fixed: {bad}"))
            return
        if value is None:
            return
        self.titles.setdefault(path, column.name)
        if path.startswith(f"{ITEMS}."):
            if not self.items:
                # A file that tells nothing of items has orders of one.
                self.items[row] = {}
            for item in self.items.values():
                item.setdefault(path.removeprefix(f"{ITEMS}."), value)
        else:
            self._fields.setdefault(path, value)

    def _read(self, line: TableRow) -> None:
        for heading in self._headings:
            column = heading.column
            if column.name in _SPOKEN:
                continue
            try:
                value = read_cell(line.cells[heading.index], column.kind)
            except BadCellError as bad:
                self._wrong(line, heading, str(bad))
                continue
            if value is None:
                continue
            path = column.path(self.market)
            if path is None:
                self._wrong(
                    line, heading, f"an order for {self.market} has no such field; leave it empty"
                )
            elif heading.belongs_to_items:
                self._take_item(line, heading, path.removeprefix(f"{ITEMS}."), value)
            else:
                self._take(line, heading, path, value)

    def _take(self, line: TableRow, heading: Heading, path: str, value: Value) -> None:
        if self._fields.setdefault(path, value) == value:
            self._said.setdefault(path, (line.number, heading.title))
            return
        row, title = self._said[path]
        if row == line.number:
            self._wrong(line, heading, f"says something else than column {title}; fill in one")
        else:
            self._wrong(
                line,
                heading,
                f"differs from row {row}, which has the same reference; "
                "further rows of an order repeat its fields or leave them empty",
            )

    def _take_item(self, line: TableRow, heading: Heading, path: str, value: Value) -> None:
        item = self.items.setdefault(line.number, {})
        if item.setdefault(path, value) != value:
            self._wrong(line, heading, "another column says something else; fill in one")

    def _wrong(self, line: TableRow, heading: Heading, message: str) -> None:
        self.problems.append(RowProblem(row=line.number, column=heading.title, message=message))


def nest(fields: Mapping[str, object]) -> dict[str, object]:
    """Turn values by dotted path into objects within objects."""
    tree: dict[str, object] = {}
    branches: dict[str, dict[str, object]] = {"": tree}
    for path, value in fields.items():
        parent, _, leaf = path.rpartition(".")
        _branch(branches, parent)[leaf] = value
    return tree


def _branch(branches: dict[str, dict[str, object]], path: str) -> dict[str, object]:
    if path not in branches:
        parent, _, leaf = path.rpartition(".")
        _branch(branches, parent)[leaf] = branches[path] = {}
    return branches[path]


def is_further_item(line: TableRow, headings: Sequence[Heading]) -> bool:
    """Tell whether nothing but fields of an item is filled in."""
    filled = [h for h in headings if strip_blanks(line.cells[h.index])]
    return all(heading.belongs_to_items or heading.column.name in _SPOKEN for heading in filled)
