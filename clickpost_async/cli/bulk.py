"""A file of orders, pushed: outcomes to files, progress to the terminal, resumed by repeating."""

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.types import NonNegativeFloat, PositiveFloat, PositiveInt

from clickpost_async.files.reader import Format

app: App = App(
    name="bulk",
    help="""Create every order of a file; the same command again goes on where it was ended.

    Exit codes: 0 all placed, 1 an error, 2 wrong usage, 3 some rejected, 4 some unknown or pending,
    5 halted because every order would have failed (the key, the address) or nothing responded, 130
    interrupted, and to be resumed by the same command.
    """,
)

_File = Annotated[
    Path,
    Parameter(help="CSV, JSON Lines or XLSX; - is standard input", allow_leading_hyphen=True),
]


@app.default
async def push(
    file: _File,
    *,
    journal: Path | None = None,
    results: Path | None = None,
    errors: Path | None = None,
    labels: Path | None = None,
    merge: Path | None = None,
    format: Format | None = None,  # noqa: A002 - the word people look for
    map: str | None = None,  # noqa: A002 - as above
    max_concurrency: PositiveInt | None = None,
    fleet: bool = False,
    redis: str | None = None,
    part: str | None = None,
    hold: bool = False,
    settling: NonNegativeFloat = 30.0,
    max_outage: PositiveFloat = 60.0,
    check: bool = False,
    quiet: bool = False,
) -> int:
    """Create every order of a file.

    Parameters
    ----------
    journal
        Where every order is written down before it leaves, and what it came to; without one a run
        that is ended cannot be resumed.
    results
        A table of all outcomes, CSV or .jsonl.
    errors
        A table of the orders that have no waybill.
    labels
        A folder that labels are downloaded to, named by reference number.
    merge
        One PDF of all labels, in the order of the file; needs --labels.
    format
        csv, jsonl or xlsx, if the file's name does not tell.
    map
        What the file calls our columns: shopify, unicommerce, or a TOML file.
    max_concurrency
        How many orders are under way together: 100, in a fleet 1,000.
    fleet
        Have the orders created by workers (see `worker`) that share a Redis; --redis implies it.
    redis
        Where that is, as redis://host; without it, CLICKPOST_REDIS_URL.
    part
        Take one part of the file, such as 2/8: the second of eight. Each part is fed by a process
        of its own, with a journal of its own, on any machine.
    hold
        Never send an order again whose answer was lost: it is looked up, and left to you.
    settling
        How many seconds an order whose answer was lost is left alone before it is sent again.
    max_outage
        After how many seconds without any response the run halts; inf waits for ever.
    check
        Only validate: nothing is sent, and no key is needed.
    quiet
        Show no progress.

    """
    from clickpost_async.cli import bulk_runner, order_files

    if merge is not None and labels is None:
        print("--merge needs --labels, the folder that labels are downloaded to", file=sys.stderr)
        return 2
    source = order_files.Source.of(file, format, map, part)
    if check:
        return order_files.check(source)
    with ExitStack() as stack:
        return await bulk_runner.push(
            bulk_runner.Job(
                source=source,
                journal=journal,
                labels=labels,
                merge=merge,
                max_concurrency=max_concurrency,
                fleet=fleet,
                redis=redis,
                no_resend=hold,
                settle_delay=settling,
                max_outage=max_outage,
                quiet=quiet,
                results_files=order_files.tables(stack, results, errors),
            )
        )


@app.command
async def resolve(
    journal: Path,
    *,
    max_concurrency: PositiveInt | None = None,
    fleet: bool = False,
    redis: str | None = None,
    settling: NonNegativeFloat = 30.0,
    max_outage: PositiveFloat = 60.0,
    quiet: bool = False,
) -> int:
    """Settle what a journal has in doubt: look every order up, and send it again if need be."""
    from clickpost_async.cli import bulk_runner

    return await bulk_runner.push(
        bulk_runner.Job(
            journal=journal,
            max_concurrency=max_concurrency,
            fleet=fleet,
            redis=redis,
            settle_delay=settling,
            max_outage=max_outage,
            quiet=quiet,
        )
    )


@app.command
def status(journal: Path) -> int:
    """Count a journal's orders, and tell what is in doubt; 4 if something is."""
    from clickpost_async.cli import bulk_runner

    return bulk_runner.status(journal)
