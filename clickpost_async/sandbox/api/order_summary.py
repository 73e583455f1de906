"""The fields of an order or a registration that later responses and webhooks need."""

from collections.abc import Sequence

from clickpost_async.sandbox.api import b2b
from clickpost_async.sandbox.api.validation import INDIA, items_of, merchant_order_id, section
from clickpost_async.sandbox.operation import JSON


def of_order(payload: JSON, version: str) -> JSON:
    """Return the fields of a v3 or v4 order; v3 prefixes the names in its addresses."""
    if version == b2b.VERSION:
        return _of_b2b(payload)
    pickup, drop = ("pickup_", "drop_") if version == INDIA else ("", "")
    consignor, consignee = section(payload, "pickup_info"), section(payload, "drop_info")
    shipment, additional = section(payload, "shipment_details"), section(payload, "additional")
    return {
        "pickup_city": consignor.get(f"{pickup}city"),
        "drop_city": consignee.get(f"{drop}city"),
        "order_id": merchant_order_id(payload),
        "invoice_number": shipment.get("invoice_number"),
        "currency_code": shipment.get("currency_code", "INR"),
        "channel_name": additional.get("channel_name"),
        "items": _items(items_of(payload)),
        "customer": {
            "customer_name": consignee.get(f"{drop}name"),
            "customer_email": consignee.get(f"{drop}email"),
            "customer_phone_number": consignee.get(f"{drop}phone"),
            "pickup_state": consignee.get(f"{drop}state"),
            "pickup_address": consignee.get(f"{drop}address"),
            "pickup_pincode": consignee.get(f"{drop}{'pincode' if drop else 'postal_code'}"),
            "pickup_city": consignee.get(f"{drop}city"),
            "pickup_country": consignee.get(f"{drop}{'country' if drop else 'country_code'}"),
        },
    }


def _of_b2b(payload: JSON) -> JSON:
    """Return the fields of a B2B order."""
    shipment, consignee = section(payload, "shipment_info"), section(payload, "drop_info")
    invoices = shipment.get("invoice_info")
    first = invoices[0] if isinstance(invoices, list) and invoices else {}
    return {
        "pickup_city": section(payload, "pickup_info").get("city"),
        "drop_city": consignee.get("city"),
        "invoice_number": first.get("number") if isinstance(first, dict) else None,
        "currency_code": "INR",
        "items": _items(
            [product for box in b2b.boxes_of(payload) for product in b2b.products_of(box)]
        ),
        "customer": {
            "customer_name": consignee.get("name"),
            "customer_email": consignee.get("email"),
            "customer_phone_number": consignee.get("phone"),
            "pickup_state": consignee.get("state"),
            "pickup_address": consignee.get("address"),
            "pickup_pincode": consignee.get("pincode"),
            "pickup_city": consignee.get("city"),
            "pickup_country": consignee.get("country"),
        },
    }


def of_registration(payload: JSON) -> JSON:
    """Return the fields of a registration, v2 or v3: nearly all are optional."""
    shipment, consumer = section(payload, "shipment_info"), section(payload, "consumer_details")
    pickup, drop = section(payload, "pickup_info"), section(payload, "drop_info")
    additional = section(payload, "additional")
    items = shipment.get("items", section(shipment, "additional").get("items"))
    return {
        "pickup_city": pickup.get("city"),
        "drop_city": drop.get("city"),
        "order_id": shipment.get("order_id", additional.get("order_id")),
        "invoice_number": shipment.get("invoice_number"),
        "currency_code": shipment.get("currency_code", "INR"),
        "channel_name": additional.get("channel_name"),
        "min_edd": additional.get("min_edd"),
        "max_edd": additional.get("max_edd"),
        "items": _items(items if isinstance(items, list) else []),
        "customer": {
            "customer_name": consumer.get("name", drop.get("name")),
            "customer_email": consumer.get("email", drop.get("email")),
            "customer_phone_number": consumer.get("phone", drop.get("phone")),
            "pickup_state": drop.get("state"),
            "pickup_address": drop.get("address", shipment.get("drop_address")),
            "pickup_pincode": drop.get(
                "pincode", drop.get("postal_code", shipment.get("drop_pincode"))
            ),
            "pickup_city": drop.get("city"),
            "pickup_country": drop.get("country_code"),
        },
    }


def _items(items: Sequence[object]) -> Sequence[JSON]:
    names = ("sku", "quantity", "description", "images")
    return [
        {name: item[name] for name in names if item.get(name) is not None}
        for item in items
        if isinstance(item, dict)
    ]
