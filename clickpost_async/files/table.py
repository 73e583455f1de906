"""The rows of a table below its headings, grouped to orders."""

import re
from collections.abc import Iterator, Mapping, Sequence

from attrs import define, evolve, field, frozen

from clickpost_async.files.cells import BadCellError, CellContext, CellKind, read_cell, strip_blanks
from clickpost_async.files.columns import Column
from clickpost_async.files.header import Heading
from clickpost_async.files.order_builder import build, is_further_item
from clickpost_async.files.order_columns import OrderColumns
from clickpost_async.files.order_rows import WHOLE_ROW, OrderRow, RowProblem, SourceRow, TableRow
from clickpost_async.files.text import UnreadableLineError

# An order with more rows is a sign of a damaged file.
_MAX_ROWS = 1000
_TOTALS = frozenset({"total", "totals", "total:", "grand total", "subtotal", "sub total", "sum"})
# A code of these characters with a digit in it is read as it is: it stands for no absent value, and
# for no error of a spreadsheet.
IS_PLAIN_CODE = re.compile(r"[A-Za-z_-]*\d[\w-]*", re.ASCII).fullmatch
# Columns for people.
_REMARKS = frozenset({"note", "reason", "advice"})


@define(kw_only=True)
class Layout:
    """How the rows of a table are read: its headings, and the fixed values of other columns.

    `width` is the number of columns; `ignores_others`: columns without a name are not used.
    """

    headings: Sequence[Heading]
    width: int
    fixed: Mapping[Column, str] = field(factory=dict)
    ignores_others: bool = False
    columns: OrderColumns = field(init=False)
    remarks: Sequence[int] = field(init=False)
    _named: frozenset[int] = field(init=False)
    _reference: Heading = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.columns = OrderColumns(self.headings, self.fixed)
        self.remarks = [each.index for each in self.headings if each.column.name in _REMARKS]
        self._named = frozenset(heading.index for heading in self.headings)
        self._reference = next(heading for heading in self.headings if heading.is_reference)

    def line(self, number: int, cells: Sequence[str] | UnreadableLineError) -> TableRow:
        """Return a row of the table with the problems of the row as a whole."""
        if isinstance(cells, UnreadableLineError):
            return evolve(_bad_line(number, WHOLE_ROW, str(cells)), count=cells.rows)
        key = self._reference
        reference = _read_reference(cells[key.index]) if key.index < len(cells) else None
        if reference is not None and reference.casefold() in _TOTALS:
            return _bad_line(number, WHOLE_ROW, "seems to be a row of totals; remove it", reference)
        if len(cells) > len(self.headings):
            for index, cell in enumerate(cells):
                if self._is_misplaced(index, cell):
                    message = "a value in a column without a name; is there a delimiter too many?"
                    return _bad_line(number, f"column {index + 1}", message, reference)
        notes: tuple[RowProblem, ...] = ()
        if len(cells) < self.width:
            # Excel omits cells at the end of rows if they are empty in several rows.
            message = f"the row has {len(cells)} of {self.width} values; the others are empty"
            notes = (RowProblem(row=number, column=WHOLE_ROW, message=message),)
            cells = (*cells, *[""] * (self.width - len(cells)))
        line = TableRow(number=number, cells=cells, reference=reference, notes=notes)
        if reference is None and is_further_item(line, self.headings):
            message = "missing; further items of an order repeat its reference"
            return evolve(_bad_line(number, key.title, message), is_further_item=True)
        if not strip_blanks(cells[key.index]):
            message = "missing; every order needs one, and totals and remarks have to be removed"
            return _bad_line(number, key.title, message)
        return line

    def _is_misplaced(self, index: int, cell: str) -> bool:
        is_unused = self.ignores_others and index < self.width
        return index not in self._named and not is_unused and bool(strip_blanks(cell))


@frozen
class Group:
    """The rows of one order; `skipped` of them are items that a column map skips."""

    lines: Sequence[TableRow]
    layout: Layout
    source: tuple[SourceRow, ...] = ()
    header: Sequence[str] = ()
    skipped: int = 0

    @property
    def number(self) -> int:
        """Return the first row."""
        return self.lines[0].number

    @property
    def reference(self) -> str | None:
        """Return the reference number, if it can be read."""
        return self.lines[0].reference

    @property
    def digest(self) -> int:
        """Return a hash of the contents of all columns but `note`."""
        remarks = self.layout.remarks
        if not remarks:
            return hash(tuple([tuple(line.cells) for line in self.lines]))
        rows = [list(line.cells) for line in self.lines]
        for row in rows:
            for index in remarks if row else ():
                row[index] = ""
        return hash(tuple(map(tuple, rows)))

    def build(self, context: CellContext) -> OrderRow:
        """Build an order from the rows."""
        return build(
            self.lines,
            self.layout.columns,
            context,
            source=self.source,
            header=self.header,
            skipped=self.skipped,
        )


def _bad_line(number: int, column: str, message: str, reference: str | None = None) -> TableRow:
    problem = RowProblem(row=number, column=column, message=message)
    return TableRow(number=number, reference=reference, problems=(problem,))


# Notes on a reference are reported when its order is built.
_UNHEARD = CellContext()


def _read_reference(cell: str) -> str | None:
    if IS_PLAIN_CODE(cell):
        return cell
    try:
        value = read_cell(cell, CellKind.CODE, _UNHEARD)
    except BadCellError:
        # Rows with the same damage may be one order; rows without any number are not.
        return None if cell.startswith("\x00") else strip_blanks(cell)
    finally:
        _UNHEARD.clear()
    return None if value is None else str(value)


def group_lines(lines: Iterator[TableRow], layout: Layout) -> Iterator[Group]:
    """Group the rows of each order, with unreadable rows between them."""
    group: list[TableRow] = []
    doubtful: list[TableRow] = []
    for line in lines:
        reference = group[0].reference if group else None
        if group and (line.is_further_item or (reference and line.reference == reference)):
            group += doubtful
            doubtful = []
            if len(group) < _MAX_ROWS:
                group.append(line)
            else:
                message = f"an order has at most {_MAX_ROWS} rows"
                last = _bad_line(line.number, WHOLE_ROW, message, line.reference)
                group[-1] = evolve(last, count=group[-1].count + line.count)
        elif reference and line.reference is None and len(doubtful) < _MAX_ROWS:
            doubtful.append(line)
        else:
            yield from _split(group, doubtful, layout)
            group, doubtful = [line], []
    yield from _split(group, doubtful, layout)


def _split(
    group: Sequence[TableRow], doubtful: Sequence[TableRow], layout: Layout
) -> Iterator[Group]:
    if group:
        yield Group(group, layout)
    for line in doubtful:
        yield Group([line], layout)
