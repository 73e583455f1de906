"""The commands; each is thin, and imports what it needs when it runs."""

import errno
import gc
import io
import os
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.types import ExistingFile, PositiveFloat, PositiveInt
from cyclopts.validators import Number

from clickpost_async.cli.bulk import app as bulk
from clickpost_async.cli.fleet import app as fleet
from clickpost_async.cli.messages import discard
from clickpost_async.cli.operations import namespace_apps

app: App = App(
    name="clickpost",
    help="Create, label, track and return parcels through ClickPost.",
    version=lambda: __import__("clickpost_async").__version__,
)


@app.command
async def demo(
    orders: ExistingFile | None = None, *, rate: PositiveFloat = 100.0, faults: bool = True
) -> int:
    """Create a file of orders at a local sandbox, and show the outcome of each.

    Parameters
    ----------
    orders
        A CSV or JSON Lines file; without one, the few hundred orders that ship with the package.
    rate
        How many calls per second may be sent.
    faults
        Inject faults into the sandbox, so that some calls are retried.

    """
    from clickpost_async.cli.demo import run

    return await run(orders, rate=rate, faults=faults)


@app.command
def sandbox(
    *,
    port: Annotated[int, Parameter(validator=Number(gte=0, lte=65535))] = 8000,
    file: Path | None = None,
    rate: PositiveFloat | None = None,
    scan_every: PositiveFloat = 21600.0,
    seed: int = 0,
    webhooks_to: str | None = None,
) -> None:
    """Serve a local ClickPost, with a page to watch it, until interrupted.

    Prints its base URL, the address of the page, and the export commands for `ClickPost()`.

    Parameters
    ----------
    port
        The port on 127.0.0.1; 0 takes any free one.
    file
        The file that orders are stored in; without one, they are lost when it stops.
    rate
        How many calls per second it accepts before it responds with 429; without it, any number.
    scan_every
        How many seconds a parcel stays at a station; the page can let time pass.
    seed
        The seed of waybills and random choices.
    webhooks_to
        A URL on this machine that gets a webhook for every scan.

    """
    import sqlite3

    from clickpost_async.sandbox import Sandbox
    from clickpost_async.sandbox.sandbox import main as serve

    try:
        sandbox = Sandbox(path=file, rate=rate, scan_every=scan_every, seed=seed)
        if webhooks_to:
            sandbox.webhooks_to(webhooks_to)
        serve(sandbox, port)
    except sqlite3.Error as error:
        raise SystemExit(f"{file}: {error}") from None
    except ValueError as error:
        raise SystemExit(str(error)) from None


@app.command
def worker(
    redis: str | None = None,
    *,
    rate: Annotated[str, Parameter(env_var="CLICKPOST_RATE")],
    processes: PositiveInt = 2,
    max_concurrency: PositiveInt = 100,
    keep: PositiveFloat = 7.0,
) -> int:
    """Create the orders that `bulk --fleet` queues, together with all workers of the same Redis.

    Parameters
    ----------
    redis
        The URL of the fleet's Redis, as redis://host; without it, CLICKPOST_REDIS_URL, which is
        the place for a URL with a password.
    rate
        How many calls all workers together may make, such as 200/1s: ClickPost's limit.
    processes
        How many processes are started here; one that ends is started again.
    max_concurrency
        How many requests each process has in flight.
    keep
        For how many days Redis remembers a placed order, so that it is not sent again if it is
        queued again; some 200 bytes each.

    """
    from clickpost_async.cli.worker import work

    return work(
        redis,
        rate=rate,
        processes=processes,
        max_concurrency=max_concurrency,
        keep=keep,
    )


@app.command
async def doctor() -> int:
    """Check installation, settings, servers, clock and credentials; never prints the key.

    Exits with 1 if a check failed, else with 0.
    """
    from clickpost_async.cli.doctor import run

    return await run()


@app.command
def drift(*files: ExistingFile) -> int:
    """Show which fields, types and codes in recorded responses are not declared; sends nothing.

    Exits with 1 if there are any. The output contains no values except codes, and so no personal
    data: it can be reported as it is.

    Parameters
    ----------
    files
        HAR archives, or JSON Lines with an object for each response: body, http_status, and
        operation (such as orders.create, or webhook) or method and url.

    """
    from clickpost_async import drift

    recorded = []
    for file in files:
        try:
            recorded += drift.read(file.read_text("utf-8-sig"))
        except (OSError, ValueError) as error:
            print(f"{file}: {error}", file=sys.stderr)
            return 2
    found = drift.compare(recorded)
    for each in found:
        where = f"{each.operation} {each.path}".rstrip()
        print(f"{where}: {each.what} (responses: {each.count})")
    print(f"responses: {len(recorded)}, differences: {len(found)}", file=sys.stderr)
    return 1 if found else 0


# The disk is full, or the terminal is gone.
_UNWRITABLE = {errno.ENOSPC, errno.EIO}
# As a shell shows a process that SIGPIPE has ended.
_BROKEN_PIPE = 141
# The default, 2,000 objects, is fewer than a hundred orders have: each collection would go through
# the orders under way and free none.
_COLLECTED_OBJECTS = 50_000


def main() -> None:
    """Run the command line; exits with the command's exit code."""
    gc.set_threshold(_COLLECTED_OBJECTS)
    if sys.flags.optimize > 1:
        from clickpost_async.cli.docstrings import restore

        restore(("clickpost_async.cli", "clickpost_async.endpoints"))
    _open_closed_streams()
    _write_utf8_to_pipes()
    app.register_install_completion_command(help="Install completion for this shell.")
    app.command(bulk)
    app.command(fleet)
    for namespace in namespace_apps():
        app.command(namespace)
    try:
        try:
            app(_arguments(sys.argv[1:]))
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # The reader of the output, such as `head`, has exited; nothing more can be written.
        discard(sys.stdout)
        raise SystemExit(_BROKEN_PIPE) from None
    except OSError as error:
        if error.filename is not None or error.errno not in _UNWRITABLE:
            raise
        discard(sys.stdout)
        raise SystemExit(f"standard output cannot be written: {error.strerror}") from None
    except ImportError as error:
        # An optional package names the extra to install; any other missing module is a bug.
        if "pip install" not in str(error):
            raise
        raise SystemExit(str(error)) from None


def _arguments(given: list[str]) -> list[str]:
    """Move `-`, for standard input, behind `--`, where nothing is mistaken for an option.

    A parameter that took `-` where it stands would take a misspelt option as well.
    """
    if "-" not in given or "--" in given:
        return given
    return [*(each for each in given if each != "-"), "--", "-"]


def _open_closed_streams() -> None:
    """Open the standard streams that the parent process has closed, as some daemons do.

    The first file that is opened would get the number of a closed one, and what is written to the
    stream.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115


def _write_utf8_to_pipes() -> None:
    """Keep the code page of Windows out of output for programs, as Python 3.15 does.

    A code page lacks characters of names and addresses: the response of an order that was created
    would be lost to an error.
    """
    output = sys.stdout
    if isinstance(output, io.TextIOWrapper):
        encoding = None if output.isatty() else "utf-8"
        output.reconfigure(encoding=encoding, errors="backslashreplace")
