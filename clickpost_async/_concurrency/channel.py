"""An unbuffered channel between tasks."""

from collections import deque
from typing import Generic, TypeVar

from clickpost_async._concurrency.waiter import Waiter, make_waiter, wake

T = TypeVar("T")


class ChannelClosedError(Exception):
    """The channel is closed, and all of its values have been received."""


class Channel(Generic[T]):
    """Passes values between any number of tasks; a slow receiver slows the senders down.

    A memory stream of anyio without a buffer costs two more iterations of the event loop for each
    value.
    """

    def __init__(self) -> None:
        # With the waiter of the sender, if it waits until its value is received.
        self._values: deque[tuple[T, Waiter | None]] = deque()
        self._receivers: deque[Waiter] = deque()
        self._is_closed = False

    async def send(self, value: T) -> None:
        """Send a value; wait until it is received, unless a receiver is waiting.

        It is sent even if the wait is cancelled.
        """
        if self._receivers:
            self._values.append((value, None))
            self._wake_receiver()
            return
        waiter = make_waiter()
        self._values.append((value, waiter))
        await waiter

    async def receive(self) -> T:
        """Wait for the next value; raises `ChannelClosedError` if there will be none."""
        while not self._values:
            if self._is_closed:
                raise ChannelClosedError
            waiter = make_waiter()
            self._receivers.append(waiter)
            try:
                await waiter
            except BaseException:
                if waiter in self._receivers:
                    self._receivers.remove(waiter)
                elif self._values:
                    # It was woken for a value that another receiver can have.
                    self._wake_receiver()
                raise
        value, sender = self._values.popleft()
        if sender is not None:
            wake(sender)
        return value

    def close(self) -> None:
        """Close the channel; values that were sent before are still received."""
        self._is_closed = True
        while self._receivers:
            self._wake_receiver()

    def _wake_receiver(self) -> None:
        if self._receivers:
            wake(self._receivers.popleft())
