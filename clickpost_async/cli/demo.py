"""The demo: creates the orders of a file at a local sandbox, and shows what became placed."""

import tempfile
from contextlib import AsyncExitStack
from importlib import resources
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from clickpost_async import ClickPost, RetryPolicy
from clickpost_async.bulk import Pending, Placed, Rejected, Report, Unknown, create, read_orders
from clickpost_async.bulk.results import ResultsFile
from clickpost_async.sandbox import Faults, Sandbox

# The sandbox's couriers are quick: the delays that real ones need would only cost time.
_QUICK = RetryPolicy(attempts=6, backoff=0.05, settle_delay=0.2, poll_interval=0.1)
# So many rejected orders are shown; the file has all.
_SHOWN = 10
_NEXT = """\
next:
  clickpost sandbox                 this sandbox with a page in the browser
  clickpost bulk FILE --dry-run     check a file of your own; nothing is sent
  clickpost bulk FILE --journal run.db --results results.csv
                                    create its orders; the same command resumes"""


async def run(orders: Path | None, *, rate: float, faults: bool) -> int:
    """Run the demo; returns the exit code: 0 if no order was bought two labels."""
    console = Console(markup=False, emoji=False, highlight=False)
    with resources.as_file(resources.files("clickpost_async.files") / "orders.csv") as shipped:
        return await _run(console, orders or shipped, rate=rate, faults=faults)


async def _run(console: Console, file: Path, *, rate: float, faults: bool) -> int:
    chance = 0.01 if faults else 0.0
    sandbox = Sandbox(
        faults=Faults(too_many=chance, busy=chance, drop_before=chance, drop_after=chance)
    )
    total = sum(1 for _ in read_orders(file))
    rejected: list[Rejected] = []
    undecided: list[Unknown | Pending] = []
    results_path = Path(tempfile.mkdtemp(prefix="clickpost-demo-")) / "results.csv"
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(sandbox)
        clickpost = await stack.enter_async_context(
            ClickPost(
                sandbox.username,
                sandbox.api_key,
                base_url=sandbox.base_url,
                rate=rate,
                retry=_QUICK,
            )
        )
        console.print(f"sandbox at {sandbox.base_url}, {total} orders in {file.name}")
        results = stack.enter_context(ResultsFile(results_path))
        bar = stack.enter_context(_bar(console))
        task = bar.add_task("creating orders", total=total)
        run = await stack.enter_async_context(create(clickpost, read_orders(file)))
        async for outcome in run:
            bar.advance(task)
            results.add(outcome)
            if isinstance(outcome, Rejected):
                rejected.append(outcome)
            elif not isinstance(outcome, Placed):
                undecided.append(outcome)
        ledger = sandbox.ledger()
    twice = sum(1 for waybills in ledger.values() if len(waybills) > 1)
    if rejected:
        console.print(_rejections(rejected))
        if len(rejected) > _SHOWN:
            console.print(f"and {len(rejected) - _SHOWN} more in the file of results")
    if undecided:
        console.print(_unknown(undecided))
    console.print(_summary(run.report, total, labels=sum(map(len, ledger.values())), twice=twice))
    console.print(f"every outcome, with waybills and labels:\n  {results_path}", soft_wrap=True)
    console.print(_NEXT)
    return 1 if twice else 0


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )


def _rejections(rejected: list[Rejected]) -> Table:
    table = _listing("rejected", "why")
    for outcome in sorted(rejected, key=lambda outcome: outcome.row or 0)[:_SHOWN]:
        reasons = (reason.removeprefix(f"row {outcome.row}, ") for reason in outcome.reasons)
        table.add_row(str(outcome.row or ""), outcome.reference_number or "", "\n".join(reasons))
    return table


def _unknown(undecided: list[Unknown | Pending]) -> Table:
    table = _listing("outcome unknown", "what happened, and what to do")
    for outcome in undecided:
        message = str(outcome.error or "ClickPost is still working on it")
        advice = f": {outcome.error.advice}" if outcome.error else ""
        table.add_row(str(outcome.row or ""), outcome.reference_number or "", message + advice)
    return table


def _listing(title: str, last: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("row", justify="right")
    table.add_column("reference")
    table.add_column(last)
    return table


def _summary(report: Report, total: int, *, labels: int, twice: int) -> Table:
    table = Table(title="summary", title_justify="left", show_header=False)
    table.add_column("what")
    table.add_column("count", justify="right")
    outcomes = {
        "placed": report.placed,
        "already placed: repeated in the file": report.already_placed,
        "rejected": report.rejected,
        "outcome unknown": report.unknown,
        "still pending": report.pending,
    }
    for what, count in outcomes.items():
        table.add_row(what, str(count))
    table.add_section()
    table.add_row("orders in the file", str(total), end_section=True)
    table.add_row("labels bought, by the sandbox's ledger", str(labels))
    table.add_row("orders with two labels", str(twice), end_section=True)
    table.add_row("requests to create orders", str(report.requests))
    table.add_row("of these, retries", str(report.retries))
    table.add_row("seconds", f"{report.seconds:.1f}")
    return table
