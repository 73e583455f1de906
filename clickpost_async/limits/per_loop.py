"""One of something for each event loop, made on first use."""

import asyncio
import time
from collections.abc import Callable
from types import BuiltinFunctionType
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

import anyio
from anyio.lowlevel import current_token

T = TypeVar("T")

# A clock that ticks once in a microsecond has moved by then.
_READS = 1000


class PerLoop(Generic[T]):
    """What is bound to an event loop, for objects that outlive one: three `asyncio.run`, Django's
    `async_to_sync`, a forked worker. It goes when its loop goes.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: WeakKeyDictionary[object, T] = WeakKeyDictionary()

    def here(self) -> T:
        """Return this event loop's, making it if need be."""
        loop = _loop()
        made = self._made.get(loop)
        if made is None:
            made = self._made[loop] = self._make()
        return made

    def seen(self) -> T | None:
        """Return this event loop's if there is one; outside of any loop there is none."""
        try:
            return self._made.get(_loop())
        except RuntimeError:
            return None


def _loop() -> object:
    try:
        # Called before every attempt; anyio's own way costs ten times as much.
        return asyncio.get_running_loop()
    except RuntimeError:
        return current_token().native_token


def loop_time() -> float:
    """Return the event loop's time: seconds since some beginning, which a test may turn."""
    try:
        # Asked twice a call; anyio's own way costs ten times as much.
        return asyncio.get_running_loop().time()
    except RuntimeError:
        return anyio.current_time()


def is_clock_frozen() -> bool:
    """Return whether the event loop's clock stands still, so that no sleep would ever end.

    Tests do that: freezegun replaces `time.monotonic`, which asyncio's own event loops read. A loop
    with a clock of its own, as in virtual time, moves it when everybody waits.
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
