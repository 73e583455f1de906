"""What the sandbox keeps of an order or a registration for later responses and webhooks."""

from collections.abc import Sequence

from attrs import frozen

from clickpost_async.sandbox.api import checks, params
from clickpost_async.sandbox.api.checks import B2B
from clickpost_async.sandbox.operation import JSON, SandboxRequest
from clickpost_async.sandbox.payload import address, get, objects, section
from clickpost_async.sandbox.world.tracking_codes import ShipmentKind


@frozen(kw_only=True)
class Booking:
    """An order that passed the checks."""

    version: str
    body: bytes
    reference_number: str
    courier_partner: int
    account_code: str
    awb_number: str | None
    drop_pincode: str
    wants_label: bool
    kind: ShipmentKind
    order_type: str
    cod_value: float
    origin: str
    asynchronous: bool


def checked(call: SandboxRequest) -> Booking:
    """Return the order in a call, or reject it for the first check that fails."""
    [version] = (name for name, create in checks.CREATES.items() if create == call.operation)
    payload = params.body(call)
    checks.run(checks.CHECKS[version], payload)
    return booking_of(version, call.body, payload, call.origin)


def booking_of(version: str, body: bytes, payload: JSON, origin: str) -> Booking:
    """Return an order that passed the checks; `origin` is where its label is served."""
    is_b2b, drop = version == B2B, address(payload, "drop")
    either = "shipment_info" if is_b2b else "shipment_details|additional"
    kind = _kind(get(payload, f"{either}.delivery_type"), get(payload, f"{either}.order_type"))
    is_async = get(payload, "additional_info.is_async" if is_b2b else "additional.async")
    label = get(payload, "additional_info.is_label_required" if is_b2b else "additional.label")
    awb_number = None if is_b2b else get(payload, f"{either}.awb_number")
    return Booking(
        version=version,
        body=body,
        reference_number=str(get(payload, f"{either}.reference_number")),
        courier_partner=get(payload, f"{either}.courier_partner"),
        account_code=str(get(payload, f"{either}.account_code") or ""),
        awb_number=str(awb_number) if awb_number else None,
        drop_pincode=str(drop.get("pincode", drop.get("postal_code"))),
        wants_label=label is not False and (is_b2b or kind is not ShipmentKind.RVP),
        kind=kind,
        order_type=str(get(payload, f"{either}.order_type")),
        cod_value=params.number(get(payload, f"{either}.cod_value") or 0) or 0.0,
        origin=origin,
        asynchronous=is_async is not False if is_b2b else is_async is True,
    )


def _kind(delivery_type: object, order_type: object) -> ShipmentKind:
    if delivery_type == "RVP":
        return ShipmentKind.RVP
    return ShipmentKind.EXCHANGE if order_type == "EXCHANGE" else ShipmentKind.FORWARD


def items_of(payload: JSON) -> Sequence[JSON]:
    """Return the items; those of a B2B order are in its boxes, with other names."""
    items = get(payload, "shipment_details|shipment_info.items")
    nested = get(section(payload, "shipment_info"), "additional.items")
    return objects(nested if items is None else items) or [
        {**product, "quantity": product.get("sku_count", product.get("count"))}
        for box in objects(get(payload, "shipment_info.box_info"))
        for product in objects(box.get("product_info"))
    ]


def merchant_order_id(payload: JSON) -> object:
    """Return the merchant's own order id, from any of its places."""
    return get(payload, "shipment_details|additional.order_id")


def box_references(payload: JSON) -> Sequence[str | None]:
    """Return the reference number of each box of a B2B order."""
    return [
        f"{prefix}.{number:03}" if prefix else None
        for box in objects(get(payload, "shipment_info.box_info"))
        for prefix in [box.get("reference_number_prefix")]
        for number in range(1, checks.box_count(box) + 1)
    ]


def details_of(payload: JSON) -> JSON:
    """Return the details of an order or a registration of any version: nearly all are optional."""
    pickup, drop = address(payload, "pickup"), address(payload, "drop")
    person = {**drop, **section(payload, "consumer_details")}
    invoices = objects(get(payload, "shipment_info.invoice_info")) or [{}]
    shipment = "shipment_details|shipment_info|additional"
    return {
        "pickup_city": pickup.get("city"),
        "drop_city": drop.get("city"),
        "order_id": get(payload, f"{shipment}.order_id"),
        "invoice_number": get(payload, f"{shipment}.invoice_number") or invoices[0].get("number"),
        "currency_code": get(payload, f"{shipment}.currency_code") or "INR",
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
