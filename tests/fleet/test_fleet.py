"""A fleet of real processes: a worker is killed, Redis restarted, every order bought once."""

import asyncio
from pathlib import Path

import pytest

from tests.fleet.fleet_run import Timing, play, push, reached, states, worker, write_orders
from tests.helpers.redis_server import RedisServer

RATE = 100


@pytest.mark.fault("L02")
@pytest.mark.parametrize("event", ["restarted", "restarted empty", "failed over"])
@pytest.mark.asyncio
async def test_killed_worker_and_lost_redis_lose_and_duplicate_no_order(
    tmp_path: Path, event: str
) -> None:
    verdict = await play(
        tmp_path,
        orders=240,
        workers=3,
        rate=RATE,
        appendonly="no" if event == "restarted empty" else "yes",
        failover=event == "failed over",
    )

    assert verdict.code == 0, verdict.printed_text
    assert len(verdict.ledger) == len(verdict.journal) == 240
    assert verdict.twice == 0
    assert set(verdict.journal.values()) == {"placed"}
    # All of them together keep to the rate; a call may be some milliseconds late.
    assert verdict.over(RATE, burst=RATE) <= 0.01 * RATE


@pytest.mark.fault("L02", control=True)
@pytest.mark.asyncio
async def test_control_without_ledger_records_a_killed_worker_buys_labels_twice(
    tmp_path: Path,
) -> None:
    # The control: what is queued again is sent again while a courier is still at the first one.
    verdict = await play(
        tmp_path,
        orders=240,
        workers=3,
        appendonly="no",
        rate=RATE,
        courier_seconds=20.0,
        max_concurrency=240,
        remember=False,
    )

    assert verdict.twice > 0


@pytest.mark.fault("L01")
@pytest.mark.asyncio
async def test_l01_killed_feeder_resumes_beside_another_with_the_same_orders(
    tmp_path: Path,
) -> None:
    orders = 120
    file, first, second = write_orders(tmp_path, orders), tmp_path / "one.db", tmp_path / "two.db"
    sandbox = Timing(racy=True, courier_seconds=0.1)
    async with sandbox:
        with (
            RedisServer(appendonly="yes") as redis,
            worker(sandbox.base_url, redis.url, rate="50/1s", max_concurrency=20),
            worker(sandbox.base_url, redis.url, rate="50/1s", max_concurrency=20),
        ):
            killed = await push(file, first, sandbox.base_url, redis.url)
            await reached(sandbox, orders // 3)
            killed.kill()
            await killed.communicate()
            assert set(states(first).values()) != {"placed"}

            pushing = [
                await push(file, one, sandbox.base_url, redis.url) for one in (first, second)
            ]
            output = await asyncio.gather(*(one.communicate() for one in pushing))

    assert [one.returncode for one in pushing] == [0, 0], output
    assert {len(waybills) for waybills in sandbox.ledger().values()} == {1}
    for journal in (first, second):
        assert len(states(journal)) == len(sandbox.ledger()) == orders
        assert set(states(journal).values()) == {"placed"}


@pytest.mark.fault("R01")
@pytest.mark.asyncio
async def test_flushall_during_a_run_loses_and_duplicates_no_order(tmp_path: Path) -> None:
    orders = 150
    file, journal = write_orders(tmp_path, orders), tmp_path / "run.db"
    sandbox = Timing(racy=True, courier_seconds=0.2)
    async with sandbox:
        with (
            RedisServer(appendonly="yes") as redis,
            worker(sandbox.base_url, redis.url, rate="50/1s", max_concurrency=20),
            worker(sandbox.base_url, redis.url, rate="50/1s", max_concurrency=20),
        ):
            feeding = await push(file, journal, sandbox.base_url, redis.url)
            await reached(sandbox, orders // 3)
            with redis.client() as client:
                client.flushall()
            _, output = await asyncio.wait_for(feeding.communicate(), 120)

    assert feeding.returncode == 0, output
    assert len(sandbox.ledger()) == len(states(journal)) == orders
    assert {len(waybills) for waybills in sandbox.ledger().values()} == {1}
    assert set(states(journal).values()) == {"placed"}
