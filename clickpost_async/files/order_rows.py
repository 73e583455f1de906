"""The orders of a file, with the problems of their rows."""

import json
import re
from collections.abc import Mapping, Sequence

from attrs import field, frozen

from clickpost_async.files.cells import shown
from clickpost_async.files.columns import COLUMNS, ITEMS, Market

WHOLE_ROW = "(whole row)"

_ITEM_PATH = re.compile(rf"{re.escape(ITEMS)}\[(\d+)\](.*)", re.DOTALL).fullmatch
# `json.dumps` would make one for each order.
_ENCODER = json.JSONEncoder(sort_keys=True, default=str)
_ELSEWHERE = {"additional": "shipment_details", "shipment_details": "additional"}


@frozen(kw_only=True)
class RowProblem:
    """A message about a file: its row as a spreadsheet counts, its column, and the text.

    Whether it is an error, a warning or a note depends on the list it is in: see `OrderRow`.
    """

    row: int
    column: str = field(converter=shown)
    message: str = field(repr=False)

    def __str__(self) -> str:
        return f"row {self.row}, {self.column}: {self.message}"


@frozen
class SourceRow:
    """A row as it is in the file; without cells if it cannot be read."""

    number: int
    cells: Sequence[str] = field(repr=False)


@frozen(kw_only=True)
class TableRow:
    """One row of a table, with the problems of the row as a whole.

    `count` is how many rows of the file it represents: one, unless lines were skipped.
    """

    number: int
    cells: Sequence[str] = ()
    reference: str | None = None
    problems: tuple[RowProblem, ...] = ()
    warnings: tuple[RowProblem, ...] = ()
    notes: tuple[RowProblem, ...] = ()
    is_further_item: bool = False
    count: int = 1


@frozen(kw_only=True)
class OrderRow:
    """One order of a file.

    Attributes:
        number: Its first row, as a spreadsheet counts; `last`, its last one.
        row_count: How many rows of the file it has.
        market: Whether it is for India or the world.
        reference: Its reference number.
        order: Its wire payload, `None` where there are problems.
        problems: Errors, for which it is not sent.
        warnings: Values that are likely wrong, and are sent unchanged.
        notes: Values that were normalised, with the original and the value that is sent.
        is_heading: It is not an order, but an error of the headings or the file as a whole.
        source: Its rows as they are in the file, with those of skipped items.
        header: The names of their columns as in the file; JSON Lines have none.

    """

    number: int
    last: int
    market: Market
    reference: str | None = field(default=None, repr=False)
    order: Mapping[str, object] | None = field(default=None, repr=False)
    problems: tuple[RowProblem, ...] = ()
    warnings: tuple[RowProblem, ...] = field(default=(), repr=False)
    notes: tuple[RowProblem, ...] = field(default=(), repr=False)
    row_count: int = 1
    is_heading: bool = False
    source: tuple[SourceRow, ...] = field(default=(), repr=False)
    header: Sequence[str] = field(default=(), repr=False)
    item_rows: tuple[int, ...] = field(default=(), repr=False)
    titles: Mapping[str, str] | None = field(default=None, repr=False)

    @property
    def digest(self) -> int:
        """Return a hash of the contents of the order."""
        return hash(_ENCODER.encode(self.order))

    def locate(self, path: str, message: str) -> RowProblem:
        """Return the problem with the row and column of the value at a path of the order.

        Args:
            path: The path of the field in the order.
            message: What is wrong with it.

        """
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


def invalid_row(*problems: RowProblem, row_count: int = 1, is_heading: bool = False) -> OrderRow:
    """Return a row that is not an order, only problems."""
    numbers = [problem.row for problem in problems]
    return OrderRow(
        number=min(numbers),
        last=max(numbers),
        market=Market.INDIA,
        problems=problems,
        row_count=row_count,
        is_heading=is_heading,
    )
