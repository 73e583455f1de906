"""One create per reference number at a time in a process, and doubts left by earlier ones."""

import asyncio
import copy
import gc
import os
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
import trio

from clickpost_async import (
    ClickPost,
    ClickPostError,
    CourierError,
    DeadlineError,
    InvalidRequestError,
    NoReplyError,
    NotSentError,
    Outcome,
    Rate,
    Resend,
    RetryPolicy,
    structure,
)
from clickpost_async._concurrency import event_loops, single_flight
from clickpost_async._concurrency.event_loops import Instant
from clickpost_async._concurrency.single_flight import Doubt, SingleFlight
from clickpost_async.events import CallFinished
from clickpost_async.sandbox import Sandbox
from clickpost_async.structures import IndiaOrder
from clickpost_async.testing import reset, run_virtual, virtual_time
from tests.faults.misbehaving_sandbox import Door
from tests.helpers.scripted_transport import (
    Line,
    Listener,
    Play,
    api_response,
    never_responds,
    placed,
    playing,
    queued,
)
from tests.helpers.strategies import india

ORDER = india({"shipment_details.reference_number": "ONE"})
OTHER = india({"shipment_details.reference_number": "ONE", "drop_info.drop_pincode": "110002"})
INVALID = india({"shipment_details.reference_number": "ONE", "drop_info.drop_pincode": "12"})
ONCE = RetryPolicy.never()
HOLD = RetryPolicy(resend=Resend.NEVER)


def now() -> float:
    return asyncio.get_running_loop().time()


def at(sandbox: Sandbox, **settings: Any) -> ClickPost:
    return ClickPost(sandbox.username, sandbox.api_key, base_url=sandbox.base_url, **settings)


def alone(clickpost: ClickPost) -> ClickPost:
    """Make a client know of no other one, as one in another process."""
    object.__setattr__(clickpost._runtime, "single_flight", SingleFlight())
    return clickpost


def labels(sandbox: Sandbox) -> list[int]:
    return [len(waybills) for waybills in sandbox.ledger().values()]


def slowly(response: httpx.Response) -> Callable[[httpx.Request], Awaitable[httpx.Response]]:
    async def respond(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(1)
        return response

    return respond


@pytest.mark.fault("X08")
@virtual_time
async def test_equal_creates_at_once_are_sent_once() -> None:
    play = Play([slowly(placed())])
    async with playing(play) as clickpost:
        first, again, typed = await asyncio.gather(
            clickpost.orders.create(ORDER),
            clickpost.orders.create(copy.deepcopy(ORDER)),
            clickpost.orders.create(structure(ORDER, IndiaOrder)),
        )

    assert len(play.requests) == 1
    assert first is again is typed


@virtual_time
async def test_creates_that_wait_for_an_equal_one_hold_no_slot() -> None:
    play = Play([httpx.ConnectError("refused"), slowly(placed())])
    async with playing(play, max_concurrency=2) as clickpost:
        equal = [asyncio.ensure_future(clickpost.orders.create(ORDER)) for _ in range(5)]
        await asyncio.sleep(0.75)  # the first wait is half a second at most
        resent = clickpost.stats()
        created = await asyncio.gather(*equal)

    assert (resent.calls, resent.in_flight, resent.queued) == (5, 1, 0)
    assert len(play.requests) == 2
    assert all(order is created[0] for order in created)


@virtual_time
async def test_creates_one_after_the_other_are_sent_twice() -> None:
    play = Play([placed(), placed()])
    async with playing(play) as clickpost:
        await clickpost.orders.create(ORDER)
        await clickpost.orders.create(ORDER)

    assert len(play.requests) == 2


@pytest.mark.fault("X08")
@virtual_time
async def test_another_order_under_the_same_reference_is_refused() -> None:
    play = Play([slowly(placed())])
    async with playing(play) as clickpost:
        first, refused = await asyncio.gather(
            clickpost.orders.create(ORDER),
            clickpost.orders.create(OTHER),
            return_exceptions=True,
        )

    assert not isinstance(first, BaseException)
    assert isinstance(refused, InvalidRequestError)
    assert [problem.path for problem in refused.problems] == ["reference_number"]
    assert len(play.requests) == 1


@pytest.mark.fault("X08")
@virtual_time
async def test_failure_is_shared_too() -> None:
    play = Play([slowly(api_response(319, "not that pincode"))])
    async with playing(play) as clickpost:
        failures = await asyncio.gather(
            *(clickpost.orders.create(ORDER) for _ in range(3)), return_exceptions=True
        )

    assert [type(failure) for failure in failures] == [CourierError] * 3
    assert len({id(failure) for failure in failures}) == 3
    assert len(play.requests) == 1


@virtual_time
async def test_shared_outcome_covers_the_whole_call() -> None:
    play = Play([httpx.ReadError(""), httpx.ConnectError("")])
    async with playing(play) as clickpost:
        failures = await asyncio.gather(
            *(clickpost.orders.create(ORDER) for _ in range(2)), return_exceptions=True
        )

    assert [type(failure) for failure in failures] == [NoReplyError] * 2


@virtual_time
async def test_call_cancelled_before_its_send_frees_its_slot() -> None:
    play = Play([slowly(placed())])
    async with playing(play, max_concurrency=1) as clickpost:
        before = asyncio.create_task(clickpost.orders.create(india({})))
        given_up = asyncio.create_task(clickpost.orders.create(ORDER))
        next_one = asyncio.create_task(clickpost.orders.create(ORDER))
        await asyncio.sleep(0)
        given_up.cancel()

        order = await next_one
        await before

    assert order.waybill is not None
    assert len(play.requests) == 2
    assert given_up.cancelled()


@pytest.mark.fault("X08")
@pytest.mark.asyncio
async def test_racy_courier_gets_one_create_of_twenty_concurrent_ones() -> None:
    sandbox = Sandbox(courier_seconds=0.2, racy=True)
    async with sandbox, at(sandbox) as one, at(sandbox) as two:
        await asyncio.gather(
            *(client.orders.create(ORDER) for client in (one, two) for _ in range(10))
        )
    assert labels(sandbox) == [1]


@pytest.mark.fault("X08", control=True)
@pytest.mark.asyncio
async def test_racy_courier_sells_two_labels_where_two_processes_create_the_order() -> None:
    sandbox = Sandbox(courier_seconds=0.2, racy=True)
    async with sandbox, at(sandbox) as one, alone(at(sandbox)) as two:
        await asyncio.gather(one.orders.create(ORDER), two.orders.create(ORDER))
    assert labels(sandbox) == [2]


@virtual_time
async def test_finished_create_is_not_remembered() -> None:
    play = Play([api_response(319), placed()])
    async with playing(play) as clickpost:
        with pytest.raises(ClickPostError):
            await clickpost.orders.create(ORDER)

        assert (await clickpost.orders.create(OTHER)).waybill is not None


# --- given up, and made again ---------------------------------------------------------------------


async def is_cancelled(clickpost: ClickPost) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(clickpost.orders.create(ORDER), 0.5)


async def passes_its_deadline(clickpost: ClickPost) -> None:
    with pytest.raises(NoReplyError):
        await clickpost.with_options(deadline=0.5).orders.create(ORDER)


async def gets_no_reply(clickpost: ClickPost) -> None:
    with pytest.raises(NoReplyError):
        await clickpost.with_options(retry=ONCE).orders.create(ORDER)


LEFT_IN_DOUBT: dict[str, tuple[Line, Callable[[ClickPost], Awaitable[None]]]] = {
    "cancelled": (never_responds, is_cancelled),
    "past its deadline": (never_responds, passes_its_deadline),
    "without a reply": (httpx.ReadError(""), gets_no_reply),
}


@pytest.mark.parametrize("how", LEFT_IN_DOUBT)
@virtual_time
async def test_create_left_in_doubt_is_looked_up_and_settles_before_it_is_sent_again(
    how: str,
) -> None:
    line, leave = LEFT_IN_DOUBT[how]
    play = Play([line, placed()])
    async with playing(play) as clickpost, playing(play) as another:
        await leave(clickpost)
        left = now()
        order = await another.orders.create(ORDER)
        looked_up = len(play.look_ups)
        await another.orders.create(ORDER)

    assert (order.waybill, looked_up) == ("W-1", 1)
    assert play.times == [0, pytest.approx(left + 30), pytest.approx(left + 30)]
    # It was resolved: the third one was sent without more ado.
    assert len(play.look_ups) == 1


@pytest.mark.parametrize("how", LEFT_IN_DOUBT)
@pytest.mark.parametrize("retry", [RetryPolicy(), HOLD, ONCE])
@virtual_time
async def test_create_left_in_doubt_that_is_found_is_not_sent_again(
    how: str, retry: RetryPolicy
) -> None:
    line, leave = LEFT_IN_DOUBT[how]
    play = Play([line], knows=api_response(321))
    async with playing(play) as clickpost:
        await leave(clickpost)
        left = now()
        play.knows = placed("W-9", "ONE")
        if retry is ONCE:
            # It does not look, so it leaves the order alone at least.
            play.lines = [placed("W-9", "ONE", status=323)]
        order = await clickpost.with_options(retry=retry).orders.create(ORDER)

    assert order.waybill == "W-9"
    assert (len(play.requests), now()) == ((2, left + 30) if retry is ONCE else (1, left))


@pytest.mark.parametrize("how", LEFT_IN_DOUBT)
@virtual_time
async def test_create_left_in_doubt_is_held_where_the_policy_never_resends(how: str) -> None:
    line, leave = LEFT_IN_DOUBT[how]
    play = Play([line, placed()])
    async with playing(play) as clickpost:
        await leave(clickpost)
        with pytest.raises(NoReplyError) as caught:
            await clickpost.with_options(retry=HOLD).orders.create(ORDER)

    assert (caught.value.outcome, len(play.requests)) == (Outcome.UNKNOWN, 1)
    assert len(play.look_ups) == HOLD.attempts


@pytest.mark.parametrize("waits", [0, 10, 29])
@virtual_time
async def test_courier_slower_than_its_caller_sells_one_label(waits: float) -> None:
    door = Door(Sandbox(racy=True, courier_seconds=29))
    async with door.client() as clickpost:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(clickpost.orders.create(ORDER), 0.5)
        await asyncio.sleep(waits)
        order = await clickpost.orders.create(ORDER)
        await asyncio.sleep(100)

    assert door.sandbox.ledger() == {"ONE": (order.waybill,)}


@virtual_time
async def test_control_forgetting_a_doubt_sells_a_second_label() -> None:
    # The control of the one above.
    door = Door(Sandbox(racy=True, courier_seconds=29))
    async with door.client() as clickpost:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(clickpost.orders.create(ORDER), 0.5)
        reset()
        await clickpost.orders.create(ORDER)

    assert labels(door.sandbox) == [2]


@virtual_time
async def test_deadline_that_passes_while_it_settles_leaves_it_in_doubt() -> None:
    play = Play([httpx.ReadError(""), placed()])
    async with playing(play) as clickpost:
        await gets_no_reply(clickpost)
        for _ in range(2):
            with pytest.raises(NoReplyError) as caught:
                await clickpost.with_options(deadline=10).orders.create(ORDER)
            assert caught.value.safe_to_retry_in == 30
        order = await clickpost.orders.create(ORDER)

    # It settles since it was sent, not since it was last asked for.
    assert (order.waybill, play.times) == ("W-1", [0, 30])


@virtual_time
async def test_policy_without_a_total_delay_does_not_wait_for_the_settle_delay() -> None:
    play = Play([httpx.ReadError(""), placed()])
    hasty = RetryPolicy(max_total_delay=5)
    async with playing(play, retry=hasty) as clickpost:
        for _ in range(2):
            with pytest.raises(NoReplyError):
                await clickpost.orders.create(ORDER)

    assert (now(), len(play.requests)) == (0, 1)


@virtual_time
async def test_order_that_stays_pending_is_recorded_and_polled_by_the_next_create() -> None:
    play = Play([queued(), queued(102), placed("W-9", "ONE")])
    async with playing(play, retry=ONCE) as clickpost:
        assert (await clickpost.orders.create(ORDER)).pending
        assert (await clickpost.orders.create(ORDER)).pending
        order = await clickpost.orders.create(ORDER)

    assert (order.waybill, len(play.requests), play.look_ups) == ("W-9", 3, [])


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (api_response(319), CourierError),
        (httpx.ConnectError(""), NotSentError),
        (httpx.Response(429), NotSentError),
    ],
)
@virtual_time
async def test_create_that_leaves_no_doubt_is_not_looked_up(
    line: Line, kind: type[ClickPostError]
) -> None:
    play = Play([line, placed()])
    async with playing(play, retry=ONCE) as clickpost:
        with pytest.raises(kind):
            await clickpost.orders.create(ORDER)
        order = await clickpost.with_options(retry=RetryPolicy()).orders.create(OTHER)

    assert (order.waybill, play.look_ups) == ("W-1", [])


@virtual_time
async def test_doubt_outlives_creates_that_could_not_send() -> None:
    play = Play([httpx.ReadError(""), httpx.ConnectError(""), placed()])
    async with playing(play, retry=ONCE) as clickpost:
        await gets_no_reply(clickpost)
        for wrong in (INVALID, OTHER):
            with pytest.raises(InvalidRequestError) as refused:
                await clickpost.orders.create(wrong)
            assert refused.value.outcome is Outcome.NOT_SENT
        with pytest.raises(NoReplyError) as lost:
            await clickpost.orders.create(ORDER)
        with pytest.raises(InvalidRequestError, match="other contents"):
            await clickpost.orders.create(OTHER)
        await clickpost.orders.create(ORDER)

    assert lost.value.outcome is Outcome.UNKNOWN
    # The second did not leave: it settles from the first on.
    assert play.times == [0, 30, 30]


# --- other contents -------------------------------------------------------------------------------


@virtual_time
async def test_other_contents_under_a_reference_in_doubt_are_refused_unsent() -> None:
    play = Play([httpx.ReadError(""), placed()])
    listener = Listener()
    async with playing(play, observers=[listener]) as clickpost:
        await gets_no_reply(clickpost)
        with pytest.raises(InvalidRequestError) as caught:
            await clickpost.orders.create(OTHER)

    error = caught.value
    assert (error.outcome, error.reference_number, error.attempts) == (Outcome.NOT_SENT, "ONE", 0)
    assert [problem.path for problem in error.problems] == ["reference_number"]
    assert "unknown outcome" in error.message
    assert error.advice == (
        "find out the outcome of the other order first: look it up with orders.find_india"
    )
    assert "of its own" not in error.message + error.advice
    assert (len(play.requests), listener.of(CallFinished)[-1].outcome) == (1, Outcome.NOT_SENT)


@virtual_time
async def test_same_contents_in_another_order_of_keys_are_the_same() -> None:
    def turned(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {key: turned(value[key]) for key in reversed(value)}

    order = india({"shipment_details.reference_number": "ONE", "additional.own": {"a": 1, "b": 2}})
    play = Play([httpx.ReadError(""), placed()])
    async with playing(play) as clickpost:
        with pytest.raises(NoReplyError):
            await clickpost.with_options(retry=ONCE).orders.create(order)
        again = await clickpost.orders.create(turned(order))

    assert again.waybill == "W-1"


@virtual_time
async def test_invalid_order_in_flight_does_not_affect_a_valid_one() -> None:
    play = Play([slowly(placed())])
    async with playing(play, max_concurrency=1) as clickpost:
        before = asyncio.create_task(clickpost.orders.create(india({})))
        await asyncio.sleep(0)
        invalid, order = await asyncio.gather(
            clickpost.orders.create(INVALID),
            clickpost.orders.create(ORDER),
            return_exceptions=True,
        )
        await before

    assert isinstance(invalid, InvalidRequestError)
    assert invalid.problems[0].path == "drop_info.drop_pincode"
    assert not isinstance(order, BaseException)
    assert len(play.requests) == 2


# --- those that wait ------------------------------------------------------------------------------


@pytest.mark.parametrize("waiting", [1, 5])
@virtual_time
async def test_waiter_takes_over_from_a_cancelled_create(waiting: int) -> None:
    door = Door(Sandbox(racy=True, courier_seconds=10))
    async with door.client() as clickpost:
        first = asyncio.create_task(clickpost.orders.create(ORDER))
        await asyncio.sleep(0.1)
        others = [asyncio.create_task(clickpost.orders.create(ORDER)) for _ in range(waiting)]
        await asyncio.sleep(0.1)
        first.cancel()
        orders = await asyncio.gather(*others)
        stats = clickpost.stats()

    assert {(order.waybill,) for order in orders} == {door.sandbox.ledger()["ONE"]}
    assert (door.posts, stats.reconciliations) == (2, 1)
    assert now() >= 30


@virtual_time
async def test_waiter_finds_the_order_of_a_cancelled_create() -> None:
    play = Play([never_responds], knows=placed("W-9", "ONE"))
    async with playing(play) as clickpost:
        first = asyncio.create_task(clickpost.orders.create(ORDER))
        await asyncio.sleep(0.1)
        second = asyncio.create_task(clickpost.orders.create(ORDER))
        await asyncio.sleep(0.1)
        first.cancel()
        order = await second

    assert (order.waybill, order.response.reconciled, len(play.requests)) == ("W-9", True, 1)


@virtual_time
async def test_waiter_continues_when_another_client_closes() -> None:
    play = Play([httpx.ReadError(""), placed()])
    async with playing(play) as stays:
        goes = playing(play)
        first = asyncio.create_task(goes.orders.create(ORDER))
        await asyncio.sleep(1)
        second = asyncio.create_task(stays.orders.create(ORDER))
        await asyncio.sleep(1)
        await goes.aclose()
        order = await second
        with pytest.raises(NoReplyError):
            await first

    assert (order.waybill, play.times) == ("W-1", [0, 30])


@virtual_time
async def test_waiter_sends_where_another_client_could_not() -> None:
    play, broken = Play([placed()]), Play([slowly(httpx.Response(302))])
    async with playing(broken) as one, playing(play) as two:
        first, second = await asyncio.gather(
            one.orders.create(ORDER), two.orders.create(ORDER), return_exceptions=True
        )

    assert isinstance(first, NotSentError)
    assert not isinstance(second, BaseException)


@pytest.mark.parametrize(
    ("settings", "kind"), [({}, NoReplyError), ({"rate": Rate(1, per=100)}, DeadlineError)]
)
@virtual_time
async def test_deadline_during_a_wait_reports_the_outcome_of_the_order(
    settings: dict[str, Any], kind: type[ClickPostError]
) -> None:
    play = Play([slowly(placed())])
    listener = Listener()
    async with playing(play, observers=[listener], **settings) as clickpost:
        if settings:
            await clickpost.orders.create(india({}))
        first = asyncio.create_task(clickpost.orders.create(ORDER))
        await asyncio.sleep(0.1)
        with pytest.raises(kind) as caught:
            await clickpost.with_options(deadline=0.5).orders.create(ORDER)
        await first

    outcome = Outcome.UNKNOWN if kind is NoReplyError else Outcome.NOT_SENT
    assert caught.value.outcome is outcome
    ends = [end for end in listener.of(CallFinished) if end.reference_number == "ONE"]
    assert [end.outcome for end in ends] == [outcome, None]


# --- other event loops ----------------------------------------------------------------------------


@pytest.mark.fault("X09")
@pytest.mark.parametrize("clients", [1, 4])
def test_order_that_four_event_loops_create_at_once_is_sent_once(clients: int) -> None:
    sandbox = Sandbox(courier_seconds=0.3, racy=True)
    sandbox.start()
    shared = [at(sandbox) for _ in range(clients)]
    together = threading.Barrier(4)
    found: list[str | None] = []

    def work(number: int) -> None:
        together.wait(10)
        order = asyncio.run(shared[number % clients].orders.create(ORDER))
        found.append(order.waybill)

    try:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        ((waybill,),) = sandbox.ledger().values()
    finally:
        sandbox.stop()
    assert found == [waybill] * 4


def test_trio_waits_for_asyncio_and_asyncio_for_trio() -> None:
    sandbox = Sandbox(courier_seconds=0.3, racy=True)
    sandbox.start()
    together = threading.Barrier(2)
    found: list[str | None] = []

    def work(run: Callable[[Any], Any]) -> None:
        clickpost = at(sandbox)
        together.wait(10)
        found.append(run(clickpost).waybill)

    try:
        runs: list[Callable[[Any], Any]] = [
            lambda clickpost: asyncio.run(clickpost.orders.create(ORDER)),
            lambda clickpost: trio.run(clickpost.orders.create, ORDER),
        ]
        threads = [threading.Thread(target=work, args=(run,)) for run in runs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        ((waybill,),) = sandbox.ledger().values()
    finally:
        sandbox.stop()
    assert found == [waybill] * 2


@pytest.mark.parametrize("collected", [True, False])
def test_create_whose_loop_was_closed_is_in_doubt(collected: bool) -> None:
    play = Play([never_responds, placed()], knows=placed("W-9", "ONE"))
    clickpost = playing(play)
    loop = asyncio.new_event_loop()
    task = loop.create_task(clickpost.orders.create(ORDER))
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.run_until_complete(asyncio.sleep(0.05))
    assert len(play.requests) == 1
    loop.close()
    if collected:
        del task
        gc.collect()

    order = asyncio.run(clickpost.orders.create(ORDER))

    assert (order.waybill, order.response.reconciled, len(play.requests)) == ("W-9", True, 1)


def test_waiter_continues_when_the_loop_of_the_first_create_closes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(single_flight, "_LOOK", 0.01)
    play = Play([never_responds, placed()], knows=placed("W-9", "ONE"))
    clickpost = playing(play)
    loop = asyncio.new_event_loop()
    task = loop.create_task(clickpost.orders.create(ORDER))
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.run_until_complete(asyncio.sleep(0.05))

    async def main() -> Any:
        waiting = asyncio.create_task(clickpost.orders.create(ORDER))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        loop.close()
        return await waiting

    order = asyncio.run(main())

    assert (order.waybill, len(play.requests)) == ("W-9", 1)


def test_create_on_a_loop_that_was_stopped_is_not_waited_for_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(single_flight, "_LOOK", 0.01)

    async def responds_later(request: httpx.Request) -> httpx.Response:
        del request
        await asyncio.sleep(0.1)
        return placed("W-1", "ONE")

    play = Play([responds_later])
    clickpost = playing(play)
    loop = asyncio.new_event_loop()
    first = loop.create_task(clickpost.orders.create(ORDER))
    loop.run_until_complete(asyncio.sleep(0.02))
    assert len(play.requests) == 1

    with pytest.raises(NoReplyError, match="event loop that was stopped") as caught:
        asyncio.run(clickpost.orders.create(ORDER))

    assert (caught.value.outcome, caught.value.safe_to_retry_in) == (Outcome.UNKNOWN, 30.0)
    # It may go on at any time.
    assert loop.run_until_complete(first).waybill == "W-1"
    loop.close()
    assert len(play.requests) == 1


def test_doubt_is_shared_between_event_loops() -> None:
    play = Play([httpx.ReadError(""), placed()])
    clickpost = playing(play)
    began: list[float] = []

    async def again() -> None:
        await clickpost.orders.create(ORDER)
        began.append(now())

    run_virtual(lambda: gets_no_reply(clickpost))
    run_virtual(again)

    # By a clock that does not jump no time has passed.
    assert 29 < began[0] <= 30
    assert len(play.look_ups) == 1


def test_age_of_a_doubt_on_another_loop_is_measured_by_the_monotonic_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    uptime = 1000.0
    monkeypatch.setattr(event_loops, "boottime", lambda: uptime)
    play = Play([httpx.ReadError(""), placed()])
    clickpost = playing(play)
    run_virtual(lambda: gets_no_reply(clickpost))
    uptime = 1020.0
    ended: list[float] = []

    async def again() -> None:
        await clickpost.orders.create(ORDER)
        ended.append(now())

    run_virtual(again)

    assert ended == [10]


FORKING = """
import asyncio, os, sys, threading
from clickpost_async import ClickPost, Hosts, RetryPolicy
from tests.helpers.strategies import india

ORDER = india({"shipment_details.reference_number": "ONE"})
clickpost = ClickPost(
    "sandbox", "sandbox-key-not-a-secret",
    base_url=sys.argv[1],
    retry=RetryPolicy(settle_delay=1),
)
left = threading.Event()

async def parent():
    calls = [asyncio.create_task(clickpost.orders.create(ORDER)) for _ in range(2)]
    while not clickpost.stats().attempts:
        await asyncio.sleep(0.01)
    left.set()
    return await asyncio.gather(*calls)

async def child():
    order = await clickpost.orders.create(ORDER)
    assert clickpost.stats().reconciliations == 1
    assert order.already_placed or order.response.reconciled

found = []
thread = threading.Thread(target=lambda: found.extend(asyncio.run(parent())))
thread.start()
left.wait()
pid = os.fork()
if not pid:
    code = 1
    try:
        asyncio.run(child())
        code = 0
    finally:
        os._exit(code)
_, status = os.waitpid(pid, 0)
thread.join()
print(os.waitstatus_to_exitcode(status), len({order.waybill for order in found}))
"""


@pytest.mark.fault("X09")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a fork")
def test_order_in_flight_in_the_parent_is_in_doubt_in_a_forked_child() -> None:
    sandbox = Sandbox(courier_seconds=0.8, racy=True)
    sandbox.start()
    try:
        quiet = ["-W", "ignore:This process:DeprecationWarning"]
        api_response = subprocess.run(
            [sys.executable, *quiet, "-c", FORKING, sandbox.base_url],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    finally:
        sandbox.stop()
    assert (api_response.stderr, api_response.stdout) == ("", "0 1\n")
    assert labels(sandbox) == [1]


# --- memory ---------------------------------------------------------------------------------------


class Lost:
    """A create that is never resolved."""

    def __init__(self, settle_delay: float = 30, resend_window: float = 100) -> None:
        self._facts = {"settle_delay": settle_delay, "resend_window": resend_window}

    def doubt(self, sent: Instant | None = None) -> Doubt:
        return Doubt(contents=b"", last_sent=sent or Instant.now(), **self._facts)


def lose(in_flight: SingleFlight, reference: str, create: Lost | None = None) -> None:
    key = ("acme", "/", reference)
    create = create or Lost()
    assert in_flight.begin(key, create) is None
    in_flight.finish(key, create, create.doubt())


@virtual_time
async def test_doubts_are_forgotten_after_the_resend_window_and_not_before() -> None:
    in_flight = SingleFlight()
    for number in range(100):
        lose(in_flight, f"R-{number}")
        await asyncio.sleep(10)
        young = range(max(0, number - 9), number)
        assert all(in_flight.doubt_about(("acme", "/", f"R-{one}")) for one in young)
        assert len(in_flight._doubts) <= 13


@virtual_time
async def test_doubt_is_kept_while_it_settles_whatever_the_window() -> None:
    in_flight = SingleFlight()
    for number in range(30):
        lose(in_flight, f"R-{number}", Lost(settle_delay=300, resend_window=0))
        await asyncio.sleep(10)
    assert len(in_flight._doubts) == 30


@virtual_time
async def test_too_many_doubts_push_out_the_oldest_that_have_settled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(single_flight, "_MAX_DOUBTS", 10)
    in_flight = SingleFlight()
    for number in range(50):
        lose(in_flight, f"R-{number}", Lost(resend_window=1e9))
        if number == 19:
            assert len(in_flight._doubts) == 20
            await asyncio.sleep(31)
    assert len(in_flight._doubts) == 30
    assert in_flight.doubt_about(("acme", "/", "R-19")) is None


@virtual_time
async def test_create_that_is_garbage_collected_while_the_lock_is_held_ends() -> None:
    in_flight, create = SingleFlight(), Lost()
    assert in_flight.begin(("acme", "/", "R-1"), create) is None
    # Garbage may be collected anywhere, in the same thread.
    with in_flight._lock:
        in_flight.finish(("acme", "/", "R-1"), create, None)
    assert in_flight._in_flight == {}


def test_create_of_a_closed_loop_does_not_end_the_one_that_replaced_it() -> None:
    in_flight, key = SingleFlight(), ("acme", "/", "R-1")
    abandoned, current = Lost(), Lost()

    async def abandon() -> None:
        assert in_flight.begin(key, abandoned) is None

    async def replace() -> None:
        assert in_flight.begin(key, current) is None
        in_flight.finish(key, abandoned, None)
        assert in_flight.begin(key, Lost()) is current
        assert in_flight.doubt_about(key) is not None

    run_virtual(abandon)
    run_virtual(replace)


@virtual_time
async def test_waiters_start_again_after_a_reset() -> None:
    play = Play([never_responds, placed()])
    async with playing(play) as clickpost:
        first = asyncio.create_task(clickpost.orders.create(ORDER))
        await asyncio.sleep(1)
        second = asyncio.create_task(clickpost.orders.create(ORDER))
        await asyncio.sleep(1)
        reset()
        first.cancel()
        order = await second

    assert (order.waybill, len(play.requests), play.look_ups) == ("W-1", 2, [])
