"""B2B orders: their checks and their responses. ClickPost's guide shows no response at all.

They are taken to be those of other orders with several pieces, one child for each box.
"""

from collections.abc import Iterator, Mapping, Sequence

from clickpost_async.sandbox.api import params
from clickpost_async.sandbox.api.validation import Booking, section
from clickpost_async.sandbox.operation import JSON, ReceivedCall, RefusalError
from clickpost_async.sandbox.world import couriers, scenarios
from clickpost_async.sandbox.world.tracking_codes import ShipmentKind

VERSION = "b2b"

_SECTIONS = ("pickup_info", "drop_info", "shipment_info")
_PLACE = ("name", "phone", "country")
_ADDRESS = ("address", "city", "state", "pincode")
_LONGEST_REFERENCE = 100
_LONGEST_BLUEDART_REFERENCE = 20
_MOST_BOXES = 1000


def check(call: ReceivedCall) -> Booking:
    """Return the order in a call, or raise what ClickPost has against it."""
    payload = params.body(call)
    for name in _SECTIONS:
        if not isinstance(payload.get(name), Mapping):
            raise RefusalError(328, detail=f"{name} is mandatory")
    shipment = section(payload, "shipment_info")
    courier_partner = params.courier_in_body(shipment.get("courier_partner"))
    account_code = str(shipment.get("account_code") or "")
    scenarios.check_account(account_code, vendor_code=True)
    order_type = shipment.get("order_type")
    if order_type not in ("COD", "PREPAID"):
        raise RefusalError(307)
    if shipment.get("delivery_type") not in ("FORWARD", "RVP"):
        raise RefusalError(309)
    cod_value = params.number(shipment.get("cod_value") or 0)
    if cod_value is None or (order_type == "COD") != (cod_value > 0):
        raise RefusalError(315)
    for name in ("pickup_info", "drop_info"):
        _check_place(name, section(payload, name))
    _check_boxes(shipment)
    additional = section(payload, "additional_info")
    return Booking(
        version=VERSION,
        body=call.body,
        reference_number=_reference(shipment, courier_partner),
        courier_partner=courier_partner,
        account_code=account_code,
        awb_number=None,
        drop_pincode=str(section(payload, "drop_info").get("pincode")),
        wants_label=additional.get("is_label_required") is not False,
        kind=ShipmentKind.RVP if shipment["delivery_type"] == "RVP" else ShipmentKind.FORWARD,
        order_type=str(order_type),
        cod_value=cod_value,
        origin=call.origin,
        asynchronous=additional.get("is_async") is not False,
    )


def children(waybill: str, payload: JSON) -> Sequence[JSON]:
    """Return every box of an order with its waybill."""
    return [
        {"waybill": f"{waybill}-{number:04}", "reference_number": reference, "label": None}
        for number, reference in enumerate(_box_references(payload), 1)
    ]


def _box_references(payload: JSON) -> Iterator[str | None]:
    for box in boxes_of(payload):
        prefix = box.get("reference_number_prefix")
        for number in range(1, _count(box) + 1):
            yield f"{prefix}.{number:03}" if prefix else None


def boxes_of(payload: JSON) -> Sequence[JSON]:
    """Return the kinds of boxes of an order."""
    return _objects(section(payload, "shipment_info").get("box_info"))


def products_of(box: JSON) -> Sequence[JSON]:
    """Return what is in a box, each with its quantity."""
    return [
        {**product, "quantity": product.get("sku_count", product.get("count"))}
        for product in _objects(box.get("product_info"))
    ]


def _objects(value: object) -> Sequence[JSON]:
    return [part for part in value if isinstance(part, Mapping)] if isinstance(value, list) else []


def _count(box: JSON) -> int:
    return int(params.number(box.get("count", 1)) or 0)


def _check_place(name: str, place: JSON) -> None:
    names = _PLACE if place.get("location_code") else (*_PLACE, *_ADDRESS)
    for field in names:
        if place.get(field) in (None, "", [], {}):
            raise RefusalError(328, detail=f"{name}.{field} is mandatory")
    if str(place["country"]).casefold() not in ("india", "in"):
        raise RefusalError(314, detail=f"{name}.country must be India")


def _check_boxes(shipment: JSON) -> None:
    boxes = shipment.get("box_info")
    if boxes in (None, []):
        raise RefusalError(312)
    if not isinstance(boxes, list) or len(_objects(boxes)) != len(boxes):
        raise RefusalError(313, detail="box_info must be a list of objects")
    for position, box in enumerate(boxes):
        measured = all(params.number(box.get(name)) for name in ("length", "breadth", "height"))
        if not measured and not box.get("box_master_code"):
            raise RefusalError(313, detail=f"box_info[{position}] has neither size nor master code")
        if not 1 <= _count(box) <= _MOST_BOXES:
            raise RefusalError(314, detail=f"box_info[{position}].count must be 1 or more")


def _reference(shipment: JSON, courier_partner: int) -> str:
    reference = params.text(shipment, "reference_number", status=328)
    bluedart = courier_partner in couriers.BLUEDART
    longest = _LONGEST_BLUEDART_REFERENCE if bluedart else _LONGEST_REFERENCE
    if len(reference) > longest:
        raise RefusalError(314, detail=f"reference_number is longer than {longest} characters")
    return reference
