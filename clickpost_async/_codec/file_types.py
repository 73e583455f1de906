"""Which files are downloaded, and how the first bytes of one tell what it is."""

import enum
import re
from collections.abc import Iterable

from attrs import field, frozen


class Kind(enum.Enum):
    """What a file is, whatever its name or the server says."""

    PDF = "PDF"
    PNG = "PNG"
    ZPL = "ZPL"
    ZIP = "ZIP"
    CSV = "CSV"


# As many of a file's first bytes as are looked at.
HEAD = 1024

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_STARTS = {
    b"%PDF-": Kind.PDF,
    b"\x89PNG\r\n\x1a\n": Kind.PNG,
    b"PK\x03\x04": Kind.ZIP,
    b"^XA": Kind.ZPL,
}
# Pages, storage's own errors (XML, JSON) and scripts are text too, but no table begins like them.
_NO_TABLE = (b"<", b"{", b"[", b"#!", b"%")
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]").search


def kind_of(head: bytes) -> Kind | None:
    """Tell what a file is by its first `HEAD` bytes; `None` if it is nothing that is known here."""
    start = head.removeprefix(_BYTE_ORDER_MARK).lstrip()
    for mark, kind in _STARTS.items():
        if start.startswith(mark):
            return kind
    return Kind.CSV if start and not start.startswith(_NO_TABLE) and not _BINARY(head) else None


def _kinds(values: Iterable[Kind]) -> frozenset[Kind]:
    return frozenset(values)


@frozen
class Download:
    """A file that an answer's URL leads to: what it is called in errors, and what it may be."""

    name: str
    kinds: frozenset[Kind] = field(converter=_kinds)
