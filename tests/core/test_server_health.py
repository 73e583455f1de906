"""A client does not overload a failing server: retry budget, circuit breaker, and its closing.

Everything here happens in virtual time.
"""

import asyncio
import contextlib
import math
from typing import Any

import anyio
import httpx
import pytest

from clickpost_async import (
    ClickPost,
    ClickPostError,
    FailureKind,
    Hosts,
    NoReplyError,
    NotSentError,
    Outcome,
    Priority,
    RetryPolicy,
    ThrottledError,
    Timeouts,
)
from clickpost_async.bulk import Pending, Placed, Rejected, Unknown, create
from clickpost_async.events import CallFinished, RateLimitPaused
from clickpost_async.limits import NoRateLimit
from clickpost_async.testing import virtual_time
from tests.helpers.scripted_transport import (
    Line,
    Listener,
    Play,
    api_response,
    placed,
    playing,
    queued,
    unbreakable,
    unguarded,
)
from tests.sandbox.samples import india_order

ONCE = RetryPolicy(attempts=1)


def now() -> float:
    return asyncio.get_running_loop().time()


def until(moment: float, line: Line, then: httpx.Response) -> Line:
    """Play one line up to a time, another from then on."""

    async def respond(request: httpx.Request) -> httpx.Response:
        if now() >= moment:
            return then
        if isinstance(line, Exception):
            raise line
        assert isinstance(line, httpx.Response)
        return line

    return respond


async def fail(clickpost: ClickPost, times: int) -> list[ClickPostError]:
    errors: list[ClickPostError] = []
    for number in range(times):
        with pytest.raises(ClickPostError) as caught:
            await clickpost.couriers.pincode(f"{110000 + number}")
        errors.append(caught.value)
    return errors


# --- the budget -------------------------------------------------------------------------------


@virtual_time
async def test_retry_budget_allows_a_tenth_and_ten_to_start_with() -> None:
    play = Play([httpx.Response(500)])
    async with playing(play, retry=RetryPolicy(attempts=2)) as clickpost:
        errors = await fail(unbreakable(clickpost), 12)

    assert len(play.requests) == 12 + 11
    kinds = [*[FailureKind.SERVER_ERROR] * 11, FailureKind.RETRY_BUDGET_SPENT]
    assert [error.kind for error in errors] == kinds


@pytest.mark.parametrize(("faulty", "sent"), [(httpx.PoolTimeout(""), 80), (api_response(307), 20)])
@virtual_time
async def test_failures_of_the_client_do_not_count_against_the_server(
    faulty: Line, sent: int
) -> None:
    play = Play([faulty])
    async with playing(play, retry=RetryPolicy(attempts=4)) as clickpost:
        errors = await fail(clickpost, 20)

    assert len(play.requests) == sent
    assert {error.kind for error in errors} <= {
        FailureKind.INVALID_REQUEST,
        FailureKind.LOCAL_RESOURCES,
    }


@virtual_time
async def test_polling_is_not_a_retry() -> None:
    play = Play([*[queued()] * 40, placed()])
    async with playing(play, retry=RetryPolicy(poll_timeout=1e6)) as clickpost:
        order = await clickpost.orders.create(india_order("R-1"))
        assert clickpost._runtime.health["main"].budget.left > 10  # type: ignore[index]

    assert order.response.attempts == 41


@virtual_time
async def test_lookup_deposits_no_more_than_it_withdraws() -> None:
    play = Play([httpx.ReadError("")])
    async with playing(play, retry=RetryPolicy(attempts=1)) as clickpost:
        for number in range(5):
            with pytest.raises(NoReplyError):
                await clickpost.orders.create(india_order(f"R-{number}"))
        left = clickpost._runtime.health["main"].budget.left  # type: ignore[index]

    assert len(play.look_ups) == 5
    # What the creates themselves bring in.
    assert left == pytest.approx(10 + 5 * 0.1)


@virtual_time
async def test_light_copy_has_no_budget_of_its_own_and_another_host_has() -> None:
    hosts = Hosts(tracking="https://elsewhere.example/api")
    play = Play([httpx.Response(500)])
    async with playing(play, retry=RetryPolicy(attempts=2), hosts=hosts) as clickpost:
        await fail(unbreakable(clickpost), 15)
        (error,) = await fail(clickpost.with_options(priority=Priority.NORMAL), 1)
        assert error.kind is FailureKind.RETRY_BUDGET_SPENT
        with pytest.raises(ClickPostError) as elsewhere:
            await clickpost.tracking.track(["W-1"], courier_partner=4)

    assert elsewhere.value.kind is FailureKind.SERVER_ERROR


# --- the breaker ------------------------------------------------------------------------------

UNHEALTHY_RESPONSES: dict[str, Line] = {
    "no connection": httpx.ConnectError(""),
    "no response": httpx.ReadError(""),
    "HTTP 503": httpx.Response(503),
    "500": api_response(500),
    "a page": httpx.Response(200, text="<html>"),
}
WELL: dict[str, Line] = {
    "307": api_response(307),
    "319": api_response(319),
    "322": api_response(322),
    "301": api_response(301),
    "999": api_response(999),
    "HTTP 404": httpx.Response(404),
    "no place in the pool": httpx.PoolTimeout(""),
}


@pytest.mark.parametrize("what", [*UNHEALTHY_RESPONSES, *WELL])
@virtual_time
async def test_open_breaker_fails_single_calls_and_refusals_count_as_responses(
    what: str,
) -> None:
    play = Play([(UNHEALTHY_RESPONSES | WELL)[what]])
    async with playing(play, retry=ONCE) as clickpost:
        await fail(clickpost, 20)
        (error,) = await fail(clickpost, 1)

    opened = what in UNHEALTHY_RESPONSES
    assert len(play.requests) == (20 if opened else 21)
    assert (error.kind is FailureKind.CIRCUIT_OPEN) == opened
    if opened:
        assert (type(error), error.outcome, error.attempts) == (NotSentError, Outcome.NOT_SENT, 1)
        assert error.safe_to_retry_in == error.retry_after == 5
        assert "circuit breaker open: too many recent failures; next attempt in 5.0 s" in str(error)


@virtual_time
async def test_missing_responses_are_logged_once() -> None:
    listener = Listener()
    async with playing([httpx.ConnectError("")], retry=ONCE, observers=[listener]) as clickpost:
        await fail(clickpost, 40)

    assert [event.seconds for event in listener.of(RateLimitPaused)] == [5]


@virtual_time
async def test_failed_probe_reports_the_time_of_the_next() -> None:
    listener = Listener()
    async with playing([httpx.ConnectError("")], retry=ONCE, observers=[listener]) as clickpost:
        await fail(clickpost, 20)
        bulk = clickpost.with_options(priority=Priority.BULK)
        await fail(bulk, 4)

    assert [round(event.seconds, 6) for event in listener.of(RateLimitPaused)] == [
        5,
        10,
        20,
        40,
        60,
    ]


@virtual_time
async def test_queued_gather_fails_at_once_when_the_breaker_opens() -> None:
    async def slow(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(1)
        raise httpx.ReadError("")

    play = Play([slow])
    async with playing(play, retry=ONCE, max_concurrency=20, limiter=NoRateLimit()) as clickpost:
        errors = await asyncio.gather(
            *(clickpost.couriers.pincode(f"{number}") for number in range(110000, 110500)),
            return_exceptions=True,
        )

    assert (len(play.requests), now()) == (20, 1)
    kinds = [type(error) for error in errors]
    assert (kinds.count(NoReplyError), kinds.count(NotSentError)) == (20, 480)


@virtual_time
async def test_one_probe_finds_out_that_the_server_is_back() -> None:
    play = Play([until(7, httpx.ConnectError(""), api_response(200, result={}))])
    async with playing(play, retry=ONCE, limiter=NoRateLimit()) as clickpost:
        await fail(clickpost, 20)
        await asyncio.sleep(5)
        assert (await fail(clickpost, 1))[0].kind is FailureKind.NOT_SENT
        await asyncio.sleep(2)
        # The probe at 5 s failed, the next one is due at 15 s.
        assert (await fail(clickpost, 1))[0].retry_after == 8
        await asyncio.sleep(8)
        await clickpost.couriers.pincode("110001")
        await clickpost.couriers.pincode("110001")

    assert play.times[20:] == [5, 15, 15]


@virtual_time
async def test_lost_order_stays_unknown_where_its_second_sending_was_not_tried() -> None:
    play = Play([httpx.ReadError("")])
    async with playing(play) as clickpost:
        lost = asyncio.create_task(clickpost.orders.create(india_order("R-1")))
        await asyncio.sleep(1)
        with contextlib.suppress(ClickPostError):
            await fail(clickpost.with_options(retry=ONCE), 25)
        # So that it is still shut when the order has settled.
        for _ in range(8):
            await asyncio.sleep(10)
            await asyncio.gather(
                clickpost.with_options(retry=ONCE).couriers.pincode("110001"),
                return_exceptions=True,
            )
        with pytest.raises(NoReplyError) as caught:
            await lost

    assert caught.value.outcome is Outcome.UNKNOWN


@virtual_time
async def test_429_as_response_to_a_probe_closes_the_circuit_breaker() -> None:
    away = httpx.Response(429, headers={"retry-after": "0"})
    play = Play([*[httpx.ConnectError("")] * 20, away])
    async with playing(play, retry=ONCE, limiter=NoRateLimit()) as clickpost:
        await fail(clickpost, 20)
        await asyncio.sleep(5)
        (probe,) = await fail(clickpost, 1)
        (after,) = await fail(clickpost, 1)

    assert [type(error) for error in (probe, after)] == [ThrottledError] * 2
    assert len(play.requests) == 22


@virtual_time
async def test_429s_among_failures_keep_the_breaker_closed() -> None:
    away = httpx.Response(429, headers={"retry-after": "0"})
    play = Play([*[httpx.ConnectError(""), away, away] * 20])
    async with playing(play, retry=ONCE, limiter=NoRateLimit()) as clickpost:
        await fail(clickpost, 60)

    assert len(play.requests) == 60


@virtual_time
async def test_lookup_after_an_attempt_is_paid_from_the_budget() -> None:
    play = Play([httpx.ReadError("")], knows=placed("W-9"))
    async with playing(play, retry=ONCE) as clickpost:
        budget = clickpost._runtime.health["main"].budget  # type: ignore[index]
        found = await clickpost.orders.create(india_order("R-1"))
        # A first attempt, and a look-up that is one itself, have each brought in a tenth.
        assert budget.left == pytest.approx(10 + 0.1 + 0.1 - 0.1)

    assert (found.waybill, len(play.look_ups)) == ("W-9", 1)


@virtual_time
async def test_first_lookup_of_an_order_in_doubt_costs_no_budget() -> None:
    play = Play([], knows=placed("W-9"))
    async with playing(play, retry=ONCE) as clickpost:
        budget = clickpost._runtime.health["main"].budget  # type: ignore[index]
        while budget.withdraw(0.01):
            pass
        found = await clickpost.with_options(in_doubt=True).orders.create(india_order("R-1"))

    assert (found.waybill, play.requests) == ("W-9", [])


# --- bulk -------------------------------------------------------------------------------------


async def run(clickpost: ClickPost, orders: int, **how: Any) -> tuple[list[Any], Any]:
    rows = (india_order(f"R-{number}") for number in range(orders))
    async with create(clickpost, rows, **how) as bulk:
        outcomes = [outcome async for outcome in bulk]
    assert sorted(outcome.position for outcome in outcomes) == list(range(len(outcomes)))
    return outcomes, bulk.report


@virtual_time
async def test_bulk_run_waits_for_the_server_to_come_back() -> None:
    play = Play([until(600, httpx.ConnectError(""), placed())])
    async with playing(play) as clickpost:
        outcomes, report = await run(clickpost, 300, max_outage=math.inf)

    assert {type(outcome) for outcome in outcomes} <= {Placed, Pending}
    # All but those that found that the server does not respond, and the probes.
    assert report.placed >= 300 - 20 - 15
    assert len(play.requests) <= 300 * 1.10 + 10
    assert 600 <= now() < 700


@virtual_time
async def test_control_without_a_guard_an_outage_causes_a_retry_storm() -> None:
    play = Play([until(600, httpx.ConnectError(""), placed())])
    async with playing(play) as clickpost:
        _, report = await run(unguarded(clickpost), 300)

    assert len(play.requests) > 300 * 2
    assert report.placed == 0


@virtual_time
async def test_order_without_a_retry_is_rescheduled_after_all_others() -> None:
    failed: set[str] = set()
    order_of_coming: list[str] = []

    async def respond(request: httpx.Request) -> httpx.Response:
        import json

        reference = json.loads(request.content)["shipment_details"]["reference_number"]
        number = int(reference.removeprefix("R-"))
        order_of_coming.append(reference)
        # Less than half of all, so that the breaker stays shut.
        if number % 5 < 2 and reference not in failed:
            failed.add(reference)
            raise httpx.ConnectError("")
        return placed()

    retry = RetryPolicy(attempts=2, backoff=0.001)
    async with playing([respond], retry=retry) as clickpost:
        outcomes, report = await run(clickpost, 200, max_concurrency=1)

    assert (report.placed, report.total) == (200, 200)
    assert report.requests == len(order_of_coming) == 280
    last = [outcome.position for outcome in outcomes[-40:]]
    assert last == sorted(last)
    assert all(position % 5 < 2 for position in last)


@virtual_time
async def test_order_lost_in_one_round_and_not_sent_in_the_next_stays_unknown() -> None:
    lines: list[Line] = [*[api_response(500)] * 3, api_response(301, "wrong key")]
    # No repeat can be paid for.
    async with playing(lines, retry=RetryPolicy(attempts=2)) as clickpost:
        budget = clickpost._runtime.health["main"].budget  # type: ignore[index]
        while budget.withdraw():
            pass
        outcomes, report = await run(clickpost, 3, max_concurrency=1)

    assert [type(outcome) for outcome in outcomes] == [Unknown] * 3
    assert report.halted is not None


@pytest.mark.parametrize(
    ("line", "kinds", "sent"),
    [
        (httpx.Response(302), {Pending}, 1),
        (api_response(301, "wrong key"), {Pending}, 1),
        # Not ClickPost's word, and so it decides nothing.
        (httpx.Response(404, text="<html>"), {Unknown}, 3),
        (api_response(307, "order type"), {Rejected}, 20),
        (api_response(351, "account"), {Rejected}, 20),
    ],
)
@virtual_time
async def test_run_halts_where_every_order_would_fail_in_the_same_way(
    line: Line, kinds: set[type[Any]], sent: int
) -> None:
    play = Play([line])
    async with playing(play) as clickpost:
        outcomes, report = await run(clickpost, 20, max_concurrency=1)

    assert (len(play.requests), len(outcomes)) == (sent, sent)
    assert {type(outcome) for outcome in outcomes} == kinds
    assert (report.halted is not None) == (sent < 20)


@virtual_time
async def test_scattered_foreign_responses_halt_nothing() -> None:
    lines: list[Line] = [httpx.Response(404), httpx.Response(404), placed()] * 5
    async with playing(lines) as clickpost:
        outcomes, report = await run(clickpost, 15, max_concurrency=1)

    assert (len(outcomes), report.placed, report.unknown, report.halted) == (15, 5, 10, None)


# --- closing ----------------------------------------------------------------------------------


async def closed_during(line: Line, **settings: Any) -> tuple[object, float, Listener]:
    """Close a client one second after a create was sent, and return how that ended, and when."""
    listener = Listener()
    clickpost = playing([line], observers=[listener], **settings)
    call = asyncio.create_task(clickpost.orders.create(india_order("R-1")))
    await asyncio.sleep(1)
    await clickpost.aclose()
    closed = now()
    (end,) = await asyncio.gather(call, return_exceptions=True)
    assert listener.of(CallFinished)[-1].endpoint == "orders.create_india"
    return end, closed, listener


def after(seconds: float, line: httpx.Response | Exception) -> Line:
    async def respond(request: httpx.Request) -> httpx.Response:
        await anyio.sleep(seconds)
        if isinstance(line, Exception):
            raise line
        return line

    return respond


@pytest.mark.fault("X07")
@virtual_time
async def test_call_under_way_is_given_time_to_end() -> None:
    order, closed, _ = await closed_during(after(4, placed()))
    assert (getattr(order, "waybill", None), closed) == ("W-1", 4)


@pytest.mark.fault("X07")
@virtual_time
async def test_wait_ends_at_its_timeout() -> None:
    error, closed, listener = await closed_during(
        after(60, httpx.ReadError("")), timeouts=Timeouts(shutdown=3)
    )
    assert (type(error), closed) == (NoReplyError, 4)
    assert listener.of(CallFinished)[-1].outcome is Outcome.UNKNOWN


@pytest.mark.fault("X07")
@pytest.mark.parametrize(
    ("line", "outcome"),
    [
        (httpx.ReadError(""), Outcome.UNKNOWN),
        (queued(), Outcome.UNKNOWN),
        (api_response(322), Outcome.UNKNOWN),
        (httpx.ConnectError(""), Outcome.NOT_SENT),
    ],
)
@virtual_time
async def test_call_that_pauses_ends_at_once_with_what_is_known(
    line: Line, outcome: Outcome
) -> None:
    error, closed, _ = await closed_during(line, retry=RetryPolicy(backoff=1000, max_backoff=1000))
    assert isinstance(error, ClickPostError)
    assert (error.outcome, closed, now()) == (outcome, 1, 1)
