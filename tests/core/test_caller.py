"""The stages of a call in order, its deadline, and its priority."""

import asyncio
import math
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from clickpost_async import (
    ClickPost,
    ClickPostError,
    DeadlineError,
    InvalidRequestError,
    NoReplyError,
    NotSentError,
    Outcome,
    Priority,
    Rate,
    RetryPolicy,
)
from clickpost_async.events import CallFinished
from clickpost_async.testing import virtual_time
from tests.helpers.scripted_transport import (
    Line,
    Listener,
    Play,
    never_responds,
    placed,
    playing,
    queued,
)
from tests.sandbox.samples import india_order


def now() -> float:
    return asyncio.get_running_loop().time()


async def slowly(request: httpx.Request) -> httpx.Response:
    await asyncio.sleep(10)
    return placed()


# --- deadlines --------------------------------------------------------------------------------


async def deadline_of(clickpost: ClickPost, seconds: float) -> ClickPostError:
    began = now()
    with pytest.raises(ClickPostError, match=f"the deadline of {seconds:g} s passed") as caught:
        await clickpost.with_options(deadline=seconds).orders.create(india_order("R-1"))
    assert now() - began == pytest.approx(seconds)
    assert not caught.value.transient
    return caught.value


@virtual_time
async def test_deadline_that_passes_in_the_queue_means_nothing_was_sent() -> None:
    play = Play([never_responds])
    async with playing(play, max_concurrency=1) as clickpost:
        first = asyncio.create_task(clickpost.orders.create(india_order("R-0")))
        await asyncio.sleep(0.1)
        error = await deadline_of(clickpost, 5)
        assert (clickpost.stats().in_flight, clickpost.stats().queued) == (1, 0)
        first.cancel()

    assert (type(error), error.outcome, len(play.times)) == (DeadlineError, Outcome.NOT_SENT, 1)


@virtual_time
async def test_deadline_that_passes_before_the_slot_means_nothing_was_sent() -> None:
    play = Play([placed()])
    async with playing(play, rate=Rate(1, per=60)) as clickpost:
        await clickpost.orders.create(india_order("R-0"))
        error = await deadline_of(clickpost, 5)
        assert clickpost.stats().in_flight == 0

    assert (type(error), error.outcome, len(play.times)) == (DeadlineError, Outcome.NOT_SENT, 1)


@virtual_time
async def test_deadline_that_passes_before_the_key_is_known_means_nothing_was_sent() -> None:
    async def vault() -> str:
        await asyncio.sleep(1000)
        raise AssertionError

    play = Play([placed()])
    async with ClickPost("acme", vault, transport=httpx.MockTransport(play)) as clickpost:
        error = await deadline_of(clickpost, 5)

    assert (type(error), error.outcome, play.times) == (DeadlineError, Outcome.NOT_SENT, [])


@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        ([never_responds], NoReplyError),
        ([httpx.ConnectError("")], DeadlineError),
        ([httpx.ReadError("")], NoReplyError),
        ([httpx.ReadError(""), never_responds], NoReplyError),
        ([queued()], NoReplyError),
        ([queued(), httpx.ConnectError("")], NoReplyError),
    ],
)
@virtual_time
async def test_deadline_error_states_whether_the_request_may_have_been_processed(
    lines: list[Line], kind: type[ClickPostError]
) -> None:
    retry = RetryPolicy(attempts=10, backoff=40, max_backoff=40)
    async with playing(lines, retry=retry) as clickpost:
        error = await deadline_of(clickpost, 50)
        assert clickpost.stats().in_flight == 0

    outcome = Outcome.NOT_SENT if kind is DeadlineError else Outcome.UNKNOWN
    assert (type(error), error.outcome) == (kind, outcome)
    assert (error.endpoint, error.reference_number) == ("orders.create_india", "R-1")


@virtual_time
async def test_deadline_that_is_met_changes_nothing() -> None:
    async with playing([httpx.ReadError(""), slowly]) as clickpost:
        order = await clickpost.with_options(deadline=71).orders.create(india_order("R-1"))

    assert order.response.attempts == 2


@pytest.mark.parametrize("seconds", [0, 0.0, -1, -1e9])
@virtual_time
async def test_deadline_that_is_over_sends_nothing(seconds: float) -> None:
    listener = Listener()
    play = Play([placed()])
    async with playing(play, observers=[listener]) as clickpost:
        over = clickpost.with_options(deadline=seconds)
        for call in (
            over.orders.create(india_order("R-1")),
            over.orders.cancel("W-1", courier_partner=4, account_code="main"),
            over.couriers.pincode("110001"),
        ):
            with pytest.raises(DeadlineError) as caught:
                await call
            assert (caught.value.outcome, caught.value.attempts) == (Outcome.NOT_SENT, 0)

    assert (play.requests, play.look_ups, now()) == ([], [], 0)
    assert {end.outcome for end in listener.of(CallFinished)} == {Outcome.NOT_SENT}


@virtual_time
async def test_deadline_that_is_over_downloads_nothing(tmp_path: Path) -> None:
    async with playing([placed()]) as clickpost:
        over = clickpost.with_options(deadline=0)
        with pytest.raises(DeadlineError):
            await over.reports.download("https://nila.s3.amazonaws.com/1.csv", tmp_path / "1.csv")

    assert list(tmp_path.iterdir()) == []


@virtual_time
async def test_deadline_that_is_over_leaves_an_order_in_doubt_as_it_was() -> None:
    play = Play([placed()], knows=placed())
    async with playing(play) as clickpost:
        over = clickpost.with_options(deadline=-1, in_doubt=True)
        with pytest.raises(NoReplyError) as caught:
            await over.orders.create(india_order("R-1"))

    assert (caught.value.outcome, play.requests, play.look_ups) == (Outcome.UNKNOWN, [], [])


@pytest.mark.asyncio
async def test_deadline_that_passes_while_the_event_loop_is_blocked_sends_nothing() -> None:
    play = Play([never_responds, placed()])
    async with playing(play, max_concurrency=1) as clickpost:
        first = asyncio.create_task(clickpost.orders.create(india_order("R-0")))
        await asyncio.sleep(0.01)
        second = asyncio.create_task(
            clickpost.with_options(deadline=0.05).orders.create(india_order("R-1"))
        )
        await asyncio.sleep(0.01)
        # The slot is released, and the deadline passes, before another task runs.
        first.cancel()
        await asyncio.sleep(0)
        time.sleep(0.1)  # noqa: ASYNC251 - that is the fault
        with pytest.raises(DeadlineError):
            await second

    assert len(play.requests) == 1


@pytest.mark.parametrize("deadline", [math.nan, "5", b"5", [5], True])
def test_deadline_that_is_no_number_of_seconds_is_refused_by_name(deadline: Any) -> None:
    with pytest.raises(ValueError, match="deadline must be a number of seconds"):
        playing([placed()]).with_options(deadline=deadline)


@virtual_time
async def test_infinite_deadline_counts_as_none() -> None:
    async with playing([slowly]) as clickpost:
        order = await clickpost.with_options(deadline=math.inf).orders.create(india_order("R-1"))

    assert order.waybill == "W-1"


async def with_asyncio(call: Coroutine[Any, Any, Any]) -> None:
    async with asyncio.timeout(5):
        await call


async def with_anyio(call: Coroutine[Any, Any, Any]) -> None:
    with anyio.fail_after(5):
        await call


@pytest.mark.fault("X05")
@pytest.mark.parametrize(
    "within", [with_asyncio, with_anyio, lambda call: asyncio.wait_for(call, 5)]
)
@virtual_time
async def test_timeouts_from_outside_pass_through_and_retry_nothing(within: Any) -> None:
    play = Play([never_responds])
    async with playing(play) as clickpost:
        with pytest.raises(TimeoutError):
            await within(clickpost.orders.create(india_order("R-1")))
        assert (now(), clickpost.stats().in_flight, len(play.times)) == (5, 0, 1)


# --- the order of things ----------------------------------------------------------------------


@virtual_time
async def test_no_more_are_under_way_than_may_be() -> None:
    inside = most = 0

    async def respond(request: httpx.Request) -> httpx.Response:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(1)
        inside -= 1
        return placed()

    async with playing([respond], max_concurrency=7) as clickpost:
        calls = [
            asyncio.create_task(clickpost.orders.create(india_order(f"R-{number}")))
            for number in range(50)
        ]
        await asyncio.sleep(0.5)
        stats = clickpost.stats()
        await asyncio.gather(*calls)

    assert (stats.in_flight, stats.queued, most) == (7, 43, 7)
    assert now() == 0 + 8


@virtual_time
async def test_slow_redis_causes_no_burst() -> None:
    async def respond(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(30 if len(play.times) <= 2 else 0)
        return placed()

    play = Play([respond])
    async with playing(play, max_concurrency=2, rate=Rate(1, burst=1)) as clickpost:
        await asyncio.gather(
            *(clickpost.orders.create(india_order(f"R-{number}")) for number in range(12))
        )

    assert min(play.pauses) >= 0.99


@virtual_time
async def test_call_that_pauses_holds_no_slot() -> None:
    play = Play([httpx.ReadError(""), placed()])
    async with playing(play, max_concurrency=1) as clickpost:
        first = asyncio.create_task(clickpost.orders.create(india_order("R-0")))
        await asyncio.sleep(1)
        assert clickpost.stats().in_flight == 0
        await clickpost.orders.create(india_order("R-1"))
        assert now() == 1
        assert (await first).response.attempts == 2


@virtual_time
async def test_checkout_is_sent_before_a_bulk_run() -> None:
    play = Play([slowly])
    async with playing(play, max_concurrency=1) as clickpost:
        bulk = clickpost.with_options(priority=Priority.BULK)
        done: list[str] = []

        async def call(client: ClickPost, name: str) -> None:
            await client.orders.create(india_order(name))
            done.append(name)

        await asyncio.gather(
            *(call(bulk, f"B-{number}") for number in range(3)),
            *(call(clickpost, f"N-{number}") for number in range(2)),
        )

    assert done == ["B-0", "N-0", "N-1", "B-1", "B-2"]


@virtual_time
async def test_invalid_order_takes_no_slot_and_is_not_sent() -> None:
    play = Play([placed()])
    async with playing(play, rate=Rate(1, per=60)) as clickpost:
        for _ in range(5):
            with pytest.raises(InvalidRequestError) as caught:
                await clickpost.orders.create(india_order("R-1", drop_info__drop_pincode="12"))
            assert (caught.value.outcome, caught.value.attempts) == (Outcome.NOT_SENT, 0)
        await clickpost.orders.create(india_order("R-1"))

    assert (now(), len(play.times), clickpost.stats().attempts) == (0, 1, 1)


# --- calls made together ----------------------------------------------------------------------


@virtual_time
async def test_gathered_calls_return_in_their_order() -> None:
    async def after(seconds: float) -> float:
        await asyncio.sleep(seconds)
        return seconds

    async with playing([placed()]) as clickpost:
        seconds = [3.0, 1.0, 2.0]
        found = await clickpost._caller.gather([lambda s=s: after(s) for s in seconds])

    assert (found, now()) == (seconds, 3)


@virtual_time
async def test_of_calls_made_together_the_first_failure_ends_the_others_and_is_raised_bare() -> (
    None
):
    ended: list[Any] = []

    async def long() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            ended.append(now())

    async def fails() -> None:
        await asyncio.sleep(2)
        message = "no"
        raise NotSentError(message)

    async with playing([placed()]) as clickpost:
        with pytest.raises(NotSentError):
            await clickpost._caller.gather([long, fails, long])

    assert ended == [2, 2]


# --- after the end ----------------------------------------------------------------------------


@pytest.mark.fault("X07")
@virtual_time
async def test_queued_calls_fail_when_the_client_closes() -> None:
    play = Play([placed()])
    clickpost = playing(play, rate=Rate(1, per=60))
    await clickpost.orders.create(india_order("R-0"))
    waiting = asyncio.create_task(clickpost.orders.create(india_order("R-1")))
    await asyncio.sleep(1)
    await clickpost.aclose()
    with pytest.raises(NotSentError, match="closed") as caught:
        await waiting

    assert (len(play.times), caught.value.transient) == (1, False)


@pytest.mark.fault("X07")
@virtual_time
async def test_call_that_fails_after_the_client_closed_is_not_sent_again() -> None:
    async def respond(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(5)
        raise httpx.ReadError("closed")

    play = Play([respond])
    clickpost = playing(play)
    call = asyncio.create_task(clickpost.orders.create(india_order("R-1")))
    await asyncio.sleep(1)
    await clickpost.aclose()
    with pytest.raises(NoReplyError):
        await call

    assert (len(play.times), now()) == (1, 5)
