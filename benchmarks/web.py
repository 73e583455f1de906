"""Ask a FastAPI application for orders, one by one, with and without a bulk run beside them.

The application is a process of its own under uvicorn, with one client and one limiter for both; the
sandbox is another, and who asks a third. Requests come at random moments that do not wait for
responses, and are timed from those moments.
"""

import argparse
import asyncio
import json
import random
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import httpx
import uvicorn
from fastapi import Depends, FastAPI

from benchmarks._orders import mapping
from clickpost_async import ClickPost, IndiaOrder, Rate, structure
from clickpost_async.bulk import create
from clickpost_async.integrations.starlette import get_clickpost, health, lifespan
from clickpost_async.sandbox import Sandbox

ACCOUNT = Sandbox()

Client = Annotated[ClickPost, Depends(get_clickpost)]


# --- the application ------------------------------------------------------------------------------


def application(url: str, rate: float) -> FastAPI:
    """Make an application that creates single orders, and many in the background."""

    def client() -> ClickPost:
        return ClickPost(ACCOUNT.username, ACCOUNT.api_key, base_url=url, rate=Rate(rate))

    app = FastAPI(lifespan=lifespan(client))
    app.add_route("/health", health)
    runs: list[asyncio.Task[None]] = []
    done = 0

    @app.post("/orders")
    async def place(body: dict[str, Any], clickpost: Client) -> dict[str, Any]:
        created = await clickpost.orders.create(body)
        return {"waybill": created.waybill}

    @app.post("/bulk/{name}")
    async def start(name: str, clickpost: Client) -> None:
        async def push() -> None:
            nonlocal done
            async with create(clickpost, endless(name)) as run:
                async for _ in run:
                    done += 1

        runs.append(asyncio.create_task(push()))

    @app.delete("/bulk")
    async def stop() -> None:
        for run in runs:
            run.cancel()
        await asyncio.gather(*runs, return_exceptions=True)
        runs.clear()

    @app.get("/bulk")
    async def count() -> int:
        return done

    return app


async def endless(name: str) -> AsyncIterator[IndiaOrder]:
    """Yield orders without end."""
    number = 0
    while True:
        number += 1
        yield structure(mapping(f"{name}-{number}"), IndiaOrder)


# --- who asks -------------------------------------------------------------------------------------


async def ask(http: httpx.AsyncClient, name: str, chosen: argparse.Namespace) -> list[float]:
    """Ask for single orders at a steady rate; return how long each took, in seconds."""
    took: list[float] = []
    dice = random.Random(name)
    bodies = [mapping(f"{name}-{n}") for n in range(round(chosen.load * chosen.seconds))]
    at = time.perf_counter()

    async def one(body: Any, due: float) -> None:
        response = await http.post("/orders", json=body)
        took.append(time.perf_counter() - due)
        assert response.status_code == 200, response.text

    async with asyncio.TaskGroup() as tasks:
        for body in bodies:
            at += dice.expovariate(chosen.load)
            await asyncio.sleep(max(0.0, at - time.perf_counter()))
            tasks.create_task(one(body, at))
    return took


async def rounds(url: str, chosen: argparse.Namespace) -> dict[str, list[dict[str, float]]]:
    """Ask in turns: with nothing beside, and with a bulk run that takes all that is left."""
    found: dict[str, list[dict[str, float]]] = {"idle": [], "bulk": []}
    async with httpx.AsyncClient(base_url=url, timeout=60) as http:
        await ask(http, "warm", argparse.Namespace(load=chosen.load, seconds=2))
        for turn in range(chosen.rounds):
            found["idle"].append(figures(await ask(http, f"idle-{turn}", chosen)))
            await http.post(f"/bulk/run-{turn}")
            await asyncio.sleep(1)
            before, began = (await http.get("/bulk")).json(), time.perf_counter()
            took = await ask(http, f"busy-{turn}", chosen)
            pushed = (await http.get("/bulk")).json() - before
            seconds = time.perf_counter() - began
            await http.delete("/bulk")
            found["bulk"].append({**figures(took), "bulk_per_second": pushed / seconds})
            await asyncio.sleep(1)
    return found


def figures(took: list[float]) -> dict[str, float]:
    """Return percentiles in milliseconds."""
    ranked = sorted(took)
    return {
        "requests": len(ranked),
        "p50_ms": statistics.median(ranked) * 1e3,
        "p99_ms": ranked[int(len(ranked) * 0.99)] * 1e3,
        "bulk_per_second": 0.0,
    }


# --- the processes --------------------------------------------------------------------------------


@contextmanager
def started(*words: str) -> Iterator[str]:
    """Start a process that says its address first, and end it after the block."""
    command = [sys.executable, *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def serve(url: str, rate: float) -> None:
    """Serve the application on a free port, and say where."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
    print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
    config = uvicorn.Config(application(url, rate), log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[listening])


def main() -> None:
    """Run the rounds and print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--serve", metavar="URL", help=argparse.SUPPRESS)
    arguments.add_argument("--rate", type=float, default=200, help="calls/s, of both together")
    arguments.add_argument("--load", type=float, default=50, help="single orders/s")
    arguments.add_argument("--latency", type=float, default=0.05, help="the sandbox's, in seconds")
    arguments.add_argument("--seconds", type=float, default=20)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--json", type=Path)
    chosen = arguments.parse_args()
    if chosen.serve:
        serve(chosen.serve, chosen.rate)
        return
    sandbox = ("-m", "clickpost_async.sandbox", "--port", "0", "--latency", str(chosen.latency))
    with (
        started(*sandbox) as url,
        started(__file__, "--serve", url, "--rate", str(chosen.rate)) as app,
    ):
        found = asyncio.run(rounds(app, chosen))
    ratios = [
        busy["p99_ms"] / idle["p99_ms"]
        for idle, busy in zip(found["idle"], found["bulk"], strict=True)
    ]
    if chosen.json:
        chosen.json.write_text(json.dumps({**found, "p99_ratio": ratios}, indent=1))
    print(
        f"{chosen.load:g} single orders/s, {chosen.rate:g} calls/s in all,"
        f" a courier that takes {chosen.latency * 1e3:g} ms, {chosen.rounds} rounds"
    )
    print()
    print("| beside them | requests | p50 ms | p99 ms | bulk orders/s |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, beside in (("idle", "nothing"), ("bulk", "a bulk run")):
        cells = " | ".join(spread([each[what] for each in found[name]]) for what in found[name][0])
        print(f"| {beside} | {cells} |")
    print()
    print(f"p99 beside a bulk run / with nothing: {spread(ratios, '.2f')}")


def spread(values: list[float], form: str = ",.0f") -> str:
    """Write a median with its lowest and highest."""
    middle = statistics.median(values)
    return f"{middle:{form}} ({min(values):{form}}–{max(values):{form}})"


if __name__ == "__main__":
    main()
