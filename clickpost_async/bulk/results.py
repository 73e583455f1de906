"""What became of every order, as a table that a spreadsheet may open, written as outcomes come."""

import csv
import json
import os
import stat
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from clickpost_async._util.private_files import open_private
from clickpost_async.bulk.outcome import OrderOutcome, Pending, Placed, Rejected, Unknown

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


class ResultsFile(AbstractContextManager["ResultsFile"]):
    """A file of outcomes: CSV, or JSON Lines where its name ends in `.jsonl`.

    Only its owner can read it, a link is not followed, and every row is in it once it was written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        opened = open_private(path, os.O_WRONLY | os.O_CREAT)
        if stat.S_ISREG(os.fstat(opened).st_mode):
            os.ftruncate(opened, 0)
        self._file: TextIO = os.fdopen(opened, "w", encoding="utf-8", newline="")
        is_json = Path(path).suffix in (".jsonl", ".ndjson")
        self._write: Callable[[Mapping[str, object]], None]
        self._write = self._write_json if is_json else self._write_csv
        self._table = csv.DictWriter(self._file, COLUMNS)
        if not is_json:
            self._table.writeheader()

    def add(self, outcome: OrderOutcome) -> None:
        """Write one more outcome."""
        self._write(row_of(outcome))
        self._file.flush()

    def _write_json(self, row: Mapping[str, object]) -> None:
        self._file.write(json.dumps(row, ensure_ascii=False) + "\n")

    def _write_csv(self, row: Mapping[str, object]) -> None:
        self._table.writerow(
            {
                name: escape_formula(cell) if isinstance(cell, str) else cell
                for name, cell in row.items()
            }
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
