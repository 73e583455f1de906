"""An event loop that runs one callback at a time, when the world says so.

Callbacks keep the order that asyncio gives them; what differs from seed to seed is when the world
responds, and which of several loops comes next. So a schedule that is found here can happen.
"""

import asyncio
import heapq
import threading
from asyncio import events
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextvars import Context
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from tests.simulation.process import Process

# asyncio fires a timer when it is due within the resolution of its clock.
RESOLUTION = 1e-9


class SimTask(asyncio.Task[Any]):
    """A task whose place in a set does not depend on its address."""

    serial = 0

    def __hash__(self) -> int:
        return self.serial


class SimLoop(asyncio.BaseEventLoop):
    """An asyncio event loop of a simulated process, in virtual time and without I/O of its own."""

    def __init__(self, process: "Process") -> None:
        super().__init__()
        self.process = process
        self._ready: Any
        self._scheduled: list[Any]
        # It is always being run, as far as asyncio can see.
        self._thread_id: int | None = threading.get_ident()
        self._batch = 0
        self.tasks: list[SimTask] = []
        self.set_task_factory(self._make_task)
        self.set_exception_handler(lambda _, context: process.complain(context))

    def _make_task(
        self, loop: asyncio.AbstractEventLoop, coro: Any, **options: Any
    ) -> asyncio.Task[Any]:
        options.pop("name", None)
        task = SimTask(coro, loop=self, name=f"{self.process.name}-{len(self.tasks)}", **options)
        task.serial = self.process.world.number()
        self.tasks.append(task)
        return task

    def time(self) -> float:
        """Return the monotonic clock of the machine."""
        return self.process.machine.monotonic()

    # --- steps ------------------------------------------------------------------------------------

    def next_timer(self) -> float | None:
        """Return when the next timer is due, on the machine's monotonic clock."""
        timers = self._scheduled
        while timers and timers[0]._cancelled:
            heapq.heappop(timers)
        return timers[0]._when if timers else None

    def has_work(self) -> bool:
        """Tell whether a callback could run now."""
        if self._ready:
            return True
        due = self.next_timer()
        return due is not None and due <= self.time() + 2 * RESOLUTION

    def run_one(self) -> None:
        """Run one callback; timers that are due join behind those that are ready, as in asyncio."""
        if not self._batch:
            now = self.time() + 2 * RESOLUTION
            while (due := self.next_timer()) is not None and due <= now:
                self._ready.append(heapq.heappop(self._scheduled))
            self._batch = len(self._ready)
        self._batch -= 1
        handle = self._ready.popleft()
        if handle._cancelled:
            return
        events._set_running_loop(self)
        try:
            handle._run()
        finally:
            events._set_running_loop(None)

    # --- what would leave the loop ----------------------------------------------------------------

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Call soon: there are no other threads."""
        return self.call_soon(callback, *args, context=context)

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., Any], *args: Any
    ) -> "asyncio.Future[Any]":
        """Run the function as the world lets a disk work: in one go, some time later."""
        future = self.create_future()
        world = self.process.world

        def work() -> None:
            if not self.process.alive:
                return
            done: Future[Any] = Future()
            world.act_as(self.process, lambda: _fill(done, func, args))
            if self.process.alive:
                world.at(world.delay(0.0, 0.004), finish, done)

        def finish(done: "Future[Any]") -> None:
            if self.process.alive and not future.done():
                if error := done.exception():
                    future.set_exception(error)
                else:
                    future.set_result(done.result())

        world.at(world.delay(0.0, 0.004), work)
        return future

    async def create_connection(
        self, protocol_factory: Any, host: Any = None, port: Any = None, **_: Any
    ) -> Any:
        """Connect to the only server that is reached by sockets: Redis."""
        return await self.process.world.connect(self, protocol_factory, str(host), int(port))

    def forget(self) -> None:
        """End without another callback, as a process that was killed does."""
        self._ready.clear()
        self._scheduled.clear()
        self._thread_id = None
        self.close()


def _fill(done: "Future[Any]", func: Callable[..., Any], args: tuple[Any, ...]) -> None:
    try:
        done.set_result(func(*args))
    except Exception as error:  # noqa: BLE001 - it is the caller's
        done.set_exception(error)


class InlineExecutor(Executor):
    """An executor that has done what it is given when `submit` returns."""

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Do it."""
        done: Future[Any] = Future()
        _fill(done, lambda: fn(*args, **kwargs), ())
        return done

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        return None


class OrderedSet:
    """A set that is gone through in the order in which it was filled."""

    def __init__(self) -> None:
        self._items: dict[int, object] = {}

    def add(self, item: object) -> None:
        """Add an item."""
        self._items[id(item)] = item

    def remove(self, item: object) -> None:
        """Remove an item."""
        del self._items[id(item)]

    def discard(self, item: object) -> None:
        """Remove an item, if it is there."""
        self._items.pop(id(item), None)

    def __iter__(self) -> Iterator[object]:
        return iter(list(self._items.values()))

    def __len__(self) -> int:
        return len(self._items)
