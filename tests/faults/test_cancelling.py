"""Chapter X: calls cancelled at any point, and clients used in unusual ways.

Observers get the outcome of a cancelled call, which is checked against the sandbox's ledger.
"""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from clickpost_async import (
    ClickPost,
    Outcome,
    Priority,
    Rate,
    RetryPolicy,
    Timeouts,
)
from clickpost_async.bulk import Placed, create
from clickpost_async.events import AttemptStarted, CallFinished
from clickpost_async.limits import NoRateLimit
from clickpost_async.sandbox import Sandbox
from clickpost_async.structures import CreatedOrder
from clickpost_async.testing import virtual_time
from tests.helpers.http_server import PLACED, Peer, Server, Talk, http, serving, until
from tests.helpers.scripted_transport import (
    KEY,
    Line,
    Listener,
    Play,
    api_response,
    never_responds,
    placed,
    playing,
    queued,
)
from tests.sandbox.samples import india_order

QUICK = RetryPolicy(attempts=3, backoff=0.001, settle_delay=0.05)


def at(served: Sandbox | Server, **settings: Any) -> ClickPost:
    if isinstance(served, Server):
        account = ("acme", KEY, served.url)
    else:
        account = (served.username, served.api_key, served.base_url)
    username, key, url = account
    return ClickPost(username, key, base_url=url, **{"retry": QUICK} | settings)


async def turns(count: int) -> None:
    """Let the other tasks run for so many iterations of the event loop."""
    for _ in range(count):
        await asyncio.sleep(0)


def ends(listener: Listener) -> list[Outcome | None]:
    return [
        end.outcome for end in listener.of(CallFinished) if end.endpoint.startswith("orders.create")
    ]


# --- X01 - X04: at every moment ----------------------------------------------------------------


@pytest.mark.fault("X01")
@pytest.mark.fault("X02")
@pytest.mark.fault("X03")
@pytest.mark.fault("X04")
@pytest.mark.parametrize("blows", [1, 2, 3], ids=["x01_x03_once", "x04_twice", "x04_thrice"])
@pytest.mark.asyncio
async def test_x01_to_x04_create_cancelled_at_any_step_reports_its_true_outcome(
    blows: int,
) -> None:
    sandbox = Sandbox(courier_seconds=0.002)
    reported: dict[str, Outcome | None] = {}

    def listen(event: object) -> None:
        if isinstance(event, CallFinished) and event.endpoint == "orders.create_india":
            reported[str(event.reference_number)] = event.outcome

    completed = given_up = 0
    async with (
        sandbox,
        at(sandbox, observers=[listen], limiter=NoRateLimit()) as clickpost,
    ):
        for number in range(120):
            reference = f"R-{number}"
            call = asyncio.create_task(clickpost.orders.create(india_order(reference)))
            await turns(number)
            for _ in range(blows):
                call.cancel()
                await turns(1)
            await asyncio.wait([call], timeout=10)
            if call.cancelled():
                given_up += 1
            else:
                completed += 1
                assert sandbox.ledger()[reference] == (call.result().waybill,)
                assert reported[reference] is None
        stats = clickpost.stats()
        # What is under way at the sandbox ends there.
        await until(lambda: not sandbox.traffic.in_flight)
        arrived = {one.reference_number for one in sandbox.requests()}
        for reference, outcome in reported.items():
            if outcome is Outcome.NOT_SENT:
                assert reference not in arrived
            if reference in arrived:
                assert outcome in (None, Outcome.UNKNOWN)

        # Each can be made again, and none is bought twice.
        first = dict(reported)
        again = await asyncio.gather(
            *(clickpost.orders.create(india_order(reference)) for reference in first)
        )

    assert (given_up + completed, len(first)) == (120, 119)  # one had not begun
    assert given_up > 20
    assert {*first.values()} >= {Outcome.NOT_SENT, Outcome.UNKNOWN}
    assert (stats.in_flight, stats.queued) == (0, 0)
    ledger = sandbox.ledger()
    assert {order.reference_number: (order.waybill,) for order in again} == {
        reference: ledger[reference] for reference in first
    }


@pytest.mark.fault("X02")
@pytest.mark.parametrize("where", ["gate", "turn", "key", "pause", "breaker"])
@virtual_time
async def test_x02_waiting_call_that_is_cancelled_was_not_sent(where: str) -> None:
    listener = Listener()
    settings: dict[str, Any] = {}
    lines: list[Line] = [placed()]
    if where == "gate":
        settings, lines = {"max_concurrency": 1}, [never_responds]
    elif where == "turn":
        settings = {"rate": Rate(1, per=1000)}
    elif where == "pause":
        lines = [httpx.ConnectError("")]
        settings = {"retry": RetryPolicy(backoff=1e6, max_backoff=1e6, max_total_delay=1e9)}
    elif where == "breaker":
        lines, settings = [httpx.ConnectError("")], {"retry": RetryPolicy.never()}

    async def key() -> str:
        await asyncio.sleep(1000)
        return KEY

    play = Play(lines)
    clickpost = playing(play, observers=[listener], **settings)
    if where == "key":
        clickpost = ClickPost(
            "acme", key, transport=httpx.MockTransport(play), observers=[listener]
        )
    async with clickpost:
        before = []
        if where in ("gate", "turn"):
            before = [asyncio.create_task(clickpost.orders.create(india_order("R-0")))]
        if where == "breaker":
            questions = (clickpost.couriers.pincode(f"{110000 + number}") for number in range(20))
            await asyncio.gather(*questions, return_exceptions=True)
        await asyncio.sleep(0.1)
        sent = len(play.requests)
        bulk = clickpost.with_options(priority=Priority.BULK)
        call = asyncio.create_task(bulk.orders.create(india_order("R-1")))
        await asyncio.sleep(1)
        call.cancel()
        await asyncio.wait([call])
        assert call.cancelled()
        assert len(play.requests) - sent == (where == "pause")
        for one in before:
            one.cancel()

    assert listener.of(CallFinished)[-1 - (where == "gate")].reference_number == "R-1"
    assert [end.outcome for end in listener.of(CallFinished) if end.reference_number == "R-1"] == [
        Outcome.NOT_SENT
    ]


async def hangs_before_reading(peer: Peer) -> None:
    await asyncio.sleep(1000)


async def hangs_after_reading(peer: Peer) -> None:
    await peer.read()
    await peer.until_gone()


async def hangs_in_the_head(peer: Peer) -> None:
    await peer.read()
    await peer.send(http(PLACED)[:20])
    await peer.until_gone()


async def hangs_in_the_body(peer: Peer) -> None:
    await peer.read()
    await peer.send(http(PLACED)[:-20])
    await peer.until_gone()


@pytest.mark.fault("X03")
@pytest.mark.parametrize(
    "talk", [hangs_before_reading, hangs_after_reading, hangs_in_the_head, hangs_in_the_body]
)
@pytest.mark.asyncio
async def test_x03_sent_call_that_is_cancelled_is_unknown_and_ends_promptly(talk: Talk) -> None:
    listener = Listener()
    async with serving(talk) as server, at(server, observers=[listener]) as clickpost:
        call = asyncio.create_task(clickpost.orders.create(india_order("R-1")))
        await until(lambda: listener.of(AttemptStarted) and server.open)
        await asyncio.sleep(0.05)
        call.cancel()
        # Rounds of the event loop, not seconds: nothing is waited for.
        for _ in range(50):
            await turns(1)
            if call.done():
                break
        assert call.cancelled()
        stats = clickpost.stats()

    assert ends(listener) == [Outcome.UNKNOWN]
    assert (stats.in_flight, stats.connections, len(listener.of(AttemptStarted))) == (0, 0, 1)


@pytest.mark.fault("X03")
@virtual_time
async def test_x03_response_that_was_read_reaches_all_waiters() -> None:
    async def slowly(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(1)
        return placed()

    play = Play([slowly], knows=placed())
    async with playing(play) as clickpost:
        first, second = (
            asyncio.create_task(clickpost.orders.create(india_order("R-1"))) for _ in range(2)
        )
        await asyncio.sleep(0.5)
        second.cancel()
        order = await first

    assert (order.waybill, second.cancelled(), len(play.requests)) == ("W-1", True, 1)


# --- X05 - X06: from outside --------------------------------------------------------------------


@pytest.mark.fault("X05")
@pytest.mark.parametrize("line", [never_responds, httpx.ReadError(""), queued(), api_response(322)])
@virtual_time
async def test_x05_timeout_from_outside_ends_the_call_and_retries_nothing(line: Line) -> None:
    listener = Listener()
    play = Play([line])
    async with playing(play, observers=[listener]) as clickpost:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(clickpost.orders.create(india_order("R-1")), 5)
        passed = asyncio.get_running_loop().time()
        await asyncio.sleep(5000)

    assert (passed, len(play.requests)) == (5, 1)
    assert ends(listener) == [Outcome.UNKNOWN]


@pytest.mark.fault("X06")
@pytest.mark.asyncio
async def test_x06_failing_task_of_a_group_loses_no_label_of_the_others() -> None:
    sandbox = Sandbox(courier_seconds=0.01)
    listener = Listener()

    async def fails() -> None:
        await asyncio.sleep(0.005)
        raise KeyError

    async def together(clickpost: ClickPost) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(10):
                group.create_task(clickpost.orders.create(india_order(f"R-{number}")))
            group.create_task(fails())

    async with sandbox, at(sandbox, observers=[listener]) as clickpost:
        with pytest.raises(ExceptionGroup) as caught:
            await together(clickpost)
        reported = ends(listener)
        again = await asyncio.gather(
            *(clickpost.orders.create(india_order(f"R-{number}")) for number in range(10))
        )

    assert [type(error) for error in caught.value.exceptions] == [KeyError]
    assert len(reported) == 10
    assert {order.reference_number: (order.waybill,) for order in again} == sandbox.ledger()


# --- X09 - X11: in odd ways ---------------------------------------------------------------------


@pytest.mark.fault("X10")
@pytest.mark.asyncio
async def test_x10_run_left_half_way_can_be_resumed() -> None:
    sandbox = Sandbox(courier_seconds=0.001)
    orders = [india_order(f"R-{number}") for number in range(60)]
    async with sandbox, at(sandbox) as clickpost:
        async with create(clickpost, orders, max_concurrency=8) as run:
            async for _ in run:
                if run.report.total == 20:
                    break
        await until(lambda: not sandbox.traffic.in_flight)
        stats = clickpost.stats()
        async with create(clickpost, orders, max_concurrency=8) as run:
            outcomes = [outcome async for outcome in run]

    assert (stats.in_flight, stats.queued) == (0, 0)
    assert {type(outcome) for outcome in outcomes} == {Placed}
    assert 20 <= run.report.already_placed <= 20 + 8 + 1
    ledger = sandbox.ledger()
    assert len(ledger) == 60
    assert {len(waybills) for waybills in ledger.values()} == {1}


@pytest.mark.fault("X10")
@pytest.mark.asyncio
async def test_x10_iterator_left_half_way_resumes_where_it_was() -> None:
    # A minute ago: what has not happened yet is left to the next run.
    sandbox = Sandbox(clock=lambda: time.time() - 60)
    async with sandbox, at(sandbox) as clickpost:
        for number in range(12):
            await clickpost.orders.create(india_order(f"R-{number}"))
        now = datetime.now(UTC)
        span = (now - timedelta(hours=1), now + timedelta(minutes=1))
        seen: list[Any] = []
        updates = clickpost.orders.iter_updated(*span)
        async for update in updates:
            seen.append(update)
            if len(seen) == 5:
                break
        stats = clickpost.stats()
        seen += [update async for update in updates]

    assert (stats.in_flight, stats.queued) == (0, 0)
    assert sorted(update.reference_number for update in seen) == sorted(
        f"R-{number}" for number in range(12)
    )


@pytest.mark.fault("X11")
@pytest.mark.parametrize("look_up", [True, False])
@pytest.mark.asyncio
async def test_x11_blocked_event_loop_buys_no_second_label(look_up: bool) -> None:
    retry = RetryPolicy(settle_delay=0.2, reconcile=look_up)
    timeouts = Timeouts(read=0.2, create=0.2)
    sandbox = Sandbox(courier_seconds=0.05)
    async with (
        sandbox,
        at(sandbox, retry=retry, timeouts=timeouts) as clickpost,
    ):
        call = asyncio.create_task(clickpost.orders.create(india_order("R-1")))
        await until(lambda: sandbox.traffic.in_flight)
        # The response arrives meanwhile, and every timer fires at once when it is over.
        time.sleep(0.5)  # noqa: ASYNC251 - that is the fault
        order = await call

    assert isinstance(order, CreatedOrder)
    assert sandbox.ledger() == {"R-1": (order.waybill,)}
