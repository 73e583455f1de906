"""Read orders from a CSV or JSON Lines file, one at a time and never more than one in memory.

A bad row never stops the reading: it becomes a `Row` whose problems name row and column. Only a
first row that cannot be trusted ends it, since every order below would lack something. Rows are
counted as a spreadsheet shows them, the names of the columns being row 1; JSON Lines by line.

CSV: comma, semicolon or tab, whichever the first row has most of; quoted values may span lines.
Files are UTF-8, with or without byte order mark, or UTF-16 with one; bytes that are not UTF-8 are
taken for Windows-1252, which is what Excel writes where it does not write UTF-8.
"""

import csv
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NoReturn, TextIO

from attrs import evolve

from clickpost_async.bulk.cells import BadCellError, Kind, bare, read_cell
from clickpost_async.bulk.columns import Market
from clickpost_async.bulk.headings import Heading, read_headings
from clickpost_async.bulk.lines import Lines, UnreadableLineError, open_text
from clickpost_async.bulk.rows import (
    WHOLE_ROW,
    Line,
    Problem,
    Row,
    build,
    is_further_item,
    refused,
)

Format = Literal["csv", "jsonl"]

# More rows in an order are not its items but a damaged file.
_MOST_ROWS = 1000


def read_orders(
    source: str | os.PathLike[str] | TextIO,
    *,
    format: Format | None = None,  # noqa: A002 - the word people look for
    columns: Mapping[str, str] | None = None,
) -> Iterator[Row]:
    """Yield the orders of a file as they are read.

    Without `format` a name ending in `.jsonl` or `.ndjson`, or a file beginning with a brace, is
    JSON Lines and everything else is CSV. `columns` translates a file's own column names to ours.
    """
    if not isinstance(source, str | os.PathLike):
        yield from _read(source, format or _format(getattr(source, "name", "")), columns or {})
        return
    with open_text(source) as file:
        yield from _read(file, format or _format(source), columns or {})


def _format(name: object) -> Format | None:
    text = str(name).lower()
    return "jsonl" if text.endswith((".jsonl", ".ndjson")) else None


def _read(file: TextIO, format: Format | None, columns: Mapping[str, str]) -> Iterator[Row]:  # noqa: A002
    lines = Lines(file)
    first = lines.peek()
    if format is None:
        format = "jsonl" if first.lstrip()[:1] in ("{", "[") else "csv"  # noqa: A001
    if format == "jsonl":
        return _json_rows(lines)
    delimiter = max(",;\t", key=first.count)
    return _table_rows(_records(lines, delimiter), columns)


def _json_rows(lines: Lines) -> Iterator[Row]:
    number = 0
    while True:
        number += 1
        try:
            text = bare(next(lines))
            if text:
                yield _json_row(number, _json_object(text))
        except StopIteration:
            return
        except UnreadableLineError as unreadable:
            yield refused(Problem(row=number, column=WHOLE_ROW, message=str(unreadable)))


def _json_object(text: str) -> Mapping[str, object]:
    try:
        value: object = json.loads(text, parse_constant=_no_number, parse_float=_finite)
    except RecursionError:
        raise UnreadableLineError("objects are nested too deeply") from None
    except json.JSONDecodeError as error:
        raise UnreadableLineError(
            f"not JSON at character {error.pos + 1}: {error.msg.lower()}"
        ) from None
    except ValueError as error:
        raise UnreadableLineError(f"not JSON: {error}") from None
    if not isinstance(value, dict):
        raise UnreadableLineError("every line has to be one order: a JSON object in braces")
    return value


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("a number is too large")
    return number


def _json_row(number: int, order: Mapping[str, object]) -> Row:
    shipment = order.get("shipment_details")
    reference = shipment.get("reference_number") if isinstance(shipment, dict) else None
    return Row(
        number=number,
        last=number,
        market=_market(order),
        reference=reference if isinstance(reference, str) else None,
        order=order,
    )


def _market(order: Mapping[str, object]) -> Market:
    for side in ("pickup", "drop"):
        party = order.get(f"{side}_info")
        if isinstance(party, dict):
            if f"{side}_pincode" in party:
                return Market.INDIA
            if "postal_code" in party or "country_code" in party:
                return Market.WORLD
    return Market.INDIA


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
            if any(map(bare, cells)):
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


def _table_rows(records: Iterator[_Record], columns: Mapping[str, str]) -> Iterator[Row]:
    number, titles = next(records, (1, ()))
    if isinstance(titles, UnreadableLineError):
        yield refused(Problem(row=number, column=WHOLE_ROW, message=str(titles)))
        return
    headings: list[Heading] = []
    problems = [
        Problem(row=number, column=column, message=message)
        for column, message in read_headings(titles, columns, headings)
    ]
    if problems:
        yield refused(*problems)
        return
    lines = (_line(number, cells, headings) for number, cells in records)
    for group in _grouped(lines):
        yield build(group, headings)


def _line(
    number: int, cells: Sequence[str] | UnreadableLineError, headings: Sequence[Heading]
) -> Line:
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
        if index not in named and bare(cell):
            message = "a value in a column without a name; is there a delimiter too many?"
            return _bad_line(number, f"column {index + 1}", message, reference)
    line = Line(number=number, cells=cells, reference=reference)
    if reference is None and is_further_item(line, headings):
        message = "missing; further items of an order repeat its reference"
        return evolve(_bad_line(number, key.title, message), is_further_item=True)
    return line


def _bad_line(number: int, column: str, message: str, reference: str | None = None) -> Line:
    problem = Problem(row=number, column=column, message=message)
    return Line(number=number, reference=reference, problems=(problem,))


def _reference(cell: str) -> str | None:
    try:
        value = read_cell(cell, Kind.CODE)
    except BadCellError:
        return bare(cell)
    return None if value is None else str(value)


def _grouped(lines: Iterator[Line]) -> Iterator[Sequence[Line]]:
    """Put the lines of one order together, with whatever stands unreadable between them."""
    group: list[Line] = []
    doubtful: list[Line] = []
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
            yield from _apart(group, doubtful)
            group, doubtful = [line], []
    yield from _apart(group, doubtful)


def _apart(group: Sequence[Line], doubtful: Sequence[Line]) -> Iterator[Sequence[Line]]:
    if group:
        yield group
    for line in doubtful:
        yield [line]
