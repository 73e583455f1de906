"""Let four processes take from one rate in Redis: what gets through, and what it costs.

Their wall clocks differ by up to 10 s. Each runs `python -m benchmarks.fleet_rate`.
"""

import asyncio
import json
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from benchmarks._child import ROOT, ChildError, MissingError
from benchmarks._measure import Case, Row, cpu, interleaved
from benchmarks._rate_windows import fullest, over
from benchmarks._tables import Column
from clickpost_async import Rate

if TYPE_CHECKING:
    import redis

COLUMNS = (
    Column("calls", "calls"),
    Column("more than allowed, calls", "over"),
    Column("fullest second", "fullest_second"),
    Column("most/least in one process", "max_min", 2),
    Column("asked per call", "asked", 2),
    Column("CPU µs/call", "cpu_us"),
    Column("wait ms", "wait_ms", 2),
    Column("wait ms, p99", "wait_p99_ms", 2),
)

LIBRARIES = ("redis",)

RATE, BURST = 200, 20
SKEWS = (5.0, -5.0, 0.0, 2.5)
CROWDS = {"even": (50, 50, 50, 50), "one greedy": (985, 5, 5, 5)}


@contextmanager
def server() -> Generator["Server"]:
    """Run a redis-server of our own."""
    with tempfile.TemporaryDirectory() as directory:
        one = Server(directory)
        one.start()
        try:
            yield one
        finally:
            one.kill()


class Server:
    """A redis-server that forgets everything when it is killed."""

    def __init__(self, directory: str) -> None:
        found = shutil.which("redis-server")
        if found is None:
            raise MissingError("redis-server is missing; on Debian: apt install redis-server")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self._command = [found, "--port", str(self.port), "--save", "", "--dir", directory]

    def start(self) -> None:
        """Start it, and return when it responds."""
        import redis

        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        for _ in range(500):
            try:
                self.client().ping()
            except redis.ConnectionError:
                time.sleep(0.01)
            else:
                return
        self.kill()
        raise ChildError("redis-server did not respond within 5 s")

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._process.kill()
        self._process.wait()

    def client(self) -> "redis.Redis":
        """Return a client that blocks."""
        import redis

        return redis.Redis(port=self.port, decode_responses=True)


async def work(task: dict[str, Any]) -> None:
    """Take as fast as it is let, in one process of the fleet."""
    from clickpost_async.limits.redis import RedisBucket

    wall, skew = time.time, task["skew"]
    time.time = lambda: wall() + skew
    left: list[float] = []
    waits: list[float] = []
    rate = Rate(task["calls"], burst=task["burst"])
    url = f"redis://127.0.0.1:{task['port']}"
    async with RedisBucket(url, rate, account="fleet", process_count=4) as bucket:
        await bucket.acquire()
        print("ready", flush=True)
        sys.stdin.readline()
        until = time.monotonic() + task["seconds"]

        async def come() -> None:
            while time.monotonic() < until:
                await bucket.acquire()
                left.append(time.monotonic())

        before = cpu()
        crowd = [asyncio.ensure_future(come()) for _ in range(task["crowd"])]
        await asyncio.wait(crowd, timeout=task["seconds"] + 0.2)
        spent = cpu() - before
        for one in crowd:
            one.cancel()
        await asyncio.wait(crowd)
        # Alone, with nothing to wait for: what asking adds.
        await asyncio.sleep(task["pause"])
        for _ in range(task["alone"]):
            await asyncio.sleep(0.02)
            began = time.perf_counter()
            await bucket.acquire()
            waits.append(time.perf_counter() - began)
    print(json.dumps({"left": left, "cpu": spent, "waits": waits}), flush=True)


def measure(*, quick: bool) -> Sequence[Row]:
    """Let fleets of several kinds take, and one process that is alone."""
    seconds = 1.0 if quick else 6.0
    cases = [
        Case(
            labels={"fleet": f"{name}{', flushed and restarted' if faults else ''}"},
            arguments={"crowds": CROWDS[name], "seconds": seconds, "faults": faults},
            rounds=1 if quick else 3,
        )
        for name, faults in (("even", False), ("one greedy", False), ("even", True))
    ]
    alone = Case(labels={"fleet": "one process, and no need to wait"}, arguments={}, rounds=1)
    return [
        *interleaved(cases, lambda case: run(**case.arguments)),
        *interleaved([alone], lambda _: delay(20 if quick else 500)),
    ]


def run(crowds: Sequence[int], seconds: float, *, faults: bool) -> Mapping[str, float]:
    """Run a fleet once, with or without faults on its way."""
    with server() as at, ExitStack() as ending:
        task = {"port": at.port, "calls": RATE, "burst": BURST}
        task |= {"seconds": seconds, "pause": 2, "alone": 0}
        workers = [
            ending.enter_context(_worker({**task, "skew": skew, "crowd": crowd}))
            for skew, crowd in zip(SKEWS, crowds, strict=True)
        ]
        asked = _asked(at)
        for worker in workers:
            _send(worker, "go")
        if faults:
            time.sleep(seconds / 3)
            at.client().script_flush()
            time.sleep(seconds / 6)
            at.kill()
            at.start()
        found = [_result(worker, seconds) for worker in workers]
        asked = 0 if faults else _asked(at) - asked
    times = sorted(moment for one in found for moment in one["left"])
    counts = [len(one["left"]) for one in found]
    return {
        "calls": len(times),
        "over": over(times, RATE, BURST),
        "fullest_second": fullest(times, 1.0),
        "max_min": max(counts) / min(counts),
        "cpu_us": sum(one["cpu"] for one in found) / len(times) * 1e6,
        # A restarted server has forgotten the requests before.
        **({} if faults else {"asked": asked / len(times)}),
    }


def delay(times: int) -> Mapping[str, float]:
    """Return what a call waits in a fleet that has nothing else to do."""
    task = {"calls": 1000, "burst": 1000, "seconds": 0, "crowd": 1}
    task |= {"pause": 1, "alone": times, "skew": 0}
    with server() as at, _worker({**task, "port": at.port}) as worker:
        _send(worker, "go")
        waits = sorted(_result(worker, times * 0.03)["waits"])
    return {
        "wait_ms": statistics.median(waits) * 1e3,
        "wait_p99_ms": waits[int(len(waits) * 0.99)] * 1e3,
    }


@contextmanager
def _worker(task: Mapping[str, Any]) -> Generator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "benchmarks.fleet_rate"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as worker:
        try:
            _send(worker, json.dumps(task))
            assert worker.stdout is not None
            if worker.stdout.readline() != "ready\n":
                raise ChildError("a process of the fleet did not start")
            yield worker
        finally:
            worker.kill()


def _send(worker: "subprocess.Popen[str]", line: str) -> None:
    assert worker.stdin is not None
    worker.stdin.write(line + "\n")
    worker.stdin.flush()


def _result(worker: "subprocess.Popen[str]", seconds: float) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(worker.communicate(timeout=seconds + 30)[0])
    return found


def _asked(at: Server) -> int:
    stats = at.client().info("commandstats")
    return sum(
        int(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"]) for name in ("eval", "evalsha")
    )


if __name__ == "__main__":
    asyncio.run(work(json.loads(sys.stdin.readline())))
