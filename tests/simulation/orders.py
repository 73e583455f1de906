"""Orders: their contents, and how ClickPost and its courier treat each."""

import json
from typing import Any

from attrs import frozen

from tests.simulation.history import Key

PATHS = {"/v3/create-order/": "india", "/v4/create-order/": "world"}


@frozen(kw_only=True)
class Order:
    """An order of the shop; `contents` distinguishes what is sent under one reference number."""

    market: str
    reference: str
    contents: str

    @property
    def key(self) -> Key:
        """Return what distinguishes it from all other orders."""
        return (self.market, self.reference)

    def changed(self, contents: str) -> "Order":
        """Return another order under the same reference number."""
        return Order(market=self.market, reference=self.reference, contents=contents)

    def payload(self) -> dict[str, Any]:
        """Return it as an application writes it."""
        return _india(self) if self.market == "india" else _world(self)


def reference_of(content: bytes) -> str:
    """Read the reference number of an order that is sent."""
    return str(json.loads(content)["shipment_details"]["reference_number"])


def contents_of(content: bytes) -> str:
    """Read what distinguishes its contents."""
    return str(json.loads(content)["shipment_details"]["invoice_number"])


def _details(order: Order) -> dict[str, Any]:
    return {
        "items": [
            {"description": "Pen", "quantity": 1, "weight": 40, "price": 650, "sku": "PEN-1"}
        ],
        "order_type": "PREPAID",
        "cod_value": 0,
        "delivery_type": "FORWARD",
        "courier_partner": 4,
        "account_code": "lotus",
        "reference_number": order.reference,
        "invoice_value": 650,
        "invoice_date": "2026-03-01",
        "invoice_number": order.contents,
        "length": 20,
        "breadth": 10,
        "height": 5,
        "weight": 90,
    }


def _india(order: Order) -> dict[str, Any]:
    return {
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
            "drop_name": f"Reader of {order.contents}",
            "drop_address": "7 Banyan Road",
            "drop_city": "Pune",
            "drop_state": "Maharashtra",
            "drop_pincode": "411001",
            "drop_country": "IN",
            "drop_phone": "9000000012",
        },
        "shipment_details": _details(order),
        "additional": {"label": True},
    }


def _world(order: Order) -> dict[str, Any]:
    person = {
        "address": "14 Ink Lane",
        "city": "Dubai",
        "state": "Dubai",
        "postal_code": "00000",
        "country_code": "AE",
        "phone": "500000011",
        "phone_code": "+971",
        "email": "desk@lotus.example",
    }
    return {
        "pickup_info": {"name": "Lotus", "time": "2026-03-02T11:00:00Z", **person},
        "drop_info": {"name": f"Reader of {order.contents}", **person},
        "shipment_details": _details(order),
        "additional": {"label": True},
    }
