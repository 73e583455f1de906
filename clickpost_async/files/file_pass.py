"""Reads a file once: recognises its kind, then reads its rows as orders."""

import io
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import BinaryIO, TextIO, cast

from attrs import evolve, frozen

from clickpost_async.files.cells import CellContext, CellKind, strip_blanks
from clickpost_async.files.column_map import ColumnMap
from clickpost_async.files.columns import REFERENCE
from clickpost_async.files.counts import FileCounts
from clickpost_async.files.dates import Dates
from clickpost_async.files.delimited import Record, Records, open_records
from clickpost_async.files.file_kinds import (
    PEEKED_BYTES,
    Format,
    describe_other_file,
    format_by_name,
    is_json,
    is_spread_json,
    is_zip,
)
from clickpost_async.files.header import Heading
from clickpost_async.files.header_advice import (
    describe_unknown,
    find_other_sheets,
    suggest_header,
)
from clickpost_async.files.jsonl import json_rows
from clickpost_async.files.mapped_table import MappedTable
from clickpost_async.files.order_rows import (
    WHOLE_ROW,
    OrderRow,
    RowProblem,
    TableRow,
    invalid_row,
)
from clickpost_async.files.references import ReferenceIndex
from clickpost_async.files.sheet_spool import SheetSpool
from clickpost_async.files.table import Group, Layout, group_lines
from clickpost_async.files.text import Lines, UnreadableLineError, decode
from clickpost_async.files.xlsx import SheetRow, UnreadableSheetError, sheet_rows

# In how many rows the headings are searched for, to suggest `header_row`.
_MAX_ROWS_ABOVE = 10

_DATES = frozenset({CellKind.DATE, CellKind.TIME, CellKind.DATE_OR_TIME})


@frozen(kw_only=True)
class ReadOptions:
    """The arguments of `read_orders`."""

    format: Format | None
    columns: ColumnMap
    date_format: str | None
    sheet: str | int | None
    header_row: int | None


class FilePass:
    """One pass over a file; the second one has the results of the first, if there was one."""

    def __init__(
        self,
        options: ReadOptions,
        counts: FileCounts,
        references: ReferenceIndex,
        survey: "FilePass | None" = None,
        spool: SheetSpool | None = None,
    ) -> None:
        self.options = options
        self.counts = counts
        self.references = references
        self.spool = spool
        self.is_surveyed: bool = survey is not None
        self.context: CellContext = CellContext(dates=Dates(options.date_format))
        # Whether values are quoted; hidden rows.
        self.is_quoted: bool = True
        self.hidden: set[int] = set()
        self.lines: Lines | None = None
        # The sheets that hold orders, if they are several.
        self.sheets: Sequence[str] | None = None
        if survey is not None:
            self.context.dates = survey.context.dates
            self.is_quoted = survey.is_quoted
            self.sheets = survey.sheets

    def look_through(
        self, file: BinaryIO, name: object, is_counted: Callable[[Group | OrderRow], bool]
    ) -> int:
        """Make the first pass: find duplicate references and the date format, and count orders."""
        count = 0
        for group in self._open(file, name):
            if group.reference is not None:
                self.references.add(group.reference, group.number, group.digest)
            count += is_counted(group)
        return count

    def orders(self, file: TextIO | BinaryIO, name: object) -> Iterator[OrderRow]:
        """Yield the orders, and the rows that cannot be read."""
        for group in self._open(file, name):
            row = group if isinstance(group, OrderRow) else group.build(self.context)
            if row.reference is not None:
                if not self.is_surveyed:
                    self.references.add(row.reference, row.number, group.digest)
                row = self._check_repetition(row, row.reference)
            if not row.is_heading:
                self.counts.add(row)
            yield row

    def _check_repetition(self, row: OrderRow, reference: str) -> OrderRow:
        found = self.references.find(reference, row.number)
        if found is None:
            return row
        if found.is_same_order:
            # A run creates it once; or it is a separated item of an order in an unsorted file.
            warning = row.locate(REFERENCE, f"row {found.row} has the same order")
            return evolve(row, warnings=(*row.warnings, warning))
        problem = row.locate(
            REFERENCE,
            f"row {found.row} has the same reference number; put the rows of one order together, "
            "and give every order a number of its own",
        )
        return evolve(row, order=None, problems=(*row.problems, problem))

    # --- which kind of file -----------------------------------------------------------------------

    def _open(self, file: TextIO | BinaryIO, name: object) -> Iterator[Group | OrderRow]:
        form = self.options.format or format_by_name(str(name))
        if isinstance(file.read(0), str):
            yield from self._text(cast("TextIO", file), form)
            return
        # The buffer reads ahead of the file that was passed, so all reads use the buffer.
        raw = io.BufferedReader(cast("io.RawIOBase", file))
        try:
            start = raw.peek(PEEKED_BYTES)
            if form == "xlsx" and self.options.format is None and not is_zip(start):
                # The name ends in .xlsx, but the contents are something else.
                form = None
            if other := describe_other_file(start, form):
                yield unreadable_file(1, f"the file is {other}")
            elif form == "xlsx" or (form is None and is_zip(start)):
                yield from self._sheet(raw)
            else:
                text = decode(raw)
                try:
                    yield from self._text(text, form)
                finally:
                    _detach(text)
        finally:
            _detach(raw)

    def _text(self, file: TextIO, form: Format | None) -> Iterator[Group | OrderRow]:
        lines = Lines(file)
        if form is None:
            form = "jsonl" if is_json(lines.peek()) else "csv"
        if form == "jsonl":
            if is_spread_json(lines.peek()):
                yield unreadable_file(
                    1,
                    "JSON over several lines; write each order on a line of its own, "
                    "as jq -c does (of a list: jq -c '.[]')",
                )
                return
            yield from json_rows(lines)
            return
        self.lines = lines
        records = open_records(lines, self.options.header_row, is_quoted=self.is_quoted)
        self.context.decimal_comma = records.delimiter == ";"
        yield from self._table(records)
        self.is_quoted = records.is_quoted

    def _sheet(self, file: BinaryIO) -> Iterator[Group | OrderRow]:
        if file.seekable():
            yield from self._table(self._sheet_records(file), file)
            return
        # A zip archive is read from its end.
        with tempfile.TemporaryFile() as whole:
            shutil.copyfileobj(file, whole)
            yield from self._table(self._sheet_records(whole), whole)

    def _sheet_records(self, file: BinaryIO) -> Iterator[Record]:
        number = width = 0
        try:
            for row in self._sheet_rows(file):
                number = row.number
                if row.is_hidden:
                    self.hidden.add(number)
                width = max(width, len(row.cells))
                yield number, [*row.cells, *[""] * (width - len(row.cells))]
        except UnreadableSheetError as error:
            yield number + 1, UnreadableLineError(str(error))

    def _sheet_rows(self, file: BinaryIO) -> Iterator[SheetRow]:
        if self.spool is not None and self.spool.has_rows:
            return self.spool.replay()
        rows = sheet_rows(file, self.options.sheet)
        return rows if self.spool is None else self.spool.record(rows)

    # --- tables -----------------------------------------------------------------------------------

    def _table(
        self, records: Iterator[Record], workbook: BinaryIO | None = None
    ) -> Iterator[Group | OrderRow]:
        columns = self.options.columns
        wanted = self.options.header_row
        number, titles = next(records, (1, ()))
        while wanted is not None and number < wanted:
            number, titles = next(records, (wanted, ()))
        if isinstance(titles, UnreadableLineError):
            yield unreadable_file(number, str(titles))
            return
        headings: list[Heading] = []
        table = MappedTable(columns, titles)
        problems = [
            RowProblem(row=number, column=column, message=message)
            for column, message in (*table.problems, *table.read_headings(headings))
        ]
        guessed = workbook if self.options.sheet is None else None
        ahead: Sequence[Record] = ()
        if problems:
            ahead = list(islice(records, _MAX_ROWS_ABOVE))
            messages = tuple(suggest_header(titles, ahead, columns, guessed))
            is_foreign = not (headings or table.problems or columns.columns) and any(table.titles)
            if is_foreign and (unknown := describe_unknown(table.titles)):
                problems.clear()
                messages = (unknown, *messages)
        else:
            messages = () if guessed is None else self._choose_sheet(guessed)
        problems += [
            RowProblem(row=number, column=WHOLE_ROW, message=message) for message in messages
        ]
        if problems:
            yield evolve(invalid_row(*problems, is_heading=True), header=table.file_titles)
            self._refuse_all(ahead, records)
            return
        layout = Layout(
            headings=headings,
            width=len(table.titles),
            fixed=table.fixed,
            ignores_others=columns.ignore_others,
        )
        if isinstance(records, Records):
            records.width = len(titles)
        distinct = self._without_headings(records, titles)
        lines = self._lines(table.translate(distinct), layout)
        for group in group_lines(lines, layout):
            order = table.complete(group.lines, headings)
            for reason in order.skipped:
                self.counts.skip(reason)
            if not order.is_skipped:
                yield Group(
                    order.lines,
                    layout,
                    tuple(order.source),
                    table.file_titles,
                    len(order.skipped),
                )

    def _choose_sheet(self, workbook: BinaryIO) -> tuple[str, ...]:
        if self.sheets is None:
            self.sheets = find_other_sheets(workbook, self.options.columns)
        if not self.sheets:
            return ()
        return (f"the sheets {', '.join(self.sheets)} hold orders: pass sheet=… for one of them",)

    def _without_headings(
        self, records: Iterator[Record], titles: Sequence[str]
    ) -> Iterator[Record]:
        """Skip rows that name the columns again, as where files were joined."""
        names = [strip_blanks(title) for title in titles]
        for number, cells in records:
            if (
                not isinstance(cells, UnreadableLineError)
                and strip_blanks(cells[0]) == names[0]
                and [strip_blanks(cell) for cell in cells] == names
            ):
                self.counts.skip("names of the columns again")
            else:
                yield number, cells

    def _lines(self, records: Iterator[Record], layout: Layout) -> Iterator[TableRow]:
        if self.lines is not None:
            self.lines.has_guessed_encoding = False
        dates: Sequence[Heading] = ()
        if not self.is_surveyed:
            dates = [heading for heading in layout.headings if heading.column.kind in _DATES]
        for number, cells in records:
            line = layout.line(number, cells)
            if not line.problems:
                for heading in dates:
                    self.context.dates.observe(line.cells[heading.index])
            if number in self.hidden:
                self.hidden.discard(number)
                warning = RowProblem(
                    row=number,
                    column=WHOLE_ROW,
                    message="hidden in the spreadsheet, as by a filter, but read as well",
                )
                line = evolve(line, warnings=(*line.warnings, warning))
            if self.lines is not None and self.lines.has_guessed_encoding:
                self.lines.has_guessed_encoding = False
                message = "not UTF-8, decoded as Windows-1252; check its letters"
                note = RowProblem(row=number, column=WHOLE_ROW, message=message)
                line = evolve(line, notes=(*line.notes, note))
            yield line

    def _refuse_all(self, *parts: Iterator[Record] | Sequence[Record]) -> None:
        """Count the rows below headings that cannot be used."""
        for records in parts:
            for _, cells in records:
                rows = cells.rows if isinstance(cells, UnreadableLineError) else 1
                self.counts.rejected += rows
                self.counts.rejected_rows += rows


def _detach(buffer: "io.TextIOWrapper | io.BufferedReader[io.RawIOBase]") -> None:
    """Leave the file below open, if it was not closed before."""
    with suppress(ValueError):
        buffer.detach()


def unreadable_file(row: int, message: str) -> OrderRow:
    """Return the row that a file without readable orders is reported as."""
    return invalid_row(
        RowProblem(row=row, column=WHOLE_ROW, message=message), row_count=0, is_heading=True
    )
