"""Faults in figures, seeded: no order lost or bought twice, no retry storm."""

import asyncio
import random
from typing import Any

import httpx
import pytest

from clickpost_async import ClickPost, Rate, Stats
from clickpost_async.limits import NoRateLimit
from clickpost_async.sandbox import Faults, Sandbox
from clickpost_async.structures import CreatedOrder
from clickpost_async.testing import run_virtual
from tests.sandbox.samples import india_order


def gather(sandbox: Sandbox, orders: int, **settings: Any) -> tuple[list[Any], Stats]:
    """Gather creates, and compare their responses with the ledger."""

    async def main() -> tuple[list[Any], Stats]:
        async with ClickPost(
            sandbox.username,
            sandbox.api_key,
            transport=httpx.ASGITransport(app=sandbox),
            **settings,
        ) as clickpost:
            calls = (clickpost.orders.create(india_order(f"R-{n}")) for n in range(orders))
            return await asyncio.gather(*calls, return_exceptions=True), clickpost.stats()

    random.seed(4)
    responses, stats = run_virtual(main)
    ledger = sandbox.ledger()
    assert all(len(waybills) == 1 for waybills in ledger.values())
    for response in responses:
        if isinstance(response, CreatedOrder):
            assert ledger[str(response.reference_number)] == (response.waybill,)
    return responses, stats


def posts(sandbox: Sandbox) -> int:
    return sum(one.operation == "orders.create_india" for one in sandbox.requests())


@pytest.mark.fault("T07")
def test_lost_responses_to_every_tenth_order_lose_and_duplicate_none() -> None:
    sandbox = Sandbox(faults=Faults(drop_after=0.1, seed=2))
    responses, stats = gather(sandbox, 400)
    assert {type(response) for response in responses} == {CreatedOrder}
    assert len(sandbox.ledger()) == 400
    # The faults did happen, and all but a few were cured by looking.
    assert stats.reconciliations >= 32
    assert sum(response.response.reconciled for response in responses) >= 28
    assert posts(sandbox) <= 400 * 1.02


@pytest.mark.fault("A02")
def test_calls_of_which_one_in_twenty_is_dropped_cost_no_more_than_six_in_a_hundred() -> None:
    sandbox = Sandbox(faults=Faults(seed=2, drop_before=0.05))
    responses, stats = gather(sandbox, 2000)
    assert {type(response) for response in responses} == {CreatedOrder}
    assert stats.reconciliations >= 80
    assert posts(sandbox) <= 2000 * 1.06


LIMITERS: dict[str, tuple[dict[str, Any], int]] = {
    "the rate is given": ({"rate": Rate(50)}, 5),
    "it is not": ({}, 50),
}


@pytest.mark.fault("A01")
@pytest.mark.parametrize("how", LIMITERS)
def test_five_hundred_at_fifty_a_second_are_all_placed_with_few_refusals(how: str) -> None:
    settings, most = LIMITERS[how]
    sandbox = Sandbox(rate=50, faults=Faults(latency=0.05))
    responses, stats = gather(sandbox, 500, **settings)
    assert {type(response) for response in responses} == {CreatedOrder}
    assert stats.rate_limited <= most
    assert sandbox.busiest() <= 100


@pytest.mark.fault("A01", control=True)
def test_without_a_limiter_hundreds_are_refused() -> None:
    sandbox = Sandbox(rate=50, faults=Faults(latency=0.05))
    _, stats = gather(sandbox, 300, limiter=NoRateLimit())
    assert stats.rate_limited > 150
