"""Workers of a fleet at a sandbox and a real Redis: each order is created once."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio

from clickpost_async import ClickPost, InvalidRequestError, NotSentError, RetryPolicy
from clickpost_async.errors import NoReplyError, Outcome
from clickpost_async.fleet import Fleet, Ledger, OrderTerms, Worker, created
from clickpost_async.fleet.fleet import Feed
from clickpost_async.fleet.ledger import OpenLedger
from clickpost_async.sandbox import Fault, Sandbox
from tests.helpers.http_server import until
from tests.helpers.redis_server import RedisServer
from tests.sandbox.samples import india_order

BRISK = RetryPolicy(attempts=3, backoff=0.01, settle_delay=0.2)


@pytest.fixture
def server() -> Any:
    with RedisServer(appendonly="yes") as server:
        yield server


@pytest_asyncio.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as sandbox:
        yield sandbox


class Crew:
    """Workers that are made as they are needed, each with a client of its own."""

    def __init__(self, stack: AsyncExitStack, sandbox: Sandbox, server: RedisServer) -> None:
        self._stack = stack
        self._sandbox = sandbox
        self.ledger = Ledger(server.url, account="acme")
        self.messages: list[str] = []

    async def client(self, retry: RetryPolicy = BRISK) -> ClickPost:
        clickpost = ClickPost(
            self._sandbox.username,
            self._sandbox.api_key,
            base_url=self._sandbox.base_url,
            retry=retry,
        )
        return await self._stack.enter_async_context(clickpost)

    async def worker(self, retry: RetryPolicy = BRISK) -> Worker:
        opened = await self._stack.enter_async_context(self.ledger.open())
        return Worker(await self.client(retry), opened)

    async def fleet(self, *workers: Worker) -> Fleet:
        turns = iter(range(1_000_000))

        async def feed(orders: list[str], terms: dict[str, Any]) -> None:
            self.messages += orders
            worker = workers[next(turns) % len(workers)]
            task = asyncio.create_task(worker.create_all(orders, OrderTerms(**terms)))
            self._stack.push_async_callback(gone, task)

        return await self._stack.enter_async_context(
            Fleet.open(feed, await self.client(), self.ledger)
        )


async def gone(task: asyncio.Task[Any]) -> None:
    for _ in range(100):
        task.cancel()
        if (await asyncio.wait([task], timeout=0.1))[0]:
            return
    pytest.fail("a worker's task cannot be cancelled")


@pytest_asyncio.fixture
async def crew(sandbox: Sandbox, server: RedisServer) -> AsyncIterator[Crew]:
    async with AsyncExitStack() as stack:
        yield Crew(stack, sandbox, server)


@pytest.mark.asyncio
async def test_same_order_given_to_many_workers_is_placed_once(
    crew: Crew, sandbox: Sandbox
) -> None:
    workers = [await crew.worker() for _ in range(3)]
    replies = await asyncio.gather(
        *(worker.create(india_order("PEN-6")) for worker in workers for _ in range(2))
    )

    (waybill,) = {created(reply).waybill for reply in replies}
    assert sandbox.ledger() == {"PEN-6": (waybill,)}


@pytest.mark.asyncio
async def test_second_task_of_a_worker_waits_for_the_first_and_not_for_it_to_settle(
    crew: Crew, sandbox: Sandbox
) -> None:
    # It would never end, if what the first one has sent were in doubt for the second.
    worker = await crew.worker(RetryPolicy(settle_delay=1e6))
    replies = await asyncio.gather(*(worker.create(india_order("PEN-17")) for _ in range(3)))

    assert len({created(reply).waybill for reply in replies}) == 1
    assert len(sandbox.ledger()["PEN-17"]) == 1


@pytest.mark.asyncio
async def test_order_that_has_changed_is_refused(crew: Crew, sandbox: Sandbox) -> None:
    worker = await crew.worker()
    await worker.create(india_order("PEN-7"))
    reply = await worker.create(india_order("PEN-7", shipment_details__weight=500))

    with pytest.raises(InvalidRequestError, match="other contents") as refused:
        created(reply)
    assert [problem.path for problem in refused.value.problems] == ["reference_number"]
    assert len(sandbox.ledger()["PEN-7"]) == 1


@pytest.mark.asyncio
async def test_error_survives_the_queue_unchanged(crew: Crew) -> None:
    worker = await crew.worker()
    reply = await worker.create(india_order("PEN-8", shipment_details__weight=-1))
    with pytest.raises(InvalidRequestError, match=r"weight") as refused:
        created(reply)
    assert [problem.path for problem in refused.value.problems] == ["shipment_details.weight"]
    assert refused.value.attempts == json.loads(reply)["attempts"]


@pytest.mark.asyncio
async def test_lost_response_is_an_unknown_outcome(crew: Crew, sandbox: Sandbox) -> None:
    sandbox.faults.next(Fault.DROP_BEFORE)
    worker = await crew.worker(RetryPolicy.never())
    with pytest.raises(NoReplyError) as lost:
        created(await worker.create(india_order("PEN-16")))

    assert lost.value.outcome is Outcome.UNKNOWN
    assert lost.value.reference_number == "PEN-16"
    assert sandbox.ledger() == {}


@pytest.mark.asyncio
async def test_order_of_another_account_is_not_sent(crew: Crew, sandbox: Sandbox) -> None:
    worker = await crew.worker()
    reply = await worker.create(india_order("PEN-9"), OrderTerms(account_label="emca at elsewhere"))

    with pytest.raises(NotSentError, match="emca at elsewhere") as refused:
        created(reply)
    assert not refused.value.transient
    assert sandbox.ledger() == {}


@pytest.mark.asyncio
async def test_order_of_a_worker_that_died_before_recording_it_is_found_and_not_bought_again(
    crew: Crew, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never_arrives(*_: object) -> None:
        return

    order = india_order("PEN-10")
    async with crew.ledger.open() as dead:
        monkeypatch.setattr(dead, "end", never_arrives)
        reply = created(await Worker(await crew.client(), dead).create(order))

    found = created(await (await crew.worker()).create(order))
    assert found.waybill == reply.waybill
    assert found.response.reconciled
    assert sandbox.ledger() == {"PEN-10": (reply.waybill,)}


@pytest.mark.asyncio
async def test_placed_order_is_looked_up_for_its_response_and_not_resent(
    crew: Crew, sandbox: Sandbox
) -> None:
    order = india_order("PEN-22")
    placed = created(await (await crew.worker()).create(order))
    again = created(await (await crew.worker()).create(order))

    assert (again.waybill, again.label) == (placed.waybill, placed.label)
    assert [call.operation for call in sandbox.requests()].count("orders.create_india") == 1


@pytest.mark.asyncio
async def test_placed_order_whose_look_up_fails_has_the_waybill_that_is_recorded(
    crew: Crew, sandbox: Sandbox
) -> None:
    order = india_order("PEN-23")
    placed = created(await (await crew.worker()).create(order))
    sandbox.faults.next(Fault.DROP_BEFORE)
    again = created(await (await crew.worker(RetryPolicy.never())).create(order))

    assert (again.waybill, again.courier_partner) == (placed.waybill, placed.courier_partner)
    assert again.reference_number == "PEN-23"
    assert sandbox.ledger() == {"PEN-23": (placed.waybill,)}


@pytest.mark.fault("R01")
@pytest.mark.asyncio
async def test_nothing_is_sent_while_redis_is_down(
    crew: Crew, sandbox: Sandbox, server: RedisServer
) -> None:
    worker = await crew.worker()
    server.kill()
    task = asyncio.create_task(worker.create(india_order("PEN-11")))
    await asyncio.sleep(0.3)
    assert sandbox.ledger() == {}

    server.start()
    assert created(await task).waybill
    assert len(sandbox.ledger()["PEN-11"]) == 1


@pytest.mark.fault("R01")
@pytest.mark.parametrize("forget", ["restart", "flushall"])
@pytest.mark.asyncio
async def test_orders_that_redis_forgot_are_fed_again_and_placed_once(
    sandbox: Sandbox, forget: str
) -> None:
    # Without its log: neither the queue nor what was claimed survives.
    async with AsyncExitStack() as stack:
        with RedisServer() as forgetful:
            crew = Crew(stack, sandbox, forgetful)
            fed, feed = recording()
            fleet = await stack.enter_async_context(
                Fleet.open(feed, await crew.client(), crew.ledger)
            )
            waiting = asyncio.create_task(fleet.create(india_order("PEN-12")))
            await until(lambda: len(fed) == 1)
            # A worker places it, and dies with Redis before anybody hears of it.
            clickpost = await crew.client()
            placed = await clickpost.orders.create(json.loads(fed[0][0][0]))
            if forget == "restart":
                forgetful.restart()
            else:
                flush(forgetful)
            await until(lambda: len(fed) == 2)

            worker = await crew.worker()
            await worker.create_all(fed[1][0], OrderTerms(**fed[1][1]))
            reply = await waiting

    assert fed[0] == fed[1]
    assert reply.waybill == placed.waybill
    # Not by ClickPost's refusal of a known number, but because it was looked up.
    assert reply.response.reconciled
    assert sandbox.ledger() == {"PEN-12": (placed.waybill,)}


@pytest.mark.fault("R01", control=True)
@pytest.mark.asyncio
async def test_flushed_order_waits_unnoticed_without_a_run_id(
    crew: Crew, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds = 0

    async def never_changes(self: OpenLedger) -> str:
        nonlocal rounds
        rounds += 1
        return "a generation"

    monkeypatch.setattr(OpenLedger, "generation", never_changes)
    fed, feed = recording()
    async with Fleet.open(feed, await crew.client(), crew.ledger) as fleet:
        waiting = asyncio.create_task(fleet.create(india_order("PEN-12")))
        await until(lambda: len(fed) == 1)
        flush(server)
        seen = rounds
        await until(lambda: rounds >= seen + 3)
        assert len(fed) == 1
        assert not waiting.done()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


def recording() -> tuple[list[tuple[list[str], dict[str, Any]]], Feed]:
    """Return a queue without workers, and what puts orders into it."""
    fed: list[tuple[list[str], dict[str, Any]]] = []

    async def feed(orders: list[str], terms: dict[str, Any]) -> None:
        fed.append((orders, terms))

    return fed, feed


def flush(server: RedisServer) -> None:
    with server.client() as client:
        client.flushall()


@pytest.mark.asyncio
async def test_feeder_receives_the_replies_of_many_workers(crew: Crew, sandbox: Sandbox) -> None:
    fleet = await crew.fleet(await crew.worker(), await crew.worker())
    orders = await asyncio.gather(
        *(fleet.create(india_order(f"MANY-{number}")) for number in range(30))
    )

    assert {order.reference_number: (order.waybill,) for order in orders} == sandbox.ledger()
    with pytest.raises(InvalidRequestError, match="weight"):
        await fleet.create(india_order("MANY-X", shipment_details__weight=-1))


@pytest.mark.asyncio
async def test_feeder_hands_on_plain_json_whatever_numbers_an_order_has(
    crew: Crew, sandbox: Sandbox
) -> None:
    order = india_order("PEN-21", shipment_details__cod_value=Decimal("499.50"))
    order["additional"] = {"insured_for": Decimal("12.50")}
    fleet = await crew.fleet(await crew.worker())
    crew.messages.clear()
    await fleet.create(order)

    [message] = crew.messages
    written = json.loads(message)
    assert written["shipment_details"]["cod_value"] == 499.5
    assert written["additional"] == {"insured_for": 12.5}


@pytest.mark.asyncio
async def test_new_order_of_a_feeder_is_not_looked_up(crew: Crew, sandbox: Sandbox) -> None:
    fleet = await crew.fleet(await crew.worker())
    reply = await fleet.create(india_order("PEN-19"))

    assert sandbox.ledger() == {"PEN-19": (reply.waybill,)}
    assert [call.operation for call in sandbox.requests()] == ["orders.create_india"]


@pytest.mark.asyncio
async def test_replies_of_a_restarted_redis_are_read_from_the_start(
    crew: Crew, server: RedisServer
) -> None:
    fed, feed = recording()
    reply = await (await crew.worker()).create(india_order("PEN-20"))
    async with Fleet.open(feed, await crew.client(), crew.ledger) as fleet:
        first = asyncio.create_task(fleet.create(india_order("PEN-20")))
        await until(lambda: len(fed) == 1)
        with server.client() as client:
            client.xadd(fed[0][1]["reply_stream"], {"1": reply})
            placed = await first
            second = asyncio.create_task(fleet.create(india_order("PEN-20")))
            await until(lambda: len(fed) == 2)
            client.flushall()
            await until(lambda: len(fed) == 3)
            # Its clock is behind that of the one before.
            client.xadd(fed[0][1]["reply_stream"], {"2": reply}, "1-1")
        assert (await asyncio.wait_for(second, 10)).waybill == placed.waybill


@pytest.mark.asyncio
async def test_order_in_doubt_is_looked_up_by_the_worker(crew: Crew, sandbox: Sandbox) -> None:
    order = india_order("PEN-13")
    placed = await (await crew.client()).orders.create(order)
    fleet = await crew.fleet(await crew.worker())

    reply = await fleet.create(order, in_doubt=True)
    assert reply.waybill == placed.waybill
    assert reply.response.reconciled


@pytest.mark.asyncio
async def test_orders_that_are_polled_travel_apart_from_those_that_are_not(crew: Crew) -> None:
    is_polled: dict[str, bool] = {}

    async def feed(orders: list[str], terms: dict[str, Any]) -> None:
        for order in map(json.loads, orders):
            is_polled[order["shipment_details"]["reference_number"]] = terms["polls"]

    async with Fleet.open(feed, await crew.client(), crew.ledger) as fleet:
        creating = [
            asyncio.create_task(fleet.create(india_order(f"PEN-{polls}"), polls=polls))
            for polls in (True, False)
        ]
        await until(lambda: len(is_polled) == 2)
        for task in creating:
            task.cancel()
        await asyncio.wait(creating, timeout=10)

    assert is_polled == {"PEN-True": True, "PEN-False": False}


@pytest.mark.asyncio
async def test_feeding_ends_though_redis_py_lost_the_only_cancellation(crew: Crew) -> None:
    # As asyncio.wait_for does before Python 3.12; the queue's own library may do so too.
    feeding = asyncio.Event()

    async def losing(orders: list[str], terms: dict[str, Any]) -> None:
        feeding.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)

    async with Fleet.open(losing, await crew.client(), crew.ledger) as fleet:
        task = asyncio.create_task(fleet.create(india_order("PEN-18")))
        await feeding.wait()
        task.cancel()
        await asyncio.wait([task], timeout=10)

    assert task.cancelled()


@pytest.mark.asyncio
async def test_feeder_gets_the_error_of_a_queue_that_refuses(crew: Crew) -> None:
    async def feed(orders: list[str], terms: dict[str, Any]) -> None:
        del terms
        raise ValueError(json.loads(orders[0])["shipment_details"]["reference_number"])

    async with Fleet.open(feed, await crew.client(), crew.ledger) as fleet:
        with pytest.raises(ValueError, match="PEN-14"):
            await fleet.create(india_order("PEN-14"))


@pytest.mark.asyncio
async def test_unexpected_failure_leaves_the_order_in_doubt(
    crew: Crew, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    worker = await crew.worker()

    async def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr("clickpost_async.bulk.recovery.PreparedPayload.create", fail)
        reply = await worker.create(india_order("PEN-15"))
    with pytest.raises(NoReplyError, match="ZeroDivisionError") as failed:
        created(reply)
    assert failed.value.outcome is Outcome.UNKNOWN
    assert "failed unexpectedly" in caplog.text

    assert created(await worker.create(india_order("PEN-15"))).waybill
    assert len(sandbox.ledger()["PEN-15"]) == 1
