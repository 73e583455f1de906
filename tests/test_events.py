"""What observers hear, and in which order."""

import contextlib
import logging

import httpx
import pytest

from clickpost_async import ClickPostError, NoReplyError, ThrottledError
from clickpost_async.events import Answered, Failed, Held, Repeating, Started, log, tell
from clickpost_async.testing import virtual_time

from .sandbox.samples import india_order
from .transport.plays import Line, Listener, placed, playing, queued, said

CREATE = "orders.create_india"


async def heard(*lines: Line) -> Listener:
    listener = Listener()
    async with playing(list(lines), observers=[listener]) as clickpost:
        with contextlib.suppress(ClickPostError):
            await clickpost.orders.create(india_order("R-1"))
    return listener


@virtual_time
async def test_a_call_that_goes_well_is_started_and_answered() -> None:
    started, answered = (await heard(placed())).events

    assert started == Started(endpoint=CREATE, attempt=1, reference_number="R-1")
    assert isinstance(answered, Answered)
    assert (answered.attempt, answered.status, answered.reference_number) == (1, 200, "R-1")
    assert answered.seconds >= 0


@virtual_time
async def test_every_turn_of_a_difficult_call_is_told_in_its_order() -> None:
    listener = await heard(
        httpx.ReadError(""),
        httpx.Response(429, headers={"retry-after": "9"}),
        queued(),
        placed(),
    )

    assert [(type(event), getattr(event, "attempt", None)) for event in listener.events] == [
        (Started, 1),
        (Failed, 1),
        (Repeating, 1),
        (Started, 2),
        (Failed, 2),
        (Held, None),
        (Repeating, 2),
        (Started, 3),
        (Answered, 3),
        (Repeating, 3),
        (Started, 4),
        (Answered, 4),
    ]
    assert [type(event.error) for event in listener.of(Failed)] == [NoReplyError, ThrottledError]
    assert listener.of(Held) == [Held(endpoint=CREATE, seconds=9)]
    assert [event.status for event in listener.of(Answered)] == [202, 200]
    lost, throttled, pending = (event.wait for event in listener.of(Repeating))
    assert 30 <= lost <= 60
    assert throttled <= 0.5
    assert 24 <= pending <= 36


@virtual_time
async def test_what_is_final_is_told_once() -> None:
    listener = await heard(said(307, "wrong order type"))
    assert [type(event) for event in listener.events] == [Started, Failed]


@virtual_time
async def test_an_order_with_mistakes_is_not_heard_of() -> None:
    listener = Listener()
    async with playing([placed()], observers=[listener]) as clickpost:
        with pytest.raises(ClickPostError):
            await clickpost.orders.create(india_order("R-1", drop_info__drop_pincode="12"))
    assert listener.events == []


def test_the_log_has_what_went_wrong_and_in_its_details_all() -> None:
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]
    logger = logging.getLogger("clickpost_async")
    logger.addHandler(handler)
    before = logger.level
    try:
        for level in (logging.INFO, logging.DEBUG):
            logger.setLevel(level)
            log(Started(endpoint=CREATE, attempt=1))
            log(Answered(endpoint=CREATE, attempt=1, status=200, seconds=0.5))
            log(Held(endpoint=CREATE, seconds=3))
            log(Repeating(endpoint=CREATE, attempt=1, wait=3))
            log(Failed(endpoint=CREATE, attempt=1, error=NoReplyError("gone")))
    finally:
        logger.setLevel(before)
        logger.removeHandler(handler)

    assert [record.levelname for record in records] == [
        *["INFO"] * 3,
        *["DEBUG"] * 2,
        *["INFO"] * 3,
    ]
    assert "gone" in records[2].getMessage()


def test_all_observers_hear_even_if_one_fails() -> None:
    listener = Listener()

    def fails(event: object) -> None:
        raise KeyError

    tell([fails, listener, fails, listener], Held(endpoint=CREATE, seconds=1))
    assert len(listener.events) == 2
