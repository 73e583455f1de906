"""The lines of a file of orders: decoded, with bounded memory."""

import codecs
import io
import re
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TextIO

# A longer line is a sign of a damaged file.
_MAX_LINE_LENGTH = 8 << 20
_MAX_BLANK_LINES = 100
_MAX_PEEKED = 10_000
_PEEKED = 64
_MIN_UTF16 = 4
_NOT_UTF8 = re.compile(r"[\udc80-\udcff]")


def decode(raw: "io.BufferedReader[io.RawIOBase]") -> io.TextIOWrapper:
    """Return a file's text, by its detected encoding.

    Bytes that are not UTF-8 are kept as surrogates, which `Lines` decodes line by line.
    """
    if encoding := detect_wide_encoding(raw.peek(_PEEKED)):
        return io.TextIOWrapper(raw, encoding, errors="replace", newline="")
    return io.TextIOWrapper(raw, "utf-8-sig", errors="surrogateescape", newline="")


def detect_wide_encoding(start: bytes) -> str | None:
    """Return the codec of a file in UTF-16 or UTF-32, by its byte order mark or by its zero bytes.

    In UTF-16 without a mark, the upper bytes of the first characters, which are ASCII, are zero.
    """
    # Before UTF-16, whose little-endian mark is the beginning of this one.
    if start.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    first = start[:_PEEKED].partition(b"\n")[0]
    even, odd = first[::2], first[1::2]
    if len(odd) < _MIN_UTF16:
        return None
    if not any(odd) and all(even[: len(odd)]):
        return "utf-16-le"
    return "utf-16-be" if not any(even) and all(odd) else None


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
        # Whether a line was read as Windows-1252; reset by the reader that reports it.
        self.has_guessed_encoding: bool = False

    @property
    def is_cut_off(self) -> bool:
        """Whether the last line that was read has no line break, as in a truncated file."""
        return not self._last.endswith(("\n", "\r"))

    def peek(self, row: int | None = None) -> str:
        """Return the first line that is not blank, or that of a row, without consuming any."""
        for index in range(min(row or _MAX_BLANK_LINES, _MAX_PEEKED)):
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
            line = self._file.readline(_MAX_LINE_LENGTH)
            if len(line) < _MAX_LINE_LENGTH:
                return self._without_surrogates(line)
            while line and not line.endswith(("\n", "\r")):
                line = self._file.readline(_MAX_LINE_LENGTH)
        except UnicodeDecodeError as error:
            # The text after it cannot be decoded reliably, so reading ends here.
            self._file = io.StringIO()
            raise UnreadableLineError(
                f"the file is not {error.encoding}, reading stopped; pass its path instead of an "
                "open file, or open it with its encoding"
            ) from error
        raise UnreadableLineError(
            f"a line has more than {_MAX_LINE_LENGTH} characters and was skipped"
        )

    def _without_surrogates(self, line: str) -> str:
        """Decode a line that is not UTF-8 as Windows-1252, which Excel writes.

        A line that has other characters of UTF-8 is damaged: the bytes become U+FFFD.
        """
        if line.isascii() or not _NOT_UTF8.search(line):
            return line
        others = _NOT_UTF8.sub("", line)
        if not others.isascii():
            return _NOT_UTF8.sub("\ufffd", line)
        self.has_guessed_encoding = True
        return line.encode("utf-8", "surrogateescape").decode("cp1252", "replace")
