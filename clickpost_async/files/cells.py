"""Turn the text of one cell into a wire value, and undo what spreadsheets do to text.

A cell is stripped of surrounding blanks and byte order marks; an empty one is an absent field.
What cannot be restored is refused with a message that says how to save the file instead.
"""

import math
import re
from collections.abc import Callable
from enum import StrEnum

Value = str | int | float | bool | list[str]


class Kind(StrEnum):
    """What the cells of a column hold."""

    TEXT = "text"
    CODE = "code"  # text that a spreadsheet may take for a number: pincodes, phones, references
    NUMBER = "number"
    WHOLE = "whole"
    FLAG = "flag"
    LIST = "list"


class BadCellError(ValueError):
    """A cell that cannot be read; the message says what to do."""


_BLANKS = " \t\r\n\v\f\xa0\u200b\ufeff"
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "'")
_SHORTENED = re.compile(r"[+-]?\d(\.\d+)?E\+\d+", re.ASCII | re.IGNORECASE).fullmatch
_DECIMAL = re.compile(r"(\d+)\.0+", re.ASCII).fullmatch
_NUMBER = re.compile(r"[+-]?\d{1,30}(\.\d{0,30})?(E[+-]?\d{1,3})?", re.ASCII | re.IGNORECASE)
_FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def strip_blanks(cell: str) -> str:
    """Take away what surrounds the text of a cell and is not part of it."""
    return cell.strip(_BLANKS)


def read_cell(cell: str, kind: Kind) -> Value | None:
    """Return the value of a cell, `None` when it is empty, or raise `BadCellError`."""
    text = strip_blanks(cell)
    if not text:
        return None
    if "\x00" in text:
        raise BadCellError("holds a NUL character; save the file again as CSV UTF-8")
    return _READERS[kind](text)


def _text(text: str) -> str:
    # A spreadsheet hides the apostrophe in front of text that it would take for a formula.
    return text[1:] if text[0] == "'" and text[1:].startswith(_FORMULA) else text


def _code(text: str) -> str | None:
    text = strip_blanks(text.removeprefix("'"))
    if _SHORTENED(text):
        raise BadCellError(
            "a spreadsheet has shortened this number (as in 9.19E+11) and its digits are lost; "
            "format the column as text and fill it in again"
        )
    decimal = _DECIMAL(text)
    return (decimal[1] if decimal else text) or None


def _number(text: str) -> int | float:
    text = strip_blanks(text.removeprefix("'"))
    if not _NUMBER.fullmatch(text):
        raise BadCellError(
            "not a number; write it like 1234.5, without currency or thousands separator"
        )
    if text.lstrip("+-").isdigit():
        return int(text)
    number = float(text)
    if not math.isfinite(number):
        raise BadCellError("this number is too large")
    return int(number) if number.is_integer() and abs(number) < _EXACT else number


# Above it a float no longer tells neighbouring whole numbers apart.
_EXACT = 2**53


def _whole(text: str) -> int:
    try:
        number = _number(text)
    except BadCellError:
        number = math.nan
    if isinstance(number, float):
        raise BadCellError("a whole number is needed, like 4")
    return number


def _flag(text: str) -> bool:
    flag = _FLAGS.get(text.removeprefix("'").lower().removesuffix(".0"))
    if flag is None:
        raise BadCellError("true or false is needed (also yes, no, 1, 0)")
    return flag


def _list(text: str) -> list[str] | None:
    parts = [strip_blanks(part) for part in re.split(r"[,|]", text)]
    return [part for part in parts if part] or None


_READERS: dict[Kind, Callable[[str], Value | None]] = {
    Kind.TEXT: _text,
    Kind.CODE: _code,
    Kind.NUMBER: _number,
    Kind.WHOLE: _whole,
    Kind.FLAG: _flag,
    Kind.LIST: _list,
}
