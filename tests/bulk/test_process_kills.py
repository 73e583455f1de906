"""Bulk runs killed with SIGKILL, repeatedly: no order is lost or bought twice."""

import asyncio
import json
import threading
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from tests.bulk.killed_run import AT_ONCE, reference
from tests.bulk.process_kills import Verdict, Watching, play, start


def waybill_of(verdict: Verdict, number: int) -> str:
    state, outcome = verdict.journal[reference(number)]
    assert state == "placed"
    assert outcome is not None
    waybill: str = json.loads(outcome)["order"]["waybill"]
    return waybill


@pytest.mark.fault("L01")
@pytest.mark.asyncio
async def test_killed_runs_lose_no_order_and_buy_none_twice(tmp_path: Path) -> None:
    orders = 288
    verdict = await play(tmp_path, kills=12, orders=orders)

    assert verdict.kills == 12
    # At every POST the order had been written down.
    assert verdict.unannounced == []
    assert verdict.posts >= orders
    # Every order is placed, bought once, and under the waybill that it was bought with.
    assert len(verdict.ledger) == len(verdict.journal) == orders
    assert verdict.twice == 0
    assert {reference(n): (waybill_of(verdict, n),) for n in range(orders)} == verdict.ledger


# A courier of that many seconds is one that waits until the test lets it go on.
HELD = 12_345.0


async def holds(condition: Callable[[], object]) -> None:
    """Wait until something holds that another process does, however slow this machine is."""
    async with asyncio.timeout(120):
        while not condition():  # noqa: ASYNC110 - another process has no event for it
            await asyncio.sleep(0.02)


@pytest.mark.fault("L01", control=True)
@pytest.mark.asyncio
async def test_control_without_a_settle_delay_a_kill_buys_labels_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The control: a courier that is slower than the next start, and no settle delay.
    released = threading.Event()
    sleep = anyio.sleep

    async def courier(seconds: float) -> None:
        while seconds == HELD and not released.is_set():
            await sleep(0.01)
        await sleep(0.0 if seconds == HELD else seconds)

    monkeypatch.setattr(anyio, "sleep", courier)
    journal = tmp_path / "run.db"
    sandbox = Watching(journal, racy=True, courier_seconds=HELD)
    async with sandbox:
        try:
            first = await start(sandbox.base_url, journal, orders=60, settling=0.0, look_up=False)
            await holds(lambda: len(sandbox.ledger()) == AT_ONCE)
            first.kill()
            await first.wait()
            second = await start(sandbox.base_url, journal, orders=60, settling=0.0, look_up=False)
            await holds(lambda: any(len(bought) > 1 for bought in sandbox.ledger().values()))
        finally:
            released.set()
        _, _ = await second.communicate()
    ledger = sandbox.ledger()
    assert (second.returncode, len(ledger)) == (0, 60)
    # Nothing else is wrong with it: each was written down before it left.
    assert sandbox.unannounced == []
    twice = [bought for bought in ledger.values() if len(bought) == 2]
    assert 0 < len(twice) <= AT_ONCE
