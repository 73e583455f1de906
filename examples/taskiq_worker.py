"""Create orders in workers that share a queue, a ledger and a rate on Redis.

Start workers with `taskiq worker taskiq_worker:broker`, and create orders with
`python taskiq_worker.py`.
"""

import asyncio
import os

from clickpost_async import ClickPost
from clickpost_async.fleet import Fleet, Ledger
from clickpost_async.integrations.taskiq import OrderBroker, feed, order_task

REDIS_URL = os.environ["CLICKPOST_REDIS_URL"]
broker = OrderBroker(REDIS_URL, account="examples")
ledger = Ledger(REDIS_URL, account="examples")
create_order = order_task(broker, client=ClickPost, ledger=ledger)


async def main() -> None:
    from orders import order

    async with (
        ClickPost() as clickpost,
        Fleet.open(feed(create_order), clickpost, ledger) as fleet,
    ):
        created = await asyncio.gather(*(fleet.create(order(f"EX-F{n}")) for n in range(10)))
    print(len({each.waybill for each in created}), "waybills")


if __name__ == "__main__":
    asyncio.run(main())
