"""A feeder's calls: how orders get into messages, and what becomes of them when one fails."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from clickpost_async import ClickPost
from clickpost_async.bulk.recovery import PreparedPayload
from clickpost_async.errors import NoReplyError
from clickpost_async.fleet import Fleet, Ledger, messages
from tests.helpers.http_server import until
from tests.helpers.redis_server import RedisServer
from tests.sandbox.samples import india_order


class Queue:
    """A feed that keeps its messages, each of them an `entry` of the queue.

    The `failures` are raised instead of keeping one.
    """

    def __init__(self, *failures: Exception | None, entry: object = None) -> None:
        self.messages: list[list[str]] = []
        self._entry = entry
        self._failures = list(failures)

    async def feed(self, orders: list[str], terms: dict[str, Any]) -> object:
        assert len(terms["tickets"]) == len(orders)
        failure = self._failures.pop(0) if self._failures else None
        if failure is not None:
            raise failure
        self.messages.append(orders)
        return self._entry

    @property
    def references(self) -> list[str]:
        orders = [json.loads(order) for message in self.messages for order in message]
        return sorted(order["shipment_details"]["reference_number"] for order in orders)


@asynccontextmanager
async def feeding(server: RedisServer, queue: Queue) -> AsyncIterator[Fleet]:
    client = ClickPost("acme", "not-a-real-key", base_url="http://127.0.0.1:9/api")
    ledger = Ledger(server.url, account="feeder-tests")
    async with client, Fleet.open(queue.feed, client, ledger) as fleet:
        yield fleet


def creating(fleet: Fleet, count: int) -> list["asyncio.Task[Any]"]:
    orders = [india_order(f"FEED-{number:03}") for number in range(count)]
    return [asyncio.create_task(fleet.create(order)) for order in orders]


def names(count: int) -> list[str]:
    return [f"FEED-{number:03}" for number in range(count)]


async def give_up(tasks: list["asyncio.Task[Any]"]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.asyncio
async def test_orders_that_come_together_are_registered_in_one_call_for_many_messages(
    redis_server: RedisServer,
) -> None:
    queue = Queue()
    with redis_server.client() as redis:
        async with feeding(redis_server, queue) as fleet:
            registered = 0

            async def register(keys: Any) -> None:
                nonlocal registered
                registered += 1
                await original(keys)

            original = fleet._ledger.register
            fleet._ledger.register = register  # type: ignore[method-assign]
            tasks = creating(fleet, 90)
            await until(lambda: len(queue.references) == 90)
            await give_up(tasks)
        assert redis.exists(*(f"clickpost:{{feeder-tests}}:india:{name}" for name in names(90)))

    assert registered == 1
    assert [len(message) for message in queue.messages] == [20, 20, 20, 20, 10]
    assert queue.references == names(90)


@pytest.mark.asyncio
async def test_outage_between_two_messages_queues_no_order_twice(
    redis_server: RedisServer,
) -> None:
    queue = Queue(None, None, RedisConnectionError("reset"), RedisConnectionError("refused"))
    async with feeding(redis_server, queue) as fleet:
        tasks = creating(fleet, 90)
        await until(lambda: len(queue.references) >= 90)
        await give_up(tasks)

    assert queue.references == names(90)


@pytest.mark.asyncio
async def test_error_of_the_queue_is_raised_for_its_orders_and_not_for_later_ones(
    redis_server: RedisServer,
) -> None:
    queue = Queue(None, ValueError("too large"))
    async with feeding(redis_server, queue) as fleet:
        failing = creating(fleet, 30)
        failed, _ = await asyncio.wait(failing[20:], timeout=30)
        later = asyncio.create_task(fleet.create(india_order("FEED-900")))
        await until(lambda: "FEED-900" in queue.references)
        waiting = [task for task in failing[:20] if not task.done()]
        await give_up([*failing, later])

    assert [type(task.exception()) for task in failed] == [ValueError] * 10
    assert len(waiting) == 20
    assert queue.references == [*names(20), "FEED-900"]


@pytest.mark.asyncio
async def test_order_that_is_given_up_before_it_is_queued_is_not_queued(
    redis_server: RedisServer,
) -> None:
    queue = Queue(*[RedisConnectionError("reset")] * 3)
    async with feeding(redis_server, queue) as fleet:
        tasks = creating(fleet, 3)
        await asyncio.sleep(0)
        tasks[1].cancel()
        await until(lambda: len(queue.references) >= 2)
        await give_up(tasks)

    assert queue.references == ["FEED-000", "FEED-002"]


@pytest.mark.asyncio
async def test_closing_a_fleet_leaves_the_orders_that_have_no_reply_unknown(
    redis_server: RedisServer,
) -> None:
    queue = Queue(None, *[RedisConnectionError("reset")] * 1000)
    async with feeding(redis_server, queue) as fleet:
        tasks = creating(fleet, 30)
        await until(lambda: len(queue.references) == 20)
    await asyncio.wait(tasks, timeout=30)

    errors = [task.exception() for task in tasks]
    unknown = [error.reference_number for error in errors if isinstance(error, NoReplyError)]
    assert sorted(map(str, unknown)) == names(30)


@pytest.mark.asyncio
async def test_order_that_is_done_while_its_message_is_looked_for_is_not_queued_again(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # After each read of the replies, all orders without one are late.
    monkeypatch.setattr("clickpost_async.fleet.fleet._MAX_SILENCE", 0.0)
    error = messages.write(NoReplyError("no response within 60 s"), 0.1)

    class Message:
        """One whose worker replies, and deletes it, just before it is looked for."""

        async def is_queued(self) -> bool:
            await worker.reply(fleet._reply_stream, 1, error)
            return False

    queue = Queue(entry=Message())
    ledger = Ledger(redis_server.url, account="feeder-tests")
    async with feeding(redis_server, queue) as fleet, ledger.open() as worker:
        [task] = creating(fleet, 1)
        await asyncio.wait([task], timeout=60)

    assert isinstance(task.exception(), NoReplyError)
    assert queue.references == names(1)


@pytest.mark.asyncio
async def test_json_of_an_order_that_was_encoded_before_is_queued_as_it_is(
    redis_server: RedisServer,
) -> None:
    queue = Queue()
    prepared = PreparedPayload(india_order("FEED-901"))
    written = prepared.payload.replace(b"{", b"{ ", 1)
    async with feeding(redis_server, queue) as fleet:
        task = asyncio.create_task(fleet.create(prepared.order, payload=written))
        await until(lambda: queue.messages != [])
        await give_up([task])

    assert queue.messages == [[written.decode()]]
