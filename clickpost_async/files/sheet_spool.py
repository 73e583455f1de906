"""Keeps the rows of a sheet for a second pass, since a workbook is slow to parse."""

import json
import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from clickpost_async.files.xlsx import SheetRow, UnreadableSheetError


class SheetSpool:
    """The rows of a sheet in a temporary file, which is deleted when it is closed."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(  # noqa: SIM115 - closed at the exit
            "w+", encoding="ascii"
        )
        # Whether a pass has written to it.
        self.has_rows: bool = False
        self._error: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def record(self, rows: Iterator[SheetRow]) -> Iterator[SheetRow]:
        """Yield the rows while they are written to the file."""
        self.has_rows = True
        try:
            for row in rows:
                self._file.write(json.dumps((row.number, row.cells, row.is_hidden)) + "\n")
                yield row
        except UnreadableSheetError as error:
            self._error = str(error)
            raise

    def replay(self) -> Iterator[SheetRow]:
        """Yield the recorded rows again, and raise the error that ended them."""
        self._file.seek(0)
        for line in self._file:
            number, cells, is_hidden = json.loads(line)
            yield SheetRow(number, cells, is_hidden=is_hidden)
        if self._error is not None:
            raise UnreadableSheetError(self._error)
