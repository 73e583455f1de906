"""Workers on taskiq: its in-memory broker, and streams of a real Redis."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from redis.asyncio import Redis
from redis.exceptions import RedisError
from taskiq import AckableMessage, InMemoryBroker
from taskiq.exceptions import SendTaskError
from taskiq.message import BrokerMessage
from taskiq.receiver import Receiver

from clickpost_async import ClickPost, InvalidRequestError, RetryPolicy
from clickpost_async.fleet import Fleet, Ledger, created
from clickpost_async.integrations import _order_broker
from clickpost_async.integrations.taskiq import OrderBroker, feed, order_task
from clickpost_async.sandbox import Sandbox
from tests.helpers.redis_server import RedisServer
from tests.sandbox.samples import india_order

QUEUE = "clickpost:{acme}:orders"


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer(appendonly="yes") as server:
        yield server


@pytest_asyncio.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as sandbox:
        yield sandbox


@pytest.mark.asyncio
async def test_task_of_any_broker_creates_an_order_once(
    sandbox: Sandbox, server: RedisServer
) -> None:
    broker = InMemoryBroker()
    opened: list[ClickPost] = []

    def client() -> ClickPost:
        opened.append(ClickPost(sandbox.username, sandbox.api_key, base_url=sandbox.base_url))
        return opened[-1]

    create_order = order_task(broker, client=client, ledger=Ledger(server.url, account="acme"))
    await broker.startup()
    tasks = [await create_order.kiq(india_order("INK-1")) for _ in range(3)]
    results = [await task.wait_result(timeout=60) for task in tasks]
    refused = await create_order.kiq(india_order("INK-2", shipment_details__weight=-1))
    reply = (await refused.wait_result(timeout=60)).return_value
    await broker.shutdown()

    (waybill,) = {created(str(result.return_value)).waybill for result in results}
    assert sandbox.ledger() == {"INK-1": (waybill,)}
    with pytest.raises(InvalidRequestError, match="weight"):
        created(str(reply))
    # One client for the worker's whole life, and closed at its end.
    (clickpost,) = opened
    with pytest.raises(Exception, match="closed"):
        await clickpost.health()


class Listening:
    """A consumer's view of the stream."""

    def __init__(self, broker: OrderBroker) -> None:
        self.broker = broker
        self._messages = broker.listen()

    async def next(self) -> AckableMessage:
        return await asyncio.wait_for(anext(self._messages), 10)

    async def stop(self) -> None:
        await self._messages.aclose()
        await self.broker.shutdown()


def message(text: str) -> BrokerMessage:
    return BrokerMessage(task_id="1", task_name="any", message=text.encode(), labels={})


@pytest_asyncio.fixture
async def one(server: RedisServer) -> AsyncIterator[Listening]:
    broker = OrderBroker(server.url, account="acme", idle=0.3, max_concurrency=1000)
    await broker.startup()
    listening = Listening(broker)
    yield listening
    await listening.stop()


@pytest.mark.asyncio
async def test_orders_queued_before_the_first_worker_are_delivered(server: RedisServer) -> None:
    feeder = OrderBroker(server.url, account="acme")
    await feeder.startup()
    await feeder.kick(message("early"))
    await feeder.shutdown()

    broker = OrderBroker(server.url, account="acme")
    await broker.startup()
    worker = Listening(broker)
    assert (await worker.next()).data == b"early"
    await worker.stop()


@pytest.mark.asyncio
async def test_acknowledged_message_leaves_nothing_behind(
    server: RedisServer, one: Listening
) -> None:
    await one.broker.kick(message("an address"))
    got = await one.next()
    with server.client() as client:
        assert client.xlen(QUEUE) == 1
        await acknowledge(got)
        assert client.xlen(QUEUE) == 0
        assert client.xpending(QUEUE, "workers")["pending"] == 0


async def acknowledge(got: AckableMessage) -> None:
    done: Any = got.ack()
    await done


@pytest.mark.asyncio
async def test_message_of_a_dead_worker_is_claimed_without_new_messages(
    server: RedisServer, one: Listening
) -> None:
    dead = OrderBroker(server.url, account="acme", idle=0.3)
    await dead.startup()
    listening = Listening(dead)
    await one.broker.kick(message("left behind"))
    assert (await listening.next()).data == b"left behind"
    await listening.stop()

    assert (await one.next()).data == b"left behind"


@pytest.mark.asyncio
async def test_message_of_a_live_worker_is_not_claimed_however_long_it_takes(
    server: RedisServer, one: Listening
) -> None:
    await one.broker.kick(message("slow"))
    await one.next()
    broker = OrderBroker(server.url, account="acme", idle=0.3)
    await broker.startup()
    other = Listening(broker)
    waiting = asyncio.create_task(other.next())
    # Three times as long as a dead worker's would be left alone.
    await asyncio.sleep(1.0)
    assert not waiting.done()

    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await other.stop()


@pytest.mark.asyncio
async def test_worker_that_was_blocked_does_not_claim_its_own_message(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Messages of crashed workers are searched for before each read.
    monkeypatch.setattr("clickpost_async.integrations._order_broker._SEARCHES", 1e12)
    broker = OrderBroker(server.url, account="acme", idle=30.0)
    await broker.startup()
    worker = Listening(broker)
    await broker.kick(message("slow"))
    assert (await worker.next()).data == b"slow"
    with server.client() as client:
        # As if it had not been touched for a minute.
        [pending] = client.xpending_range(QUEUE, "workers", "-", "+", 1)
        consumer, number = pending["consumer"], pending["message_id"]
        client.xclaim(QUEUE, "workers", consumer, 0, [number], idle=60_000, justid=True)

    await broker.kick(message("next"))
    assert (await worker.next()).data == b"next"
    await worker.stop()


@pytest.mark.asyncio
async def test_message_of_a_dead_worker_is_found_behind_many_in_progress(
    server: RedisServer, one: Listening
) -> None:
    for number in range(120):
        await one.broker.kick(message(f"slow {number}"))
    for _ in range(120):
        await one.next()
    dead = OrderBroker(server.url, account="acme", idle=0.3)
    await dead.startup()
    listening = Listening(dead)
    await one.broker.kick(message("left behind"))
    assert (await listening.next()).data == b"left behind"
    await listening.stop()

    assert (await one.next()).data == b"left behind"


@pytest.mark.fault("R06")
@pytest.mark.asyncio
async def test_r06_read_only_redis_is_waited_for(server: RedisServer, one: Listening) -> None:
    await one.broker.kick(message("an address"))
    got = await one.next()
    with server.client() as client:
        client.replicaof("127.0.0.1", "1")
        acknowledging = asyncio.create_task(acknowledge(got))
        listening = asyncio.create_task(one.next())
        await asyncio.sleep(0.3)
        assert not acknowledging.done()
        assert not listening.done()
        client.replicaof("NO", "ONE")
        await acknowledging
        await one.broker.kick(message("another"))
        assert (await listening).data == b"another"
        assert client.xlen(QUEUE) == 1


@pytest.mark.fault("R01")
@pytest.mark.asyncio
async def test_r01_worker_without_redis_waits_and_a_feeder_gets_an_error(
    sandbox: Sandbox, server: RedisServer
) -> None:
    server.kill()
    feeder = OrderBroker(server.url, account="acme")
    with pytest.raises(RedisError):
        await feeder.startup()

    broker = OrderBroker(server.url, account="acme")
    broker.is_worker_process = True
    order_task(
        broker,
        client=lambda: ClickPost(sandbox.username, sandbox.api_key, base_url=sandbox.base_url),
        ledger=Ledger(server.url, account="acme"),
    )
    await broker.startup()
    worker = Listening(broker)
    waiting = asyncio.create_task(worker.next())
    server.start()
    await feeder.startup()
    await feeder.kick(message("at last"))
    assert (await waiting).data == b"at last"
    await worker.stop()
    await feeder.shutdown()


@pytest.mark.fault("R01")
@pytest.mark.parametrize("appendonly", ["yes", "no"])
@pytest.mark.asyncio
async def test_worker_outlives_a_redis_that_is_restarted(appendonly: str) -> None:
    with RedisServer(appendonly=appendonly) as server:
        broker = OrderBroker(server.url, account="acme")
        await broker.startup()
        worker = Listening(broker)
        waiting = asyncio.create_task(worker.next())
        await asyncio.sleep(0.1)
        server.restart()
        async with Redis.from_url(server.url) as redis:
            # The group comes back with the worker, wherever it was lost.
            for _ in range(6000):
                if await redis.exists(QUEUE):
                    break
                await asyncio.sleep(0.01)
            await redis.xadd(QUEUE, {b"data": b"after"})
        assert (await waiting).data == b"after"
        await worker.stop()


@pytest.mark.asyncio
async def test_listening_ends_though_redis_py_lost_the_only_cancellation(
    one: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As asyncio.wait_for does before Python 3.12, and taskiq cancels once.
    asked = asyncio.Event()

    async def losing() -> list[tuple[bytes, dict[bytes, bytes]]]:
        asked.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)
        return []

    monkeypatch.setattr(one.broker, "_new", losing)
    task = asyncio.create_task(one.next())
    await asked.wait()
    task.cancel()

    await asyncio.wait([task], timeout=60)
    assert task.cancelled()


@pytest.mark.asyncio
async def test_fleet_is_fed_through_a_broker(sandbox: Sandbox, server: RedisServer) -> None:
    broker = InMemoryBroker()
    ledger = Ledger(server.url, account="acme")

    def client() -> ClickPost:
        return ClickPost(sandbox.username, sandbox.api_key, base_url=sandbox.base_url)

    task = order_task(broker, client=client, ledger=ledger)
    await broker.startup()
    async with client() as clickpost, Fleet.open(feed(task), clickpost, ledger) as fleet:
        placed = await fleet.create(india_order("INK-3"))
    await broker.shutdown()

    assert sandbox.ledger() == {"INK-3": (placed.waybill,)}


@pytest.mark.asyncio
async def test_refusal_of_a_broker_names_its_cause(server: RedisServer) -> None:
    class Refusing(InMemoryBroker):
        async def kick(self, message: BrokerMessage) -> None:
            raise PermissionError(message.task_name)

    task = order_task(
        Refusing(),
        client=lambda: pytest.fail("a feeder opens no client"),
        ledger=Ledger(server.url, account="acme"),
    )
    with pytest.raises(PermissionError, match="create_orders"):
        await feed(task)([india_order("INK-4")], {})
    with pytest.raises(SendTaskError):
        await task.kiq({})


async def redelivered_order(sandbox: Sandbox, server: RedisServer) -> None:
    """Have an order placed by a worker that dies, lose its record, and give it to another one."""
    ledger = Ledger(server.url, account="acme")
    broker = OrderBroker(server.url, account="acme", idle=0.3)
    broker.is_worker_process = True

    def client() -> ClickPost:
        return ClickPost(
            sandbox.username,
            sandbox.api_key,
            base_url=sandbox.base_url,
            retry=RetryPolicy(settle_delay=0.05),
        )

    task = order_task(broker, client=client, ledger=ledger)
    await broker.startup()
    await task.kiq(india_order("INK-5"))
    dead = Listening(OrderBroker(server.url, account="acme", idle=0.3))
    await dead.next()
    async with client() as clickpost:
        await clickpost.orders.create(india_order("INK-5"))
    await dead.stop()

    worker = Listening(broker)
    await Receiver(broker).callback(await worker.next())
    await worker.stop()


@pytest.mark.asyncio
async def test_redelivered_order_whose_record_is_gone_is_looked_up_and_not_sent(
    sandbox: Sandbox, server: RedisServer
) -> None:
    await redelivered_order(sandbox, server)

    creates = [call.operation for call in sandbox.requests()].count("orders.create_india")
    assert creates == 1
    assert len(sandbox.ledger()["INK-5"]) == 1


@pytest.mark.asyncio
async def test_without_the_mark_a_redelivered_order_whose_record_is_gone_is_sent_again(
    sandbox: Sandbox, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OrderBroker, "_mark_redelivered", lambda self, data: data)
    await redelivered_order(sandbox, server)

    creates = [call.operation for call in sandbox.requests()].count("orders.create_india")
    assert creates == 2


@pytest.mark.asyncio
async def test_orders_whose_message_is_still_queued_are_not_queued_again(
    sandbox: Sandbox, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Every second all orders are late.
    monkeypatch.setattr("clickpost_async.fleet.fleet._MAX_SILENCE", 0.0)
    broker = OrderBroker(server.url, account="acme")
    ledger = Ledger(server.url, account="acme")
    task = order_task(broker, client=lambda: pytest.fail("a feeder opens no client"), ledger=ledger)
    checks = 0

    async def count(self: OrderBroker, number: bytes) -> bool:
        nonlocal checks
        checks += 1
        return await contains(self, number)

    contains = OrderBroker.contains
    monkeypatch.setattr(OrderBroker, "contains", count)
    async with (
        ClickPost(sandbox.username, sandbox.api_key, base_url=sandbox.base_url) as clickpost,
        Fleet.open(feed(task), clickpost, ledger) as fleet,
        Redis.from_url(server.url) as redis,
    ):
        orders = [asyncio.create_task(fleet.create(india_order(f"INK-{n}"))) for n in range(5)]
        await eventually(lambda: checks >= 3)
        assert [int(fields[b"orders"]) for _, fields in await redis.xrange(QUEUE)] == [5]
        # A message that is gone is replaced.
        await redis.delete(QUEUE)
        for _ in range(600):
            if await redis.xlen(QUEUE):
                break
            await asyncio.sleep(0.05)
        assert [int(fields[b"orders"]) for _, fields in await redis.xrange(QUEUE)] == [5]
        for order in orders:
            order.cancel()
        await asyncio.gather(*orders, return_exceptions=True)
    await broker.shutdown()


async def eventually(condition: Any) -> None:
    for _ in range(600):
        if condition():
            return
        await asyncio.sleep(0.05)
    pytest.fail("it does not happen within 30 s")


@pytest.mark.asyncio
async def test_consumers_of_dead_workers_are_deleted_and_those_with_messages_are_not(
    server: RedisServer, one: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_order_broker, "_DEAD_CONSUMER_MS", 20)
    async with Redis.from_url(server.url, decode_responses=True) as redis:
        for consumer in ("dead", "busy"):
            await redis.xgroup_createconsumer(QUEUE, "workers", consumer)
        await redis.xadd(QUEUE, {"data": "an address"})
        await redis.xreadgroup("workers", "busy", {QUEUE: ">"})
        await asyncio.sleep(0.1)
        await one.broker._delete_dead_consumers()
        left = await redis.xinfo_consumers(QUEUE, "workers")

    assert [(consumer["name"], consumer["pending"]) for consumer in left] == [("busy", 1)]


@pytest.mark.asyncio
async def test_worker_opens_few_connections_however_many_orders_end_together(
    server: RedisServer, one: Listening
) -> None:
    for number in range(200):
        await one.broker.kick(message(str(number)))
    got = [await one.next() for _ in range(200)]
    with server.client() as client:
        before = client.info("stats")["total_commands_processed"]
        await asyncio.gather(*(acknowledge(each) for each in got))
        used = client.info("stats")["total_commands_processed"] - before
        opened = len(client.client_list())

        assert client.xlen(QUEUE) == client.xpending(QUEUE, "workers")["pending"] == 0
    # One of them is the test's own. The commands go in batches of up to 100.
    assert opened <= 1 + 4
    assert used < 200
