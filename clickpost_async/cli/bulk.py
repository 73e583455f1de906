"""The bulk commands: create orders from a file, resolve a journal, write a map or a template."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter
from cyclopts.types import NonNegativeFloat, PositiveFloat, PositiveInt

from clickpost_async.files.columns import Market
from clickpost_async.files.file_kinds import Format

app: App = App(
    name="bulk",
    help="""Create every order of a file; run the same command again to resume it.

    Exit codes: 0 all placed, 1 an error, 2 wrong usage, 3 some rejected, 4 some unknown or pending,
    5 halted because every order would have failed (the key, the address) or nothing responded, 130
    interrupted: run the same command again to resume.
    """,
)

_File = Annotated[Path, Parameter(help="CSV, JSON Lines or XLSX; - is standard input.")]


def _check_rate(_: object, rate: str | None) -> None:
    from clickpost_async.settings import resolve_rate

    if rate is not None:
        resolve_rate(rate)


_Rate = Annotated[
    str | None,
    Parameter(
        help="How many calls a second, such as 10 or 600/60s; without it, CLICKPOST_RATE.",
        validator=_check_rate,
    ),
]
_SettleDelay = Annotated[
    NonNegativeFloat,
    Parameter(help="How many seconds to wait before an order whose response was lost is resent."),
]
_MaxOutage = Annotated[
    PositiveFloat,
    Parameter(help="After how many seconds without any response the run halts; inf: never."),
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
    map: str | None = None,  # noqa: A002 - the usual name
    format: Format | None = None,  # noqa: A002 - as above
    sheet: str | None = None,
    header_row: PositiveInt | None = None,
    date_format: str | None = None,
    max_concurrency: PositiveInt | None = None,
    rate: _Rate = None,
    fleet: bool = False,
    redis: str | None = None,
    part: str | None = None,
    no_resend: Annotated[bool, Parameter(negative="")] = False,
    settle_delay: _SettleDelay = 30.0,
    max_outage: _MaxOutage = 60.0,
    dry_run: Annotated[bool, Parameter(name=["--dry-run", "--check"], negative="")] = False,
    quiet: bool = False,
) -> int:
    """Create every order of a file.

    Parameters
    ----------
    journal
        The file in which every order is recorded before it is sent, and its outcome after; without
        one a run that is interrupted cannot be resumed.
    results
        A file of all outcomes: CSV that Excel opens right, .xlsx or .jsonl by its name.
    errors
        A file of the orders without a waybill: their rows as they are in the input, with the
        reason and advice, to be corrected and run again.
    labels
        A folder that labels are downloaded to, named by reference number.
    merge
        One PDF of all labels, in the order of the file; needs --labels.
    map
        The map from the file's columns to ours: shopify, woocommerce, amazon, unicommerce,
        shiprocket, or a TOML file (see `map`).
    format
        csv, jsonl or xlsx, if the file's name does not end in it.
    sheet
        The sheet of a workbook, by its name or number; without it, the first visible one.
    header_row
        The row that names the columns, as a spreadsheet counts.
    date_format
        How dates are written, such as DD/MM/YYYY; without it, as the file's unambiguous dates.
    max_concurrency
        How many orders are in flight together: 100, in a fleet 1,000.
    fleet
        Let workers (see `worker`) that share a Redis create the orders; --redis implies it.
    redis
        The URL of that Redis, as redis://host; without it, CLICKPOST_REDIS_URL.
    part
        Process one part of the file, such as 2/8: the second of eight. Each part is run by a
        separate process, with a separate journal, on any machine.
    no_resend
        Never resend an order whose response was lost: it is looked up, and reported as unknown if
        it is not found.
    dry_run
        Only validate: nothing is sent, and no key is needed.
    quiet
        Show no progress.

    """
    from clickpost_async.cli import bulk_runner, messages, order_files, outcome_tables

    if merge is not None and labels is None:
        messages.end_with_usage_error(
            "--merge needs --labels, the folder that labels are downloaded to"
        )
    order_files.check_paths(
        {"the input": file, "--map": None if map is None else Path(map)},
        {"--journal": journal, "--results": results, "--errors": errors, "--merge": merge},
    )
    source = order_files.OrderFile.of(
        file,
        format,
        map,
        sheet=sheet,
        header_row=header_row,
        date_format=date_format,
        part=part,
    )
    if dry_run:
        with messages.interruptible():
            return order_files.dry_run(source)
    try:
        with ExitStack() as stack:
            return await bulk_runner.push(
                bulk_runner.Job(
                    source=source,
                    journal=journal,
                    labels=labels,
                    merge=merge,
                    max_concurrency=max_concurrency,
                    rate=rate,
                    fleet=fleet,
                    redis=redis,
                    no_resend=no_resend,
                    settle_delay=settle_delay,
                    max_outage=max_outage,
                    quiet=quiet,
                    tables=outcome_tables.OutcomeTables(stack, results, errors),
                )
            )
    except OSError as error:
        if error.filename is None:
            raise
        # The files are completed at the end.
        messages.print_message(outcome_tables.describe_unwritten(error))
        return 1


@app.command
async def resolve(
    journal: Path,
    *,
    max_concurrency: PositiveInt | None = None,
    rate: _Rate = None,
    fleet: bool = False,
    redis: str | None = None,
    settle_delay: _SettleDelay = 30.0,
    max_outage: _MaxOutage = 60.0,
    quiet: bool = False,
) -> int:
    """Resolve the orders in doubt of a journal: look each one up, and resend it if needed.

    Parameters
    ----------
    journal
        The journal of the run.
    max_concurrency
        How many orders are in flight together: 100, in a fleet 1,000.
    fleet
        Let workers (see `worker`) that share a Redis do it; --redis implies it.
    redis
        The URL of that Redis, as redis://host; without it, CLICKPOST_REDIS_URL.
    quiet
        Show no progress.

    """
    from clickpost_async.cli import bulk_runner, outcome_tables

    return await bulk_runner.push(
        bulk_runner.Job(
            tables=outcome_tables.OutcomeTables(ExitStack()),
            journal=journal,
            max_concurrency=max_concurrency,
            rate=rate,
            fleet=fleet,
            redis=redis,
            settle_delay=settle_delay,
            max_outage=max_outage,
            quiet=quiet,
        )
    )


@app.command(name="map")
def write_map(
    file: Annotated[Path, Parameter(help="CSV or XLSX, as the shop exports it.")],
    *,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
) -> int:
    """Recognise which shop system exported a file, and write a starter column map for it.

    Entries that must be filled in are marked; similar column names are suggested.

    Parameters
    ----------
    output
        The TOML file to write; without it, the map is printed.

    """
    from clickpost_async.cli import order_files

    return order_files.write_starter_map(file, output)


@app.command
def template(
    output: Annotated[
        Path | None, Parameter(help="The file to write; without it, CSV is printed.")
    ] = None,
    *,
    market: Annotated[
        Market, Parameter(help="Columns for orders within India, or for the world.")
    ] = (Market.INDIA),
    format: Annotated[  # noqa: A002 - the usual name
        Literal["csv", "xlsx"] | None,
        Parameter(help="The format; without it, by the file's name, or csv."),
    ] = None,
) -> int:
    """Write a file of orders to fill in: the names of the columns, and an example."""
    from clickpost_async.cli import order_files

    return order_files.write_template(output, market, format)


@app.command
def status(journal: Annotated[Path, Parameter(help="The journal of the run.")]) -> int:
    """Count a journal's orders by state; exits with 4 if some are in doubt."""
    from clickpost_async.cli import bulk_runner

    return bulk_runner.status(journal)
