"""What one waits for: rung once, heard by one."""

import asyncio
from typing import Protocol

import anyio


class Bell(Protocol):
    """Something to wait for."""

    async def wait(self) -> object: ...

    def set(self) -> None: ...


class _FutureBell:
    """A bare future: a gather puts thousands in line in one turn of the loop, and `anyio.Event`
    costs several times as much.
    """

    __slots__ = ("_future",)

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._future: asyncio.Future[None] = loop.create_future()

    async def wait(self) -> None:
        await self._future

    def set(self) -> None:
        # A waiter that was cancelled has cancelled its future with it.
        if not self._future.done():
            self._future.set_result(None)


def bell() -> Bell:
    """Make a bell for the event loop that is running."""
    try:
        return _FutureBell(asyncio.get_running_loop())
    except RuntimeError:
        return anyio.Event()
