"""Workers end at the first signal, idle or busy: real processes and signals, both event loops."""

import asyncio
import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fleet.fleet_run import Timing, environ, push, reached, write_orders
from tests.helpers.redis_server import RedisServer

PROCESSES = 2
# Requests that a worker has in flight.
IN_FLIGHT = 4
ORDERS = 10
# taskiq takes uvloop wherever it is installed.
COMMAND = """
import sys
if sys.argv.pop(1) == "asyncio":
    sys.modules["uvloop"] = None
from clickpost_async.cli.main import main
main()
"""
LOOPS = ["asyncio", "uvloop"]


@contextmanager
def worker(
    redis: RedisServer, loop: str, url: str = "http://127.0.0.1:9/api", processes: int = PROCESSES
) -> "Iterator[subprocess.Popen[bytes]]":
    if loop == "uvloop" and importlib.util.find_spec("uvloop") is None:
        pytest.fail("uvloop is missing: it is one of the tests' extras", pytrace=False)
    words = ["worker", redis.url, "--rate", "10/1s", "--processes", str(processes)]
    words += ["--max-concurrency", str(IN_FLIGHT)]
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, loop, *words],
        env=environ(url),
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


async def listening(redis: RedisServer, processes: int = PROCESSES) -> None:
    """Return when every process of the worker waits for orders."""
    with redis.client() as client:
        for _ in range(6000):
            waiting = [one for one in client.client_list() if one["cmd"] == "xreadgroup"]
            if len(waiting) == processes:
                return
            await asyncio.sleep(0.01)
    pytest.fail("the workers do not listen within a minute")


async def ended(process: "subprocess.Popen[bytes]") -> int:
    """Return its exit code; without a second signal it has a minute."""
    return await asyncio.to_thread(process.wait, 60)


def terminate(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()


def interrupt(process: "subprocess.Popen[bytes]") -> None:
    # A terminal sends it to all processes of the group.
    os.killpg(process.pid, signal.SIGINT)


@pytest.mark.parametrize("end", [terminate, interrupt], ids=["SIGTERM", "Ctrl-C"])
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.asyncio
async def test_idle_worker_ends_at_the_first_signal(
    loop: str, end: "Callable[[subprocess.Popen[bytes]], None]"
) -> None:
    with RedisServer() as redis, worker(redis, loop) as process:
        await listening(redis)
        end(process)
        assert await ended(process) == 0


@pytest.mark.parametrize("away", ["killed", "frozen"])
@pytest.mark.asyncio
async def test_idle_worker_ends_while_its_redis_is_away(away: str) -> None:
    with RedisServer() as redis, worker(redis, "asyncio") as process:
        await listening(redis)
        redis.kill() if away == "killed" else redis.freeze()
        terminate(process)
        assert await ended(process) == 0


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.asyncio
async def test_busy_worker_ends_at_the_first_signal_and_no_order_is_lost_or_bought_twice(
    loop: str, tmp_path: Path
) -> None:
    file, journal = write_orders(tmp_path, ORDERS), tmp_path / "run.db"
    # The label is bought at once, and the response never comes.
    sandbox = Timing(racy=True, courier_seconds=1e6)
    async with sandbox:
        with RedisServer() as redis:
            with worker(redis, loop, sandbox.base_url, processes=1) as process:
                await listening(redis, 1)
                pushing = await push(file, journal, sandbox.base_url, redis.url, settling=1e6)
                await reached(sandbox, IN_FLIGHT)
                terminate(process)
                assert await ended(process) == 0
            pushing.kill()
            await pushing.wait()
            with redis.client(encoding="latin-1") as client:
                queued = [int(m["orders"]) for _, m in client.xrange(client.keys("*:orders")[0])]

    assert len(sandbox.ledger()) == IN_FLIGHT
    assert all(len(waybills) == 1 for waybills in sandbox.ledger().values())
    assert queued == [ORDERS - IN_FLIGHT]
