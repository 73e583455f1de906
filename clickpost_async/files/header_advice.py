"""Suggestions for a file whose columns cannot be used as they are."""

from collections.abc import Iterator, Sequence
from typing import BinaryIO

from attrs import evolve

from clickpost_async.files.cells import shown
from clickpost_async.files.column_map import ColumnMap
from clickpost_async.files.delimited import Record
from clickpost_async.files.header import Heading, suggest_column
from clickpost_async.files.mapped_table import MappedTable
from clickpost_async.files.text import UnreadableLineError
from clickpost_async.files.xlsx import sheet_names, sheet_rows

# Separators of columns that are not detected.
_OTHER_DELIMITERS = "~^:#"
_MIN_DELIMITERS = 3
_MAX_NAMED = 5


def suggest_header(
    titles: Sequence[str],
    ahead: Sequence[Record],
    columns: ColumnMap,
    workbook: BinaryIO | None = None,
) -> Iterator[str]:
    """Suggest where the names of the columns are, if the row that was read has others.

    `ahead` are the rows below it; `workbook` is the file, if no sheet of it was chosen.
    """
    if len(titles) == 1 and (mark := _other_delimiter(titles[0])):
        yield f"the columns seem to be separated by {mark}: add a first line sep={mark}"
        return
    for row, cells in ahead:
        if not isinstance(cells, UnreadableLineError) and _has_reference(cells, columns):
            yield f"row {row} seems to hold the headings: pass header_row={row}"
            return
    if workbook is None or len(names := sheet_names(workbook)) < 2:
        return
    holding = [name for name in names if _holds_orders(workbook, name, columns)]
    if len(holding) == 1:
        yield f"the sheet {holding[0]} seems to hold the orders: pass sheet=…"
    else:
        yield f"the workbook has the sheets {', '.join(names)}: pass sheet=…"


def _other_delimiter(line: str) -> str | None:
    mark = max(_OTHER_DELIMITERS, key=line.count)
    return mark if line.count(mark) >= _MIN_DELIMITERS else None


def describe_unknown(titles: Sequence[str]) -> str | None:
    """Describe a row that seems to hold no headings at all, in place of a message for each cell.

    `None` if a cell is similar to the name of a column.
    """
    if any(map(suggest_column, filter(None, titles))):
        return None
    named = [shown(title) for title in titles if title]
    first = ", ".join(named[:_MAX_NAMED])
    more = " …" if len(named) > _MAX_NAMED else ""
    return (
        f"no cell of it is the name of a known column ({first}{more}); "
        "the row above the orders has to name the columns"
    )


def find_other_sheets(workbook: BinaryIO, columns: ColumnMap) -> Sequence[str]:
    """Return the visible sheets that hold orders, if they are more than one."""
    names = sheet_names(workbook)
    if len(names) < 2:
        return ()
    found = [name for name in names if _holds_orders(workbook, name, columns)]
    return found if len(found) > 1 else ()


def _holds_orders(workbook: BinaryIO, sheet: str, columns: ColumnMap) -> bool:
    workbook.seek(0)
    rows = sheet_rows(workbook, sheet)
    first = next(rows, None)
    return first is not None and _has_reference(first.cells, columns) and any(True for _ in rows)


def _has_reference(titles: Sequence[str], columns: ColumnMap) -> bool:
    headings: list[Heading] = []
    list(MappedTable(evolve(columns, ignore_others=True), titles).read_headings(headings))
    return any(heading.is_reference for heading in headings)
