"""An order whose create got no response is looked up before it is resent, if it is resent."""

import asyncio
from decimal import Decimal
from typing import Any

import httpx
import pytest

from clickpost_async import (
    ClickPostError,
    CourierError,
    Idempotency,
    NoReplyError,
    Outcome,
    Post,
    Resend,
    RetryPolicy,
    UnreadableReplyError,
)
from clickpost_async._codec.envelope import order_of
from clickpost_async.bulk import create
from clickpost_async.events import CallFinished, SuspiciousResponse
from clickpost_async.settings import Priority
from clickpost_async.structures import CreatedOrder
from clickpost_async.testing import virtual_time
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
from tests.sandbox.samples import india_order, world_order

LOST: dict[str, Line] = {
    "no response": httpx.ReadError(""),
    "no response in time": httpx.ReadTimeout(""),
    "a page": httpx.Response(200, text="<html>"),
    "HTTP 504": httpx.Response(504),
    "500": api_response(500),
    "322": api_response(322),
    "329": api_response(329),
    "200 without a waybill": api_response(200, result={}),
    "323 without a waybill": api_response(323, result={}),
    "something unforeseen": RuntimeError("?"),
}


@pytest.mark.parametrize("how", LOST)
@virtual_time
async def test_lost_order_that_is_found_is_not_sent_again(how: str) -> None:
    play = Play([LOST[how]], knows=placed("W-9", "R-1"))
    async with playing(play) as clickpost:
        order = await clickpost.orders.create(india_order("R-1"))
        stats = clickpost.stats()

    assert isinstance(order, CreatedOrder)
    assert (order.waybill, order.already_placed) == ("W-9", False)
    assert (order.response.reconciled, order.response.attempts) == (True, 1)
    assert (len(play.requests), len(play.look_ups)) == (1, 1)
    assert (stats.calls, stats.reconciliations, stats.retries) == (1, 1, 0)
    assert asyncio.get_running_loop().time() == 0


@pytest.mark.parametrize(
    ("order", "path"),
    [(india_order("R-1"), "/api/v3/create-order/"), (world_order("R-1"), "/api/v4/create-order/")],
)
@virtual_time
async def test_look_up_goes_to_the_host_of_the_create(order: Any, path: str) -> None:
    play = Play([httpx.ReadError("")], knows=placed())
    async with playing(play) as clickpost:
        await clickpost.orders.create(order)

    (asked,) = play.look_ups
    assert (asked.method, asked.url.path) == ("GET", path)
    assert dict(asked.url.params)["reference_number"] == "R-1"


@pytest.mark.parametrize(
    "knows",
    [
        api_response(321, "no such order"),
        api_response(307, "?"),
        api_response(200, result={"waybill": ""}),
        api_response(301, "wrong key"),
        placed("W-8", "R-8"),
        httpx.Response(404),
        httpx.Response(405, text="<html>"),
        httpx.ReadError(""),
        httpx.ConnectError(""),
    ],
)
@virtual_time
async def test_order_settles_and_is_resent_when_its_look_up_fails(
    knows: Line,
) -> None:
    play = Play([httpx.ReadError(""), placed()], knows=knows)
    async with playing(play) as clickpost:
        order = await clickpost.orders.create(india_order("R-1"))

    assert (order.waybill, order.response.attempts, order.response.reconciled) == ("W-1", 2, False)
    assert len(play.look_ups) == 1
    assert 30 <= play.pauses[0] <= 60


@virtual_time
async def test_order_that_is_found_unfinished_is_polled_with_the_create() -> None:
    play = Play([httpx.ReadError(""), queued(102), placed()], knows=queued(202))
    async with playing(play) as clickpost:
        order = await clickpost.orders.create(india_order("R-1"))

    assert (order.waybill, order.response.attempts) == ("W-1", 3)
    # Asked for, not settled: what is found is recorded.
    assert 24 <= play.pauses[0] <= 36


GATEWAYS: dict[str, httpx.Response] = {
    f"HTTP {status}": httpx.Response(status, text="<html>")
    for status in (303, 400, 402, 404, 405, 409, 410, 413, 418, 422, 451)
}


@pytest.mark.parametrize("what", GATEWAYS)
@virtual_time
async def test_page_of_a_gateway_is_looked_up_once_and_decides_nothing(what: str) -> None:
    play = Play([GATEWAYS[what], placed()])
    async with playing(play) as clickpost:
        with pytest.raises(UnreadableReplyError) as caught:
            await clickpost.orders.create(india_order("R-1"))
        assert (len(play.requests), len(play.look_ups), play.times) == (1, 1, [0])
        order = await clickpost.orders.create(india_order("R-1"))

    error = caught.value
    assert (error.outcome, error.transient, error.safe_to_retry_in) == (Outcome.UNKNOWN, False, 30)
    # It was in doubt until then.
    assert (order.waybill, play.times) == ("W-1", [0, 30])


@pytest.mark.parametrize("what", GATEWAYS)
@virtual_time
async def test_order_behind_a_page_of_a_gateway_is_found(what: str) -> None:
    play = Play([GATEWAYS[what]], knows=placed("W-9", "R-1"))
    async with playing(play) as clickpost:
        order = await clickpost.orders.create(india_order("R-1"))

    assert (order.waybill, order.response.reconciled) == ("W-9", True)


@pytest.mark.parametrize(
    "line", [api_response(307), api_response(319), api_response(999), httpx.ConnectError("")]
)
@virtual_time
async def test_only_orders_in_doubt_are_looked_up(line: Line) -> None:
    play = Play([line])
    async with playing(play, retry=RetryPolicy(attempts=2)) as clickpost:
        with pytest.raises(ClickPostError):
            await clickpost.orders.create(india_order("R-1"))

    assert play.look_ups == []


@virtual_time
async def test_policy_may_disable_look_ups() -> None:
    play = Play([httpx.ReadError(""), placed()], knows=placed("W-9"))
    async with playing(play, retry=RetryPolicy(reconcile=False)) as clickpost:
        order = await clickpost.orders.create(india_order("R-1"))

    assert (order.waybill, play.look_ups) == ("W-1", [])


@virtual_time
async def test_only_endpoints_with_a_look_up_are_looked_up() -> None:
    own = Post(
        "/v9/own/",
        returns=CreatedOrder,
        extract=order_of,
        idempotency=Idempotency.BY_REFERENCE,
    )
    play = Play([httpx.ReadError(""), placed()])
    async with playing(play) as clickpost:
        await clickpost.post(own, india_order("R-1"))

    assert (len(play.requests), play.look_ups) == (2, [])


@virtual_time
async def test_look_up_that_hangs_ends_with_the_deadline_and_the_order_is_unknown() -> None:
    play = Play([httpx.ReadError("")], knows=never_responds)
    async with playing(play) as clickpost:
        with pytest.raises(NoReplyError) as caught:
            await clickpost.with_options(deadline=10).orders.create(india_order("R-1"))

    assert (caught.value.outcome, caught.value.reference_number) == (Outcome.UNKNOWN, "R-1")
    assert (len(play.requests), asyncio.get_running_loop().time()) == (1, 10)


# --- never sent again -------------------------------------------------------------------------

HOLD = RetryPolicy(resend=Resend.NEVER)


@virtual_time
async def test_order_that_is_never_resent_is_looked_up_until_it_is_given_up() -> None:
    play = Play([httpx.ReadTimeout(""), placed()])
    async with playing(play, retry=HOLD) as clickpost:
        with pytest.raises(NoReplyError) as caught:
            await clickpost.orders.create(india_order("R-1"))

    assert (len(play.requests), len(play.look_ups)) == (1, HOLD.attempts)
    error = caught.value
    assert (error.outcome, error.attempts, error.safe_to_retry_in) == (Outcome.UNKNOWN, 1, None)
    # 30 and 60 and 120 seconds, and up to twice that.
    assert 210 <= asyncio.get_running_loop().time() <= 420


@virtual_time
async def test_order_that_is_never_sent_again_may_be_found_later() -> None:
    asked = 0

    async def knows(request: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        return placed("W-9", "R-1") if asked == 3 else api_response(321)

    play = Play([api_response(322)], knows=knows)
    async with playing(play, retry=HOLD) as clickpost:
        order = await clickpost.orders.create(india_order("R-1"))

    assert (order.waybill, order.response.reconciled, order.response.attempts) == ("W-9", True, 1)
    assert len(play.requests) == 1


@virtual_time
async def test_order_that_was_not_sent_is_sent_again_under_any_policy() -> None:
    play = Play([httpx.ConnectError(""), httpx.Response(429), placed()])
    async with playing(play, retry=HOLD) as clickpost:
        order = await clickpost.orders.create(india_order("R-1"))

    assert (order.waybill, order.response.attempts) == ("W-1", 3)


@virtual_time
async def test_pending_order_that_was_lost_is_polled_by_look_up() -> None:
    states = iter([queued(202), queued(102), placed("W-9", "R-1")])

    async def knows(request: httpx.Request) -> httpx.Response:
        return next(states)

    play = Play([httpx.ReadError("")], knows=knows)
    async with playing(play, retry=HOLD) as clickpost:
        order = await clickpost.orders.create(india_order("R-1"))

    assert (order.waybill, len(play.requests), len(play.look_ups)) == ("W-9", 1, 3)


@virtual_time
async def test_create_that_is_cancelled_on_the_wire_settles_from_its_own_sending() -> None:
    play = Play([httpx.ReadError(""), never_responds, placed()])
    async with playing(play, retry=RetryPolicy(attempts=1, reconcile=False)) as clickpost:
        with pytest.raises(NoReplyError):
            await clickpost.orders.create(india_order("R-1"))
        second = asyncio.create_task(clickpost.orders.create(india_order("R-1")))
        await asyncio.sleep(40)
        second.cancel()
        await asyncio.wait([second])
        await clickpost.orders.create(india_order("R-1"))

    # The first was lost at 0 s, the second cancelled at 40 s.
    assert play.times == [0, 30, 70]


@pytest.mark.parametrize("number", [1001, 1001.0, Decimal(1001)], ids=repr)
@virtual_time
async def test_reference_number_given_as_a_number_is_looked_up_and_settles_too(
    number: object,
) -> None:
    order = india_order("R-1")
    order["shipment_details"]["reference_number"] = number
    play = Play([httpx.ReadError(""), placed(reference_number="1001")], knows=api_response(321))
    async with playing(play, retry=RetryPolicy(attempts=1)) as clickpost:
        with pytest.raises(NoReplyError) as caught:
            await clickpost.orders.create(order)
        await clickpost.orders.create(order)

    assert caught.value.reference_number == "1001"
    assert {dict(asked.url.params)["reference_number"] for asked in play.look_ups} == {"1001"}
    assert play.times == [0, 30]


# --- couriers' errors that ClickPost does not recognise ---------------------------------------


@pytest.mark.parametrize(("policy", "sendings"), [({}, 1), ({"retry_unrecognised": True}, 2)])
@virtual_time
async def test_unrecognised_error_is_repeated_once_and_only_on_request(
    policy: dict[str, Any], sendings: int
) -> None:
    play = Play([api_response(354, "odd")])
    async with playing(play, retry=RetryPolicy(**policy)) as clickpost:
        with pytest.raises(CourierError) as caught:
            await clickpost.orders.create(india_order("R-1"))

    assert (len(play.requests), caught.value.outcome) == (sendings, Outcome.UNKNOWN)
    assert all(30 <= pause <= 60 for pause in play.pauses)


# --- when it may be sent again ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "again_in"),
    [
        (httpx.ConnectError(""), 0.0),
        (httpx.Response(429, headers={"retry-after": "7"}), 7.0),
        (httpx.ReadError(""), 30.0),
        (api_response(322), 30.0),
        (httpx.Response(503, headers={"retry-after": "45"}), 45.0),
        (api_response(307), None),
        (api_response(319), None),
    ],
)
@virtual_time
async def test_error_has_the_time_of_a_safe_retry(line: Line, again_in: float | None) -> None:
    async with playing([line], retry=RetryPolicy(attempts=1)) as clickpost:
        with pytest.raises(ClickPostError) as caught:
            await clickpost.orders.create(india_order("R-1"))

    assert caught.value.safe_to_retry_in == again_in


@pytest.mark.parametrize(
    ("repeat", "again_in"),
    [
        (Idempotency.SAFE, 0.0),
        (Idempotency.IDEMPOTENT, 30.0),
        (Idempotency.BY_REFERENCE, 30.0),
        (Idempotency.UNSAFE, None),
    ],
)
@virtual_time
async def test_unsafe_operation_is_not_resent_at_all(
    repeat: Idempotency, again_in: float | None
) -> None:
    own = Post("/v9/own/", returns=CreatedOrder, extract=order_of, idempotency=repeat)
    async with playing([httpx.ReadError("")], retry=RetryPolicy(attempts=1)) as clickpost:
        with pytest.raises(NoReplyError) as caught:
            await clickpost.post(own, {})

    assert caught.value.safe_to_retry_in == again_in


# --- many -------------------------------------------------------------------------------------


@virtual_time
async def test_mixed_up_responses_are_taken_for_neither_order() -> None:
    references = ["R-1", "R-2"]

    async def mixed(request: httpx.Request) -> httpx.Response:
        import json

        reference = json.loads(request.content)["shipment_details"]["reference_number"]
        other = references[1 - references.index(reference)]
        await asyncio.sleep(1)
        return placed(f"W-{other}", other)

    async def knows(request: httpx.Request) -> httpx.Response:
        reference = request.url.params["reference_number"]
        return placed(f"W-{reference}", reference)

    play = Play([mixed], knows=knows)
    async with playing(play) as clickpost:
        orders = await asyncio.gather(
            *(clickpost.orders.create(india_order(reference)) for reference in references)
        )

    assert [order.waybill for order in orders] == ["W-R-1", "W-R-2"]
    assert {order.response.reconciled for order in orders} == {True}


ANOTHERS: dict[str, Line] = {
    "200": placed("W-8", "R-8"),
    "323": placed("W-8", "R-8", status=323),
    "202": api_response(202, "queued", result={"waybill": None, "reference_number": "R-8"}),
    "102": api_response(102, "queued", result={"waybill": None}, reference_number="R-8"),
}


@pytest.mark.parametrize("status", ANOTHERS)
@virtual_time
async def test_response_for_another_reference_is_rejected_where_the_order_is_found(
    status: str,
) -> None:
    listener = Listener()
    play = Play([ANOTHERS[status]], knows=placed("W-9", "R-1"))
    async with playing(play, observers=[listener]) as clickpost:
        order = await clickpost.orders.create(india_order("R-1"))

    assert (order.waybill, order.response.reconciled) == ("W-9", True)
    assert (len(play.requests), len(listener.of(SuspiciousResponse))) == (1, 1)


@pytest.mark.parametrize("status", ANOTHERS)
@virtual_time
async def test_response_for_another_reference_settles_and_the_order_is_sent_again(
    status: str,
) -> None:
    play = Play([ANOTHERS[status], placed("W-1", "R-1")])
    async with playing(play) as clickpost:
        order = await clickpost.orders.create(india_order("R-1"))

    assert (order.waybill, order.response.attempts, len(play.look_ups)) == ("W-1", 2, 1)
    assert 30 <= play.pauses[0] <= 60


@pytest.mark.parametrize("status", ANOTHERS)
@pytest.mark.parametrize("retry", [RetryPolicy(attempts=2), RetryPolicy.never()])
@virtual_time
async def test_responses_for_another_reference_end_unknown_and_never_in_its_waybill(
    status: str, retry: RetryPolicy
) -> None:
    play = Play([ANOTHERS[status]], knows=ANOTHERS[status])
    async with playing(play, retry=retry) as clickpost:
        with pytest.raises(UnreadableReplyError) as caught:
            await clickpost.orders.create(india_order("R-1"))

    assert (caught.value.outcome, caught.value.reference_number) == (Outcome.UNKNOWN, "R-1")
    assert "another reference number" in caught.value.message


@pytest.mark.parametrize("reference", [None, "R-1", " R-1 "])
@virtual_time
async def test_response_without_another_reference_is_accepted(reference: str | None) -> None:
    play = Play([placed("W-1", reference)])
    async with playing(play) as clickpost:
        order = await clickpost.orders.create(india_order("R-1"))

    assert (order.waybill, play.look_ups) == ("W-1", [])


@virtual_time
async def test_find_that_gives_another_order_is_unreadable() -> None:
    play = Play([placed()], knows=placed("W-8", "R-8"))
    async with playing(play) as clickpost:
        with pytest.raises(UnreadableReplyError, match="another reference number"):
            await clickpost.orders.find_india("R-1")


@virtual_time
async def test_look_up_yields_where_its_order_does() -> None:
    play = Play([httpx.ReadError("")], knows=placed())
    listener = Listener()
    async with playing(play, observers=[listener]) as clickpost:
        bulk = clickpost.with_options(priority=Priority.BULK)
        await bulk.orders.create(india_order("R-1"))

    assert [event.endpoint for event in listener.of(CallFinished)] == [
        "orders.find_india",
        "orders.create_india",
    ]


@virtual_time
async def test_bulk_run_finds_lost_orders_too() -> None:
    play = Play([api_response(329, "slow")], knows=placed("W-9"))
    async with playing(play) as clickpost, create(clickpost, [india_order("R-1")]) as run:
        (outcome,) = [outcome async for outcome in run]

    assert (outcome.attempts, run.report.placed) == (1, 1)


# --- for those who keep a ledger ----------------------------------------------------------------


@virtual_time
async def test_ledger_is_marked_before_each_send_of_an_order_only() -> None:
    announced: list[tuple[str, int, int]] = []
    play = Play([httpx.ConnectError(""), httpx.ReadError(""), queued(), placed()])

    async def note(reference: str, attempt: int) -> None:
        await asyncio.sleep(0.01)
        announced.append((reference, attempt, len(play.requests)))

    async with playing(play) as clickpost:
        keeping = clickpost.with_options(before_create=note)
        order = await keeping.orders.create(india_order("R-1"))
        await keeping.orders.fetch_india("W-1", courier_partner=4)
        await keeping.couriers.pincode("110001")

    assert announced == [("R-1", 1, 0), ("R-1", 2, 1), ("R-1", 3, 2), ("R-1", 4, 3)]
    assert (order.response.attempts, len(play.look_ups)) == (4, 1)


@virtual_time
async def test_ledger_that_cannot_write_keeps_the_order_from_being_sent() -> None:
    async def full(reference: str, attempt: int) -> None:
        raise OSError(28, "no space left on device")

    listener = Listener()
    play = Play([placed()])
    async with playing(play, observers=[listener]) as clickpost:
        with pytest.raises(OSError, match="no space"):
            await clickpost.with_options(before_create=full).orders.create(india_order("R-1"))
        assert clickpost.stats().in_flight == 0
        assert (await clickpost.orders.create(india_order("R-1"))).waybill == "W-1"

    assert (len(play.requests), listener.of(CallFinished)[0].outcome) == (1, Outcome.NOT_SENT)


@pytest.mark.parametrize("resend", Resend)
@virtual_time
async def test_order_in_doubt_that_is_found_is_not_sent(resend: Resend) -> None:
    play = Play([placed()], knows=placed("W-9"))
    async with playing(play, retry=RetryPolicy(resend=resend)) as clickpost:
        order = await clickpost.with_options(in_doubt=True).orders.create(india_order("R-1"))

    assert (order.waybill, order.response.reconciled, order.response.attempts) == ("W-9", True, 0)
    assert play.requests == []


@virtual_time
async def test_order_in_doubt_that_is_not_found_is_sent() -> None:
    play = Play([placed("W-1", status=323)])
    async with playing(play) as clickpost:
        order = await clickpost.with_options(in_doubt=True).orders.create(india_order("R-1"))

    assert (order.waybill, order.already_placed, order.response.attempts) == ("W-1", True, 1)
    assert len(play.look_ups) == 1


@pytest.mark.parametrize(
    ("line", "policy"),
    [
        (httpx.ConnectError(""), RetryPolicy(attempts=2)),
        (httpx.Response(429), RetryPolicy(attempts=2)),
        (placed(), RetryPolicy(attempts=2, resend=Resend.NEVER)),
    ],
)
@virtual_time
async def test_order_in_doubt_stays_unknown_unless_something_is_known(
    line: Line, policy: RetryPolicy
) -> None:
    async with playing([line], retry=policy) as clickpost:
        with pytest.raises(NoReplyError) as caught:
            await clickpost.with_options(in_doubt=True).orders.create(india_order("R-1"))

    assert (caught.value.outcome, caught.value.reference_number) == (Outcome.UNKNOWN, "R-1")
