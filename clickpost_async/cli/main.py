"""The commands; each is thin, and imports what it needs when it runs."""

from pathlib import Path

from cyclopts import App

from clickpost_async.cli.bulk import app as bulk
from clickpost_async.cli.operations import chapters

app = App(
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
def sandbox(*, port: int = 8000, file: Path | None = None) -> None:
    """Serve a ClickPost that lives on this machine, until interrupted.

    Parameters
    ----------
    port
        The port on 127.0.0.1; 0 takes any free one.
    file
        Where it remembers its orders; without one, it forgets them at the end.

    """
    from clickpost_async.sandbox.serve import main as serve

    serve(port, None if file is None else str(file))


def main() -> None:
    """Run the command line; the exit code tells how it went."""
    app.command(bulk)
    for chapter in chapters():
        app.command(chapter)
    app()
