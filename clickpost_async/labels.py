"""Many labels, one file to print: `pip install 'clickpost_async[labels]'`."""

import io
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from clickpost_async._codec.file_types import HEAD, Kind, kind_of

try:
    from pypdf import PdfWriter
except ImportError as _error:
    message = "merging labels needs pypdf: pip install 'clickpost_async[labels]'"
    raise ImportError(message) from _error

Place = str | os.PathLike[str]


def merge(paths: Iterable[Place], into: Place, *, overwrite: bool = False) -> Path:
    """Put the pages of many label PDFs into one, in the order given, and return its path.

    The new file appears only when it is whole. This works on the processor and the disk: in
    asynchronous code, call it by `asyncio.to_thread`.

    Raises:
        ValueError: a file, which is named, is no PDF or damaged; or there are none.
        FileExistsError: the file exists already and `overwrite` is false.

    """
    target = Path(into)
    if not overwrite and os.path.lexists(target):
        message = f"{target.name} is there already; choose another name, or say overwrite=True"
        raise FileExistsError(message)
    writer = PdfWriter()
    for path in paths:
        _append(writer, Path(path))
    if not writer.pages:
        message = "no labels were given, so there is nothing to merge"
        raise ValueError(message)
    part = target.with_name(f".{secrets.token_hex(16)}.part")
    try:
        with open(part, "xb", opener=_private) as file:
            writer.write(file)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return target


def _append(writer: PdfWriter, path: Path) -> None:
    document = path.read_bytes()
    # pypdf mends what it can, also a file that was cut off, and then leaves pages out.
    whole = kind_of(document[:HEAD]) is Kind.PDF and b"%%EOF" in document[-1024:]
    before = len(writer.pages)
    try:
        if whole:
            writer.append(io.BytesIO(document), import_outline=False)
    except Exception as error:  # pypdf meets damage with all kinds of exceptions
        raise _damaged_error(path) from error
    if len(writer.pages) == before:
        raise _damaged_error(path)


def _damaged_error(path: Path) -> ValueError:
    return ValueError(f"{path.name} cannot be read as a PDF; download it again")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
