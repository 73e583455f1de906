"""Killing a bulk run, for real and again and again: nothing is lost, and nothing bought twice."""

import json
from pathlib import Path

import pytest

from .kills import Verdict, play, reference


def waybill_of(verdict: Verdict, number: int) -> str:
    state, outcome = verdict.journal[reference(number)]
    assert state == "placed"
    assert outcome is not None
    waybill: str = json.loads(outcome)["order"]["waybill"]
    return waybill


@pytest.mark.fault("L01")
@pytest.mark.asyncio
async def test_fifty_kills_lose_no_order_double_none_and_mix_up_none(tmp_path: Path) -> None:
    orders = 1200
    verdict = await play(tmp_path, kills=50, orders=orders)

    assert verdict.kills == 50
    # At every POST the order had been written down.
    assert verdict.unannounced == []
    assert verdict.posts >= orders
    # Every order is placed, bought once, and under the waybill that it was bought with.
    assert len(verdict.ledger) == len(verdict.journal) == orders
    assert verdict.twice == 0
    assert {reference(n): (waybill_of(verdict, n),) for n in range(orders)} == verdict.ledger


@pytest.mark.fault("L01", control=True)
@pytest.mark.asyncio
async def test_without_settling_kills_buy_labels_twice(tmp_path: Path) -> None:
    # The control: a courier that is slower than the next start, and nobody waits for it.
    verdict = await play(
        tmp_path, kills=3, orders=60, settling=0.0, courier_seconds=3.0, look_up=False
    )

    assert verdict.twice > 0
