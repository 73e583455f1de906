"""Outcomes as they are written into a journal, and read again."""

import json
from typing import Any

from clickpost_async import errors
from clickpost_async._codec.converter import structure_response, unstructure
from clickpost_async._codec.json import write as write_json
from clickpost_async.bulk.outcome import OrderOutcome, Pending, Placed, Rejected, Unknown
from clickpost_async.errors import ClickPostError, NoReplyError
from clickpost_async.errors import Outcome as Evidence
from clickpost_async.structures import CreatedOrder, ResponseInfo

_FACTS = ("endpoint", "status", "http_status", "reference_number")


def write(outcome: OrderOutcome) -> bytes:
    """Write an outcome down; neither the key nor a person is in it."""
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
    """Read an outcome of that kind again; `context` say which order it is."""
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
        error=error or NoReplyError("a previous run stopped while this order was in flight"),
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
    """Read a response again; `attempts` and `seconds` are stored beside it."""
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
    context = {name: getattr(error, name) for name in _FACTS}
    return {
        "error": type(error).__name__,
        "message": error.message,
        "outcome": error.outcome.name,
        **context,
    }


def read_error(data: dict[str, Any]) -> ClickPostError | None:
    """Read an error again; `attempts` is beside it."""
    if "error" not in data:
        return None
    kind: type[ClickPostError] = getattr(errors, data["error"])
    error = kind(
        data["message"],
        outcome=Evidence[data["outcome"]],
        **{name: data[name] for name in _FACTS},
    )
    error.attempts = data["attempts"]
    return error
