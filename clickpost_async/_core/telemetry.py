"""Events, counters and log lines of one call."""

import logging
import time
from collections.abc import Sequence
from typing import Any

from clickpost_async._core.runtime import Counters
from clickpost_async.errors import ClickPostError, Outcome
from clickpost_async.events import (
    AttemptFailed,
    AttemptStarted,
    AttemptSucceeded,
    CallFinished,
    Observer,
    RateLimitPaused,
    RetryScheduled,
    SuspiciousResponse,
    emit,
    has_listeners,
)
from clickpost_async.structures._base import ResponseInfo

_log = logging.getLogger("clickpost_async")

# A longer wait is logged, once a call; in seconds.
LONG_WAIT = 5.0


class CallTelemetry:
    """Counts what a call does, and emits its events.

    `number` is that of the call, and `began` when it was made. `warns`: it logs a warning, once,
    when it has to wait for more than `LONG_WAIT` seconds.
    """

    __slots__ = (
        "_began",
        "_counters",
        "_endpoint",
        "_number",
        "_observers",
        "_warns",
        "attempts",
        "reference_number",
    )

    def __init__(
        self,
        observers: Sequence[Observer],
        counters: Counters,
        endpoint: str,
        reference_number: str | None,
        *,
        number: int,
        began: float,
        warns: bool,
    ) -> None:
        self._observers = observers
        self._counters = counters
        self._endpoint = endpoint
        self._number = number
        self._warns = warns
        self._began = began
        self.reference_number = reference_number
        self.attempts = 0

    @property
    def seconds(self) -> float:
        """Seconds since the call was made."""
        return time.perf_counter() - self._began

    @property
    def _context(self) -> dict[str, Any]:
        return {
            "call": self._number,
            "endpoint": self._endpoint,
            "reference_number": self.reference_number,
        }

    def attempt_started(self) -> None:
        """Count an attempt."""
        self.attempts += 1
        self._counters.attempts += 1
        if has_listeners(self._observers):
            emit(self._observers, AttemptStarted(attempt=self.attempts, **self._context))

    def attempt_succeeded(self, response: ResponseInfo) -> None:
        """Report a response that could be read."""
        if has_listeners(self._observers):
            event = AttemptSucceeded(
                attempt=self.attempts,
                status=response.status,
                http_status=response.http_status,
                seconds=response.seconds,
                **self._context,
            )
            emit(self._observers, event)

    def attempt_failed(self, error: ClickPostError) -> None:
        """Report a failed attempt."""
        event = AttemptFailed(
            attempt=self.attempts, error=error, seconds=self.seconds, **self._context
        )
        emit(self._observers, event)

    def response_rejected(self, reason: str) -> None:
        """Report a response that is inconsistent and was not accepted."""
        emit(self._observers, SuspiciousResponse(reason=reason, **self._context))

    def calls_paused(self, seconds: float, *, fails_calls: bool = False) -> None:
        """Report a pause of all calls, after a 429 or because the circuit breaker has opened."""
        event = RateLimitPaused(seconds=seconds, fails_calls=fails_calls, **self._context)
        emit(self._observers, event)

    def retry_scheduled(self, seconds: float, reason: str) -> None:
        """Count a retry, which is made after a pause."""
        self._counters.retries += 1
        event = RetryScheduled(attempt=self.attempts, wait=seconds, **self._context)
        emit(self._observers, event)
        self.warn_of_wait(seconds, reason)

    def warn_of_wait(self, seconds: float, reason: str) -> None:
        """Log that the call waits for so long, if that is long and the first time."""
        if self._warns and seconds > LONG_WAIT:
            self._warns = False
            subject = " ".join(filter(None, (self._endpoint, self.reference_number)))
            _log.warning("%s waits %.0f s: %s", subject, seconds, reason)

    def call_finished(
        self, outcome: Outcome | None, error: ClickPostError | None, *, is_read: bool
    ) -> None:
        """Report how the call ended; `outcome` is `None` after a response."""
        if outcome is Outcome.UNKNOWN or has_listeners(self._observers):
            event = CallFinished(
                outcome=outcome,
                attempts=self.attempts,
                seconds=self.seconds,
                is_read=is_read,
                error=error,
                **self._context,
            )
            emit(self._observers, event)
