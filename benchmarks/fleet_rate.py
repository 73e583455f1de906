"""Let four processes take from one rate in Redis: what gets through, and what it costs."""

import argparse
import asyncio
import json
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis

from clickpost_async import Rate
from clickpost_async.limits.redis import RedisBucket

SKEWS = (5.0, -5.0, 0.0, 2.5)
CROWDS = {"even": (50, 50, 50, 50), "one greedy": (985, 5, 5, 5)}


@contextmanager
def server() -> Iterator["Server"]:
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
            sys.exit("redis-server is missing; on Debian: apt install redis-server")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self._command = [found, "--port", str(self.port), "--save", "", "--dir", directory]

    def start(self) -> None:
        """Start it, and return when it answers."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        for _ in range(500):
            try:
                self.client().ping()
            except redis.ConnectionError:
                time.sleep(0.01)
            else:
                return
        sys.exit("redis-server did not answer within 5 s")

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._process.kill()
        self._process.wait()

    def client(self) -> "redis.Redis":
        """Return a client that blocks."""
        return redis.Redis(port=self.port, decode_responses=True)


async def work(told: dict[str, Any]) -> None:
    """Take as fast as it is let, in one process of the fleet."""
    wall, skew = time.time, told["skew"]
    time.time = lambda: wall() + skew
    left: list[float] = []
    waits: list[float] = []
    rate = Rate(told["calls"], burst=told["burst"])
    url = f"redis://127.0.0.1:{told['port']}"
    async with RedisBucket(url, rate, account="fleet", share=4) as bucket:
        await bucket.take()
        print("ready", flush=True)
        sys.stdin.readline()
        until = time.monotonic() + told["seconds"]

        async def come() -> None:
            while time.monotonic() < until:
                await bucket.take()
                left.append(time.monotonic())

        before = _cpu()
        crowd = [asyncio.ensure_future(come()) for _ in range(told["crowd"])]
        await asyncio.wait(crowd, timeout=told["seconds"] + 0.2)
        spent = _cpu() - before
        for one in crowd:
            one.cancel()
        await asyncio.wait(crowd)
        # Alone, with nothing to wait for: what asking adds.
        await asyncio.sleep(told["pause"])
        for _ in range(told["alone"]):
            await asyncio.sleep(0.02)
            began = time.perf_counter()
            await bucket.take()
            waits.append(time.perf_counter() - began)
    print(json.dumps({"left": left, "cpu": spent, "waits": waits}), flush=True)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def run(crowds: tuple[int, ...], chosen: argparse.Namespace, *, faults: bool) -> dict[str, float]:
    """Run a fleet once, with or without faults on its way."""
    with server() as at:
        told = {"port": at.port, "calls": chosen.rate, "burst": chosen.burst}
        told |= {"seconds": chosen.seconds, "pause": 2, "alone": 0}
        workers = [
            _started({**told, "skew": s, "crowd": n}) for s, n in zip(SKEWS, crowds, strict=True)
        ]
        asked = _asked(at)
        for worker in workers:
            _say(worker, "go")
        if faults:
            time.sleep(chosen.seconds / 3)
            at.client().script_flush()
            time.sleep(chosen.seconds / 6)
            at.kill()
            at.start()
        found = [json.loads(worker.communicate()[0]) for worker in workers]
        asked = 0 if faults else _asked(at) - asked
    times = sorted(at for one in found for at in one["left"])
    counts = [len(one["left"]) for one in found]
    return {
        "calls": len(times),
        "over": over(times, chosen.rate, chosen.burst),
        "worst second": max(_within(times, 1.0)),
        "max/min": max(counts) / min(counts),
        "asked per call": asked / len(times),
        "cpu us per call": sum(one["cpu"] for one in found) / len(times) * 1e6,
    }


def delay(chosen: argparse.Namespace) -> list[float]:
    """Return what a call waits in a fleet that has nothing else to do."""
    with server() as at:
        told = {"port": at.port, "calls": 1000, "burst": 1000, "seconds": 0, "crowd": 0}
        told |= {"pause": 1, "alone": chosen.alone, "skew": 0}
        worker = _started({**told, "crowd": 1})
        return list(json.loads(worker.communicate("go\n")[0])["waits"])


def _started(told: dict[str, Any]) -> "subprocess.Popen[str]":
    command = [sys.executable, __file__, "--worker"]
    pipe = subprocess.PIPE
    worker = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
    _say(worker, json.dumps(told))
    assert worker.stdout is not None
    assert worker.stdout.readline() == "ready\n"
    return worker


def _say(worker: "subprocess.Popen[str]", line: str) -> None:
    assert worker.stdin is not None
    worker.stdin.write(line + "\n")
    worker.stdin.flush()


def _asked(at: Server) -> int:
    stats = at.client().info("commandstats")
    return sum(
        int(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"]) for name in ("eval", "evalsha")
    )


def over(times: list[float], rate: float, burst: float) -> float:
    """Return by how many calls the worst of all windows exceeds `burst + rate * window`."""
    worst, begun = 0.0, -float("inf")
    for place, at in enumerate(times):
        begun = max(begun, rate * at - place)
        worst = max(worst, place + 1 - burst - rate * at + begun)
    return worst


def _within(times: list[float], window: float) -> Iterator[int]:
    first = 0
    for last, at in enumerate(times):
        while times[first] < at - window:
            first += 1
        yield last - first + 1


def main() -> None:
    """Run the rounds and print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments.add_argument("--rate", type=float, default=200)
    arguments.add_argument("--burst", type=int, default=20)
    arguments.add_argument("--seconds", type=float, default=6)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--alone", type=int, default=500)
    chosen = arguments.parse_args()
    if chosen.worker:
        asyncio.run(work(json.loads(sys.stdin.readline())))
        return
    print(f"{chosen.rate:g} calls/s, burst {chosen.burst}, {chosen.seconds:g} s, 4 processes")
    kinds = [(name, False) for name in CROWDS] + [("even", True)]
    header = True
    for name, faults in kinds:
        found = [run(CROWDS[name], chosen, faults=faults) for _ in range(chosen.rounds)]
        if header:
            print("| fleet |", " | ".join(found[0]), "|")
            print("| --- |", " | ".join("---:" for _ in found[0]), "|")
            header = False
        cells = " | ".join(spread([one[what] for one in found]) for what in found[0])
        print(f"| {name}{', flushed and restarted' if faults else ''} | {cells} |")
    waits = sorted(delay(chosen))
    middle, high = statistics.median(waits) * 1e3, waits[int(len(waits) * 0.99)] * 1e3
    print(f"a call that need not wait: median {middle:.2f} ms, p99 {high:.2f} ms")


def spread(values: list[float]) -> str:
    """Write a median with its lowest and highest."""
    middle = statistics.median(values)
    return f"{middle:,.2f} ({min(values):,.2f}–{max(values):,.2f})"


if __name__ == "__main__":
    main()
