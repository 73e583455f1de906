"""Orders to send to the sandbox, as plain wire mappings, and where to send them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # Processes that are started and killed need the orders only, and soon.
    import httpx

    from clickpost_async import ClickPost
    from clickpost_async.sandbox import Sandbox

INDIA = "/v3/create-order/"
WORLD = "/v4/create-order/"
CREDENTIALS = {"username": "sandbox", "key": "sandbox-key-not-a-secret"}
# 2026-03-02T00:00:00Z, where the clocks of these tests stand.
MIDNIGHT = 1_772_409_600


def client(sandbox: Sandbox, *, credentials: Mapping[str, str] = CREDENTIALS) -> httpx.AsyncClient:
    """Return a raw client that calls the sandbox without a socket."""
    import httpx

    return httpx.AsyncClient(
        base_url="http://sandbox.test/api",
        params=dict(credentials),
        transport=httpx.ASGITransport(app=sandbox),
    )


def connected(sandbox: Sandbox) -> ClickPost:
    """Return the package's client, which calls the sandbox without a socket."""
    import httpx

    from clickpost_async import ClickPost

    return ClickPost(
        sandbox.username,
        sandbox.api_key,
        base_url="http://127.0.0.1/api",
        transport=httpx.ASGITransport(app=sandbox),
    )


def raw_client(url: str) -> httpx.AsyncClient:
    """Return a raw client that calls over a socket."""
    import httpx

    return httpx.AsyncClient(base_url=url, params=CREDENTIALS, trust_env=False, timeout=10)


def india_order(reference_number: str, **changes: Any) -> dict[str, Any]:
    """Return a v3 order; a change is `section__field=value`, and None leaves the field out."""
    order: dict[str, Any] = {
        "pickup_info": {
            "pickup_name": "Lotus Stationers",
            "pickup_address": "14 Ink Lane",
            "pickup_city": "Ahmedabad",
            "pickup_state": "Gujarat",
            "pickup_pincode": "380009",
            "pickup_country": "IN",
            "pickup_phone": "9000000011",
            "pickup_time": "2026-03-02T11:00:00",
            "email": "desk@lotus.example",
        },
        "drop_info": {
            "drop_name": "Meera Reader",
            "drop_address": "7 Banyan Road",
            "drop_city": "Pune",
            "drop_state": "Maharashtra",
            "drop_pincode": "411001",
            "drop_country": "IN",
            "drop_phone": "9000000012",
        },
        "shipment_details": {
            "items": [
                {
                    "description": "Fountain pen",
                    "quantity": 1,
                    "weight": 40,
                    "price": 650.5,
                    "sku": "PEN-1",
                    "images": "https://pens.example/1.jpg,https://pens.example/2.jpg",
                },
                {
                    "description": "Ink",
                    "quantity": 2,
                    "weight": 90,
                    "price": 120,
                    "sku": "INK-2",
                },
            ],
            "order_type": "COD",
            "cod_value": 890.5,
            "delivery_type": "FORWARD",
            "courier_partner": 4,
            "account_code": "lotus-surface",
            "reference_number": reference_number,
            "order_id": "LOTUS-77",
            "invoice_value": 890.5,
            "invoice_date": "2026-03-01",
            "height": 5,
            "breadth": 12,
            "length": 20,
            "weight": 220,
        },
        "additional": {"label": True},
    }
    return changed(order, changes)


def world_order(reference_number: str, **changes: Any) -> dict[str, Any]:
    """Return a v4 order that crosses a border."""
    order: dict[str, Any] = {
        "pickup_info": {
            "name": "Dune Lamps",
            "address": "3 Harbour Street",
            "city": "Dubai",
            "state": "",
            "postal_code": "",
            "country_code": "AE",
            "phone": "500000001",
            "email": "out@dune.example",
            "time": "2026-03-02T09:30:00",
        },
        "drop_info": {
            "name": "Omar Buyer",
            "address": "19 Palm Street",
            "city": "Riyadh",
            "state": "Riyadh",
            "postal_code": "12611",
            "country_code": "SA",
            "phone": "500000002",
        },
        "shipment_details": {
            "items": [
                {"description": "Lamp", "quantity": 1, "weight": 900, "price": 80, "sku": "LAMP"}
            ],
            "order_type": "PREPAID",
            "cod_value": 0,
            "delivery_type": "FORWARD",
            "courier_partner": 138,
            "account_code": "dune-air",
            "reference_number": reference_number,
            "invoice_value": 80,
            "invoice_date": "2026-03-01",
            "currency_code": "AED",
            "height": 30,
            "breadth": 20,
            "length": 20,
            "weight": 1100,
        },
        "additional": {},
    }
    return changed(order, changes)


def b2b_order(reference_number: str, **changes: Any) -> dict[str, Any]:
    """Return a B2B order of three boxes; a change is as in `india_order`."""
    order: dict[str, Any] = {
        "pickup_info": {
            "name": "Lotus Stationers",
            "phone": "9000000011",
            "organisation": "Lotus",
            "address": "14 Ink Lane",
            "city": "Ahmedabad",
            "state": "Gujarat",
            "pincode": "380009",
            "country": "India",
            "time": "2026-03-02T11:00:00+0530",
        },
        "drop_info": {
            "name": "Meera Reader",
            "phone": "9000000012",
            "organisation": "Banyan Books",
            "address": "7 Banyan Road",
            "city": "Pune",
            "state": "Maharashtra",
            "pincode": "411001",
            "country": "India",
        },
        "shipment_info": {
            "reference_number": reference_number,
            "courier_partner": 129,
            "account_code": "bluedart-surface",
            "order_type": "PREPAID",
            "delivery_type": "FORWARD",
            "cod_value": 0,
            "weight": 9000,
            "invoice_info": [{"number": "INV-1", "value": 4000, "date": "2026-03-01"}],
            "box_info": [
                {
                    "count": 2,
                    "reference_number_prefix": "BOX",
                    "length": 20,
                    "breadth": 20,
                    "height": 20,
                    "weight": 3000,
                    "product_info": [{"sku": "PEN-1", "sku_count": 40, "price": 50}],
                },
                {"count": 1, "box_master_code": "L", "weight": 3000},
            ],
        },
    }
    return changed(order, changes)


def at_midnight(**settings: Any) -> Sandbox:
    """Return a sandbox whose time is moved by `tick` only."""
    from clickpost_async.sandbox import Sandbox

    return Sandbox(clock=lambda: float(MIDNIGHT), **settings)


async def placed(
    http: httpx.AsyncClient, waybill: str, *, reference: str | None = None, **changes: Any
) -> str:
    """Place an Indian order that is to have a certain waybill, and return that."""
    changes["shipment_details__awb_number"] = waybill
    reply = await http.post(INDIA, json=india_order(reference or f"REF-{waybill}", **changes))
    assert status_of(reply) == 200
    return waybill


async def b2b_placed(http: httpx.AsyncClient, reference_number: str) -> None:
    """Place a B2B order at once."""
    order = b2b_order(reference_number, additional_info={"is_async": False})
    reply = await http.post("/v1/create-b2b-order/", json=order)
    assert status_of(reply) == 200


async def registered(http: httpx.AsyncClient, waybill: str, **more: Any) -> str:
    """Have a parcel tracked that ClickPost did not create."""
    body = {"waybill": waybill, "courier_partner": 4, "account_code": "lotus-surface", **more}
    assert status_of(await http.post("/v3/tracking/awb-register/", json=body)) == 200
    return waybill


def changed(order: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the order with some fields set, or left out."""
    for path, value in changes.items():
        section, _, name = path.partition("__")
        part = order[section] if name else order
        if value is None:
            part.pop(name or section, None)
        else:
            part[name or section] = value
    return order


def status_of(reply: httpx.Response) -> int:
    """Return ClickPost's own status."""
    status: int = reply.json()["meta"]["status"]
    return status
