"""Reads ClickPost's response envelope: the `meta` status, and where the result is.

The shapes are those of ClickPost's OpenAPI exports (2025), its 2017-2020 documentation, and
responses that other projects have published.
"""

import re
from collections.abc import Mapping
from datetime import date
from itertools import islice
from typing import Any

from attrs import define


@define
class MetaStatus:
    """ClickPost's status of a call: its code, and its message as one line."""

    status: int | None
    message: str


def meta_status_of(body: Any) -> MetaStatus | None:
    """Return ClickPost's status in a body; `None` if there is none.

    `meta.success` is not read: it is true for an order that has no waybill yet (202), and has been
    both true and false for one that was placed before (323).
    """
    if not isinstance(body, dict):
        return None
    meta = body.get("meta")
    if isinstance(meta, dict):
        inner = meta.get("meta")
        if isinstance(inner, dict):  # NDR feedback wraps its success twice
            meta = inner
        status = _status(meta.get("status"))
        return None if status is None else MetaStatus(status, _message_of(meta))
    status = _status(body.get("status_code"))
    if status is not None:  # the flat responses of 2017
        return MetaStatus(status, _message_of(body))
    if isinstance(body.get("detail"), str):  # Django REST framework's own errors
        return MetaStatus(None, _single_line(body["detail"]))
    return None


def _status(value: Any) -> int | None:
    if type(value) is int:
        return value if 0 <= value <= 9999 else None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 4:
        return int(value)
    return None


def _message_of(meta: Mapping[str, Any]) -> str:
    """Return the message, whose key is misspelled in one of ClickPost's own samples."""
    return _single_line(meta.get("message") or meta.get("messsage"))


_MAX_MESSAGE_LENGTH = 2000
# A message of a megabyte is not put together to be cut off.
_MAX_PARTS = 200
# Parts of words in the scripts of India.
_JOINERS = "\u200c\u200d"


def _single_line(message: Any) -> str:
    """Return a message as one line, whatever JSON type it has, without control characters."""
    # Most messages are a text that is no list.
    is_plain = type(message) is str and message[:1] != "["
    text = message if is_plain else _flatten_message(message)
    line = " ".join(text[:_MAX_MESSAGE_LENGTH].split())
    if line.isprintable():
        return line
    # Terminals obey escape codes, and lone surrogates cannot be logged.
    return "".join(
        letter if letter.isprintable() or letter in _JOINERS else "\ufffd" for letter in line
    )


def _flatten_message(message: Any, depth: int = 0) -> str:
    if isinstance(message, str):
        return _as_sentences(message)
    if isinstance(message, dict) and depth < 4:
        parts = islice(message.items(), _MAX_PARTS)
        return "; ".join(f"{key}: {_flatten_message(value, depth + 1)}" for key, value in parts)
    if isinstance(message, list) and depth < 4:
        return "; ".join(
            _flatten_message(value, depth + 1) for value in islice(message, _MAX_PARTS)
        )
    return "" if message is None else str(message)


def _as_sentences(message: str) -> str:
    """Split a Python list of strings that ClickPost has printed as one string."""
    if message[:2] in ("['", '["') and message[-2:] in ("']", '"]'):
        return re.sub("""['"], ['"]""", "; ", message[2:-2])
    return message


# --- where the result is ------------------------------------------------------------------------


_FLAT_STATUS_KEYS = frozenset({"status_code", "message", "messsage", "success"})


def result_of(body: Mapping[str, Any]) -> Any:
    """Read the fields from `result`; a response without one is empty.

    The flat responses of 2017 have them beside the status.
    """
    if "meta" not in body and "result" not in body:
        return {name: value for name, value in body.items() if name not in _FLAT_STATUS_KEYS}
    return result_or_none(body) or {}


def result_or_none(body: Mapping[str, Any]) -> Any:
    """Return `result`; `None` if it is missing or empty: null, false, "", an empty list or object.

    ClickPost writes nothing in several types.
    """
    return body.get("result") or None


def rows_from_result(body: Mapping[str, Any]) -> Any:
    """Read a list of objects from `result` as `rows`; anything else there is unreadable."""
    rows = result_or_none(body)
    if rows is None:
        return {"rows": []}
    if not isinstance(rows, list) or not all(isinstance(row, dict | None) for row in rows):
        return None
    return {"rows": [row for row in rows if row is not None]}


def only_row(body: Mapping[str, Any]) -> Any:
    """Read the one object in `result`, which ClickPost wraps in a list, or not; none is empty."""
    result = result_or_none(body)
    if isinstance(result, list) and len(result) == 1:
        result = result[0]
    if result is None:
        return {}
    return result if isinstance(result, dict) else None


def whole_body(body: Mapping[str, Any]) -> Any:
    """Read the fields from the body itself."""
    return body


def without_meta(body: Mapping[str, Any]) -> Any:
    """Read everything beside `meta`: nothing there is documented, or required."""
    return {name: value for name, value in body.items() if name != "meta"}


def days_of(body: Mapping[str, Any]) -> Any:
    """Read counts by day as `days`; what is no day, or no count, is kept unchanged."""
    result = body.get("result") or {}
    if not isinstance(result, Mapping):
        return None
    days: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for key, value in result.items():
        day = _day(key)
        if day is None or not isinstance(value, Mapping | None):
            rest[key] = value
        else:
            days[day] = value or {}
    return {**rest, "days": days}


def _day(text: str) -> str | None:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        return None


def order_of(body: Mapping[str, Any]) -> Any:
    """Read an order: the result, with ClickPost's ids, which are inside it or beside it.

    `order_id` is used twice. Beside the result it is ClickPost's number, and one inside is then the
    merchant's text; with none beside, a number inside is ClickPost's (v4, and 323).
    """
    result = only_row(body)
    if result is None:
        return None
    order = dict(result)
    inside, beside = order.pop("order_id", None), body.get("order_id")
    if beside is None and not isinstance(inside, str):
        inside, beside = None, inside
    order["order_id"], order["merchant_order_id"] = beside, inside
    for name in ("tracking_id", "reference_number"):
        if order.get(name) is None:
            order[name] = body.get(name)
    if order.get("children") is not None:
        order["children"] = _children(order["children"])
    return order


def _children(children: Any) -> list[Any]:
    """Give the child waybills of a multi-piece order one shape.

    They are a list of `{item, waybill, ...}`, flat `{waybill, description, sku}` where the order
    was placed before, and an object in the documentation.
    """
    if isinstance(children, dict):
        single = "waybill" in children or "item" in children
        children = [children] if single else list(children.values())
    if not isinstance(children, list):
        return []
    return [_child(child) for child in children if isinstance(child, dict)]


def _child(child: Mapping[str, Any]) -> Mapping[str, Any]:
    if isinstance(child.get("item"), dict):
        return child
    own = ("waybill", "reference_number", "label", "DestinationArea", "DestinationLocation")
    return {
        **{name: value for name, value in child.items() if name in own},
        "item": {name: value for name, value in child.items() if name not in own},
    }
