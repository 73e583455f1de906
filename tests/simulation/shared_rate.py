"""Processes that share a rate in a Redis that is slow, unreachable or emptied."""

import asyncio

from clickpost_async import Rate
from clickpost_async.limits.redis import RedisBucket
from tests.simulation.process import Process
from tests.simulation.redis import URL, Redis
from tests.simulation.scenarios import Stage

# How long all of it lasts, and what a process may take to close after that.
_SECONDS = 40.0
_BOUND = _SECONDS + 60.0


async def shared_rate(stage: Stage) -> None:
    """Let processes come and go, each with more calls than its share of the rate."""
    world, dice = stage.world, stage.world.random
    redis = Redis(world)
    rate = Rate(dice.choice([5, 20]), burst=dice.choice([1, 5]))
    stage.history.rates["shared"] = (rate.per_second, float(rate.burst or 1))
    number = dice.randint(2, 5)
    stage.history.excess["shared"] = 3.0
    crowd = _Crowd(stage, rate)
    for _ in range(number):
        world.at(dice.choice([0.0, world.delay(0.0, 15.0)]), crowd.join)
    for _ in range(dice.randint(0, 3)):
        world.at(world.delay(8.0, 30.0), _disturb, stage, redis, crowd)
    await stage.sleep(_SECONDS)
    for process in crowd.processes:
        await stage.ended(process, _BOUND)


def _disturb(stage: Stage, redis: Redis, crowd: "_Crowd") -> None:
    world, dice = stage.world, stage.world.random
    match dice.choice(["slow", "slow", "restart", "failover", "flush", "killed"]):
        case "slow":
            redis.latency = dice.choice([0.03, 0.05, 0.07, 0.2, 2.0])
            world.note("redis", f"responds within {2 * redis.latency:g} s")
            world.at(world.delay(1.0, 20.0), setattr, redis, "latency", 0.002)
        case "restart":
            redis.go()
            world.at(10 ** world.delay(-1.0, 1.0), redis.come_back, dice.choice(_MEMORIES))
        case "failover":
            redis.fail_over(10 ** world.delay(-1.5, 0.5))
        case "flush":
            redis.flush()
        case _:
            crowd.kill_one()


_MEMORIES = ("empty", "with its log")


class _Crowd:
    """Processes with a limiter each."""

    def __init__(self, stage: Stage, rate: Rate) -> None:
        self._stage = stage
        self._rate = rate
        self.processes: list[Process] = []

    def join(self) -> None:
        """Start a process."""
        process = self._stage.process("caller")
        self.processes.append(process)
        process.start(lambda: self._call(process))

    def kill_one(self) -> None:
        """Kill a process; another one is started some time later."""
        alive = [process for process in self.processes if process.alive]
        if alive:
            process = self._stage.world.random.choice(alive)
            process.kill("after a while")
            self._stage.world.at(self._stage.world.delay(0.1, 5.0), self.join)

    async def _call(self, process: Process) -> None:
        world, history = self._stage.world, self._stage.history
        departures = history.departures.setdefault("shared", [])
        async with RedisBucket(URL, self._rate, account="acme") as limiter:

            async def call_on() -> None:
                while world.now < _SECONDS:
                    await limiter.acquire()
                    departures.append(world.now)
                    if world.chance(0.02):
                        await asyncio.sleep(world.delay(0.0, 10.0))

            callers = [asyncio.ensure_future(call_on()) for _ in range(world.random.randint(1, 4))]
            await asyncio.wait(callers, timeout=_SECONDS + 5 - world.now)
            for caller in callers:
                caller.cancel()
            await asyncio.gather(*callers, return_exceptions=True)
