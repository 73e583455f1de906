"""Single flight: one create per reference number at a time in this process.

It also remembers which earlier creates are in doubt.

ClickPost recognises a repeated order by its reference number, but only once it has recorded the
first one; two creates that are under way together may both be booked. So a second create of a
reference waits for the first one's result, from any task, client, thread or event loop. One that
ended in doubt is remembered: the next create of that reference looks the order up, and waits for
the settle delay before it sends.
"""

import json
import os
import threading
import weakref
from typing import Any, Protocol

import anyio
from attrs import define, frozen

from clickpost_async._concurrency.event_loops import Instant, call_on, running_loop
from clickpost_async.errors import InvalidRequestError, Problem

# The account and base URL, the path, the reference number.
Key = tuple[str, str, str]

# A create on another event loop may never end: its loop is looked at so often, in seconds.
_LOOK = 1.0
# After so many looks at a loop that does not run, its create is not waited for any longer.
_MAX_LOOKS = 10
# Above this many, doubts that have settled are forgotten, the oldest first. A second create after
# the settle delay is recognised by ClickPost: the look-up that is lost with them only saves a call.
_MAX_DOUBTS = 100_000


def contents_of(body: bytes) -> bytes:
    """Return a digest that is equal for equal bodies, whatever the order of their keys."""
    import hashlib  # slow to import, and needed for repeated or failed creates only

    return hashlib.sha256(json.dumps(json.loads(body), sort_keys=True).encode()).digest()


def other_contents(
    state: str, reference_number: str | None, look_up: str | None
) -> InvalidRequestError:
    """Return the error for an order whose reference number belongs to another order."""
    message = (
        f"an order with other contents {state} under this reference number; this one was not sent"
    )
    how = f"look it up with {look_up}" if look_up else "look it up"
    return InvalidRequestError.of(
        [Problem("reference_number", message)],
        reference_number=reference_number,
        advice=f"find out the outcome of the other order first: {how}",
    )


@frozen(kw_only=True)
class Doubt:
    """A create that may have been processed, and whose outcome is unknown.

    `contents` distinguishes orders of one reference number. `settle_delay` and `resend_window` are
    those of the create's own retry policy, in seconds.
    """

    contents: bytes
    last_sent: Instant
    settle_delay: float
    resend_window: float

    def left_to_settle(self, settle_delay: float) -> float:
        """Return for how many seconds nothing may be sent under its reference number yet."""
        return max(0.0, settle_delay - self.last_sent.age())

    @property
    def is_settled(self) -> bool:
        """Whether its own settle delay has passed."""
        return self.left_to_settle(self.settle_delay) == 0

    @property
    def is_expired(self) -> bool:
        """Whether it is older than the resend window."""
        return self.is_settled and self.last_sent.age() > self.resend_window


class InFlightCreate(Protocol):
    """A create that other calls may wait for."""

    def doubt(self, sent: Instant | None = None) -> Doubt | None:
        """Return the doubt if it ended now; with `sent`, it may have been sent then."""
        ...


class SingleFlight:
    """The creates in flight in a process, and those that ended in doubt, by reference number.

    Thread-safe. The lock is held for dictionary operations only, and is re-entrant: a create whose
    event loop is gone ends when it is garbage-collected, which may happen while the lock is held.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._in_flight: dict[Key, _InFlight] = {}
        # The oldest first.
        self._doubts: dict[Key, Doubt] = {}
        # Creates of the process that this one was forked from, and when that was.
        self._inherited: dict[Key, tuple[InFlightCreate, Instant]] = {}

    def begin(self, key: Key, create: InFlightCreate) -> InFlightCreate | None:
        """Register a create; or return the one in flight that has to be waited for."""
        with self._lock:
            before = self._in_flight.get(key)
            if before is not None and not before.is_abandoned:
                return before.create
            self._in_flight[key] = _InFlight(create, weakref.ref(running_loop()))
            inherited = self._inherited.pop(key, None)
        doubt: Doubt | None = None
        if before is not None:
            doubt = before.create.doubt()
            before.wake()
        elif inherited is not None:
            doubt = inherited[0].doubt(inherited[1])
        if doubt is not None:
            with self._lock:
                self._remember(key, doubt)
        return None

    def finish(self, key: Key, create: InFlightCreate, doubt: Doubt | None) -> None:
        """Remove a create, remember its doubt, and wake the calls that wait for it.

        Ignored if it is not in flight any more: its event loop was closed, or its process forked.
        """
        with self._lock:
            flight = self._in_flight.get(key)
            if flight is None or flight.create is not create:
                return
            del self._in_flight[key]
            self._doubts.pop(key, None)
            if doubt is not None:
                self._remember(key, doubt)
        flight.wake()

    async def wait(self, key: Key, create: InFlightCreate) -> bool:
        """Wait until a create is not in flight any more, however it ended.

        Return whether it is: an event loop that has been stopped, but not closed, may go on with it
        at any time, or never.
        """
        waiter = _Waiter()
        with self._lock:
            flight = self._in_flight.get(key)
            if flight is None or flight.create is not create:
                return True
            flight.waiters += (waiter,)
        pause = None if flight.is_here else _LOOK
        looks = 0
        while not (waiter.is_set or flight.is_abandoned):
            with anyio.move_on_after(pause):
                await waiter.wait()
            looks = looks + 1 if flight.is_stopped else 0
            if looks == _MAX_LOOKS:
                return waiter.is_set
        return True

    def doubt_about(self, key: Key) -> Doubt | None:
        """Return the doubt about a reference number, if there is one."""
        return self._doubts.get(key)

    def reset(self) -> None:
        """Forget everything, as a new process would; waiting calls start again."""
        with self._lock:
            in_flight = list(self._in_flight.values())
            self._in_flight.clear()
            self._doubts.clear()
            self._inherited.clear()
        for flight in in_flight:
            flight.wake()

    def after_fork(self) -> None:
        """In a forked child: creates in flight in the parent are in doubt here."""
        # Another thread of the parent's may have held the lock.
        self._lock = threading.RLock()
        now = Instant.now()
        self._inherited |= {key: (one.create, now) for key, one in self._in_flight.items()}
        self._in_flight.clear()

    def _remember(self, key: Key, doubt: Doubt) -> None:
        self._doubts.pop(key, None)
        self._doubts[key] = doubt
        # Two are looked at for each one added, so expired ones never accumulate.
        for old in [old for old, _ in zip(self._doubts, range(2), strict=False)]:
            too_many = len(self._doubts) > _MAX_DOUBTS
            found = self._doubts[old]
            if found.is_expired or (too_many and found.is_settled):
                del self._doubts[old]


@define(eq=False)
class _InFlight:
    """A create, its event loop, and the calls that wait for it: hardly ever any."""

    create: InFlightCreate
    _loop: "weakref.ref[Any]"
    waiters: "tuple[_Waiter, ...]" = ()

    @property
    def is_here(self) -> bool:
        return self._loop() is running_loop()

    @property
    def is_abandoned(self) -> bool:
        """Whether its event loop was closed under it; trio's cannot be left with tasks."""
        loop = self._loop()
        is_closed = getattr(loop, "is_closed", None)
        return loop is None or (is_closed is not None and is_closed())

    @property
    def is_stopped(self) -> bool:
        """Whether its event loop does not run, such as between two `run_until_complete`."""
        is_running = getattr(self._loop(), "is_running", None)
        return is_running is not None and not is_running()

    def wake(self) -> None:
        for waiter in self.waiters:
            waiter.wake()


class _Waiter:
    """An event that is awaited on one event loop, and may be set from any thread."""

    def __init__(self) -> None:
        self._loop: Any = running_loop()
        self._event = anyio.Event()

    @property
    def is_set(self) -> bool:
        return self._event.is_set()

    async def wait(self) -> None:
        await self._event.wait()

    def wake(self) -> None:
        call_on(self._loop, self._event.set)


PROCESS_WIDE = SingleFlight()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=PROCESS_WIDE.after_fork)


def reset() -> None:
    """Forget every create of this process that is in flight or in doubt, as a new process would.

    For tests only, which reuse a reference number or simulate a crash. An application that calls it
    may buy a second label.
    """
    PROCESS_WIDE.reset()
