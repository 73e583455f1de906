"""B2B orders are placed later, polled by reference number, and fail with 420."""

from typing import Any

import pytest

from clickpost_async.sandbox import Sandbox
from tests.sandbox.samples import INDIA, b2b_order, client, india_order, status_of

B2B = "/v1/create-b2b-order/"


@pytest.mark.asyncio
async def test_b2b_order_is_placed_once_it_has_been_polled() -> None:
    sandbox = Sandbox(async_polls=2)
    async with client(sandbox) as http:
        created = await http.post(B2B, json=b2b_order("B-1"))
        again = await http.post(B2B, json=b2b_order("B-1"))
        polls = [await http.get(B2B, params={"reference_number": "B-1"}) for _ in range(4)]
        placed_before = await http.post(B2B, json=b2b_order("B-1"))

    assert [status_of(created), status_of(again)] == [102, 102]
    assert [status_of(poll) for poll in polls] == [102, 102, 200, 200]
    result = polls[-1].json()["result"]
    assert [child["reference_number"] for child in result["children"]] == [
        "BOX.001",
        "BOX.002",
        None,
    ]
    assert status_of(placed_before) == 323
    assert placed_before.json()["result"]["waybill"] == result["waybill"]
    assert sandbox.ledger() == {"B-1": (result["waybill"],)}


@pytest.mark.asyncio
async def test_b2b_order_that_is_not_async_is_placed_at_once() -> None:
    sandbox = Sandbox()
    async with client(sandbox) as http:
        order = b2b_order("B-1", additional_info={"is_async": False, "is_label_required": False})
        reply = await http.post(B2B, json=order)

    assert status_of(reply) == 200
    assert reply.json()["result"]["label"] is None
    assert len(sandbox.ledger()["B-1"]) == 1


@pytest.mark.parametrize(
    ("reference", "changes"),
    [("COURIER-REFUSES", {}), ("B-1", {"drop_info__pincode": "999999"})],
)
@pytest.mark.asyncio
async def test_b2b_order_that_the_courier_refuses_fails_later_and_for_good(
    reference: str, changes: dict[str, Any]
) -> None:
    sandbox = Sandbox()
    async with client(sandbox) as http:
        created = await http.post(B2B, json=b2b_order(reference, **changes))
        polls = [await http.get(B2B, params={"reference_number": reference}) for _ in range(3)]

    assert status_of(created) == 102
    assert [status_of(poll) for poll in polls] == [102, 420, 420]
    assert sandbox.ledger() == {}


@pytest.mark.asyncio
async def test_b2b_orders_and_others_are_found_where_they_were_created() -> None:
    async with client(Sandbox()) as http:
        await http.post(INDIA, json=india_order("R-1"))
        unknown = [
            await http.get(B2B, params={"reference_number": name}) for name in ("R-1", "NONE")
        ]

    assert [status_of(reply) for reply in unknown] == [321, 321]


@pytest.mark.asyncio
async def test_b2b_parcel_travels_and_has_a_label() -> None:
    sandbox = Sandbox()
    async with client(sandbox) as http:
        order = b2b_order("B-1", additional_info={"is_async": False})
        result = (await http.post(B2B, json=order)).json()["result"]
        label = await http.get(result["label"])
        query = {"waybill": result["waybill"], "cp_id": 129}
        sandbox.advance(result["waybill"], 4)
        tracked = await http.get("/v2/track-order/", params=query)
        page = await http.get("http://127.0.0.1/control/orders")

    assert label.content.startswith(b"%PDF")
    [track] = tracked.json()["result"].values()
    assert track["latest_status"]["clickpost_status_code"] == 8
    assert track["additional"]["sku"] == ["PEN-1"]
    assert "B-1" in page.text


@pytest.mark.parametrize(
    ("status", "changes"),
    [
        (302, {"shipment_info__courier_partner": "129"}),
        (307, {"shipment_info__order_type": "EXCHANGE"}),
        (309, {"shipment_info__delivery_type": None}),
        (312, {"shipment_info__box_info": []}),
        (313, {"shipment_info__box_info": [{"count": 1}]}),
        (313, {"shipment_info__box_info": "two"}),
        (314, {"shipment_info__box_info": [{"count": 0, "box_master_code": "L"}]}),
        (314, {"shipment_info__reference_number": "B" * 21}),
        (314, {"drop_info__country": "AE"}),
        (315, {"shipment_info__order_type": "COD"}),
        (315, {"shipment_info__cod_value": 10}),
        (328, {"drop_info": None}),
        (328, {"drop_info__pincode": None}),
        (328, {"shipment_info__reference_number": None}),
        (351, {"shipment_info__account_code": "unknown-account"}),
    ],
)
@pytest.mark.asyncio
async def test_b2b_order_is_refused_with_the_code_of_the_table(
    status: int, changes: dict[str, Any]
) -> None:
    async with client(Sandbox()) as http:
        reply = await http.post(B2B, json=b2b_order("B-1", **changes))

    assert status_of(reply) == status


@pytest.mark.asyncio
async def test_location_code_stands_for_an_address() -> None:
    place = {"name": "Dock", "phone": "9000000011", "country": "India", "location_code": "AMD-1"}
    async with client(Sandbox()) as http:
        reply = await http.post(B2B, json=b2b_order("B-1", pickup_info=place))

    assert status_of(reply) == 102
