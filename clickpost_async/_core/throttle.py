"""The pause that a 429 has requested, and the calls that cannot wait that long.

The limiter makes calls wait. This ends those for which the pause is too long, and reports
to the others how long it is.
"""

import math
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial

import anyio
from attrs import frozen

from clickpost_async._concurrency.event_loops import Instant, call_on, running_loop
from clickpost_async._concurrency.per_loop import loop_time


@frozen
class WaitLimit:
    """How long a call may wait: for `max_wait` seconds, and until `ends_at` of its event loop."""

    max_wait: float = math.inf
    ends_at: float = math.inf

    def allows(self, seconds: float) -> bool:
        """Return whether a pause of so many seconds from now on is within the limit."""
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
        """Pause for so many seconds, and end the waiting calls whose limit does not allow that."""
        if seconds <= self.left:
            return
        self._asked, self._seconds = Instant.now(), seconds
        for waiting in list(self._waiting):
            call_on(waiting.loop, partial(waiting.pause, seconds))

    @contextmanager
    def waiting(
        self, limit: WaitLimit, on_pause: Callable[[float], object] | None = None
    ) -> Generator[anyio.CancelScope, None, None]:
        """Wait for the limiter within the block.

        A pause that begins meanwhile cancels the scope if the limit does not allow it; otherwise
        `on_pause` is called with its seconds.
        """
        with anyio.CancelScope() as scope:
            waiting = _Waiting(limit, scope, running_loop(), on_pause)
            self._waiting[waiting] = None
            try:
                yield scope
            finally:
                del self._waiting[waiting]


@frozen(eq=False)
class _Waiting:
    """A call that waits for the limiter."""

    limit: WaitLimit
    scope: anyio.CancelScope
    loop: object
    on_pause: Callable[[float], object] | None

    def pause(self, seconds: float) -> None:
        if not self.limit.allows(seconds):
            self.scope.cancel()
        elif self.on_pause is not None:
            self.on_pause(seconds)
