"""A: responses of ClickPost and its couriers, in virtual time, checked against the ledger."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from clickpost_async import (
    BusyCourierError,
    ClickPost,
    ClickPostError,
    CourierError,
    Idempotency,
    NoReplyError,
    Outcome,
    RefusedError,
    Resend,
    RetryPolicy,
    ThrottledError,
    Timeouts,
)
from clickpost_async.bulk import Pending, Placed, Rejected, Report, Unknown, create
from clickpost_async.endpoints import CATALOG
from clickpost_async.sandbox import Fault, Faults, Sandbox
from clickpost_async.structures import CreatedOrder
from clickpost_async.testing import virtual_time
from tests.helpers.scripted_transport import Play, api_response, placed, playing
from tests.sandbox.samples import india_order

ASYNC = {"async": True}


class Detached(httpx.AsyncBaseTransport):
    """Calls a sandbox that goes on when its caller has given up, as one behind a socket does."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._inner = httpx.ASGITransport(app=sandbox)
        self._calls: set[asyncio.Task[httpx.Response]] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        call = asyncio.create_task(self._inner.handle_async_request(request))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        return await asyncio.shield(call)


def at(sandbox: Sandbox, **settings: Any) -> ClickPost:
    return ClickPost(sandbox.username, sandbox.api_key, transport=Detached(sandbox), **settings)


def posts(sandbox: Sandbox) -> int:
    return sum(one.operation == "orders.create_india" for one in sandbox.requests())


async def placed_once(sandbox: Sandbox, reference: str = "R-1", **settings: Any) -> CreatedOrder:
    """Create an order: it is placed, and the ledger has its one label."""
    async with at(sandbox, **settings) as clickpost:
        order = await clickpost.orders.create(india_order(reference))
    assert sandbox.ledger() == {reference: (order.waybill,)}
    assert len({one.payload_hash for one in sandbox.requests() if one.reference_number}) <= 2
    return order


async def run(clickpost: ClickPost, orders: list[dict[str, Any]]) -> tuple[dict[str, Any], Report]:
    async with create(clickpost, orders) as bulk:
        outcomes = {str(outcome.reference_number): outcome async for outcome in bulk}
    assert len(outcomes) == len(orders)
    assert bulk.report.total == len(orders)
    return outcomes, bulk.report


def agrees(outcomes: Mapping[str, Any], ledger: Mapping[str, tuple[str, ...]]) -> None:
    """Hold every outcome against the ledger."""
    assert all(len(waybills) == 1 for waybills in ledger.values())
    for reference, outcome in outcomes.items():
        bought = ledger.get(reference, ())
        if isinstance(outcome, Placed):
            assert bought == (outcome.order.waybill,)
        elif isinstance(outcome, Rejected) or (isinstance(outcome, Pending) and outcome.error):
            assert bought == ()


# --- throttled, and internal errors -------------------------------------------------------------


@pytest.mark.fault("A01")
@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        ("7", 7, 8),
        ("0", 0, 1),
        ("Wed, 21 Oct 2015 07:28:09 GMT", 9, 10),
        ("Wed, 21 Oct 2015 07:27:00 GMT", 0, 1),
        ("soon", 1, 3),
        ("-5", 1, 3),
        ("1e9", 1, 3),
        ("600", 600, 601),
        (None, 1, 3),
    ],
)
@virtual_time
async def test_a01_429_pauses_all_calls_for_its_retry_after(
    header: str | None, least: float, most: float
) -> None:
    headers = {"date": "Wed, 21 Oct 2015 07:28:00 GMT"}
    if header is not None:
        headers["retry-after"] = header
    play = Play([httpx.Response(429, headers=headers), placed()])
    async with playing(play, max_concurrency=1) as clickpost:
        orders = await asyncio.gather(
            *(clickpost.orders.create(india_order(f"R-{number}")) for number in range(5))
        )
    assert len(orders) == 5
    assert least <= play.times[1] <= most
    assert play.look_ups == []


@pytest.mark.fault("A01")
@pytest.mark.parametrize("header", ["86400", "30000", "99999999"])
@virtual_time
async def test_a01_429_with_a_long_retry_after_fails_all_calls_at_once(header: str) -> None:
    play = Play([httpx.Response(429, headers={"retry-after": header}), placed()])
    async with playing(play, max_concurrency=1) as clickpost:
        errors = await asyncio.gather(
            *(clickpost.orders.create(india_order(f"R-{number}")) for number in range(5)),
            return_exceptions=True,
        )
    assert {type(error) for error in errors} == {ThrottledError}
    assert (asyncio.get_running_loop().time(), len(play.requests)) == (0, 1)


@pytest.mark.fault("A01")
@virtual_time
async def test_a01_throttled_orders_are_all_placed_later_and_once() -> None:
    sandbox = Sandbox(faults=Faults(too_many=0.2, retry_after=2))
    async with at(sandbox) as clickpost:
        outcomes, report = await run(clickpost, [india_order(f"R-{n}") for n in range(200)])
    assert report.placed == 200
    agrees(outcomes, sandbox.ledger())


BOOKED = [Fault.GATEWAY, Fault.OOPS]
UNBOOKED = [Fault.BUSY, Fault.SERVER_ERROR]


@pytest.mark.fault("A02")
@pytest.mark.parametrize("fault", [*BOOKED, *UNBOOKED])
@pytest.mark.parametrize("look_up", [True, False])
@virtual_time
async def test_a02_http_5xx_leaves_the_order_in_doubt_and_then_placed_once(
    fault: Fault, look_up: bool
) -> None:
    sandbox = Sandbox()
    sandbox.faults.next(fault)
    order = await placed_once(sandbox, retry=RetryPolicy(reconcile=look_up))
    found = fault in BOOKED and look_up
    assert order.response.reconciled == found
    assert order.already_placed == (fault in BOOKED and not look_up)
    assert (asyncio.get_running_loop().time() >= 30) == (not found)


@pytest.mark.fault("A02", control=True)
@pytest.mark.fault("A03", control=True)
@virtual_time
async def test_a02_control_without_a_settle_delay_a_racy_server_sells_two_labels() -> None:
    sandbox = Sandbox(racy=True, courier_seconds=5)
    hasty = RetryPolicy(attempts=3, settle_delay=0.0, reconcile=False)
    async with at(sandbox, retry=hasty, timeouts=Timeouts(total=1)) as clickpost:
        with pytest.raises(NoReplyError):
            await clickpost.orders.create(india_order("R-1"))
        await asyncio.sleep(20)
    # The courier had been asked each time before the reference was recorded.
    assert len(sandbox.ledger()["R-1"]) == 3


@pytest.mark.fault("A03")
@virtual_time
async def test_a03_code_500_after_booking_is_found_again() -> None:
    sandbox = Sandbox()
    sandbox.faults.next(Fault.OOPS)
    assert (await placed_once(sandbox)).response.reconciled

    again = Sandbox()
    again.faults.next(Fault.OOPS)
    order = await placed_once(again, retry=RetryPolicy(reconcile=False))
    assert (order.already_placed, order.response.attempts) == (True, 2)


# --- couriers -----------------------------------------------------------------------------------


@pytest.mark.fault("A04")
@pytest.mark.parametrize("word", ["COURIER-BUSY", "COURIER-SLOW"])
@virtual_time
async def test_a04_busy_courier_is_retried_after_a_delay(word: str) -> None:
    order = await placed_once(Sandbox(), f"R-{word}-2")
    assert order.response.attempts <= 3


@pytest.mark.fault("A04")
@pytest.mark.parametrize("word", ["COURIER-BUSY", "COURIER-SLOW"])
@virtual_time
async def test_a04_courier_that_stays_busy_leaves_the_order_unknown_and_not_rejected(
    word: str,
) -> None:
    sandbox = Sandbox()
    async with at(sandbox) as clickpost:
        with pytest.raises(BusyCourierError) as caught:
            await clickpost.orders.create(india_order(f"R-{word}"))
    assert (caught.value.outcome, caught.value.safe_to_retry_in) == (Outcome.UNKNOWN, 30)
    assert (posts(sandbox), sandbox.ledger()) == (4, {})
    assert asyncio.get_running_loop().time() >= 30 + 60 + 120


@pytest.mark.fault("A05")
@virtual_time
async def test_a05_refusal_of_a_courier_is_rejected_with_its_message_and_not_retried() -> None:
    sandbox = Sandbox()
    async with at(sandbox) as clickpost:
        outcomes, report = await run(
            clickpost, [india_order("R-COURIER-REFUSES"), india_order("R-COURIER-ODD")]
        )
    refused, odd = outcomes["R-COURIER-REFUSES"], outcomes["R-COURIER-ODD"]
    assert isinstance(refused, Rejected)
    assert "the shipment was not accepted" in refused.reasons[0]
    # 354: it is unknown what the courier did.
    assert isinstance(odd, Unknown)
    assert isinstance(odd.error, CourierError)
    assert (report.requests, sandbox.ledger()) == (2, {})


# --- 323 ----------------------------------------------------------------------------------------


@pytest.mark.fault("A06")
@virtual_time
async def test_a06_waybill_is_taken_from_323() -> None:
    sandbox = Sandbox()
    sandbox.faults.next(Fault.DROP_AFTER)
    order = await placed_once(sandbox, retry=RetryPolicy(reconcile=False))
    assert (order.already_placed, order.response.status, order.response.attempts) == (True, 323, 2)


@pytest.mark.fault("A07")
@virtual_time
async def test_a07_order_placed_before_is_reported_as_already_placed() -> None:
    sandbox = Sandbox()
    async with at(sandbox) as clickpost:
        first = await clickpost.orders.create(india_order("R-1"))
        again = await clickpost.orders.create(india_order("R-1"))
        _, report = await run(clickpost, [india_order("R-1"), india_order("R-2")])
    assert (first.already_placed, again.already_placed) == (False, True)
    assert (again.response.attempts, again.waybill) == (1, first.waybill)
    assert (report.placed, report.already_placed, report.duplicates_avoided) == (1, 1, 0)
    assert len(sandbox.ledger()) == 2


@pytest.mark.fault("A08")
@virtual_time
async def test_a08_323_without_a_waybill_is_polled_until_it_has_one() -> None:
    bare = api_response(323, "already placed", result={"reference_number": "R-1"})
    play = Play([bare, bare, placed("W-1", "R-1", status=323)])
    async with playing(play) as clickpost:
        order = await clickpost.orders.create(india_order("R-1"))
    assert (order.waybill, len(play.look_ups)) == ("W-1", 2)

    play = Play([bare])
    async with playing(play) as clickpost:
        with pytest.raises(ClickPostError) as caught:
            await clickpost.orders.create(india_order("R-1"))
    assert caught.value.outcome is Outcome.UNKNOWN


@pytest.mark.fault("A09")
@virtual_time
async def test_a09_323_for_another_order_is_not_taken_for_this_one() -> None:
    async with playing([placed("W-9", "R-9", status=323)]) as clickpost:
        outcomes, _ = await run(clickpost, [india_order("R-1")])
    assert isinstance(outcomes["R-1"], Unknown)
    assert "another reference number" in str(outcomes["R-1"].error)


# --- orders that are worked on ------------------------------------------------------------------


@pytest.mark.fault("A10")
@pytest.mark.parametrize("polls", [0, 1, 3])
@virtual_time
async def test_a10_pending_order_is_polled_until_it_has_a_waybill(
    polls: int,
) -> None:
    sandbox = Sandbox(async_polls=polls)
    async with at(sandbox) as clickpost:
        order = await clickpost.orders.create(india_order("R-1", additional=ASYNC))
    assert sandbox.ledger() == {"R-1": (order.waybill,)}
    assert order.response.attempts == 2 + polls


@pytest.mark.fault("A10")
@virtual_time
async def test_a10_pending_order_may_be_rejected_or_stay_pending() -> None:
    sandbox = Sandbox(async_polls=2)
    async with at(sandbox) as clickpost:
        with pytest.raises(CourierError):
            await clickpost.orders.create(india_order("R-COURIER-REFUSES", additional=ASYNC))
    endless = Sandbox(async_polls=10_000)
    async with at(endless) as clickpost:
        outcomes, _ = await run(clickpost, [india_order("R-1", additional=ASYNC)])
    (outcome,) = outcomes.values()
    # Never done with no waybill.
    assert isinstance(outcome, Pending)
    assert (outcome.order.pending, outcome.order.waybill) == (True, None)
    assert endless.ledger() == {}


# --- keys, orders, codes ------------------------------------------------------------------------


@pytest.mark.fault("A11")
@virtual_time
async def test_a11_revoked_key_halts_the_run_and_rejects_no_order() -> None:
    sandbox = Sandbox(courier_seconds=0.1)

    async with at(sandbox) as clickpost:
        orders = (india_order(f"R-{number}") for number in range(1000))
        async with create(clickpost, orders, max_concurrency=10) as bulk:
            outcomes = []
            async for outcome in bulk:
                outcomes.append(outcome)
                if len(outcomes) == 100:
                    sandbox.api_key = "another-key-not-a-secret"
    report = bulk.report
    assert report.halted is not None
    assert (report.rejected, report.unknown) == (0, 0)
    # Those under way find out, and one each that had been begun meanwhile.
    assert report.pending <= 20
    assert report.total <= 130
    agrees({str(one.reference_number): one for one in outcomes}, sandbox.ledger())


@pytest.mark.fault("A12")
@virtual_time
async def test_a12_one_bad_order_stops_no_other() -> None:
    sandbox = Sandbox()
    bad = {
        "unserved": india_order("R-unserved", drop_info__drop_pincode="999999"),
        "account": india_order("R-account", shipment_details__account_code="unknown-account"),
        "inactive": india_order("R-inactive", shipment_details__account_code="inactive-account"),
        "vendor": india_order("R-vendor", shipment_details__account_code="needs-vendor-code"),
        "pincode": india_order("R-pincode", drop_info__drop_pincode="12"),
        "refused": india_order("R-COURIER-REFUSES"),
    }
    good = [india_order(f"R-{number}") for number in range(20)]
    async with at(sandbox) as clickpost:
        outcomes, report = await run(clickpost, [*bad.values(), *good])
    rejected = [one for one in outcomes.values() if isinstance(one, Rejected)]
    assert (report.placed, report.rejected, report.halted) == (20, len(bad), None)
    assert all(one.reasons and one.reasons[0] for one in rejected)
    agrees(outcomes, sandbox.ledger())


@pytest.mark.fault("A13")
@virtual_time
async def test_a13_undocumented_code_leaves_the_outcome_unknown() -> None:
    play = Play([api_response(999, "something new")])
    async with playing(play) as clickpost:
        with pytest.raises(RefusedError) as caught:
            await clickpost.orders.create(india_order("R-1"))
    error = caught.value
    assert (type(error), error.status, error.outcome) == (RefusedError, 999, Outcome.UNKNOWN)
    assert (error.message, len(play.requests)) == ("something new", 1)


# --- servers that are racy, and forget ----------------------------------------------------------

SLOW = 12.0


@pytest.mark.fault("A14")
@pytest.mark.parametrize("resend", Resend)
@virtual_time
async def test_a14_settling_outlasts_a_slow_courier(resend: Resend) -> None:
    sandbox = Sandbox(racy=True, courier_seconds=SLOW)
    policy = RetryPolicy(resend=resend)
    async with at(sandbox, retry=policy, timeouts=Timeouts(total=2)) as clickpost:
        orders = await asyncio.gather(
            *(clickpost.orders.create(india_order(f"R-{number}")) for number in range(8)),
            return_exceptions=True,
        )
        await asyncio.sleep(100)
    ledger = sandbox.ledger()
    assert {len(waybills) for waybills in ledger.values()} == {1}
    if resend is Resend.NEVER:
        assert posts(sandbox) == 8
    for order in orders:
        if isinstance(order, CreatedOrder):
            assert ledger[str(order.reference_number)] == (order.waybill,)
        else:
            assert isinstance(order, ClickPostError)
            assert order.outcome is Outcome.UNKNOWN


@pytest.mark.fault("A14", control=True)
@virtual_time
async def test_a14_without_a_settle_delay_the_same_courier_sells_every_order_two_labels() -> None:
    sandbox = Sandbox(racy=True, courier_seconds=SLOW)
    hasty = RetryPolicy(attempts=2, settle_delay=0.0)
    async with at(sandbox, retry=hasty, timeouts=Timeouts(total=2)) as clickpost:
        await asyncio.gather(
            *(clickpost.orders.create(india_order(f"R-{number}")) for number in range(8)),
            return_exceptions=True,
        )
        await asyncio.sleep(100)
    # A look-up alone is no cure: what is still at the courier is not recorded yet.
    assert {len(waybills) for waybills in sandbox.ledger().values()} == {2}


# --- calls that are no creates ------------------------------------------------------------------


@pytest.mark.fault("A16")
@virtual_time
async def test_a16_get_with_an_effect_is_not_retried() -> None:
    assert CATALOG["orders.cancel"].idempotency is Idempotency.IDEMPOTENT
    assert CATALOG["labels.regenerate"].idempotency is Idempotency.UNSAFE

    play = Play([httpx.ReadError(""), api_response(200, result={"status": "Cancelled"})])
    async with playing(play) as clickpost:
        await clickpost.orders.cancel("W-1", courier_partner=4, account_code="acme")
    assert 30 <= play.pauses[0] <= 60

    play = Play([httpx.ReadError("")])
    async with playing(play) as clickpost:
        with pytest.raises(NoReplyError) as caught:
            await clickpost.labels.regenerate("W-1", courier_partner=4)
    assert (len(play.requests), caught.value.safe_to_retry_in) == (1, None)


@pytest.mark.fault("A17")
@virtual_time
async def test_a17_order_without_a_label_is_placed() -> None:
    bare = api_response(200, result={"waybill": "W-1", "reference_number": "R-1", "label": None})
    async with playing([bare]) as clickpost:
        outcomes, _ = await run(clickpost, [india_order("R-1")])
    (outcome,) = outcomes.values()
    assert isinstance(outcome, Placed)
    assert (outcome.order.waybill, outcome.order.label) == ("W-1", None)


@pytest.mark.fault("A18")
@virtual_time
async def test_a18_every_piece_of_an_order_keeps_its_waybill() -> None:
    children = [{"waybill": "W-1-1"}, {"waybill": None, "reference_number": "R-1-2"}]
    pieces = api_response(
        200, result={"waybill": "W-1", "reference_number": "R-1", "childrenWaybill": children}
    )
    plain = api_response(
        200, result={"waybill": "W-1", "reference_number": "R-1", "children": children}
    )
    for response in (pieces, plain):
        async with playing([response]) as clickpost:
            order = await clickpost.orders.create(india_order("R-1"))
        assert order.waybill == "W-1"
        kept = [child.waybill for child in order.children] or [
            child["waybill"] for child in order.extra["childrenWaybill"]
        ]
        assert kept == ["W-1-1", None]


# --- outages ------------------------------------------------------------------------------------


@pytest.mark.fault("A19")
@virtual_time
async def test_a19_slow_couriers_slow_a_run_and_cause_no_retry_storm() -> None:
    sandbox = Sandbox(courier_seconds=30)
    async with at(sandbox) as clickpost:
        outcomes, report = await run(clickpost, [india_order(f"R-{n}") for n in range(300)])
    assert (report.placed, posts(sandbox)) == (300, 300)
    agrees(outcomes, sandbox.ledger())
