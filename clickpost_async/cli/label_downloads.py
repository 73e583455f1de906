"""Downloads the labels of a bulk run into a folder."""

import asyncio
import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from clickpost_async.bulk import Placed
from clickpost_async.cli.messages import end_with_usage_error, print_message
from clickpost_async.client import ClickPost
from clickpost_async.errors import ClickPostError

_MAX_CONCURRENCY = 8
_MAX_NAME = 100
_UNSAFE = re.compile(r"[^\w#()+,=@ .-]|^[ .-]|[ .]$", re.ASCII)
# Devices on Windows, whatever their ending.
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE | re.ASCII).fullmatch


def file_name(reference: str) -> str:
    """Return a file name for a reference: valid on every system, and unique to it.

    Characters that are not valid in a file name are replaced, and a short hash keeps such names
    unique; lower-case letters are hashed too, since some file systems ignore case.
    """
    plain = _UNSAFE.sub("_", reference)[:_MAX_NAME]
    if plain == reference and plain == plain.upper() and not _DEVICE(plain):
        return plain
    digest = hashlib.sha256(reference.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{plain}-{digest}" if not _DEVICE(plain) else f"_{plain}-{digest}"


class LabelDownloads:
    """Downloads labels while orders are created; one that fails costs no order."""

    def __init__(self, clickpost: ClickPost, folder: Path) -> None:
        self._clickpost = clickpost
        self._folder = folder
        self._room = asyncio.Semaphore(_MAX_CONCURRENCY)
        self._tasks: set[asyncio.Task[None]] = set()
        self._files: dict[int, Path] = {}
        self._is_stopped = False
        self._failed = 0
        self._without_label = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            end_with_usage_error(f"{folder}: {error.strerror}")

    @property
    def is_incomplete(self) -> bool:
        """Whether a label that exists is missing, or they could not be merged."""
        return bool(self._failed)

    async def fetch(self, placed: Placed) -> None:
        """Start a download; waits if many are in flight."""
        if placed.duplicate_of is not None:
            # One order has one label, even if several rows of the file name it.
            return
        name = file_name(placed.reference_number or str(placed.order.waybill))
        path = self._folder / f"{name}.pdf"
        if placed.recorded and path.exists():
            self._files[placed.position] = path
        elif not placed.order.label:
            self._without_label += 1
        else:
            await self._room.acquire()
            if self._is_stopped:
                self._room.release()
                self._failed += 1
                return
            task = asyncio.create_task(self._fetch(placed, path))
            self._tasks.add(task)
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._room.release()

    async def _fetch(self, placed: Placed, path: Path) -> None:
        try:
            await self._clickpost.labels.download(placed.order, path, overwrite=True)
        except asyncio.CancelledError:
            # Only `stop` cancels one alone.
            self._failed += 1
            raise
        except (ClickPostError, OSError) as error:
            self._failed += 1
            print_message(f"label of {placed.reference_number}: {error}")
        else:
            self._files[placed.position] = path

    def stop(self) -> None:
        """Cancel the downloads, and start no other."""
        self._is_stopped = True
        for task in self._tasks:
            task.cancel()

    async def end(self, merged: Path | None) -> None:
        """Wait for the downloads, report what is missing, and merge them in the input's order."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._failed:
            print_message(
                f"{self._failed} labels were not downloaded: run the same command again,"
                " or fetch them with `clickpost labels`"
            )
        if self._without_label:
            print_message(f"{self._without_label} placed orders have no label")
        files = [self._files[position] for position in sorted(self._files)]
        if merged is None or self._is_stopped:
            return
        if not files:
            print_message(f"{merged}: there are no labels to merge")
        elif not await asyncio.to_thread(_merge, files, merged):
            self._failed += 1


def _merge(files: Iterable[Path], merged: Path) -> bool:
    from clickpost_async.labels import merge

    try:
        merge(files, merged, overwrite=True)
    except (ValueError, OSError) as error:
        print_message(f"{merged}: {error}")
        return False
    return True
