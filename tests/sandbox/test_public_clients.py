"""Requests in the forms that public clients send, through plain httpx."""

from typing import Any

import pytest

from clickpost_async.sandbox import Sandbox
from tests.sandbox.samples import (
    CREDENTIALS,
    INDIA,
    client,
    connected,
    india_order,
    placed,
    registered,
    status_of,
)


def item(**more: Any) -> dict[str, Any]:
    return {"description": "Ink", "quantity": 1, "price": 120, "sku": "INK", **more}


FORMS: dict[str, dict[str, Any]] = {
    "a shop extension: flags as text, empty lists": {
        "additional": {"label": "1", "async": "", "return_info": []},
        "shipment_details__items": [item(additional=[], size=0.0)],
        "drop_info__drop_lat": "",
    },
    "an ERP document: nulls and zeros, numbers as text": {
        "pickup_info__pickup_lat": 0.0,
        "drop_info__drop_landmark": "",
        "shipment_details__items": [item(price="20000", quantity="1", product_id="")],
        "additional": {"async": 0},
    },
    "a replacement script: no delivery type, no weight of the item": {
        "shipment_details__delivery_type": None,
        "shipment_details__items": [item()],
    },
    "a library of 2020: PREPAID without an amount, with a product URL": {
        "shipment_details__order_type": "PREPAID",
        "shipment_details__cod_value": None,
        "shipment_details__items": [item(product_url="https://ink.example/1")],
    },
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.asyncio
async def test_orders_of_public_clients_are_placed(form: str) -> None:
    sandbox = Sandbox()
    async with client(sandbox) as http:
        reply = await http.post(INDIA, json=india_order("PEN-1", **FORMS[form]))

    assert status_of(reply) == 200
    assert len(sandbox.ledger()["PEN-1"]) == 1


@pytest.mark.asyncio
async def test_an_edit_has_its_courier_in_a_section_and_a_cancellation_no_account() -> None:
    edit = {"awb_number": "W1", "order_type": "PREPAID", "shipment_details": {"courier_partner": 4}}
    async with client(Sandbox()) as http:
        await placed(http, "W1")
        edited = await http.post("/v1/edit-order/", json=edit)
        cancelled = await http.get("/v1/cancel-order/", params={"waybill": "W1", "cp_id": 4})

    assert [status_of(edited), status_of(cancelled)] == [200, 200]


@pytest.mark.asyncio
async def test_a_parcel_is_unregistered_with_the_key_in_the_body() -> None:
    sandbox = Sandbox()
    body = {"cp_id": 4, "waybill": "EXT-1", "key": CREDENTIALS["key"]}
    async with client(sandbox) as http, client(sandbox, credentials={}) as without:
        await registered(http, "EXT-1")
        reply = await without.post("/v1/tracking/awb-unregister/", json=body)
        wrong = {**body, "key": "another-key-not-a-secret"}
        rejected = await without.post("/v1/tracking/awb-unregister/", json=wrong)

    assert (status_of(reply), reply.json()["result"]) == (200, {"awb": "EXT-1"})
    assert status_of(rejected) == 301


@pytest.mark.parametrize("root", ["/api", ""])
@pytest.mark.asyncio
async def test_a_proof_of_delivery_is_found_at_both_documented_roots(root: str) -> None:
    sandbox = Sandbox()
    async with client(sandbox) as http:
        await placed(http, "W1")
        sandbox.advance("W1", 9)
        url = f"http://sandbox.test{root}/v1/pod/pod_from_shipment_details/"
        reply = await http.get(url, params={"waybill": "W1", "cp_id": 4})

    assert status_of(reply) == 200
    assert reply.json()["result"]["pod_url"].endswith("/proofs/W1.pdf")


@pytest.mark.parametrize(
    "path", ["/api//v3/create-order/", "//api/v3/create-order/", "/api/v3//create-order/"]
)
@pytest.mark.asyncio
async def test_slashes_may_be_doubled_where_a_base_and_a_path_are_joined(path: str) -> None:
    async with client(Sandbox()) as http:
        reply = await http.post(f"http://sandbox.test{path}", json=india_order("PEN-1"))

    assert status_of(reply) == 200


@pytest.mark.asyncio
async def test_a_courier_as_text_is_refused_from_others_and_sent_as_a_number_by_the_client() -> (
    None
):
    sandbox, order = Sandbox(), india_order("PEN-1", shipment_details__courier_partner="4")
    async with client(sandbox) as http, connected(sandbox) as clickpost:
        raw = await http.post(INDIA, json=order)
        created = await clickpost.orders.create(order)

    # ClickPost's table: 302 for a courier id that is a string.
    assert (status_of(raw), created.response.status) == (302, 200)
    assert sandbox.orders()["PEN-1"].payload["shipment_details"]["courier_partner"] == 4
