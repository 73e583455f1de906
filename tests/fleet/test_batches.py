"""Messages of many orders: on a real Redis, through taskiq's receiver, to a sandbox."""

import asyncio
import json
from contextlib import AsyncExitStack
from typing import Any

import pytest
from redis.asyncio import Redis
from taskiq.message import BrokerMessage

from clickpost_async.bulk.recovery import PreparedPayload
from clickpost_async.errors import NoReplyError
from clickpost_async.fleet import Fleet, Ledger, OrderTerms, Worker, created
from clickpost_async.fleet.worker import StoppedError
from clickpost_async.integrations.taskiq import OrderBroker, feed
from clickpost_async.sandbox import Sandbox
from tests.fleet.worker_process import Process, process, sandbox_client
from tests.helpers.http_server import until
from tests.helpers.redis_server import RedisServer
from tests.sandbox.samples import india_order

QUEUE = "clickpost:{acme}:orders"
REPLIES = "clickpost:{acme}:replies:a-feeder"


@pytest.fixture
def server(redis_server: RedisServer) -> RedisServer:
    with redis_server.client() as client:
        client.flushall()
    return redis_server


def orders(count: int) -> list[dict[str, Any]]:
    return [india_order(f"BATCH-{number}") for number in range(count)]


async def put(started: Process, count: int) -> None:
    """Queue a message of so many orders, whose replies go to `REPLIES`."""
    tickets = list(range(1, count + 1))
    terms = {"reply_stream": REPLIES, "tickets": tickets, "registered": True}
    ledger = Ledger(started.url, account="acme")
    async with ledger.open() as opened:
        await opened.register([("india", f"BATCH-{number}") for number in range(count)])
    written = [PreparedPayload(order).payload.decode() for order in orders(count)]
    await feed(started.task)(written, terms)


async def replies(server: RedisServer) -> dict[int, list[dict[str, Any]]]:
    """Return the replies in `REPLIES` by ticket."""
    found: dict[int, list[dict[str, Any]]] = {}
    async with Redis.from_url(server.url, decode_responses=True) as redis:
        for _, fields in await redis.xrange(REPLIES):
            for ticket, reply in fields.items():
                found.setdefault(int(ticket), []).append(json.loads(reply))
    return found


async def queued(server: RedisServer) -> list[int]:
    """Return how many orders each message in the queue has."""
    async with Redis.from_url(server.url) as redis:
        return [int(fields[b"orders"]) for _, fields in await redis.xrange(QUEUE)]


@pytest.mark.asyncio
async def test_orders_that_are_created_together_travel_in_messages_of_twenty(
    server: RedisServer,
) -> None:
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(Sandbox())
        started = await stack.enter_async_context(process(server.url, sandbox))
        client = await stack.enter_async_context(sandbox_client(sandbox))
        ledger = Ledger(server.url, account="acme")
        fleet = await stack.enter_async_context(Fleet.open(feed(started.task), client, ledger))
        creating = [asyncio.create_task(fleet.create(order)) for order in orders(45)]
        for _ in range(3):
            await started.work()
        placed = await asyncio.gather(*creating)

    assert [len(waybills) for waybills in sandbox.ledger().values()] == [1] * 45
    assert {order.reference_number: (order.waybill,) for order in placed} == sandbox.ledger()
    assert await queued(server) == []


@pytest.mark.asyncio
async def test_personal_data_is_compressed_in_the_queue(server: RedisServer) -> None:
    async with Sandbox() as sandbox, process(server.url, sandbox) as started:
        await put(started, 20)
        async with Redis.from_url(server.url) as redis:
            [(_, fields)] = await redis.xrange(QUEUE)

    assert len(fields[b"data"]) < 20 * len(json.dumps(orders(1)[0])) / 3


@pytest.mark.asyncio
async def test_message_whose_worker_died_half_way_places_the_rest_and_replies_for_all(
    server: RedisServer,
) -> None:
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(Sandbox())
        started = await stack.enter_async_context(process(server.url, sandbox))
        await put(started, 6)
        # Reads the message, places two of its orders, and dies.
        dying = OrderBroker(server.url, account="acme", idle=0.3)
        await dying.startup()
        listening = dying.listen()
        await asyncio.wait_for(anext(listening), 30)
        ledger = Ledger(server.url, account="acme")
        async with ledger.open() as opened, sandbox_client(sandbox) as client:
            terms = OrderTerms(reply_stream=REPLIES, tickets=[1, 2], registered=True)
            await Worker(client, opened).create_all(orders(2), terms)
        await listening.aclose()
        await dying.shutdown()
        await started.work()

    assert [len(waybills) for waybills in sandbox.ledger().values()] == [1] * 6
    found = await replies(server)
    assert sorted(found) == [1, 2, 3, 4, 5, 6]
    assert {reply["order"]["waybill"] for each in found.values() for reply in each} == {
        waybill for (waybill,) in sandbox.ledger().values()
    }
    operations = [call.operation for call in sandbox.requests()]
    assert operations.count("orders.create_india") == 6
    assert await queued(server) == []


@pytest.mark.asyncio
async def test_worker_reads_no_message_while_it_has_all_the_orders_that_it_may_have(
    server: RedisServer,
) -> None:
    async with Sandbox() as sandbox, process(server.url, sandbox, max_concurrency=20) as started:
        for _ in range(3):
            await put(started, 10)
        first, second = await started.next(), await started.next()
        third = asyncio.create_task(started.next())
        await asyncio.sleep(0.5)
        assert not third.done()

        await started.receiver.callback(first)
        await started.receiver.callback(await third)
        await started.receiver.callback(second)

    assert await queued(server) == []


@pytest.mark.asyncio
async def test_order_that_ends_makes_room_though_others_of_its_message_do_not(
    server: RedisServer,
) -> None:
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(Sandbox())
        started = await stack.enter_async_context(process(server.url, sandbox, max_concurrency=3))
        ledger = Ledger(server.url, account="acme")
        other = await stack.enter_async_context(ledger.open())
        await put(started, 3)
        # Another worker has one of them.
        await other.claim(("india", "BATCH-2"), "00", registered=True)
        working = asyncio.create_task(started.work())
        await until(lambda: len(sandbox.ledger()) == 2)
        await put(started, 1)
        await started.next()
        assert not working.done()
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


def message(text: str) -> BrokerMessage:
    return BrokerMessage(task_id="1", task_name="any", message=text.encode(), labels={})


@pytest.mark.parametrize(("keep", "left"), [(0.2, 1), (3600.0, 2)])
@pytest.mark.asyncio
async def test_message_that_no_worker_takes_is_deleted_after_its_time(
    server: RedisServer, keep: float, left: int
) -> None:
    broker = OrderBroker(server.url, account="acme", keep=keep)
    await broker.kick(message("an address"))
    await asyncio.sleep(0.5)
    await broker.kick(message("another"))
    async with Redis.from_url(server.url) as redis:
        assert await redis.xlen(QUEUE) == left
        assert 0 < await redis.ttl(QUEUE) <= max(1, keep)
    await broker.shutdown()


@pytest.mark.asyncio
async def test_worker_that_stops_reports_what_it_sent_as_unknown_and_hands_back_the_rest(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with AsyncExitStack() as stack:
        # Without an interruption its responses never come.
        sandbox = await stack.enter_async_context(Sandbox(courier_seconds=1e6, racy=True))
        started = await stack.enter_async_context(
            process(server.url, sandbox, client={"max_concurrency": 2})
        )
        await put(started, 5)
        working = asyncio.create_task(started.work())
        await until(lambda: len(sandbox.ledger()) == 2)
        monkeypatch.setattr("clickpost_async.integrations.taskiq.STOP_AFTER", 0.0)
        await started.stop_listening()
        await asyncio.wait_for(working, 30)

        found = await replies(server)
        assert [found[ticket][0]["error"] for ticket in found] == ["NoReplyError"] * 2
        assert [found[ticket][0]["outcome"] for ticket in found] == ["UNKNOWN"] * 2
        assert await queued(server) == [3]

        # Another worker sends those that were not sent at once, without a look-up.
        elsewhere = await stack.enter_async_context(Sandbox())
        other = await stack.enter_async_context(process(server.url, elsewhere))
        await started.broker.shutdown()
        await other.work()

    assert sorted(await replies(server)) == [1, 2, 3, 4, 5]
    operations = [call.operation for call in elsewhere.requests()]
    assert operations == ["orders.create_india"] * 3
    assert sorted([*sandbox.ledger(), *elsewhere.ledger()]) == [f"BATCH-{n}" for n in range(5)]


@pytest.mark.asyncio
async def test_single_order_is_unknown_if_it_was_sent_before_the_stop_and_else_handed_back(
    server: RedisServer,
) -> None:
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(Sandbox(courier_seconds=1e6, racy=True))
        client = await stack.enter_async_context(sandbox_client(sandbox, max_concurrency=1))
        ledger = Ledger(server.url, account="acme")
        worker = Worker(client, await stack.enter_async_context(ledger.open()))
        sent = asyncio.create_task(worker.create(india_order("BATCH-1")))
        await until(lambda: len(sandbox.ledger()) == 1)
        waiting = asyncio.create_task(worker.create(india_order("BATCH-2")))
        await asyncio.sleep(0.1)
        worker.stop()

        with pytest.raises(NoReplyError, match="the worker was stopped"):
            created(await sent)
        with pytest.raises(StoppedError):
            await waiting
        with pytest.raises(StoppedError):
            await worker.create(india_order("BATCH-3"))
    assert list(sandbox.ledger()) == ["BATCH-1"]
