"""Send a file of orders through a fleet, kill workers and Redis meanwhile, and count.

`python -m tests.fleet.fleet_run --orders 5000` plays it for longer than the tests do; with
`--failover` a replica of Redis is promoted instead of restarting Redis. The sandbox is racy: it
buys the label before it has recorded the reference.
"""

import argparse
import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

from attrs import define
from starlette.types import Receive, Scope, Send

from clickpost_async.sandbox import Sandbox
from tests.helpers.redis_server import RedisServer
from tests.sandbox.samples import CREDENTIALS, india_order

# A worker that claims the messages of a dead one after 6 s instead of 30.
_WORKER = """
from clickpost_async.cli.main import main
from clickpost_async.integrations._order_broker import OrderBroker

OrderBroker.__init__.__kwdefaults__["idle"] = 6.0
"""
_RUN = "main()"
# The control: a ledger that remembers nothing.
_FORGETFUL = """
from clickpost_async.fleet import ledger, worker

async def claim(self, key, digest, *, registered):
    return ledger.Granted(None)

async def sending(self, key):
    return None

send = worker.Worker._send

async def send_as_new(self, order, sent):
    order.in_doubt, order.sent_at = False, None
    return await send(self, order, None)

ledger.OpenLedger.claim, ledger.OpenLedger.sending = claim, sending
worker.Worker._send = send_as_new
"""


def reference(number: int) -> str:
    return f"FLEET-{number}"


class Timing(Sandbox):
    """A sandbox that notes when calls came, and lets a test act at one of them."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.times: list[float] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.times.append(time.monotonic())
        await super().__call__(scope, receive, send)


@define
class Verdict:
    """What a play came to."""

    code: int
    printed_text: str
    ledger: Mapping[str, tuple[str, ...]]
    journal: Mapping[str, str]
    times: list[float]
    queued: int

    @property
    def twice(self) -> int:
        """How many orders were bought more than one label."""
        return sum(len(waybills) > 1 for waybills in self.ledger.values())

    def over(self, rate: float, burst: float) -> float:
        """By how many calls the worst stretch of all exceeds what the rate allows."""
        # A call is worth one, and each second gives `rate` back: the worst stretch fills most.
        level = worst = 0.0
        for before, now in pairwise([self.times[0], *self.times]):
            level = max(0.0, level - (now - before) * rate) + 1
            worst = max(worst, level)
        return worst - burst

    @property
    def worst_second(self) -> int:
        """How many calls came in the fullest second."""
        counts, first = 0, 0
        for last, now in enumerate(self.times):
            while now - self.times[first] >= 1:
                first += 1
            counts = max(counts, last - first + 1)
        return counts


def environ(url: str) -> dict[str, str]:
    inherited = {n: os.environ[n] for n in ("PATH", "HOME", "PYTHONPATH") if n in os.environ}
    return inherited | {
        "CLICKPOST_USERNAME": CREDENTIALS["username"],
        "CLICKPOST_API_KEY": CREDENTIALS["key"],
        "CLICKPOST_BASE_URL": url,
    }


@contextmanager
def worker(
    url: str, redis: str, *, rate: str, max_concurrency: int, remember: bool = True
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a worker, in a process group of its own."""
    words = ["worker", redis, "--rate", rate, "--processes", "1"]
    words += ["--max-concurrency", str(max_concurrency)]
    script = _WORKER + ("" if remember else _FORGETFUL) + _RUN
    process = subprocess.Popen(
        [sys.executable, "-c", script, *words],
        env=environ(url),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        kill(process)
        process.wait()


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a worker and all that it has started, with no time to say good-bye."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


def write_orders(folder: Path, orders: int) -> Path:
    """Write so many orders into a file."""
    file = folder / "orders.jsonl"
    file.write_text("".join(json.dumps(india_order(reference(n))) + "\n" for n in range(orders)))
    return file


async def push(
    file: Path, journal: Path, url: str, redis: str, *, settling: float = 1.0
) -> asyncio.subprocess.Process:
    """Start to feed a fleet."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "clickpost_async", "bulk", str(file), "--quiet"),
        *("--journal", str(journal), "--fleet", "--redis", redis, "--settle-delay", str(settling)),
        env=environ(url),
        stderr=asyncio.subprocess.PIPE,
    )


async def command(url: str, *words: str) -> tuple[int, str, str]:
    """Run a command to its end; return its exit code, output and errors."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "clickpost_async", *words),
        env=environ(url),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    return process.returncode or 0, output.decode(), errors.decode()


def states(journal: Path) -> Mapping[str, str]:
    """Return what each order of a journal came to."""
    reader = sqlite3.connect(f"file:{journal}?mode=ro", uri=True)
    rows = reader.execute("SELECT reference_number, state FROM orders").fetchall()
    reader.close()
    return dict(rows)


class Address:
    """A port that leads to one Redis, and later to another, as a host name does that follows it."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._open: set[asyncio.StreamWriter] = set()
        self._is_closed = False
        self.url = ""

    @asynccontextmanager
    async def serve(self) -> AsyncIterator["Address"]:
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            self._is_closed = True
            self.move(self._target)
            # A connection that was accepted just before is aborted in its handler.
            await asyncio.sleep(0.01)

    def move(self, port: int) -> None:
        """Lead to another port; connections to the one before break."""
        self._target = port
        for writer in self._open:
            writer.transport.abort()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            there = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            self._open.discard(writer)
            writer.transport.abort()
            return
        self._open.add(there[1])
        if self._is_closed:
            self.move(self._target)
        await asyncio.gather(self._copy(reader, there[1]), self._copy(there[0], writer))
        self._open -= {writer, there[1]}

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.transport.abort()


async def play(
    folder: Path,
    *,
    orders: int,
    workers: int = 4,
    rate: float = 200,
    courier_seconds: float = 0.1,
    settling: float = 1.0,
    appendonly: str = "yes",
    remember: bool = True,
    max_concurrency: int | None = None,
    patience: float = 120,
    server: type[RedisServer] = RedisServer,
    kills: int = 1,
    failover: bool = False,
) -> Verdict:
    """Push orders; kill workers, and after two thirds of them restart Redis or promote a replica.

    The workers die one after the other until a third of the orders was sent. With workers that do
    not `remember`, it ends when an order is bought twice.
    """
    file = write_orders(folder, orders)
    journal = folder / "run.db"
    sandbox = Timing(racy=True, courier_seconds=courier_seconds)
    async with sandbox, AsyncExitStack() as stack:
        redis = stack.enter_context(server(appendonly=appendonly))
        address = await stack.enter_async_context(Address(redis.port).serve())
        replica = stack.enter_context(server(appendonly=appendonly)) if failover else None
        if replica is not None:
            with replica.client() as client:
                client.replicaof("127.0.0.1", str(redis.port))
        spelled = f"{rate:g}/1s"
        crew = [
            worker(
                sandbox.base_url,
                address.url,
                rate=spelled,
                # So that the others have enough to go on with when one is dead.
                max_concurrency=max_concurrency or min(100, orders // (4 * workers)),
                remember=remember,
            )
            for _ in range(workers)
        ]
        started = [one.__enter__() for one in crew]
        pushing: asyncio.subprocess.Process | None = None
        try:
            pushing = await push(file, journal, sandbox.base_url, address.url, settling=settling)
            for number, dying in enumerate(started[:kills], start=1):
                await reached(sandbox, number * orders // (3 * kills))
                kill(dying)
            await reached(sandbox, 2 * orders // 3)
            redis.kill()
            if replica is None:
                redis.start()
            else:
                with replica.client() as client:
                    client.replicaof("NO", "ONE")
                address.move(replica.port)
            if not remember:
                await asyncio.wait_for(bought_twice(sandbox), patience)
                pushing.kill()
            _, printed_text = await asyncio.wait_for(pushing.communicate(), patience)
            with (replica or redis).client() as client:
                queued = sum(int(client.xlen(key)) for key in client.keys("*:orders"))
        finally:
            if pushing is not None and pushing.returncode is None:
                pushing.kill()
            for one in crew:
                one.__exit__(None, None, None)
    return Verdict(
        code=pushing.returncode or 0,
        printed_text=printed_text.decode(),
        ledger=sandbox.ledger(),
        journal=states(journal),
        times=sandbox.times,
        queued=queued,
    )


async def reached(sandbox: Timing, calls: int) -> None:
    """Return when so many calls have come."""
    for _ in range(60_000):
        if len(sandbox.times) >= calls:
            return
        await asyncio.sleep(0.005)
    message = f"{len(sandbox.times)} of {calls} calls came"
    raise TimeoutError(message)


async def bought_twice(sandbox: Timing) -> None:
    """Return when an order has two labels."""
    while all(len(waybills) < 2 for waybills in sandbox.ledger().values()):  # noqa: ASYNC110 - a sandbox has no event for it
        await asyncio.sleep(0.1)


def _redis_event(given: argparse.Namespace) -> str:
    if given.failover:
        return "Redis failed over to a replica"
    return f"Redis restarted ({'empty' if given.forget else 'with its log'})"


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--orders", type=int, default=5000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--rate", type=float, default=200)
    parser.add_argument("--forget", action="store_true", help="Redis keeps nothing when it dies")
    parser.add_argument("--kills", type=int, default=1, help="workers that are killed")
    parser.add_argument("--failover", action="store_true", help="promote a replica of Redis")
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        verdict = asyncio.run(
            play(
                Path(folder),
                orders=given.orders,
                patience=3600,
                workers=given.workers,
                rate=given.rate,
                appendonly="no" if given.forget else "yes",
                kills=given.kills,
                failover=given.failover,
            )
        )
    counts = Counter(verdict.journal.values())
    print(  # noqa: T201 - what it was started for
        f"{given.orders} orders, {given.workers} workers, {given.rate:g}/s shared, {given.kills}"
        f" killed, {_redis_event(given)}:"
        f" {time.monotonic() - began:.1f} s, exit code {verdict.code},"
        f" {len(verdict.ledger)} bought, {verdict.twice} twice, {dict(counts)},"
        f" {len(verdict.times)} calls, worst second {verdict.worst_second},"
        f" over the rate by {max(0.0, verdict.over(given.rate, given.rate)):.2f},"
        f" {verdict.queued} left in the queue\n{verdict.printed_text}"
    )
    return 1 if verdict.twice or len(verdict.ledger) < given.orders else 0


if __name__ == "__main__":
    sys.exit(main())
