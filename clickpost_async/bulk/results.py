"""Files of outcomes, as tables that a spreadsheet may open, written outcome by outcome."""

import csv
import json
import os
import re
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Protocol, Self

from clickpost_async._util.extras import require
from clickpost_async._util.pending_file import PendingFile
from clickpost_async.bulk.outcome import OrderOutcome, Pending, Placed, Rejected, Unknown
from clickpost_async.files.file_kinds import format_by_name
from clickpost_async.files.order_rows import OrderRow

COLUMNS = (
    *("row", "reference_number", "outcome", "waybill", "courier_partner", "label"),
    *("reasons", "advice", "attempts", "known_from_journal"),
)
# What a spreadsheet takes for a formula when a cell begins with it, and their full-width twins.
_FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


def escape_formula(cell: str) -> str:
    """Put an apostrophe before what a spreadsheet would run (OWASP, CSV injection).

    Read back as a cell of an order, the apostrophe is taken off again.
    """
    return f"'{cell}" if cell.startswith((*_FORMULA, "'")) else cell


def row_of(outcome: OrderOutcome) -> Mapping[str, str | int | bool | None]:
    """Return an outcome's cells, by the names of their columns."""
    row: dict[str, str | int | bool | None] = {
        "row": outcome.row,
        "reference_number": outcome.reference_number,
        "outcome": type(outcome).__name__.lower(),
        "attempts": outcome.attempts,
        "known_from_journal": outcome.recorded,
    }
    match outcome:
        case Placed(order=order):
            row |= {
                "outcome": "already placed" if outcome.already_placed else "placed",
                "waybill": order.waybill,
                "courier_partner": order.courier_partner,
                "label": order.label,
            }
        case Rejected():
            advice = outcome.error.advice if outcome.error else "correct it, then send it again"
            row |= {"reasons": "\n".join(outcome.reasons), "advice": advice}
        case Unknown(error=error):
            row |= {"reasons": str(error), "advice": error.advice}
        case Pending(error=None):
            row["reasons"] = "ClickPost is still working on it"
            row["advice"] = "run the same command again later"
        case Pending(error=error):
            row |= {"reasons": str(error), "advice": error.advice if error else ""}
    if outcome.duplicate_of is not None:
        row["reasons"] = _join(f"the same order as {outcome.duplicate_of}", row.get("reasons"))
    if outcome.differs:
        row["reasons"] = _join(_DIFFERS, row.get("reasons"))
        row["advice"] = _AS_PLACED if isinstance(outcome, Placed) else _AS_SENT
    return row


_DIFFERS = "the row has changed since a previous run sent the order, which stands as it was sent"
_AS_PLACED = "edit or cancel the placed order if the change matters"
_AS_SENT = "undo the change and run the same command again, or settle the order with bulk resolve"


def _join(*parts: object) -> str:
    return "\n".join(str(part) for part in parts if part)


class OutcomeFile:
    """A file of rows in the format of its name's ending: `.jsonl`, `.xlsx`, or CSV.

    Only its owner can read it, and a link is not followed. It is written beside its target, which
    it replaces at the end: of a run that ended with an error before the first row, nothing is left,
    and the target stays as it was. Once a row could not be written, as on a full disk, those before
    it are kept; a workbook is not, because it is written at the end.

    Raises:
        OSError: The target cannot be written.
        ImportError: `.xlsx` needs openpyxl, which is not installed.

    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.kind: str = format_by_name(path) or "csv"
        writers: Mapping[str, Callable[[int], _TableWriter]]
        writers = {"csv": _CSVWriter, "jsonl": _JSONWriter, "xlsx": _XLSXWriter}
        self._file = PendingFile(path)
        try:
            self._writer: _TableWriter = writers[self.kind](self._file.descriptor)
        except BaseException:
            os.close(self._file.descriptor)
            self._file.discard()
            raise
        self._has_header = False
        self._has_rows = False
        self._is_cut = False
        self._whole = 0

    def _write_header(self, columns: Sequence[str]) -> None:
        if not self._has_header:
            self._has_header = True
            with self._naming_it():
                self._writer.write_header(columns)

    def _write(self, row: Mapping[str, object], cells: Sequence[object]) -> None:
        self._has_rows = True
        with self._naming_it():
            self._writer.write(row, cells)
            self._whole = os.fstat(self._file.descriptor).st_size

    @contextmanager
    def _naming_it(self) -> Generator[None]:
        """Name this file in the error if it cannot be written."""
        try:
            yield
        except OSError as error:
            self._is_cut = True
            raise OSError(error.errno, error.strerror, str(self._file.target)) from None

    def _finish(self) -> None:
        """Write what belongs into a file without rows."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        is_kept = kind is None or self._has_rows
        try:
            if self._is_cut:
                is_kept = self._has_rows and self.kind != "xlsx"
                # What could not be written cannot be written now, either.
                with suppress(OSError):
                    self._writer.close(save=False)
                self._file.cut(self._whole)
            else:
                with self._naming_it():
                    if is_kept:
                        self._finish()
                    self._writer.close(save=is_kept)
            if is_kept:
                with self._naming_it():
                    self._file.publish()
        finally:
            # Does nothing to one that is published.
            self._file.discard()


class ResultsFile(OutcomeFile):
    """All outcomes of a run, one row each."""

    def add(self, outcome: OrderOutcome) -> None:
        """Write one more outcome."""
        self._write_header(COLUMNS)
        row = row_of(outcome)
        self._write(row, [row.get(name) for name in COLUMNS])

    def _finish(self) -> None:
        self._write_header(COLUMNS)


class ErrorsFile(OutcomeFile):
    """The orders without a waybill, as they stand in their file, so that they can be corrected.

    Its columns are those of the input with `reason` and `advice` behind them, which `read_orders`
    leaves out when the file is pushed again. Where one of both files is JSON Lines and the other is
    a table, its columns are those of `ResultsFile`.
    """

    # The names of the input's columns, for a file in which there are no errors.
    header: Sequence[str] = ()

    def add(self, outcome: OrderOutcome, source: OrderRow | None) -> None:
        """Write the rows of an order with what is wrong with it."""
        found = row_of(outcome)
        remarks = {"reason": found.get("reasons"), "advice": found.get("advice")}
        if source is None or not source.source:
            self._add_outcome(found)
        elif source.header:
            self._add_rows(source, remarks)
        elif self.kind == "jsonl":
            order = source.order or {"line": "".join(source.source[0].cells)}
            self._write({**order, **remarks}, ())
        else:
            self._add_outcome(found)

    def _add_outcome(self, found: Mapping[str, object]) -> None:
        self._write_header(COLUMNS)
        self._write(found, [found.get(name) for name in COLUMNS])

    def _add_rows(self, source: OrderRow, remarks: Mapping[str, object]) -> None:
        kept = [n for n, title in enumerate(source.header) if not _is_remark(title)]
        titles = [source.header[n] for n in kept]
        self._write_header([*titles, *remarks])
        for row in source.source:
            cells = [row.cells[n] if n < len(row.cells) else "" for n in kept]
            self._write(
                {**dict(zip(titles, cells, strict=True)), **remarks}, [*cells, *remarks.values()]
            )

    def _finish(self) -> None:
        titles = [title for title in self.header if not _is_remark(title)]
        self._write_header([*titles, "reason", "advice"] if titles else COLUMNS)


def _is_remark(title: str) -> bool:
    return title.strip().lower() in ("reason", "advice")


class _TableWriter(Protocol):
    def write_header(self, columns: Sequence[str]) -> None: ...

    def write(self, row: Mapping[str, object], cells: Sequence[object]) -> None: ...

    def close(self, *, save: bool) -> None: ...


class _CSVWriter:
    """Writes CSV that Excel opens as it was meant: in UTF-8, without changing numbers and dates."""

    def __init__(self, descriptor: int) -> None:
        self._file = os.fdopen(descriptor, "w", encoding="utf-8-sig", newline="")
        self._table = csv.writer(self._file)

    def write_header(self, columns: Sequence[str]) -> None:
        self._table.writerow(map(escape_formula, columns))
        self._file.flush()

    def write(self, row: Mapping[str, object], cells: Sequence[object]) -> None:  # noqa: ARG002 - as its protocol
        self._table.writerow(
            [_excel_cell(cell) if isinstance(cell, str) else cell for cell in cells]
        )
        self._file.flush()

    def close(self, *, save: bool) -> None:  # noqa: ARG002 - as its protocol
        self._file.close()


class _JSONWriter:
    """Writes JSON Lines."""

    def __init__(self, descriptor: int) -> None:
        self._file = os.fdopen(descriptor, "w", encoding="utf-8")

    def write_header(self, columns: Sequence[str]) -> None:
        """Do nothing: every line repeats the names."""

    def write(self, row: Mapping[str, object], cells: Sequence[object]) -> None:  # noqa: ARG002 - as its protocol
        self._file.write(json.dumps(row, ensure_ascii=False) + "\n")
        self._file.flush()

    def close(self, *, save: bool) -> None:  # noqa: ARG002 - as its protocol
        self._file.close()


class _XLSXWriter:
    """Writes a workbook, row by row; it is saved at the end."""

    def __init__(self, descriptor: int) -> None:
        with require(
            "writing .xlsx needs openpyxl",
            "clickpost_async[xlsx]",
            "or choose a name that ends in .csv",
        ):
            from openpyxl import Workbook
        self._descriptor = descriptor
        self._book = Workbook(write_only=True)
        self._sheet = self._book.create_sheet("orders")
        self._sheet.freeze_panes = "A2"

    def write_header(self, columns: Sequence[str]) -> None:
        self._append(columns)

    def write(self, row: Mapping[str, object], cells: Sequence[object]) -> None:  # noqa: ARG002 - as its protocol
        self._append(cells)

    def _append(self, cells: Sequence[object]) -> None:
        from openpyxl.cell import WriteOnlyCell
        from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

        written: list[object] = []
        for value in cells:
            if not isinstance(value, str):
                written.append(value)
                continue
            cell = WriteOnlyCell(
                self._sheet, ILLEGAL_CHARACTERS_RE.sub("\ufffd", value)[:_MAX_TEXT]
            )
            # Text it stays, were it a formula or a number of many digits, and when it is edited.
            cell.data_type = "s"
            cell.number_format = "@"
            written.append(cell)
        self._sheet.append(written)

    def close(self, *, save: bool) -> None:
        with os.fdopen(self._descriptor, "wb") as file:
            if save:
                self._book.save(file)
            elif not self._sheet.closed:
                # Its rows are in a temporary file, which is removed.
                self._sheet.close()


# The longest text that a cell of a workbook can hold.
_MAX_TEXT = 32_767
_DATE, _TIME = r"\d{1,4}([-/]\d{1,4}){1,2}", r"\d{1,2}:\d\d(:\d\d)?"
_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
# What Excel changes when it opens a CSV file: long numbers, leading and trailing zeros, exponents,
# thousands, percentages, truth values, dates and times.
_CHANGED_BY_EXCEL = re.compile(
    r"\d{12,}|0\d+|\d+\.\d*0|\d+e\d+|\d{1,3}(,\d{2,3})+(\.\d+)?|\d+(\.\d+)?%|true|false"
    rf"|{_DATE}([ T]{_TIME})?|{_TIME}"
    rf"|\d{{1,2}}[-/ ]?({_MONTHS})[a-z]*([-/ ]\d{{2,4}})?|({_MONTHS})[a-z]*[-/ ]?\d{{1,4}}",
    re.ASCII | re.IGNORECASE,
).fullmatch


def _excel_cell(cell: str) -> str:
    """Return a cell of a CSV file that Excel shows as it is; `read_orders` reads it as it was."""
    return f'="{cell}"' if _CHANGED_BY_EXCEL(cell) else escape_formula(cell)
