"""The journal of a bulk run: every order is in it before its first byte is sent.

One that outlives the run is a file. A separate thread flushes it to disk; writes that are queued
meanwhile share the next transaction, and flushes are some milliseconds apart, so that many orders
in flight share them. At a low rate an outcome waits a few milliseconds for the next order that is
about to be sent, so that one flush serves both.
"""

import asyncio
import math
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Generic, TypeVar

from anyio.lowlevel import current_token

from clickpost_async._concurrency.event_loops import asyncio_loop
from clickpost_async._concurrency.per_loop import loop_time
from clickpost_async._concurrency.waiter import Waiter, make_waiter, wake
from clickpost_async.bulk.journal_file import JournalFile, read_status
from clickpost_async.bulk.records import (
    JournalEntry,
    JournalError,
    JournalState,
    JournalStatus,
    Key,
    StoredOrder,
)
from clickpost_async.bulk.sqlite import Admission, JournalStore

T = TypeVar("T")

_PAGE = 200
# For how many seconds an outcome waits for the next order that is about to be sent, if one was sent
# as recently as that. A crash meanwhile leaves its order in doubt: it is looked up, not lost.
_LINGER = 0.02
# A flush begins so many seconds after the one before, at the earliest: with many orders in flight,
# those that are about to be sent meanwhile share it.
_FLUSH_INTERVAL = 0.008


class PendingWrite(Generic[T]):
    """A write to a journal, which is made whether or not it is awaited.

    One that is not `durable` needs no flush of the disk.
    """

    __slots__ = ("_do", "_done", "_error", "_result", "_waiter", "durable")

    _waiter: Waiter | None
    _result: T

    def __init__(self, do: Callable[[], T], *, durable: bool = True) -> None:
        self.durable: bool = durable
        self._do = do
        self._waiter = None
        self._done = False
        self._error: Exception | None = None

    def do(self) -> T:
        return self._do()

    def end(self, result: T) -> None:
        self._result = result
        self._wake()

    def fail(self, error: Exception) -> None:
        self._error = error
        self._wake()

    def _wake(self) -> None:
        self._done = True
        if self._waiter is not None:
            wake(self._waiter)

    def __await__(self) -> Generator[Any, None, T]:
        if not self._done:
            self._waiter = make_waiter()
            yield from self._waiter.__await__()
        if self._error is not None:
            raise self._error
        return self._result


class Journal:
    """An open journal: `async with Journal.at(path, account=…)`, or `Journal.private()`.

    Belongs to one event loop. Once something could not be written, everything raises
    `JournalError`.
    """

    def __init__(self, writer: ThreadPoolExecutor | None = None) -> None:
        self._writer = writer
        self._store: JournalStore
        self._waiting: list[PendingWrite[Any]] = []
        self._writing = False
        self._last_sending = -math.inf
        self._last_flush = -math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._broken: JournalError | None = None

    @classmethod
    @asynccontextmanager
    async def at(
        cls, path: str | os.PathLike[str], *, account: str
    ) -> AsyncGenerator["Journal", None]:
        """Open a journal, or make one: readable by its owner only, locked, whole, this account's.

        What is sent is kept until an order is done.
        """
        stores: list[JournalStore] = []

        def open_file() -> None:
            stores.append(JournalFile(path, account=account))

        def close_file() -> None:
            for store in stores:
                store.close()

        with ThreadPoolExecutor(1, "clickpost-journal") as writer:
            journal = cls(writer)
            opened = PendingWrite(open_file)
            journal._run([opened])
            try:
                await opened
                [journal._store] = stores
                yield journal
            finally:
                # Queued writes are made, even if nothing waits for them any more.
                writes = journal._take_waiting()
                if writes or hasattr(journal, "_store"):
                    journal._end(writes, writer.submit(journal._write, writes).result())
                # The file is opened even if the wait for it was cancelled; it is whole once it is
                # closed.
                writer.submit(close_file).result()

    @classmethod
    @asynccontextmanager
    async def private(cls) -> AsyncGenerator["Journal", None]:
        """Open a temporary one, which remembers the orders of this run only.

        It takes at most a few megabytes of memory, and what is beyond them of the disk.
        """
        journal = cls()
        journal._store = JournalStore.private()
        try:
            yield journal
        finally:
            journal._store.close()

    @property
    def is_durable(self) -> bool:
        """Whether it outlives the run."""
        return self._writer is not None

    # --- orders -----------------------------------------------------------------------------------

    async def admit(self, entry: JournalEntry) -> Admission:
        """Record an order, or return its recorded state, and what to do with it.

        It is durable with the next write that is: before its order is sent, at the latest.
        """
        write = PendingWrite(partial(self._store.admit, entry), durable=False)
        if self._writing:
            self._waiting.append(write)
        else:
            # Without a flush it does not block. What is waiting concerns other orders.
            self._run_inline(write)
        return await write

    async def sending(self, key: Key) -> None:
        """Wait until it is durable that the order is about to be sent."""
        if not self.is_durable:
            # It is gone with the run, within which orders of one reference number take turns.
            return
        self._last_sending = loop_time()
        await self._put(partial(self._store.mark_sending, key))

    def record(self, key: Key, state: JournalState, outcome: bytes) -> "PendingWrite[None]":
        """Queue an outcome for writing; the awaitable ends when it is durable."""
        lingers = loop_time() - self._last_sending < _LINGER
        return self._put(partial(self._store.record, key, state, outcome), lingers=lingers)

    async def doubts(self) -> AsyncIterator[StoredOrder]:
        """Iterate over the orders in doubt, page by page."""
        after = (-1, "", "")
        while page := await self._put(partial(self._store.doubts, after, _PAGE)):
            for order in page:
                yield order
            after = (page[-1].position, *page[-1].key)

    async def count_unseen(self) -> int:
        """Count the recorded orders that this run's input did not have."""
        return await self._put(self._store.count_unseen)

    # --- writing ----------------------------------------------------------------------------------

    def _put(self, do: Callable[[], T], *, lingers: bool = False) -> PendingWrite[T]:
        write = PendingWrite(do)
        if self._writer is None or self._broken is not None:
            self._run_inline(write)
            return write
        self._waiting.append(write)
        if not self._writing:
            self._schedule_flush(lingers=lingers)
        return write

    def _run_inline(self, write: PendingWrite[Any]) -> None:
        """Do what is not flushed to disk."""
        self._end([write], self._broken or self._write([write]))

    def _take_waiting(self) -> list[PendingWrite[Any]]:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        writes, self._waiting = self._waiting, []
        return writes

    def _schedule_flush(self, *, lingers: bool = False) -> None:
        loop = asyncio_loop()
        if loop is None:
            self._flush()
            return
        now = loop.time()
        due = now + _LINGER if lingers else self._last_flush + _FLUSH_INTERVAL
        if due <= now:
            self._flush()
        elif self._timer is None or due < self._timer.when():
            if self._timer is not None:
                self._timer.cancel()
            self._timer = loop.call_at(due, self._flush)

    def _flush(self) -> None:
        self._writing = True
        self._last_flush = loop_time()
        self._run(self._take_waiting())

    def _run(self, writes: list[PendingWrite[Any]]) -> None:
        """Write in the writer's thread, and finish on this event loop."""
        assert self._writer is not None  # noqa: S101 - without one nothing comes here
        loop = asyncio_loop()
        if loop is None:
            soon = current_token().native_token.run_sync_soon  # type: ignore[attr-defined]  # trio's
            written = self._writer.submit(self._write, writes)
            written.add_done_callback(lambda done: soon(self._finish, writes, done.result()))
        else:
            future = loop.run_in_executor(self._writer, self._write, writes)
            future.add_done_callback(lambda done: self._finish(writes, done.result()))

    def _write(self, writes: list[PendingWrite[Any]]) -> list[Any] | Exception:
        try:
            if not hasattr(self, "_store"):
                return [write.do() for write in writes]
            durable = any(write.durable for write in writes)
            return self._store.commit([write.do for write in writes], durable=durable)
        except Exception as error:  # noqa: BLE001 - raised in every waiting call
            return error

    def _finish(self, writes: list[PendingWrite[Any]], results: list[Any] | Exception) -> None:
        self._writing = False
        self._end(writes, results)
        if self._waiting:
            self._schedule_flush()

    def _end(self, writes: list[PendingWrite[Any]], results: list[Any] | Exception) -> None:
        if not isinstance(results, Exception):
            for write, result in zip(writes, results, strict=True):
                write.end(result)
            return
        self._broken = results if isinstance(results, JournalError) else _unexpected(results)
        for write in (*writes, *self._take_waiting()):
            write.fail(self._broken)


def _unexpected(error: Exception) -> JournalError:
    return JournalError(f"the journal could not be written: {type(error).__name__}: {error}")


def status(path: str | os.PathLike[str]) -> JournalStatus:
    """Count the orders of a journal by state; a run may be writing it meanwhile.

    Args:
        path: The journal.

    Returns:
        The counts, the account, and since when the oldest order has been in doubt.

    Raises:
        JournalError: There is no such journal, or it cannot be read.

    """
    return read_status(path)


__all__ = [
    "Journal",
    "JournalEntry",
    "JournalError",
    "JournalState",
    "Key",
    "StoredOrder",
    "status",
]
