"""Read a million rows, and see that the process does not grow with them.

`python -m benchmarks.reads` reads tracks with `iter_track`, and updates with `iter_updated` and a
checkpoint after each row. The responses come from the process itself, so their making is part of
the CPU.
"""

import argparse
import asyncio
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from clickpost_async import ClickPost
from clickpost_async.limits import NoRateLimit

_START = datetime(2026, 3, 1, tzinfo=UTC)
_WINDOW = timedelta(seconds=1800)
# A window has so many rows, on pages of this size: 96,000 updates a day.
_PER_WINDOW, _PER_PAGE = 2000, 100
_SHOWN = 10

_SCANS = [
    {
        "clickpost_status_code": code,
        "status": "in transit",
        "timestamp": "2026-03-01T10:00:00Z",
        "location": "Mumbai",
        "remark": "Shipment received at the hub",
    }
    for code in (4, 5, 5)
]


def _tracks(request: httpx.Request) -> httpx.Response:
    waybills = request.url.params["waybill"].split(",")
    result = {w: {"valid": True, "latest_status": _SCANS[-1], "scans": _SCANS} for w in waybills}
    return httpx.Response(200, json={"meta": {"status": 200, "success": True}, "result": result})


def _updates(request: httpx.Request) -> httpx.Response:
    query = request.url.params
    page, start = int(query.get("page", "0")), int(query["start_date"])
    # A row for every 0.9 s; those of the overlap come again.
    step = _WINDOW.total_seconds() / _PER_WINDOW
    first = int(start / step) + page * _PER_PAGE
    last = min(first + _PER_PAGE, int(int(query["end_date"]) / step))
    rows = [
        {
            "waybill": f"W{number}",
            "cp_id": 4,
            "reference_number": f"ORDER-{number}",
            "clickpost_status_code": 5,
            "status": "in transit",
            "updated_at": f"{number}",
        }
        for number in range(first, last)
    ]
    meta: dict[str, object] = {"status": 200, "success": True}
    if last < int(int(query["end_date"]) / step):
        others = {name: value for name, value in query.items() if name != "page"}
        meta["next"] = str(httpx.URL(str(request.url), params={**others, "page": page + 1}))
    return httpx.Response(200, json={"meta": meta, "result": rows})


def _client(handler: Callable[[httpx.Request], httpx.Response]) -> ClickPost:
    async def respond(request: httpx.Request) -> httpx.Response:
        # Without a turn of the event loop it would keep the cancelled timers of timeouts.
        await asyncio.sleep(0)
        return handler(request)

    return ClickPost(
        "acme",
        "not-a-real-key",
        transport=httpx.MockTransport(respond),
        limiter=NoRateLimit(),
    )


async def _read_tracks(rows: int) -> AsyncIterator[int]:
    async with _client(_tracks) as clickpost:
        waybills = (f"W{number}" for number in range(rows))
        async for outcome in clickpost.tracking.iter_track(waybills, courier_partner=4):
            if outcome.track is None:
                raise RuntimeError(str(outcome.error))
            yield 0


async def _read_updates(rows: int) -> AsyncIterator[int]:
    end = _START + _WINDOW * (rows / _PER_WINDOW)
    async with _client(_updates) as clickpost:
        updates = clickpost.orders.iter_updated(_START, end)
        async for _ in updates:
            yield len(updates.checkpoint.to_json())


async def measure(name: str, reading: AsyncIterator[int], rows: int) -> None:
    """Print the figures of each tenth of a reading."""
    print(f"{name}\n{'rows':>12}{'RSS MB':>10}{'CPU us/row':>12}{'checkpoint bytes':>18}")
    done = largest = 0
    before = time.process_time()
    async for size in reading:
        done += 1
        largest = max(largest, size)
        if done % max(1, rows // _SHOWN) == 0:
            used = (time.process_time() - before) / done * 1e6
            print(f"{done:>12,}{_resident():>10.1f}{used:>12.1f}{largest:>18,}", flush=True)
    print(f"{done:>12,} rows in all")


def _resident() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    message = "VmRSS is missing: this needs Linux"
    raise RuntimeError(message)


def main() -> None:
    """Read as many rows as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    asyncio.run(measure("iter_track", _read_tracks(rows), rows))
    updates = "iter_updated, a checkpoint after each row"
    asyncio.run(measure(updates, _read_updates(rows), rows))


if __name__ == "__main__":
    main()
