"""A B2B order is polled with its look-up, and sent again only when a look-up has not found it."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from clickpost_async import (
    CourierError,
    InvalidRequestError,
    NoReplyError,
    Outcome,
    RetryPolicy,
    structure,
    unstructure,
)
from clickpost_async.structures import B2BOrder
from clickpost_async.testing import virtual_time
from tests.helpers.scripted_transport import Line, Play, api_response, placed, playing, queued
from tests.sandbox.samples import india_order

SAMPLES = Path(__file__).parent.parent / "samples" / "orders"


def b2b_order(reference_number: str = "B-1", **shipment: Any) -> dict[str, Any]:
    sample = json.loads((SAMPLES / "create_b2b--in-process.json").read_text())
    order: dict[str, Any] = sample["args"][0]
    order["shipment_info"] |= {"reference_number": reference_number, **shipment}
    return order


def lookups(*lines: Line) -> Any:
    """Respond to one look-up after the other, the last line for good."""
    left = list(lines)

    async def respond(_: httpx.Request) -> httpx.Response:
        line = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(line, Exception):
            raise line
        assert isinstance(line, httpx.Response)
        return httpx.Response(line.status_code, content=line.content)

    return respond


@virtual_time
async def test_pending_b2b_order_is_polled_with_the_lookup_and_not_sent_again() -> None:
    play = Play([queued(102)], knows=lookups(queued(102), queued(102), placed("W-9", "B-1")))
    async with playing(play) as clickpost:
        order = await clickpost.orders.create_b2b(b2b_order())

    assert (order.waybill, order.pending) == ("W-9", False)
    assert [(sent.method, sent.url.path) for sent in play.requests] == [
        ("POST", "/api/v1/create-b2b-order/")
    ]
    assert [(sent.method, sent.url.path) for sent in play.look_ups] == [
        ("GET", "/api/v1/create-b2b-order/")
    ] * 3


@virtual_time
async def test_v3_order_is_polled_by_the_same_post() -> None:
    play = Play([queued(202), queued(102), placed("W-9", "R-1")])
    async with playing(play) as clickpost:
        await clickpost.orders.create_india(india_order("R-1"))

    assert (len(play.requests), len(play.look_ups)) == (3, 0)


@virtual_time
async def test_b2b_order_that_fails_later_is_rejected() -> None:
    play = Play([queued(102)], knows=api_response(420, "Pincode not serviceable"))
    async with playing(play) as clickpost:
        with pytest.raises(CourierError) as caught:
            await clickpost.orders.create_b2b(b2b_order())

    assert (caught.value.status, caught.value.outcome) == (420, Outcome.REJECTED)
    assert caught.value.reference_number == "B-1"


@virtual_time
async def test_look_up_without_a_pending_b2b_order_leaves_it_unknown() -> None:
    play = Play([queued(102)], knows=api_response(321, "AWB not found"))
    async with playing(play) as clickpost:
        with pytest.raises(InvalidRequestError) as caught:
            await clickpost.orders.create_b2b(b2b_order())

    assert (caught.value.status, caught.value.outcome) == (321, Outcome.UNKNOWN)
    assert len(play.requests) == 1


@virtual_time
async def test_poll_without_a_response_is_repeated() -> None:
    play = Play([queued(102)], knows=lookups(httpx.ReadError(""), placed("W-9", "B-1")))
    async with playing(play) as clickpost:
        order = await clickpost.orders.create_b2b(b2b_order())

    assert order.waybill == "W-9"
    assert len(play.requests) == 1


@virtual_time
async def test_b2b_order_that_stays_pending_is_returned_so() -> None:
    play = Play([queued(102)], knows=queued(102))
    async with playing(play, retry=RetryPolicy(poll_timeout=100.0)) as clickpost:
        order = await clickpost.orders.create_b2b(b2b_order())

    assert order.pending
    assert len(play.requests) == 1


@virtual_time
async def test_lost_b2b_order_is_looked_up_before_it_is_sent_again() -> None:
    play = Play([httpx.ReadError("")], knows=placed("W-9", "B-1"))
    async with playing(play) as clickpost:
        order = await clickpost.orders.create_b2b(b2b_order())

    assert (order.waybill, order.response.reconciled) == ("W-9", True)
    assert len(play.requests) == 1


@virtual_time
async def test_lost_b2b_order_that_a_lookup_finds_pending_is_polled_and_not_sent_again() -> None:
    play = Play(
        [httpx.ReadError("")], knows=lookups(queued(102), queued(102), placed("W-9", "B-1"))
    )
    async with playing(play) as clickpost:
        order = await clickpost.orders.create_b2b(b2b_order())

    assert order.waybill == "W-9"
    assert (len(play.requests), len(play.look_ups)) == (1, 3)


@virtual_time
async def test_b2b_order_in_doubt_that_a_lookup_finds_pending_is_polled_and_not_sent() -> None:
    play = Play([], knows=lookups(queued(102), placed("W-9", "B-1")))
    async with playing(play) as clickpost:
        order = await clickpost.with_options(in_doubt=True).orders.create_b2b(b2b_order())

    assert order.waybill == "W-9"
    assert (len(play.requests), len(play.look_ups)) == (0, 2)


@virtual_time
async def test_lost_b2b_order_not_found_is_resent_after_the_settle_delay() -> None:
    play = Play([httpx.ReadError(""), placed("W-9", "B-1")])
    async with playing(play) as clickpost:
        await clickpost.orders.create_b2b(b2b_order())

    assert 30 <= play.pauses[0] <= 60


@virtual_time
async def test_equal_b2b_creates_are_sent_once() -> None:
    async def respond_later(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(1)
        return placed("W-9", "B-1")

    play = Play([respond_later])
    async with playing(play) as clickpost:
        orders = await asyncio.gather(*(clickpost.orders.create_b2b(b2b_order()) for _ in "123"))

    assert [order.waybill for order in orders] == ["W-9"] * 3
    assert len(play.requests) == 1


@virtual_time
async def test_lost_b2b_order_with_retries_off_is_unknown_under_its_reference_number() -> None:
    async with playing([httpx.ReadError("")], retry=RetryPolicy.never()) as clickpost:
        with pytest.raises(NoReplyError) as caught:
            await clickpost.orders.create_b2b(b2b_order())

    assert (caught.value.outcome, caught.value.reference_number) == (Outcome.UNKNOWN, "B-1")


def test_b2b_order_survives_the_round_trip() -> None:
    order = b2b_order() | {"from_wh": "unknown to the document"}

    read = structure(order, B2BOrder)

    assert unstructure(read) == order
    assert read.reference_number == "B-1"
    assert read.extra == {"from_wh": "unknown to the document"}


@pytest.mark.parametrize(
    ("shipment", "paths"),
    [
        ({"order_type": "COD", "cod_value": 0}, ["shipment_info.cod_value"]),
        ({"order_type": "COD", "cod_value": None}, ["shipment_info.cod_value"]),
        ({"order_type": "PREPAID", "cod_value": 1}, ["shipment_info.cod_value"]),
        ({"box_info": []}, ["shipment_info.box_info"]),
        ({"courier_partner": 5, "reference_number": "B" * 21}, ["shipment_info.reference_number"]),
        (
            {"courier_partner": "bluedart", "delivery_type": "BACK"},
            ["shipment_info.courier_partner", "shipment_info.delivery_type"],
        ),
    ],
)
def test_mistakes_of_a_b2b_order_are_refused_together_with_their_paths(
    shipment: dict[str, Any], paths: list[str]
) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        structure(b2b_order(**shipment), B2BOrder)

    assert sorted(problem.path for problem in caught.value.problems) == sorted(paths)


def test_order_with_all_fields_of_the_guide_has_no_warning() -> None:
    order = structure(b2b_order(), B2BOrder)

    assert [str(warning) for warning in order.warnings] == []


def test_requirement_of_the_guide_only_is_a_warning() -> None:
    payload = b2b_order(account_code=None, invoice_info=[{"number": "1", "value": 50_000}])
    payload["shipment_info"]["box_info"] = [{"count": 1}]
    payload["pickup_info"] = {"name": "Asha Sample", "phone": "9000000041", "country": "Nepal"}

    order = structure(payload, B2BOrder)

    assert unstructure(order) == payload
    assert {warning.path for warning in order.warnings} == {
        "pickup_info.time",
        *(
            f"pickup_info.{name}"
            for name in ("organisation", "country", "address", "city", "state", "pincode")
        ),
        "shipment_info.account_code",
        "shipment_info.invoice_info[0].ewaybill_serial_number",
        *(f"shipment_info.box_info[0].{name}" for name in ("length", "breadth", "height")),
    }
    # Names of fields, never a value.
    assert all("Asha" not in str(warning) for warning in order.warnings)


def test_persons_are_not_shown_by_the_repr_of_a_b2b_order() -> None:
    shown = repr(structure(b2b_order(), B2BOrder))

    assert "B-1" in shown
    assert "Asha" not in shown
    assert "9000000041" not in shown
    assert "Dock Road" not in shown
