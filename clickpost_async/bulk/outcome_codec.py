"""Encodes outcomes as JSON for a journal, and decodes them."""

import json
from typing import Any

from clickpost_async import errors
from clickpost_async._codec.converter import structure_response, unstructure
from clickpost_async._codec.json import write as write_json
from clickpost_async.bulk.outcome import OrderOutcome, Pending, Placed, Rejected, Unknown
from clickpost_async.errors import ClickPostError, NoReplyError, Outcome
from clickpost_async.structures import CreatedOrder, ResponseInfo

# The error of an order that is recorded as about to be sent, and has no outcome.
IN_FLIGHT = "a previous run stopped while this order was in flight"
_ERROR_FIELDS = ("endpoint", "status", "http_status", "reference_number")


def write(outcome: OrderOutcome) -> bytes:
    """Encode an outcome; contains neither the key nor personal data."""
    written: dict[str, Any] = {"attempts": outcome.attempts, "seconds": outcome.seconds}
    match outcome:
        case Placed():
            written |= write_order(outcome.order) | {"found_again": outcome.recovered}
        case Pending(order=CreatedOrder() as order):
            written |= write_order(order)
        case Rejected():
            written |= {"reasons": outcome.reasons} | write_error(outcome.error)
        case Unknown() | Pending():
            written |= write_error(outcome.error)
    return write_json(written)


def read(kind: str, written: bytes, **context: Any) -> OrderOutcome:
    """Decode an outcome of that kind; `context` has the fields that identify its order."""
    data = json.loads(written)
    context |= {"attempts": data["attempts"], "seconds": data["seconds"]}
    if kind == "placed":
        return Placed(order=read_order(data), recovered=data["found_again"], **context)
    if kind == "rejected":
        return Rejected(reasons=tuple(data["reasons"]), error=read_error(data), **context)
    if kind == "queued":
        return Pending(order=read_order(data), **context)
    error = read_error(data)
    if kind == "accepted":
        return Pending(error=error, **context)
    return Unknown(
        error=error or NoReplyError(IN_FLIGHT),
        **context,
    )


def write_order(order: CreatedOrder) -> dict[str, Any]:
    """Return a response as plain values."""
    reply = order.response
    return {
        "order": unstructure(order),
        "status": reply.status,
        "http_status": reply.http_status,
        "looked_up": reply.reconciled,
    }


def read_order(data: dict[str, Any]) -> CreatedOrder:
    """Return the response of decoded JSON; `attempts` and `seconds` are stored beside it."""
    reply = ResponseInfo(
        status=data["status"],
        http_status=data["http_status"],
        reconciled=data["looked_up"],
        attempts=data["attempts"],
        seconds=data["seconds"],
    )
    order = structure_response(data["order"], CreatedOrder, reply)
    assert order is not None  # noqa: S101 - it was one when it was written
    return order


def write_error(error: ClickPostError | None) -> dict[str, Any]:
    """Return an error as plain values; nothing, if there is none."""
    if error is None:
        return {}
    context = {name: getattr(error, name) for name in _ERROR_FIELDS}
    return {
        "error": type(error).__name__,
        "message": error.message,
        "outcome": error.outcome.name,
        **context,
    }


def read_error(data: dict[str, Any]) -> ClickPostError | None:
    """Return the error of decoded JSON, if there is one; `attempts` is stored beside it."""
    if "error" not in data:
        return None
    kind: type[ClickPostError] = getattr(errors, data["error"])
    error = kind(
        data["message"],
        outcome=Outcome[data["outcome"]],
        **{name: data[name] for name in _ERROR_FIELDS},
    )
    error.attempts = data["attempts"]
    return error
