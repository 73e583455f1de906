"""A simulated process: its own event loops, clocks and globals, killed at any moment."""

import asyncio
import contextlib
import math
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from anyio._backends import _asyncio

from tests.simulation import registries
from tests.simulation.clock import Machine
from tests.simulation.loop import RESOLUTION, SimLoop, SimTask

if TYPE_CHECKING:
    from tests.simulation.disk import Folder
    from tests.simulation.world import World

# So often a coroutine may wait in its `finally` blocks.
_WAITS = 50

Main = Callable[[], Coroutine[Any, Any, object]]


class Process:
    """What runs until it ends, or is killed between any two of its callbacks."""

    def __init__(self, world: "World", machine: Machine, name: str) -> None:
        self.world = world
        self.machine = machine
        self.name = name
        self.alive = True
        self.killed = False
        self.steps = 0
        self.kill_at_step: int | None = None
        self.folder: Folder | None = None
        self.loops: list[SimLoop] = []
        self.complaints: list[str] = []
        self.left_behind: list[str] = []
        # Responses that are being read, and clients that were not closed.
        self.open_responses = 0
        self.when_ended: list[Callable[[], object]] = []
        self._globals = registries.Globals()
        self._roots: list[asyncio.Task[Any]] = []
        self.error: BaseException | None = None
        world.processes.append(self)

    # --- running ----------------------------------------------------------------------------------

    def start(self, main: Main) -> None:
        """Begin with a coroutine, in an event loop of its own; the process ends when all end."""
        loop = SimLoop(self)
        self.loops.append(loop)

        def begin() -> None:
            # Another process may start this one in a task; from Python 3.14 it could not end its
            # step, nor any task begin one, if its loop were not the running one again.
            before = asyncio.events._get_running_loop()
            asyncio.events._set_running_loop(loop)
            try:
                root = loop.create_task(main())
                root.add_done_callback(lambda _: self._ended(root))
            finally:
                asyncio.events._set_running_loop(before)
            self._roots.append(root)

        self.world.act_as(self, begin)

    def next_time(self) -> float:
        """Return when it has something to do next, in the time of the world."""
        if not self.alive or self.machine.asleep_since is not None:
            return math.inf
        timer = math.inf
        for loop in self.loops:
            if loop._ready:
                return -math.inf
            due = loop.next_timer()
            if due is not None and due < timer:
                timer = due
        # As asyncio does, within the resolution of its clock.
        return self.machine.true_time(timer) - RESOLUTION

    def step(self) -> None:
        """Run one callback."""
        self.steps += 1
        if self.kill_at_step is not None and self.steps >= self.kill_at_step:
            self.kill(f"at its step {self.steps}")
            return
        loops = [loop for loop in self.loops if loop.has_work()]
        loop = loops[0] if len(loops) == 1 else self.world.random.choice(loops)
        self.world.act_as(self, loop.run_one)

    def enter(self) -> None:
        """Put its own globals in place."""
        self._globals.enter()

    def leave(self) -> None:
        """Put its globals away."""
        self._globals.leave()

    def complain(self, context: dict[str, Any]) -> None:
        """Note an unhandled error."""
        if self.alive:
            describe = f"{context.get('message')}: {self.describe(context.get('exception'))}"
            self.complaints.append(describe)
            self.world.note(self.name, f"unhandled: {describe}")

    def describe(self, error: BaseException | None) -> str:
        """Write an error down, without the name of a folder that is another one each time."""
        text = repr(error)
        return text if self.folder is None else text.replace(f"{self.folder.path}/", "")

    # --- its end ----------------------------------------------------------------------------------

    def _ended(self, root: "asyncio.Task[Any]") -> None:
        if self.alive and not root.cancelled() and root.exception() is not None:
            self.error = self.error or root.exception()
            self.world.note(self.name, f"failed: {self.describe(root.exception())}")
        if self.alive and all(one.done() for one in self._roots):
            # One turn of the loops is left to what the end itself has woken.
            self.world.at(0.0, self._finish)

    def _finish(self) -> None:
        if not self.alive:
            return
        if self.next_time() <= self.world.now:
            self.world.at(0.0001, self._finish)
            return
        self.left_behind = [
            f"{task.get_name()} {getattr(task.get_coro(), '__qualname__', '')}"
            for loop in self.loops
            for task in loop.tasks
            if not task.done()
        ]
        self.world.note(self.name, "ended")
        self._leave_world(power_cut=False)

    def kill(self, why: str, *, power_cut: bool = False) -> None:
        """End at once: nothing of it runs any more, and nothing that it does has an effect."""
        if self.alive:
            self.killed = True
            self.world.note(self.name, f"killed {why}" + (", power cut" if power_cut else ""))
            self._leave_world(power_cut=power_cut)

    def _leave_world(self, *, power_cut: bool) -> None:
        self.alive = False
        if self.folder is not None:
            self.folder.capture(power_cut=power_cut)
        self.world.bury(self)
        for act in self.when_ended:
            self.world.at(0.0, act)

    def dispose(self) -> None:
        """Close what is left, when the play is over."""
        if self.folder is not None:
            self.folder.close()
        tasks: list[SimTask] = [task for loop in self.loops for task in loop.tasks]
        for task in tasks:
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            if not task.done():
                _close(task.get_coro())
            # What anyio keeps for a task refers to it, and would keep it alive for ever.
            _asyncio._task_states.pop(task, None)
        for loop in self.loops:
            with contextlib.suppress(Exception):
                loop.forget()
            loop.tasks.clear()
        self._globals.clear()


def _close(coro: Any) -> None:
    """Close what is left of a coroutine, though it waits once more while it is closed."""
    for _ in range(_WAITS):
        try:
            coro.close()
        except BaseException:  # noqa: BLE001 - nothing of it counts any more
            continue
        return
