"""Merge labels into one PDF for printing: `pip install 'clickpost_async[labels]'`."""

import io
import os
from collections.abc import Iterable
from pathlib import Path

from clickpost_async._codec.file_types import HEAD, FileType, kind_of
from clickpost_async._util.extras import require
from clickpost_async._util.pending_file import PendingFile

with require("merging labels needs pypdf", "clickpost_async[labels]"):
    from pypdf import PdfWriter

Place = str | os.PathLike[str]


def merge(paths: Iterable[Place], into: Place, *, overwrite: bool = False) -> Path:
    """Merge label PDFs into one, in the order of `paths`.

    The new file appears only when it is complete. The merge blocks on CPU and disk: in asynchronous
    code, call it with `asyncio.to_thread`.

    Args:
        paths: The label PDFs.
        into: The path of the new file.
        overwrite: Whether an existing file at `into` is replaced.

    Returns:
        The path of the new file.

    Raises:
        ValueError: A file is no PDF or damaged (the message has its name); or there are none.
        FileExistsError: There is a file at `into` and `overwrite` is false.
        OSError: A file cannot be read or written, or `into` is a link.

    """
    target = Path(into)
    if not overwrite and os.path.lexists(target):
        message = f"{target.name} exists already; choose another name, or pass overwrite=True"
        raise FileExistsError(message)
    writer = PdfWriter()
    for path in paths:
        _append(writer, Path(path))
    if not writer.pages:
        message = "no labels to merge: paths is empty"
        raise ValueError(message)
    pending = PendingFile(target)
    try:
        with os.fdopen(pending.descriptor, "wb") as file:
            writer.write(file)
        pending.publish()
    except BaseException:
        pending.discard()
        raise
    return target


def _append(writer: PdfWriter, path: Path) -> None:
    document = path.read_bytes()
    # pypdf repairs what it can, even a truncated file, and drops pages then.
    whole = kind_of(document[:HEAD]) is FileType.PDF and b"%%EOF" in document[-1024:]
    before = len(writer.pages)
    try:
        if whole:
            writer.append(io.BytesIO(document), import_outline=False)
    except Exception as error:  # pypdf raises many kinds of exceptions for damaged files
        raise _damaged_error(path) from error
    if len(writer.pages) == before:
        raise _damaged_error(path)


def _damaged_error(path: Path) -> ValueError:
    return ValueError(f"{path.name} cannot be read as a PDF; download it again")
