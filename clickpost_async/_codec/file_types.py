"""Downloadable file types, recognised by their first bytes."""

import enum
import re
from collections.abc import Iterable

from attrs import field, frozen


class FileType(enum.Enum):
    """The type of a file, by its contents; its name and Content-Type are not trusted."""

    PDF = "PDF"
    PNG = "PNG"
    ZPL = "ZPL"
    ZIP = "ZIP"
    CSV = "CSV"


# Number of bytes that are inspected.
HEAD = 1024

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_STARTS = {
    b"%PDF-": FileType.PDF,
    b"\x89PNG\r\n\x1a\n": FileType.PNG,
    b"PK\x03\x04": FileType.ZIP,
    b"^XA": FileType.ZPL,
}
# Pages, storage's own errors (XML, JSON) and scripts are text too, but no table begins like them.
_NO_TABLE = (b"<", b"{", b"[", b"#!", b"%")
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]").search


def kind_of(head: bytes) -> FileType | None:
    """Return a file's type by its first `HEAD` bytes; `None` if it is not recognised."""
    start = head.removeprefix(_BYTE_ORDER_MARK).lstrip()
    for mark, kind in _STARTS.items():
        if start.startswith(mark):
            return kind
    return FileType.CSV if start and not start.startswith(_NO_TABLE) and not _BINARY(head) else None


def _kinds(values: Iterable[FileType]) -> frozenset[FileType]:
    return frozenset(values)


@frozen
class Download:
    """A kind of download: its name in errors, and the file types that are accepted."""

    name: str
    kinds: frozenset[FileType] = field(converter=_kinds)
