"""Create many orders concurrently, and report each outcome: `python gather.py`."""

import asyncio

from orders import order

from clickpost_async import ClickPost, ClickPostError

MANY = [order(f"EX-G{number}") for number in range(50)]


async def main() -> None:
    async with ClickPost(rate=100) as clickpost:
        results = await asyncio.gather(
            *(clickpost.orders.create(each) for each in MANY), return_exceptions=True
        )
    failed = [result for result in results if isinstance(result, ClickPostError)]
    for error in failed:
        print(error.reference_number, error.outcome.value, error.advice)
    print(len(results) - len(failed), "placed,", len(failed), "failed")


asyncio.run(main())
