"""Where the microseconds of an order go: whose code runs when the processor's time is sampled.

Code in C counts for the Python code that called it.
"""

import asyncio
import signal
import sysconfig
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from benchmarks import gather
from benchmarks._measure import Case, Row, cpu, interleaved
from benchmarks._nginx import nginx
from benchmarks._tables import Column

COLUMNS = (Column("CPU µs/order", "us"), Column("of it %", "percent"))
LIBRARIES = gather.LIBRARIES
programs = gather.programs

_EVERY = 0.001
# Smaller shares are added up.
_LEAST_PERCENT = 2
_REST = "elsewhere"

# What an event loop is made of.
_FOR = {"selectors": "asyncio", "socket": "asyncio"}

_LIBRARY = Path(sysconfig.get_path("stdlib"))


def measure(*, quick: bool) -> Sequence[Row]:
    """Sample the clients that have targets, and the script."""
    cases = [
        Case(
            labels={"client": name},
            arguments={
                "module": gather.CLIENTS[name].module,
                "settings": gather.CLIENTS[name].settings,
                "size": 500 if quick else 20_000,
            },
            needs=gather.CLIENTS[name].needs,
            without=gather.CLIENTS[name].without,
            rounds=1,
        )
        for name in (gather.PLAIN, gather.FAST, gather.SCRIPT)
    ]
    with nginx() as server:
        found = interleaved(cases, lambda case: case.call("where:once", url=server.url))
    return [part for row in found for part in _parts(row)]


def _parts(row: Row) -> Sequence[Row]:
    """Make a row for each place, the costliest first."""
    if row.failed:
        return [row]
    whole = sum(values[0] for values in row.found.values())
    return [
        Row(
            labels={**row.labels, "where": place},
            found={"us": [microseconds], "percent": [microseconds / whole * 100]},
        )
        for place, [microseconds] in row.found.items()
    ]


def once(module: str, settings: Mapping[str, Any], size: int, url: str) -> Mapping[str, float]:
    """Return the microseconds that an order takes, by place."""
    client = gather.warm(module, settings, url)
    orders = gather.read(client, size)
    with _sampled() as samples:
        spent = cpu()
        asyncio.run(client.create_all(url, orders, **settings))
        spent = cpu() - spent
    least = samples.total() * _LEAST_PERCENT / 100
    places = {
        place: count for place, count in samples.most_common() if count >= least and place != _REST
    }
    places[_REST] = samples.total() - sum(places.values())
    scale = spent / samples.total() / len(orders) * 1e6
    return {place: count * scale for place, count in places.items()}


@contextmanager
def _sampled() -> Generator[Counter[str]]:
    found: Counter[str] = Counter()

    def look(_: int, frame: FrameType | None) -> None:
        found[_place(frame.f_code.co_filename) if frame else _REST] += 1

    signal.signal(signal.SIGPROF, look)
    signal.setitimer(signal.ITIMER_PROF, _EVERY, _EVERY)
    try:
        yield found
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _place(file: str) -> str:
    """Name the library of a file, and of ours the floor."""
    path = Path(file)
    parts = path.with_suffix("").parts
    if "clickpost_async" in parts:
        return "/".join(parts[parts.index("clickpost_async") :][:2])
    if "site-packages" in parts:
        return parts[parts.index("site-packages") + 1]
    if path.is_relative_to(_LIBRARY):
        module = path.relative_to(_LIBRARY).with_suffix("").parts[0]
        return _FOR.get(module, module)
    return _REST
