"""Orders from a CSV, with and without a journal: how fast, and how much memory.

Each run is a process of its own; the sandbox, which keeps every order in memory, is another.
"""

import asyncio
import csv
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks._child import call
from benchmarks._measure import Case, Row, cpu, interleaved, memory
from benchmarks._tables import Column
from clickpost_async import ClickPost
from clickpost_async.bulk import create, read_orders
from clickpost_async.limits import NoRateLimit, TokenBucket
from clickpost_async.sandbox import Sandbox

COLUMNS = (
    Column("orders/s", "per_second", 1),
    Column("CPU µs/order", "cpu_us"),
    Column("memory growth MB", "growth_mb", 1),
    Column("journal MB", "journal_mb", 1),
    Column("again: first outcome s", "first", 2),
    Column("again: all known s", "whole", 1),
)

LIBRARIES = ("httpcore", "httptools", "httpx", "orjson")

FREE = "as fast as it goes"
FREE_FAST = "as fast as it goes, [fast]"

_ACCOUNT = Sandbox()
_ROW = {
    "courier_partner": "4",
    "account_code": "bazaar-surface",
    "order_type": "PREPAID",
    "delivery_type": "FORWARD",
    "cod_value": "0",
    "invoice_number": "INV-1",
    "invoice_date": "2026-12-01",
    "invoice_value": "499",
    "length": "30",
    "breadth": "20",
    "height": "10",
    "weight": "500",
    "pickup_name": "Dock Four",
    "pickup_address": "4 Harbour Road",
    "pickup_city": "Mumbai",
    "pickup_state": "Maharashtra",
    "pickup_pincode": "400001",
    "pickup_country": "IN",
    "pickup_email": "dock@example.com",
    "pickup_phone": "9000000001",
    "pickup_time": "2026-12-01T10:00:00",
    "tin": "27AAAAA0000A1Z5",
    "drop_name": "Asha Kulkarni",
    "drop_address": "12 Lake View",
    "drop_city": "Bengaluru",
    "drop_state": "Karnataka",
    "drop_pincode": "560001",
    "drop_country": "IN",
    "drop_phone": "9000000002",
    "item_description": "Tea",
    "item_sku": "TEA-1",
    "item_quantity": "1",
    "item_price": "499",
    "item_weight": "500",
}
# Memory grows from here on, if it does: by then the run is under way.
_UNDER_WAY = 0.01


def measure(*, quick: bool) -> Sequence[Row]:
    """Push as fast as it goes, and at 100 calls a second; without a journal and with one."""
    many, some, few = (500, 500, 200) if quick else (100_000, 30_000, 3_000)
    runs = (
        (many, FREE, None, None),
        (some, FREE_FAST, None, "httptools"),
        (few, "100/s", 100, None),
    )
    cases = [
        Case(
            labels={"orders": orders, "pace": pace, "journal": "yes" if journal else "no"},
            arguments={"orders": orders, "rate": rate, "journal": journal, "transport": transport},
            rounds=1,
            timeout=900,
        )
        for orders, pace, rate, transport in runs
        for journal in (False, True)
    ]
    return interleaved(cases, _pushed)


def _pushed(case: Case) -> Mapping[str, float]:
    with tempfile.TemporaryDirectory() as folder, _sandbox() as url:
        _write(Path(folder) / "orders.csv", case.arguments["orders"])
        found = case.call("bulk:push", url=url, folder=folder)
        if case.arguments["journal"]:
            found |= call("bulk:push_again", {"url": url, "folder": folder}, timeout=case.timeout)
    return found


@contextmanager
def _sandbox() -> Generator[str]:
    command = [sys.executable, "-m", "clickpost_async.sandbox", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.kill()


def _write(path: Path, orders: int) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, ["reference_number", *_ROW])
        table.writeheader()
        for number in range(orders):
            table.writerow({"reference_number": f"BULK-{number}", **_ROW})


def push(
    url: str, folder: str, orders: int, *, rate: float | None, journal: bool, transport: Any
) -> Mapping[str, float]:
    """Run the file once."""
    # A small burst: otherwise a short run is over before the pace shows.
    limiter = NoRateLimit() if rate is None else TokenBucket(rate, max(1.0, rate / 10))
    client = _client(url, limiter, transport)
    book = Path(folder) / "run.db" if journal else None
    found = asyncio.run(_push(client, Path(folder) / "orders.csv", book, orders))
    return {**found, "journal_mb": book.stat().st_size / 1e6 if book else 0.0}


async def _push(
    client: ClickPost, file: Path, journal: Path | None, orders: int
) -> Mapping[str, float]:
    under_way = max(1, int(orders * _UNDER_WAY))
    early = 0
    async with client as clickpost:
        began, spent = time.perf_counter(), cpu()
        async with create(clickpost, read_orders(file), journal=journal) as run:
            async for _ in run:
                if run.report.total == under_way:
                    early = memory("VmRSS")
        seconds, spent = time.perf_counter() - began, cpu() - spent
    assert run.report.placed == orders, run.report
    return {
        "per_second": orders / seconds,
        "cpu_us": spent / orders * 1e6,
        "growth_mb": (memory("VmHWM") - early) / 1e6,
    }


def push_again(url: str, folder: str) -> Mapping[str, float]:
    """Run the file again with its journal, which knows every order."""
    return asyncio.run(_push_again(url, Path(folder)))


async def _push_again(url: str, folder: Path) -> Mapping[str, float]:
    first = 0.0
    async with _client(url, NoRateLimit()) as clickpost:
        began = time.perf_counter()
        file, journal = folder / "orders.csv", folder / "run.db"
        async with create(clickpost, read_orders(file), journal=journal) as run:
            async for _ in run:
                first = first or time.perf_counter() - began
        whole = time.perf_counter() - began
    assert run.report.skipped == run.report.total, run.report
    return {"first": first, "whole": whole}


def _client(url: str, limiter: TokenBucket | NoRateLimit, transport: Any = None) -> ClickPost:
    return ClickPost(
        _ACCOUNT.username, _ACCOUNT.api_key, base_url=url, limiter=limiter, transport=transport
    )
