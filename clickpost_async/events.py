"""Events of a call, for observers and logging; none contains the API key or personal data."""

import logging
from collections.abc import Callable, Sequence

from attrs import frozen

from clickpost_async.errors import ClickPostError, Outcome


@frozen(kw_only=True)
class _Event:
    """Base of all events: number of the call within the client, endpoint, reference number."""

    call: int
    endpoint: str
    reference_number: str | None = None


@frozen(kw_only=True)
class AttemptStarted(_Event):
    """An attempt is sent; the first one is number 1."""

    attempt: int


@frozen(kw_only=True)
class AttemptSucceeded(_Event):
    """An attempt got a readable response; `seconds` since the call was made."""

    attempt: int
    status: int | None
    http_status: int | None
    seconds: float


@frozen(kw_only=True)
class AttemptFailed(_Event):
    """An attempt failed with `error`; `seconds` since the call was made."""

    attempt: int
    error: ClickPostError
    seconds: float


@frozen(kw_only=True)
class RateLimitPaused(_Event):
    """A 429 makes every call wait; or most calls failed, and bulk calls wait while others fail.

    `fails_calls`: the pause is longer than the retry policy lets a call wait, so until it is over
    calls fail at once.
    The event is emitted again for each circuit breaker probe that fails; `seconds` is then the time
    until the next probe.
    """

    seconds: float
    fails_calls: bool = False


@frozen(kw_only=True)
class RetryScheduled(_Event):
    """A call will be sent again after a pause: it failed, or its order is still pending."""

    attempt: int
    wait: float


@frozen(kw_only=True)
class SuspiciousResponse(_Event):
    """A response is inconsistent and was not accepted; `reason` is what is wrong with it."""

    reason: str


@frozen(kw_only=True)
class CallFinished(_Event):
    """A call ended: it succeeded, failed, or was cancelled.

    `outcome` is `None` if it succeeded, otherwise what is known of the effect of the call. `error`
    is `None` if it succeeded, was cancelled, or its deadline passed. A create that shared the
    response of an identical create in flight made no `attempts`. `is_read`: the call changes
    nothing at ClickPost.
    """

    outcome: Outcome | None
    attempts: int
    seconds: float
    is_read: bool = False
    error: ClickPostError | None = None


Event = (
    AttemptStarted
    | AttemptSucceeded
    | AttemptFailed
    | RateLimitPaused
    | RetryScheduled
    | SuspiciousResponse
    | CallFinished
)
Observer = Callable[[Event], None]

_log = logging.getLogger("clickpost_async")
# Libraries add no other handler: the application decides where log records go.
_log.addHandler(logging.NullHandler())
_DETAILS = (AttemptStarted, AttemptSucceeded, CallFinished)


def log(event: Event) -> None:
    """Write an event to the standard library's logging, under `clickpost_async`."""
    level = logging.DEBUG if isinstance(event, _DETAILS) else logging.INFO
    if _needs_attention(event):
        level = logging.WARNING
    if _log.isEnabledFor(level):
        _log.log(level, "%s", event)


def _needs_attention(event: Event) -> bool:
    if isinstance(event, CallFinished):
        return event.outcome is Outcome.UNKNOWN and not event.is_read
    return isinstance(event, SuspiciousResponse) or (
        isinstance(event, RateLimitPaused) and event.fails_calls
    )


def has_listeners(observers: Sequence[Observer]) -> bool:
    """Return whether detailed events are needed: there is an observer, or DEBUG is logged."""
    return bool(observers) or _log.isEnabledFor(logging.DEBUG)


def emit(observers: Sequence[Observer], event: Event) -> None:
    """Log an event and call every observer; an observer's exception is logged, not raised."""
    log(event)
    for observer in observers:
        try:
            observer(event)
        except Exception:  # noqa: BLE001 - it is the caller's own code
            _log.exception("an observer failed")
