"""Calls to Redis that must be made: in batches, and again until Redis responds."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from redis.exceptions import RedisError

T = TypeVar("T")
R = TypeVar("R")

_log = logging.getLogger("clickpost_async")

_FIRST_PAUSE, _MAX_PAUSE = 0.05, 1.0
# Shorter outages are not logged: a restart drops all connections once.
_UNUSUAL = 0.5
_MAX_BATCH = 100
# Seconds that a call waits for others to share it.
_LINGER = 0.005


class UnsuitableRedisError(RedisError):
    """A Redis that orders are not safe in; the message says which setting to change."""


class RedisBackoff:
    """Waits longer and longer for a Redis that fails, and logs that once an outage.

    `what` waits, as the log says it. Tasks that wait for the same Redis share one.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._pause = 0.0
        self._is_logged = False

    async def wait(self, error: Exception) -> None:
        """Back off because of `error`, for 1 s at most."""
        # redis-py may raise an error of the connection where it was cancelled.
        raise_if_cancelled()
        unsuitable = isinstance(error, UnsuitableRedisError)
        if not self._is_logged and (unsuitable or self._pause > _UNUSUAL):
            self._is_logged = True
            # The messages of other errors may repeat what was sent.
            reason = str(error) if unsuitable else type(error).__name__
            _log.warning("%s: waiting for Redis (%s)", self._what, reason)
        self._pause = min(2 * self._pause + _FIRST_PAUSE, _MAX_PAUSE)
        await asyncio.sleep(self._pause)

    def over(self) -> None:
        """Note that Redis has responded."""
        if self._is_logged:
            _log.warning("%s: Redis is back", self._what)
        self._pause, self._is_logged = 0.0, False


class Batcher(Generic[T, R]):
    """Makes one call for many items: items that are added during a call share the next one.

    `call` takes up to `size` items, returns a result for each, and must be safe to repeat: it is
    made again until Redis responds. The first item waits `linger` seconds for others. A task that
    is cancelled while it waits leaves the others alone.
    """

    def __init__(
        self,
        call: Callable[[Sequence[T]], Awaitable[Sequence[R]]],
        backoff: RedisBackoff,
        *,
        size: int = _MAX_BATCH,
        linger: float = _LINGER,
    ) -> None:
        self._call = call
        self._backoff = backoff
        self._size = size
        self._linger = linger
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._calling: asyncio.Task[None] | None = None

    async def __call__(self, item: T) -> R:
        """Return the result of one item."""
        return await self.put(item)

    def put(self, item: T) -> "asyncio.Future[R]":
        """Return the future of an item's result; cancelling it gives the item up."""
        result: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, result))
        if self._calling is None:
            self._calling = asyncio.create_task(self._call_all())
        return result

    async def aclose(self) -> None:
        """Give up the call under way, and cancel those that wait."""
        if self._calling is not None:
            await cancel_and_wait(self._calling)

    async def _call_all(self) -> None:
        try:
            await asyncio.sleep(self._linger)
            while batch := self._next_batch():
                try:
                    await self._call_once(batch)
                except (RedisError, OSError) as error:
                    await self._backoff.wait(error)
                    continue
                self._backoff.over()
                del self._waiting[: len(batch)]
                if len(self._waiting) < self._size:
                    await asyncio.sleep(self._linger)
        finally:
            self._calling = None
            for _, result in self._waiting:
                result.cancel()

    async def _call_once(self, batch: Sequence[tuple[T, "asyncio.Future[R]"]]) -> None:
        try:
            results = await self._call([item for item, _ in batch])
        except (RedisError, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - each task that waits raises it
            for _, result in batch:
                if not result.done():
                    result.set_exception(error)
            return
        for (_, result), value in zip(batch, results, strict=True):
            if not result.done():
                result.set_result(value)

    def _next_batch(self) -> list[tuple[T, "asyncio.Future[R]"]]:
        self._waiting = [each for each in self._waiting if not each[1].done()]
        return self._waiting[: self._size]


def raise_if_cancelled() -> None:
    """Raise `CancelledError` if the current task was cancelled and has not noticed.

    redis-py sends within `asyncio.wait_for`, which until Python 3.12 drops a cancellation that
    comes when the bytes have just been written (python/cpython#86296).
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def retry_until_done(act: Callable[[], Awaitable[T]], backoff: RedisBackoff) -> T:
    """Repeat a call to Redis until it responds."""
    while True:
        try:
            result = await act()
        except (RedisError, OSError) as error:
            await backoff.wait(error)
        else:
            backoff.over()
            return result


async def cancel_and_wait(task: "asyncio.Task[None]") -> None:
    """Cancel a task that calls Redis, until it has ended: one cancellation may get lost there."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.1)


__all__ = [
    "Batcher",
    "RedisBackoff",
    "RedisError",
    "UnsuitableRedisError",
    "cancel_and_wait",
    "raise_if_cancelled",
    "retry_until_done",
]
