"""Scenario words in an order select the courier's behaviour."""

import ast

import pytest

from clickpost_async.sandbox import Sandbox
from tests.sandbox.samples import INDIA, WORLD, client, india_order, status_of, world_order


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("word", "statuses"),
    [
        ("COURIER-BUSY-2", [322, 322, 200, 323]),
        ("COURIER-SLOW-1", [329, 200, 323, 323]),
        ("CLICKPOST-DOWN-1", [500, 200, 323, 323]),
        ("COURIER-BUSY", [322, 322, 322, 322]),
        ("COURIER-REFUSES", [319, 319, 319, 319]),
        ("COURIER-ODD", [354, 354, 354, 354]),
        ("WAYBILLS-USED-UP", [330, 330, 330, 330]),
    ],
)
async def test_word_in_the_reference_chooses_the_scenario(word: str, statuses: list[int]) -> None:
    sandbox = Sandbox()
    reference = f"PEN-{word}"
    async with client(sandbox) as http:
        replies = [await http.post(INDIA, json=india_order(reference)) for _ in range(4)]

    assert [status_of(reply) for reply in replies] == statuses
    assert len(sandbox.ledger().get(reference, ())) == statuses.count(200)


@pytest.mark.asyncio
async def test_unserved_pincode_is_refused_with_the_couriers_message() -> None:
    async with client(Sandbox()) as http:
        india = await http.post(INDIA, json=india_order("P", drop_info__drop_pincode="999999"))
        world = await http.post(WORLD, json=world_order("W", drop_info__postal_code="999999"))

    assert [status_of(india), status_of(world)] == [319, 319]
    assert set(india.json()) == {"order_id", "meta", "reference_number"}
    prefix, _, text = india.json()["meta"]["message"].partition(": ")
    assert prefix == "Error In Order Placing To Courier Partner"
    words = ast.literal_eval(text)
    assert words["status"]["reason"] == "the drop pincode is not serviceable"


@pytest.mark.asyncio
async def test_busy_courier_keeps_an_async_order_in_the_queue() -> None:
    order = india_order("COURIER-BUSY-1", additional__async=True)
    async with client(Sandbox()) as http:
        replies = [await http.post(INDIA, json=order) for _ in range(4)]

    assert [status_of(reply) for reply in replies] == [202, 102, 322, 200]
