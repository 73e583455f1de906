"""The outcome of an attempt, and of its call: pure functions of plain values."""

import re

from clickpost_async._codec.endpoint import Idempotency
from clickpost_async._core.retry import Resend, RetryPolicy
from clickpost_async._http.adapter import SendProgress
from clickpost_async.errors import (
    ClickPostError,
    CourierError,
    CredentialsError,
    FailureKind,
    NoReplyError,
    NotSentError,
    Outcome,
)
from clickpost_async.structures._base import ResponseModel

# Failures that prove nothing was sent, where an adapter cannot report how far a request got.
_PROVES_NOT_SENT = frozenset(
    {FailureKind.NOT_SENT, FailureKind.NOT_SENDABLE, FailureKind.LOCAL_RESOURCES}
)
_IF_NOT_SENT = {
    FailureKind.NO_RESPONSE: FailureKind.NOT_SENT,
    FailureKind.UNEXPECTED: FailureKind.UNEXPECTED_NOT_SENT,
}
# Reasons for which a call ends whose outcome an earlier attempt has left unknown.
_ENDS_CALL = frozenset(
    {
        FailureKind.CIRCUIT_OPEN,
        FailureKind.DEADLINE,
        FailureKind.RATE_LIMIT_PAUSED,
        FailureKind.RETRY_BUDGET_SPENT,
    }
)
# ClickPost has an order for this waybill (its code table): an earlier attempt may have placed it.
_ORDER_EXISTS = 303
# After a courier's time-out its second response may be "AWB already exists" (ClickPost's guide).
_COURIER_HAS_ORDER = re.compile(r"\b(?:already|duplicate)\b", re.IGNORECASE).search


def may_have_been_sent(kind: FailureKind, progress: SendProgress) -> bool:
    """Return whether an attempt that failed in that way may have reached the server."""
    proven = progress.is_reliable or kind not in _PROVES_NOT_SENT
    return progress.may_have_been_sent and proven


def attempt_kind(kind: FailureKind, *, sent: bool) -> FailureKind:
    """Return what failed, of an adapter's failure and whether the request may have been sent."""
    if not sent:
        return _IF_NOT_SENT.get(kind, kind)
    return kind if kind is FailureKind.UNEXPECTED else FailureKind.NO_RESPONSE


def outcome_of(error: ClickPostError | None, *, in_doubt: bool) -> Outcome:
    """Return the outcome of a call that ends with an error, or without one if it was cancelled.

    `in_doubt`: ClickPost may have processed another attempt of the call, whose outcome is unknown.
    Then an error settles the outcome only if it is a rejection of the order itself.
    """
    if not in_doubt:
        return Outcome.NOT_SENT if error is None else error.outcome
    if error is None or error.outcome is Outcome.NOT_SENT or error.status == _ORDER_EXISTS:
        return Outcome.UNKNOWN
    if isinstance(error, CredentialsError) and error.key_refused:
        return Outcome.UNKNOWN
    if isinstance(error, CourierError) and _COURIER_HAS_ORDER(error.message):
        return Outcome.UNKNOWN
    return error.outcome


def final_error(
    last: ClickPostError, lost: ClickPostError | None, *, is_pending: bool, attempts: int
) -> ClickPostError:
    """Return the error that is true of the whole call, not only of its last attempt.

    `lost` is the error of the last attempt with an unknown outcome; `is_pending`: ClickPost has
    recorded the order and not placed it yet. Either way the order cannot be reported as not sent.
    `attempts`: how many the call has made.
    """
    if last is lost or not (lost or is_pending):
        return last
    if not isinstance(last, NotSentError):
        last.outcome = outcome_of(last, in_doubt=True)
        return last
    error = lost
    if error is None:
        error = NoReplyError(f"order was still pending when the call failed: {last.message}")
        error.kind, error.endpoint = last.kind, last.endpoint
        error.reference_number = last.reference_number
    elif last.kind in _ENDS_CALL:
        error.kind = last.kind
    error.attempts = attempts
    return error


def safe_resend_delay(
    error: ClickPostError, idempotency: Idempotency, policy: RetryPolicy, pause_left: float
) -> float | None:
    """Return the seconds after which a call with an unknown outcome may safely be sent again.

    `pause_left`: the seconds left of a pause that ClickPost has asked for. `None`: a second sending
    may act twice, or the policy forbids it.
    """
    match idempotency:
        case Idempotency.SAFE:
            return error.retry_after or 0.0
        case Idempotency.UNSAFE:
            return None
        case Idempotency.BY_REFERENCE if policy.resend is Resend.NEVER:
            return None
        case _:
            return max(policy.settle_delay, error.retry_after or 0.0, pause_left)


def names_another_order(response: ResponseModel, reference_number: str | None) -> bool:
    """Return whether a response carries another reference number than the one that was sent.

    A cache or a proxy on the way may have mixed up two responses. Surrounding blanks do not count,
    and a response without a reference number belongs to its own request.
    """
    received = response.own_reference
    if received is None or reference_number is None:
        return False
    return received.strip() != reference_number.strip()
