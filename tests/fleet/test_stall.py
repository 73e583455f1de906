"""A feeder reports why its orders stall: no workers, silent workers, failing workers."""

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from clickpost_async import ClickPost
from clickpost_async.errors import (
    ClickPostError,
    CourierError,
    InvalidRequestError,
    NoReplyError,
    NotSentError,
    Problem,
    ServerError,
)
from clickpost_async.fleet import Fleet, Ledger, Worker, messages
from clickpost_async.fleet.stall import StallMonitor
from clickpost_async.sandbox import Sandbox
from tests.fleet.fleet_run import push, worker, write_orders
from tests.helpers.http_server import until
from tests.helpers.logs import logged
from tests.helpers.redis_server import RedisServer, free_port
from tests.sandbox.samples import india_order

REFUSED = NotSentError("cannot connect to 127.0.0.1:9: connection refused")
PLACED: Mapping[str, Any] = {"order": {}}


def reply(error: ClickPostError) -> Mapping[str, Any]:
    expected: dict[str, Any] = json.loads(messages.write(error, 0.1))
    return expected


class Watched:
    """A monitor, and so many workers."""

    def __init__(self, caplog: pytest.LogCaptureFixture, workers: int = 0) -> None:
        self._caplog = caplog
        self._workers = workers
        self.monitor = StallMonitor("acme")

    async def logged(self, at: float, waiting: int = 7) -> str:
        """Return what it says at that time, while so many orders wait."""
        self._caplog.clear()

        async def count() -> int:
            return self._workers

        await self.monitor.check(waiting, at, count)
        assert all(record.levelno == logging.WARNING for record in self._caplog.records)
        return " / ".join(self._caplog.messages)


@pytest.mark.asyncio
async def test_missing_workers_are_reported_after_5_s_and_every_5_s(
    caplog: pytest.LogCaptureFixture,
) -> None:
    watched = Watched(caplog)
    logged = {at: await watched.logged(at) for at in range(100, 113)}

    assert [at for at, words in logged.items() if words] == [105, 110]
    assert logged[105] == (
        "7 orders wait, and no worker of acme is connected to this Redis: start workers"
    )


@pytest.mark.asyncio
async def test_silent_workers_are_reported_after_15_s(caplog: pytest.LogCaptureFixture) -> None:
    watched = Watched(caplog, workers=2)
    logged = {at: await watched.logged(at) for at in range(100, 122)}

    assert [at for at, words in logged.items() if words] == [115, 120]
    assert logged[115] == "7 orders wait, and 2 workers of acme have sent no reply for 15 s"


@pytest.mark.asyncio
async def test_nothing_is_reported_while_nothing_waits(caplog: pytest.LogCaptureFixture) -> None:
    watched = Watched(caplog)
    logged = [await watched.logged(at, waiting=0) for at in range(100, 130)]
    # An order that comes after a long pause has not waited for so long.
    logged += [await watched.logged(at) for at in range(130, 134)]

    assert set(logged) == {""}


@pytest.mark.asyncio
async def test_failures_in_a_row_are_reported_with_the_latest(
    caplog: pytest.LogCaptureFixture,
) -> None:
    watched = Watched(caplog, workers=2)
    watched.monitor.note(reply(REFUSED), 100)
    watched.monitor.note(reply(REFUSED), 100)
    assert await watched.logged(100) == ""
    watched.monitor.note(reply(REFUSED), 101)

    assert await watched.logged(101) == (
        "the last 3 replies of the workers of acme were failures, the latest NotSentError:"
        " cannot connect to 127.0.0.1:9: connection refused; 7 orders wait"
    )
    watched.monitor.note(reply(NoReplyError("no response within 60 s")), 103)
    assert await watched.logged(103) == ""
    assert "the last 4 replies" in await watched.logged(106)
    # Not once more without a further one.
    assert await watched.logged(111) == ""
    assert "have sent no reply for 15 s" in await watched.logged(118)


@pytest.mark.asyncio
async def test_messages_of_clickpost_are_not_recorded(caplog: pytest.LogCaptureFixture) -> None:
    watched = Watched(caplog, workers=1)
    for _ in range(3):
        watched.monitor.note(reply(ServerError("Meera is not at home", http_status=500)), 100)

    assert "the latest ServerError (HTTP 500); 7 orders" in await watched.logged(100)


@pytest.mark.parametrize(
    "decided",
    [
        PLACED,
        reply(CourierError("pincode not served", status=319, http_status=200)),
        reply(InvalidRequestError.of([Problem("weight", "must be above 0")])),
    ],
    ids=["placed", "rejected", "invalid"],
)
@pytest.mark.asyncio
async def test_order_with_a_known_outcome_ends_the_row(
    caplog: pytest.LogCaptureFixture, decided: Mapping[str, Any]
) -> None:
    watched = Watched(caplog, workers=2)
    for at in (100, 101, 102):
        watched.monitor.note(reply(REFUSED), at)
    assert await watched.logged(102)
    caplog.clear()
    watched.monitor.note(decided, 103)
    assert caplog.messages == ["the workers of acme create orders again"]
    for at in (104, 105):
        watched.monitor.note(reply(REFUSED), at)
    watched.monitor.note(decided, 106)

    assert await watched.logged(108) == ""
    assert caplog.messages == []


@asynccontextmanager
async def idle_fleet(redis: RedisServer, workers: int) -> AsyncIterator[Fleet]:
    """Open a feeder whose queue leads nowhere, beside so many workers."""
    ledger = Ledger(redis.url, account="acme")

    async def feed(orders: list[str], terms: dict[str, Any]) -> None:
        del orders, terms

    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(Sandbox())
        client = ClickPost(sandbox.username, sandbox.api_key, base_url=sandbox.base_url)
        await stack.enter_async_context(client)
        for _ in range(workers):
            opened = await stack.enter_async_context(ledger.open())
            Worker(client, opened)
            await opened.send_heartbeat()
        yield await stack.enter_async_context(Fleet.open(feed, client, ledger))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.asyncio
async def test_feeder_counts_the_workers_at_its_redis(
    redis_server: RedisServer,
    workers: int,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("clickpost_async.fleet.stall._WITHOUT_WORKERS", 0.0)
    monkeypatch.setattr("clickpost_async.fleet.stall._WITHOUT_REPLY", 0.0)
    async with idle_fleet(redis_server, workers) as fleet:
        waiting = asyncio.create_task(fleet.create(india_order("PEN-1")))
        await until(lambda: logged(caplog))
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    expected = {0: "no worker of acme is connected", 2: "2 workers of acme have sent no reply"}
    assert expected[workers] in logged(caplog)[0].getMessage()


@pytest.mark.asyncio
async def test_worker_that_leaves_or_is_silent_is_not_counted(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(redis_server.url, account="counted")
    async with ledger.open() as feeder, ledger.open() as silent:
        async with ledger.open() as leaving:
            for opened in (silent, leaving):
                opened.enlist()
                await opened.send_heartbeat()
            await feeder.send_heartbeat()
            assert await feeder.workers() == 2
        assert await feeder.workers() == 1
        with redis_server.client() as client:
            client.zadd("clickpost:{counted}:workers", {silent.worker_id: 1.0})
        assert await feeder.workers() == 0


async def line_with(stream: asyncio.StreamReader, words: str) -> str:
    """Return the first line that has these words in it, or all that came instead."""
    lines: list[str] = []
    while line := await stream.readline():
        lines.append(line.decode())
        if re.search(words, lines[-1]):
            return lines[-1]
    return "".join(lines)


@pytest.mark.parametrize(
    ("workers", "words"),
    [
        (0, "20 orders wait, and no worker of .* is connected to this Redis"),
        (1, "the last .* replies of the workers of .* were failures, the latest NotSentError"),
    ],
    ids=["no workers", "workers without a server"],
)
@pytest.mark.asyncio
async def test_bulk_reports_missing_or_failing_workers(
    tmp_path: Path, workers: int, words: str
) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}/api"
    file = write_orders(tmp_path, 20)
    async with AsyncExitStack() as stack:
        redis = stack.enter_context(RedisServer())
        for _ in range(workers):
            stack.enter_context(worker(nowhere, redis.url, rate="100/1s", max_concurrency=20))
        bulk = await push(file, tmp_path / "run.db", nowhere, redis.url)
        try:
            assert bulk.stderr is not None
            logged = await asyncio.wait_for(line_with(bulk.stderr, words), 120)
        finally:
            if bulk.returncode is None:
                bulk.kill()
            await bulk.wait()

    assert re.search(words, logged), logged
