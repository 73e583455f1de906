"""Gather creates at a sandbox: ours, and plain httpx behind a semaphore, interleaved."""

import argparse
import asyncio
import gc
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx

from clickpost_async import ClickPost, Credentials, Hosts, IndiaOrder, structure, unstructure
from clickpost_async.sandbox import Sandbox

ACCOUNT = Sandbox()
PLAIN_AT_ONCE = 20  # what suits httpx's pool best; 100 costs it a third more


def order(reference: str) -> IndiaOrder:
    """Return an ordinary order with two items."""
    return structure(
        {
            "pickup_info": {
                "pickup_name": "Dock Four",
                "pickup_address": "4 Harbour Road",
                "pickup_city": "Mumbai",
                "pickup_state": "Maharashtra",
                "pickup_pincode": "400001",
                "pickup_country": "IN",
                "email": "dock@example.com",
                "pickup_phone": "9000000001",
                "pickup_time": "2026-12-01T10:00:00",
                "tin": "27AAAAA0000A1Z5",
            },
            "drop_info": {
                "drop_name": "Asha Example",
                "drop_address": "17 Garden Lane",
                "drop_city": "Delhi",
                "drop_state": "Delhi",
                "drop_pincode": "110001",
                "drop_country": "IN",
                "drop_phone": "9000000002",
            },
            "shipment_details": {
                "items": [
                    {"description": "shirt", "quantity": 1, "price": 799.5, "weight": 200},
                    {"description": "belt", "quantity": 2, "price": 349, "weight": 150},
                ],
                "account_code": "dock-four",
                "courier_partner": 4,
                "reference_number": reference,
                "invoice_value": 1497.5,
                "invoice_date": "2026-11-30",
                "delivery_type": "FORWARD",
                "order_type": "PREPAID",
                "cod_value": 0,
                "height": 10,
                "breadth": 20,
                "length": 30,
                "weight": 500,
            },
        },
        IndiaOrder,
    )


async def ours(url: str, orders: list[IndiaOrder]) -> int:
    """Create with this library: typed in, typed out; return the connections at the end."""
    credentials = Credentials(ACCOUNT.username, ACCOUNT.key)
    async with ClickPost(credentials, hosts=Hosts.at(url)) as clickpost:
        answers = await asyncio.gather(*map(clickpost.orders.create, orders))
        assert [a.reference_number for a in answers] == [o.reference_number for o in orders]
        assert len({answer.waybill for answer in answers}) == len(orders)
        return clickpost.stats().connections


async def plain(url: str, orders: list[IndiaOrder]) -> int:
    """Post with httpx alone, as far as it goes: no types, no retry, no outcome."""
    gate = asyncio.Semaphore(PLAIN_AT_ONCE)
    query = {"username": ACCOUNT.username, "key": ACCOUNT.key}
    bodies = [unstructure(each) for each in orders]
    async with httpx.AsyncClient(base_url=url, params=query, timeout=60) as client:

        async def one(body: Any) -> str:
            async with gate:
                answer = await client.post("/v3/create-order/", json=body)
            return str(answer.json()["result"]["waybill"])

        waybills = await asyncio.gather(*map(one, bodies))
        assert len(set(waybills)) == len(orders)
    return PLAIN_AT_ONCE


async def measured(
    run: Callable[[str, list[IndiaOrder]], Awaitable[int]], url: str, orders: list[IndiaOrder]
) -> dict[str, float]:
    """Run once; return what it took."""
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            longest = max(longest, time.perf_counter() - before - 0.001)

    watching = asyncio.create_task(watch())
    await asyncio.sleep(0.01)
    began, cpu = time.perf_counter(), time.process_time()
    connections = await run(url, orders)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    watching.cancel()
    return {
        "cpu_us": cpu / len(orders) * 1e6,
        "per_second": len(orders) / seconds,
        "longest_block_ms": longest * 1e3,
        "connections": connections,
    }


def main() -> None:
    """Run the rounds and print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000])
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--json", type=Path)
    chosen = arguments.parse_args()
    command = [sys.executable, "-m", "clickpost_async.sandbox", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        try:
            figures = {size: rounds(url, size, chosen.rounds) for size in chosen.sizes}
        finally:
            server.kill()
    if chosen.json:
        chosen.json.write_text(json.dumps(figures, indent=1))
    print("| orders | client | CPU µs/order | orders/s | longest block ms | connections |")
    print("| ---: | --- | ---: | ---: | ---: | ---: |")
    for size, clients in figures.items():
        for name, found in clients.items():
            cells = " | ".join(spread([each[what] for each in found]) for what in found[0])
            print(f"| {size:,} | {name} | {cells} |")


def rounds(url: str, size: int, times: int) -> dict[str, list[dict[str, float]]]:
    """Run each client in turn, several times."""
    found: dict[str, list[dict[str, float]]] = {"clickpost_async": [], "plain httpx": []}
    for turn in range(times):
        for name, run in (("clickpost_async", ours), ("plain httpx", plain)):
            orders = [order(f"{name}-{size}-{turn}-{n}") for n in range(size)]
            # The orders are the caller's: a full pass of the garbage collector over ten thousand of
            # them stops any loop for about 0.1 s, and says nothing of the client.
            gc.collect()
            gc.freeze()
            found[name].append(asyncio.run(measured(run, url, orders)))
    return found


def spread(values: list[float]) -> str:
    """Write a median with its lowest and highest."""
    middle = statistics.median(values)
    return f"{middle:,.0f} ({min(values):,.0f}–{max(values):,.0f})"


if __name__ == "__main__":
    main()
