"""Orders are placed, recognised and found again."""

import asyncio
from typing import Any

import pytest

from clickpost_async.sandbox import Sandbox, State
from tests.sandbox.samples import INDIA, WORLD, client, india_order, status_of, world_order


@pytest.mark.asyncio
async def test_india_order_response_has_clickposts_ids_beside_the_result() -> None:
    sandbox = Sandbox()
    async with client(sandbox) as http:
        reply = await http.post(INDIA, json=india_order("PEN-1"))

    body = reply.json()
    (waybill,) = sandbox.ledger()["PEN-1"]
    assert body["meta"] == {
        "status": 200,
        "message": "Order Placed Successfully",
        "success": True,
        "username": "sandbox",
        "reference_number": "PEN-1",
    }
    assert {name: body["result"][name] for name in body["result"] if name != "security_key"} == {
        "label": f"http://sandbox.test/labels/{waybill}.pdf",
        "waybill": waybill,
        "order_id": "LOTUS-77",
        "sort_code": body["result"]["sort_code"],
        "account_code": "lotus-surface",
        "courier_name": "Delhivery",
        "reference_number": "PEN-1",
        "courier_partner_id": 4,
    }
    assert [type(body[name]) for name in ("order_id", "tracking_id")] == [int, int]


@pytest.mark.asyncio
async def test_world_order_response_has_its_ids_inside_the_result() -> None:
    sandbox = Sandbox()
    async with client(sandbox) as http:
        body = (await http.post(WORLD, json=world_order("LAMP-1"))).json()

    (waybill,) = sandbox.ledger()["LAMP-1"]
    assert set(body) == {"meta", "result"}
    assert body["result"] == {
        "commercial_invoice_url": (
            f"https://labels.clickpost.example/NAQEL/INVOICE_DATA/{waybill}.pdf"
        ),
        "waybill": waybill,
        "reference_number": "LAMP-1",
        "label": f"http://sandbox.test/labels/{waybill}.pdf",
        "courier_partner_id": 138,
        "courier_name": "Naqel",
        "sort_code": None,
        "order_id": body["result"]["order_id"],
        "tracking_id": body["result"]["tracking_id"],
        "security_key": body["result"]["security_key"],
    }


@pytest.mark.asyncio
async def test_order_that_stays_in_its_country_has_no_commercial_invoice() -> None:
    async with client(Sandbox()) as http:
        order = world_order("LAMP-2", drop_info__country_code="AE")
        body = (await http.post(WORLD, json=order)).json()

    assert "commercial_invoice_url" not in body["result"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("path", "order", "name"),
    [(INDIA, india_order("TWICE"), "Delhivery"), (WORLD, world_order("TWICE"), "NAQEL")],
)
async def test_repeated_create_returns_323_with_the_first_order_and_buys_nothing(
    path: str, order: dict[str, Any], name: str
) -> None:
    sandbox = Sandbox()
    async with client(sandbox) as http:
        first = (await http.post(path, json=order)).json()
        again = (await http.post(path, json=order)).json()

    waybill = first["result"]["waybill"]
    ids = {**first, **first["result"]} if path == WORLD else {**first["result"], **first}
    assert again["meta"] == {
        "status": 323,
        "message": "You have already placed this order",
        "success": True,
    }
    assert again["result"] == {
        "waybill": waybill,
        "reference_number": "TWICE",
        "label": first["result"]["label"],
        "courier_partner_id": first["result"]["courier_partner_id"],
        "courier_name": name,
        "sort_code": first["result"]["sort_code"],
        "security_key": first["result"]["security_key"],
        "order_id": ids["order_id"],
        "tracking_id": ids["tracking_id"],
    }
    assert sandbox.ledger() == {"TWICE": (waybill,)}


@pytest.mark.asyncio
async def test_known_reference_returns_323_whatever_the_payload() -> None:
    sandbox = Sandbox()
    async with client(sandbox) as http:
        first = await http.post(INDIA, json=india_order("PEN-2"))
        other = await http.post(INDIA, json=india_order("PEN-2", drop_info__drop_city="Nashik"))
        world = await http.post(WORLD, json=world_order("PEN-2"))

    assert [status_of(reply) for reply in (first, other, world)] == [200, 323, 323]
    assert sandbox.orders()["PEN-2"].payload == india_order("PEN-2")
    assert [len({a.payload_hash for a in sandbox.requests()}), len(sandbox.ledger())] == [3, 1]


@pytest.mark.asyncio
async def test_no_label_is_made_for_rvp_or_when_none_is_wanted() -> None:
    async with client(Sandbox()) as http:
        rvp = india_order(
            "BACK-1",
            shipment_details__delivery_type="RVP",
            shipment_details__rvp_reason="wrong ink",
            shipment_details__courier_partner=25,
        )
        without = india_order("PEN-3", additional__label=False)
        replies = [(await http.post(INDIA, json=order)).json() for order in (rvp, without)]

    assert [reply["result"]["label"] for reply in replies] == [None, None]
    assert replies[0]["result"]["courier_name"] == "Delhivery"


@pytest.mark.asyncio
async def test_pieces_of_an_indian_order_echo_their_items() -> None:
    order = india_order("BOXES-1", shipment_details__courier_partner=201)
    pens, ink = order["shipment_details"]["items"]
    async with client(Sandbox()) as http:
        first = (await http.post(INDIA, json=order)).json()["result"]
        again = (await http.post(INDIA, json=order)).json()["result"]

    one, two = f"{first['waybill']}-0001", f"{first['waybill']}-0002"
    images = ["https://pens.example/1.jpg", "https://pens.example/2.jpg"]
    assert first["children"] == [
        {"item": {**pens, "image_urls": images, "waybill": one}, "waybill": one},
        {"item": {**ink, "waybill": two}, "waybill": two},
    ]
    assert again["children"] == [
        {"waybill": one, "description": "Fountain pen", "sku": "PEN-1"},
        {"waybill": two, "description": "Ink", "sku": "INK-2"},
    ]


@pytest.mark.asyncio
async def test_pieces_of_a_world_order_have_labels_and_lose_their_waybills_on_323() -> None:
    order = world_order("BOXES-2", shipment_details__courier_partner=296)
    (lamp,) = order["shipment_details"]["items"]
    async with client(Sandbox()) as http:
        first = (await http.post(WORLD, json=order)).json()["result"]
        again = (await http.post(WORLD, json=order)).json()["result"]

    waybill = f"{first['waybill']}00001"
    assert first["children"] == [
        {
            "item": {"hsn_code": "", **lamp, "waybill": waybill},
            "waybill": waybill,
            "reference_number": "BOXES-2",
            "label": None,
        }
    ]
    assert again["children"] == [{"waybill": None, "item": lamp}]


@pytest.mark.asyncio
async def test_awb_number_given_is_used_and_cannot_be_used_again() -> None:
    sandbox = Sandbox()
    async with client(sandbox) as http:
        first = await http.post(INDIA, json=india_order("A", shipment_details__awb_number="AWB7"))
        other = await http.post(INDIA, json=india_order("B", additional__awb_number="AWB7"))

    assert [status_of(reply) for reply in (first, other)] == [200, 303]
    assert sandbox.ledger() == {"A": ("AWB7",)}


@pytest.mark.asyncio
async def test_async_order_is_queued_then_worked_on_then_placed_then_known() -> None:
    sandbox = Sandbox(async_polls=2)
    order = india_order("LATER", additional__async=True)
    async with client(sandbox) as http:
        replies = [(await http.post(INDIA, json=order)).json() for _ in range(5)]

    assert [reply["meta"]["status"] for reply in replies] == [202, 102, 102, 200, 323]
    assert [reply["meta"]["success"] for reply in replies] == [True, False, False, True, True]
    assert replies[0]["result"] == {
        "reference_number": "LATER",
        "waybill": None,
        "label": None,
        "sort_code": None,
    }
    assert replies[1]["result"] == {**replies[0]["result"], "security_key": None}
    assert len({reply["order_id"] for reply in replies[:4]}) == 1
    assert sandbox.ledger() == {"LATER": (replies[3]["result"]["waybill"],)}


@pytest.mark.asyncio
async def test_async_order_that_the_courier_refuses_ends_without_a_result() -> None:
    sandbox = Sandbox()
    order = india_order("LATER-COURIER-REFUSES", additional__async=True)
    async with client(sandbox) as http:
        replies = [(await http.post(INDIA, json=order)).json() for _ in range(4)]

    assert [reply["meta"]["status"] for reply in replies] == [202, 102, 319, 202]
    assert set(replies[2]) == {"order_id", "meta", "reference_number"}
    assert sandbox.ledger() == {}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("path", "order"), [(INDIA, india_order("FIND")), (WORLD, world_order("FIND"))]
)
async def test_order_is_fetched_by_waybill_and_by_reference(
    path: str, order: dict[str, Any]
) -> None:
    async with client(Sandbox()) as http:
        placed = (await http.post(path, json=order)).json()
        created = {**placed["result"], **{k: v for k, v in placed.items() if k.endswith("_id")}}
        fetched = await http.get(
            path, params={"awb": created["waybill"], "cp_id": created["courier_partner_id"]}
        )
        found = await http.get(path, params={"reference_number": "FIND"})

    names = {
        "waybill",
        "reference_number",
        "label",
        "courier_partner_id",
        "courier_name",
        "sort_code",
        "order_id",
        "security_key",
        "tracking_id",
    }
    assert fetched.json()["result"] == {name: created[name] for name in names}
    assert found.json() == {
        "meta": {"status": 200, "message": "Success", "success": True},
        "result": {
            "security_key": created["security_key"],
            "courier_partner": created["courier_partner_id"],
            "reference_number": "FIND",
            "label": created["label"],
            "waybill": created["waybill"],
        },
    }


@pytest.mark.asyncio
async def test_multi_piece_order_is_fetched_with_its_ids_beside_the_result() -> None:
    order = india_order("BOXES-3", shipment_details__courier_partner=201)
    async with client(Sandbox()) as http:
        placed = (await http.post(INDIA, json=order)).json()
        fetched = (
            await http.get(INDIA, params={"awb": placed["result"]["waybill"], "cp_id": 201})
        ).json()

    assert fetched["order_id"] == placed["order_id"]
    assert fetched["result"]["order_id"] == "LOTUS-77"
    assert fetched["result"]["children"] == placed["result"]["children"]


@pytest.mark.asyncio
async def test_order_never_placed_cannot_be_fetched() -> None:
    async with client(Sandbox()) as http:
        await http.post(INDIA, json=india_order("NO-COURIER-REFUSES"))
        replies = [
            await http.get(INDIA, params=params)
            for params in (
                {"reference_number": "NOBODY"},
                {"reference_number": "NO-COURIER-REFUSES"},
                {"awb": "123", "cp_id": "4"},
                {"awb": "123", "cp_id": "four"},
                {"awb": "123"},
            )
        ]

    assert [status_of(reply) for reply in replies] == [321, 321, 321, 302, 400]


@pytest.mark.asyncio
async def test_fetching_a_queued_order_returns_102_and_then_the_order() -> None:
    sandbox = Sandbox()
    async with client(sandbox) as http:
        await http.post(INDIA, json=india_order("Q", additional__async=True))
        looks = [await http.get(INDIA, params={"reference_number": "Q"}) for _ in range(2)]

    assert [status_of(look) for look in looks] == [102, 200]
    assert sandbox.orders()["Q"].state is State.PLACED


@pytest.mark.asyncio
@pytest.mark.parametrize(("racy", "bought"), [(False, 1), (True, 20)])
async def test_only_a_racy_sandbox_buys_twice_for_overlapping_creates(
    racy: bool, bought: int
) -> None:
    sandbox = Sandbox(racy=racy, courier_seconds=0.2)
    async with client(sandbox) as http:
        order = india_order("RACE")
        replies = await asyncio.gather(*(http.post(INDIA, json=order) for _ in range(20)))

    waybills = {reply.json()["result"]["waybill"] for reply in replies}
    assert len(sandbox.ledger()["RACE"]) == bought
    assert waybills == set(sandbox.ledger()["RACE"])
    assert sandbox.traffic.overlaps == 19


@pytest.mark.asyncio
async def test_racy_sandbox_recognises_a_recorded_reference() -> None:
    sandbox = Sandbox(racy=True)
    async with client(sandbox) as http:
        replies = [await http.post(INDIA, json=india_order("SLOW")) for _ in range(2)]

    assert [status_of(reply) for reply in replies] == [200, 323]
    assert len(sandbox.ledger()["SLOW"]) == 1


@pytest.mark.asyncio
async def test_same_seed_gives_the_same_waybills_in_any_order_of_arrival() -> None:
    references = [f"PEN-{number}" for number in range(20)]
    ledgers = []
    for seed, arriving in ((7, references), (7, references[::-1]), (8, references)):
        sandbox = Sandbox(seed=seed)
        async with client(sandbox) as http:
            for reference in arriving:
                await http.post(INDIA, json=india_order(reference))
        ledgers.append(sandbox.ledger())

    assert ledgers[0] == ledgers[1]
    assert not set(ledgers[0].values()) & set(ledgers[2].values())
