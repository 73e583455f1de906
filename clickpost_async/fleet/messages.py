"""The reply of the worker that created an order, as JSON."""

import json
from typing import Any

from clickpost_async.bulk import outcome_codec
from clickpost_async.errors import (
    ClickPostError,
    FailureKind,
    InvalidRequestError,
    NoReplyError,
    Problem,
)
from clickpost_async.structures import CreatedOrder, ResponseInfo

_NONE = "-"


def write(result: CreatedOrder | ClickPostError, seconds: float) -> str:
    """Return the reply about an order as JSON; neither the key nor a person is in it."""
    if isinstance(result, CreatedOrder):
        attempts, message = result.response.attempts, outcome_codec.write_order(result)
    else:
        attempts, message = result.attempts, outcome_codec.write_error(result)
        message |= {
            "transient": result.transient,
            "settle_delay": result.settle_delay,
            "kind": result.kind.name,
        }
        if isinstance(result, InvalidRequestError):
            message["problems"] = [[problem.path, problem.message] for problem in result.problems]
    written = {"attempts": attempts, "seconds": seconds, **message}
    return json.dumps(written, ensure_ascii=False, separators=(",", ":"))


def created(reply: str) -> CreatedOrder:
    """Return the order of a worker's reply, which is what its task returns.

    Raises the `ClickPostError` that the worker got.
    """
    return read(json.loads(reply))


def read(message: dict[str, Any]) -> CreatedOrder:
    """Return the order of a reply that was decoded from JSON, or raise its error."""
    if "error" not in message:
        return outcome_codec.read_order(message)
    error = outcome_codec.read_error(message) or NoReplyError("the worker did not report a result")
    error.transient = message["transient"]
    error.settle_delay = message["settle_delay"]
    error.kind = FailureKind[message["kind"]]
    if isinstance(error, InvalidRequestError):
        error.problems = tuple(Problem(*problem) for problem in message["problems"])
    raise error


def summarize(order: CreatedOrder) -> str:
    """Return what the ledger keeps of a placed order: the courier partner's id and the waybill."""
    courier = _NONE if order.courier_partner is None else str(order.courier_partner)
    return f"{courier} {order.waybill or _NONE}"


def read_summary(summary: str, reference_number: str) -> CreatedOrder:
    """Return as much of a placed order as its summary has; everything else is `None`."""
    courier, _, waybill = summary.partition(" ")
    return CreatedOrder(
        waybill=None if waybill == _NONE else waybill,
        reference_number=reference_number,
        courier_partner=None if courier == _NONE else int(courier),
        response=ResponseInfo(status=200, http_status=200, reconciled=True, attempts=0),
    )
