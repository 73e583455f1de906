"""One play: a seed, what happens in its world, and the invariants that it violates."""

import random
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from attrs import frozen

from tests.simulation.disk import Disk, watched
from tests.simulation.fleet import fleet
from tests.simulation.history import Violation
from tests.simulation.invariants import judge
from tests.simulation.journals import order_files, resolved_runs
from tests.simulation.loop import InlineExecutor
from tests.simulation.process import Process
from tests.simulation.protections import switched_off
from tests.simulation.scenarios import Scenario, Stage, one_run, resumed_runs, single_calls
from tests.simulation.shared_rate import shared_rate
from tests.simulation.unsafe_redis import evicting_redis, failing_redis
from tests.simulation.world import StuckError, own_garbage, playing

SCENARIOS: dict[str, tuple[Scenario, float]] = {
    "single calls": (single_calls, 3),
    "one run": (one_run, 2),
    "resumed runs": (resumed_runs, 3),
    "fleet": (fleet, 2),
}
# Of dice of their own: the seeds of the others play as they did before there were these.
LATER: dict[str, tuple[Scenario, float]] = {
    "failing redis": (failing_redis, 3),
    "evicting redis": (evicting_redis, 2),
    "shared rate": (shared_rate, 2),
    "resolved runs": (resolved_runs, 2),
    "order files": (order_files, 2),
}
_LATER = 0.25
_SHARED_MEMORY = Path("/dev/shm")


@frozen(kw_only=True)
class Played:
    """What a play came to."""

    seed: int
    scenario: str
    violations: tuple[Violation, ...]
    fingerprint: str
    steps: int
    seconds: float
    facts: dict[str, Any]
    trace: tuple[str, ...]


def play(seed: int, protection_off: str | None = None, scenario: str | None = None) -> Played:
    """Play a seed, with one of the protections switched off if so wished."""
    with own_garbage():
        return _play(seed, protection_off, scenario)


def _play(seed: int, protection_off: str | None, scenario: str | None) -> Played:
    root = _SHARED_MEMORY if _SHARED_MEMORY.is_dir() else None
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(dir=root, prefix="simulation-"))
        stack.enter_context(_inline_executors())
        world = stack.enter_context(playing(seed))
        stack.enter_context(watched(world))
        disk = Disk(world, Path(folder))
        if protection_off is not None:
            stack.enter_context(switched_off(protection_off, disk))
        director = Process(world, world.outside, "director")
        stage = Stage(world, disk, director)
        names = list(SCENARIOS)
        name = world.random.choices(names, [SCENARIOS[one][1] for one in names])[0]
        name = scenario or _later(seed) or name
        world.note("world", name)
        act = {**SCENARIOS, **LATER}[name][0]
        director.start(lambda: act(stage))
        try:
            world.run(director)
        except StuckError as error:
            stage.history.blame("hang", str(error))
        if director.error is not None:
            raise director.error
        violations = judge(stage.history, stage.courier._refused)
        return Played(
            seed=seed,
            scenario=name,
            violations=tuple(violations),
            fingerprint=world.fingerprint,
            steps=world.steps,
            seconds=world.now,
            facts=stage.history.facts(),
            trace=tuple(world.trace),
        )


def _later(seed: int) -> str | None:
    """Draw one of the later scenarios, or none of them."""
    dice = random.Random(f"scenario of {seed}")
    if dice.random() >= _LATER:
        return None
    return dice.choices(list(LATER), [weight for _, weight in LATER.values()])[0]


Job = tuple[int, str | None, str | None]
"""A seed, a protection that is off, and a scenario."""


def play_job(job: Job) -> Played:
    """Play in a process of many."""
    return play(*job)


@contextmanager
def _inline_executors() -> Iterator[None]:
    """Replace the threads of the package: what they do is done at once."""
    with ExitStack() as stack:
        for name, module in list(sys.modules.items()):
            used = getattr(module, "ThreadPoolExecutor", None)
            if name.startswith("clickpost_async.") and used is ThreadPoolExecutor:
                patch = mock.patch.object(module, "ThreadPoolExecutor", InlineExecutor)
                stack.enter_context(patch)
        yield
