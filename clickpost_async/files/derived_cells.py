"""Fills in the cells that a column map derives from others: [by] and [compute]."""

from collections.abc import Mapping, Sequence
from decimal import Decimal, DivisionByZero, InvalidOperation

from attrs import evolve, frozen

from clickpost_async.files.cells import BadCellError, strip_blanks
from clickpost_async.files.column_map import ColumnMap
from clickpost_async.files.map_entries import Formula, decimal_text, to_decimal
from clickpost_async.files.order_rows import RowProblem, TableRow

_ITEM = "item_"
_QUANTITY = "item_quantity"


@frozen
class CellPlaces:
    """Where the cells of a row are: by the name of a column of the file, or of ours.

    `own` are the columns of ours alone, `fixed` the values of those that the map fixes.
    """

    _by_name: Mapping[str, int | None]
    _own: Mapping[str, int]
    _fixed: Mapping[str, str]

    def cell(self, cells: Sequence[str], name: str) -> str:
        """Return the cell of a column of the file, or of ours; blank if there is none."""
        index = self._by_name.get(name)
        return "" if index is None or index >= len(cells) else cells[index]

    def fixed_cell(self, name: str) -> str:
        """Return the fixed value of a column of ours."""
        return self._fixed.get(name, "")

    def place(self, ours: str) -> int | None:
        """Return the index of a column of ours."""
        return self._own.get(ours)


def fill_derived_cells(
    lines: Sequence[TableRow],
    reasons: Sequence[str | None],
    columns: ColumnMap,
    places: CellPlaces,
) -> list[TableRow]:
    """Return the rows of one order with their empty cells looked up and computed.

    `reasons` says for each row why its item is skipped; `None`: it is not.
    """
    return _Derivation(lines, reasons, columns, places).rows


class _Derivation:
    """Fills in the empty cells of one order."""

    def __init__(
        self,
        lines: Sequence[TableRow],
        reasons: Sequence[str | None],
        columns: ColumnMap,
        places: CellPlaces,
    ) -> None:
        self._places = places
        self._cells = [list(line.cells) for line in lines]
        self._problems: dict[int, list[RowProblem]] = {}
        self._numbers = [line.number for line in lines]
        # Rows that cannot be read have no cells.
        readable = [index for index, line in enumerate(lines) if line.cells and not line.problems]
        self._order = readable
        self._items = [index for index in readable if reasons[index] is None]
        if readable:
            self._look_up(columns, items=True)
            for ours, formula in columns.compute.items():
                if places.place(ours) is not None:
                    self._compute(ours, formula)
            self._look_up(columns, items=False)
        self.rows = [
            evolve(
                line, cells=cells, problems=(*line.problems, *self._problems.get(line.number, ()))
            )
            for line, cells in zip(lines, self._cells, strict=True)
        ]

    def _look_up(self, columns: ColumnMap, *, items: bool) -> None:
        for key, table in columns.by.items():
            if key.startswith(_ITEM) is not items:
                continue
            for index in self._items if items else self._order[:1]:
                value = self._value(index, key) if items else self._first(key)
                for ours, cell in table.find(value).items():
                    self._fill(index, ours, cell)

    def _compute(self, ours: str, formula: Formula) -> None:
        try:
            if ours.startswith(_ITEM):
                for index in self._items:
                    self._set(index, ours, self._row_value(index, formula))
            elif formula.when_cod and self._order_type() not in ("", "COD"):
                self._put(ours, "0")
            elif not self._first_filled(ours):
                self._set(self._order[0], ours, self._order_value(formula))
        except _CannotComputeError as error:
            self._problem(error.index, error.column, f"{ours} cannot be computed: {error}")

    def _order_value(self, formula: Formula) -> Decimal | None:
        if formula.when_cod and not self._order_type():
            return None
        rows = self._items or self._order
        if not formula.reduce:
            values = {self._row_value(index, formula) for index in rows} - {None}
            if len(values) > 1:
                raise _CannotComputeError(rows[-1], formula.names[0], "it differs between rows")
            return next(iter(values)) if values else self._fixed_value(formula)
        values_by_row = [self._row_value(index, formula) for index in rows]
        values_known = [value for value in values_by_row if value is not None]
        if not values_known:
            return None
        is_of_items = any(name.startswith(_ITEM) for name in formula.names)
        if is_of_items and len(values_known) < len(rows):
            index = rows[values_by_row.index(None)]
            raise _CannotComputeError(index, formula.names[0], "it is missing here")
        if formula.reduce == "max":
            return max(values_known)
        times = [self._quantity(index) if is_of_items else Decimal(1) for index in rows]
        return sum(
            (
                value * time
                for value, time in zip(values_by_row, times, strict=True)
                if value is not None
            ),
            start=Decimal(0),
        )

    def _order_type(self) -> str:
        return strip_blanks(self._first("order_type")).upper()

    def _put(self, ours: str, cell: str) -> None:
        """Set a field of the order in all of its rows."""
        place = self._places.place(ours)
        if place is not None:
            for index in self._order:
                self._cells[index][place] = ""
            self._cells[self._order[0]][place] = cell

    def _fixed_value(self, formula: Formula) -> Decimal | None:
        """Return the fixed value of the formula's only column."""
        if len(formula.names) != 1:
            return None
        (name,) = formula.names
        try:
            return to_decimal(self._places.fixed_cell(name))
        except BadCellError as error:
            raise _CannotComputeError(self._order[0], name, str(error)) from None

    def _row_value(self, index: int, formula: Formula) -> Decimal | None:
        """Return the sum of a formula's terms in a row, `None` if all of them are blank."""
        terms = [(sign, self._number(index, name)) for sign, name in formula.terms]
        if all(value is None for _, value in terms):
            return None
        total = sum((sign * (value or Decimal(0)) for sign, value in terms), start=Decimal(0))
        if formula.divisor is None:
            return total
        divisor = self._number(index, formula.divisor)
        try:
            quotient = total / (Decimal(1) if divisor is None else divisor)
        except (DivisionByZero, InvalidOperation):
            raise _CannotComputeError(index, formula.divisor, "it is 0") from None
        return quotient.quantize(Decimal("0.01"))

    def _quantity(self, index: int) -> Decimal:
        quantity = self._number(index, _QUANTITY)
        return Decimal(1) if quantity is None else quantity

    def _number(self, index: int, name: str) -> Decimal | None:
        try:
            return to_decimal(self._value(index, name))
        except BadCellError as error:
            raise _CannotComputeError(index, name, str(error)) from None

    def _value(self, index: int, name: str) -> str:
        cell = self._places.cell(self._cells[index], name)
        if strip_blanks(cell):
            return cell
        return self._places.fixed_cell(name) if name.startswith(_ITEM) else ""

    def _first(self, ours: str) -> str:
        return self._first_filled(ours) or self._places.fixed_cell(ours)

    def _first_filled(self, ours: str) -> str:
        for index in self._order:
            cell = self._places.cell(self._cells[index], ours)
            if strip_blanks(cell):
                return cell
        return ""

    def _fill(self, index: int, ours: str, cell: str) -> None:
        place = self._places.place(ours)
        if place is not None and not strip_blanks(self._cells[index][place]):
            self._cells[index][place] = cell

    def _set(self, index: int, ours: str, number: Decimal | None) -> None:
        if number is not None:
            self._fill(index, ours, decimal_text(number))

    def _problem(self, index: int, column: str, message: str) -> None:
        number = self._numbers[index]
        self._problems.setdefault(number, []).append(
            RowProblem(row=number, column=column, message=message)
        )


class _CannotComputeError(ValueError):
    """A value that a formula cannot use: its row and column, and why."""

    def __init__(self, index: int, column: str, message: str) -> None:
        super().__init__(message)
        self.index = index
        self.column = column
