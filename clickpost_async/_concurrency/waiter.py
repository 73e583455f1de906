"""A one-shot wake-up for a single waiter."""

import asyncio
from collections.abc import Generator
from typing import Any, Protocol

import anyio


class Waiter(Protocol):
    """Something to wait for, by awaiting it."""

    def __await__(self) -> Generator[Any, None, object]: ...

    def wake(self) -> None:
        """Wake the waiter."""
        ...


class _FutureWaiter:
    """A bare future: a gather queues thousands in one iteration of the event loop, and
    `anyio.Event` costs several times as much.
    """

    __slots__ = ("_future",)

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._future: asyncio.Future[None] = loop.create_future()

    def __await__(self) -> Generator[Any, None, None]:
        return self._future.__await__()

    def wake(self) -> None:
        # A waiter that was cancelled has cancelled its future with it.
        if not self._future.done():
            self._future.set_result(None)


class _EventWaiter:
    """An event, for any other event loop."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = anyio.Event()

    def __await__(self) -> Generator[Any, None, None]:
        return self._event.wait().__await__()

    def wake(self) -> None:
        self._event.set()


def make_waiter() -> Waiter:
    """Make a waiter for the running event loop."""
    try:
        return _FutureWaiter(asyncio.get_running_loop())
    except RuntimeError:
        return _EventWaiter()
