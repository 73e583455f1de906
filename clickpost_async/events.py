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
class Started(_Event):
    """An attempt leaves; the first one is number 1."""

    attempt: int


@frozen(kw_only=True)
class Answered(_Event):
    """An attempt got an answer that could be read; `seconds` since the call was made."""

    attempt: int
    status: int | None
    http_status: int | None
    seconds: float


@frozen(kw_only=True)
class Failed(_Event):
    """An attempt failed; `error` tells how, `seconds` are those since the call was made."""

    attempt: int
    error: ClickPostError
    seconds: float


@frozen(kw_only=True)
class Held(_Event):
    """A 429 makes every call wait; or most calls failed, and bulk calls wait while others fail.

    `fails_calls`: the pause is longer than the retry policy lets a call wait, so until it is over
    calls fail at once.
    It comes again for each probe of the circuit breaker that fails, with the seconds to the next.
    """

    seconds: float
    fails_calls: bool = False


@frozen(kw_only=True)
class Repeating(_Event):
    """A call will be sent again after a pause: it failed, or its order is still pending."""

    attempt: int
    wait: float


@frozen(kw_only=True)
class Doubted(_Event):
    """A response is inconsistent, and was not believed: `why` says what is wrong with it."""

    why: str


@frozen(kw_only=True)
class Ended(_Event):
    """A call is over, whichever way.

    `outcome` is `None` after an answer, otherwise what is known of what was asked; `error` is
    `None` then only if the call was cancelled or its deadline passed. A create that shared the
    answer of another one made no `attempts`. `reads`: it asks for something, and changes nothing.
    """

    outcome: Outcome | None
    attempts: int
    seconds: float
    reads: bool = False
    error: ClickPostError | None = None


Event = Started | Answered | Failed | Held | Repeating | Doubted | Ended
Observer = Callable[[Event], None]

_log = logging.getLogger("clickpost_async")
# Whoever wants to read it says so; it is not thrown at a terminal.
_log.addHandler(logging.NullHandler())
_DETAILS = (Started, Answered, Ended)


def log(event: Event) -> None:
    """Write an event to the standard library's logging, under `clickpost_async`."""
    level = logging.DEBUG if isinstance(event, _DETAILS) else logging.INFO
    if _somebody_has_to_look(event):
        level = logging.WARNING
    if _log.isEnabledFor(level):
        _log.log(level, "%s", event)


def _somebody_has_to_look(event: Event) -> bool:
    if isinstance(event, Ended):
        return event.outcome is Outcome.UNKNOWN and not event.reads
    return isinstance(event, Doubted) or (isinstance(event, Held) and event.fails_calls)


def heard(observers: Sequence[Observer]) -> bool:
    """Tell whether details are worth making: somebody observes, or they are logged."""
    return bool(observers) or _log.isEnabledFor(logging.DEBUG)


def tell(observers: Sequence[Observer], event: Event) -> None:
    """Log an event, and tell every observer; one that fails is logged and breaks nothing."""
    log(event)
    for observer in observers:
        try:
            observer(event)
        except Exception:  # noqa: BLE001 - it is the caller's own code
            _log.exception("an observer failed")
