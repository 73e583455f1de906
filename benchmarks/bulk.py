"""Create orders from a CSV, with and without a journal: how fast, and how much memory.

Each run is a process of its own; the sandbox, which keeps every order in memory, is another.
"""

import argparse
import asyncio
import csv
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from clickpost_async import ClickPost, Credentials, Hosts, Rate
from clickpost_async.bulk import create, read_orders
from clickpost_async.limits import TokenBucket, Unlimited
from clickpost_async.sandbox import Sandbox

ACCOUNT = Sandbox()
ROW = {
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


def rss(which: str) -> float:
    """Return this process's memory in MiB: `VmRSS` now, `VmHWM` at most."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(which):
            return int(line.split()[1]) / 1024
    raise OSError(which)


def size_of(journal: str | None) -> float:
    """Return a file's size in MiB."""
    return Path(journal).stat().st_size / 2**20 if journal else 0.0


async def push(url: str, file: str, journal: str | None, rate: float | None) -> None:
    """Run one bulk run and print what it took."""
    limiter = Unlimited() if rate is None else TokenBucket(*_bucket(Rate(rate)))
    early = 0.0
    async with ClickPost(
        Credentials(ACCOUNT.username, ACCOUNT.key), hosts=Hosts.at(url), limiter=limiter
    ) as clickpost:
        began = time.perf_counter()
        async with create(clickpost, read_orders(file), journal=journal) as run:
            async for _ in run:
                if run.report.total == 1000:
                    early = rss("VmRSS")
        seconds = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_SELF)
    total = run.report.total
    assert run.report.placed + run.report.skipped >= total, run.report
    print(
        json.dumps(
            {
                "orders": total,
                "per_second": total / seconds,
                "cpu_us": (used.ru_utime + used.ru_stime) / total * 1e6,
                "rss_growth_mib": rss("VmHWM") - early,
                "journal_mib": size_of(journal),
            }
        )
    )


def _bucket(rate: Rate) -> tuple[float, float]:
    return rate.per_second, max(1.0, rate.per_second / 10)


async def reopen(url: str, file: str, journal: str) -> None:
    """Make the same run again, and print how long it takes to its first outcome and to its end."""
    async with ClickPost(
        Credentials(ACCOUNT.username, ACCOUNT.key), hosts=Hosts.at(url)
    ) as clickpost:
        began = time.perf_counter()
        first = 0.0
        async with create(clickpost, read_orders(file), journal=journal) as run:
            async for _ in run:
                first = first or time.perf_counter() - began
    print(json.dumps({"first": first, "whole": time.perf_counter() - began}))
    assert run.report.skipped == run.report.total


def written(folder: Path, orders: int) -> Path:
    """Write a CSV of so many orders."""
    path = folder / "orders.csv"
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, ["reference_number", *ROW])
        table.writeheader()
        for number in range(orders):
            table.writerow({"reference_number": f"BULK-{number}", **ROW})
    return path


def child(*arguments: str) -> dict[str, float]:
    """Run one measurement in a process of its own."""
    ran = subprocess.run(
        [sys.executable, __file__, *arguments], stdout=subprocess.PIPE, text=True, check=True
    )
    found: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Run with and without a journal, each against a sandbox of its own."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--orders", type=int, default=100_000)
    arguments.add_argument("--rate", type=float, help="calls per second; without it, what goes")
    arguments.add_argument("--push", nargs=4, help=argparse.SUPPRESS)
    arguments.add_argument("--reopen", nargs=3, help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    if chosen.push:
        url, file, journal, rate = chosen.push
        asyncio.run(push(url, file, journal or None, float(rate) if rate else None))
        return
    if chosen.reopen:
        asyncio.run(reopen(*chosen.reopen))
        return
    print("| orders | journal | orders/s | CPU µs/order | RSS growth MiB | journal MiB |")
    print("| ---: | --- | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        file = written(Path(folder), chosen.orders)
        for journal in ("", str(Path(folder) / "run.db")):
            command = [sys.executable, "-m", "clickpost_async.sandbox", "--port", "0"]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
                assert server.stdout is not None
                url = server.stdout.readline().strip()
                try:
                    found = child("--push", url, str(file), journal, str(chosen.rate or ""))
                    again = child("--reopen", url, str(file), journal) if journal else None
                finally:
                    server.kill()
            print(
                f"| {found['orders']:,} | {'yes' if journal else 'no'} |"
                f" {found['per_second']:,.0f} | {found['cpu_us']:,.0f} |"
                f" {found['rss_growth_mib']:.1f} | {found['journal_mib']:.1f} |",
                flush=True,
            )
            if again:
                print(
                    f"\nThe same run again: first outcome after {again['first']:.2f} s,"
                    f" all {found['orders']:,} known from the journal after {again['whole']:.1f} s."
                )


if __name__ == "__main__":
    main()
