"""Test code that creates orders against a local ClickPost: `pytest test_own_code.py`."""

import asyncio

from orders import order

from clickpost_async import ClickPost, RetryPolicy


async def check_out():
    # A short settle delay is for tests only: real couriers need the default of 30 seconds.
    async with ClickPost(retry=RetryPolicy(settle_delay=0.1)) as clickpost:
        return await clickpost.orders.create(order("EX-T1"))


def test_lost_response_buys_no_second_label(clickpost_sandbox):
    clickpost_sandbox.faults.next("drop_after")

    created = asyncio.run(check_out())

    assert clickpost_sandbox.ledger() == {"EX-T1": (created.waybill,)}
