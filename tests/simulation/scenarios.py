"""The scenarios: single calls, runs without a journal, killed runs that resume."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from attrs import define, field

from clickpost_async import ClickPost
from tests.simulation.application import App, Plan, Settings, carry_out, push
from tests.simulation.clock import Machine
from tests.simulation.courier import Courier, Habits
from tests.simulation.disk import Disk, states_in
from tests.simulation.history import History, Run
from tests.simulation.network import CALM, Network, Weather
from tests.simulation.orders import Order
from tests.simulation.process import Process
from tests.simulation.world import World

# What a run may take: four attempts, each with its settle delay, and a Retry-After of an hour.
BOUND = 6 * 3600.0
# A run without a response ends by itself: after a minute, and the attempts that are under way.
BOUND_UNANSWERED = 180.0
_GONE = ("ConnectionError", "ConnectionRefusedError", "TimeoutError")
HOURS = (-10_800.0, -60.0, 60.0, 10_800.0, 100_000.0)


@define
class Stage:
    """A world with everything in it that a scenario needs."""

    world: World
    disk: Disk
    director: Process
    history: History = field(factory=History)
    settings: Settings = field(init=False)
    network: Network = field(init=False)
    courier: Courier = field(init=False)
    machine: Machine = field(init=False)
    _names: int = 0

    def __attrs_post_init__(self) -> None:
        """Draw what is there."""
        world = self.world
        self.settings = Settings.draw(world)
        habits = Habits.draw(world, self.settings.settle_delay)
        self.history.racy = habits.racy
        self.courier = Courier(world, habits, self.history)
        self.network = Network(world, self.courier, self.history, Weather.draw(world))
        self.machine = Machine(world, "machine")
        world.note("world", f"{self.settings}")
        world.note("world", f"{habits}")
        world.note("world", f"{self.network.weather}")

    def process(self, what: str, machine: Machine | None = None) -> Process:
        """Start a process."""
        self._names += 1
        return Process(self.world, machine or self.machine, f"{what}-{self._names}")

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        waiter: Any = self.director.loops[0].create_future()
        self.world.at(seconds, lambda: waiter.done() or waiter.set_result(None))
        await waiter

    async def ended(self, process: Process, bound: float) -> None:
        """Wait for the end of a process, for no longer than it may take."""
        world = self.world
        waiter: Any = self.director.loops[0].create_future()

        def end(in_time: bool) -> None:
            if not waiter.done():
                waiter.set_result(in_time)

        process.when_ended.append(lambda: end(True))
        if not process.alive:
            end(True)
        world.at(bound, end, False)
        if not await waiter:
            self.history.blame("hang", f"{process.name} has not ended after {bound:g} s")
            process.kill("as it hangs")
        self._look_at(process)

    def _look_at(self, process: Process) -> None:
        history = self.history
        if process.killed:
            return
        # A fleet is not opened while its Redis is gone.
        begun = any(run.process == process.name and run.rows for run in history.runs)
        if type(process.error).__name__ in _GONE and not begun:
            return
        if process.error is not None:
            history.blame("failed", f"{process.name}: {process.describe(process.error)}")
        for left in (*process.left_behind, *process.complaints):
            history.blame("left-behind", f"{process.name}: {left}")
        if process.open_responses:
            history.blame("left-behind", f"{process.name}: {process.open_responses} responses")

    def orders(self, number: int, *, twice: float, other_contents: float) -> list[Order]:
        """Draw orders; some come twice, and some of these with other contents."""
        world, dice = self.world, self.world.random
        market = "india" if world.chance(0.8) else "world"
        made = [
            Order(market=market, reference=f"R{n}", contents=f"R{n}-a")
            for n in range(1, number + 1)
        ]
        for order in list(made):
            if world.chance(twice):
                again = (
                    order.changed(f"{order.reference}-b") if world.chance(other_contents) else order
                )
                made.insert(dice.randint(made.index(order) + 1, len(made)), again)
        return made


Scenario = Callable[[Stage], Coroutine[Any, Any, None]]


# --- single calls ---------------------------------------------------------------------------------


async def single_calls(stage: Stage) -> None:
    """Let an application create orders one by one, together, and in more than one loop."""
    world, dice = stage.world, stage.world.random
    process = stage.process("app")
    app = App(process, stage.network, stage.settings)
    impatient = world.chance(0.6)
    plans = [_plan(stage, order, impatient=impatient) for order in _wanted(stage)]
    clients = dice.choice([1, 1, 2, 3])
    made: list[ClickPost] = []
    world.act_as(process, lambda: made.extend(app.client() for _ in range(clients)))
    loops = dice.choice([1, 1, 2])
    closes_early = world.chance(0.15)
    closes_at = world.delay(0.0, 40.0)
    busy = loops

    async def carry_out_all(mine: Sequence[Plan]) -> None:
        nonlocal busy
        tasks = [asyncio.ensure_future(carry_out(app, made[p.client % clients], p)) for p in mine]
        is_first = mine is shares[0]
        if closes_early and is_first:
            await asyncio.sleep(closes_at)
            app.closing = True
            await made[0].aclose()
        await asyncio.gather(*tasks)
        busy -= 1
        if is_first:
            while busy:  # noqa: ASYNC110 - an asyncio.Event belongs to one loop
                await asyncio.sleep(0.5)
            for client in made:
                await client.aclose()

    shares = [plans[number::loops] for number in range(loops)]
    for share in shares:
        process.start(lambda share=share: carry_out_all(share))  # type: ignore[misc]
    if world.chance(0.1):
        world.at(world.delay(1.0, 60.0), stage.machine.suspend, world.delay(1.0, 600.0))
    if world.chance(0.1):
        world.at(world.delay(1.0, 60.0), stage.machine.set_wall_clock, dice.choice(HOURS))
    await stage.ended(process, BOUND)


def _wanted(stage: Stage) -> list[Order]:
    number = stage.world.random.randint(1, 5)
    return stage.orders(number, twice=0.6, other_contents=0.15)


def _plan(stage: Stage, order: Order, *, impatient: bool) -> Plan:
    world, dice = stage.world, stage.world.random
    waits = [0.05, 0.5, 2.0, 0.5 * stage.settings.settle_delay]
    gives_up = dice.choice(waits) if impatient and world.chance(0.4) else None
    deadline = dice.choice(waits) if impatient and world.chance(0.2) else None
    return Plan(
        order=order,
        start=dice.choice([0.0, 0.0, world.delay(0.0, 1.0), world.delay(0.0, 60.0)]),
        client=dice.randrange(3),
        tries=dice.choice([1, 2, 3]),
        pause=dice.choice([0.0, 0.1, 2.0, 40.0]),
        gives_up=gives_up,
        deadline=deadline,
        bulk=world.chance(0.3),
    )


# --- bulk runs ------------------------------------------------------------------------------------


async def one_run(stage: Stage) -> None:
    """Push orders without a journal."""
    world = stage.world
    unreachable = world.chance(0.1)
    if unreachable:
        stage.network.weather = Weather(faults={}, dead=((0.0, 1e9),), silent=world.chance(0.5))
    process = stage.process("push")
    app = App(process, stage.network, stage.settings)
    number = world.random.randint(*((12, 30) if unreachable else (2, 12)))
    orders = stage.orders(number, twice=0.25, other_contents=0.5)
    run = Run(process=process.name, scope=process.name, journal=False, began=world.now)
    stage.history.runs.append(run)
    max_concurrency = world.random.choice([1, 2, 4, 100])
    process.start(lambda: push(app, orders, journal=None, run=run, max_concurrency=max_concurrency))
    await stage.ended(process, BOUND_UNANSWERED if unreachable else BOUND)


async def resumed_runs(stage: Stage) -> None:
    """Push orders with a journal, in a process that is killed, and again, until it is calm."""
    world, dice = stage.world, stage.world.random
    orders = stage.orders(dice.randint(2, 8), twice=0.3, other_contents=0.3)
    weather = stage.network.weather
    for number in range(dice.randint(1, 4)):
        stage.network.weather = weather if world.chance(0.8) else CALM
        await run_with_journal(stage, orders, disturbed=number < 3 and world.chance(0.8))
        await stage.sleep(
            dice.choice([0.1, 1.0, world.delay(0.0, 2 * stage.settings.settle_delay)])
        )
        if world.chance(0.4):
            stage.machine.set_wall_clock(dice.choice(HOURS))
        if world.chance(0.25):
            orders = edited(stage, orders)
    # Until the courier has done all, and everybody sees it.
    stage.network.weather = CALM
    await stage.sleep(4 * stage.settings.settle_delay + stage.courier.habits.lag)
    await run_with_journal(stage, orders, disturbed=False, calm=True)


def edited(stage: Stage, orders: Sequence[Order]) -> list[Order]:
    """Change the input between two runs: a row's contents, or which rows there are."""
    dice = stage.world.random
    rows = list(orders)
    at = dice.randrange(len(rows))
    match dice.choice(["changed", "changed", "dropped", "moved"]):
        case "changed":
            rows[at] = rows[at].changed(f"{rows[at].reference}-{dice.choice('abc')}")
        case "dropped" if len(rows) > 1:
            del rows[at]
        case _:
            rows.insert(dice.randrange(len(rows)), rows.pop(at))
    return rows


Work = Callable[[App, Run, Path, int, int | None], Coroutine[Any, Any, None]]
"""What a process does: its application, its run, its journal, how many at a time, when to stop."""


async def run_with_journal(
    stage: Stage, orders: Sequence[Order], *, disturbed: bool, calm: bool = False
) -> None:
    """Push orders with the journal, in a process that may be disturbed."""

    def work(
        app: App, run: Run, journal: Path, max_concurrency: int, stop_after: int | None
    ) -> Coroutine[Any, Any, None]:
        return push(
            app,
            orders,
            journal=journal,
            run=run,
            max_concurrency=max_concurrency,
            stop_after=stop_after,
        )

    await work_with_journal(stage, work, disturbed=disturbed, calm=calm)


async def work_with_journal(
    stage: Stage, work: Work, *, disturbed: bool, calm: bool = False, resolves: bool = False
) -> Run:
    """Work with the journal, in a process that may be disturbed."""
    world, dice = stage.world, stage.world.random
    process = stage.process("push")
    folder = stage.disk.folder(process)
    app = App(process, stage.network, stage.settings)
    run = Run(
        process=process.name,
        scope="journal",
        journal=True,
        began=world.now,
        calm=calm,
        resolves=resolves,
    )
    run.before = states_in(stage.disk.files, stage.disk._root)
    stage.history.runs.append(run)
    max_concurrency = dice.choice([1, 2, 4, 100])
    stop_after = None
    if disturbed:
        match dice.choice(["step", "write", "later", "later", "power", "suspend", "stop"]):
            case "step":
                process.kill_at_step = round(10 ** world.delay(0.5, 3.3))
            case "write":
                folder.kill_at_write = dice.randint(1, 60)
            case "later":
                world.at(10 ** world.delay(-2.0, 1.8), process.kill, "after a while")
            case "power":
                world.at(10 ** world.delay(-2.0, 1.8), _cut_power, stage, process)
            case "suspend":
                world.at(world.delay(0.1, 20.0), stage.machine.suspend, world.delay(1.0, 9000.0))
            case _:
                stop_after = dice.randint(1, 3)
    journal = folder.path / "run.db"
    process.start(lambda: work(app, run, journal, max_concurrency, stop_after))
    await stage.ended(process, BOUND)
    run.ended = run.ended or world.now
    run.after = states_in(stage.disk.files, stage.disk._root)
    return run


def _cut_power(stage: Stage, process: Process) -> None:
    if process.alive:
        process.kill("by", power_cut=True)
        stage.machine.reboot()
