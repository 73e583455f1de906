# ruff: noqa: T201 - it prints what it has measured
"""Play the peak of a day of ten million orders: 500 workers, and a Redis that fails over.

python -m tests.simulation.scale

Feeders, workers, ledger and limiter are the package's own, and their Lua scripts run in a real
redis-server with a real replica. Time is virtual, and the courier, the queue and the network are
simulated; all workers are in one process, so what a process remembers is switched off.
"""

import argparse
import asyncio
import itertools
import json
import random
import resource
import sys
import time
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from typing import Any, Self
from unittest import mock

import httpx
import redis
from attrs import define, field, frozen

from clickpost_async import ClickPost, ClickPostError, Rate, Timeouts
from clickpost_async.fleet import Fleet, Ledger, OrderTerms, Worker
from clickpost_async.fleet import ledger as ledger_module
from clickpost_async.fleet.ledger import OpenLedger
from clickpost_async.testing import run_virtual
from tests.helpers.redis_server import RedisServer
from tests.limits import virtual_redis
from tests.limits.virtual_redis import PlayedBucket, PlayedRedis
from tests.simulation.disk import Disk
from tests.simulation.orders import Order, contents_of, reference_of
from tests.simulation.protections import PROTECTIONS

ORDERS_A_DAY = 10_000_000
AVERAGE = ORDERS_A_DAY / 86_400
PEAK = 10 * AVERAGE
WORKERS, FEEDERS, AT_ONCE = 500, 6, 4
RATE = Rate(1300, burst=100)
# Of the play, in seconds: the peak, the replica's last write, the failure, the promotion.
PEAK_BEGINS, PEAK_ENDS = 5.0, 30.0
DETACHED, FAILED, PROMOTED = 15.0, 16.0, 24.0
ENDS = 45.0
_LATENCY = 0.001
_COURIER = (0.2, 1.2)
# Keys that expire do so in real time, which passes more slowly or faster.
_LONGER = 1000
_CLOCK = "redis.call('TIME')"


def _now() -> float:
    return asyncio.get_running_loop().time()


# --- Redis ----------------------------------------------------------------------------------------


class Site:
    """Where Redis is: a real server, until it fails, and then what was its replica."""

    def __init__(self, server: RedisServer, replica: RedisServer) -> None:
        self.client = server.client(protocol=2)
        self.replica = replica.client(protocol=2)
        self.replica.replicaof("127.0.0.1", server.port)
        self.is_up = True
        self.limiter = PlayedRedis(self.client)
        while self.replica.info("replication")["master_link_status"] != "up":
            time.sleep(0.05)

    def detach(self) -> None:
        """Let the replica receive no more writes."""
        self.client.wait(1, 5000)
        self.replica.replicaof("NO", "ONE")

    def fail(self) -> None:
        """Be gone."""
        self.is_up = False
        self.limiter.failure = redis.ConnectionError("gone")

    def promote(self) -> None:
        """Be back, as the replica was when it received its last write."""
        self.client, self.is_up = self.replica, True
        self.limiter.client, self.limiter.failure = self.replica, None

    async def reach(self) -> None:
        """Let the time pass that a command takes, and fail while Redis is gone."""
        await asyncio.sleep(_LATENCY)
        if not self.is_up:
            message = "gone"
            raise redis.ConnectionError(message)


class Client:
    """What redis-py's asyncio client is to the ledger, on the play's clock."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def __getattr__(self, name: str) -> Any:
        async def call(*words: Any, **options: Any) -> Any:
            await self._site.reach()
            return getattr(self._site.client, name)(*words, **options)

        return call

    async def evalsha(self, sha: str, keys: int, *words: str) -> Any:
        """Run a script, with the time as its last argument."""
        await self._site.reach()
        return self._site.client.evalsha(sha, keys, *words, repr(_now()))

    async def time(self) -> tuple[int, int]:
        """Return the play's time."""
        await self._site.reach()
        return int(_now()), 0

    async def xread(self, streams: dict[Any, Any], *, count: int, block: int | None) -> Any:
        """Look again and again, instead of blocking."""
        until = _now() + (block or 0) / 1000
        while True:
            await self._site.reach()
            read = self._site.client.xread(streams, count=count)
            if read or _now() >= until:
                return read
            await asyncio.sleep(0.05)

    def pipeline(self, **options: Any) -> "Pipeline":
        """Collect commands."""
        return Pipeline(self._site, options)


class Pipeline:
    """Commands that are sent together."""

    def __init__(self, site: Site, options: dict[str, Any]) -> None:
        self._site = site
        self._options = options
        self._commands: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        self._commands.clear()

    def __getattr__(self, name: str) -> Any:
        def queue(*words: Any, **options: Any) -> None:
            if name == "expire":
                words = (words[0], words[1] * _LONGER)
            self._commands.append((name, words, options))

        return queue

    async def execute(self) -> list[Any]:
        """Send them."""
        await self._site.reach()
        with self._site.client.pipeline(**self._options) as pipe:
            for name, words, options in self._commands:
                getattr(pipe, name)(*words, **options)
            return pipe.execute()


@frozen
class PlayedLedger(Ledger):
    """A ledger at the play's Redis."""

    site: Site = field(kw_only=True)

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[OpenLedger]:
        """Open it as `Ledger.open` does, without connections."""
        client: Any = Client(self.site)
        opened = OpenLedger(client, self)
        beating = asyncio.create_task(opened.send_heartbeats())
        try:
            yield opened
        finally:
            beating.cancel()
            await asyncio.wait([beating])
            await opened.leave()


@asynccontextmanager
async def _scripts_on_the_clock() -> AsyncGenerator[None]:
    """Let the scripts take the play's time, and what a process remembers be nothing."""
    script = ledger_module._SCRIPT
    assert script.count(_CLOCK) == 1
    script = script.replace(_CLOCK, "{ ARGV[#ARGV], 0 }")
    script = script.replace("'EXPIRE', workers .. me, alive", "'EXPIRE', workers .. me, 1e6")
    heartbeat = virtual_redis._HEARTBEAT.replace("KEYS[2], 15)\n", f"KEYS[2], {15 * _LONGER})\n", 1)
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(ledger_module, "_SCRIPT", script))
        stack.enter_context(mock.patch.object(virtual_redis, "_HEARTBEAT", heartbeat))
        unused: Any = None
        disk: Disk = unused
        for name in ("single flight", "doubt of the process"):
            PROTECTIONS[name].off(stack, disk)
        yield


# --- the rest of the world ------------------------------------------------------------------------


@define
class Courier:
    """ClickPost with a courier: it registers an order when it has booked it."""

    dice: random.Random = field(factory=lambda: random.Random(1))
    labels: dict[str, list[str]] = field(factory=lambda: defaultdict(list))
    departures: list[float] = field(factory=list)
    look_ups: int = 0

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        """Create or look up an order."""
        self.departures.append(_now())
        if request.method == "GET":
            self.look_ups += 1
            reference = request.url.params["reference_number"]
            await asyncio.sleep(0.02)
            known = self.labels.get(reference)
            return _response(200 if known else 321, reference, known[0] if known else None)
        reference, contents = reference_of(request.content), contents_of(request.content)
        if known := self.labels.get(reference):
            await asyncio.sleep(0.02)
            return _response(323, reference, known[0])
        await asyncio.sleep(self.dice.uniform(*_COURIER))
        self.labels[reference].append(f"W-{contents}")
        return _response(200, reference, f"W-{contents}")


def _response(status: int, reference: str, waybill: str | None) -> httpx.Response:
    meta = {"status": status, "message": "", "success": status == 200}
    result = {"waybill": waybill, "reference_number": reference, "courier_partner_id": 4}
    body = {"meta": meta, "result": result if waybill else None, "order_id": 1}
    return httpx.Response(200, content=json.dumps(body))


@define
class Queue:
    """Messages at least once; what it has lives and dies with Redis."""

    site: Site
    messages: dict[int, dict[str, Any]] = field(factory=dict)
    held: set[int] = field(factory=set)
    ready: "asyncio.Queue[int]" = field(factory=asyncio.Queue)
    _numbers: Any = field(factory=itertools.count)
    _snapshot: dict[int, dict[str, Any]] = field(factory=dict)

    async def feed(self, orders: list[str], terms: dict[str, Any]) -> "_Message":
        """Put a message with orders into the queue."""
        await self.site.reach()
        number = next(self._numbers)
        self.messages[number] = {"orders": orders, "terms": terms}
        self.ready.put_nowait(number)
        return _Message(self, number)

    def detach(self) -> None:
        """Note what the replica has."""
        self._snapshot = dict(self.messages)

    def promote(self) -> None:
        """Have what the replica had; messages that were acknowledged since come again."""
        self.messages = self._snapshot
        self.ready = asyncio.Queue()
        for number in self.messages:
            if number not in self.held:
                self.ready.put_nowait(number)

    async def take(self) -> int:
        """Return the next message without an owner."""
        while True:
            try:
                async with asyncio.timeout(1.0):
                    number = await self.ready.get()
            except TimeoutError:
                # It may be another queue by now.
                continue
            if number in self.messages and number not in self.held and self.site.is_up:
                self.held.add(number)
                return number


@frozen
class _Message:
    queue: Queue
    number: int

    async def is_queued(self) -> bool:
        await self.queue.site.reach()
        return self.number in self.queue.messages


async def _work(worker: Worker, queue: Queue) -> None:
    while True:
        number = await queue.take()
        message = queue.messages[number]
        await worker.create_all(message["orders"], OrderTerms(**message["terms"]))
        queue.messages.pop(number, None)
        queue.held.discard(number)


# --- the play -------------------------------------------------------------------------------------


@define
class Peak:
    """The play, and what is measured."""

    site: Site
    courier: Courier = field(factory=Courier)
    outcomes: Counter[str] = field(factory=Counter)
    delays: list[float] = field(factory=list)
    created: int = 0
    finished: list[float] = field(factory=list)

    async def run(self) -> None:
        """Play it."""
        queue = Queue(self.site)
        async with _scripts_on_the_clock(), AsyncExitStack() as stack:
            ledger = PlayedLedger("redis://unused", account="acme", site=self.site)
            tasks: list[asyncio.Task[None]] = []
            for _ in range(WORKERS):
                client = await stack.enter_async_context(self._client())
                opened = await stack.enter_async_context(ledger.open())
                worker = Worker(client, opened)
                tasks += [asyncio.create_task(_work(worker, queue)) for _ in range(AT_ONCE)]
            feeders = []
            for _ in range(FEEDERS):
                client = await stack.enter_async_context(self._client())
                opening = Fleet.open(queue.feed, client, ledger, bulk=True)
                feeders.append(await stack.enter_async_context(opening))
            # Every process has to be counted before it knows its share of the rate.
            await asyncio.sleep(10.0)
            began = _now()
            loop = asyncio.get_running_loop()
            for at, act in (
                (DETACHED, self.site.detach),
                (DETACHED, queue.detach),
                (FAILED, self.site.fail),
                (PROMOTED, self.site.promote),
                (PROMOTED, queue.promote),
            ):
                loop.call_at(began + at, act)
            await self._feed(feeders, began)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            self.courier.departures = [at - began for at in self.courier.departures]
            self.finished = [at - began for at in self.finished]

    def _client(self) -> ClickPost:
        return ClickPost(
            "acme",
            "not-a-real-key",
            transport=httpx.MockTransport(self.courier),
            limiter=PlayedBucket(self.site.limiter, RATE, latency=2 * _LATENCY),
            timeouts=Timeouts(create=60.0),
        )

    async def _feed(self, feeders: Sequence[Fleet], began: float) -> None:
        creating: set[asyncio.Task[None]] = set()
        while (passed := _now() - began) < ENDS:
            pace = PEAK if PEAK_BEGINS <= passed < PEAK_ENDS else AVERAGE
            task = asyncio.create_task(self._create(feeders[self.created % FEEDERS], self.created))
            self.created += 1
            creating.add(task)
            task.add_done_callback(creating.discard)
            await asyncio.sleep(1 / pace)
        if creating:
            await asyncio.wait(creating, timeout=600)
        self.outcomes["without an outcome"] = len(creating)

    async def _create(self, feeder: Fleet, number: int) -> None:
        came = _now()
        order = Order(market="india", reference=f"R{number}", contents=f"R{number}")
        try:
            created = await feeder.create(order.payload())
        except ClickPostError as error:
            self.outcomes[error.outcome.value] += 1
        else:
            own = created.waybill == f"W-R{number}"
            self.outcomes["placed" if own else "with another waybill"] += 1
        self.finished.append(_now())
        self.delays.append(_now() - came)


def _overshoot(times: Sequence[float]) -> float:
    """Return how many calls more than the rate allows left in the worst of all windows."""
    rate, burst = RATE.per_second, float(RATE.burst or 1)
    worst, begun = 0.0, float("-inf")
    for place, at in enumerate(sorted(times)):
        begun = max(begun, rate * at - place)
        worst = max(worst, place + 1 - burst - rate * at + begun)
    return worst


def _share(values: Sequence[float], share: float) -> float:
    return sorted(values)[int(share * (len(values) - 1))]


def _cpu(client: "redis.Redis") -> float:
    used: Any = client.info("cpu")
    return float(used["used_cpu_user_main_thread"]) + float(used["used_cpu_sys_main_thread"])


def _commands(client: "redis.Redis") -> int:
    stats: Any = client.info("commandstats")
    return sum(int(one["calls"]) for one in stats.values())


def main() -> int:
    """Play it, and print what was measured."""
    argparse.ArgumentParser(prog="python -m tests.simulation.scale", description=__doc__)
    with RedisServer() as server, RedisServer() as replica:
        site = Site(server, replica)
        first = site.client
        peak = Peak(site)
        run_virtual(peak.run)
        cpu = _cpu(first) + _cpu(site.client)
        calls = len(peak.courier.departures)
        after = [at for at in peak.courier.departures if at >= FAILED]
        resumed = min((at for at in after if at >= PROMOTED), default=float("nan"))
        doubles = sum(len(labels) > 1 for labels in peak.courier.labels.values())
        lost = peak.created - len(peak.courier.labels)
        usage = resource.getrusage(resource.RUSAGE_SELF)
        memory: Any = site.client.info("memory")
        print(
            f"{peak.created} orders in {ENDS:g} s, {PEAK:.0f} a second from {PEAK_BEGINS:g} s to"
            f" {PEAK_ENDS:g} s; {WORKERS} workers, {FEEDERS} feeders\n"
            f"outcomes: {dict(peak.outcomes)}\n"
            f"labels: {len(peak.courier.labels)} orders have one, {doubles} have two,"
            f" {lost} have none\n"
            f"calls: {calls}, {peak.courier.look_ups} of them look-ups; at most"
            f" {_overshoot(peak.courier.departures):.1f} more than {RATE} allows\n"
            f"while Redis was away ({FAILED:g} s to {PROMOTED:g} s):"
            f" {sum(at < PROMOTED for at in after)} calls; the first after it at {resumed:.2f} s\n"
            f"from order to outcome: median {_share(peak.delays, 0.5):.1f} s, 99 %"
            f" {_share(peak.delays, 0.99):.1f} s, longest {max(peak.delays):.1f} s; the last"
            f" outcome at {max(peak.finished):.1f} s\n"
            f"Redis: {cpu / peak.created * 1000:.3f} ms of CPU an order,"
            f" {(_commands(first) + _commands(site.client)) / peak.created:.1f} commands an order,"
            f" those within scripts included; {memory['used_memory'] / 1e6:.1f} MB at the end\n"
            f"the play: {usage.ru_utime + usage.ru_stime:.0f} s of CPU"
        )
    return 1 if doubles or lost or set(peak.outcomes) - {"placed", "without an outcome"} else 0


if __name__ == "__main__":
    sys.exit(main())
