"""A one-shot wake-up for a single waiter."""

import asyncio
from collections.abc import Generator
from typing import Any, Protocol

import anyio


class Waiter(Protocol):
    """Something to wait for, by awaiting it; `wake` ends the wait.

    On asyncio a bare future: a gather queues thousands in one iteration of the event loop, and
    `anyio.Event` costs several times as much.
    """

    def __await__(self) -> Generator[Any, None, object]: ...

    def done(self) -> bool:
        """Return whether it was woken, or cancelled."""
        ...

    def set_result(self, result: None, /) -> None:
        """Wake the waiter; `wake` is for callers."""
        ...


class _EventWaiter:
    """An event, for any other event loop."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = anyio.Event()

    def __await__(self) -> Generator[Any, None, None]:
        return self._event.wait().__await__()

    def done(self) -> bool:
        return self._event.is_set()

    def set_result(self, _: None, /) -> None:
        self._event.set()


def make_waiter() -> Waiter:
    """Make a waiter for the running event loop."""
    try:
        return asyncio.get_running_loop().create_future()
    except RuntimeError:
        return _EventWaiter()


def wake(waiter: Waiter) -> None:
    """Wake a waiter, unless it was woken before, or cancelled."""
    if not waiter.done():
        waiter.set_result(None)
