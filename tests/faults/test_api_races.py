"""Chapter A, races: what is bought or done twice if it is retried too early, or at all."""

from typing import Any

import anyio
import httpx
import pytest

from clickpost_async import (
    ClickPost,
    ClickPostError,
    Outcome,
    Resend,
    RetryPolicy,
    ServerError,
    Timeouts,
)
from clickpost_async._codec.endpoint import Get, Idempotency
from clickpost_async.bulk import Placed, Unknown
from clickpost_async.endpoints import CATALOG
from clickpost_async.sandbox import Fault, Sandbox
from clickpost_async.structures import CancelledOrder
from clickpost_async.testing import virtual_time
from tests.faults.misbehaving_sandbox import Door, keeps_faith, orders, run
from tests.helpers.scripted_transport import Line, api_response, playing
from tests.sandbox.samples import india_order

# Answers are given up after so long; couriers take longer.
PATIENCE = Timeouts(total=5)


def most_bought(sandbox: Sandbox) -> int:
    return max(len(waybills) for waybills in sandbox.ledger().values())


# --- A14: a server that records a reference only after its courier has responded -----------------


@pytest.mark.fault("A14")
@pytest.mark.parametrize("courier_seconds", [6, 15, 29])
@virtual_time
async def test_a14_run_buys_no_label_twice_where_settling_outlasts_the_courier(
    courier_seconds: float,
) -> None:
    door = Door(Sandbox(racy=True, courier_seconds=courier_seconds))
    async with door.client(timeouts=PATIENCE) as clickpost:
        outcomes, report = await run(clickpost, orders(15))
        await anyio.sleep(600)

    keeps_faith(door, outcomes)
    # Looked up at once, it was not found: the courier had not responded yet.
    assert (report.placed + report.already_placed, report.unknown) == (15, 0)
    assert door.posts > 15


@pytest.mark.fault("A14", control=True)
@pytest.mark.parametrize("look_up", [True, False])
@pytest.mark.parametrize("courier_seconds", [15, 29])
@virtual_time
async def test_a14_sent_again_at_once_the_same_orders_are_bought_twice(
    courier_seconds: float, look_up: bool
) -> None:
    door = Door(Sandbox(racy=True, courier_seconds=courier_seconds))
    hasty = RetryPolicy(settle_delay=0.0, reconcile=look_up)
    async with door.client(timeouts=PATIENCE, retry=hasty) as clickpost:
        await run(clickpost, orders(15))
        await anyio.sleep(600)

    assert most_bought(door.sandbox) >= 2


@pytest.mark.fault("A14", control=True)
@virtual_time
async def test_a14_settle_delay_shorter_than_the_courier_does_not_help() -> None:
    door = Door(Sandbox(racy=True, courier_seconds=100))
    async with door.client(timeouts=PATIENCE) as clickpost:
        await run(clickpost, orders(3))
        await anyio.sleep(600)

    assert most_bought(door.sandbox) == 2


@pytest.mark.fault("A14")
@pytest.mark.parametrize("courier_seconds", [6, 29, 100, 1000, 10_000])
@virtual_time
async def test_a14_order_that_is_never_resent_is_bought_once_by_any_courier(
    courier_seconds: float,
) -> None:
    door = Door(Sandbox(racy=True, courier_seconds=courier_seconds))
    hold = RetryPolicy(resend=Resend.NEVER)
    async with door.client(timeouts=PATIENCE, retry=hold) as clickpost:
        outcomes, report = await run(clickpost, orders(15))
        await anyio.sleep(20_000)

        keeps_faith(door, outcomes)
        assert (door.posts, report.rejected, report.pending) == (15, 0, 0)
        for outcome in outcomes.values():
            if isinstance(outcome, Unknown):
                # Not to be resent without a look-up first.
                assert (outcome.error.outcome, outcome.error.safe_to_retry_in) == (
                    Outcome.UNKNOWN,
                    None,
                )

        # A person who looks later finds them all.
        for reference, (waybill,) in door.sandbox.ledger().items():
            found = await clickpost.orders.find_india(reference)
            assert found.waybill == waybill


# --- A15: a server that forgets -----------------------------------------------------------------
# How long ago an order was sent is in a journal; within a call a policy is needed.


def forgetful(sandbox: Sandbox) -> Line:
    """Answer nothing, and forget all references by then; what was bought stays bought."""

    async def respond(request: httpx.Request) -> httpx.Response:
        sandbox.store.run("DELETE FROM orders")
        raise httpx.ReadError("")

    return respond


async def lost_and_forgotten(resend: Resend) -> tuple[Door, dict[str, Any]]:
    sandbox = Sandbox()
    forgets = forgetful(sandbox)
    door = Door(sandbox, instead=lambda _, number: forgets if number == 1 else None, books=["R-0"])
    async with door.client(retry=RetryPolicy(resend=resend)) as clickpost:
        outcomes, _ = await run(clickpost, orders(1))
    return door, outcomes


@pytest.mark.fault("A15")
@virtual_time
async def test_a15_order_that_is_never_resent_is_bought_once_by_a_server_that_forgets() -> None:
    door, outcomes = await lost_and_forgotten(Resend.NEVER)

    keeps_faith(door, outcomes)
    assert isinstance(outcomes["R-0"], Unknown)
    assert (door.posts, most_bought(door.sandbox)) == (1, 1)


@pytest.mark.fault("A15", control=True)
@virtual_time
async def test_a15_order_resent_after_the_server_forgot_it_is_bought_twice() -> None:
    door, outcomes = await lost_and_forgotten(Resend.AFTER_SETTLING)

    assert isinstance(outcomes["R-0"], Placed)
    assert (door.posts, most_bought(door.sandbox)) == (2, 2)


# --- A16: reads that act ------------------------------------------------------------------------

CANCEL: dict[str, Any] = {"courier_partner": 4, "account_code": "lotus-surface"}


def at(sandbox: Sandbox, **settings: Any) -> ClickPost:
    return Door(sandbox).client(**settings)


async def cancellation(word: str, *faults: Fault) -> tuple[CancelledOrder, Sandbox]:
    sandbox = Sandbox()
    async with at(sandbox) as clickpost:
        order = await clickpost.orders.create(india_order(f"R-{word}"))
        for fault in faults:
            sandbox.faults.next(fault)
        result = await clickpost.orders.cancel(str(order.waybill), **CANCEL)
    return result, sandbox


def asked(sandbox: Sandbox, operation: str) -> list[float]:
    return [one.moment for one in sandbox.requests() if one.operation == operation]


@pytest.mark.fault("A16")
@pytest.mark.parametrize(
    "fault", [Fault.DROP_AFTER, Fault.GATEWAY, Fault.OOPS, Fault.HALF_RESPONSE]
)
@virtual_time
async def test_a16_cancellation_without_a_response_settles_and_is_found_done(
    fault: Fault,
) -> None:
    result, sandbox = await cancellation("1", fault)

    first, second = asked(sandbox, "orders.cancel")
    assert second - first >= 30
    assert (result.response.status, result.cancelled) == (600, True)


@pytest.mark.fault("A16")
@virtual_time
async def test_a16_cancellation_decided_later_is_requested_once() -> None:
    result, sandbox = await cancellation("CANCEL-LATER")

    assert len(asked(sandbox, "orders.cancel")) == 1
    assert (result.response.status, result.pending, result.cancelled) == (202, True, False)


RESPONSES: dict[str, Line] = {
    "no response": httpx.ReadError(""),
    "HTTP 500": httpx.Response(500),
    "code 500": api_response(500),
    "a page": httpx.Response(200, text="<html>"),
}


@pytest.mark.fault("A16")
@pytest.mark.parametrize("how", RESPONSES)
@virtual_time
async def test_a16_label_is_reprinted_once_whatever_the_response(how: str) -> None:
    async with playing([RESPONSES[how]]) as clickpost:
        with pytest.raises(ClickPostError) as caught:
            await clickpost.labels.regenerate("W-1", courier_partner=4)
        assert clickpost.stats().attempts == 1

    assert (caught.value.outcome, caught.value.safe_to_retry_in) == (Outcome.UNKNOWN, None)


@pytest.mark.fault("A16", control=True)
@pytest.mark.parametrize("how", RESPONSES)
@virtual_time
async def test_a16_declared_safe_the_get_would_print_the_label_again(how: str) -> None:
    async with playing([RESPONSES[how]]) as clickpost:
        with pytest.raises(ClickPostError):
            await clickpost.labels.fetch("W-1", courier_partner=4)
        assert clickpost.stats().attempts > 1


@pytest.mark.fault("A16")
def test_a16_gets_with_an_effect_are_declared() -> None:
    acting = {
        name
        for name, endpoint in CATALOG.items()
        if isinstance(endpoint, Get) and endpoint.idempotency is not Idempotency.SAFE
    }
    assert acting == {"orders.cancel", "labels.regenerate"}


# --- A17, A18: what is bought, and is not all there ---------------------------------------------


@pytest.mark.fault("A17")
@virtual_time
async def test_a17_missing_label_is_fetched_later_by_the_waybill() -> None:
    sandbox = Sandbox()
    async with at(sandbox) as clickpost:
        order = await clickpost.orders.create(india_order("R-1", additional={"label": False}))
        label = await clickpost.labels.fetch(str(order.waybill), courier_partner=4)

    assert order.label is None
    assert label.url
    assert sandbox.ledger() == {"R-1": (order.waybill,)}


@pytest.mark.fault("A17")
@virtual_time
async def test_a17_missing_label_puts_no_order_in_doubt() -> None:
    door = Door()
    async with door.client() as clickpost:
        outcomes, _ = await run(clickpost, orders(1, additional={"label": False}))
        door.sandbox.faults.oops = 1.0
        with pytest.raises(ServerError):
            await clickpost.labels.fetch("W-1", courier_partner=4)

    keeps_faith(door, outcomes)
    assert isinstance(outcomes["R-0"], Placed)


@pytest.mark.fault("A18")
@pytest.mark.parametrize("look_up", [True, False])
@virtual_time
async def test_a18_order_of_several_pieces_that_is_found_again_is_bought_once(
    look_up: bool,
) -> None:
    door = Door(
        instead=lambda _, number: httpx.ReadError("") if number == 1 else None, books=["R-1"]
    )
    pieces = india_order("R-1", shipment_details__courier_partner=129)
    async with door.client(retry=RetryPolicy(reconcile=look_up)) as clickpost:
        found = await clickpost.orders.create(pieces)
        again = await clickpost.orders.create(pieces)

    assert door.sandbox.ledger() == {"R-1": (found.waybill,)}
    # The look-up by reference shows no pieces; asked again, ClickPost does.
    assert (len(found.children), found.response.reconciled) == (0 if look_up else 2, look_up)
    assert [bool(child.waybill) for child in again.children] == [True, True]


@pytest.mark.fault("A18")
@pytest.mark.parametrize(
    "children",
    [
        [{"waybill": "W-1-1"}, {"waybill": None}],
        [{"waybill": "W-1-1"}, None],
        [{"waybill": "W-1-1"}, "W-1-2"],
        {"a": {"waybill": "W-1-1"}, "b": {}},
        {"waybill": "W-1-1"},
        [{"waybill": "W-1-1", "item": "one"}],
    ],
)
@virtual_time
async def test_a18_missing_pieces_lose_neither_the_order_nor_the_other_pieces(
    children: Any,
) -> None:
    result = {"waybill": "W-1", "reference_number": "R-0", "children": children}
    async with playing([api_response(200, result=result)]) as clickpost:
        outcomes, _ = await run(clickpost, orders(1))

    (outcome,) = outcomes.values()
    assert isinstance(outcome, Placed)
    assert outcome.order.waybill == "W-1"
    assert outcome.order.children[0].waybill == "W-1-1"


@pytest.mark.fault("A18")
@virtual_time
async def test_a18_pieces_without_the_waybill_of_the_whole_leave_the_order_unknown() -> None:
    result = {"waybill": None, "reference_number": "R-0", "children": [{"waybill": "W-1-1"}]}
    async with playing([api_response(200, result=result)]) as clickpost:
        outcomes, report = await run(clickpost, orders(1))

    assert isinstance(outcomes["R-0"], Unknown)
    assert report.rejected == 0
