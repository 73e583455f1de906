"""A pause that ClickPost asks for is waited for, or ends calls for which it is too long."""

import asyncio
import logging
import random
import threading
from typing import Any

import httpx
import pytest

from clickpost_async import (
    ClickPostError,
    DeadlineError,
    FailureKind,
    NoReplyError,
    NotSentError,
    Outcome,
    Priority,
    Rate,
    RetryPolicy,
    ThrottledError,
)
from clickpost_async._core.throttle import RateLimitPause, WaitLimit
from clickpost_async.bulk import Pending, create
from clickpost_async.events import RateLimitPaused
from clickpost_async.integrations._web import response_to
from clickpost_async.limits import NoRateLimit, TokenBucket
from clickpost_async.testing import virtual_time
from tests.helpers.scripted_transport import Line, Listener, Play, placed, playing
from tests.sandbox.samples import india_order


def now() -> float:
    return asyncio.get_running_loop().time()


def throttled(seconds: float) -> httpx.Response:
    return httpx.Response(429, headers={"retry-after": f"{seconds:g}"})


def slowly(seconds: float, response: httpx.Response) -> Line:
    async def respond(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(seconds)
        return response

    return respond


@pytest.mark.parametrize("seconds", [601, 3600, 86_400, 30_000])
@virtual_time
async def test_pause_longer_than_the_max_total_delay_ends_the_call_at_once(
    seconds: float, caplog: pytest.LogCaptureFixture
) -> None:
    listener = Listener()
    play = Play([throttled(seconds), placed()])
    with caplog.at_level(logging.WARNING, "clickpost_async"):
        async with playing(play, observers=[listener]) as clickpost:
            with pytest.raises(ThrottledError) as caught:
                await clickpost.orders.create(india_order("R-1"))

    error, asked = caught.value, min(seconds, 3600)
    assert (error.outcome, error.retry_after, error.safe_to_retry_in) == (
        Outcome.NOT_SENT,
        asked,
        asked,
    )
    assert (now(), len(play.requests), error.attempts) == (0, 1, 1)
    assert response_to(error).headers == {"Retry-After": f"{asked}"}
    (held,) = listener.of(RateLimitPaused)
    assert (held.seconds, held.fails_calls) == (asked, True)
    assert [record.levelname for record in caplog.records] == ["WARNING"]


@pytest.mark.parametrize(
    ("header", "seconds"), [({"retry-after": "0"}, 0.0), ({"retry-after": "0.5"}, 0.5), ({}, 1.0)]
)
@virtual_time
async def test_all_calls_pause_for_the_retry_after_or_one_second(
    header: dict[str, str], seconds: float
) -> None:
    listener = Listener()
    play = Play([httpx.Response(429, headers=header), placed()])
    limiter = NoRateLimit()
    async with playing(play, observers=[listener], limiter=limiter) as clickpost:
        with pytest.raises(ThrottledError):
            await clickpost.with_options(retry=RetryPolicy.never()).orders.create(india_order("R"))
        await clickpost.orders.create(india_order("R-1"))

    assert [held.seconds for held in listener.of(RateLimitPaused)] == [seconds]
    assert play.times == [0, seconds]


@virtual_time
async def test_pause_within_the_max_total_delay_is_waited_for_without_a_warning() -> None:
    listener = Listener()
    play = Play([throttled(600), placed()])
    async with playing(play, observers=[listener]) as clickpost:
        order = await clickpost.orders.create(india_order("R-1"))

    assert (order.waybill, order.response.attempts) == ("W-1", 2)
    assert play.pauses[0] >= 600
    assert [held.fails_calls for held in listener.of(RateLimitPaused)] == [False]


@virtual_time
async def test_pauses_use_up_the_max_total_delay_together() -> None:
    play = Play([throttled(250), throttled(250), throttled(250), placed()])
    async with playing(play, retry=RetryPolicy(attempts=9)) as clickpost:
        with pytest.raises(ThrottledError):
            await clickpost.orders.create(india_order("R-1"))

    assert len(play.requests) == 3
    assert 500 <= now() <= 502


@virtual_time
async def test_calls_that_wait_or_come_later_end_at_once_and_are_warned_of_once() -> None:
    listener = Listener()
    play = Play([slowly(1, throttled(3600))])
    async with playing(play, max_concurrency=10, observers=[listener]) as clickpost:
        errors: list[Any] = await asyncio.gather(
            *(clickpost.orders.create(india_order(f"R-{number}")) for number in range(100)),
            return_exceptions=True,
        )
        assert now() == 1
        await asyncio.sleep(1800)
        with pytest.raises(ThrottledError, match="1800 s of it are left") as later:
            await clickpost.couriers.pincode("110001")
        assert (clickpost.stats().in_flight, clickpost.stats().queued) == (0, 0)

    assert {type(error) for error in errors} == {ThrottledError}
    assert (len(play.requests), later.value.safe_to_retry_in) == (10, 1800)
    assert [error.kind for error in errors] == [FailureKind.RATE_LIMIT_PAUSED] * 100
    assert [held.fails_calls for held in listener.of(RateLimitPaused)].count(True) == 1


@virtual_time
async def test_call_that_waits_for_a_slow_pace_is_ended_by_a_pause() -> None:
    play = Play([slowly(1, throttled(3600))])
    async with playing(play, rate=Rate(1, per=300)) as clickpost:
        first = asyncio.create_task(clickpost.orders.create(india_order("R-0")))
        await asyncio.sleep(0.5)
        waiting = [
            asyncio.create_task(clickpost.orders.create(india_order(f"R-{number}")))
            for number in range(1, 4)
        ]
        ended = await asyncio.gather(first, *waiting, return_exceptions=True)

    assert [type(error) for error in ended] == [ThrottledError] * 4
    assert (now(), len(play.requests)) == (1, 1)


@virtual_time
async def test_after_the_pause_calls_are_made_again() -> None:
    play = Play([throttled(1000), placed()])
    async with playing(play) as clickpost:
        with pytest.raises(ThrottledError):
            await clickpost.orders.create(india_order("R-1"))
        await asyncio.sleep(500)
        # What is left of it may be waited for.
        order = await clickpost.orders.create(india_order("R-2"))

    assert (order.waybill, play.times) == ("W-1", [0, pytest.approx(1000)])


@pytest.mark.parametrize("priority", Priority)
@virtual_time
async def test_deadline_shorter_than_the_pause_ends_the_call_at_once(priority: Priority) -> None:
    play = Play([slowly(1, throttled(60)), placed()])
    async with playing(play) as clickpost:
        patient = clickpost.with_options(priority=priority)
        hasty = patient.with_options(deadline=20)
        first = asyncio.create_task(patient.orders.create(india_order("R-0")))
        await asyncio.sleep(2)
        with pytest.raises(ThrottledError) as caught:
            await hasty.orders.create(india_order("R-1"))
        assert (now(), caught.value.safe_to_retry_in) == (2, 59)
        assert (await first).waybill == "W-1"

    assert play.pauses[0] >= 60


@virtual_time
async def test_deadline_of_the_call_that_is_throttled_counts_too() -> None:
    play = Play([throttled(60), placed()])
    async with playing(play) as clickpost:
        with pytest.raises(ThrottledError) as caught:
            await clickpost.with_options(deadline=20).orders.create(india_order("R-1"))

    assert (now(), caught.value.kind, len(play.requests)) == (0, FailureKind.RATE_LIMIT_PAUSED, 1)


@virtual_time
async def test_waiter_of_a_create_with_a_short_deadline_continues_alone() -> None:
    play = Play([slowly(1, throttled(60)), placed()])
    async with playing(play) as clickpost:
        hasty = clickpost.with_options(deadline=20)
        first, second = await asyncio.gather(
            hasty.orders.create(india_order("R-1")),
            clickpost.orders.create(india_order("R-1")),
            return_exceptions=True,
        )

    assert isinstance(first, ThrottledError)
    assert not isinstance(second, BaseException)
    assert play.pauses[0] >= 60


@virtual_time
async def test_deadline_within_a_pause_reports_when_to_retry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(random, "uniform", lambda low, high: high)
    play = Play([httpx.ConnectError(""), throttled(100), placed()])
    retry = RetryPolicy(backoff=1000, max_backoff=1000, max_total_delay=1e6)
    async with playing(play, retry=retry, limiter=NoRateLimit()) as clickpost:
        hasty = clickpost.with_options(deadline=40)
        # It backs off for its own failure when all calls are paused.
        first = asyncio.create_task(hasty.orders.create(india_order("R-0")))
        await asyncio.sleep(10)
        second = asyncio.create_task(clickpost.orders.create(india_order("R-1")))
        with pytest.raises(DeadlineError) as caught:
            await first
        second.cancel()

    assert (now(), caught.value.safe_to_retry_in) == (40, 70)
    assert response_to(caught.value).headers == {"Retry-After": "70"}


@virtual_time
async def test_order_in_doubt_stays_unknown_and_is_not_called_back_before_the_pause() -> None:
    play = Play([httpx.ReadError(""), throttled(3600)])
    async with playing(play) as clickpost:
        with pytest.raises(NoReplyError) as caught:
            await clickpost.orders.create(india_order("R-1"))

    assert (caught.value.outcome, caught.value.safe_to_retry_in) == (Outcome.UNKNOWN, 3600)


@virtual_time
async def test_bulk_run_halts_at_a_retry_after_that_is_too_long() -> None:
    play = Play([throttled(3600)])
    orders = (india_order(f"R-{number}") for number in range(1000))
    async with playing(play) as clickpost, create(clickpost, orders, max_concurrency=4) as run:
        outcomes = [outcome async for outcome in run]

    assert (type(run.report.halted), now()) == (ThrottledError, 0)
    assert {type(outcome) for outcome in outcomes} == {Pending}
    assert len(outcomes) <= 4


class Own:
    """A limiter of a user's own, with the two coroutines that it needs."""

    def __init__(self) -> None:
        self._inner = TokenBucket(1, per=300)

    async def acquire(self, priority: Priority = Priority.NORMAL) -> None:
        await self._inner.acquire(priority)

    async def pause(self, seconds: float) -> None:
        await self._inner.pause(seconds)


@virtual_time
async def test_calls_that_wait_for_a_custom_limiter_are_ended_too() -> None:
    play = Play([slowly(1, throttled(3600))])
    async with playing(play, limiter=Own()) as clickpost:
        ended = await asyncio.gather(
            *(clickpost.orders.create(india_order(f"R-{number}")) for number in range(3)),
            return_exceptions=True,
        )

    assert ([type(error) for error in ended], now()) == ([ThrottledError] * 3, 1)


@virtual_time
async def test_pause_of_another_process_counts() -> None:
    limiter = Own()
    limiter.held = 3600.0  # type: ignore[attr-defined]
    play = Play([placed()])
    async with playing(play, limiter=limiter) as clickpost:
        with pytest.raises(ThrottledError) as caught:
            await clickpost.orders.create(india_order("R-1"))

    assert (now(), caught.value.safe_to_retry_in, play.requests) == (0, 3600, [])


@virtual_time
async def test_being_cancelled_from_outside_is_no_throttling() -> None:
    play = Play([placed()])
    async with playing(play, rate=Rate(1, per=300)) as clickpost:
        await clickpost.orders.create(india_order("R-0"))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(clickpost.orders.create(india_order("R-1")), 5)
        with pytest.raises(DeadlineError):
            await clickpost.with_options(deadline=5).orders.create(india_order("R-2"))
        assert clickpost._runtime.throttle._waiting == {}


def test_pause_ends_calls_on_other_event_loops() -> None:
    throttle = RateLimitPause()
    ready = threading.Event()
    ended: list[bool] = []

    async def waits() -> None:
        with throttle.waiting(WaitLimit(max_wait=5)) as scope:
            ready.set()
            await asyncio.sleep(30)
        ended.append(scope.cancelled_caught)

    async def pauses() -> None:
        throttle.pause(60)

    thread = threading.Thread(target=lambda: asyncio.run(waits()))
    thread.start()
    assert ready.wait(10)
    asyncio.run(pauses())
    thread.join(10)
    assert ended == [True]
    assert 59 < throttle.left <= 60


@virtual_time
async def test_shorter_pause_changes_nothing_about_a_longer_one() -> None:
    throttle = RateLimitPause()
    throttle.pause(60)
    await asyncio.sleep(10)
    throttle.pause(20)
    assert throttle.left == 50
    throttle.pause(70)
    assert throttle.left == 70


def test_error_for_a_pause_states_that_nothing_was_sent() -> None:
    assert issubclass(ThrottledError, NotSentError)
    assert issubclass(NotSentError, ClickPostError)
