"""The lines of a file of orders: decoded, and never more than a bounded piece in memory."""

import codecs
import io
from collections import deque
from collections.abc import Iterator
from typing import TextIO

# More characters in a line are not an order but a damaged file.
_LONGEST_LINE = 8 << 20
_MOST_BLANK_LINES = 100


def decode(raw: "io.BufferedReader[io.RawIOBase]") -> io.TextIOWrapper:
    """Return a file's text, by the encoding it is in."""
    if raw.peek(2)[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return io.TextIOWrapper(raw, "utf-16", errors="replace", newline="")
    return io.TextIOWrapper(raw, "utf-8-sig", errors=_OR_WINDOWS, newline="")


def _windows(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


# The codec machinery knows error handlers by name only.
_OR_WINDOWS = "clickpost_async.or_windows_1252"
codecs.register_error(_OR_WINDOWS, _windows)


class UnreadableLineError(ValueError):
    """A line that is skipped; the message says why."""


class Lines:
    """The lines of a file, none of them longer than the bound."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._held: deque[str | UnreadableLineError] = deque()

    def peek(self) -> str:
        """Return the first line that is not blank, without taking any away."""
        for _ in range(_MOST_BLANK_LINES):
            try:
                line = self._read()
            except UnreadableLineError as unreadable:
                self._held.append(unreadable)
                break
            if not self._held:
                line = line.removeprefix("\ufeff")
            self._held.append(line)
            if line == "" or line.strip():
                return line
        return ""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._held.popleft() if self._held else self._read()
        if isinstance(line, UnreadableLineError):
            raise line
        if not line:
            raise StopIteration
        return line

    def _read(self) -> str:
        try:
            line = self._file.readline(_LONGEST_LINE)
            if len(line) < _LONGEST_LINE:
                return line
            while line and not line.endswith(("\n", "\r")):
                line = self._file.readline(_LONGEST_LINE)
        except UnicodeDecodeError as error:
            # What comes after it cannot be told apart, so the file ends here.
            self._file = io.StringIO()
            raise UnreadableLineError(
                f"the file is not {error.encoding}, reading stopped; give its path instead of an "
                "open file, or open it with its encoding"
            ) from error
        raise UnreadableLineError(
            f"a line has more than {_LONGEST_LINE} characters and was skipped"
        )
