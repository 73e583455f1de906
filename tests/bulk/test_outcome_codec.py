"""Outcomes survive the round trip through a journal."""

import pytest

from clickpost_async import (
    ClickPostError,
    CourierError,
    NoReplyError,
    NotSentError,
    Outcome,
    ResponseInfo,
    ServerError,
)
from clickpost_async.bulk import OrderOutcome, Pending, Placed, Rejected, Unknown
from clickpost_async.bulk.outcome_codec import read, write
from clickpost_async.structures import CreatedOrder

FACTS = {"position": 3, "reference_number": "R-1", "row": 5}
HISTORY = {"attempts": 2, "seconds": 1.5}


def order(**fields: object) -> CreatedOrder:
    reply = ResponseInfo(status=323, http_status=200, reconciled=True, attempts=2, seconds=1.5)
    return CreatedOrder(reference_number="R-1", **fields, response=reply)  # type: ignore[arg-type]


def failed(error: ClickPostError) -> ClickPostError:
    error.attempts = 2
    error.endpoint = "orders.create_india"
    return error


OUTCOMES: dict[str, OrderOutcome] = {
    "placed": Placed(order=order(waybill="W-1", label="https://a.example/1"), **FACTS, **HISTORY),
    "rejected": Rejected(
        reasons=("drop_phone: missing", "too heavy"),
        error=failed(CourierError("no", status=319, http_status=200)),
        **FACTS,
        **HISTORY,
    ),
    "queued": Pending(order=order(), **FACTS, **HISTORY),
    "accepted": Pending(error=failed(NotSentError("no connection")), **FACTS, **HISTORY),
    "unknown": Unknown(error=failed(NoReplyError("no response")), **FACTS, **HISTORY),
}


@pytest.mark.parametrize("kind", OUTCOMES)
def test_outcome_is_read_as_it_was_written(kind: str) -> None:
    outcome = OUTCOMES[kind]
    again = read(kind, write(outcome), **FACTS)

    assert type(again) is type(outcome)
    assert (again.attempts, again.seconds, again.row) == (2, 1.5, 5)
    if isinstance(outcome, Placed | Pending) and outcome.order is not None:
        assert isinstance(again, Placed | Pending)
        assert again.order == outcome.order
        assert again.order is not None
        assert again.order.response == outcome.order.response
    if isinstance(outcome, Rejected):
        assert isinstance(again, Rejected)
        assert again.reasons == outcome.reasons


@pytest.mark.parametrize("kind", ["rejected", "accepted", "unknown"])
def test_error_is_read_as_it_was_written(kind: str) -> None:
    was, again = (one.error for one in (OUTCOMES[kind], read(kind, write(OUTCOMES[kind]), **FACTS)))  # type: ignore[union-attr]

    assert type(again) is type(was)
    for name in ("message", "outcome", "status", "http_status", "endpoint", "attempts"):
        assert getattr(again, name) == getattr(was, name), name


def test_error_keeps_an_outcome_that_differs_from_its_class() -> None:
    error = failed(ServerError("failed inside", outcome=Outcome.NOT_SENT))
    outcome = Pending(error=error, **FACTS, **HISTORY)
    again = read("accepted", write(outcome), **FACTS)

    assert isinstance(again, Pending)
    assert again.error is not None
    assert again.error.outcome is Outcome.NOT_SENT


@pytest.mark.parametrize("found_again", [False, True])
def test_order_that_was_found_again_is_read_as_one(found_again: bool) -> None:
    placed = Placed(order=order(waybill="W-1"), recovered=found_again, **FACTS, **HISTORY)
    again = read("placed", write(placed), **FACTS)

    assert isinstance(again, Placed)
    assert again.recovered is found_again


def test_order_whose_run_was_killed_is_unknown() -> None:
    again = read("sending", b'{"attempts":1,"seconds":0}', **FACTS)

    assert isinstance(again, Unknown)
    assert isinstance(again.error, NoReplyError)
