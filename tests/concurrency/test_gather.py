"""A gather of thousands: responses in order, connections within their limit."""

import asyncio

import pytest

from clickpost_async import ClickPost
from tests.helpers.process_servers import process
from tests.sandbox.samples import india_order

MANY = 2_000
AT_ONCE = 50


@pytest.mark.asyncio
async def test_gather_of_thousands_creates_each_order_once() -> None:
    most = 0

    with process() as server:
        async with ClickPost(
            "sandbox", "sandbox-key-not-a-secret", base_url=server.url, max_concurrency=AT_ONCE
        ) as clickpost:

            async def create(number: int) -> tuple[str | None, str | None]:
                nonlocal most
                order = await clickpost.orders.create(india_order(f"R-{number}"))
                stats = clickpost.stats()
                most = max(most, stats.connections, stats.in_flight)
                return order.reference_number, order.waybill

            found = await asyncio.gather(*(create(number) for number in range(MANY)))
            stats = clickpost.stats()
        seen = server.report()

    assert [reference for reference, _ in found] == [f"R-{number}" for number in range(MANY)]
    assert seen["ledger"] == {reference: [waybill] for reference, waybill in found}
    assert len({waybill for _, waybill in found}) == MANY
    assert (stats.calls, stats.attempts, stats.in_flight, stats.queued) == (MANY, MANY, 0, 0)
    assert most <= AT_ONCE
    assert seen["most_open_connections"] <= AT_ONCE
    assert seen["calls"] == MANY
