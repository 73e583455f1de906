"""The rows of a workbook's first sheet, as the texts that a CSV file of it would hold.

They are read one by one: the sheet is never in memory as a whole.
"""

import datetime as dt
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from typing import BinaryIO

# What a workbook of a million orders does not unpack to, but a zip bomb does.
_LARGEST = 4 << 30
_SHOWN = "visible"


class UnreadableSheetError(ValueError):
    """A workbook that cannot be read; the message says what to do."""


def sheet_rows(file: BinaryIO) -> Iterator[tuple[int, Sequence[str]]]:
    """Yield the rows that hold anything, with their numbers as a spreadsheet shows them."""
    try:
        from openpyxl import load_workbook
    except ImportError:
        raise UnreadableSheetError(
            "reading a workbook needs openpyxl: pip install 'clickpost_async[xlsx]', "
            "or save it as CSV UTF-8"
        ) from None
    try:
        _refuse_bomb(file)
        with warnings.catch_warnings():
            # It tells of styles and extensions that it leaves out, which hold no orders.
            warnings.simplefilter("ignore", UserWarning)
            book = load_workbook(file, read_only=True, data_only=True)
        sheet = next(sheet for sheet in book.worksheets if sheet.sheet_state == _SHOWN)
        for number, cells in enumerate(sheet.iter_rows(values_only=True), 1):
            texts = [_text(cell) for cell in cells]
            if any(texts):
                yield number, texts
    except UnreadableSheetError:
        raise
    except Exception as error:
        # Parsers of XML, zip and the workbook fail in a dozen ways of their own.
        raise UnreadableSheetError(
            "not an .xlsx workbook, damaged, or protected by a password; save it as CSV UTF-8"
        ) from error


def _refuse_bomb(file: BinaryIO) -> None:
    with zipfile.ZipFile(file) as packed:
        if sum(part.file_size for part in packed.infolist()) > _LARGEST:
            raise UnreadableSheetError("the workbook unpacks to more than 4 GiB; split it")


def _text(cell: object) -> str:
    match cell:
        case None:
            return ""
        case bool():
            return "true" if cell else "false"
        case float() if cell.is_integer():
            # A spreadsheet has one kind of number: a pincode may be 110001.0 in its file.
            return str(int(cell))
        case dt.datetime():
            is_day = cell.time() == dt.time()
            return cell.date().isoformat() if is_day else cell.isoformat(" ")
        case dt.date() | dt.time():
            return cell.isoformat()
        case _:
            return str(cell)
