"""A bulk run that tests kill: `python -m tests.bulk.killed_run URL JOURNAL ORDERS SETTLE LOOK_UP`.

It imports little, since it is started often.
"""

import asyncio
import sys

from clickpost_async import ClickPost, RetryPolicy
from clickpost_async.bulk import Placed, create
from tests.sandbox.samples import CREDENTIALS, india_order

AT_ONCE = 16


def reference(number: int) -> str:
    return f"KILL-{number}"


async def push(url: str, journal: str, orders: int, settling: float, *, look_up: bool) -> None:
    """Create orders in a journaled run, and print a line for each outcome."""
    retry = RetryPolicy(attempts=6, backoff=0.01, settle_delay=settling, reconcile=look_up)
    async with ClickPost(
        CREDENTIALS["username"], CREDENTIALS["key"], base_url=url, retry=retry
    ) as clickpost:
        rows = (india_order(reference(number)) for number in range(orders))
        async with create(clickpost, rows, journal=journal, max_concurrency=AT_ONCE) as run:
            async for outcome in run:
                if not outcome.recorded:
                    print(type(outcome).__name__, flush=True)  # noqa: T201 - for the test
                assert isinstance(outcome, Placed), outcome
    print("the end", run.report, flush=True)  # noqa: T201 - as above


if __name__ == "__main__":
    url, journal, orders, settling, look_up = sys.argv[1:]
    asyncio.run(push(url, journal, int(orders), float(settling), look_up=bool(int(look_up))))
