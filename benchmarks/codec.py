"""Orders to bytes, bytes to responses, mappings to orders: this library, by hand, and others."""

import itertools
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from benchmarks import _models
from benchmarks._measure import Case, Row, client_core, cpu, interleaved
from benchmarks._orders import RESPONSE, RESPONSE_BODY, WAYBILL, mapping
from benchmarks._tables import Column

PLAIN = "clickpost_async"
FAST = "clickpost_async[orjson]"
FULL = "clickpost_async[orjson], 171 fields set"
BY_HAND = "by hand, orjson"

COLUMNS = (
    Column("order → bytes µs", "out_us", 2),
    Column("bytes → response µs", "in_us", 2),
    Column("mapping → order µs", "structure_us", 1),
)

LIBRARIES = ("attrs", "cattrs", "msgspec", "orjson", "pydantic")

# Different orders, as many as a processor's caches do not hold.
_ORDERS = 2_000


class Codec(NamedTuple):
    """How an order is read and written, and how a response is read; makes mappings of orders."""

    read: Callable[[dict[str, Any]], Any]
    write: Callable[[Any], bytes]
    read_response: Callable[[bytes], Any]
    waybill: Callable[[Any], str]
    mapping: Callable[[str], dict[str, Any]] = mapping


def ours() -> Codec:
    """Return what this library does to what it sends and gets, with every check."""
    from clickpost_async import IndiaOrder, structure
    from clickpost_async._codec.messages import APIResponse
    from clickpost_async._codec.request import encode
    from clickpost_async._codec.response import decode
    from clickpost_async.endpoints import CATALOG

    endpoint: Any = CATALOG["orders.create_india"]

    def write(order: Any) -> bytes:
        body = encode(endpoint, None, order).body
        assert body is not None
        return body

    return Codec(
        read=lambda order: structure(order, IndiaOrder),
        write=write,
        read_response=lambda body: decode(endpoint, APIResponse(200, body)),
        waybill=lambda created: created.waybill,
    )


def ours_full() -> Codec:
    """Return the same for orders with as many fields as can be set to anything."""
    from clickpost_async import InvalidRequestError, structure
    from clickpost_async.structures import IndiaOrder
    from clickpost_async.structures._schema import specs

    given = mapping("full")
    order = structure(given, IndiaOrder)
    shipment = given["shipment_details"]
    parts = [(given[name], getattr(order, name)) for name in given]
    parts += zip(shipment["items"], order.shipment_details.items, strict=True)
    for part, known in parts:
        for spec in specs(type(known)):
            for value in (*("x1", True, 1), None):
                if spec.wire in part:
                    break
                part[spec.wire] = value
                try:
                    is_valid = not structure(given, IndiaOrder).warnings
                except InvalidRequestError:
                    is_valid = False
                if value is None or not is_valid:
                    del part[spec.wire]

    def full(reference: str) -> dict[str, Any]:
        numbered = {**shipment, "reference_number": reference}
        return {**given, "shipment_details": numbered}

    assert _fields(given) == 171, _fields(given)
    return ours()._replace(mapping=full)


def _fields(value: Any) -> int:
    members = value.values() if isinstance(value, dict) else value
    return sum(_fields(each) for each in members) if isinstance(value, dict | list) else 1


def by_hand() -> Codec:
    """Return what one writes out field by field where every microsecond counts."""
    import orjson
    from cattrs import structure

    def write(order: _models.Order) -> bytes:
        pickup, drop, shipment = order.pickup_info, order.drop_info, order.shipment_details
        additional, back = order.additional, order.additional.return_info
        return orjson.dumps(
            {
                "pickup_info": {
                    "pickup_name": pickup.pickup_name,
                    "pickup_address": pickup.pickup_address,
                    "pickup_city": pickup.pickup_city,
                    "pickup_state": pickup.pickup_state,
                    "pickup_pincode": pickup.pickup_pincode,
                    "pickup_country": pickup.pickup_country,
                    "email": pickup.email,
                    "pickup_phone": pickup.pickup_phone,
                    "pickup_time": pickup.pickup_time,
                    "tin": pickup.tin,
                },
                "drop_info": {
                    "drop_name": drop.drop_name,
                    "drop_address": drop.drop_address,
                    "drop_city": drop.drop_city,
                    "drop_state": drop.drop_state,
                    "drop_pincode": drop.drop_pincode,
                    "drop_country": drop.drop_country,
                    "drop_phone": drop.drop_phone,
                    "drop_email": drop.drop_email,
                },
                "shipment_details": {
                    "items": [
                        {
                            "description": item.description,
                            "sku": item.sku,
                            "quantity": item.quantity,
                            "price": item.price,
                            "weight": item.weight,
                        }
                        for item in shipment.items
                    ],
                    "courier_partner": shipment.courier_partner,
                    "account_code": shipment.account_code,
                    "reference_number": shipment.reference_number,
                    "invoice_number": shipment.invoice_number,
                    "invoice_date": shipment.invoice_date,
                    "invoice_value": shipment.invoice_value,
                    "delivery_type": shipment.delivery_type,
                    "order_type": shipment.order_type,
                    "cod_value": shipment.cod_value,
                    "length": shipment.length,
                    "breadth": shipment.breadth,
                    "height": shipment.height,
                    "weight": shipment.weight,
                },
                "additional": {
                    "label": additional.label,
                    "order_date": additional.order_date,
                    "channel_name": additional.channel_name,
                    "return_info": {
                        "name": back.name,
                        "phone": back.phone,
                        "address": back.address,
                        "city": back.city,
                        "state": back.state,
                        "pincode": back.pincode,
                        "country": back.country,
                        "email": back.email,
                    },
                },
            }
        )

    def read_response(body: bytes) -> _models.CreateResponse:
        data = orjson.loads(body)
        meta, result = data["meta"], data["result"]
        return _models.CreateResponse(
            meta=_models.Meta(
                status=meta["status"], message=meta["message"], success=meta["success"]
            ),
            result=_models.Result(
                waybill=result["waybill"],
                label=result["label"],
                courier_name=result["courier_name"],
                courier_partner_id=result["courier_partner_id"],
                account_code=result["account_code"],
                sort_code=result["sort_code"],
                security_key=result["security_key"],
                commercial_invoice_url=result["commercial_invoice_url"],
            ),
            order_id=data["order_id"],
            tracking_id=data["tracking_id"],
        )

    return Codec(lambda order: structure(order, _models.Order), write, read_response, _waybill)


def cattrs(library: str) -> Codec:
    """Return what cattrs does as it comes."""
    if library == "orjson":
        from cattrs.preconf.orjson import make_converter
    else:
        from cattrs.preconf.json import make_converter
    converter: Any = make_converter()
    return Codec(
        read=lambda order: converter.structure(order, _models.Order),
        write=converter.dumps if library == "orjson" else lambda o: converter.dumps(o).encode(),
        read_response=lambda body: converter.loads(body, _models.CreateResponse),
        waybill=_waybill,
    )


def msgspec() -> Codec:
    """Return what msgspec does with its own classes."""
    import msgspec as library

    kind = _models.structs(_models.Order)
    return Codec(
        read=lambda order: library.convert(order, kind),
        write=library.json.Encoder().encode,
        read_response=library.json.Decoder(_models.structs(_models.CreateResponse)).decode,
        waybill=_waybill,
    )


def pydantic() -> Codec:
    """Return what pydantic does with its own classes."""
    return Codec(
        read=_models.models(_models.Order).model_validate,
        write=lambda order: order.model_dump_json().encode(),
        read_response=_models.models(_models.CreateResponse).model_validate_json,
        waybill=_waybill,
    )


def _waybill(response: Any) -> str:
    return str(response.result.waybill)


_CODECS: Mapping[str, tuple[str, Sequence[str]]] = {
    PLAIN: ("ours", []),
    FAST: ("ours", []),
    FULL: ("ours_full", []),
    BY_HAND: ("by_hand", []),
    "cattrs as it comes, orjson": ("cattrs", ["orjson"]),
    "cattrs as it comes, json": ("cattrs", ["json"]),
    "pydantic": ("pydantic", []),
    "msgspec.Struct": ("msgspec", []),
}


def measure(*, quick: bool) -> Sequence[Row]:
    """Measure all of them, both ways."""
    cases = [
        Case(
            labels={"with": name},
            arguments={"function": function, "given": given, "times": 200 if quick else 50_000},
            needs=["orjson"] if name in (FAST, FULL) else [],
            without=["orjson"] if name == PLAIN else [],
            rounds=1 if quick else 5,
            timeout=60,
        )
        for name, (function, given) in _CODECS.items()
    ]
    return interleaved(cases, lambda case: case.call("codec:once"))


def once(function: str, given: Sequence[str], times: int) -> Mapping[str, float]:
    """Write and read so many times, having done so before."""
    client_core()
    codec: Codec = getattr(sys.modules[__name__], function)(*given)
    mappings = [codec.mapping(f"codec-{number}") for number in range(_ORDERS)]
    orders = [codec.read(each) for each in mappings]
    assert json.loads(codec.write(orders[7])) == mappings[7]
    assert codec.waybill(codec.read_response(RESPONSE_BODY)) == WAYBILL
    # The same text, but never the same bytes, so that no result can be remembered.
    bodies = [json.dumps({**RESPONSE, "order_id": n}).encode() for n in range(_ORDERS)]
    return {
        "out_us": _timed(codec.write, orders, times),
        "in_us": _timed(codec.read_response, bodies, times),
        "structure_us": _timed(codec.read, mappings, max(1, times // 5)),
    }


def _timed(work: Callable[[Any], object], inputs: Sequence[Any], times: int) -> float:
    for given in inputs:
        work(given)
    began = cpu()
    for given in itertools.islice(itertools.cycle(inputs), times):
        work(given)
    return (cpu() - began) / times * 1e6
