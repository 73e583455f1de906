"""Recognises what kind of file it is, by its name and its first bytes."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from clickpost_async.files.text import detect_wide_encoding

Format = Literal["csv", "jsonl", "xlsx"]

# How many first bytes of a file are enough to recognise it.
PEEKED_BYTES = 1024

_ZIP = b"PK\x03\x04"
_FORMATS: Mapping[str, Format] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".xlsx": "xlsx"}
# First bytes of files that are not files of orders, with advice.
_OTHER_FILES = (
    (
        rb"\xd0\xcf\x11\xe0",
        "an old .xls workbook, or one protected by a password; save it as .xlsx without a password",
    ),
    (rb"\x1f\x8b|BZh|\xfd7zXZ|\x28\xb5\x2f\xfd|7z\xbc\xaf|Rar!", "compressed; unpack it first"),
    (
        rb"PK\x03\x04.{26}mimetypeapplication/vnd\.oasis",
        "an OpenDocument file, such as .ods; save it as .xlsx",
    ),
    (rb"%PDF", "a PDF; export CSV or XLSX instead"),
    (
        rb"(?:\xef\xbb\xbf)?\s*<",
        "HTML or XML, whatever its name; open it in a spreadsheet and save it as .xlsx",
    ),
    (rb"[^\n]*?\x00", "not text; save it as CSV UTF-8 or XLSX"),
)


def format_by_name(name: str | os.PathLike[str]) -> Format | None:
    """Return the format that a file's name ends in, `None` for any other ending."""
    return _FORMATS.get(Path(name).suffix.lower())


def is_zip(start: bytes) -> bool:
    """Return whether a file begins like a zip archive, which a workbook is."""
    return start.startswith(_ZIP)


def is_json(line: str) -> bool:
    """Return whether a line begins like a JSON object or list."""
    return line.lstrip()[:1] in ("{", "[")


def is_spread_json(line: str) -> bool:
    """Return whether JSON that begins with this line goes on over further lines."""
    return line.strip() in ("{", "[", "[{")


def describe_other_file(start: bytes, form: Format | None) -> str | None:
    """Return what a file is, if it is none of orders, with advice."""
    if not start:
        # An empty file of JSON Lines has no orders; a table has headings at least.
        return None if form == "jsonl" else "empty; export it again"
    if detect_wide_encoding(start) or (is_zip(start) and not start[30:].startswith(b"mimetype")):
        return None
    if form == "xlsx" and not is_zip(start):
        return "not an .xlsx workbook, whatever its name or format"
    return next(
        (what for pattern, what in _OTHER_FILES if re.match(pattern, start, re.DOTALL)), None
    )
