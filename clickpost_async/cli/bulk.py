"""A file of orders, pushed: outcomes to files, progress to the terminal, resumed by repeating."""

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

app = App(
    name="bulk",
    help="""Create every order of a file; the same command again goes on where it was ended.

    Exit codes: 0 all placed, 1 an error, 2 wrong usage, 3 some rejected, 4 some unknown or pending,
    5 halted because every order would have failed (the key, the address), 130 interrupted, and to
    be resumed by the same command.
    """,
)

_File = Annotated[Path, Parameter(help="CSV or JSON Lines, one order or item a row; - is stdin")]


@app.default
async def push(
    file: _File,
    *,
    journal: Path | None = None,
    results: Path | None = None,
    errors: Path | None = None,
    labels: Path | None = None,
    merge: Path | None = None,
    format: str | None = None,  # noqa: A002 - the word people look for
    at_once: int = 100,
    hold: bool = False,
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
        csv or jsonl, if the file's name does not tell.
    at_once
        How many orders are under way together.
    hold
        Never send an order again whose answer was lost: it is looked up, and left to you.
    check
        Only validate: nothing is sent, and no key is needed.
    quiet
        Show no progress.

    """
    from clickpost_async.cli import pushing

    if merge is not None and labels is None:
        print("--merge needs --labels, the folder that labels are downloaded to", file=sys.stderr)
        return 2
    if check:
        return pushing.check(file, format)
    with ExitStack() as stack:
        return await pushing.push(
            pushing.Job(
                file=file,
                format=format,
                journal=journal,
                labels=labels,
                merge=merge,
                at_once=at_once,
                hold=hold,
                quiet=quiet,
                tables=pushing.tables(stack, results, errors),
            )
        )


@app.command
async def resolve(journal: Path, *, at_once: int = 100, quiet: bool = False) -> int:
    """Settle what a journal has in doubt: look every order up, and send it again if need be."""
    from clickpost_async.cli import pushing

    return await pushing.push(
        pushing.Job(file=None, journal=journal, at_once=at_once, quiet=quiet, resolve=True)
    )


@app.command
def status(journal: Path) -> int:
    """Count a journal's orders, and tell what is in doubt; 4 if something is."""
    from clickpost_async.cli import pushing

    return pushing.status(journal)
