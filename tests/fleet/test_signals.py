"""An idle worker ends when it is told to: real processes, real signals, both event loops."""

import asyncio
import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.fleet.fleet_run import environ
from tests.helpers.redis_server import RedisServer

PROCESSES = 2
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
def idle_worker(redis: RedisServer, loop: str) -> "Iterator[subprocess.Popen[bytes]]":
    if loop == "uvloop" and importlib.util.find_spec("uvloop") is None:
        pytest.fail("uvloop is missing: it is one of the tests' extras", pytrace=False)
    words = ["worker", redis.url, "--rate", "10/1s", "--processes", str(PROCESSES)]
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, loop, *words],
        env=environ("http://127.0.0.1:9/api"),
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


async def listening(redis: RedisServer) -> None:
    """Return when every process of the worker waits for orders."""
    with redis.client() as client:
        for _ in range(6000):
            waiting = [one for one in client.client_list() if one["cmd"] == "xreadgroup"]
            if len(waiting) == PROCESSES:
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


@pytest.mark.parametrize("tell", [terminate, interrupt], ids=["SIGTERM", "Ctrl-C"])
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.asyncio
async def test_idle_worker_ends_at_the_first_signal(
    loop: str, tell: "Callable[[subprocess.Popen[bytes]], None]"
) -> None:
    with RedisServer() as redis, idle_worker(redis, loop) as process:
        await listening(redis)
        tell(process)
        assert await ended(process) == 0


@pytest.mark.parametrize("away", ["killed", "frozen"])
@pytest.mark.asyncio
async def test_idle_worker_ends_while_its_redis_is_away(away: str) -> None:
    with RedisServer() as redis, idle_worker(redis, "asyncio") as process:
        await listening(redis)
        redis.kill() if away == "killed" else redis.freeze()
        terminate(process)
        assert await ended(process) == 0
