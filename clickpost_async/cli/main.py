"""The commands; each is thin, and imports what it needs when it runs."""

from pathlib import Path

from cyclopts import App

from clickpost_async.cli.bulk import app as bulk
from clickpost_async.cli.operations import chapters

app: App = App(
    name="clickpost",
    help="Create, label, track and return parcels through ClickPost.",
    version=lambda: __import__("clickpost_async").__version__,
)


@app.command
async def demo(orders: Path | None = None, *, rate: float = 100.0, faults: bool = True) -> int:
    """Create a file of orders at a sandbox of its own, and show what became of each.

    Parameters
    ----------
    orders
        A CSV or JSON Lines file; without one, the few hundred orders that ship with the package.
    rate
        How many calls per second may leave.
    faults
        Let the sandbox misbehave now and then, so that there is something to repeat.

    """
    from clickpost_async.cli.demo import run

    return await run(orders, rate=rate, faults=faults)


@app.command
def sandbox(
    *,
    port: int = 8000,
    file: Path | None = None,
    rate: float | None = None,
    scan_every: float = 21600.0,
    seed: int = 0,
    webhooks_to: str | None = None,
) -> None:
    """Serve a ClickPost that lives on this machine, with a page to watch it, until interrupted.

    Parameters
    ----------
    port
        The port on 127.0.0.1; 0 takes any free one.
    file
        Where it remembers its orders; without one, it forgets them at the end.
    rate
        How many calls per second it takes before it answers 429; without one, any number.
    scan_every
        How many seconds a parcel stays at a station; the page can let time pass.
    seed
        What waybills and chances are made of.
    webhooks_to
        An address on this machine, which hears of every scan.

    """
    from clickpost_async.sandbox.serve import main as serve

    serve(
        port,
        None if file is None else str(file),
        rate=rate,
        scan_every=scan_every,
        seed=seed,
        webhooks_to=webhooks_to,
    )


def main() -> None:
    """Run the command line; the exit code tells how it went."""
    app.command(bulk)
    for chapter in chapters():
        app.command(chapter)
    app()
