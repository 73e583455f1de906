"""The outcome of an attempt and of its call, decided with plain values."""

import pytest

from clickpost_async import (
    BusyCourierError,
    ClickPostError,
    CourierError,
    CredentialsError,
    FailureKind,
    Idempotency,
    InvalidRequestError,
    NoReplyError,
    NotSentError,
    Outcome,
    Resend,
    RetryPolicy,
    ThrottledError,
)
from clickpost_async._core.outcome import (
    attempt_kind,
    final_error,
    may_have_been_sent,
    names_another_order,
    outcome_of,
    safe_resend_delay,
)
from clickpost_async._http.adapter import SendProgress
from clickpost_async.structures import CreatedOrder
from clickpost_async.structures._base import ResponseModel

ADAPTER_KINDS = (
    FailureKind.NOT_SENT,
    FailureKind.NOT_SENDABLE,
    FailureKind.LOCAL_RESOURCES,
    FailureKind.NO_RESPONSE,
    FailureKind.UNEXPECTED,
)
PROOFS = ADAPTER_KINDS[:3]


@pytest.mark.parametrize("kind", ADAPTER_KINDS)
@pytest.mark.parametrize("is_reliable", [True, False])
@pytest.mark.parametrize("sent", [True, False])
def test_may_have_been_sent_unless_progress_or_failure_proves_otherwise(
    kind: FailureKind, is_reliable: bool, sent: bool
) -> None:
    progress = SendProgress()
    progress.may_have_been_sent, progress.is_reliable = sent, is_reliable

    expected = sent and (is_reliable or kind not in PROOFS)
    assert may_have_been_sent(kind, progress) == expected


@pytest.mark.parametrize(
    ("kind", "if_sent", "if_not_sent"),
    [
        (FailureKind.NOT_SENT, FailureKind.NO_RESPONSE, FailureKind.NOT_SENT),
        (FailureKind.NOT_SENDABLE, FailureKind.NO_RESPONSE, FailureKind.NOT_SENDABLE),
        (FailureKind.LOCAL_RESOURCES, FailureKind.NO_RESPONSE, FailureKind.LOCAL_RESOURCES),
        (FailureKind.NO_RESPONSE, FailureKind.NO_RESPONSE, FailureKind.NOT_SENT),
        (FailureKind.UNEXPECTED, FailureKind.UNEXPECTED, FailureKind.UNEXPECTED_NOT_SENT),
    ],
)
def test_attempt_kind_follows_from_whether_it_was_sent(
    kind: FailureKind, if_sent: FailureKind, if_not_sent: FailureKind
) -> None:
    assert attempt_kind(kind, sent=True) is if_sent
    assert attempt_kind(kind, sent=False) is if_not_sent


@pytest.mark.parametrize(
    ("error", "alone", "in_doubt"),
    [
        (None, Outcome.NOT_SENT, Outcome.UNKNOWN),
        (NotSentError("no"), Outcome.NOT_SENT, Outcome.UNKNOWN),
        (ThrottledError("no"), Outcome.NOT_SENT, Outcome.UNKNOWN),
        (InvalidRequestError("no", status=307), Outcome.REJECTED, Outcome.REJECTED),
        (InvalidRequestError("no", status=303), Outcome.REJECTED, Outcome.UNKNOWN),
        (CourierError("no", status=319), Outcome.REJECTED, Outcome.REJECTED),
        (CourierError("AWB already exists", status=319), Outcome.REJECTED, Outcome.UNKNOWN),
        (CourierError("Duplicate order id", status=350), Outcome.REJECTED, Outcome.UNKNOWN),
        (CredentialsError("no", status=301), Outcome.REJECTED, Outcome.UNKNOWN),
        (CredentialsError("no", status=351), Outcome.REJECTED, Outcome.REJECTED),
        (NoReplyError("no"), Outcome.UNKNOWN, Outcome.UNKNOWN),
        (BusyCourierError("no"), Outcome.UNKNOWN, Outcome.UNKNOWN),
    ],
)
def test_outcome_in_doubt_is_settled_only_by_a_rejection_of_the_order_itself(
    error: ClickPostError | None, alone: Outcome, in_doubt: Outcome
) -> None:
    assert outcome_of(error, in_doubt=False) is alone
    assert outcome_of(error, in_doubt=True) is in_doubt


def test_final_error_is_the_last_one_where_nothing_is_in_doubt() -> None:
    last = NotSentError("no connection")

    assert final_error(last, None, is_pending=False, attempts=3) is last
    assert last.outcome is Outcome.NOT_SENT


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (FailureKind.NOT_SENT, FailureKind.NO_RESPONSE),
        (FailureKind.DEADLINE, FailureKind.DEADLINE),
        (FailureKind.CIRCUIT_OPEN, FailureKind.CIRCUIT_OPEN),
        (FailureKind.RATE_LIMIT_PAUSED, FailureKind.RATE_LIMIT_PAUSED),
        (FailureKind.RETRY_BUDGET_SPENT, FailureKind.RETRY_BUDGET_SPENT),
    ],
)
def test_final_error_is_the_lost_one_where_a_later_attempt_was_not_sent(
    kind: FailureKind, expected: FailureKind
) -> None:
    lost = NoReplyError("connection reset")

    error = final_error(NotSentError("no", kind=kind), lost, is_pending=False, attempts=2)

    assert error is lost
    assert (error.outcome, error.kind, error.attempts) == (Outcome.UNKNOWN, expected, 2)


def test_final_error_after_a_pending_order_is_not_reported_as_not_sent() -> None:
    last = NotSentError("no connection", endpoint="orders.create_india", reference_number="R-1")

    error = final_error(last, None, is_pending=True, attempts=2)

    assert isinstance(error, NoReplyError)
    assert error.message == "order was still pending when the call failed: no connection"
    assert (error.outcome, error.attempts, error.endpoint, error.reference_number) == (
        Outcome.UNKNOWN,
        2,
        "orders.create_india",
        "R-1",
    )


def test_final_error_that_is_a_rejection_settles_what_was_lost() -> None:
    last = InvalidRequestError("no", status=307)

    assert final_error(last, NoReplyError("lost"), is_pending=False, attempts=2) is last
    assert last.outcome is Outcome.REJECTED


@pytest.mark.parametrize(
    ("idempotency", "resend", "expected"),
    [
        (Idempotency.SAFE, Resend.AFTER_SETTLING, 45),
        (Idempotency.IDEMPOTENT, Resend.NEVER, 60),
        (Idempotency.BY_REFERENCE, Resend.AFTER_SETTLING, 60),
        (Idempotency.BY_REFERENCE, Resend.NEVER, None),
        (Idempotency.UNSAFE, Resend.AFTER_SETTLING, None),
    ],
)
def test_safe_resend_delay_follows_from_what_a_second_sending_does(
    idempotency: Idempotency, resend: Resend, expected: float | None
) -> None:
    error = NoReplyError("lost", retry_after=45)
    policy = RetryPolicy(settle_delay=30, resend=resend)

    assert safe_resend_delay(error, idempotency, policy, pause_left=60) == expected


@pytest.mark.parametrize(
    ("received", "sent", "expected"),
    [
        ("R-2", "R-1", True),
        ("R-1", "R-1", False),
        (" R-1 ", "R-1", False),
        (None, "R-1", False),
        ("R-1", None, False),
    ],
)
def test_response_names_another_order_only_by_another_reference_number(
    received: str | None, sent: str | None, expected: bool
) -> None:
    assert names_another_order(CreatedOrder(reference_number=received), sent) == expected
    assert not names_another_order(ResponseModel(), sent)
