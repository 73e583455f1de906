"""The same shapes as attrs classes, as one would write them, and as msgspec and pydantic have them.

They have the fields that the orders here use, and no rules.
"""

import types
import typing
from collections.abc import Callable
from typing import Any

import attrs
from attrs import frozen


@frozen
class Pickup:
    """Where a parcel starts."""

    pickup_name: str
    pickup_address: str
    pickup_city: str
    pickup_state: str
    pickup_pincode: str
    pickup_country: str
    email: str
    pickup_phone: str
    pickup_time: str
    tin: str


@frozen
class Drop:
    """Where it ends."""

    drop_name: str
    drop_address: str
    drop_city: str
    drop_state: str
    drop_pincode: str
    drop_country: str
    drop_phone: str
    drop_email: str


@frozen
class Item:
    """What is in it."""

    description: str
    sku: str
    quantity: int
    price: float
    weight: float


@frozen
class Shipment:
    """What is to be done with it."""

    items: list[Item]
    courier_partner: int
    account_code: str
    reference_number: str
    invoice_number: str
    invoice_date: str
    invoice_value: float
    delivery_type: str
    order_type: str
    cod_value: float
    length: float
    breadth: float
    height: float
    weight: float


@frozen
class Return:
    """The return address."""

    name: str
    phone: str
    address: str
    city: str
    state: str
    pincode: str
    country: str
    email: str


@frozen
class Additional:
    """What else is wanted."""

    label: bool
    order_date: str
    channel_name: str
    return_info: Return


@frozen
class Order:
    """An order."""

    pickup_info: Pickup
    drop_info: Drop
    shipment_details: Shipment
    additional: Additional


@frozen
class Meta:
    """ClickPost's status."""

    status: int
    message: str
    success: bool


@frozen
class Result:
    """The created order."""

    waybill: str
    label: str | None
    courier_name: str | None
    courier_partner_id: int | None
    account_code: str | None
    sort_code: str | None
    security_key: str | None
    commercial_invoice_url: str | None


@frozen
class CreateResponse:
    """The response to a create."""

    meta: Meta
    result: Result
    order_id: int | None
    tracking_id: int | None


def structs(kind: type) -> Any:
    """Make a `msgspec.Struct` of an attrs class, and of all that it holds."""
    import msgspec

    return _remade(kind, lambda name, fields: msgspec.defstruct(name, list(fields.items())))


def models(kind: type) -> Any:
    """Make a pydantic model of an attrs class, and of all that it holds."""
    import pydantic

    def made(name: str, fields: dict[str, Any]) -> type:
        required: Any = {field: (part, ...) for field, part in fields.items()}
        return pydantic.create_model(name, **required)

    return _remade(kind, made)


def _remade(kind: Any, make: Callable[[str, dict[str, Any]], type]) -> Any:
    if attrs.has(kind):
        fields = {each.name: _remade(each.type, make) for each in attrs.fields(kind)}
        return make(kind.__name__, fields)
    if isinstance(kind, types.GenericAlias):
        [member] = typing.get_args(kind)
        return list[_remade(member, make)]  # type: ignore[misc]
    return kind
