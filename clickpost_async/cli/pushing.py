"""What the bulk commands do."""

import asyncio
import re
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import attrs
from attrs import field, frozen
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from clickpost_async import bulk
from clickpost_async._transport.retry import ReSend
from clickpost_async._wire.converter import structure
from clickpost_async.bulk import JournalError, Outcome, Placed, Row, Run
from clickpost_async.bulk.columns import Market
from clickpost_async.bulk.standing import State
from clickpost_async.bulk.tables import Table
from clickpost_async.cli.account import client
from clickpost_async.client import ClickPost
from clickpost_async.errors import ClickPostError, InvalidRequestError
from clickpost_async.structures import IndiaOrder, WorldOrder

REJECTED, UNDECIDED, HALTED, INTERRUPTED = 3, 4, 5, 130

# Where nobody looks at a bar, a line now and then.
_LINE_EVERY = 5.0
_DOWNLOADS = 8


@frozen(kw_only=True)
class Job:
    """What is to be pushed, and where its outcomes go."""

    file: Path | None
    journal: Path | None
    at_once: int
    quiet: bool
    format: Any = None
    labels: Path | None = None
    merge: Path | None = None
    hold: bool = False
    resolve: bool = False
    tables: "tuple[Table | None, Table | None]" = field(default=(None, None))


def tables(
    stack: ExitStack, results: Path | None, errors: Path | None
) -> tuple[Table | None, Table | None]:
    """Open the tables that were asked for, or end with what is wrong with them."""
    opened: list[Table | None] = []
    for path in (results, errors):
        try:
            opened.append(None if path is None else stack.enter_context(Table(path)))
        except OSError as error:
            raise SystemExit(f"{path}: {error.strerror}") from None
    return opened[0], opened[1]


def _say(words: object) -> None:
    print(words, file=sys.stderr, flush=True)


def _rows(file: Path, format: Any) -> Iterator[Row]:  # noqa: A002
    if str(file) == "-":
        return bulk.read_orders(sys.stdin, format=format)
    if not file.is_file():
        raise SystemExit(f"{file}: there is no such file")
    return bulk.read_orders(file, format=format)


def check(file: Path, format: Any) -> int:  # noqa: A002
    """Print every mistake of a file with its row and column."""
    orders = wrong = 0
    seen: dict[tuple[Market, str], int] = {}
    for row in _rows(file, format):
        orders += 1
        mistakes = list(_mistakes(row))
        if row.reference is not None:
            first = seen.setdefault((row.market, row.reference), row.number)
            if first != row.number:
                mistakes.append(f"row {row.number}, reference_number: row {first} has it, too")
        wrong += bool(mistakes)
        for mistake in mistakes:
            print(mistake)
    _say(f"{orders} orders, {wrong} with mistakes")
    return REJECTED if wrong else 0


def _mistakes(row: Row) -> Iterator[str]:
    if row.problems:
        yield from map(str, row.problems)
        return
    order: Any = row.order
    try:
        structure(order, IndiaOrder if row.market is Market.INDIA else WorldOrder)
    except InvalidRequestError as error:
        for problem in error.problems:
            yield str(row.locate(problem.path, problem.message))


async def push(job: Job) -> int:
    """Push a file, or settle a journal; returns the exit code."""
    async with client() as clickpost:
        if job.hold:
            held = attrs.evolve(clickpost.retry, resend=ReSend.NEVER)
            clickpost = clickpost.with_options(retry=held)  # noqa: PLW2901 - the same one, held
        try:
            return await _push(job, clickpost)
        except JournalError as error:
            _say(error)
            return 1


async def _push(job: Job, clickpost: ClickPost) -> int:
    total: int | None = None
    if job.resolve:
        assert job.journal is not None  # noqa: S101 - the command requires it
        total = bulk.status(job.journal).in_doubt
        run = bulk.resolve(clickpost, job.journal, at_once=job.at_once)
    else:
        assert job.file is not None  # noqa: S101 - as above
        if str(job.file) != "-":
            total = sum(1 for _ in _rows(job.file, job.format))
        rows = _rows(job.file, job.format)
        run = bulk.create(clickpost, rows, journal=job.journal, at_once=job.at_once)
    labels = _Labels(clickpost, job.labels) if job.labels else None
    results, errors = job.tables
    async with run:
        with _stopping(run), _progress(run, total, quiet=job.quiet) as advance:
            async for outcome in run:
                if results is not None:
                    results.add(outcome)
                if errors is not None and not isinstance(outcome, Placed):
                    errors.add(outcome)
                if labels is not None and isinstance(outcome, Placed):
                    await labels.fetch(outcome)
                advance(outcome)
    if labels is not None:
        await labels.end(job.merge)
    _say(run.report)
    if run.report.stopped or run.report.halted:
        again = "run the same command again to go on"
        _say(again if job.journal else "there is no journal to go on from: give --journal")
    return _code(run)


def _code(run: Run) -> int:
    report = run.report
    if report.halted is not None:
        return HALTED
    if report.stopped:
        return INTERRUPTED
    if report.unknown or report.pending:
        return UNDECIDED
    return REJECTED if report.rejected else 0


@contextmanager
def _stopping(run: Run) -> Iterator[None]:
    """Let the first interruption end the reading, and the second everything."""
    loop = asyncio.get_running_loop()
    main = asyncio.current_task()

    def stop() -> None:
        if run.report.stopped and main is not None:
            main.cancel()
            return
        run.stop()
        _say(f"stopping: {run.waiting} orders are under way; once more to leave them")

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    try:
        yield
    except asyncio.CancelledError:
        _say("left; what was under way is in doubt until the same command is run again")
        raise SystemExit(INTERRUPTED) from None
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


@contextmanager
def _progress(run: Run, total: int | None, *, quiet: bool) -> Iterator[Any]:
    console = Console(stderr=True)
    if quiet:
        yield lambda _: None
    elif console.is_terminal:
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
        ) as bar:
            task = bar.add_task("orders", total=total)
            yield lambda _: bar.update(task, advance=1, description=_line(run))
    else:
        said = time.monotonic()

        def say(_: Outcome) -> None:
            nonlocal said
            if time.monotonic() - said >= _LINE_EVERY:
                said = time.monotonic()
                of = "" if total is None else f" of {total}"
                _say(f"{run.report.total}{of} orders: {_line(run)}")

        yield say


def _line(run: Run) -> str:
    report = run.report
    rate = report.total / report.seconds if report.seconds else 0.0
    return (
        f"{report.placed + report.already_placed} placed, {report.rejected} rejected,"
        f" {report.unknown + report.pending} undecided, {run.waiting} waiting,"
        f" {report.repeats} repeats, {rate:.0f}/s"
    )


class _Labels:
    """Downloads labels while orders are created; one that fails costs no order."""

    def __init__(self, clickpost: ClickPost, folder: Path) -> None:
        self._clickpost = clickpost
        self._folder = folder
        self._room = asyncio.Semaphore(_DOWNLOADS)
        self._tasks: set[asyncio.Task[None]] = set()
        self._files: dict[int, Path] = {}
        folder.mkdir(parents=True, exist_ok=True)

    async def fetch(self, placed: Placed) -> None:
        """Begin a download; wait if many are under way."""
        if not placed.order.label:
            return
        await self._room.acquire()
        task = asyncio.create_task(self._fetch(placed))
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._room.release()

    async def _fetch(self, placed: Placed) -> None:
        name = re.sub(r"[^\w.-]", "_", placed.reference_number or str(placed.order.waybill))
        path = self._folder / f"{name}.pdf"
        try:
            await self._clickpost.labels.download(placed.order, path, overwrite=True)
        except (ClickPostError, OSError) as error:
            _say(f"label of {placed.reference_number}: {error}")
        else:
            self._files[placed.position] = path

    async def end(self, merged: Path | None) -> None:
        """Wait for the downloads, and merge them in the order of the input."""
        await asyncio.gather(*self._tasks)
        if merged is not None:
            await asyncio.to_thread(_merge, [self._files[n] for n in sorted(self._files)], merged)


def _merge(files: Iterable[Path], merged: Path) -> None:
    from clickpost_async.labels import merge

    try:
        merge(files, merged, overwrite=True)
    except ValueError as error:
        _say(f"{merged}: {error}")


def status(journal: Path) -> int:
    """Print how a journal's orders stand."""
    try:
        found = bulk.status(journal)
    except JournalError as error:
        _say(error)
        return 1
    print(f"{journal}: {sum(found.counts.values())} orders of {found.account}")
    words = {
        State.PLACED: "placed",
        State.REJECTED: "rejected",
        State.ACCEPTED: "not sent",
        State.SENDING: "in doubt: a run ended while they were under way",
        State.UNKNOWN: "in doubt: no answer came",
        State.QUEUED: "ClickPost is working on them",
    }
    for state, meaning in words.items():
        if found.counts[state]:
            print(f"{found.counts[state]:>9,}  {meaning}")
    if not found.in_doubt:
        return 0
    age = time.time() - (found.oldest_doubt or time.time())
    print(f"the oldest doubt is {age / 60:.0f} minutes old; settle them: bulk resolve {journal}")
    return UNDECIDED
