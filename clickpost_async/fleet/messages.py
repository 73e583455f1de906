"""What became of an order, on its way from the worker that created it."""

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
from clickpost_async.structures import CreatedOrder


def write(came: CreatedOrder | ClickPostError, seconds: float) -> str:
    """Write down what creating an order came to; neither the key nor a person is in it."""
    if isinstance(came, CreatedOrder):
        attempts, told = came.response.attempts, outcome_codec.write_order(came)
    else:
        attempts, told = came.attempts, outcome_codec.write_error(came)
        told |= {
            "transient": came.transient,
            "settles_in": came.settle_delay,
            "kind": came.kind.name,
        }
        if isinstance(came, InvalidRequestError):
            told["problems"] = [[problem.path, problem.message] for problem in came.problems]
    written = {"attempts": attempts, "seconds": seconds, **told}
    return json.dumps(written, ensure_ascii=False, separators=(",", ":"))


def created(answer: str) -> CreatedOrder:
    """Read a worker's answer, which is what its task returns.

    Raises the `ClickPostError` that the worker got.
    """
    told: dict[str, Any] = json.loads(answer)
    if "error" not in told:
        return outcome_codec.read_order(told)
    error = outcome_codec.read_error(told) or NoReplyError("the worker did not live to tell")
    error.transient = told["transient"]
    error.settle_delay = told["settles_in"]
    error.kind = FailureKind[told["kind"]]
    if isinstance(error, InvalidRequestError):
        error.problems = tuple(Problem(*problem) for problem in told["problems"])
    raise error
