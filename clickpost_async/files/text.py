"""The lines of a file of orders: decoded, with bounded memory."""

import codecs
import io
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TextIO

# A longer line is a sign of a damaged file.
_LONGEST_LINE = 8 << 20
_MOST_BLANK_LINES = 100
_MOST_PEEKED = 10_000


def decode(raw: "io.BufferedReader[io.RawIOBase]") -> io.TextIOWrapper:
    """Return a file's text, by its detected encoding."""
    if raw.peek(2)[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return io.TextIOWrapper(raw, "utf-16", errors="replace", newline="")
    return io.TextIOWrapper(raw, "utf-8-sig", errors=_OR_WINDOWS, newline="")


def _windows(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


# Codecs take error handlers by name only.
_OR_WINDOWS = "clickpost_async.or_windows_1252"
codecs.register_error(_OR_WINDOWS, _windows)


class UnreadableLineError(ValueError):
    """Lines that are skipped; `rows` is how many rows of the file they are."""

    def __init__(self, message: str, *, rows: int = 1) -> None:
        super().__init__(message)
        self.rows = rows


class Lines:
    """The lines of a file, none of them longer than the bound."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._held: deque[str | UnreadableLineError] = deque()
        self._last = "\n"

    @property
    def is_cut_off(self) -> bool:
        """Whether the last line that was read has no line break, as in a truncated file."""
        return not self._last.endswith(("\n", "\r"))

    def peek(self, row: int | None = None) -> str:
        """Return the first line that is not blank, or that of a row, without consuming any."""
        for index in range(min(row or _MOST_BLANK_LINES, _MOST_PEEKED)):
            try:
                line = self._held[index] if index < len(self._held) else self._hold()
            except UnreadableLineError:
                break
            if isinstance(line, UnreadableLineError):
                break
            if line == "" or (line.strip() if row is None else index == row - 1):
                return line
        return ""

    def skip_peeked(self) -> None:
        """Consume the lines before the first that is not blank."""
        while self._held:
            line = self._held.popleft()
            if isinstance(line, UnreadableLineError) or line.strip():
                return

    def push_back(self, lines: Iterable[str]) -> None:
        """Put the last lines back, in their order."""
        self._held.extendleft(reversed(list(lines)))

    def _hold(self) -> str:
        try:
            line = self._read()
        except UnreadableLineError as unreadable:
            self._held.append(unreadable)
            raise
        if not self._held:
            line = line.removeprefix("\ufeff")
        self._held.append(line)
        return line

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._held.popleft() if self._held else self._read()
        if isinstance(line, UnreadableLineError):
            raise line
        if not line:
            raise StopIteration
        self._last = line
        return line

    def _read(self) -> str:
        try:
            line = self._file.readline(_LONGEST_LINE)
            if len(line) < _LONGEST_LINE:
                return line
            while line and not line.endswith(("\n", "\r")):
                line = self._file.readline(_LONGEST_LINE)
        except UnicodeDecodeError as error:
            # The text after it cannot be decoded reliably, so reading ends here.
            self._file = io.StringIO()
            raise UnreadableLineError(
                f"the file is not {error.encoding}, reading stopped; pass its path instead of an "
                "open file, or open it with its encoding"
            ) from error
        raise UnreadableLineError(
            f"a line has more than {_LONGEST_LINE} characters and was skipped"
        )
