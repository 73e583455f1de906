"""Runs the bulk commands: input, progress, interruption, exit code."""

import asyncio
import logging
import signal
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
from attrs import evolve, frozen
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from clickpost_async import bulk
from clickpost_async._core.retry import Resend
from clickpost_async.bulk import JournalError, Placed, Report, Run
from clickpost_async.bulk.records import JournalState
from clickpost_async.bulk.recovery import OrderCreator
from clickpost_async.cli.account import client
from clickpost_async.cli.label_downloads import LabelDownloads
from clickpost_async.cli.messages import interruptible, print_message
from clickpost_async.cli.order_files import REJECTED, OrderFile, SourceRows
from clickpost_async.cli.outcome_tables import OutcomeTables, describe_unwritten
from clickpost_async.client import ClickPost

UNDECIDED, HALTED, INTERRUPTED = 4, 5, 130

_INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM)
# Windows has none.
_HANGUPS = (signal.SIGHUP,) if hasattr(signal, "SIGHUP") else ()
# How often a bar is drawn, and, where there is none, a line is printed; in seconds.
_DRAW_INTERVAL = 0.2
_LINE_INTERVAL = 5.0
# A terminal of at least so many columns shows the long progress line.
_WIDE = 120
# The first counts of a report are those of the outcomes, which add up to its orders.
_OUTCOMES = 5


@frozen(kw_only=True)
class Job:
    """What to run, and where its outcomes go; without a source, a journal is resolved."""

    source: OrderFile | None = None
    tables: OutcomeTables
    journal: Path | None
    max_concurrency: int | None
    settle_delay: float
    max_outage: float
    quiet: bool
    labels: Path | None = None
    merge: Path | None = None
    no_resend: bool = False
    fleet: bool = False
    redis: str | None = None
    rate: str | None = None


async def push(job: Job) -> int:
    """Create the orders of a file, or resolve a journal; returns the exit code."""
    with interruptible():
        rows = None if job.source is None else SourceRows(job.source)
    async with client(rate=job.rate) as opened:
        resend = Resend.NEVER if job.no_resend else opened.retry.resend
        retry = evolve(opened.retry, settle_delay=job.settle_delay, resend=resend)
        try:
            async with AsyncExitStack() as stack:
                clickpost = opened.with_options(retry=retry)
                creator = None
                if job.fleet or job.redis is not None:
                    from clickpost_async.cli import worker

                    creator = await stack.enter_async_context(worker.fleet(job.redis, clickpost))
                return await _push(job, rows, clickpost, creator)
        except (JournalError, OSError) as error:
            print_message(error)
            return 1


async def _push(
    job: Job, rows: SourceRows | None, clickpost: ClickPost, creator: OrderCreator | None
) -> int:
    options: dict[str, Any] = {
        "max_concurrency": job.max_concurrency or (100 if creator is None else 1000),
        "max_outage": job.max_outage,
        "creator": creator,
    }
    total: int | None
    if rows is None:
        assert job.journal is not None  # noqa: S101 - the command requires it
        total = bulk.status(job.journal).in_doubt
        run = bulk.resolve(clickpost, job.journal, **options)
    else:
        total = rows.total
        run = bulk.create(clickpost, rows, journal=job.journal, **options)
    labels = LabelDownloads(clickpost, job.labels) if job.labels else None
    if rows is not None:
        job.tables.begin(rows.header)
    with anyio.CancelScope() as everything:
        async with run, _progress(run, total, quiet=job.quiet):
            with _stopping(run, labels, everything), _warnings():
                async for outcome in run:
                    row = None if rows is None else rows.finish(outcome)
                    job.tables.add(outcome, row)
                    if job.tables.unwritten is not None and not run.report.stopped:
                        run.stop()
                    if labels is not None and isinstance(outcome, Placed):
                        await labels.fetch(outcome)
                if labels is not None:
                    await labels.end(job.merge)
    if everything.cancelled_caught:
        print_message(
            "interrupted; orders in flight have an unknown outcome:"
            " run the same command again to resolve them"
        )
        return INTERRUPTED
    if job.tables.unwritten is not None:
        print_message(describe_unwritten(job.tables.unwritten))
    _print_summary(job, run, rows)
    is_incomplete = labels is not None and labels.is_incomplete
    return 1 if job.tables.unwritten is not None else _code(run) or int(is_incomplete)


def _print_summary(job: Job, run: Run, rows: SourceRows | None) -> None:
    """Print the counts of the file's rows and of the run's orders."""
    is_complete = not (run.report.stopped or run.report.halted)
    job.tables.print_failures(has_input=rows is not None, is_complete=is_complete)
    if rows is not None:
        print_message(rows.counts)
    _print_report(run.report)
    if not is_complete:
        again = "run the same command again to go on"
        print_message(again if job.journal else "there is no journal to go on from: give --journal")
    elif run.report.unknown or run.report.pending:
        again = f"bulk resolve {job.journal}, or the same command again, settles what is undecided"
        look_up = (
            "there is no journal to settle them from: look them up with"
            " `clickpost orders find-india REFERENCE` (or find-world), and give --journal next time"
        )
        print_message(again if job.journal else look_up)


def _print_report(report: Report) -> None:
    """Print the counts of a run: as a table on a terminal, else one a line."""
    console = Console(stderr=True, markup=False, emoji=False, highlight=False)
    if console.is_terminal:
        table = Table(title=report.title, title_justify="left", show_header=False)
        table.add_column("count", justify="right")
        table.add_column("what")
        for position, (number, what) in enumerate(report.counts, 1):
            table.add_row(f"{number:,}", what, end_section=position == _OUTCOMES)
        console.print(table)
    else:
        print_message(report.title)
        for number, what in report.counts:
            print_message(f"{number:>9,} {what}")
    for note in report.notes:
        print_message(note)


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
def _stopping(
    run: Run, labels: LabelDownloads | None, everything: anyio.CancelScope
) -> Generator[None]:
    """Stop the run at the first interruption, and exit at once at the second.

    A closed terminal stops the run, too; it may send several signals, which count as one.
    """
    loop = asyncio.get_running_loop()

    def stop(number: int) -> None:
        if run.report.stopped:
            if number in _INTERRUPTIONS:
                everything.cancel()
            return
        run.stop()
        if labels is not None:
            labels.stop()
        print_message(
            "stopping: waiting a few seconds for responses; interrupt again to leave at once"
        )

    def handle(number: int, _: object) -> None:
        loop.call_soon_threadsafe(stop, number)

    # Not the loop's own handlers, which Windows does not have. What nohup ignores stays ignored.
    before = {number: signal.getsignal(number) for number in (*_INTERRUPTIONS, *_HANGUPS)}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _ProgressHandler(logging.Handler):
    """Prints the warnings of a run, such as an outage."""

    def emit(self, record: logging.LogRecord) -> None:
        print_message(record.getMessage())


@contextmanager
def _warnings() -> Generator[None]:
    logger, handler = logging.getLogger("clickpost_async.bulk"), _ProgressHandler()
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


@asynccontextmanager
async def _progress(run: Run, total: int | None, *, quiet: bool) -> AsyncGenerator[None]:
    """Show the progress of a run at regular intervals."""
    if quiet:
        yield
        return
    console = Console(stderr=True)
    if not console.is_terminal:
        async with _repeat(lambda: _print_progress(run, total), _LINE_INTERVAL):
            yield
        return
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None if console.width >= _WIDE else 10),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
    ) as bar:
        task = bar.add_task("orders", total=total)

        def draw() -> None:
            text = _line(run) if console.width >= _WIDE else _short_line(run)
            bar.update(task, completed=run.report.total, description=text)

        async with _repeat(draw, _DRAW_INTERVAL):
            yield
        draw()


@asynccontextmanager
async def _repeat(act: Callable[[], None], interval: float) -> AsyncGenerator[None]:
    """Call a function every `interval` seconds while the block runs."""

    async def run() -> None:
        while True:
            await asyncio.sleep(interval)
            act()

    task = asyncio.create_task(run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _print_progress(run: Run, total: int | None) -> None:
    of = "" if total is None else f" of {total}"
    print_message(f"{run.report.total}{of} orders: {_line(run)}")


def _line(run: Run) -> str:
    report = run.report
    rate = report.total / report.seconds if report.seconds else 0.0
    return f"{_short_line(run)}, {run.waiting} waiting, {report.retries} retries, {rate:.0f}/s"


def _short_line(run: Run) -> str:
    report = run.report
    return (
        f"{report.placed + report.already_placed} placed, {report.rejected} rejected,"
        f" {report.unknown + report.pending} undecided"
    )


def status(journal: Path) -> int:
    """Print the counts of a journal's orders by state."""
    try:
        found = bulk.status(journal)
    except JournalError as error:
        print_message(error)
        return 1
    print(f"{journal}: {sum(found.counts.values())} orders of {found.account}")
    meanings = {
        JournalState.PLACED: "placed",
        JournalState.REJECTED: "rejected",
        JournalState.ACCEPTED: "not sent",
        JournalState.SENDING: "in doubt: in flight now, or when a run ended",
        JournalState.UNKNOWN: "in doubt: no response received",
        JournalState.QUEUED: "ClickPost is working on them",
    }
    for state, meaning in meanings.items():
        if found.counts[state]:
            print(f"{found.counts[state]:>9,}  {meaning}")
    if not found.in_doubt:
        return 0
    age = time.time() - (found.oldest_doubt or time.time())
    print(f"the oldest doubt is {age / 60:.0f} minutes old; settle them: bulk resolve {journal}")
    return UNDECIDED
