"""The rows of a sheet of a workbook, as the texts that a CSV file of it would contain.

They are read with python-calamine if it is installed (several times as fast, with the sheet in
memory), else with openpyxl, row by row. Neither reports hidden rows, cells with errors, formulas
that were never calculated, and the leading zeros and prefixes of codes that a format shows: these
are read from the XML.
"""

import datetime as dt
import posixpath
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO
from xml.etree import ElementTree as ET

from attrs import define, field, frozen

from clickpost_async._util.extras import not_installed
from clickpost_async.files.cells import LOST_DIGITS, NOT_CALCULATED

# A workbook of a million orders unpacks to less; a zip bomb to more.
_MAX_SIZE = 4 << 30
# Larger sheets are not read with calamine, which holds them in memory.
_MAX_IN_MEMORY = 1 << 30
_MAX_INDEX = 16 << 20
_MAX_ROW = 64 << 20
# From here on a spreadsheet has rounded the last digits of a number.
_INEXACT = 10**15


class UnreadableSheetError(ValueError):
    """A workbook that cannot be read; the message contains advice."""


@frozen
class SheetRow:
    """A row of a sheet: its number in the spreadsheet, and whether it is hidden."""

    number: int
    cells: Sequence[str]
    is_hidden: bool = field(default=False, kw_only=True)


def sheet_rows(file: BinaryIO, sheet: str | int | None = None) -> Iterator[SheetRow]:
    """Yield the rows of a sheet that hold anything.

    Args:
        file: The workbook, a seekable file.
        sheet: The sheet's name, or its number from 1; without one, the first that is not hidden.

    Raises:
        UnreadableSheetError: It is not a readable workbook, or has no such sheet.

    """
    try:
        yield from _rows(file, sheet)
    except (UnreadableSheetError, ImportError):
        raise
    except Exception as error:
        # The parsers of XML, zip and the workbook raise many kinds of exceptions.
        raise UnreadableSheetError(
            "not an .xlsx workbook, damaged, or protected by a password; save it as CSV UTF-8"
        ) from error


def _rows(file: BinaryIO, sheet: str | int | None) -> Iterator[SheetRow]:
    with zipfile.ZipFile(file) as packed:
        parts = packed.namelist()
        if "xl/workbook.bin" in parts:
            raise UnreadableSheetError("an .xlsb workbook; save it as .xlsx")
        if "[Content_Types].xml" not in parts:
            raise UnreadableSheetError("a zip archive, not a workbook; unpack it first")
        size = sum(part.file_size for part in packed.infolist())
        if size > _MAX_SIZE:
            raise UnreadableSheetError("the workbook unpacks to more than 4 GiB; split it")
        chosen = _choose(_sheets(packed), sheet)
        marks = _scan(packed, chosen.part, _formatted_cells(packed))
    file.seek(0)
    last = 0
    for last, cells in enumerate(_values(file, chosen.name, size, marks), 1):
        yield from _row(last, cells, marks)
    # A library ends with the last value, and leaves out rows of formulas without one, or of errors.
    for number in sorted(number for number in marks.cells if number > last):
        yield from _row(number, (), marks)


def _row(number: int, cells: Sequence[object], marks: "_Marks") -> Iterator[SheetRow]:
    texts = [_text(cell) for cell in cells]
    for column, text in marks.cells.get(number, {}).items():
        texts += [""] * (column + 1 - len(texts))
        texts[column] = text
    while texts and not texts[-1]:
        texts.pop()
    if texts:
        yield SheetRow(number, texts, is_hidden=number in marks.hidden)


def _values(file: BinaryIO, name: str, size: int, marks: "_Marks") -> Iterator[Sequence[object]]:
    if size <= _MAX_IN_MEMORY:
        try:
            from python_calamine import CalamineWorkbook
        except ImportError:
            pass
        else:
            yield from CalamineWorkbook.from_filelike(file).get_sheet_by_name(name).iter_rows()
            return
    try:
        from openpyxl import load_workbook
    except ImportError:
        needs = "reading a workbook needs openpyxl or python-calamine"
        missing = not_installed(needs, "clickpost_async[xlsx]", "or save it as CSV UTF-8")
        raise UnreadableSheetError(str(missing)) from None
    with warnings.catch_warnings():
        # It warns of styles and extensions that it ignores.
        warnings.simplefilter("ignore", UserWarning)
        book = load_workbook(file, read_only=True, data_only=True)
    opened = book[name]
    # The dimensions that a sheet declares may be wrong.
    opened.reset_dimensions()
    is_read = False
    for cells in opened.iter_rows(values_only=True):
        is_read = True
        yield [_unescape(cell) if isinstance(cell, str) else cell for cell in cells]
    if marks.last_row and not is_read:
        raise UnreadableSheetError(
            "openpyxl finds none of the sheet's rows, as in a Strict Open XML workbook; "
            "save it as an ordinary .xlsx, or install clickpost_async[calamine]"
        )


# --- parts of the workbook ------------------------------------------------------------------------


@frozen
class _Worksheet:
    name: str
    part: str
    is_shown: bool


def _sheets(packed: zipfile.ZipFile) -> Sequence[_Worksheet]:
    office = next(
        (target for kind, target in _relations(packed, "").values() if kind == "officeDocument"),
        "xl/workbook.xml",
    )
    relations = _relations(packed, office)
    found: list[_Worksheet] = []
    for element in _parse(packed, office).iter():
        if not element.tag.endswith("}sheet"):
            continue
        identity = next((v for k, v in element.attrib.items() if k.endswith("}id")), "")
        kind, part = relations.get(identity, ("", ""))
        if kind == "worksheet":
            state = element.get("state", "visible")
            found.append(_Worksheet(element.get("name", ""), part, state == "visible"))
    return found


def _relations(packed: zipfile.ZipFile, part: str) -> Mapping[str, tuple[str, str]]:
    folder, name = posixpath.split(part)
    path = posixpath.join(folder, "_rels", f"{name}.rels")
    if path not in packed.namelist():
        return {}
    return {
        relation.get("Id", ""): (
            relation.get("Type", "").rpartition("/")[2],
            posixpath.normpath(posixpath.join("/", folder, relation.get("Target", "")))[1:],
        )
        for relation in _parse(packed, path)
    }


def _parse(packed: zipfile.ZipFile, part: str) -> ET.Element:
    if packed.getinfo(part).file_size > _MAX_INDEX:
        raise UnreadableSheetError(f"the workbook is damaged: {part} is too large")
    return ET.fromstring(packed.read(part))  # noqa: S314 - as at the import


def _choose(sheets: Sequence[_Worksheet], wanted: str | int | None) -> _Worksheet:
    if wanted is None:
        found = next((sheet for sheet in sheets if sheet.is_shown), None)
    elif isinstance(wanted, int):
        found = sheets[wanted - 1] if 1 <= wanted <= len(sheets) else None
    else:
        found = next((sheet for sheet in sheets if sheet.name == wanted), None) or next(
            (sheet for sheet in sheets if sheet.name.strip().lower() == wanted.strip().lower()),
            None,
        )
    if found is None:
        names = ", ".join(sheet.name for sheet in sheets) or "none"
        which = "visible sheet" if wanted is None else f"sheet {wanted}"
        raise UnreadableSheetError(f"the workbook has no {which}; its sheets are: {names}")
    return found


def sheet_names(file: BinaryIO) -> Sequence[str]:
    """Return the names of a workbook's visible sheets; empty if it cannot be read."""
    try:
        with zipfile.ZipFile(file) as packed:
            return [sheet.name for sheet in _sheets(packed) if sheet.is_shown]
    except Exception:  # noqa: BLE001 - as in `sheet_rows`
        return []


# --- details that only the sheet's XML has --------------------------------------------------------

_HIDDEN = re.compile(rb'<(?:\w+:)?row\b[^>]*\bhidden="(?:1|true)"[^>]*>')
_ERROR = re.compile(rb'<(?:\w+:)?c\b([^>]*\bt="e"[^>]*)>.*?<(?:\w+:)?v>(.*?)</', re.DOTALL)
_FORMULA_ALONE = re.compile(
    rb"<(?:\w+:)?c\b([^>]*)>\s*"
    rb"<(?:\w+:)?f\b(?:[^>]*/>|[^>]*>[^<]*</(?:\w+:)?f>)\s*"
    rb"(?:<(?:\w+:)?v\s*/>|<(?:\w+:)?v>\s*</(?:\w+:)?v>)?\s*</(?:\w+:)?c>"
)
_NUMBERED_ROW = re.compile(rb'<(?:\w+:)?row\b[^>]*?\sr="(\d+)"')
_ROW_NUMBER = re.compile(rb'\br="(\d+)"')
_CELL_PLACE = re.compile(rb'\br="([A-Za-z]{1,3})(\d+)"')
_CHUNK = 1 << 20


@define
class _Marks:
    """Hidden rows, and texts for cells that the libraries return otherwise: by row and column.

    `last_row` is the number of the last row that was scanned.
    """

    hidden: set[int] = field(factory=set)
    cells: dict[int, dict[int, str]] = field(factory=dict)
    last_row: int = 0

    def number(self, xml: bytes) -> None:
        """Check the numbers of the next rows: the libraries drop rows that are out of order."""
        for row in map(int, _NUMBERED_ROW.findall(xml)):
            if row <= self.last_row:
                raise UnreadableSheetError(
                    f"row {row} of the sheet comes after row {self.last_row}; "
                    "open the workbook in a spreadsheet and save it again"
                )
            self.last_row = row

    def mark(self, attributes: bytes, text: str) -> None:
        place = _CELL_PLACE.search(attributes)
        if place is None:
            raise UnreadableSheetError(
                f"the sheet has a cell with {text.strip(chr(0))} but without its position; "
                "open and save the workbook in a spreadsheet"
            )
        column = 0
        for letter in place[1].upper():
            column = column * 26 + letter - ord("A") + 1
        self.cells.setdefault(int(place[2]), {})[column - 1] = text


@frozen
class _FormattedCells:
    """The cells whose style shows a number as a code: with leading zeros, or as `ORD-17`.

    `formats` are the text before the number and its digits, by style.
    """

    formats: Mapping[bytes, tuple[str, int]]
    expression: re.Pattern[bytes]

    def scan(self, xml: bytes, marks: _Marks) -> None:
        for cell in self.expression.finditer(xml):
            if not _IS_TEXT(cell["place"]):
                prefix, width = self.formats[cell["style"]]
                marks.mark(cell["place"], prefix + cell["number"].decode().zfill(width))


# `00000`, and `"ORD-"0`; currencies are no part of a number.
_CODE_FORMAT = re.compile(r'(?:"([^"]*[A-Za-z#][^"]*)"(?=0))?(0+)(?:;.*)?', re.DOTALL).fullmatch
_CURRENCY = re.compile(r"\s*(?:INR|Rs\.?|USD|US\$|EUR|GBP|AED|SAR|SGD)\s*", re.IGNORECASE).fullmatch


def _code_format(code: str) -> tuple[str, int] | None:
    found = _CODE_FORMAT(code)
    if found is None:
        return None
    prefix, width = found[1] or "", len(found[2])
    is_plain = not prefix and width == 1
    return None if is_plain or _CURRENCY(prefix) else (prefix, width)


def _formatted_cells(packed: zipfile.ZipFile) -> _FormattedCells | None:
    if "xl/styles.xml" not in packed.namelist():
        return None
    styles = _parse(packed, "xl/styles.xml")
    formats = {
        element.get("numFmtId", ""): code_format
        for element in styles.iter()
        if element.tag.endswith("}numFmt")
        and (code_format := _code_format(element.get("formatCode", "")))
    }
    if not formats:
        return None
    used = next((element for element in styles if element.tag.endswith("}cellXfs")), ())
    by_style = {
        str(index).encode(): formats[number]
        for index, style in enumerate(used)
        if (number := style.get("numFmtId", "")) in formats
    }
    if not by_style:
        return None
    numbers = b"|".join(by_style)
    expression = (
        rb'<(?:\w+:)?c\b(?P<place>[^>]*\bs="(?P<style>' + numbers + rb')"[^>]*)>\s*'
        rb"(?:<(?:\w+:)?f\b(?:[^>]*/>|[^>]*>[^<]*</(?:\w+:)?f>)\s*)?"
        rb"<(?:\w+:)?v>(?P<number>\d+)(?:\.0*)?</"
    )
    return _FormattedCells(by_style, re.compile(expression))


_IS_TEXT = re.compile(rb'\bt="(?:s|str|inlineStr|b|e|d)"').search


def _scan(packed: zipfile.ZipFile, part: str, formatted: _FormattedCells | None) -> _Marks:
    marks = _Marks()
    rest = b""
    with packed.open(part) as xml:
        while chunk := xml.read(_CHUNK):
            rest += chunk
            # Whole rows only; the end tag may have a namespace prefix.
            end = max(rest.rfind(b"</row>"), rest.rfind(b":row>"))
            if end > 0:
                _scan_rows(rest[:end], marks, formatted)
                rest = rest[end:]
            elif len(rest) > _MAX_ROW:
                raise UnreadableSheetError("a row of the sheet is too large; save it as CSV UTF-8")
    _scan_rows(rest, marks, formatted)
    return marks


def _scan_rows(xml: bytes, marks: _Marks, formatted: _FormattedCells | None) -> None:
    marks.number(xml)
    if b"hidden=" in xml:
        for row in _HIDDEN.finditer(xml):
            if number := _ROW_NUMBER.search(row[0]):
                marks.hidden.add(int(number[1]))
    if formatted is not None:
        formatted.scan(xml, marks)
    if b't="e"' in xml:
        for cell in _ERROR.finditer(xml):
            marks.mark(cell[1], cell[2].decode("utf-8", "replace"))
    if b"<f" in xml or b":f" in xml:
        for cell in _FORMULA_ALONE.finditer(xml):
            # A formula whose value is an empty text was calculated.
            if b't="str"' not in cell[1]:
                marks.mark(cell[1], NOT_CALCULATED)


# --- cells as text --------------------------------------------------------------------------------

_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")


def _unescape(text: str) -> str:
    """Decode escapes for characters that XML cannot contain, such as `_x000D_`."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text) if "_x" in text else text


def _text(cell: object) -> str:  # noqa: PLR0911 - one for each type of cell
    match cell:
        case None:
            return ""
        case str():
            return cell
        case bool():
            return "true" if cell else "false"
        case int() | float() if abs(cell) >= _INEXACT:
            return LOST_DIGITS
        case float() if cell.is_integer():
            # A spreadsheet stores all numbers as floats: a pincode may be 110001.0.
            return str(int(cell))
        case dt.datetime():
            is_day = cell.time() == dt.time()
            return cell.date().isoformat() if is_day else cell.isoformat()
        case dt.date() | dt.time():
            return cell.isoformat()
        case _:
            return str(cell)
