"""Read orders from a CSV, JSON Lines or XLSX file, one at a time and never more in memory.

A bad row never stops the reading: it becomes a `Row` whose problems name row and column. Only a
first row that cannot be trusted ends it, since every order below would lack something. Rows are
counted as a spreadsheet shows them, the names of the columns being row 1; JSON Lines by line.

CSV: comma, semicolon or tab, whichever the first row has most of; quoted values may span lines.
Text is UTF-8, with or without byte order mark, or UTF-16 with one; bytes that are not UTF-8 are
taken for Windows-1252, which is what Excel writes where it does not write UTF-8. XLSX: the first
sheet that is shown, its values and not its formulas.
"""

import csv
import io
import os
import shutil
import tempfile
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Literal, TextIO, cast

from attrs import evolve

from clickpost_async.files.cells import BadCellError, Kind, read_cell, strip_blanks
from clickpost_async.files.column_map import ColumnMap
from clickpost_async.files.counts import FileCounts
from clickpost_async.files.header import Heading, read_headings
from clickpost_async.files.jsonl import json_rows
from clickpost_async.files.mapped_table import MappedTable
from clickpost_async.files.order_rows import (
    WHOLE_ROW,
    OrderRow,
    RowProblem,
    TableRow,
    build,
    invalid_row,
    is_further_item,
)
from clickpost_async.files.text import Lines, UnreadableLineError, decode
from clickpost_async.files.xlsx import UnreadableSheetError, sheet_rows

Format = Literal["csv", "jsonl", "xlsx"]

# More rows in an order are not its items but a damaged file.
_MOST_ROWS = 1000

_ZIP = b"PK\x03\x04"
_ENDINGS: Mapping[str, Format] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".xlsx": "xlsx"}


def read_orders(
    source: str | os.PathLike[str] | TextIO | BinaryIO,
    *,
    format: Format | None = None,  # noqa: A002 - the word people look for
    columns: Mapping[str, str] | ColumnMap | None = None,
) -> "OrderReader":
    """Return the orders of a file, which are read as they are asked for: its path, or a file.

    Without `format` a name ending in `.jsonl` or `.ndjson`, or a file beginning with a brace, is
    JSON Lines, a zip archive is XLSX, and everything else is CSV. `columns` translates a file's own
    column names to ours; a `ColumnMap` does so for its values too, and says which orders are
    skipped.
    """
    if not isinstance(columns, ColumnMap):
        columns = ColumnMap(columns=dict(columns or {}))
    return OrderReader(source, format, columns)


class OrderReader(Iterator[OrderRow]):
    """The orders of a file, one by one; `counts` is what became of the rows read so far."""

    def __init__(
        self,
        source: str | os.PathLike[str] | TextIO | BinaryIO,
        format: Format | None,  # noqa: A002
        columns: ColumnMap,
    ) -> None:
        self.counts: FileCounts = FileCounts()
        self._source = source
        self._format: Format | None = format
        self._columns = columns
        self._rows = self._read()

    def __next__(self) -> OrderRow:
        return next(self._rows)

    def close(self) -> None:
        """Close the file, if it was opened here; there are no more orders then."""
        self._rows.close()

    def _read(self) -> Generator[OrderRow]:
        for row in self._open():
            if not row.is_heading:
                self.counts.add(row)
            yield row

    def _open(self) -> Iterator[OrderRow]:
        source = self._source
        if isinstance(source, str | os.PathLike):
            with Path(source).open("rb") as file:
                yield from _read(file, self._format or _format(source), self._columns, self.counts)
        else:
            name = getattr(source, "name", "")
            yield from _read(source, self._format or _format(name), self._columns, self.counts)


def read_rows(
    source: str | os.PathLike[str],
    *,
    format: Format | None = None,  # noqa: A002
) -> Iterator[tuple[int, Sequence[str]]]:
    """Yield the rows of a table as they stand in the file; JSON Lines have none."""
    with Path(source).open("rb") as file:
        raw = io.BufferedReader(cast("io.RawIOBase", file))
        kind = format or _format(source)
        if kind == "xlsx" or (kind is None and raw.peek(len(_ZIP)).startswith(_ZIP)):
            records = _sheet_records(raw)
        else:
            lines = Lines(decode(raw))
            first = lines.peek()
            if kind == "jsonl" or (kind is None and first.lstrip()[:1] in ("{", "[")):
                return
            records = _records(lines, max(",;\t", key=first.count))
        for number, cells in records:
            if not isinstance(cells, UnreadableLineError):
                yield number, cells


def _format(name: object) -> Format | None:
    return _ENDINGS.get(Path(str(name)).suffix.lower())


def _read(
    file: TextIO | BinaryIO,
    format: Format | None,  # noqa: A002
    columns: ColumnMap,
    counts: FileCounts,
) -> Iterator[OrderRow]:
    if isinstance(file.read(0), str):
        yield from _read_text(cast("TextIO", file), format, columns, counts)
        return
    # What is read ahead here is not in the file that was given, so all of it is read from here.
    raw = io.BufferedReader(cast("io.RawIOBase", file))
    try:
        if format == "xlsx" or (format is None and raw.peek(len(_ZIP)).startswith(_ZIP)):
            yield from _sheet_rows(raw, columns, counts)
            return
        text = decode(raw)
        try:
            yield from _read_text(text, format, columns, counts)
        finally:
            text.detach()
    finally:
        raw.detach()


def _read_text(
    file: TextIO,
    format: Format | None,  # noqa: A002
    columns: ColumnMap,
    counts: FileCounts,
) -> Iterator[OrderRow]:
    lines = Lines(file)
    first = lines.peek()
    if format is None:
        format = "jsonl" if first.lstrip()[:1] in ("{", "[") else "csv"  # noqa: A001
    if format == "jsonl":
        return json_rows(lines)
    delimiter = max(",;\t", key=first.count)
    return _table_rows(_records(lines, delimiter), columns, counts)


def _sheet_rows(file: BinaryIO, columns: ColumnMap, counts: FileCounts) -> Iterator[OrderRow]:
    if file.seekable():
        yield from _table_rows(_sheet_records(file), columns, counts)
        return
    # A zip archive is read from its end.
    with tempfile.TemporaryFile() as whole:
        shutil.copyfileobj(file, whole)
        yield from _table_rows(_sheet_records(whole), columns, counts)


def _sheet_records(file: BinaryIO) -> Iterator["_Record"]:
    number = width = 0
    try:
        for number, cells in sheet_rows(file):
            width = width or len(cells)
            yield number, (*cells, *[""] * (width - len(cells)))
    except UnreadableSheetError as error:
        yield number + 1, UnreadableLineError(str(error))


_Record = tuple[int, Sequence[str] | UnreadableLineError]


def _records(lines: Lines, delimiter: str) -> Iterator[_Record]:
    table = csv.reader(lines, delimiter=delimiter, strict=True)
    number = line = 0
    while True:
        number += 1
        try:
            cells = next(table)
        except StopIteration:
            return
        except UnreadableLineError as unreadable:
            yield number, unreadable
        except csv.Error as error:
            first, line = line + 1, table.line_num
            yield number, UnreadableLineError(_csv_advice(str(error), first, line))
        else:
            line = table.line_num
            if any(map(strip_blanks, cells)):
                yield number, cells


def _csv_advice(error: str, first: int, last: int) -> str:
    where = f"line {first} was" if first == last else f"lines {first} to {last} were"
    if "field limit" in error or "end of data" in error:
        reason = "a quotation mark is opened and not closed, or a value is too long"
    elif "expected after" in error:
        reason = "a quotation mark inside a quoted value has to be doubled"
    else:
        reason = "a line break outside quotation marks"
    return f"{reason}; {where} skipped"


def _table_rows(
    records: Iterator[_Record], columns: ColumnMap, counts: FileCounts
) -> Iterator[OrderRow]:
    number, titles = next(records, (1, ()))
    if isinstance(titles, UnreadableLineError):
        problem = RowProblem(row=number, column=WHOLE_ROW, message=str(titles))
        yield evolve(invalid_row(problem), is_heading=True)
        return
    headings: list[Heading] = []
    table = MappedTable(columns, titles)
    problems = [
        RowProblem(row=number, column=column, message=message)
        for column, message in (
            *table.problems,
            *read_headings(
                table.titles, table.columns, headings, ignore_others=columns.ignore_others
            ),
        )
    ]
    if problems:
        yield evolve(invalid_row(*problems), is_heading=True, header=table.file_titles)
        return
    lines = (_line(number, cells, headings) for number, cells in table.translate(records))
    for group in _group(lines):
        order = table.complete(group, headings)
        for reason in order.skipped:
            counts.skip(reason)
        if not order.is_skipped:
            yield evolve(
                build(order.lines, headings, table.fixed),
                source=tuple(order.source),
                header=table.file_titles,
                row_count=len(order.lines) - len(order.skipped),
            )


def _line(
    number: int, cells: Sequence[str] | UnreadableLineError, headings: Sequence[Heading]
) -> TableRow:
    if isinstance(cells, UnreadableLineError):
        return _bad_line(number, WHOLE_ROW, str(cells))
    key = next(heading for heading in headings if heading.is_reference)
    reference = _reference(cells[key.index]) if key.index < len(cells) else None
    if len(cells) <= headings[-1].index:
        missing = next(heading for heading in headings if heading.index >= len(cells))
        message = f"the row ends before this column, after {len(cells)} values"
        return _bad_line(number, missing.title, message, reference)
    named = {heading.index for heading in headings}
    for index, cell in enumerate(cells):
        if index not in named and strip_blanks(cell):
            message = "a value in a column without a name; is there a delimiter too many?"
            return _bad_line(number, f"column {index + 1}", message, reference)
    line = TableRow(number=number, cells=cells, reference=reference)
    if reference is None and is_further_item(line, headings):
        message = "missing; further items of an order repeat its reference"
        return evolve(_bad_line(number, key.title, message), is_further_item=True)
    return line


def _bad_line(number: int, column: str, message: str, reference: str | None = None) -> TableRow:
    problem = RowProblem(row=number, column=column, message=message)
    return TableRow(number=number, reference=reference, problems=(problem,))


def _reference(cell: str) -> str | None:
    try:
        value = read_cell(cell, Kind.CODE)
    except BadCellError:
        return strip_blanks(cell)
    return None if value is None else str(value)


def _group(lines: Iterator[TableRow]) -> Iterator[Sequence[TableRow]]:
    """Put the lines of one order together, with whatever stands unreadable between them."""
    group: list[TableRow] = []
    doubtful: list[TableRow] = []
    for line in lines:
        reference = group[0].reference if group else None
        if group and (line.is_further_item or (reference and line.reference == reference)):
            group += doubtful
            doubtful = []
            if len(group) < _MOST_ROWS:
                group.append(line)
            else:
                message = f"an order has at most {_MOST_ROWS} rows"
                group[-1] = _bad_line(line.number, WHOLE_ROW, message, line.reference)
        elif reference and line.reference is None and len(doubtful) < _MOST_ROWS:
            doubtful.append(line)
        else:
            yield from _split(group, doubtful)
            group, doubtful = [line], []
    yield from _split(group, doubtful)


def _split(group: Sequence[TableRow], doubtful: Sequence[TableRow]) -> Iterator[Sequence[TableRow]]:
    if group:
        yield group
    for line in doubtful:
        yield [line]
