"""Passes values between tasks without a buffer."""

from collections import deque
from typing import Generic, TypeVar

from clickpost_async._concurrency.waiter import Waiter, make_waiter, wake

T = TypeVar("T")


class EndedError(Exception):
    """No more values come."""


class HandOver(Generic[T]):
    """Takes values from any number of tasks: a slow taker slows them down, not fills the memory.

    A memory stream of anyio without a buffer costs two more iterations of the event loop for each
    value.
    """

    def __init__(self) -> None:
        # With whom to wake when it is taken.
        self._values: deque[tuple[T, Waiter | None]] = deque()
        self._takers: deque[Waiter] = deque()
        self._is_ended = False

    async def put(self, value: T) -> None:
        """Hand a value over; wait until it is taken, unless a taker waits already.

        It is handed over even if the wait is cancelled.
        """
        if self._takers:
            self._values.append((value, None))
            self._wake_taker()
            return
        waiter = make_waiter()
        self._values.append((value, waiter))
        await waiter

    async def take(self) -> T:
        """Wait for the next value; raises `EndedError` if there is none any more."""
        while not self._values:
            if self._is_ended:
                raise EndedError
            waiter = make_waiter()
            self._takers.append(waiter)
            try:
                await waiter
            except BaseException:
                if waiter in self._takers:
                    self._takers.remove(waiter)
                elif self._values:
                    # It was woken for a value that another taker can have.
                    self._wake_taker()
                raise
        value, giver = self._values.popleft()
        if giver is not None:
            wake(giver)
        return value

    def end(self) -> None:
        """End it once all values are taken."""
        self._is_ended = True
        while self._takers:
            self._wake_taker()

    def _wake_taker(self) -> None:
        if self._takers:
            wake(self._takers.popleft())
