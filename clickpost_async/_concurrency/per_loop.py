"""One of something for each event loop, made on first use."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from types import BuiltinFunctionType
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

import anyio
from anyio.lowlevel import current_token

T = TypeVar("T")

# A clock that ticks once in a microsecond has moved by then.
_READS = 1000


class PerLoop(Generic[T]):
    """Keeps one object for each event loop: for clients that outlive a loop, as with several
    `asyncio.run`, Django's `async_to_sync`, or a forked worker.

    `make` makes one for the running loop. Asyncio does not report when a loop is closed, and an
    object that refers to its loop would keep both alive; so whenever an object is made for a new
    loop, those of closed loops are dropped, and handed to `discard` if it is given. `discard` must
    not raise, nor use the closed loop.
    """

    def __init__(self, make: Callable[[], T], discard: Callable[[T], object] | None = None) -> None:
        self._make = make
        self._discard = discard
        self._made: WeakKeyDictionary[object, T] = WeakKeyDictionary()

    def get_or_create(self) -> T:
        """Return this event loop's, making it if need be."""
        loop = current_loop()
        made = self._made.get(loop)
        if made is None:
            self.sweep()
            made = self._made[loop] = self._make()
        return made

    def get(self) -> T | None:
        """Return this event loop's if there is one; outside of any loop there is none."""
        try:
            return self._made.get(current_loop())
        except RuntimeError:
            return None

    def sweep(self) -> None:
        """Drop what belongs to event loops that are closed."""
        # A copy, since other threads may add their loops meanwhile.
        for reference in self._made.keyrefs():
            loop = reference()
            if isinstance(loop, asyncio.AbstractEventLoop) and loop.is_closed():
                made = self._made.pop(loop, None)
                if made is not None and self._discard is not None:
                    self._discard(made)


def close_orphan(transport: asyncio.WriteTransport) -> None:
    """Close the socket of a transport whose event loop is closed.

    asyncio's transports cannot close themselves then, for they would do so in the loop's next
    iteration; and each warns when it is collected. uvloop closes the sockets of a loop with it.
    """
    plain: Any = transport
    while (protocol := getattr(plain, "_ssl_protocol", None)) is not None:
        plain = protocol._transport  # noqa: SLF001 - nothing public closes it
    with suppress(RuntimeError):  # notes that it is closed, then finds that the loop is
        transport.abort()
    socket = getattr(plain, "_sock", None)
    if socket is not None:
        plain._sock = None  # noqa: SLF001 - as above
        socket.close()


def current_loop() -> object:
    """Return the event loop that runs in this thread; raises `RuntimeError` if there is none."""
    try:
        # Called before every attempt; anyio's own check costs ten times as much.
        return asyncio.get_running_loop()
    except RuntimeError:
        return current_token().native_token


def loop_time() -> float:
    """Return the event loop's time: seconds since some beginning, which a test may turn."""
    try:
        # Called twice a call; anyio's own check costs ten times as much.
        return asyncio.get_running_loop().time()
    except RuntimeError:
        return anyio.current_time()


def is_clock_frozen() -> bool:
    """Return whether the event loop's clock is frozen, so that no sleep would ever end.

    Tests do that: freezegun replaces `time.monotonic`, which asyncio's own event loops read. A loop
    with a clock of its own, as in virtual time, moves it when all tasks wait.
    """
    if isinstance(time.monotonic, BuiltinFunctionType):
        return False
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return False
    if type(loop).time is not asyncio.BaseEventLoop.time:
        return False
    now = loop.time()
    return all(loop.time() == now for _ in range(_READS))
