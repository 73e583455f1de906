"""The fleet's commands: what a worker refuses at its start, and the status."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from clickpost_async.cli.order_files import OrderFile, Part, SourceRows
from clickpost_async.fleet import Ledger
from clickpost_async.fleet.ledger import Result
from clickpost_async.fleet.status import FleetStatus, read_status
from clickpost_async.limits.redis import RedisBucket
from clickpost_async.settings import Rate
from tests.fleet.fleet_run import command, write_orders
from tests.helpers.redis_server import RedisServer

NOWHERE = "http://127.0.0.1:9/api"


@pytest.mark.asyncio
async def test_worker_refuses_a_redis_that_evicts_and_does_not_start() -> None:
    with RedisServer(maxmemory_policy="allkeys-lru") as redis:
        code, _, errors = await command(NOWHERE, "worker", redis.url, "--rate", "10/1s")

    assert code == 2
    assert "maxmemory-policy is allkeys-lru" in errors
    assert "redis-cli config set maxmemory-policy noeviction" in errors


@pytest.mark.asyncio
async def test_feeder_refuses_a_redis_that_evicts_and_queues_nothing(tmp_path: Path) -> None:
    file = write_orders(tmp_path, 2)
    with RedisServer(maxmemory_policy="allkeys-lru") as redis:
        words = ("bulk", str(file), "--fleet", "--redis", redis.url, "--quiet")
        code, _, errors = await command(NOWHERE, *words)
        with redis.client() as client:
            assert sum(int(client.xlen(key)) for key in client.keys("*:orders")) == 0

    assert code == 1
    assert "maxmemory-policy is allkeys-lru" in errors


@pytest.mark.asyncio
async def test_sentinel_url_is_refused_with_what_to_give_instead() -> None:
    url = "redis+sentinel://127.0.0.1:26379/mymaster"
    code, _, errors = await command(NOWHERE, "worker", url, "--rate", "10/1s")

    assert code == 2
    assert "instead of a Sentinel give the master" in errors


@pytest.mark.asyncio
async def test_status_counts_orders_workers_and_the_rate(redis_server: RedisServer) -> None:
    with redis_server.client() as client:
        client.flushall()
    async with (
        Ledger(redis_server.url, account="acme").open() as opened,
        RedisBucket(redis_server.url, Rate(100, burst=1), account="acme", process_count=1) as rate,
        Redis.from_url(redis_server.url, decode_responses=True) as redis,
    ):
        opened.enlist()
        await opened.send_heartbeat()
        for number in range(3):
            key = ("india", f"PEN-{number}")
            await opened.claim(key, "aa")
            await opened.sending(key)
            await opened.end(key, "aa", Result(state="open" if number else "placed"))
        await redis.xgroup_create("clickpost:{acme}:orders", "workers", "0", mkstream=True)
        for orders in (20, 20, 3, 1, 1):
            fields: dict[Any, Any] = {"data": "some orders", "orders": orders}
            await redis.xadd("clickpost:{acme}:orders", fields)
        await redis.xreadgroup("workers", "one", {"clickpost:{acme}:orders": ">"}, count=2)

        async def call() -> None:
            while True:
                await rate.acquire()

        calling = asyncio.create_task(call())
        state = await read_status(redis, "acme")
        again = await read_status(redis, "acme")
        calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)

    assert (state.waiting, state.in_progress, state.in_doubt) == (5, 40, 2)
    assert (state.workers, state.processes) == (1, 1)
    assert again.rate == pytest.approx(100)
    assert again.calls_per_second is not None
    assert 0 < again.calls_per_second <= 110
    assert (state.memory_bytes or 0) > 0


@pytest.mark.asyncio
async def test_status_of_an_account_without_a_fleet_is_empty(redis_server: RedisServer) -> None:
    async with Redis.from_url(redis_server.url, decode_responses=True) as redis:
        state = await read_status(redis, "unknown")

    assert state == FleetStatus(
        waiting=0,
        in_progress=0,
        in_doubt=0,
        workers=0,
        processes=0,
        calls_per_second=None,
        rate=None,
        memory_bytes=state.memory_bytes,
    )


@pytest.mark.asyncio
async def test_status_command_shows_one_screen(redis_server: RedisServer) -> None:
    code, shown, _ = await command(NOWHERE, "fleet", "status", redis_server.url)

    assert code == 0
    assert len(shown.splitlines()) <= 10
    for label in ("orders waiting", "orders in doubt", "workers alive", "rate in use", "memory"):
        assert label in shown


def test_parts_of_a_file_hold_every_order_once(tmp_path: Path) -> None:
    file = write_orders(tmp_path, 200)
    parts = [
        [row.reference for row in SourceRows(OrderFile.of(file, None, None, part=f"{n}/8"))]
        for n in range(1, 9)
    ]
    everything = [row.reference for row in SourceRows(OrderFile.of(file, None, None))]

    assert sorted(name or "" for part in parts for name in part) == sorted(
        name or "" for name in everything
    )
    assert all(10 <= len(part) <= 40 for part in parts)


@pytest.mark.parametrize("text", ["0/8", "9/8", "2", "a/b", "2/0", "-1/8"])
def test_invalid_part_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        Part.parse(text)
    assert caught.value.code == 2
    assert "write it as 2/8" in capsys.readouterr().err
