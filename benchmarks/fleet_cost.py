"""Measure what an order costs in a fleet: CPU of feeder, worker and Redis, commands, and memory.

`python -m benchmarks.fleet_cost --orders 3000` plays one feeder and one worker against the sandbox.
A feeder of a single order, before it, shows what the start of the command costs.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks._orders import mapping

if TYPE_CHECKING:
    import redis

_TICKS = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def running(command: Sequence[str], env: Mapping[str, str]) -> "Iterator[subprocess.Popen[bytes]]":
    """Run a command in a process group of its own, and end all of it."""
    process = subprocess.Popen(
        command,
        env=dict(env),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def cpu_of_group(group: int) -> float:
    """Return the seconds of CPU that the processes of a group have used."""
    seconds = 0.0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group:
            seconds += sum(map(int, fields[11:15])) / _TICKS
    return seconds


def until_open(port: int) -> None:
    """Return when a port takes connections."""
    for _ in range(3000):
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    message = f"nothing listens on port {port}"
    raise TimeoutError(message)


def measure(orders: int, rate: str) -> Mapping[str, float]:
    """Push so many orders through one worker."""
    import redis

    command = [sys.executable, "-m", "clickpost_async"]
    api, port = free_port(), free_port()
    env = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    env |= {
        "CLICKPOST_USERNAME": "sandbox",
        "CLICKPOST_API_KEY": "sandbox-key-not-a-secret",
        "CLICKPOST_BASE_URL": f"http://127.0.0.1:{api}/api",
        "CLICKPOST_REDIS_URL": f"redis://127.0.0.1:{port}",
    }
    server = shutil.which("redis-server") or "redis-server"
    with tempfile.TemporaryDirectory() as folder:
        file = _write_orders(Path(folder, "orders.jsonl"), "COST", orders)
        single = _write_orders(Path(folder, "one.jsonl"), "START", 1)
        redis_words = [server, "--port", str(port), "--dir", folder, "--appendonly", "yes"]
        worker_words = [*command, "worker", "--rate", rate, "--processes", "1"]
        with (
            running(redis_words, env),
            running([*command, "sandbox", "--port", str(api)], env),
            redis.Redis(port=port, decode_responses=True) as client,
        ):
            until_open(port)
            until_open(api)
            with running(worker_words, env) as worker:
                _until_listening(client)
                start = _feed([*command, "bulk", str(single)], env)
                before = _usage(client)
                worker_cpu = cpu_of_group(worker.pid)
                began = time.monotonic()
                feeder = _feed([*command, "bulk", str(file)], env) - start
                seconds = time.monotonic() - began
                worker_cpu = cpu_of_group(worker.pid) - worker_cpu
                after = _usage(client)
                connections = len(client.client_list()) - 1
            # Without the connections and the replies that the feeder has not trimmed.
            keys = [key for key in client.scan_iter(count=1000) if ":replies:" not in key]
            kept = sum(client.memory_usage(key) for key in keys)
    used = {name: after[name] - before[name] for name in after}
    return {
        "orders": orders,
        "orders per second": orders / seconds,
        "CPU of the feeder, ms": feeder / orders * 1e3,
        "CPU of the worker, ms": worker_cpu / orders * 1e3,
        "CPU of Redis, ms": used["cpu"] / orders * 1e3,
        "commands, with those in scripts": used["commands"] / orders,
        "INFO commands": used["info"] / orders,
        "bytes to Redis": used["in"] / orders,
        "bytes from Redis": used["out"] / orders,
        "bytes kept in Redis": kept / orders,
        "connections of the worker": connections,
        "CPU of a feeder's start, ms": start * 1e3,
    }


def _write_orders(file: Path, prefix: str, count: int) -> Path:
    with file.open("w") as lines:
        lines.writelines(json.dumps(mapping(f"{prefix}-{n}")) + "\n" for n in range(count))
    return file


def _feed(command: Sequence[str], env: Mapping[str, str]) -> float:
    """Run a feeder to its end, and return the seconds of CPU that it used."""
    file = command[-1]
    feeding = subprocess.Popen(
        [*command, "--fleet", "--quiet", "--journal", f"{file}.db"],
        env=env,
        stderr=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(feeding.pid, 0)
    if status:
        message = f"the feeder ended with status {status}"
        raise RuntimeError(message)
    return used.ru_utime + used.ru_stime


def _until_listening(client: "redis.Redis") -> None:
    for _ in range(3000):
        if any(one["cmd"] == "xreadgroup" for one in client.client_list()):
            return
        time.sleep(0.01)
    message = "the worker does not listen within 30 s"
    raise TimeoutError(message)


def _usage(client: "redis.Redis") -> dict[str, float]:
    info: dict[str, Any] = client.info("all")
    calls = {n: v["calls"] for n, v in info.items() if n.startswith("cmdstat_")}
    return {
        "cpu": info["used_cpu_user"] + info["used_cpu_sys"],
        "commands": sum(calls.values()),
        "info": calls.get("cmdstat_info", 0),
        "in": info["total_net_input_bytes"],
        "out": info["total_net_output_bytes"],
    }


def main() -> None:
    """Print what an order costs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=3000)
    parser.add_argument("--rate", default="2000/1s")
    chosen = parser.parse_args()
    for name, value in measure(chosen.orders, chosen.rate).items():
        print(f"{name:<34}{value:>12,.2f}")


if __name__ == "__main__":
    main()
