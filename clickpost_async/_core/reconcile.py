"""Looking up an order whose create has an unknown outcome, before it is sent again."""

from typing import Any

import attrs

from clickpost_async._codec.endpoint import Endpoint, Get, R
from clickpost_async._concurrency.single_flight import Doubt
from clickpost_async._core.retry import RetryAction, RetryPolicy
from clickpost_async.errors import ClickPostError, FailureKind, Outcome

SETTLING = "settle delay before the order is sent again"


def wait_reason(action: RetryAction | None) -> str:
    """Return why a call waits before its next attempt; `None`: it polls a pending order."""
    if action is None:
        return "the order is pending, and polled again after that"
    if action in (RetryAction.SETTLE, RetryAction.ON_REQUEST):
        return SETTLING
    return "back-off before the next attempt"


def look_up_endpoint(endpoint: Endpoint[R]) -> Get[R] | None:
    """Return the endpoint that finds an order of a create, read as the create's own response."""
    look_up: Any = endpoint.found_by
    return None if look_up is None else attrs.evolve(look_up, returns=endpoint.returns)


def is_look_up_due(action: RetryAction, policy: RetryPolicy) -> bool:
    """Return whether an order is looked up after a failure that leaves its outcome unknown."""
    return policy.reconcile and action in (RetryAction.SETTLE, RetryAction.LOOK_UP)


def as_created(found: R, attempts: int) -> R:
    """Return an order that a look-up has found as the response to its create."""
    response = attrs.evolve(found.response, attempts=attempts, reconciled=True)
    return attrs.evolve(found, response=response)


def settle_wait(doubt: Doubt | None, policy: RetryPolicy) -> float:
    """Return the seconds that an order must still be left alone after an earlier create of it."""
    return 0.0 if doubt is None else doubt.left_to_settle(policy.settle_delay)


def is_shareable(error: ClickPostError | None, *, same_client: bool, is_closed: bool) -> bool:
    """Return whether a create's result holds for an equal create that has waited for it.

    What ended the one call for its own limits, such as its deadline, need not end the other. What
    kept another client from sending, or broke off when that client was closed, need not either.
    """
    if error is None:
        return True
    if error.kind in (FailureKind.DEADLINE, FailureKind.RATE_LIMIT_PAUSED):
        return False
    return same_client or not (is_closed or error.outcome is Outcome.NOT_SENT)
