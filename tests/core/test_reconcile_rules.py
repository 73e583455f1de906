"""When an order is looked up, and which result an equal create shares, with plain values."""

import pytest

from clickpost_async import (
    ClickPostError,
    FailureKind,
    InvalidRequestError,
    NoReplyError,
    NotSentError,
    RetryPolicy,
)
from clickpost_async._concurrency.event_loops import Instant
from clickpost_async._concurrency.single_flight import Doubt
from clickpost_async._core.reconcile import (
    as_created,
    is_look_up_due,
    is_shareable,
    look_up_endpoint,
    settle_wait,
    wait_reason,
)
from clickpost_async._core.retry import RetryAction
from clickpost_async.endpoints.couriers import PINCODE
from clickpost_async.endpoints.orders import CREATE_INDIA, FIND_INDIA
from clickpost_async.structures import CreatedOrder


def test_lookup_reads_the_order_as_its_create_would() -> None:
    look_up = look_up_endpoint(CREATE_INDIA)

    assert look_up is not None
    assert (look_up.path, look_up.name) == (FIND_INDIA.path, FIND_INDIA.name)
    assert look_up.returns is CreatedOrder
    assert look_up_endpoint(PINCODE) is None


@pytest.mark.parametrize("action", RetryAction)
def test_lookup_is_due_where_the_outcome_is_in_doubt_and_the_policy_reconciles(
    action: RetryAction,
) -> None:
    in_doubt = action in (RetryAction.SETTLE, RetryAction.LOOK_UP)
    assert is_look_up_due(action, RetryPolicy()) == in_doubt
    assert not is_look_up_due(action, RetryPolicy(reconcile=False))


def test_order_found_by_a_lookup_is_marked_as_reconciled() -> None:
    created = as_created(CreatedOrder(waybill="W-1"), attempts=2)

    assert (created.waybill, created.response.reconciled, created.response.attempts) == (
        "W-1",
        True,
        2,
    )


def test_settle_wait_is_what_is_left_of_the_settle_delay() -> None:
    doubt = Doubt(contents=b"", last_sent=Instant.now(), settle_delay=30, resend_window=60)

    assert settle_wait(None, RetryPolicy()) == 0
    assert 0 < settle_wait(doubt, RetryPolicy(settle_delay=1000)) <= 1000
    assert settle_wait(doubt, RetryPolicy(settle_delay=0)) == 0


@pytest.mark.parametrize(
    ("error", "same_client", "is_closed", "expected"),
    [
        (None, False, False, True),
        (InvalidRequestError("no"), False, False, True),
        (NoReplyError("no"), False, False, True),
        (NoReplyError("no"), False, True, False),
        (NoReplyError("no"), True, True, True),
        (NotSentError("no"), False, False, False),
        (NotSentError("no"), True, False, True),
        (NoReplyError("no", kind=FailureKind.DEADLINE), True, False, False),
        (NotSentError("no", kind=FailureKind.RATE_LIMIT_PAUSED), True, False, False),
    ],
)
def test_result_of_a_create_is_shared_unless_it_is_about_one_call_or_client(
    error: ClickPostError | None, same_client: bool, is_closed: bool, expected: bool
) -> None:
    assert is_shareable(error, same_client=same_client, is_closed=is_closed) == expected


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (None, "pending"),
        (RetryAction.SETTLE, "settle delay"),
        (RetryAction.ON_REQUEST, "settle delay"),
        (RetryAction.BACK_OFF, "back-off"),
        (RetryAction.ONCE, "back-off"),
    ],
)
def test_wait_reason_names_what_a_call_waits_for(action: RetryAction | None, words: str) -> None:
    assert words in wait_reason(action)
