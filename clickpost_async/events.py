"""What an observer hears of a call; nothing here holds the key or a person's data."""

import logging
from collections.abc import Callable, Sequence

from attrs import frozen

from clickpost_async.errors import ClickPostError, Outcome


@frozen(kw_only=True)
class _Event:
    """Which call it is about: its number within the client, its endpoint, its order if any."""

    call: int
    endpoint: str
    reference_number: str | None = None


@frozen(kw_only=True)
class AttemptStarted(_Event):
    """An attempt leaves; the first one is number 1."""

    attempt: int


@frozen(kw_only=True)
class AttemptSucceeded(_Event):
    """An attempt got an answer that could be read; `seconds` since the call was made."""

    attempt: int
    status: int | None
    http_status: int | None
    seconds: float


@frozen(kw_only=True)
class AttemptFailed(_Event):
    """An attempt failed; `error` tells how, `seconds` are those since the call was made."""

    attempt: int
    error: ClickPostError
    seconds: float


@frozen(kw_only=True)
class RateLimitPaused(_Event):
    """A 429 makes every call wait; or most calls failed, and bulk calls wait while others fail.

    `fails_calls`: the pause is longer than the retry policy lets a call wait, so until it is over
    calls fail at once.
    It comes again for each probe of the circuit breaker that fails, with the seconds to the next.
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
    """A response is inconsistent, and was not believed: `why` says what is wrong with it."""

    reason: str


@frozen(kw_only=True)
class CallFinished(_Event):
    """A call is over, whichever way.

    `outcome` is `None` after an answer, otherwise what is known of what was asked; `error` is
    `None` then only if the call was cancelled or its deadline passed. A create that shared the
    answer of another one made no `attempts`. `reads`: it asks for something, and changes nothing.
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
# Whoever wants to read it says so; it is not thrown at a terminal.
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
    """Tell whether details are worth making: somebody observes, or they are logged."""
    return bool(observers) or _log.isEnabledFor(logging.DEBUG)


def emit(observers: Sequence[Observer], event: Event) -> None:
    """Log an event, and tell every observer; one that fails is logged and breaks nothing."""
    log(event)
    for observer in observers:
        try:
            observer(event)
        except Exception:  # noqa: BLE001 - it is the caller's own code
            _log.exception("an observer failed")
