"""The world: one virtual time, one source of randomness, one order of events."""

import gc
import hashlib
import heapq
import logging
import math
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest import mock

from anyio._backends import _asyncio

from tests.simulation.clock import Machine, virtual_clocks
from tests.simulation.loop import OrderedSet

if TYPE_CHECKING:
    from tests.simulation.loop import SimLoop
    from tests.simulation.process import Process

# What running one callback takes: time goes on while code runs, so that no loop spins for ever.
_STEP = 2e-6
# More callbacks than any play needs: one that comes so far spins.
MOST_STEPS = 400_000


class StuckError(Exception):
    """The play does not come to its end."""


class World:
    """Decides by one seed, and does one thing after another."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        # For names that mean nothing, so that they do not move the other dice.
        self.names = random.Random(~seed)
        self.now = 0.0
        self.steps = 0
        self.over = False
        self.trace: list[str] = []
        self.processes: list[Process] = []
        self.current: Process | None = None
        self.outside = Machine(self, "world")
        self.servers: dict[int, Callable[..., Any]] = {}
        self._events: list[tuple[float, int, Callable[..., object], tuple[object, ...]]] = []
        self._numbers = 0
        self._buried: list[Process] = []

    # --- what happens when ------------------------------------------------------------------------

    def at(self, delay: float, act: Callable[..., object], *args: object) -> None:
        """Do something in so many seconds."""
        heapq.heappush(self._events, (self.now + delay, self.number(), act, args))

    def number(self) -> int:
        """Return the next of a row of numbers."""
        self._numbers += 1
        return self._numbers

    def delay(self, least: float, most: float) -> float:
        """Draw a time between two."""
        return self.random.uniform(least, most)

    def chance(self, share: float) -> bool:
        """Tell whether something with that probability happens."""
        return self.random.random() < share

    def note(self, who: str, what: str) -> None:
        """Write a line of the trace."""
        self.trace.append(f"{self.now:14.6f}  {who:<12} {what}")

    @property
    def fingerprint(self) -> str:
        """Tell two courses of the world apart."""
        state = "\n".join([*self.trace, str(self.steps), repr(self.random.random())])
        return hashlib.sha256(state.encode()).hexdigest()[:16]

    def current_machine(self) -> Machine:
        """Return the machine whose code runs."""
        return self.outside if self.current is None else self.current.machine

    def act_as(self, process: "Process", act: Callable[[], object]) -> None:
        """Do something as a process does it: with its clocks, and its globals."""
        before, self.current = self.current, process
        process.enter()
        try:
            act()
        except Killed:
            pass
        finally:
            process.leave()
            self.current = before
            if before is not None:
                before.enter()

    async def connect(self, loop: "SimLoop", factory: Any, host: str, port: int) -> Any:
        """Connect a process to the server at a port."""
        return await self.servers[port](loop, factory)

    def run(self, main: "Process") -> None:
        """Let everything happen, until a process has come to its end."""
        events, processes = self._events, self.processes
        while main.alive:
            self.steps += 1
            if self.steps > MOST_STEPS:
                message = f"{MOST_STEPS} steps, and no end"
                raise StuckError(message)
            if events and events[0][0] <= self.now:
                _, _, act, args = heapq.heappop(events)
                act(*args)
                continue
            ready, due = [], math.inf
            for one in processes:
                at = one.next_time()
                if at <= self.now:
                    ready.append(one)
                elif at < due:
                    due = at
            if ready:
                one = ready[0] if len(ready) == 1 else self.random.choice(ready)
                one.step()
                self.now += _STEP
                continue
            if events:
                due = min(due, events[0][0])
            if due == math.inf:
                waits = [task.get_name() for loop in main.loops for task in loop.tasks]
                message = f"every process waits, and nothing will happen any more: {waits}"
                raise StuckError(message)
            self.now = max(self.now, due)

    def bury(self, process: "Process") -> None:
        """Keep what a dead process has left: nothing of it is run while the play goes on."""
        self.processes.remove(process)
        self._buried.append(process)

    def end(self) -> None:
        """End for good; what the dead have left is closed, and has no effect any more."""
        self.over = True
        for process in [*self.processes, *self._buried]:
            process.alive = False
            process.dispose()
        self.processes.clear()
        self._buried.clear()
        self._events.clear()


class Killed(BaseException):
    """Unwinds what a process was doing when it was killed in the middle of it."""


@contextmanager
def playing(seed: int) -> Iterator[World]:
    """Make a world, and let the code in it see no other."""
    made = _asyncio.CancelScope.__init__

    def scope(self: Any, *args: Any, **options: Any) -> None:
        made(self, *args, **options)
        # anyio cancels what is in this set one after another.
        self._child_scopes = OrderedSet()

    world = World(seed)
    hooks = sys.get_asyncgen_hooks()
    # Generators of a killed process must not be ended by another one.
    generators: list[object] = []
    sys.set_asyncgen_hooks(firstiter=generators.append, finalizer=lambda _: None)
    try:
        with (
            mock.patch.object(_asyncio.CancelScope, "__init__", scope),
            virtual_clocks(world),
        ):
            try:
                yield world
            finally:
                world.end()
                generators.clear()
    finally:
        sys.set_asyncgen_hooks(*hooks)


def _ignore(unraisable: object) -> None:
    """Take note of nothing, and keep nothing alive by that."""


@contextmanager
def own_garbage() -> Iterator[None]:
    """Collect nothing in between, which would happen at other times each time, and all at the end.

    What processes that were killed have left complains that it was never closed.
    """
    collects = gc.isenabled()
    gc.disable()
    # A record that is kept would keep alive what it refers to.
    silenced = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    # What was there before is not looked through.
    gc.freeze()
    try:
        with mock.patch.object(sys, "unraisablehook", _ignore), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                yield
            finally:
                gc.collect()
    finally:
        logging.disable(silenced)
        gc.unfreeze()
        if collects:
            gc.enable()
