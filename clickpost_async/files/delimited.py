"""The rows of a delimited file: separated by commas, semicolons, tabs or bars."""

import csv
import io
import math
import re
from collections.abc import Iterator, Sequence

from clickpost_async.files.cells import strip_blanks
from clickpost_async.files.text import Lines, UnreadableLineError

Record = tuple[int, Sequence[str] | UnreadableLineError]

_DELIMITERS = ",;\t|"
_SEPARATOR_LINE = re.compile(r'"?sep=(?P<delimiter>[^\w\s"]|\t)"?\s*', re.IGNORECASE).fullmatch
_QUOTED = re.compile(r'"((?:[^"]|"")*)"').fullmatch
_INSIDE_QUOTES = re.compile(r'"[^"]*"')
_LINE_BREAK = re.compile(r"\r\n|\n|\r")
# A writer quotes a value that contains one of these, or quotes all values.
_NEEDS_QUOTES = re.compile(r'[",\t\r\n]').search
_MAX_LINES = 1000
# In a table with fewer columns a value may contain as many delimiters as a row.
_NARROW = 4


def open_records(lines: Lines, header_row: int | None, *, is_quoted: bool = True) -> "Records":
    """Detect the delimiter by the headings, or by a line `sep=;` before them."""
    first = lines.peek()
    if found := _SEPARATOR_LINE(first):
        # Spreadsheets read it as a setting, not as a row.
        lines.skip_peeked()
        return Records(lines, found["delimiter"], is_quoted=is_quoted)
    if header_row is not None or not any(map(first.count, _DELIMITERS)):
        first = lines.peek(header_row)
    first = _INSIDE_QUOTES.sub("", first)
    return Records(lines, max(_DELIMITERS, key=first.count), is_quoted=is_quoted)


class Records(Iterator[Record]):
    """The rows that are not blank, with their numbers as a spreadsheet shows them.

    `width` is the number of columns of the headings, once they are known: it detects unclosed
    quotation marks and truncated rows. `is_quoted` becomes false when values of a tab-separated
    file show that it does not quote.
    """

    def __init__(self, lines: Lines, delimiter: str, *, is_quoted: bool = True) -> None:
        self.width: int | None = None
        self.delimiter = delimiter
        self.is_quoted: bool = is_quoted
        self._lines = lines
        self._all_quoted = False
        # The fewest values of a row so far: some writers leave out the empty ones at its end.
        self._narrowest = math.inf
        self._records = self._tab_records() if delimiter == "\t" else self._csv_records()

    def __next__(self) -> Record:
        number, cells = next(self._records)
        if isinstance(cells, UnreadableLineError):
            return number, cells
        if self.width:
            if len(cells) < min(self.width, self._narrowest) and self._lines.is_cut_off:
                message = f"the file ends in this row, after {len(cells)} of {self.width} values"
                return number, UnreadableLineError(f"{message}; get a complete file")
            self._narrowest = min(self._narrowest, len(cells))
        return number, cells

    def _csv_records(self) -> Iterator[Record]:
        table = csv.reader(self._lines, delimiter=self.delimiter, strict=True)
        number = line = 0
        while True:
            number += 1
            first = line + 1
            try:
                cells = next(table)
            except StopIteration:
                return
            except UnreadableLineError as unreadable:
                yield number, unreadable
                continue
            except csv.Error as error:
                line = table.line_num
                yield number, _unreadable(_csv_advice(str(error)), first, line)
                continue
            line = table.line_num
            if line > first and self._has_swallowed_a_row(cells):
                reason = (
                    "a quoted value has a line break and as many delimiters as a row; "
                    "close its quotation mark, or double the quotation marks inside of values"
                )
                yield number, _unreadable(reason, first, line)
            elif any(map(strip_blanks, cells)):
                yield number, cells

    def _has_swallowed_a_row(self, cells: Sequence[str]) -> bool:
        """Return whether a value contains the end of one row and the beginning of another."""
        width = self.width or 0
        if width < _NARROW:
            return False
        for index, cell in enumerate(cells):
            parts = _LINE_BREAK.split(cell)
            if len(parts) > 1:
                before = parts[0].count(self.delimiter)
                after = parts[-1].count(self.delimiter) + max(0, len(cells) - width)
                if before >= width - 1 - index and after >= index:
                    return True
        return False

    # --- tabs -----------------------------------------------------------------------------------

    def _tab_records(self) -> Iterator[Record]:
        """Read lines in which quotation marks may be ordinary characters.

        A line with as many tabs as the headings is a row, regardless of quotation marks.
        """
        number = 0
        while True:
            number += 1
            try:
                line = next(self._lines)
            except StopIteration:
                return
            except UnreadableLineError as unreadable:
                yield number, unreadable
                continue
            body = line.rstrip("\r\n")
            if _LINE_BREAK.search(body):
                yield number, UnreadableLineError("a line break outside quotation marks")
                continue
            cells = body.split("\t")
            if '"' in body:
                try:
                    cells = self._unquote(line, cells)
                except UnreadableLineError as unreadable:
                    yield number, unreadable
                    continue
            if any(map(strip_blanks, cells)):
                yield number, cells

    def _unquote(self, line: str, cells: list[str]) -> list[str]:
        if self.width is None:
            # The headings: if all of them are quoted, all values are.
            self._all_quoted = all(_QUOTED(cell) for cell in cells if cell)
            return _parsed(line) or cells
        if not self.is_quoted:
            return cells
        is_row = len(cells) == self.width
        if not is_row:
            parsed = _parsed(line)
            if parsed is not None and len(parsed) <= self.width:
                return parsed
        if not is_row or _is_open(cells[-1]):
            joined = self._join(line, is_row=is_row)
            if joined is not None:
                return joined
        if all(_QUOTED(cell) for cell in cells if '"' in cell):
            return [self._literal(cell) for cell in cells]
        if self._all_quoted:
            raise UnreadableLineError("a quotation mark inside a quoted value has to be doubled")
        self.is_quoted = False
        return cells

    def _literal(self, cell: str) -> str:
        quoted = _QUOTED(cell)
        if quoted is None:
            return cell
        value = quoted[1].replace('""', '"')
        return value if self._all_quoted or _NEEDS_QUOTES(value) else cell

    def _join(self, line: str, *, is_row: bool) -> list[str] | None:
        """Return the row of a line and the following ones, if a quoted value spans them.

        A line that could be a row by itself (`is_row`) is one if the next row begins before the
        quotation mark is closed.
        """
        more: list[str] = []
        while len(more) < _MAX_LINES:
            try:
                following = next(self._lines)
            except (StopIteration, UnreadableLineError):
                break
            more.append(following)
            if following.count("\t") >= (self.width or 0) - 1:
                if is_row:
                    break
                # Ambiguous: a row of its own, or the end of this one.
                raise UnreadableLineError(
                    "a quotation mark is opened and not closed before the next row; close it, or "
                    "double the quotation marks inside of values",
                    rows=len(more) + 1,
                )
            parsed = _parsed("".join((line, *more)))
            if parsed is not None and (not is_row or len(parsed) == self.width):
                return parsed
        self._lines.push_back(more)
        return None


def _is_open(cell: str) -> bool:
    return cell.startswith('"') and not _QUOTED(cell)


def _parsed(text: str) -> list[str] | None:
    rows = csv.reader(io.StringIO(text, newline=""), delimiter="\t", strict=True)
    try:
        found = list(rows)
    except csv.Error:
        return None
    return found[0] if len(found) == 1 else None


def _unreadable(reason: str, first: int, last: int) -> UnreadableLineError:
    where = f"line {first} was" if first == last else f"lines {first} to {last} were"
    return UnreadableLineError(f"{reason}; {where} skipped", rows=last - first + 1)


def _csv_advice(error: str) -> str:
    if "field limit" in error or "end of data" in error:
        return "a quotation mark is opened and not closed, or a value is too long"
    if "expected after" in error:
        return "a quotation mark inside a quoted value has to be doubled"
    return "a line break outside quotation marks"
