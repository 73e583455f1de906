"""A fleet: workers that are killed and started, a feeder that is killed, and a Redis in between."""

import asyncio
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import AsyncExitStack
from typing import Any

from attrs import frozen

from clickpost_async.fleet import Fleet, Ledger, OrderTerms, Worker
from tests.simulation.application import App, push
from tests.simulation.disk import states_in
from tests.simulation.history import Run
from tests.simulation.network import CALM
from tests.simulation.orders import Order
from tests.simulation.process import Process
from tests.simulation.redis import URL, Redis
from tests.simulation.scenarios import BOUND, Stage

# A message whose worker is silent for so long is taken over, as in the queue of a fleet.
_IDLE = 30.0
_POLL = 0.5


async def fleet(stage: Stage) -> None:
    """Push orders through workers, while Redis and they come and go."""
    world, dice = stage.world, stage.world.random
    redis = Redis(world)
    queue = Queue(redis)
    orders = stage.orders(dice.randint(2, 6), twice=0.2, other_contents=0.3)
    calm = world.chance(0.6)
    if calm:
        stage.network.weather = CALM
    crew = Crew(stage, queue)
    for _ in range(dice.randint(1, 3)):
        crew.hire()
    for _ in range(dice.choice([0, 1, 1, 2])):
        world.at(10 ** world.delay(-1.5, 1.7), _disturb, stage, redis, crew)
    runs = dice.choice([1, 1, 2])
    for number in range(runs):
        await feed(stage, queue, orders, killed=number + 1 < runs, calm=calm)
        await stage.sleep(world.delay(0.0, stage.settings.settle_delay))
    crew.dismiss()
    for process in crew.working:
        await stage.ended(process, BOUND)


def _disturb(stage: Stage, redis: Redis, crew: "Crew") -> None:
    world, dice = stage.world, stage.world.random
    match dice.choice(["flush", "restart", "restart", "slow", "worker", "worker", "snapshot"]):
        case "flush":
            redis.flush()
        case "restart":
            redis.go()
            memory = dice.choice(["empty", "with an old snapshot", "with its log", "with its log"])
            world.at(10 ** world.delay(-1.0, 1.5), redis.come_back, memory)
        case "slow":
            world.note("redis", "is slow")
            redis.latency = dice.choice([0.2, 1.0, 3.0])
            world.at(world.delay(1.0, 30.0), _be_quick, redis)
        case "snapshot":
            redis.save()
        case _:
            crew.kill_one()


def _be_quick(redis: Redis) -> None:
    redis.latency = 0.002


async def feed(
    stage: Stage,
    queue: "Queue",
    orders: Sequence[Order],
    *,
    killed: bool,
    calm: bool,
    check_eviction: bool = True,
) -> None:
    world = stage.world
    process = stage.process("feed")
    folder = stage.disk.folder(process)
    app = App(process, stage.network, stage.settings)
    run = Run(process=process.name, scope="journal", journal=True, began=world.now)
    run.before = states_in(stage.disk.files, stage.disk._root)
    stage.history.runs.append(run)
    max_concurrency = world.random.choice([1, 4, 100])
    if killed:
        world.at(10 ** world.delay(-1.5, 1.5), process.kill, "after a while")

    async def main() -> None:
        client = app.client(journal="journal")
        ledger = Ledger(URL, account="acme", check_eviction=check_eviction)
        async with Fleet.open(queue.feed, client, ledger, bulk=True) as opened:
            await push(
                app,
                orders,
                journal=folder.path / "run.db",
                run=run,
                max_concurrency=max_concurrency,
                creator=opened,
                client=client,
            )

    process.start(main)
    # Rows of one reference wait for each other, and for those that an earlier feeder has queued.
    repeated = len(stage.history.runs) * max(Counter(order.reference for order in orders).values())
    one_after_another = max(len(orders) / min(max_concurrency, len(orders)), repeated)
    bound = _bound(stage, one_after_another) if calm else BOUND
    await stage.ended(process, bound)
    run.ended = run.ended or world.now
    run.after = states_in(stage.disk.files, stage.disk._root)


def _bound(stage: Stage, one_after_another: float) -> float:
    """Return what a run may take where nothing but Redis and workers fail.

    An order may be left by a dead worker twice, and each of its attempts may outlast the client's
    patience and settle for twice the delay of the one before.
    """
    settings, slowest = stage.settings, stage.courier.habits.seconds[1]
    settling: float = 2 * settings.settle_delay * 2 ** (settings.attempts - 1)
    attempts = settings.attempts * min(settings.patience, slowest)
    polling = 3 * slowest + 60 if stage.courier.habits.asynchronous else 0.0
    return 90 + one_after_another * (2 * _IDLE + settling + attempts + polling)


class Queue:
    """The queue between a feeder and its workers: what is in it is delivered at least once."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._world = redis.world

    async def _ask(self) -> None:
        loop = asyncio.get_running_loop()
        waiter: Any = loop.create_future()
        self._world.at(self._redis.delay(), lambda: waiter.done() or waiter.set_result(None))
        await waiter
        if not self._redis.is_up:
            message = "Redis is gone"
            raise ConnectionRefusedError(message)

    async def feed(self, orders: list[str], terms: dict[str, Any]) -> "_Message":
        """Put a message with orders into the queue."""
        await self._ask()
        message = {"orders": orders, "terms": terms, "worker": "", "since": 0.0}
        number = self._world.number()
        self._redis.memory.queue[number] = message
        return _Message(self, number)

    async def contains(self, number: int) -> bool:
        """Tell whether a message is in the queue, waiting or in a worker's hands."""
        await self._ask()
        return number in self._redis.memory.queue

    async def is_empty(self) -> bool:
        """Tell whether all messages were acknowledged, or lost."""
        try:
            await self._ask()
        except OSError:
            return False
        return not self._redis.memory.queue

    async def take(self, worker: str) -> tuple[int, dict[str, Any]] | None:
        """Take a message without an owner, or whose worker is dead."""
        await self._ask()
        now = self._world.now
        for number, message in self._redis.memory.queue.items():
            if not message["worker"] or now - message["since"] > _IDLE:
                message["worker"], message["since"] = worker, now
                return number, message
        return None

    def touch(self, worker: str, held: Collection[int]) -> None:
        """Keep the messages that a worker is at work on from being given to another one."""
        if self._redis.is_up:
            for number, message in self._redis.memory.queue.items():
                if number in held and message["worker"] == worker:
                    message["since"] = self._world.now

    async def acknowledge(self, number: int) -> None:
        """Take a message out."""
        await self._ask()
        self._redis.memory.queue.pop(number, None)


@frozen
class _Message:
    """A message, for the feeder."""

    queue: Queue
    number: int

    async def is_queued(self) -> bool:
        """Tell whether it is in the queue still."""
        return await self.queue.contains(self.number)


class Crew:
    """The workers of a fleet."""

    def __init__(self, stage: Stage, queue: Queue, *, check_eviction: bool = True) -> None:
        self._stage = stage
        self._ledger = Ledger(URL, account="acme", check_eviction=check_eviction)
        self._queue = queue
        self._goes_home = False
        self.working: list[Process] = []

    def hire(self) -> None:
        """Start a worker."""
        stage = self._stage
        process = stage.process("worker")
        self.working.append(process)
        app = App(process, stage.network, stage.settings)
        process.start(lambda: self._work(app))

    def kill_one(self) -> None:
        """Kill a worker; another one is started some time later."""
        alive = [process for process in self.working if process.alive]
        if alive and not self._goes_home:
            world = self._stage.world
            one = world.random.choice(alive)
            self.working.remove(one)
            one.kill("after a while")
            world.at(world.delay(0.1, 20.0), self._hire_again)

    def _hire_again(self) -> None:
        if not self._goes_home:
            self.hire()

    def dismiss(self) -> None:
        """Let all of them end what they do, and go."""
        self._goes_home = True

    async def _work(self, app: App) -> None:
        me = app.process.name
        queue = self._queue
        # A Redis that fails over may give one again that this worker has acknowledged.
        held: dict[asyncio.Task[None], int] = {}
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(app.client(fleet="fleet"))
            worker = Worker(client, await stack.enter_async_context(self._ledger.open()))
            while not self._goes_home or held:
                queue.touch(me, held.values())
                try:
                    taken = None if self._goes_home else await queue.take(me)
                except OSError:
                    taken = None
                if taken is None:
                    await asyncio.sleep(_POLL)
                else:
                    task = asyncio.ensure_future(self._create(worker, *taken))
                    held[task] = taken[0]
                    task.add_done_callback(held.pop)

    async def _create(self, worker: Worker, number: int, message: dict[str, Any]) -> None:
        await worker.create_all(message["orders"], OrderTerms(**message["terms"]))
        while True:
            try:
                await self._queue.acknowledge(number)
            except OSError:
                await asyncio.sleep(1.0)
            else:
                return
