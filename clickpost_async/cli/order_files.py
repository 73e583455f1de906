"""The order files of a bulk command: which, and how they are read."""

import datetime as dt
import io
import os
import re
import shlex
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import NoReturn, Self

from attrs import frozen

from clickpost_async import bulk
from clickpost_async.bulk import (
    ColumnMap,
    ColumnMapError,
    OrderOutcome,
    OrderRow,
    Rejected,
)
from clickpost_async.cli.messages import (
    MAX_SHOWN,
    end_with_usage_error,
    name_options,
    print_message,
)
from clickpost_async.files.columns import Market
from clickpost_async.files.counts import FileCounts
from clickpost_async.files.dates import Dates
from clickpost_async.files.file_kinds import Format
from clickpost_async.files.reader import OrderReader, read_rows
from clickpost_async.files.recognise import Recognised, recognise_rows, write_map
from clickpost_async.files.table import Group
from clickpost_async.files.template import write_csv_template, write_xlsx_template

REJECTED = 3

# Rows of a file in which the names of its columns are looked for.
_MAX_HEADER_ROW = 10


@frozen
class Part:
    """One of `count` parts of a file, numbered from 1; each part is run by a process."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `2/8`, or end the command with what is wrong with it."""
        found = re.fullmatch(r"(\d+)/(\d+)", text.strip())
        if found is None or not 1 <= int(found[1]) <= int(found[2]):
            end_with_usage_error(f"--part {text}: write it as 2/8, the second of eight parts")
        return cls(int(found[1]), int(found[2]))

    def has(self, row: Group | OrderRow) -> bool:
        """Return whether an order is in this part; equal reference numbers share a part."""
        name = str(row.number) if row.reference is None else row.reference
        return zlib.crc32(name.encode("utf-8", "replace")) % self.count == self.number - 1


@frozen
class OrderFile:
    """A file of orders, and how it is read."""

    file: Path
    format: Format | None = None
    columns: ColumnMap | None = None
    sheet: str | int | None = None
    header_row: int | None = None
    part: Part | None = None
    date_format: str | None = None

    @classmethod
    def of(
        cls,
        file: Path,
        format: Format | None,  # noqa: A002 - as in `read_orders`
        columns: str | None,
        *,
        sheet: str | None = None,
        header_row: int | None = None,
        date_format: str | None = None,
        part: str | None = None,
    ) -> Self:
        """Validate the options, or exit with what is wrong with them."""
        if str(file) != "-" and not file.exists():
            end_with_usage_error(f"{file}: there is no such file")
        if file.is_dir():
            end_with_usage_error(f"{file}: a folder; name a file")
        try:
            loaded = None if columns is None else ColumnMap.load(columns)
        except ColumnMapError as error:
            end_with_usage_error(error)
        number = int(sheet) if sheet is not None and sheet.isdecimal() else sheet
        chosen = None if part is None else Part.parse(part)
        try:
            Dates(date_format)
        except ValueError as error:
            end_with_usage_error(f"--date-format: {error}")
        return cls(file, format, loaded, number, header_row, chosen, date_format)

    @property
    def is_stream(self) -> bool:
        """Whether it can be read only once."""
        return not self.file.is_file()

    def read(self) -> OrderReader:
        """Return the orders, to be read."""
        opened = sys.stdin.buffer if str(self.file) == "-" else self.file
        reader = bulk.read_orders(
            opened,
            format=self.format,
            columns=self.columns,
            sheet=self.sheet,
            header_row=self.header_row,
            date_format=self.date_format,
        )
        if self.part is not None:
            reader.is_counted = self.part.has
        return reader

    def refuse_heading(self, row: OrderRow) -> NoReturn:
        """Exit with what is wrong with the column names, and what to do about it."""
        problems = [f"{self.file}: {name_options(p)}" for p in row.problems[:MAX_SHOWN]]
        if len(row.problems) > MAX_SHOWN:
            problems.append(f"and {len(row.problems) - MAX_SHOWN} more")
        if self.columns is not None or not row.header:
            end_with_usage_error(*problems)
        found = self._recognise(row)
        begin = f"clickpost bulk map {shlex.quote(str(self.file))} -o my-shop.toml"
        if found is not None and found.export is not None:
            where = "" if found.header_row == 1 else f" --header-row {found.header_row}"
            end_with_usage_error(
                f"{self.file}: its columns are not ours; "
                f"this looks like {found.export.title}: --map {found.export.name}{where}",
                f"Further columns need a map of your own: {begin}",
            )
        end_with_usage_error(*problems, f"Map the columns to ours; write a starter map: {begin}")

    def _recognise(self, row: OrderRow) -> Recognised | None:
        if self.is_stream:
            return recognise_rows([(1, row.header)])
        rows = read_rows(self.file, format=self.format, sheet=self.sheet)
        first = self.header_row or 1
        below = (record for record in rows if record[0] >= first)
        return recognise_rows(islice(below, _MAX_HEADER_ROW))


class SourceRows(Iterator[OrderRow]):
    """The orders of a file as a run consumes them; those without an outcome are stored."""

    def __init__(self, source: OrderFile) -> None:
        reader = source.read()
        first = list(islice(reader, 1))
        if first and first[0].is_heading:
            source.refuse_heading(first[0])
        self.counts: FileCounts = reader.counts
        self.total: int | None = reader.total
        self.are_at_hand: bool = reader.are_at_hand
        self.header: Sequence[str] = first[0].header if first else ()
        self._rows = self._chain(first, reader)
        self._part = source.part
        self._pending: dict[int, OrderRow] = {}
        self._position = 0

    @staticmethod
    def _chain(first: Iterable[OrderRow], others: Iterable[OrderRow]) -> Iterator[OrderRow]:
        yield from first
        yield from others

    def __next__(self) -> OrderRow:
        row = next(self._rows)
        while self._part is not None and not self._part.has(row):
            self.counts.skip_order(row, "in another part")
            row = next(self._rows)
        self._pending[self._position] = row
        self._position += 1
        return row

    def finish(self, outcome: OrderOutcome) -> OrderRow | None:
        """Return the order that an outcome belongs to; counts it if it was rejected locally."""
        row = self._pending.pop(outcome.position, None)
        is_wrong = isinstance(outcome, Rejected) and outcome.attempts == 0
        if row is not None and is_wrong and not row.problems and not outcome.recorded:
            self.counts.reject(row)
        return row


# --- output files --------------------------------------------------------------------------------


def check_paths(inputs: Mapping[str, Path | None], outputs: Mapping[str, Path | None]) -> None:
    """Exit if an output is the same file as an input or another output, also by a link."""
    seen: list[tuple[str, Path]] = [(what, path) for what, path in inputs.items() if path]
    for what, path in outputs.items():
        if path is None:
            continue
        for other_what, other in seen:
            if _is_same(path, other):
                end_with_usage_error(
                    f"{what} {path} is the same file as {other_what} {other}; name another"
                )
        seen.append((what, path))


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        pass
    # For files that do not exist yet, and for file systems that ignore case.
    return os.path.normcase(one.resolve()) == os.path.normcase(other.resolve())


# --- without sending -----------------------------------------------------------------------------


def dry_run(source: OrderFile) -> int:
    """Print every mistake of a file with its row and column; returns the exit code."""
    reader = source.read()
    for row, problems in bulk.check(reader):
        if row.is_heading:
            source.refuse_heading(row)
        for problem in problems:
            print(name_options(problem))
        for warning in row.warnings:
            print(f"warning: {warning}")
        for note in row.notes:
            print(f"note: {note}")
    sys.stdout.flush()
    print_message(reader.counts)
    return REJECTED if reader.counts.rejected else 0


def write_starter_map(file: Path, output: Path | None) -> int:
    """Recognise an export, and write a starter map for it; returns the exit code."""
    if not file.is_file():
        end_with_usage_error(f"{file}: there is no such file")
    found = recognise_rows(islice(read_rows(file), _MAX_HEADER_ROW))
    if found is None:
        end_with_usage_error(f"{file}: no table with rows; JSON Lines need no map")
    if found.is_own:
        print_message(
            f"{file}: ClickPost's own columns, which need no map: "
            f"clickpost bulk {shlex.quote(str(file))} --dry-run"
        )
        return 0
    title = found.export.title if found.export else "none of the exports that are known here"
    print_message(f"{file}: {title}, {len(list(filter(None, found.titles)))} columns")
    text = write_map(found)
    if output is None:
        print(text, end="")
        return 0
    try:
        with output.open("x", encoding="utf-8") as opened:
            opened.write(text)
    except FileExistsError:
        end_with_usage_error(f"{output}: already exists; name another file, or remove it")
    except OSError as error:
        end_with_usage_error(f"{output}: {error.strerror}")
    row = "" if found.header_row == 1 else f" --header-row {found.header_row}"
    print_message(
        f'{output}: replace every "FILL IN", then: '
        f"clickpost bulk {shlex.quote(str(file))} --map {shlex.quote(str(output))}{row} --dry-run"
    )
    return 0


def write_template(output: Path | None, market: Market, kind: str | None) -> int:
    """Write a file of orders to fill in; returns the exit code."""
    today = dt.datetime.now().astimezone().date()
    if kind is None:
        kind = "xlsx" if output is not None and output.suffix.lower() == ".xlsx" else "csv"
    if output is None:
        if kind == "xlsx":
            end_with_usage_error("a workbook goes to a file: name one that ends in .xlsx")
        write_csv_template(sys.stdout, market, today)
        return 0
    if output.exists():
        end_with_usage_error(f"{output}: already exists; name another file, or remove it")
    try:
        if kind == "xlsx":
            whole = io.BytesIO()
            write_xlsx_template(whole, market, today)
            output.write_bytes(whole.getvalue())
        else:
            with output.open("x", encoding="utf-8-sig", newline="") as opened:
                write_csv_template(opened, market, today)
    except ImportError as error:
        end_with_usage_error(error)
    except OSError as error:
        end_with_usage_error(f"{output}: {error.strerror}")
    print_message(
        f"{output}: fill it in, then: clickpost bulk {shlex.quote(str(output))} --dry-run"
    )
    return 0
