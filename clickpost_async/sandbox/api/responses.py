"""The bodies of create and fetch responses, as in ClickPost's own examples.

No two of them agree on where the ids stand, so each is written out.
"""

from collections.abc import Sequence
from hashlib import blake2b

from attrs import frozen

from clickpost_async.sandbox.api import b2b
from clickpost_async.sandbox.api.validation import INDIA, items_of, merchant_order_id, section
from clickpost_async.sandbox.operation import JSON, Reply, meta
from clickpost_async.sandbox.store.orders import Order
from clickpost_async.sandbox.world import couriers

_PLACED = "Order Placed Successfully"
_PLACED_BEFORE = "You have already placed this order"
_FIRST_ORDER_ID = 154_000_000
# Live tracking ids do not fit into 32 bits.
_FIRST_TRACKING_ID = 6_790_000_000


@frozen(kw_only=True)
class ResponseBuilder:
    """Builds responses; what looks random is derived from the seed and the reference."""

    username: str
    seed: int

    def waybill(self, order: Order, bought: int) -> str:
        """Return the waybill of the next label bought for an order."""
        number = int.from_bytes(self._noise(order, f"waybill/{bought}"))
        return str(10**13 + number % (9 * 10**13))

    def tracking_id(self, order: Order) -> int:
        """Return the number of an order's tracking."""
        return _FIRST_TRACKING_ID + order.id

    def placed_b2b(self, order: Order, status: int = 200, message: str = _PLACED) -> Reply:
        """Respond with a B2B order, which has a child for each box."""
        result = {
            **self._fetched(order),
            "account_code": order.account_code or None,
            "children": b2b.children(order.waybill or "", order.payload),
        }
        return Reply({"meta": meta(status, message), "result": result, **_ids(order)})

    def placed(self, order: Order, version: str) -> Reply:
        """Respond 200 to a create."""
        if version == b2b.VERSION:
            return self.placed_b2b(order)
        if version == INDIA:
            return Reply(
                {
                    "meta": {
                        **meta(200, _PLACED),
                        "username": self.username,
                        "reference_number": order.reference_number,
                    },
                    "result": {
                        "label": order.label,
                        "waybill": order.waybill,
                        "order_id": merchant_order_id(order.payload),
                        "sort_code": self._sort_code(order),
                        "account_code": order.account_code or None,
                        "courier_name": couriers.name_of(order.courier_partner),
                        "security_key": self.security_key(order),
                        "reference_number": order.reference_number,
                        "courier_partner_id": order.courier_partner,
                        **_with_children(_india_children(order)),
                    },
                    **_ids(order),
                }
            )
        return Reply(
            {
                "result": {
                    **_invoice(order),
                    **self._fetched(order),
                    **_ids(order),
                    **_with_children(_world_children(order)),
                },
                "meta": meta(200, _PLACED),
            }
        )

    def duplicate(self, order: Order, version: str) -> Reply:
        """Respond 323 with the order that exists already."""
        if version == b2b.VERSION:
            return self.placed_b2b(order, 323, _PLACED_BEFORE)
        india = version == INDIA
        name = couriers.name_of if india else couriers.code_of
        return Reply(
            {
                "meta": meta(323, _PLACED_BEFORE),
                "result": {
                    **self._fetched(order),
                    **_ids(order),
                    "courier_name": name(order.courier_partner),
                    **_with_children(_flat_children(order) if india else _bare_children(order)),
                },
            }
        )

    def accepted(self, order: Order) -> Reply:
        """Respond 202 to the first create of an order that is processed later; 102 for B2B."""
        if order.version == b2b.VERSION:
            return self.pending(order)
        return Reply(
            {
                "meta": meta(202, _PLACED),
                "order_id": _ids(order)["order_id"],
                "result": {
                    "reference_number": order.reference_number,
                    "waybill": None,
                    "label": None,
                    "sort_code": None,
                },
            }
        )

    def pending(self, order: Order) -> Reply:
        """Respond 102 while an order is being processed."""
        return Reply(
            {
                "order_id": _ids(order)["order_id"],
                "result": {
                    "waybill": None,
                    "sort_code": None,
                    "security_key": None,
                    "label": None,
                    "reference_number": order.reference_number,
                },
                "meta": meta(102, "We are processing your order"),
            }
        )

    def failed(self, order: Order, status: int, message: object) -> Reply:
        """Respond with the courier's rejection: there is no result."""
        return Reply(
            {
                "order_id": _ids(order)["order_id"],
                "meta": meta(status, message),
                "reference_number": order.reference_number,
            }
        )

    def fetched(self, order: Order) -> Reply:
        """Respond to a fetch by waybill; the ids of a multi-piece order are beside the result."""
        children = _india_children(order) if order.version == INDIA else _world_children(order)
        if not children:
            result = {**self._fetched(order), **_ids(order)}
            return Reply({"result": result, "meta": meta(200, _PLACED)})
        result = {
            **self._fetched(order),
            "order_id": merchant_order_id(order.payload),
            "children": children,
        }
        return Reply({"result": result, "meta": meta(200, _PLACED), **_ids(order)})

    def found(self, order: Order) -> Reply:
        """Respond to a fetch by reference: the oldest shape, without ids."""
        return Reply(
            {
                "meta": meta(200, "Success"),
                "result": {
                    "security_key": self.security_key(order),
                    "courier_partner": order.courier_partner,
                    "reference_number": order.reference_number,
                    "label": order.label,
                    "waybill": order.waybill,
                },
            }
        )

    def _fetched(self, order: Order) -> dict[str, object]:
        return {
            "waybill": order.waybill,
            "reference_number": order.reference_number,
            "label": order.label,
            "courier_partner_id": order.courier_partner,
            "courier_name": couriers.name_of(order.courier_partner),
            "sort_code": self._sort_code(order),
            "security_key": self.security_key(order),
        }

    def _sort_code(self, order: Order) -> str | None:
        if order.version != INDIA:
            return None
        noise = self._noise(order, "sort code")
        letters = "".join(chr(ord("A") + byte % 26) for byte in noise[:8])
        return f"{letters[:2]}/{letters[2:5]}/{letters[5:8]}"

    def security_key(self, order: Order) -> str:
        """Return the secret of an order's tracking page."""
        digits = self._noise(order, "security key").hex()
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:32]))

    def _noise(self, order: Order, purpose: str) -> bytes:
        text = f"{self.seed}/{order.reference_number}/{purpose}"
        return blake2b(text.encode(), digest_size=16).digest()


def _ids(order: Order) -> dict[str, object]:
    return {"order_id": _FIRST_ORDER_ID + order.id, "tracking_id": _FIRST_TRACKING_ID + order.id}


def _invoice(order: Order) -> dict[str, object]:
    pickup, drop = (section(order.payload, name) for name in ("pickup_info", "drop_info"))
    if pickup.get("country_code") == drop.get("country_code"):
        return {}
    code = couriers.code_of(order.courier_partner)
    address = f"https://labels.clickpost.example/{code}/INVOICE_DATA/{order.waybill}.pdf"
    return {"commercial_invoice_url": address}


def _with_children(children: Sequence[JSON]) -> dict[str, object]:
    return {"children": children} if children else {}


def _pieces(order: Order) -> Sequence[JSON]:
    return items_of(order.payload) if order.courier_partner in couriers.MULTI_PIECE else ()


def _echo(item: JSON) -> dict[str, object]:
    images = item.get("images")
    return {**item, "image_urls": images.split(",")} if isinstance(images, str) else {**item}


def _india_children(order: Order) -> Sequence[JSON]:
    children = []
    for number, item in enumerate(_pieces(order), 1):
        waybill = f"{order.waybill}-{number:04}"
        children.append({"item": {**_echo(item), "waybill": waybill}, "waybill": waybill})
    return children


def _world_children(order: Order) -> Sequence[JSON]:
    children = []
    for number, item in enumerate(_pieces(order), 1):
        waybill = f"{order.waybill}{number:05}"
        children.append(
            {
                "item": {"hsn_code": "", **_echo(item), "waybill": waybill},
                "waybill": waybill,
                "reference_number": order.reference_number,
                "label": None,
            }
        )
    return children


def _flat_children(order: Order) -> Sequence[JSON]:
    return [
        {
            "waybill": f"{order.waybill}-{number:04}",
            "description": item.get("description"),
            "sku": item.get("sku"),
        }
        for number, item in enumerate(_pieces(order), 1)
    ]


def _bare_children(order: Order) -> Sequence[JSON]:
    return [{"waybill": None, "item": _echo(item)} for item in _pieces(order)]
