"""Converts the text of a cell to a wire value, and undoes the changes of spreadsheets.

Surrounding blanks and byte order marks are stripped; an empty cell is an absent field. A value with
one meaning is normalised, with a note. An ambiguous or truncated value is an error, whose message
shows what to write instead. A value that is likely wrong gets a warning.
"""

import math
import re
import unicodedata
from collections.abc import Callable
from datetime import date, timedelta
from enum import StrEnum

from attrs import define, field

from clickpost_async.files.dates import BadDateError, Dates, ReadDate
from clickpost_async.files.numbers import BadNumberError, may_mean_thousands, parse_number
from clickpost_async.structures._json_values import to_boolean

Value = str | int | float | bool | list[str]


class CellKind(StrEnum):
    """The kind of value in a column's cells."""

    TEXT = "text"
    CODE = "code"  # text that a spreadsheet may mistake for a number, such as references
    PHONE = "phone"
    POSTCODE = "postcode"
    COUNTRY = "country"
    STATE = "state"
    EMAIL = "email"
    GSTIN = "gstin"
    NUMBER = "number"
    AMOUNT = "amount"  # a number of money
    WEIGHT = "weight"  # a number of grams
    WHOLE = "whole"
    FLAG = "flag"
    LIST = "list"
    DATE = "date"
    TIME = "time"
    DATE_OR_TIME = "date or time"


class BadCellError(ValueError):
    """A cell that cannot be read; the message contains advice."""


@define(kw_only=True)
class CellContext:
    """How the cells of a file are read, and the notes and warnings of the last ones.

    `decimal_comma`: the file likely writes one and a half as `1,5`. Dates far from `today` get a
    warning.
    """

    decimal_comma: bool = False
    dates: Dates = field(factory=Dates)
    today: date = field(factory=date.today)
    notes: list[str] = field(factory=list)
    warnings: list[str] = field(factory=list)
    known: dict[tuple[str, ...], Value | None] = field(factory=dict)

    def remember(self, key: tuple[str, ...], value: Value | None) -> None:
        """Cache a value without notes and warnings; most cells of a file repeat others."""
        if len(self.known) >= _MAX_KNOWN:
            self.known.clear()
        self.known[key] = value

    def note(self, before: str, after: object) -> None:
        """Add a note that a text was normalised."""
        self.notes.append(f"{shown(before)} read as {shown(after)}")

    def clear(self) -> None:
        """Clear the notes and warnings of the last cells."""
        self.notes.clear()
        self.warnings.clear()


# Sentinels for cells of a workbook without a usable text; no file can contain them.
LOST_DIGITS = "\x00lost digits"
NOT_CALCULATED = "\x00formula"

_SENTINELS = {
    LOST_DIGITS: (
        "a number of 16 digits and more, of which a spreadsheet keeps 15; "
        "format the column as text and fill it in again"
    ),
    NOT_CALCULATED: (
        "a formula without a value; open the workbook in a spreadsheet and save it again"
    ),
}

# Invisible characters that are copied along with numbers, as from a list of contacts.
_INVISIBLE = re.compile(r"[\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")
_BLANKS = " \t\r\n\v\f\xa0\u200b\ufeff"
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "'")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]").search
_SHORTENED = re.compile(r"[+-]?\d(\.\d+)?E\+\d+", re.ASCII | re.IGNORECASE).fullmatch
_DECIMAL = re.compile(r"(\d+)\.(0+)", re.ASCII).fullmatch
# ="560041", a formula that prevents a spreadsheet from reading text as a number.
_QUOTED_FORMULA = re.compile(r'="((?:[^"]|"")*)"', re.DOTALL).fullmatch
_SPREADSHEET_ERROR = re.compile(
    r"#(REF|VALUE|DIV/0|NUM|NULL|SPILL|CALC|FIELD|BLOCKED|CONNECT|BUSY|UNKNOWN)!|#N/A|#NAME\?"
    r"|#GETTING_DATA|Err:\d{3}",
    re.IGNORECASE,
).fullmatch
_PLACEHOLDERS = frozenset({"nan", "nat", "(null)", "nil", "n/a", "na", "<na>", "n.a.", "\\n"})
# As programs write absent values, also several of them that were joined.
_ABSENT = re.compile(r"(?:(?:undefined|null|none|nan)\b[\s,]*)+|\[object Object\]", re.IGNORECASE)
_MAX_PLACEHOLDER_LENGTH = 9
_LOST_LETTERS = re.compile(r"\?\?\?|[\s?.,/-]*\?[\s?.,/-]*\Z").match
# As ?öför; in a URL it begins the query.
_LOST_LETTER = re.compile(r"(?!.*(?:://|www\.)).*\?\w").match
_MAX_SHOWN_LENGTH = 60
_MAX_KNOWN = 4096


def shown(value: object) -> str:
    """Return a value of a file for a message: shortened, without control characters."""
    text = str(value)
    text = text if len(text) <= _MAX_SHOWN_LENGTH else f"{text[:_MAX_SHOWN_LENGTH]}…"
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else " " if letter.isspace() else "\ufffd" for letter in text
    )


def strip_blanks(cell: str) -> str:
    """Strip what surrounds the text of a cell and is not part of it."""
    return cell.strip(_BLANKS)


def read_cell(cell: str, kind: CellKind, context: CellContext | None = None) -> Value | None:
    """Return the value of a cell, `None` when it is empty, or raise `BadCellError`.

    Adds notes on normalised values and warnings on suspicious ones to `context`.
    """
    text = strip_blanks(cell)
    if not text:
        return None
    context = context or CellContext()
    if text[0] == "=" and (quoted := _QUOTED_FORMULA(text)):
        text = strip_blanks(quoted[1].replace('""', '"'))
        if not text:
            return None
        context.note(cell, text)
    refuse_damage(text, kind)
    if "?" in text and _LOST_LETTER(text):
        context.warnings.append(
            "has a question mark before a letter, as where letters were lost when the file was "
            "saved; if so, fill it in again and save as CSV UTF-8 or XLSX"
        )
    if not text.isascii():
        if kind in _PROSE:
            _suspect_encoding(text, context)
        else:
            plain = _plain_characters(text)
            if plain != text and (kind is CellKind.CODE or plain.split() != text.split()):
                context.note(text, plain)
            text = plain
            if not text:
                return None
    return _READERS[kind](text, context)


def refuse_damage(text: str, kind: CellKind) -> None:
    """Raise `BadCellError` for a text that a program or spreadsheet has put in a value's place."""
    if not text.isprintable() and (control := _CONTROL(text)):
        code = f"U+{ord(control[0]):04X}"
        raise BadCellError(_SENTINELS.get(text) or f"holds the control character {code}; remove it")
    if "\ufffd" in text:
        raise BadCellError(
            "holds a character that could not be decoded; save the file again as CSV UTF-8"
        )
    if ("?" in text and _LOST_LETTERS(text)) or "???" in text:
        raise BadCellError(
            "letters were replaced by question marks when the file was saved; "
            "fill it in again and save as CSV UTF-8 or XLSX"
        )
    if text[0] in "#Ee" and _SPREADSHEET_ERROR(text):
        raise BadCellError(
            f"holds the spreadsheet error {shown(text)}; correct its formula, or leave it empty"
        )
    if text.startswith("###") and not text.strip("#"):
        raise BadCellError(
            "the column was too narrow when the spreadsheet was saved, and the value is lost; "
            "widen it and save again"
        )
    if len(text) <= _MAX_PLACEHOLDER_LENGTH:
        folded = text.lower()
        is_code_of_a_place = folded == "na" and kind in {CellKind.COUNTRY, CellKind.STATE}
        if (folded in _PLACEHOLDERS and not is_code_of_a_place) or not text.strip("-\u2013\u2014"):
            raise _no_value(text)
    if text[0] in "uUnN[" and _ABSENT.fullmatch(text):
        raise _no_value(text)


def _no_value(text: str) -> BadCellError:
    return BadCellError(f"holds {shown(text)}, which is no value; fill it in, or leave it empty")


# Kinds whose text is free: every character of it is meant.
_PROSE = frozenset({CellKind.TEXT, CellKind.LIST, CellKind.EMAIL})


def _plain_characters(text: str) -> str:
    """Return a code or number with ASCII digits and blanks, and without invisible characters."""
    visible = _INVISIBLE.sub("", text)
    return strip_blanks("".join(map(_plain_character, visible)))


def _plain_character(letter: str) -> str:
    digit = unicodedata.decimal(letter, None)
    if digit is not None:
        return str(digit)
    return " " if unicodedata.category(letter) == "Zs" else letter


def _suspect_encoding(text: str, context: CellContext) -> None:
    try:
        meant = text.encode("cp1252").decode("utf-8")
    except UnicodeError:
        return
    context.warnings.append(
        f"looks like {shown(meant)} saved in a wrong encoding; save the file again as CSV UTF-8"
    )


_HTML = re.compile(
    r"&(?:[a-z]{2,6}|#\d{2,5}|#x[0-9a-f]{2,5});|</?(?:br|p|div|span|b)\b[^>]*>", re.IGNORECASE
)


# As people fill in a field that may not be empty.
_PUNCTUATION = ".,;:_*/\\|~'\"`-\u2013\u2014 "
_TEMPLATE = re.compile(r"\{\{.*?\}\}|\$\{.*?\}").search


_MONTH = "(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"
_MADE_DATE = re.compile(
    rf"\d{{1,2}}-{_MONTH}(?:-\d\d(?:\d\d)?)?|{_MONTH}-\d\d(?:\d\d)?"
    r"|\d{4}-\d\d-\d\d(?:[T ]00:00:00(?:\.0+)?Z?)?|\d{1,2}([-/])\d{1,2}\1(?:\d\d){1,2}",
    re.ASCII | re.IGNORECASE,
).fullmatch


def _suspect_date(text: str, context: CellContext) -> None:
    if _MADE_DATE(text):
        context.warnings.append(
            "looks like a date, which spreadsheets make of text such as 11-26; "
            "if it is none, format the column as text and fill it in again"
        )


def _text(text: str, context: CellContext) -> str:
    if not text.strip(_PUNCTUATION):
        context.warnings.append(f"holds {shown(text)}, which is no value, and is sent as text")
    # A spreadsheet hides the apostrophe before text that it would read as a formula.
    if text[0] == "'" and text[1:].startswith(_FORMULA):
        return text[1:]
    _suspect_date(text, context)
    if text[0] == "=":
        context.warnings.append("looks like a formula, and is sent as text")
    if ("&" in text or "<" in text) and (html := _HTML.search(text)):
        context.warnings.append(f"holds HTML ({html[0]}), and is sent as text")
    if "{" in text and (unfilled := _TEMPLATE(text)):
        context.warnings.append(
            f"holds {shown(unfilled[0])} of a template, not filled in; it is sent as text"
        )
    return text


def _place(text: str, context: CellContext) -> str | None:
    """Read a country or state; programs prefix cells with an apostrophe to make them text."""
    plain = strip_blanks(text.removeprefix("'"))
    return _text(plain, context) if plain else None


def _code(text: str, context: CellContext) -> str | None:
    plain = _digits(text, context)
    if plain is None:
        return None
    _suspect_date(plain, context)
    decimal = _DECIMAL(plain)
    if decimal is None:
        return plain
    if len(decimal[2]) > 1:
        context.warnings.append(f"{shown(text)} read as {decimal[1]}; format the column as text")
    else:
        context.note(text, decimal[1])
    return decimal[1]


def _digits(text: str, context: CellContext) -> str | None:
    del context
    plain = strip_blanks(text.removeprefix("'"))
    if _SHORTENED(plain):
        raise BadCellError(
            "a spreadsheet has shortened this number (as in 9.19E+11) and its digits are lost; "
            "format the column as text and fill it in again"
        )
    return plain or None


def _whole_digits(text: str, context: CellContext) -> str | None:
    """Read a phone number or postcode: a spreadsheet may have added a decimal point."""
    plain = _digits(text, context)
    decimal = plain and _DECIMAL(plain)
    if not decimal:
        return plain
    context.note(text, decimal[1])
    return decimal[1]


# --- numbers ------------------------------------------------------------------------------------

_LIGHT = 10


def _number(text: str, context: CellContext) -> int | float:
    plain = strip_blanks(text.removeprefix("'"))
    try:
        number = parse_number(plain, decimal_comma=context.decimal_comma)
    except BadNumberError as bad:
        raise BadCellError(str(bad)) from None
    if number.text != plain:
        context.note(text, number.text)
    return number.value


def _amount(text: str, context: CellContext) -> int | float:
    amount = _number(text, context)
    if may_mean_thousands(text):
        context.warnings.append(f"read as {amount}, with three decimals; is it a thousand times?")
    return amount


def _weight(text: str, context: CellContext) -> int | float:
    grams = _amount(text, context)
    if 0 < grams < _LIGHT:
        context.warnings.append(f"{grams} grams is very light; weights are in grams, not kilograms")
    return grams


def _whole(text: str, context: CellContext) -> int:
    try:
        number = _number(text, context)
    except BadCellError:
        number = math.nan
    if isinstance(number, float):
        raise BadCellError("a whole number is needed, like 4")
    return number


def _flag(text: str, context: CellContext) -> bool:
    del context
    flag = to_boolean(text.removeprefix("'").removesuffix(".0"))
    if not isinstance(flag, bool):
        raise BadCellError("true or false is needed (also yes, no, 1, 0)")
    return flag


def _list(text: str, context: CellContext) -> list[str] | None:
    del context
    parts = [strip_blanks(part) for part in re.split(r"[,|]", text)]
    return [part for part in parts if part] or None


# --- dates --------------------------------------------------------------------------------------

_IS_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII).fullmatch
_IS_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d.*", re.ASCII).fullmatch
_LONG_AGO, _FAR_AHEAD = timedelta(days=730), timedelta(days=366)


def _read_date(text: str, context: CellContext) -> ReadDate:
    try:
        return context.dates.read(text.removeprefix("'"))
    except BadDateError as bad:
        raise BadCellError(str(bad)) from None


def _note_date(text: str, found: ReadDate, value: str, context: CellContext) -> str:
    if value != text.replace(" ", "T", 1):
        guess = f", as the file's other dates are {found.guess}" if found.guess else ""
        context.notes.append(f"{shown(text)} read as {value}{guess}")
    return value


def _date(text: str, context: CellContext) -> str:
    found = _read_date(text, context)
    if not -_LONG_AGO < found.moment.date() - context.today < _FAR_AHEAD:
        context.warnings.append(f"{found.day} is far from today; is the year right?")
    return _note_date(text, found, found.day, context)


def _date_or_time(text: str, context: CellContext) -> str:
    found = _read_date(text, context)
    return _time(text, context) if found.has_time else _date(text, context)


def _time(text: str, context: CellContext) -> str:
    found = _read_date(text, context)
    if not found.has_time:
        raise BadCellError("a time of day is needed, too, like 2026-01-31T18:30:00")
    if not -_LONG_AGO < found.moment.date() - context.today < _FAR_AHEAD:
        context.warnings.append(f"{found.day} is far from today; is the year right?")
    value = text.replace(" ", "T", 1) if _IS_TIME(text) and " +" not in text else found.time
    return _note_date(text, found, value, context)


# --- codes with a fixed format --------------------------------------------------------------------

_GSTIN = re.compile(r"[0-3]\d[A-Z]{5}\d{4}[A-Z][1-9A-Z]Z[0-9A-Z]", re.ASCII).fullmatch


_EMAIL = re.compile(r"[^@\s<>,;:\"]+@[^@\s<>,;:\"]+").fullmatch


def _email(text: str, context: CellContext) -> str:
    if not _EMAIL(text):
        context.warnings.append("does not look like an e-mail address")
    return text


def _gstin(text: str, context: CellContext) -> str | None:
    code = _code(text, context)
    if code is not None and not _GSTIN(code):
        context.warnings.append("does not look like a GSTIN (15 letters and digits)")
    return code


_READERS: dict[CellKind, Callable[[str, CellContext], Value | None]] = {
    CellKind.TEXT: _text,
    CellKind.CODE: _code,
    CellKind.PHONE: _whole_digits,
    CellKind.POSTCODE: _whole_digits,
    CellKind.COUNTRY: _place,
    CellKind.STATE: _place,
    CellKind.EMAIL: _email,
    CellKind.GSTIN: _gstin,
    CellKind.NUMBER: _number,
    CellKind.AMOUNT: _amount,
    CellKind.WEIGHT: _weight,
    CellKind.WHOLE: _whole,
    CellKind.FLAG: _flag,
    CellKind.LIST: _list,
    CellKind.DATE: _date,
    CellKind.TIME: _time,
    CellKind.DATE_OR_TIME: _date_or_time,
}
