"""A fleet on a Redis that evicts, fails over to a lagging replica, or responds late."""

import asyncio
from collections.abc import Sequence

import attrs

from clickpost_async.bulk.recovery import PreparedPayload
from clickpost_async.fleet import OrderTerms
from tests.simulation.fleet import Crew, Queue, feed
from tests.simulation.network import CALM
from tests.simulation.orders import Order
from tests.simulation.redis import Redis
from tests.simulation.scenarios import BOUND, Stage

_POLICIES = ("volatile-lru", "allkeys-lru", "volatile-ttl")
# Evictions and failovers come within so many seconds; its operator corrects its policy then.
_TROUBLE = 60.0


async def failing_redis(stage: Stage) -> None:
    """Push orders through workers while Redis fails over, responds late, and forgets."""
    world, dice = stage.world, stage.world.random
    redis = Redis(world)
    queue = Queue(redis)
    orders = stage.orders(dice.randint(2, 6), twice=0.2, other_contents=0.3)
    if world.chance(0.5):
        stage.network.weather = CALM
    crew = Crew(stage, queue)
    for _ in range(dice.randint(2, 3)):
        crew.hire()
    for _ in range(dice.randint(1, 4)):
        world.at(10 ** world.delay(-1.5, 1.7), _disturb, stage, redis, crew)
    await feed(stage, queue, orders, killed=False, calm=False)
    await _send_home(stage, crew)


def _disturb(stage: Stage, redis: Redis, crew: Crew) -> None:
    world, dice = stage.world, stage.world.random
    match dice.choice(["failover", "failover", "flush", "slow", "worker"]):
        case "failover":
            redis.fail_over(10 ** world.delay(-1.5, 0.5))
        case "flush":
            redis.flush()
        case "slow":
            world.note("redis", "responds late")
            redis.latency = dice.choice([0.1, 1.0, 6.0, 20.0])
            world.at(world.delay(1.0, 40.0), setattr, redis, "latency", 0.002)
        case _:
            crew.kill_one()


async def evicting_redis(stage: Stage) -> None:
    """Run a fleet on a Redis that evicts: refused, or with the check switched off.

    With the check switched off orders come through a `Fleet` only, which registers them; that is
    what makes a record that is gone visible. Without a `Fleet` the same order may be queued twice.
    """
    world, dice = stage.world, stage.world.random
    redis = Redis(world)
    redis.policy = dice.choice(_POLICIES)
    queue = Queue(redis)
    check_eviction = world.chance(0.5)
    crew = Crew(stage, queue, check_eviction=check_eviction)
    for _ in range(dice.randint(2, 3)):
        crew.hire()
    for _ in range(dice.randint(2, 5)):
        world.at(10 ** world.delay(-0.5, 1.6), redis.evict, dice.choice([0.3, 0.6, 1.0]))
    world.at(_TROUBLE, _set_policy, redis)
    orders = stage.orders(dice.randint(2, 4), twice=0.2, other_contents=0.3)
    if check_eviction:
        await _queue_without_fleet(stage, queue, orders)
    else:
        world.at(10 ** world.delay(0.0, 1.5), crew.kill_one)
        await feed(stage, queue, orders, killed=False, calm=False, check_eviction=False)
    await _send_home(stage, crew)


def _set_policy(redis: Redis) -> None:
    redis.world.note("redis", "maxmemory-policy noeviction")
    redis.policy = "noeviction"


async def _queue_without_fleet(stage: Stage, queue: Queue, orders: Sequence[Order]) -> None:
    """Queue every order two or three times, as applications do that repeat what may be lost."""
    world, dice = stage.world, stage.world.random
    process = stage.process("shop")
    terms = attrs.asdict(OrderTerms(tickets=[0]))

    async def queue_one(order: Order) -> None:
        for _ in range(dice.choice([2, 3])):
            await queue.feed([PreparedPayload(order.payload()).payload.decode()], terms)
            await asyncio.sleep(world.delay(0.0, stage.settings.settle_delay))

    async def main() -> None:
        await asyncio.gather(*(queue_one(order) for order in orders))
        while not await queue.is_empty():  # noqa: ASYNC110 - Redis has no event for it
            await asyncio.sleep(5.0)

    process.start(main)
    await stage.ended(process, BOUND)


async def _send_home(stage: Stage, crew: Crew) -> None:
    crew.dismiss()
    for process in crew.working:
        await stage.ended(process, BOUND)
