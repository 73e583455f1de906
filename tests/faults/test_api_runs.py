"""Chapter A for bulk runs: keys, codes and outages that affect many orders at once."""

import asyncio
import math
import random
from itertools import count
from typing import Any

import anyio
import httpx
import pytest

from clickpost_async import (
    ClickPostError,
    CredentialsError,
    FailureKind,
    NotSentError,
    Outcome,
    RetryPolicy,
    Timeouts,
)
from clickpost_async.bulk import OrderOutcome, Rejected, Report, Unknown, create
from clickpost_async.events import AttemptStarted
from clickpost_async.limits import NoRateLimit
from clickpost_async.sandbox import Faults, Sandbox
from clickpost_async.testing import virtual_time
from tests.faults.misbehaving_sandbox import Door, keeps_faith, orders, run
from tests.helpers.scripted_transport import Line, Listener, api_response, unguarded
from tests.sandbox.samples import india_order


def now() -> float:
    return asyncio.get_running_loop().time()


# --- A11: the key is revoked --------------------------------------------------------------------

KEYLESS: dict[str, Line] = {
    "301": api_response(301, "Authentication Failed"),
    "HTTP 401": httpx.Response(401, json={"detail": "Invalid token."}),
    "HTTP 403": httpx.Response(403, text="<h1>Forbidden</h1>"),
}


@pytest.mark.fault("A11")
@pytest.mark.parametrize("how", KEYLESS)
@virtual_time
async def test_a11_run_stops_at_a_key_that_is_refused_and_another_run_finishes_it(
    how: str,
) -> None:
    valid = True
    door = Door(Sandbox(courier_seconds=1), instead=lambda *_: None if valid else KEYLESS[how])
    given = orders(200)
    outcomes: dict[str, OrderOutcome] = {}
    async with door.client() as clickpost:
        async with create(clickpost, given, max_concurrency=10) as bulk:
            async for outcome in bulk:
                outcomes[str(outcome.reference_number)] = outcome
                valid = len(outcomes) < 50
        keeps_faith(door, outcomes)
        assert isinstance(bulk.report.halted, CredentialsError)
        assert (bulk.report.rejected, bulk.report.unknown) == (0, 0)
        # No more than were under way, and one more each that had been read.
        assert 0 < bulk.report.pending <= 20
        assert len(outcomes) <= 80

        valid = True
        again, report = await run(clickpost, given, max_concurrency=10)
    keeps_faith(door, again)
    assert (report.placed + report.already_placed, len(door.sandbox.ledger())) == (200, 200)


@pytest.mark.fault("A11")
@pytest.mark.parametrize("how", KEYLESS)
@virtual_time
async def test_a11_refused_key_leaves_an_order_lost_before_in_doubt(
    how: str,
) -> None:
    door = Door(
        instead=lambda _, number: httpx.ReadError("") if number == 1 else KEYLESS[how],
        books=["R-0"],
    )
    async with door.client(retry=RetryPolicy(reconcile=False)) as clickpost:
        outcomes, report = await run(clickpost, orders(1))

    keeps_faith(door, outcomes)
    assert isinstance(outcomes["R-0"], Unknown)
    assert isinstance(report.halted, CredentialsError)


# --- A12, A13: refusals and unknown codes -------------------------------------------------------

# The codes after which there is no order, and sending it again would be of no use.
NO = (302, 303, 304, 305, *range(307, 316), 319, 321, 325, 326, 327, 328, 330, 350, 355, 400, 422)
OTHERWISE = (306, 316, 320, 324, 351, 352, 353)


@pytest.mark.fault("A12")
@virtual_time
async def test_a12_each_refusal_has_its_message_and_stops_no_other_order() -> None:
    codes = dict(zip((f"R-{number}" for number in count(0, 2)), NO + OTHERWISE, strict=False))
    door = Door(
        instead=lambda reference, _: (
            api_response(codes[reference], f"words of {codes[reference]}")
            if reference in codes
            else None
        )
    )
    async with door.client() as clickpost:
        outcomes, report = await run(clickpost, orders(2 * len(codes)))

    keeps_faith(door, outcomes)
    assert (report.placed, report.rejected, report.halted) == (len(codes), len(codes), None)
    assert door.posts == 2 * len(codes)
    for reference, code in codes.items():
        outcome = outcomes[reference]
        assert isinstance(outcome, Rejected)
        assert isinstance(outcome.error, ClickPostError)
        assert (outcome.error.status, outcome.error.safe_to_retry_in) == (code, None)
        assert f"words of {code}" in outcome.reasons[0]


@pytest.mark.fault("A13")
@pytest.mark.parametrize("code", [1, 199, 201, 299, 399, 600, 999, 9999])
@pytest.mark.parametrize("booked", [True, False])
@virtual_time
async def test_a13_undocumented_code_leaves_its_order_unknown_and_stops_no_other(
    code: int, booked: bool
) -> None:
    door = Door(
        instead=lambda reference, _: api_response(code, "new") if int(reference[2:]) % 2 else None,
        books={f"R-{number}" for number in range(1, 60, 2)} if booked else (),
    )
    async with door.client() as clickpost:
        outcomes, report = await run(clickpost, orders(60))

    keeps_faith(door, outcomes)
    assert (report.placed, report.unknown, report.rejected, report.halted) == (30, 30, 0, None)
    # Neither repeated, nor taken for an outage.
    assert door.posts == 60
    assert {
        (outcome.error.status, outcome.error.safe_to_retry_in)
        for outcome in outcomes.values()
        if isinstance(outcome, Unknown)
    } == {(code, 30)}


# --- A19: couriers grow slow --------------------------------------------------------------------


def slow(sandbox: Sandbox, median: float, p99: float) -> Door:
    """Return a sandbox whose responses are slow: half of them slower than the median."""
    chance = random.Random(19)
    # A log-normal distribution has its p99 at 2.33 standard deviations.
    spread = (p99 / median) ** (1 / 2.33)
    inner = httpx.ASGITransport(app=sandbox)

    async def late(request: httpx.Request) -> httpx.Response:
        response = await inner.handle_async_request(request)
        await response.aread()
        await anyio.sleep(median * spread ** chance.gauss(0, 1))
        return response

    return Door(sandbox, instead=lambda *_: late)


@pytest.mark.fault("A19")
@virtual_time
async def test_a19_slowest_percent_of_30_s_creates_is_waited_for() -> None:
    door = slow(Sandbox(), median=1.5, p99=30)
    async with door.client(timeouts=Timeouts(total=60)) as clickpost:
        outcomes, report = await run(clickpost, orders(200))
        stats = clickpost.stats()

    keeps_faith(door, outcomes)
    assert report.placed == 200
    # One in a thousand is given up after a minute, and found by looking.
    assert (door.posts, stats.reconciliations) == (200, report.duplicates_avoided)
    assert report.duplicates_avoided <= 2


@pytest.mark.fault("A19", control=True)
@virtual_time
async def test_a19_control_short_timeouts_without_retry_limits_cause_a_retry_storm() -> None:
    door = slow(Sandbox(), median=1.5, p99=30)
    hasty = RetryPolicy(settle_delay=0, reconcile=False)
    settings: dict[str, Any] = {"timeouts": Timeouts(total=1), "retry": hasty}
    async with door.client(**settings) as clickpost:
        await run(unguarded(clickpost), orders(200))

    assert door.posts >= 400


# --- A20: ten minutes of nothing but failures ---------------------------------------------------

MINUTES = 600
COUNT = 300


async def heals(sandbox: Sandbox) -> None:
    await anyio.sleep(MINUTES)
    sandbox.faults.clear()


OUTAGES: dict[str, dict[str, Any]] = {
    "nothing is booked": {"server_error": 1.0},
    "all is booked": {"oops": 1.0},
    "some is booked": {"server_error": 0.3, "gateway": 0.5, "busy": 1.0},
    "no response": {"drop_before": 0.5, "drop_after": 1.0},
}


async def outage(how: str, *, guarded: bool = True) -> tuple[Door, dict[str, OrderOutcome], Report]:
    random.seed(20)
    sandbox = Sandbox(faults=Faults(latency=0.1, seed=20, **OUTAGES[how]))
    door = Door(sandbox)
    healing = asyncio.create_task(heals(sandbox))
    async with door.client() as clickpost:
        if not guarded:
            unguarded(clickpost)
        # Longer than a run waits by default for a server that does not respond at all.
        outcomes, report = await run(clickpost, orders(COUNT), max_outage=math.inf)
    healing.cancel()
    return door, outcomes, report


@pytest.mark.fault("A20")
@pytest.mark.parametrize("how", OUTAGES)
@virtual_time
async def test_a20_after_ten_minutes_of_failures_all_orders_are_placed_without_a_retry_storm(
    how: str,
) -> None:
    door, outcomes, report = await outage(how)

    keeps_faith(door, outcomes)
    assert now() >= MINUTES
    assert (report.rejected, report.halted, len(outcomes)) == (0, None, COUNT)
    assert report.placed + report.already_placed == COUNT
    assert door.posts <= COUNT + 70
    # Those that were on their way when it opened, and one now and then; look-ups counted too.
    meanwhile = [one for one in door.sandbox.requests() if one.moment < MINUTES]
    assert len(meanwhile) <= 100


@pytest.mark.fault("A20", control=True)
@virtual_time
async def test_a20_control_without_a_guard_orders_are_given_up_after_twice_as_many_calls() -> None:
    door, _, report = await outage("nothing is booked", guarded=False)

    assert report.unknown > COUNT / 10
    assert door.posts >= COUNT * 1.5
    meanwhile = [one for one in door.sandbox.requests() if one.moment < MINUTES]
    assert len(meanwhile) >= COUNT * 1.4


@pytest.mark.fault("A20")
@virtual_time
async def test_a20_single_calls_fail_at_once_with_the_time_of_the_next_attempt() -> None:
    sandbox = Sandbox(faults=Faults(server_error=1.0))
    healing = asyncio.create_task(heals(sandbox))
    listener = Listener()
    refused: list[tuple[float, ClickPostError]] = []
    door = Door(sandbox)
    settings: dict[str, Any] = {"observers": [listener], "limiter": NoRateLimit()}
    async with door.client(retry=RetryPolicy(attempts=1), **settings) as clickpost:
        # A checkout: five orders a second, as long as the outage lasts.
        for number in range(5 * MINUTES):
            began = now()
            with pytest.raises(ClickPostError) as caught:
                await clickpost.orders.create(india_order(f"R-{number}"))
            refused.append((now() - began, caught.value))
            await anyio.sleep(0.2)
        await anyio.sleep(60)
        assert (await clickpost.orders.create(india_order("R-after"))).waybill
    healing.cancel()

    # Those that open it, then one now and then.
    tried = [error for _, error in refused if error.kind is not FailureKind.CIRCUIT_OPEN]
    assert len(tried) <= 40
    assert {error.outcome for error in tried} == {Outcome.UNKNOWN}
    creates = [
        event for event in listener.of(AttemptStarted) if event.endpoint == "orders.create_india"
    ]
    assert len(creates) == len(tried) + 1

    max_concurrency = [
        (took, error) for took, error in refused if error.kind is FailureKind.CIRCUIT_OPEN
    ]
    assert {type(error) for _, error in max_concurrency} == {NotSentError}
    assert {took for took, _ in max_concurrency} == {0}
    assert all(0 < (error.safe_to_retry_in or 0) <= 60 for _, error in max_concurrency)
    assert list(sandbox.ledger()) == ["R-after"]
