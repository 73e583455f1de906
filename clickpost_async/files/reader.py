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
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Literal, TextIO, cast

from attrs import evolve

from clickpost_async.files.cells import BadCellError, Kind, read_cell, strip_blanks
from clickpost_async.files.column_map import ColumnMap
from clickpost_async.files.columns import Market
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
    counts: FileCounts | None = None,
) -> Iterator[OrderRow]:
    """Yield the orders of a file as they are read: its path, or what was opened.

    Without `format` a name ending in `.jsonl` or `.ndjson`, or a file beginning with a brace, is
    JSON Lines, a zip archive is XLSX, and everything else is CSV. `columns` translates a file's own
    column names to ours; a `ColumnMap` does so for its values too, and says which orders are
    skipped. `counts` counts the rows as they are read, the skipped ones by reason.
    """
    counts = FileCounts() if counts is None else counts
    for row in _read_source(source, format, columns):
        counts.add(row)
        if not row.source or len(row.skipped) < len(row.source):
            yield row


def _read_source(
    source: str | os.PathLike[str] | TextIO | BinaryIO,
    format: Format | None,  # noqa: A002
    columns: Mapping[str, str] | ColumnMap | None,
) -> Iterator[OrderRow]:
    if not isinstance(columns, ColumnMap):
        columns = ColumnMap(columns=dict(columns or {}))
    if isinstance(source, str | os.PathLike):
        with Path(source).open("rb") as file:
            yield from _read(file, format or _format(source), columns)
    else:
        yield from _read(source, format or _format(getattr(source, "name", "")), columns)


def _format(name: object) -> Format | None:
    return _ENDINGS.get(Path(str(name)).suffix.lower())


def _read(
    file: TextIO | BinaryIO,
    format: Format | None,  # noqa: A002
    columns: ColumnMap,
) -> Iterator[OrderRow]:
    if isinstance(file.read(0), str):
        yield from _read_text(cast("TextIO", file), format, columns)
        return
    # What is read ahead here is not in the file that was given, so all of it is read from here.
    raw = io.BufferedReader(cast("io.RawIOBase", file))
    try:
        if format == "xlsx" or (format is None and raw.peek(len(_ZIP)).startswith(_ZIP)):
            yield from _sheet_rows(raw, columns)
            return
        text = decode(raw)
        try:
            yield from _read_text(text, format, columns)
        finally:
            text.detach()
    finally:
        raw.detach()


def _read_text(
    file: TextIO,
    format: Format | None,  # noqa: A002
    columns: ColumnMap,
) -> Iterator[OrderRow]:
    lines = Lines(file)
    first = lines.peek()
    if format is None:
        format = "jsonl" if first.lstrip()[:1] in ("{", "[") else "csv"  # noqa: A001
    if format == "jsonl":
        return json_rows(lines)
    delimiter = max(",;\t", key=first.count)
    return _table_rows(_records(lines, delimiter), columns)


def _sheet_rows(file: BinaryIO, columns: ColumnMap) -> Iterator[OrderRow]:
    if file.seekable():
        yield from _table_rows(_sheet_records(file), columns)
        return
    # A zip archive is read from its end.
    with tempfile.TemporaryFile() as whole:
        shutil.copyfileobj(file, whole)
        yield from _table_rows(_sheet_records(whole), columns)


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


def _table_rows(records: Iterator[_Record], columns: ColumnMap) -> Iterator[OrderRow]:
    number, titles = next(records, (1, ()))
    if isinstance(titles, UnreadableLineError):
        problem = RowProblem(row=number, column=WHOLE_ROW, message=str(titles))
        yield evolve(invalid_row(problem), is_header=True)
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
        yield evolve(invalid_row(*problems), is_header=True)
        return
    lines = (_line(number, cells, headings) for number, cells in table.translate(records))
    for group in _group(lines):
        order = table.complete(group, headings)
        row = (
            OrderRow(number=group[0].number, last=group[-1].number, market=Market.INDIA)
            if order.is_skipped
            else build(order.lines, headings, table.fixed)
        )
        yield evolve(
            row, source=tuple(order.source), header=table.file_titles, skipped=order.skipped
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
