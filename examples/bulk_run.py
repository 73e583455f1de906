"""Create orders from an iterable with a journal; run it again to resume: `python bulk_run.py`."""

import asyncio

from orders import order

from clickpost_async import ClickPost, bulk


async def main() -> None:
    many = (order(f"EX-B{number}") for number in range(200))
    async with ClickPost() as clickpost, bulk.create(clickpost, many, journal="run.db") as run:
        async for outcome in run:
            if isinstance(outcome, bulk.Rejected):
                print(outcome.reference_number, *outcome.reasons)
    print(run.report)


asyncio.run(main())
