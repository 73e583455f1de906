"""How long ClickPost has asked a client to pause, and the calls that cannot wait that long.

The limiter makes calls wait; this ends those for which the pause is too long, instead of letting
them wait in silence.
"""

import math
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial

import anyio
from attrs import frozen

from clickpost_async._concurrency.event_loops import Instant, call_on, running_loop
from clickpost_async._concurrency.per_loop import loop_time


@frozen
class WaitLimit:
    """How long a call may wait: `patience` in seconds, and until `ends_at` of its event loop."""

    max_wait: float = math.inf
    ends_at: float = math.inf

    def allows(self, seconds: float) -> bool:
        """Return whether a pause of so many seconds from now on is not too long."""
        return seconds <= self.max_wait and loop_time() + seconds <= self.ends_at


class RateLimitPause:
    """The pause that a 429 has asked for; shared by the calls of a client, on any event loop."""

    def __init__(self) -> None:
        self._asked: Instant | None = None
        self._seconds = 0.0
        self._waiting: dict[_Waiting, None] = {}

    @property
    def left(self) -> float:
        """Return how many seconds of the pause are left."""
        return 0.0 if self._asked is None else max(0.0, self._seconds - self._asked.age())

    def pause(self, seconds: float) -> None:
        """Pause for so long, and end the calls that wait and may not wait that long."""
        if seconds <= self.left:
            return
        self._asked, self._seconds = Instant.now(), seconds
        for waiting in list(self._waiting):
            call_on(waiting.loop, partial(waiting.end_unless_allowed, seconds))

    @contextmanager
    def waiting(self, limit: WaitLimit) -> Generator[anyio.CancelScope, None, None]:
        """Wait for a turn; the scope is cancelled by a pause that the limit does not allow."""
        with anyio.CancelScope() as scope:
            waiting = _Waiting(limit, scope, running_loop())
            self._waiting[waiting] = None
            try:
                yield scope
            finally:
                del self._waiting[waiting]


@frozen(eq=False)
class _Waiting:
    """A call that waits for its turn."""

    limit: WaitLimit
    scope: anyio.CancelScope
    loop: object

    def end_unless_allowed(self, seconds: float) -> None:
        if not self.limit.allows(seconds):
            self.scope.cancel()
