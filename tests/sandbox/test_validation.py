"""What the sandbox rejects, with which code, and what it accepts."""

import json
from typing import Any

import pytest

from clickpost_async.sandbox import Sandbox
from tests.sandbox.samples import INDIA, WORLD, client, india_order, status_of, world_order

RVP = {"shipment_details__delivery_type": "RVP", "shipment_details__courier_partner": 25}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("status", "changes"),
    [
        (302, {"shipment_details__courier_partner": "4"}),
        (302, {"shipment_details__courier_partner": True}),
        (302, {"shipment_details__courier_partner": None}),
        (302, {"shipment_details__courier_partner": 987654}),
        (307, {"shipment_details__order_type": "CASH"}),
        (308, {"additional__priority": "SOON"}),
        (309, {"shipment_details__delivery_type": "SIDEWAYS"}),
        (310, RVP),
        (310, {**RVP, "additional__rvp_reason": "x" * 501}),
        (
            311,
            {**RVP, "shipment_details__courier_partner": 4, "additional__rvp_reason": "broken"},
        ),
        (312, {"shipment_details__items": []}),
        (312, {"shipment_details__items": None}),
        (313, {"shipment_details__items": {"description": "Ink"}}),
        (313, {"shipment_details__items": ["Ink"]}),
        (313, {"shipment_details__items": [{"description": "Ink", "quantity": 1, "weight": 1}]}),
        (314, {"shipment_details__weight": -1}),
        (314, {"shipment_details__weight": "heavy"}),
        (314, {"drop_info__drop_pincode": "41100"}),
        (314, {"drop_info__drop_country": "AE"}),
        (314, {"shipment_details__reference_number": "R" * 101}),
        (
            314,
            {
                "shipment_details__courier_partner": 5,
                "shipment_details__reference_number": "R" * 21,
            },
        ),
        (314, {"shipment_details__reference_number": "\ud800"}),
        (315, {"shipment_details__cod_value": 0}),
        (315, {"shipment_details__order_type": "PREPAID"}),
        (316, {"shipment_details__account_code": "no-credentials"}),
        (324, {"shipment_details__account_code": "wrong-credentials"}),
        (328, {"pickup_info": None}),
        (328, {"drop_info__drop_name": ""}),
        (328, {"shipment_details__invoice_value": None}),
        (315, {"shipment_details__cod_value": None}),
        (351, {"shipment_details__account_code": "unknown-account"}),
        (352, {"shipment_details__account_code": "shared-account"}),
        (353, {"shipment_details__account_code": "inactive-account"}),
        (355, {"shipment_details__account_code": "needs-vendor-code"}),
    ],
)
async def test_order_is_refused_with_the_code_of_the_table(
    status: int, changes: dict[str, Any]
) -> None:
    sandbox = Sandbox()
    async with client(sandbox) as http:
        reply = await http.post(INDIA, content=json.dumps(india_order("PEN-1", **changes)))

    meta = reply.json()["meta"]
    assert (reply.status_code, meta["status"], meta["success"]) == (200, status, False)
    assert set(reply.json()) == {"meta"}
    assert sandbox.ledger() == {}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("status", "changes"),
    [
        (314, {"drop_info__country_code": "Saudi Arabia"}),
        (328, {"drop_info__state": None}),
        (328, {"pickup_info__postal_code": None}),
    ],
)
async def test_world_order_has_mandatory_fields_of_its_own(
    status: int, changes: dict[str, Any]
) -> None:
    async with client(Sandbox()) as http:
        reply = await http.post(WORLD, json=world_order("LAMP-1", **changes))

    assert (reply.status_code, status_of(reply)) == (200, status)


@pytest.mark.asyncio
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"ok"', b"[" * 100_000])
@pytest.mark.parametrize(("path", "http_status"), [(INDIA, 200), (WORLD, 400)])
async def test_body_that_is_no_object_is_a_bad_request(
    path: str, http_status: int, body: bytes
) -> None:
    async with client(Sandbox()) as http:
        reply = await http.post(path, content=body)

    assert (reply.status_code, status_of(reply)) == (http_status, 400)


@pytest.mark.asyncio
async def test_stringified_raw_body_is_an_order_without_its_sections() -> None:
    async with client(Sandbox()) as http:
        reply = await http.post(INDIA, json={"RAW_BODY": json.dumps(india_order("PEN-1"))})

    assert status_of(reply) == 328


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "changes",
    [
        {"pickup_info__email": None, "pickup_info__pickup_email": "desk@lotus.example"},
        {"pickup_info__email": None, "pickup_info__pickup_time": None},
        {"drop_info__drop_country": "India", "pickup_info__pickup_country": "India"},
        {"shipment_details__account_code": None, "additional__account_code": "lotus-air"},
        {"shipment_details__delivery_type": None, "additional__delivery_type": "FORWARD"},
        {**RVP, "additional__rvp_reason": "wrong colour"},
        {**RVP, "shipment_details__rvp_reason": "wrong colour"},
        {"shipment_details__order_type": "EXCHANGE"},
        {"shipment_details__weight": "220.5"},
        {"shipment_details__moon_phase": "full", "weather": {"rain": True}},
        {"shipment_details__account_code": "needs-vendor-code", "additional__vendor_code": "V1"},
        {"shipment_details__courier_partner": 207},
    ],
)
async def test_both_places_both_spellings_and_unknown_fields_are_accepted(
    changes: dict[str, Any],
) -> None:
    async with client(Sandbox()) as http:
        reply = await http.post(INDIA, json=india_order("PEN-1", **changes))

    assert status_of(reply) == 200


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "credentials",
    [
        {},
        {"username": "sandbox"},
        {"key": "sandbox-key-not-a-secret"},
        {"username": "sandbox", "key": "another-key-not-a-secret"},
        {"username": "another", "key": "sandbox-key-not-a-secret"},
    ],
)
async def test_wrong_or_missing_credentials_are_301_under_http_200(
    credentials: dict[str, str],
) -> None:
    sandbox = Sandbox()
    async with client(sandbox, credentials=credentials) as http:
        reply = await http.post(INDIA, json=india_order("PEN-1"))

    assert (reply.status_code, status_of(reply)) == (200, 301)
    assert sandbox.ledger() == {}


@pytest.mark.asyncio
async def test_fetch_needs_no_username() -> None:
    async with client(Sandbox(), credentials={"key": "sandbox-key-not-a-secret"}) as http:
        reply = await http.get(INDIA, params={"reference_number": "NOBODY"})

    assert status_of(reply) == 321


@pytest.mark.asyncio
async def test_key_can_be_revoked_while_calls_come() -> None:
    sandbox = Sandbox()
    async with client(sandbox) as http:
        before = await http.post(INDIA, json=india_order("PEN-1"))
        sandbox.api_key = "a-new-key-not-a-secret"
        after = await http.post(INDIA, json=india_order("PEN-2"))

    assert [status_of(before), status_of(after)] == [200, 301]


@pytest.mark.asyncio
async def test_wrong_methods_and_paths_get_djangos_responses() -> None:
    async with client(Sandbox()) as http:
        wrong = await http.put(INDIA)
        bare = await http.post("/v3/create-order", json=india_order("PEN-1"))
        lost = await http.get("/v9/create-order/")

    assert (wrong.status_code, wrong.json()) == (405, {"detail": 'Method "PUT" not allowed.'})
    assert (bare.status_code, bare.headers["location"].partition("?")[0]) == (
        301,
        "/api/v3/create-order/",
    )
    assert (lost.status_code, lost.headers["content-type"]) == (404, "text/html; charset=utf-8")


@pytest.mark.asyncio
async def test_every_call_is_logged_without_its_key() -> None:
    sandbox = Sandbox()
    async with client(sandbox) as http:
        await http.post(INDIA, json=india_order("PEN-1"))
        await http.post(WORLD, content=b"{")
        await http.get(WORLD, params={"reference_number": "PEN-1"})

    assert [
        (call.operation, call.reference_number, call.status, call.http_status)
        for call in sandbox.requests()
    ] == [
        ("orders.create_india", "PEN-1", 200, 200),
        ("orders.create_world", "", 400, 400),
        ("orders.fetch_world", "PEN-1", 200, 200),
    ]
    assert sandbox.api_key not in repr(sandbox.requests())
    assert sandbox.api_key not in repr(sandbox.orders())


MESSAGES: list[tuple[str, dict[str, Any]]] = [
    ("Invalid Courier Partner Id with Field cp_id", {"shipment_details__courier_partner": "4"}),
    ("You have entered an invalid Order Type", {"shipment_details__order_type": "CASH"}),
    ("You have entered an invalid Order Priority", {"additional__priority": "SOON"}),
    ("Invalid Delivery Type", {"shipment_details__delivery_type": "BACK"}),
    ("RVP reason is missing", RVP),
    (
        "Invalid Courier Partner For RVP",
        {**RVP, "shipment_details__courier_partner": 4, "additional__rvp_reason": "broken"},
    ),
    ("Items Data is missing from order details", {"shipment_details__items": []}),
    ("Invalid Format of items for Order data: ", {"shipment_details__items": ["Ink"]}),
    ("Invalid Format Of Order Data: ", {"shipment_details__weight": -1}),
    ("Invalid Cod Value", {"shipment_details__cod_value": 0}),
    ("Invalid POST data: ", {"drop_info__drop_name": ""}),
    ("No account exist", {"shipment_details__account_code": "unknown-account"}),
]


@pytest.mark.parametrize(("message", "changes"), MESSAGES)
@pytest.mark.asyncio
async def test_refusal_has_the_message_of_clickposts_table(
    message: str, changes: dict[str, Any]
) -> None:
    async with client(Sandbox()) as http:
        reply = await http.post(INDIA, json=india_order("PEN-1", **changes))

    found = reply.json()["meta"]["message"]
    assert found.startswith(message) if message.endswith(": ") else found == message


@pytest.mark.asyncio
async def test_unknown_waybill_has_the_message_of_clickposts_table() -> None:
    async with client(Sandbox()) as http:
        reply = await http.get(INDIA, params={"awb": "W0", "cp_id": 4})

    assert reply.json()["meta"] == {
        "status": 321,
        "message": "Awb Number Does not exist in the system for the courier partner",
        "success": False,
    }


def item(**changes: Any) -> dict[str, Any]:
    return {"description": "Ink", "quantity": 1, "price": 10, "sku": "INK", **changes}


@pytest.mark.parametrize(
    "changes",
    [
        {"shipment_details__items": [item(additional={"weight": 90})]},
        {"shipment_details__items": [item(additional=[])]},
        {"shipment_details__items": [item()]},
        {"shipment_details__delivery_type": None},
        {"shipment_details__order_type": "PREPAID", "shipment_details__cod_value": None},
        {"additional": []},
        {"additional": {"label": "1", "async": ""}},
        {"drop_info__drop_phone": "+91 9000000012"},
    ],
)
@pytest.mark.asyncio
async def test_typical_orders_of_merchants_are_accepted(changes: dict[str, Any]) -> None:
    async with client(Sandbox()) as http:
        reply = await http.post(INDIA, json=india_order("PEN-1", **changes))

    assert reply.json()["meta"]["status"] == 200


@pytest.mark.parametrize(
    "weights", [item(additional={"weight": "heavy"}), item(weight=-1), item(weight="x")]
)
@pytest.mark.asyncio
async def test_weight_that_is_no_number_is_refused_wherever_it_stands(
    weights: dict[str, Any],
) -> None:
    async with client(Sandbox()) as http:
        order = india_order("PEN-1", shipment_details__items=[weights])
        reply = await http.post(INDIA, json=order)

    assert reply.json()["meta"]["status"] == 314


@pytest.mark.parametrize("path", ["/api//v3/create-order/", "//api/v3/create-order/"])
@pytest.mark.asyncio
async def test_doubled_slashes_in_a_path_are_accepted(path: str) -> None:
    async with client(Sandbox()) as http:
        reply = await http.post(f"http://sandbox.test{path}", json=india_order("PEN-1"))

    assert reply.json()["meta"]["status"] == 200


@pytest.mark.asyncio
async def test_doubled_slashes_elsewhere_are_part_of_the_path() -> None:
    async with client(Sandbox()) as http:
        found = await http.get("http://sandbox.test//labels//W.pdf")

    assert found.status_code == 404
