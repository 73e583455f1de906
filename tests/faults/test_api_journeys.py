"""Chapter A for single orders: the outcome reported, checked against the ledger."""

import asyncio
import json
from typing import Any

import anyio
import httpx
import pytest

from clickpost_async import (
    BusyCourierError,
    ClickPostError,
    CourierError,
    Outcome,
    RetryPolicy,
    ThrottledError,
)
from clickpost_async.bulk import Pending, Placed, Rejected, Unknown
from clickpost_async.sandbox import Sandbox
from clickpost_async.structures import CreatedOrder
from clickpost_async.testing import virtual_time
from tests.faults.misbehaving_sandbox import Door, Instead, keeps_faith, orders, run
from tests.helpers.scripted_transport import Line, Play, api_response, placed, playing, queued
from tests.sandbox.samples import india_order

LOOK_OR_NOT = pytest.mark.parametrize("look_up", [True, False])


async def refused(door: Door, reference: str, **settings: Any) -> ClickPostError:
    """Place an order that does not get through, and return the error."""
    async with door.client(**settings) as clickpost:
        with pytest.raises(ClickPostError) as caught:
            await clickpost.orders.create(india_order(reference))
    return caught.value


# --- A01: throttled -----------------------------------------------------------------------------

NOON = "Wed, 21 Oct 2026 12:00:00 GMT"
RETRY_AFTER = {
    "seconds": "7",
    "a fraction": "0.25",
    "a date": "Wed, 21 Oct 2026 12:00:09 GMT",
    "a date gone by": "Wed, 21 Oct 2026 11:00:00 GMT",
    "a huge number": "9" * 30,
    "no number": "soon",
    "below nothing": "-5",
    "nothing": None,
}


def throttled(header: str | None) -> httpx.Response:
    headers = {"date": NOON} if header is None else {"date": NOON, "retry-after": header}
    return httpx.Response(429, headers=headers, json={"detail": "too many"})


@pytest.mark.fault("A01")
@pytest.mark.parametrize("form", RETRY_AFTER)
@virtual_time
async def test_a01_throttled_orders_are_placed_once_in_any_form_of_retry_after(
    form: str,
) -> None:
    away = throttled(RETRY_AFTER[form])
    door = Door(instead=lambda _, number: away if number <= 2 else None)
    # An hour is the longest pause there is, and each order gets it twice.
    async with door.client(retry=RetryPolicy(max_total_delay=1e6)) as clickpost:
        outcomes, report = await run(clickpost, orders(20))
        stats = clickpost.stats()

    keeps_faith(door, outcomes)
    assert (report.placed, report.unknown, report.duplicates_avoided) == (20, 0, 0)
    # A throttled order is not in doubt, so it is not looked up.
    assert (door.posts, stats.reconciliations) == (60, 0)


@pytest.mark.fault("A01")
@virtual_time
async def test_a01_order_that_stays_throttled_is_not_sent_and_placed_by_a_later_call() -> None:
    closed = True
    away = throttled("40")
    door = Door(instead=lambda *_: away if closed else None)
    error = await refused(door, "R-1")
    async with door.client() as clickpost:
        outcomes, _ = await run(clickpost, [india_order("R-1")])

        assert isinstance(error, ThrottledError)
        assert (error.outcome, error.attempts, error.safe_to_retry_in) == (Outcome.NOT_SENT, 4, 40)
        assert isinstance(outcomes["R-1"], Pending)
        assert door.sandbox.ledger() == {}

        closed = False
        outcomes, _ = await run(clickpost, [india_order("R-1")])
    assert isinstance(outcomes["R-1"], Placed)
    keeps_faith(door, outcomes)


# --- A02, A03: failed inside, booked or not -----------------------------------------------------

FAILED: dict[str, httpx.Response] = {
    **{str(status): httpx.Response(status, text="<h1>?</h1>") for status in (500, 502, 503, 504)},
    "code 500": api_response(500, "Oops"),
}
HALF = {f"R-{number}" for number in range(0, 140, 2)}


def every(count: int, line: Line) -> Instead:
    """Answer the first call of every so many orders."""
    return lambda reference, number: (
        line if number == 1 and int(reference[2:]) % count == 0 else None
    )


@pytest.mark.fault("A02")
@LOOK_OR_NOT
@pytest.mark.parametrize("how", FAILED)
@virtual_time
async def test_a02_of_orders_that_failed_inside_half_are_booked_and_all_are_placed_once(
    how: str, look_up: bool
) -> None:
    door = Door(instead=every(7, FAILED[how]), books=HALF)
    async with door.client(retry=RetryPolicy(reconcile=look_up)) as clickpost:
        outcomes, report = await run(clickpost, orders(140))

    keeps_faith(door, outcomes)
    assert (report.placed + report.already_placed, report.rejected) == (140, 0)
    # Ten of the twenty were booked, and none of these was bought again.
    assert report.duplicates_avoided == 10
    assert door.posts == (150 if look_up else 160)


@pytest.mark.fault("A02")
@virtual_time
async def test_a02_order_rescheduled_later_is_still_recognised() -> None:
    # More than may be repeated at once: some wait until all others are done.
    door = Door(instead=every(3, httpx.Response(504)), books=HALF)
    async with door.client(retry=RetryPolicy(reconcile=False)) as clickpost:
        outcomes, report = await run(clickpost, orders(60))

    keeps_faith(door, outcomes)
    assert (report.placed, report.already_placed, door.posts) == (50, 10, 80)
    assert report.duplicates_avoided == 10


@pytest.mark.fault("A02", control=True)
@pytest.mark.fault("A03", control=True)
@pytest.mark.parametrize("how", FAILED)
@virtual_time
async def test_a02_orders_sent_once_without_a_look_up_are_bought_and_unknown(
    how: str,
) -> None:
    door = Door(instead=lambda *_: FAILED[how], books=["R-1"])
    error = await refused(door, "R-1", retry=RetryPolicy.never())

    assert error.outcome is Outcome.UNKNOWN
    assert list(door.sandbox.ledger()) == ["R-1"]


@pytest.mark.fault("A03")
@virtual_time
async def test_a03_booked_order_whose_create_keeps_failing_is_found() -> None:
    door = Door(instead=lambda *_: api_response(500, "Oops"), books=["R-1"])
    async with door.client() as clickpost:
        outcomes, report = await run(clickpost, [india_order("R-1")])

    keeps_faith(door, outcomes)
    (outcome,) = outcomes.values()
    assert isinstance(outcome, Placed)
    assert (outcome.order.response.reconciled, outcome.recovered, outcome.attempts) == (
        True,
        True,
        1,
    )
    assert report.duplicates_avoided == 1


# --- A04, A05: couriers -------------------------------------------------------------------------


@pytest.mark.fault("A04")
@pytest.mark.parametrize("word", ["COURIER-BUSY-5", "COURIER-SLOW-5"])
@virtual_time
async def test_a04_later_call_finishes_what_a_busy_courier_left_unknown(word: str) -> None:
    door = Door()
    reference = f"R-{word}"
    error = await refused(door, reference)

    assert isinstance(error, BusyCourierError)
    assert (error.outcome, error.attempts, error.safe_to_retry_in) == (Outcome.UNKNOWN, 4, 30)
    assert door.sandbox.ledger() == {}

    await anyio.sleep(30)
    async with door.client() as clickpost:
        outcomes, _ = await run(clickpost, [india_order(reference)])
    keeps_faith(door, outcomes)
    assert isinstance(outcomes[reference], Placed)


@pytest.mark.fault("A04")
@pytest.mark.parametrize("status", [322, 329])
@virtual_time
async def test_a04_run_reports_an_order_of_a_busy_courier_unknown_and_continues(
    status: int,
) -> None:
    door = Door(
        instead=lambda reference, _: api_response(status, "busy") if reference == "R-3" else None
    )
    async with door.client() as clickpost:
        outcomes, report = await run(clickpost, orders(10))

    keeps_faith(door, outcomes)
    assert isinstance(outcomes["R-3"], Unknown)
    assert (report.placed, report.unknown, report.rejected) == (9, 1, 0)


@pytest.mark.fault("A05")
@pytest.mark.parametrize("wanted", [False, True])
@virtual_time
async def test_a05_354_is_sent_a_second_time_on_request_only_and_never_a_third(
    wanted: bool,
) -> None:
    door = Door(instead=lambda *_: api_response(354, "odd words of a courier"))
    error = await refused(door, "R-1", retry=RetryPolicy(retry_unrecognised=wanted))

    assert isinstance(error, CourierError)
    assert (error.outcome, error.attempts) == (Outcome.UNKNOWN, 2 if wanted else 1)
    assert "odd words of a courier" in error.message
    assert (asyncio.get_running_loop().time() >= 30) == wanted


@pytest.mark.fault("A05")
@virtual_time
async def test_a05_354_resent_on_request_may_be_placed() -> None:
    door = Door(
        instead=lambda _, number: api_response(354, "odd") if number == 1 else None, books=["R-1"]
    )
    async with door.client(retry=RetryPolicy(retry_unrecognised=True)) as clickpost:
        outcomes, _ = await run(clickpost, [india_order("R-1")])

    keeps_faith(door, outcomes)
    (outcome,) = outcomes.values()
    assert isinstance(outcome, Placed)
    assert (outcome.attempts, outcome.recovered) == (2, True)


# --- A06 to A09: 323 ----------------------------------------------------------------------------


@pytest.mark.fault("A06")
@LOOK_OR_NOT
@virtual_time
async def test_a06_recovered_order_is_distinguished_from_one_placed_before(
    look_up: bool,
) -> None:
    door = Door(
        instead=lambda reference, number: (
            httpx.ReadError("") if (reference, number) == ("R-0", 1) else None
        ),
        books=["R-0"],
    )
    async with door.client(retry=RetryPolicy(reconcile=look_up)) as clickpost:
        await clickpost.orders.create(india_order("R-1"))
        outcomes, report = await run(clickpost, orders(2))

    keeps_faith(door, outcomes)
    ours, theirs = outcomes["R-0"], outcomes["R-1"]
    assert isinstance(ours, Placed)
    assert isinstance(theirs, Placed)
    assert (ours.recovered, ours.attempts) == (True, 1 if look_up else 2)
    assert (theirs.recovered, theirs.already_placed, theirs.attempts) == (False, True, 1)
    assert report.duplicates_avoided == 1


@pytest.mark.fault("A07")
@virtual_time
async def test_a07_reference_of_another_order_is_reported_and_not_changed() -> None:
    door = Door()
    async with door.client() as clickpost:
        first = await clickpost.orders.create(india_order("R-1"))
        other = await clickpost.orders.create(india_order("R-1", shipment_details__weight=9000))

    assert (other.already_placed, other.response.attempts, other.response.reconciled) == (
        True,
        1,
        False,
    )
    assert (other.waybill, other.reference_number) == (first.waybill, "R-1")
    assert door.sandbox.ledger() == {"R-1": (first.waybill,)}


@pytest.mark.fault("A08")
@virtual_time
async def test_a08_323_without_a_waybill_is_unknown_and_never_placed_without_one() -> None:
    bare = api_response(323, "already placed", result={"waybill": "", "reference_number": "R-1"})
    async with playing([bare]) as clickpost:
        outcomes, report = await run(clickpost, [india_order("R-1")])

    assert isinstance(outcomes["R-1"], Unknown)
    assert (report.placed, report.already_placed, report.requests) == (0, 0, 4)


@pytest.mark.fault("A09")
@LOOK_OR_NOT
@virtual_time
async def test_a09_swapped_responses_of_two_orders_count_as_lost(
    look_up: bool,
) -> None:
    sandbox = Sandbox()
    responses: dict[str, httpx.Response] = {}
    both = anyio.Event()

    async def swapped(request: httpx.Request) -> httpx.Response:
        reference = json.loads(request.content)["shipment_details"]["reference_number"]
        inner = httpx.ASGITransport(app=sandbox)
        responses[reference] = await inner.handle_async_request(request)
        await responses[reference].aread()
        if len(responses) == 2:
            both.set()
        await both.wait()
        return responses["R-1" if reference == "R-0" else "R-0"]

    door = Door(sandbox, instead=lambda _, number: swapped if number == 1 else None)
    async with door.client(retry=RetryPolicy(reconcile=look_up)) as clickpost:
        outcomes, report = await run(clickpost, orders(2))

    keeps_faith(door, outcomes)
    assert [type(outcome) for outcome in outcomes.values()] == [Placed, Placed]
    assert report.duplicates_avoided == 2


# --- A10: worked on -----------------------------------------------------------------------------

BUSY = [queued(202), queued(102), queued(102), queued(102)]
ENDS: dict[str, tuple[Line, type[object]]] = {
    "200": (placed("W-1", "R-1"), Placed),
    "323": (placed("W-1", "R-1", 323), Placed),
    "319": (api_response(319, "not served"), Rejected),
    "354": (api_response(354, "odd"), Unknown),
    # A poll that was not made does not undo what was recorded.
    "301": (api_response(301, "wrong key"), Pending),
    "322": (api_response(322, "busy"), Unknown),
    "no response": (httpx.ReadError(""), Unknown),
    "429": (httpx.Response(429), Pending),
    "no connection": (httpx.ConnectError(""), Pending),
}


@pytest.mark.fault("A10")
@pytest.mark.parametrize("end", ENDS)
@virtual_time
async def test_a10_pending_order_ends_in_a_known_outcome_and_never_without_a_waybill(
    end: str,
) -> None:
    line, kind = ENDS[end]
    play = Play([*BUSY, line])
    async with playing(play, retry=RetryPolicy(poll_timeout=3600)) as clickpost:
        outcomes, _ = await run(clickpost, [india_order("R-1")])

    (outcome,) = outcomes.values()
    assert type(outcome) is kind
    assert not isinstance(outcome, Placed) or outcome.order.waybill == "W-1"
    assert not isinstance(outcome, Pending) or outcome.order.pending
    assert len({request.content for request in play.requests}) == 1
    # Ever more slowly: it is being worked on, and asking does not speed it up.
    assert play.pauses[0] >= 24
    assert play.pauses[2] > play.pauses[0]


@pytest.mark.fault("A10")
@virtual_time
async def test_a10_pending_order_is_returned_as_pending_and_finished_by_a_later_call() -> None:
    door = Door(Sandbox(async_polls=15))
    order = india_order("R-1", additional={"async": True})
    async with door.client() as clickpost:
        first = await clickpost.orders.create(order)
        assert isinstance(first, CreatedOrder)
        assert (first.pending, first.waybill, door.sandbox.ledger()) == (True, None, {})

        outcomes, _ = await run(clickpost, [order])
        keeps_faith(door, outcomes)
        assert isinstance(outcomes["R-1"], Pending)

        outcomes, _ = await run(clickpost, [order])
    keeps_faith(door, outcomes)
    assert isinstance(outcomes["R-1"], Placed)
