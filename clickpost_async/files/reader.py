"""Reads orders from a CSV, JSON Lines or XLSX file, with only one in memory at a time.

A bad row does not stop the reading: it becomes an `OrderRow` whose problems name row and column.
Only invalid headings do, since every order below would be incomplete. Rows are numbered as in a
spreadsheet; JSON Lines by line.

CSV: comma, semicolon, tab or bar, whichever is most frequent in the headings; quoted values may
span lines. Text is UTF-8 or UTF-16, with or without byte order mark; a line that is not UTF-8 is
decoded as Windows-1252, which Excel writes if it does not write UTF-8. XLSX: the first visible
sheet, if no other one holds orders, its values and not its formulas.

A file given by its path, and a pipe, is read twice, the pipe from a temporary copy. The first pass
finds reference numbers that are in several places, so that none of these orders is sent, and the
date format. Any other source is read once: the second and further orders with a reference number
are rejected.
"""

import io
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, TextIO, cast, get_args

from clickpost_async._util.arguments import got
from clickpost_async.files.column_map import ColumnMap
from clickpost_async.files.counts import FileCounts
from clickpost_async.files.dates import Dates
from clickpost_async.files.delimited import open_records
from clickpost_async.files.file_kinds import (
    PEEKED_BYTES,
    Format,
    describe_other_file,
    format_by_name,
    is_json,
    is_zip,
)
from clickpost_async.files.file_pass import FilePass, ReadOptions, unreadable_file
from clickpost_async.files.order_rows import OrderRow
from clickpost_async.files.references import ReferenceIndex
from clickpost_async.files.sheet_spool import SheetSpool
from clickpost_async.files.table import Group
from clickpost_async.files.text import Lines, UnreadableLineError, decode
from clickpost_async.files.xlsx import UnreadableSheetError, sheet_rows

Source = str | os.PathLike[str] | TextIO | BinaryIO


def read_orders(
    source: Source,
    *,
    format: Format | None = None,  # noqa: A002 - the usual name
    columns: Mapping[str, str] | ColumnMap | None = None,
    date_format: str | None = None,
    sheet: str | int | None = None,
    header_row: int | None = None,
) -> "OrderReader":
    """Return the orders of a file, which are read lazily.

    Args:
        source: The path of the file, or a file opened for reading text or bytes. A pipe is read to
            its end before the first order.
        format: `csv`, `jsonl` or `xlsx`. Without it a name ending in `.jsonl` or `.ndjson`, or a
            file beginning with a brace, is JSON Lines, a zip archive is XLSX, all others are CSV.
        columns: The file's own column names to ours; a `ColumnMap` translates values too.
        date_format: The format of dates, like `DD/MM/YYYY`. Without it ISO dates, names of months
            and serial numbers of spreadsheets are read, and `27/11/2026` if it is unambiguous.
        sheet: Of a workbook, by name or by number from 1. Without it, the first that is visible; an
            error if others hold orders, too.
        header_row: The row that holds the headings, as a spreadsheet counts.

    Raises:
        ValueError: `format`, `date_format` or `header_row` is invalid.
        OSError: The file cannot be read; raised when the first order is read.

    """
    if format not in (None, *get_args(Format)):
        raise ValueError(f"format must be one of {', '.join(get_args(Format))}; {got(format)}")
    if header_row is not None and header_row < 1:
        raise ValueError(f"header_row is {header_row}: rows are counted from 1")
    if not isinstance(columns, ColumnMap):
        columns = ColumnMap(columns=dict(columns or {}))
    options = ReadOptions(
        format=format,
        columns=columns,
        date_format=date_format,
        sheet=sheet,
        header_row=header_row,
    )
    # Raises for an invalid format now, not with the first order.
    Dates(date_format)
    return OrderReader(source, options)


class OrderReader(Iterator[OrderRow]):
    """The orders of a file, one by one.

    Attributes:
        counts: The counts of the rows read so far.
        total: How many orders the file has, known with the first order; `None` for a source that
            is read once.
        are_at_hand: Whether orders can be read without waiting for them, as those of a pipe cannot.
        is_counted: Which orders `total` counts; set it before the first order is read.

    """

    def __init__(self, source: Source, options: ReadOptions) -> None:
        self.counts: FileCounts = FileCounts()
        self.total: int | None = None
        self.is_counted: Callable[[Group | OrderRow], bool] = _every
        self._source = source
        self._options = options
        self.are_at_hand: bool = isinstance(source, str | os.PathLike) and Path(source).is_file()
        self._rows = self._read()

    def __next__(self) -> OrderRow:
        return next(self._rows)

    def close(self) -> None:
        """Close the file, if it was opened here; there are no more orders then."""
        self._rows.close()

    def _read(self) -> Generator[OrderRow]:
        with ReferenceIndex() as references:
            if isinstance(self._source, str | os.PathLike):
                with Path(self._source).open("rb") as file:
                    yield from self._read_file(file, self._source, references)
                return
            name = getattr(self._source, "name", "")
            if isinstance(self._source, io.BufferedReader) and not self._source.seekable():
                yield from self._read_file(self._source, name, references)
                return
            reading = FilePass(self._options, self.counts, references)
            yield from reading.orders(self._source, name)

    def _read_file(
        self, file: BinaryIO, name: object, references: ReferenceIndex
    ) -> Iterator[OrderRow]:
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            yield from self._read_twice(file, name, references)
            return
        # A pipe is read to its end first: orders in flight would wait for a slow writer.
        with tempfile.TemporaryFile() as copy:
            shutil.copyfileobj(file, copy)
            copy.seek(0)
            yield from self._read_twice(copy, name, references)

    def _read_twice(
        self, file: BinaryIO, name: object, references: ReferenceIndex
    ) -> Iterator[OrderRow]:
        with SheetSpool() as spool:
            survey = FilePass(self._options, FileCounts(), references, spool=spool)
            before = os.fstat(file.fileno())
            self.total = survey.look_through(file, name, self.is_counted)
            after = os.fstat(file.fileno())
            if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
                message = "the file was written to while it was read; run it when complete"
                yield unreadable_file(1, message)
                return
            file.seek(0)
            reading = FilePass(self._options, self.counts, references, survey, spool)
            yield from reading.orders(file, name)


def _every(order: Group | OrderRow) -> bool:
    del order
    return True


def read_rows(
    source: str | os.PathLike[str],
    *,
    format: Format | None = None,  # noqa: A002 - as above
    sheet: str | int | None = None,
) -> Iterator[tuple[int, Sequence[str]]]:
    """Yield the rows of a table as they are in the file; JSON Lines have none."""
    with Path(source).open("rb") as file:
        raw = io.BufferedReader(cast("io.RawIOBase", file))
        form = format or format_by_name(source)
        start = raw.peek(PEEKED_BYTES)
        if describe_other_file(start, form):
            return
        if is_zip(start):
            with suppress(UnreadableSheetError):
                for row in sheet_rows(raw, sheet):
                    yield row.number, row.cells
            return
        lines = Lines(decode(raw))
        if form == "jsonl" or (form is None and is_json(lines.peek())):
            return
        for number, cells in open_records(lines, None):
            if not isinstance(cells, UnreadableLineError):
                yield number, cells
