"""Parcels that ClickPost is told of, and where they are."""

import json
from typing import Any

import httpx
import pytest

from clickpost_async.sandbox import Sandbox
from tests.sandbox.samples import (
    CREDENTIALS,
    INDIA,
    at_midnight,
    client,
    india_order,
    placed,
    registered,
)
from tests.sandbox.samples import status_of as status

V3 = "/v3/tracking/awb-register/"
V2 = "/v2/tracking/awb-register/"
TRACK = "/v2/track-order/"
WHATSAPP = "/v1/enable_shipment_notification/"

SHIPMENT = {"waybill": "EXT-1", "courier_partner": 4, "account_code": "lotus-surface"}
SHIPMENT_V2 = {
    "waybill": "EXT-1",
    "cp_id": 4,
    "account_code": "lotus-surface",
    "key": CREDENTIALS["key"],
}


async def tracked(http: httpx.AsyncClient, *waybills: str, courier: int = 4) -> Any:
    params: dict[str, Any] = {"waybill": ",".join(waybills), "cp_id": courier}
    return (await http.get(TRACK, params=params)).json()["result"]


@pytest.mark.asyncio
async def test_second_registration_is_303_and_only_v2_repeats_the_result() -> None:
    async with client(Sandbox()) as http:
        first = (await http.post(V3, json=SHIPMENT)).json()
        again = (await http.post(V3, json=SHIPMENT)).json()
        old = (await http.post(V2, json=SHIPMENT_V2)).json()

    said = {"status": 303, "message": "Waybill already registered", "success": False}
    names = ("tracking_id", "security_key")
    assert again == {"meta": said}
    assert old == {"meta": said, "result": {name: first["result"][name] for name in names}}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("path", "body", "refused"),
    [
        (V3, {**SHIPMENT, "courier_partner": "4"}, 302),
        (V3, {**SHIPMENT, "waybill": ""}, 328),
        (V3, {**SHIPMENT, "account_code": None}, 328),
        (V3, {**SHIPMENT, "account_code": "unknown-account"}, 351),
        (V3, {**SHIPMENT, "account_code": "inactive-account"}, 353),
        (V3, [], 400),
        (V3, {**SHIPMENT, "waybill": "\ud800"}, 328),
        (V2, {**SHIPMENT_V2, "cp_id": None}, 302),
        (V2, {**SHIPMENT_V2, "account_code": "inactive-account"}, 353),
        (V2, {name: value for name, value in SHIPMENT_V2.items() if name != "key"}, 500),
    ],
)
async def test_registration_that_cannot_be_is_refused(path: str, body: Any, refused: int) -> None:
    sandbox = Sandbox()
    async with client(sandbox) as http:
        assert status(await http.post(path, content=json.dumps(body))) == refused
    assert sandbox.parcels() == []


@pytest.mark.asyncio
async def test_registered_waybill_cannot_be_given_to_an_order() -> None:
    async with client(Sandbox()) as http:
        await registered(http, "EXT-1")
        order = india_order("PEN-1", shipment_details__awb_number="EXT-1")

        assert status(await http.post(INDIA, json=order)) == 303


@pytest.mark.asyncio
async def test_scans_come_newest_first_in_indias_time_with_utc_beside() -> None:
    sandbox = at_midnight()
    async with client(sandbox) as http:
        created = (await http.post(INDIA, json=india_order("PEN-1"))).json()
        waybill = created["result"]["waybill"]
        sandbox.tick(3600)
        sandbox.advance(waybill)
        track = (await tracked(http, waybill))[waybill]

    newest, oldest = track["scans"]
    assert {scan.pop("tracking_id") for scan in track["scans"]} == {created["tracking_id"]}
    assert newest.pop("checkpoint_id") > oldest.pop("checkpoint_id") > 2**32
    assert newest == track["latest_status"]
    assert newest == {
        "timestamp": "2026-03-02 06:30:00",
        "location": "Ahmedabad_Hub",
        "remark": "Shipment picked up",
        "status": "Picked Up",
        "clickpost_status_code": 4,
        "clickpost_status_description": "PickedUp",
        "clickpost_status_bucket": 2,
        "clickpost_status_bucket_description": "Shipped",
        "created_at": "2026-03-02 01:00:00",
    }
    assert (oldest["clickpost_status_code"], oldest["created_at"]) == (1, "2026-03-02 00:00:00")


@pytest.mark.asyncio
async def test_delivery_failure_is_shown_until_the_next_one() -> None:
    sandbox = at_midnight()
    async with client(sandbox) as http:
        await placed(http, "W1")
        sandbox.fail_delivery("W1", ndr_code=12)
        sandbox.advance("W1")
        track = (await tracked(http, "W1"))["W1"]

    assert track["additional"]["ndr"] == {
        "ndr_bucket_code": 12,
        "ndr_description": "Open delivery wanted",
    }


@pytest.mark.asyncio
async def test_unknown_tracking_value_is_null_missing_or_invalid() -> None:
    async with client(Sandbox()) as http:
        await placed(http, "W1")

        assert await tracked(http, "NOBODY") is None
        assert list(await tracked(http, "NOBODY", "W1")) == ["W1"]
        assert await tracked(http, "W1", courier=5) == {"W1": {"valid": False}}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("query", "refused"),
    [
        ({"waybill": "1,2,3,4,5,6", "cp_id": 4}, 400),
        ({"waybill": "W" * 101, "cp_id": 4}, 400),
        ({"waybill": "1", "cp_id": "four"}, 302),
        ({"cp_id": 4}, 400),
    ],
)
async def test_too_much_at_once_is_refused(query: dict[str, Any], refused: int) -> None:
    async with client(Sandbox()) as http:
        assert status(await http.get(TRACK, params=query)) == refused


@pytest.mark.asyncio
async def test_messages_are_switched_and_refused_under_http_400() -> None:
    sandbox = Sandbox()
    async with client(sandbox) as http:
        await placed(http, "W1")
        switched = await http.post(WHATSAPP, json={"awb": "W1", "whatsapp_disable": True})
        refused = [
            await http.post(WHATSAPP, json=body)
            for body in ({"awb": "W9", "whatsapp_disable": True}, {"awb": "W1"}, {})
        ]

    assert (status(switched), sandbox.parcels()[0].whatsapp) == (200, False)
    assert [(reply.status_code, status(reply)) for reply in refused] == [
        (400, 321),
        (400, 400),
        (400, 400),
    ]


@pytest.mark.asyncio
async def test_security_key_is_the_one_given_before() -> None:
    path = "/v1/shipment-security-key"
    async with client(Sandbox()) as http:
        given = (await http.post(V3, json=SHIPMENT)).json()["result"]["security_key"]
        told = await http.get(path, params={"waybill": "EXT-1", "cp_id": 4})
        unknown = await http.get(path, params={"waybill": "EXT-1", "cp_id": 5})

    assert told.json()["result"] == {
        "waybill": "EXT-1",
        "cp_id": 4,
        "security_key": given,
        "reference_number": "",
    }
    assert status(unknown) == 321
