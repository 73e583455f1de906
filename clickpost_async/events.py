"""What an observer hears of a call; nothing here holds the key or a person's data."""

import logging
from collections.abc import Callable, Sequence

from attrs import frozen

from clickpost_async.errors import ClickPostError


@frozen(kw_only=True)
class Started:
    """An attempt leaves; the first one is number 1."""

    endpoint: str
    attempt: int
    reference_number: str | None = None


@frozen(kw_only=True)
class Answered:
    """An attempt got an answer that could be read."""

    endpoint: str
    attempt: int
    status: int | None
    seconds: float
    reference_number: str | None = None


@frozen(kw_only=True)
class Failed:
    """An attempt failed; `error` tells how."""

    endpoint: str
    attempt: int
    error: ClickPostError
    reference_number: str | None = None


@frozen(kw_only=True)
class Held:
    """A 429 makes every call wait."""

    endpoint: str
    seconds: float


@frozen(kw_only=True)
class Repeating:
    """A call will be sent again after a pause: it failed, or its order is still pending."""

    endpoint: str
    attempt: int
    wait: float
    reference_number: str | None = None


Event = Started | Answered | Failed | Held | Repeating
Observer = Callable[[Event], None]

_log = logging.getLogger("clickpost_async")


def log(event: Event) -> None:
    """Write an event to the standard library's logging, under `clickpost_async`."""
    level = logging.DEBUG if isinstance(event, Started | Answered) else logging.INFO
    if _log.isEnabledFor(level):
        _log.log(level, "%s", event)


def tell(observers: Sequence[Observer], event: Event) -> None:
    """Tell every observer; one that fails is logged and breaks nothing."""
    for observer in observers:
        try:
            observer(event)
        except Exception:  # noqa: BLE001 - it is the caller's own code
            _log.exception("an observer failed")
