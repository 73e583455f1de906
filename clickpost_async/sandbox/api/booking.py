"""What the sandbox reads in the payload of an order or a registration, of any version."""

from collections.abc import Sequence
from typing import Any

from clickpost_async.sandbox.api import checks
from clickpost_async.sandbox.api.checks import B2B
from clickpost_async.sandbox.operation import JSON
from clickpost_async.sandbox.params import address, get, members, section
from clickpost_async.sandbox.store.records import Order
from clickpost_async.sandbox.world.tracking_codes import ShipmentKind


def shipment(version: str, payload: JSON, name: str) -> Any:
    """Return a field of an order's shipment; only B2B orders have a single place for it."""
    places = "shipment_info" if version == B2B else "shipment_details|additional"
    return get(payload, f"{places}.{name}")


def kind_of(order: Order) -> ShipmentKind:
    """Return which way an order goes."""
    if shipment(order.version, order.payload, "delivery_type") == "RVP":
        return ShipmentKind.RVP
    order_type = shipment(order.version, order.payload, "order_type")
    return ShipmentKind.EXCHANGE if order_type == "EXCHANGE" else ShipmentKind.FORWARD


def wants_label(order: Order) -> bool:
    """Return whether an order gets a label: unless it declines, or is picked up at a customer's."""
    if order.version == B2B:
        return get(order.payload, "additional_info.is_label_required") is not False
    declines = get(order.payload, "additional.label") is False
    return not declines and kind_of(order) is not ShipmentKind.RVP


def is_asynchronous(order: Order) -> bool:
    """Return whether an order is accepted first, and placed later."""
    if order.version == B2B:
        return get(order.payload, "additional_info.is_async") is not False
    return get(order.payload, "additional.async") is True


def items_of(payload: JSON) -> Sequence[JSON]:
    """Return the items; those of a B2B order are in its boxes, with other names."""
    items = get(payload, "shipment_details|shipment_info.items")
    nested = get(section(payload, "shipment_info"), "additional.items")
    return members(nested if items is None else items) or [
        {**product, "quantity": product.get("sku_count", product.get("count"))}
        for box in members(get(payload, "shipment_info.box_info"))
        for product in members(box.get("product_info"))
    ]


def box_references(payload: JSON) -> Sequence[str | None]:
    """Return the reference number of each box of a B2B order."""
    return [
        f"{prefix}.{number:03}" if prefix else None
        for box in members(get(payload, "shipment_info.box_info"))
        for prefix in [box.get("reference_number_prefix")]
        for number in range(1, checks.box_count(box) + 1)
    ]


def details_of(payload: JSON) -> JSON:
    """Return the details of an order or a registration of any version: nearly all are optional."""
    pickup, drop = address(payload, "pickup"), address(payload, "drop")
    person = {**drop, **section(payload, "consumer_details")}
    invoices = members(get(payload, "shipment_info.invoice_info")) or [{}]
    places = "shipment_details|shipment_info|additional"
    return {
        "pickup_city": pickup.get("city"),
        "drop_city": drop.get("city"),
        "order_id": get(payload, f"{places}.order_id"),
        "invoice_number": get(payload, f"{places}.invoice_number") or invoices[0].get("number"),
        "currency_code": get(payload, f"{places}.currency_code") or "INR",
        "channel_name": get(payload, "additional.channel_name"),
        "min_edd": get(payload, "additional.min_edd"),
        "max_edd": get(payload, "additional.max_edd"),
        "items": _items(items_of(payload)),
        # As in the webhooks of a return, whose pickup is at the customer's.
        "customer": {
            "customer_name": person.get("name"),
            "customer_email": person.get("email"),
            "customer_phone_number": person.get("phone"),
            "pickup_state": drop.get("state"),
            "pickup_address": drop.get("address"),
            "pickup_pincode": drop.get("pincode", drop.get("postal_code")),
            "pickup_city": drop.get("city"),
            "pickup_country": drop.get("country", drop.get("country_code")),
        },
    }


def _items(items: Sequence[JSON]) -> Sequence[JSON]:
    names = ("sku", "quantity", "description", "images")
    return [{name: item[name] for name in names if item.get(name) is not None} for item in items]
