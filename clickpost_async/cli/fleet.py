"""The fleet command: shows the orders and workers of a fleet."""

import sys

from cyclopts import App

app: App = App(name="fleet", help="Show the workers and orders of a fleet.")


@app.command
async def status(redis: str | None = None) -> int:
    """Show the queue, the workers, the rate in use, orders in doubt, and the memory of Redis.

    Parameters
    ----------
    redis
        The URL of the fleet's Redis, as redis://host; without it, CLICKPOST_REDIS_URL.

    """
    from clickpost_async.cli import worker

    try:
        return await worker.show_status(redis)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
