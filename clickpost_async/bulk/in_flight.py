"""The create calls of a run that are in flight, and how they are cancelled with it."""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import TypeVar

import anyio
from attrs import define

from clickpost_async.errors import ClickPostError, NoReplyError, NotSentError, Outcome
from clickpost_async.events import (
    AttemptFailed,
    AttemptStarted,
    AttemptSucceeded,
    CallFinished,
    Event,
    RetryScheduled,
)

T = TypeVar("T")


@define(eq=False)
class _InFlightCall:
    """One create, from its first attempt to its last.

    `on_wire` counts its attempts, look-ups included, that were sent and have no response yet; where
    attempts are not observed, as in a fleet, it is 1 throughout. `outcome` is the one it has if it
    is cancelled.
    """

    scope: anyio.CancelScope
    on_wire: int = 0
    attempts: int = 0
    outcome: Outcome = Outcome.NOT_SENT


_current: ContextVar[_InFlightCall | None] = ContextVar("clickpost_async_bulk_call", default=None)


class InFlightCalls:
    """Cancels waiting calls at once, and sent ones after a grace period.

    A call that waits for the rate, for its place or for a circuit breaker has sent nothing, or is
    in doubt, and is known to be by the events of the client.
    """

    def __init__(self) -> None:
        self._calls: set[_InFlightCall] = set()
        self._grace: float | None = None
        self._end_wanted = anyio.Event()
        self._deadline: float | None = None

    def observe(self, event: Event) -> None:
        """Follow the attempts of the call that is made in the running task."""
        call = _current.get()
        if call is None:
            return
        match event:
            case AttemptStarted():
                call.on_wire += 1
                # Until its end proves that nothing was processed.
                call.outcome = Outcome.UNKNOWN
            case AttemptFailed() | AttemptSucceeded():
                call.on_wire -= 1
            case RetryScheduled() if self._deadline is not None:
                # It was looked up already, if that can help.
                call.scope.cancel()
            case CallFinished(is_read=False, outcome=Outcome() as outcome, attempts=attempts):
                call.outcome, call.attempts = outcome, attempts
            case _:
                pass

    async def call(
        self, create: Callable[[], Awaitable[T]], *, in_doubt: bool, is_observed: bool
    ) -> T:
        """Make a call; raises its error, or one with its outcome if it is cancelled here."""
        call = _InFlightCall(anyio.CancelScope())
        if in_doubt:
            call.outcome = Outcome.UNKNOWN
        with call.scope:
            self._calls.add(call)
            token = _current.set(call)
            try:
                if self._grace is None:
                    if not is_observed:
                        call.outcome, call.on_wire = Outcome.UNKNOWN, 1
                    return await create()
            finally:
                _current.reset(token)
                self._calls.discard(call)
        raise _cancelled_error(call)

    def cancel(self, grace: float) -> None:
        """Start no more calls; those in flight have `grace` seconds to finish.

        May be called where no task runs, such as in a signal handler of the event loop.
        """
        self._grace = grace
        self._end_wanted.set()

    async def cancel_when_set(self) -> None:
        """End the calls, and once more if there is another grace period then."""
        while True:
            await self._end_wanted.wait()
            self._end_wanted = anyio.Event()
            self._deadline = anyio.current_time() + (self._grace or 0.0)
            for call in tuple(self._calls):
                if call.on_wire > 0:
                    call.scope.deadline = self._deadline
                else:
                    call.scope.cancel()


def _cancelled_error(call: _InFlightCall) -> ClickPostError:
    error: ClickPostError
    if call.outcome is Outcome.UNKNOWN:
        error = NoReplyError(
            "the run ended before the outcome of the order was known", transient=False
        )
    else:
        error = NotSentError("the run ended before the order was sent")
    error.attempts = call.attempts
    return error
