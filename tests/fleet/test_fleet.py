"""A fleet of real processes: one is killed, Redis is restarted, and every order is bought once."""

from pathlib import Path

import pytest

from .play import play

RATE = 100


@pytest.mark.fault("L02")
@pytest.mark.parametrize("appendonly", ["yes", "no"])
@pytest.mark.asyncio
async def test_a_killed_worker_and_a_restarted_redis_lose_no_order_and_double_none(
    tmp_path: Path, appendonly: str
) -> None:
    verdict = await play(tmp_path, orders=240, workers=3, rate=RATE, appendonly=appendonly)

    assert verdict.code == 0, verdict.told
    assert len(verdict.ledger) == len(verdict.journal) == 240
    assert verdict.twice == 0
    assert {state for state, _ in verdict.journal.values()} == {"placed"}
    # All of them together keep to the rate; a call may be some milliseconds late.
    assert verdict.over(RATE, burst=RATE) <= 0.01 * RATE


@pytest.mark.fault("L02", control=True)
@pytest.mark.asyncio
async def test_without_the_ledgers_memory_a_killed_worker_makes_labels_be_bought_twice(
    tmp_path: Path,
) -> None:
    # The control: what is fed again is sent again at once, to a courier that is still at the first.
    verdict = await play(
        tmp_path,
        orders=240,
        workers=3,
        rate=RATE,
        courier_seconds=4.0,
        at_once=240,
        remember=False,
    )

    assert verdict.twice > 0
