"""The events that observers get, and their order."""

import asyncio
import contextlib
import logging
from typing import Any

import httpx
import pytest

from clickpost_async import (
    ClickPostError,
    InvalidRequestError,
    NoReplyError,
    Outcome,
    ThrottledError,
)
from clickpost_async.events import (
    AttemptFailed,
    AttemptStarted,
    AttemptSucceeded,
    CallFinished,
    RateLimitPaused,
    RetryScheduled,
    SuspiciousResponse,
    emit,
    has_listeners,
    log,
)
from clickpost_async.testing import virtual_time
from tests.helpers.scripted_transport import (
    Line,
    Listener,
    api_response,
    never_responds,
    placed,
    playing,
    queued,
)
from tests.sandbox.samples import india_order

CREATE, FIND = "orders.create_india", "orders.find_india"
ABOUT: dict[str, Any] = {"call": 1, "endpoint": CREATE}


async def events_of(*lines: Line) -> Listener:
    listener = Listener()
    async with playing(list(lines), observers=[listener]) as clickpost:
        with contextlib.suppress(ClickPostError):
            await clickpost.orders.create(india_order("R-1"))
    return listener


@virtual_time
async def test_successful_call_emits_started_and_succeeded() -> None:
    started, succeeded, ended = (await events_of(placed())).events

    assert started == AttemptStarted(call=1, endpoint=CREATE, attempt=1, reference_number="R-1")
    assert isinstance(succeeded, AttemptSucceeded)
    assert (succeeded.attempt, succeeded.status, succeeded.reference_number) == (1, 200, "R-1")
    assert isinstance(ended, CallFinished)
    assert (ended.outcome, ended.attempts, ended.error) == (None, 1, None)
    assert 0 <= succeeded.seconds <= ended.seconds


@virtual_time
async def test_events_of_a_retried_call_are_emitted_in_order() -> None:
    listener = await events_of(
        httpx.ReadError(""),
        httpx.Response(429, headers={"retry-after": "9"}),
        queued(),
        placed(),
    )

    assert [(type(event), getattr(event, "attempt", None)) for event in listener.events] == [
        (AttemptStarted, 1),
        (AttemptFailed, 1),
        # It is looked for, and not found.
        (AttemptStarted, 1),
        (AttemptFailed, 1),
        (CallFinished, None),
        (RetryScheduled, 1),
        (AttemptStarted, 2),
        (AttemptFailed, 2),
        (RateLimitPaused, None),
        (RetryScheduled, 2),
        (AttemptStarted, 3),
        (AttemptSucceeded, 3),
        (RetryScheduled, 3),
        (AttemptStarted, 4),
        (AttemptSucceeded, 4),
        (CallFinished, None),
    ]
    assert [event.call for event in listener.events[:5]] == [1, 1, 2, 2, 2]
    assert {event.endpoint for event in listener.events if event.call == 2} == {FIND}
    assert {event.reference_number for event in listener.events} == {"R-1"}
    assert [type(event.error) for event in listener.of(AttemptFailed)] == [
        NoReplyError,
        InvalidRequestError,
        ThrottledError,
    ]
    assert listener.of(RateLimitPaused) == [
        RateLimitPaused(call=1, endpoint=CREATE, reference_number="R-1", seconds=9)
    ]
    assert [event.status for event in listener.of(AttemptSucceeded)] == [202, 200]
    lost, throttled, pending = (event.wait for event in listener.of(RetryScheduled))
    assert 30 <= lost <= 60
    assert throttled <= 0.5
    assert 24 <= pending <= 36


@virtual_time
async def test_final_outcome_is_reported_once() -> None:
    listener = await events_of(api_response(307, "wrong order type"))
    assert [type(event) for event in listener.events] == [
        AttemptStarted,
        AttemptFailed,
        CallFinished,
    ]
    assert listener.of(CallFinished)[0].outcome is Outcome.REJECTED


@virtual_time
async def test_cancelled_call_reports_its_outcome() -> None:
    listener = Listener()
    async with playing(
        [placed(), never_responds], observers=[listener], max_concurrency=1
    ) as clickpost:
        await clickpost.orders.create(india_order("R-0"))
        calls = [
            asyncio.create_task(clickpost.orders.create(india_order(f"R-{number}")))
            for number in (1, 2)
        ]
        await asyncio.sleep(1)
        for call in calls:
            call.cancel()
        await asyncio.wait(calls)

    known = {event.reference_number: event.outcome for event in listener.of(CallFinished)}
    assert known == {"R-0": None, "R-1": Outcome.UNKNOWN, "R-2": Outcome.NOT_SENT}


@virtual_time
async def test_shared_response_has_no_attempts() -> None:
    listener = Listener()

    async def slowly(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(1)
        return placed()

    async with playing([slowly], observers=[listener]) as clickpost:
        await asyncio.gather(*(clickpost.orders.create(india_order("R-1")) for _ in range(2)))

    assert [(event.outcome, event.attempts) for event in listener.of(CallFinished)] == [
        (None, 1),
        (None, 0),
    ]


@virtual_time
async def test_order_with_mistakes_is_not_attempted() -> None:
    listener = Listener()
    async with playing([placed()], observers=[listener]) as clickpost:
        with pytest.raises(ClickPostError):
            await clickpost.orders.create(india_order("R-1", drop_info__drop_pincode="12"))
    assert [type(event) for event in listener.events] == [CallFinished]
    assert (listener.events[0].outcome, listener.events[0].attempts) == (Outcome.NOT_SENT, 0)


@virtual_time
async def test_response_with_another_reference_number_is_reported_and_rejected() -> None:
    listener = await events_of(placed("W-1", "R-77"))

    assert {event.reason for event in listener.of(SuspiciousResponse)} == {
        "response belongs to a different order: it has another reference number"
    }
    assert listener.of(CallFinished)[-1].outcome is Outcome.UNKNOWN


def test_log_has_what_went_wrong_and_in_its_details_all() -> None:
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]
    logger = logging.getLogger("clickpost_async")
    logger.addHandler(handler)
    before = logger.level
    try:
        for level in (logging.INFO, logging.DEBUG):
            logger.setLevel(level)
            log(AttemptStarted(attempt=1, **ABOUT))
            log(AttemptSucceeded(attempt=1, status=200, http_status=200, seconds=0.5, **ABOUT))
            log(CallFinished(outcome=None, attempts=1, seconds=0.5, **ABOUT))
            log(RateLimitPaused(seconds=3, **ABOUT))
            log(RetryScheduled(attempt=1, wait=3, **ABOUT))
            log(AttemptFailed(attempt=1, error=NoReplyError("gone"), seconds=0.5, **ABOUT))
            log(CallFinished(outcome=Outcome.UNKNOWN, attempts=1, seconds=0.5, **ABOUT))
            log(
                CallFinished(
                    outcome=Outcome.UNKNOWN, attempts=1, seconds=0.5, is_read=True, **ABOUT
                )
            )
            log(SuspiciousResponse(reason="odd", **ABOUT))
    finally:
        logger.setLevel(before)
        logger.removeHandler(handler)

    assert [record.levelname for record in records] == [
        *["INFO"] * 3,
        *["WARNING"] * 2,
        *["DEBUG"] * 3,
        *["INFO"] * 3,
        "WARNING",
        "DEBUG",
        "WARNING",
    ]
    assert "gone" in records[2].getMessage()


def test_every_observer_is_called_even_if_one_fails() -> None:
    listener = Listener()

    def fails(event: object) -> None:
        raise KeyError

    emit([fails, listener, fails, listener], RateLimitPaused(seconds=1, **ABOUT))
    assert len(listener.events) == 2


def test_detailed_events_are_made_only_for_observers_or_debug() -> None:
    logger = logging.getLogger("clickpost_async")
    before = logger.level
    try:
        logger.setLevel(logging.INFO)
        assert not has_listeners(())
        assert has_listeners([Listener()])
        logger.setLevel(logging.DEBUG)
        assert has_listeners(())
    finally:
        logger.setLevel(before)
