"""Decision tables: what a run does with an order, and which outcome an error is."""

import enum
from collections.abc import Mapping
from types import MappingProxyType

from clickpost_async.bulk.outcome import OrderOutcome, Pending, Rejected, Unknown
from clickpost_async.bulk.records import JournalState
from clickpost_async.errors import (
    ClickPostError,
    CredentialsError,
    DeadlineError,
    FailureKind,
    NotSentError,
    Outcome,
    ThrottledError,
)


class Action(enum.Enum):
    """What is done with an order of the input."""

    SEND = "send it"
    RESOLVE = "in doubt: settle, look it up, and resend it if it is not found"
    LOOK_UP = "in doubt and not to be resent: settle, and look it up"
    REPORT = "report what is recorded, and send nothing"
    REFUSE = "reject it: an earlier row has its reference number with other contents"


# By the recorded state, for an order with the recorded contents ...
_SAME: Mapping[JournalState | None, Action] = MappingProxyType(
    {
        None: Action.SEND,
        JournalState.ACCEPTED: Action.SEND,
        JournalState.SENDING: Action.RESOLVE,
        JournalState.UNKNOWN: Action.RESOLVE,
        JournalState.QUEUED: Action.RESOLVE,
        JournalState.PLACED: Action.REPORT,
        JournalState.REJECTED: Action.REPORT,
    }
)
# ... and for one whose contents have changed since an earlier run.
_CHANGED: Mapping[JournalState | None, Action] = MappingProxyType(
    {
        None: Action.SEND,
        JournalState.ACCEPTED: Action.SEND,
        JournalState.SENDING: Action.LOOK_UP,
        JournalState.UNKNOWN: Action.LOOK_UP,
        JournalState.QUEUED: Action.LOOK_UP,
        JournalState.PLACED: Action.REPORT,
        JournalState.REJECTED: Action.SEND,
    }
)


def decide(state: JournalState | None, *, matches: bool, contradicts: bool = False) -> Action:
    """Decide about an order by what is recorded for its reference number.

    Args:
        state: The recorded state, if there is one.
        matches: It has the contents that are recorded.
        contradicts: An earlier row of this run's input has the number with other contents.

    """
    if contradicts and not matches:
        return Action.REFUSE
    return (_SAME if matches else _CHANGED)[state]


def outcome_of(error: ClickPostError) -> type[OrderOutcome]:
    """Return which outcome an error of a create is."""
    if isinstance(error, CredentialsError) and error.key_refused:
        # It concerns the key, not the order.
        return Unknown if error.outcome is Outcome.UNKNOWN else Pending
    if error.outcome is Outcome.UNKNOWN:
        return Unknown
    return Pending if error.outcome is Outcome.NOT_SENT else Rejected


def is_foreign(error: ClickPostError) -> bool:
    """Return whether something other than ClickPost responded, such as a proxy's 404."""
    return error.kind is FailureKind.NOT_CLICKPOST


def fails_all(error: ClickPostError) -> bool:
    """Return whether every further order would fail in the same way."""
    if isinstance(error, CredentialsError):
        # Other codes concern one courier account, and other orders have others.
        return error.key_refused
    if isinstance(error, ThrottledError):
        # Every other order would have to wait as long.
        return error.kind is FailureKind.RATE_LIMIT_PAUSED
    # A redirect, a refused certificate, a closed client.
    return (
        isinstance(error, NotSentError)
        and not error.transient
        and not isinstance(error, DeadlineError)
    )
