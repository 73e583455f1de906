"""A call that waits for long is logged once, with the reason and the time."""

import asyncio
import logging
from typing import Any

import httpx
import pytest

from clickpost_async import (
    ClickPostError,
    NoReplyError,
    Priority,
    Rate,
    Resend,
    RetryPolicy,
    ThrottledError,
)
from clickpost_async._core.runtime import Counters
from clickpost_async._core.telemetry import LONG_WAIT, CallTelemetry
from clickpost_async.limits import NoRateLimit
from clickpost_async.testing import virtual_time
from tests.helpers.scripted_transport import Line, Play, api_response, placed, playing, queued
from tests.sandbox.samples import india_order


def now() -> float:
    return asyncio.get_running_loop().time()


class Warnings(logging.Handler):
    """The warnings about waiting, and when each was logged."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []
        self.times: list[float] = []

    def emit(self, record: logging.LogRecord) -> None:
        if " waits " in record.getMessage():
            self.messages.append(record.getMessage())
            self.times.append(now())


@pytest.fixture(name="warnings")
def fixture_warnings() -> Any:
    handler = Warnings()
    logger = logging.getLogger("clickpost_async")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


def throttled(seconds: float) -> httpx.Response:
    return httpx.Response(429, headers={"retry-after": f"{seconds:g}"})


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([httpx.ReadError(""), placed()], "settle delay before the order is sent again"),
        ([queued(), placed()], "the order is pending, and polled again after that"),
        ([throttled(40), placed()], "ClickPost has asked for a pause (HTTP 429)"),
    ],
)
@virtual_time
async def test_call_that_waits_for_long_warns_before_it_waits(
    lines: list[Line], reason: str, warnings: Warnings
) -> None:
    async with playing(lines) as clickpost:
        await clickpost.orders.create(india_order("R-1"))
        waited = now()

    (message,) = warnings.messages
    subject, _, rest = message.partition(" waits ")
    seconds, _, why = rest.partition(" s: ")
    assert (subject, why) == ("orders.create_india R-1", reason)
    assert float(seconds) == pytest.approx(waited, abs=1)
    assert warnings.times[0] < 1


@virtual_time
async def test_call_that_waits_for_long_again_and_again_warns_once(warnings: Warnings) -> None:
    play = Play([httpx.ReadError(""), queued(), throttled(30), api_response(322), placed()])
    async with playing(play) as clickpost:
        await clickpost.orders.create(india_order("R-1"))
        assert len(warnings.messages) == 1
        await clickpost.orders.create(india_order("R-2"))

    assert len(warnings.messages) == 1


@virtual_time
async def test_short_waits_are_not_worth_a_warning(warnings: Warnings) -> None:
    play = Play([httpx.ConnectError(""), throttled(3), placed()])
    async with playing(play) as clickpost:
        order = await clickpost.orders.create(india_order("R-1"))

    assert (order.response.attempts, warnings.messages) == (3, [])


@virtual_time
async def test_call_that_does_not_wait_gives_no_warning(warnings: Warnings) -> None:
    async with playing([httpx.ReadError("")], retry=RetryPolicy.never()) as clickpost:
        with pytest.raises(NoReplyError):
            await clickpost.orders.create(india_order("R-1"))
    async with playing([throttled(3600)]) as clickpost:
        with pytest.raises(ThrottledError):
            await clickpost.orders.create(india_order("R-2"))

    assert warnings.messages == []


@virtual_time
async def test_calls_that_wait_for_the_limiter_warn_when_a_pause_begins(
    warnings: Warnings,
) -> None:
    async def later(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(1)
        return throttled(60)

    play = Play([later, placed()])
    async with playing(play, rate=Rate(1, per=4)) as clickpost:
        await asyncio.gather(
            *(clickpost.orders.create(india_order(f"R-{number}")) for number in range(2))
        )

    # The one that was throttled, and the one that waited for the limiter meanwhile.
    assert len(warnings.messages) == 2
    assert all("waits 60 s: ClickPost has asked for a pause" in text for text in warnings.messages)
    assert max(warnings.times) < 2


@virtual_time
async def test_bulk_call_that_waits_for_the_circuit_breaker_warns_after_a_while(
    warnings: Warnings,
) -> None:
    async def down(request: httpx.Request) -> httpx.Response:
        if now() < 12:
            raise httpx.ConnectError("")
        return placed()

    retry = RetryPolicy(attempts=1)
    async with playing([down], retry=retry, limiter=NoRateLimit()) as clickpost:
        for number in range(20):
            with pytest.raises(ClickPostError):
                await clickpost.orders.create(india_order(f"R-{number}"))
        assert warnings.messages == []
        bulk = clickpost.with_options(priority=Priority.BULK)
        results = await asyncio.gather(
            *(bulk.orders.create(india_order(f"B-{number}")) for number in range(3)),
            return_exceptions=True,
        )

    # The first is the probe after 5 s, and fails; the others wait for the next one.
    assert [isinstance(result, ClickPostError) for result in results] == [True, False, False]
    assert len(warnings.messages) == 2
    assert all("circuit breaker open: too many recent failures" in m for m in warnings.messages)
    assert all(LONG_WAIT < at < 6 for at in warnings.times)


@virtual_time
async def test_lookup_does_not_warn_for_itself(warnings: Warnings) -> None:
    play = Play([httpx.ReadError("")], knows=throttled(20))
    retry = RetryPolicy(attempts=2, resend=Resend.NEVER)
    async with playing(play, retry=retry) as clickpost:
        with pytest.raises(NoReplyError):
            await clickpost.orders.create(india_order("R-1"))

    assert [message.split()[0] for message in warnings.messages] == ["orders.create_india"]


@pytest.mark.parametrize(("seconds", "warned"), [(5.0, False), (5.1, True)])
def test_wait_of_more_than_five_seconds_is_long(
    seconds: float, warned: bool, warnings: Warnings, caplog: pytest.LogCaptureFixture
) -> None:
    telemetry = CallTelemetry(
        (), Counters(), "couriers.pincode", None, number=1, began=0.0, warns=True
    )
    with caplog.at_level(logging.WARNING, "clickpost_async"):
        logging.getLogger("clickpost_async").removeHandler(warnings)
        telemetry.warn_of_wait(seconds, "because")

    expected = ["couriers.pincode waits 5 s: because"] if warned else []
    assert [record.getMessage() for record in caplog.records] == expected
