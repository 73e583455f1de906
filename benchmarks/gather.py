"""Gather creates of typed orders at nginx: what an order costs, from 1,000 at once to 50,000."""

import asyncio
import gc
import importlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen

from benchmarks._measure import Case, Row, Watch, client_core, cpu, interleaved, memory
from benchmarks._nginx import accepted, nginx
from benchmarks._nginx import versions as server_versions
from benchmarks._orders import WAYBILL, mapping
from benchmarks._tables import Column

PLAIN = "clickpost_async"
FAST = "clickpost_async[fast]"
FAST_UVLOOP = "clickpost_async[fast] on uvloop"
OBVIOUS = "httpx + cattrs + tenacity + aiolimiter"
OBVIOUS_2 = "httpx2 + cattrs + tenacity + aiolimiter"
SCRIPT = "a script: aiohttp + msgspec"
SCRIPT_UVLOOP = "a script: aiohttp + msgspec, on uvloop"

COLUMNS = (
    Column("CPU µs/order", "cpu_us"),
    Column("orders/s", "per_second"),
    Column("connections", "connections"),
    Column("longest block ms", "longest_block_ms"),
    Column("bytes per waiting call", "waiting_bytes"),
    Column("peak MB", "peak_mb"),
)

LIBRARIES = (
    *("aiohttp", "aiolimiter", "anyio", "attrs", "cattrs", "httpcore", "httpx"),
    *("httptools", "httpx-aiohttp", "httpx2", "msgspec", "orjson", "tenacity", "uvloop"),
)
programs = server_versions

_WARM = 200


@frozen(kw_only=True)
class Client:
    """A way to create orders; `rounds` says how often at which size, 3 times unless told."""

    module: str
    settings: Mapping[str, Any] = {}
    uvloop: bool = False
    needs: Sequence[str] = ()
    without: Sequence[str] = ()
    rounds: Mapping[int, int] = {}


_NOT_50_000 = {50_000: 0}
_ONLY_10_000 = {1_000: 0, 50_000: 0}
_ONCE_10_000 = {1_000: 0, 10_000: 1, 50_000: 0}
_ONCE_1_000 = {500: 0, 1_000: 1, 10_000: 0, 50_000: 0}
_ONCE_50_000 = {50_000: 1}

CLIENTS: Mapping[str, Client] = {
    PLAIN: Client(module="ours", without=["orjson"]),
    "clickpost_async[orjson]": Client(module="ours", needs=["orjson"], rounds=_NOT_50_000),
    "clickpost_async[fast], without orjson": Client(
        module="ours", settings={"transport": "httptools"}, without=["orjson"], rounds=_NOT_50_000
    ),
    FAST: Client(module="ours", settings={"transport": "httptools"}, needs=["orjson"]),
    FAST_UVLOOP: Client(
        module="ours",
        settings={"transport": "httptools"},
        needs=["orjson", "uvloop"],
        uvloop=True,
        rounds=_NOT_50_000,
    ),
    "clickpost_async, no rate given": Client(
        module="ours", settings={"paced": False}, without=["orjson"], rounds=_ONLY_10_000
    ),
    OBVIOUS: Client(module="put_together", rounds=_ONCE_50_000),
    OBVIOUS_2: Client(module="put_together", settings={"library": "httpx2"}, rounds=_ONCE_50_000),
    "httpx on httpx-aiohttp + cattrs + tenacity + aiolimiter": Client(
        module="put_together",
        settings={"over_aiohttp": True, "max_concurrency": 100},
        rounds=_ONCE_10_000,
    ),
    "httpx + …, without a semaphore": Client(
        module="put_together", settings={"max_concurrency": 1_000_000}, rounds=_ONCE_1_000
    ),
    SCRIPT: Client(module="script"),
    SCRIPT_UVLOOP: Client(module="script", needs=["uvloop"], uvloop=True, rounds=_NOT_50_000),
}


def measure(*, quick: bool) -> Sequence[Row]:
    """Measure all clients at all sizes."""
    cases = [
        Case(
            labels={"orders": size, "client": name},
            told={
                "module": client.module,
                "settings": client.settings,
                "uvloop": client.uvloop,
                "size": size,
            },
            needs=client.needs,
            without=client.without,
            rounds=client.rounds.get(size, 1 if quick else 3),
        )
        for size in ([500] if quick else [1_000, 10_000, 50_000])
        for name, client in CLIENTS.items()
    ]
    with nginx() as server:
        return interleaved(
            [case for case in cases if case.rounds],
            lambda case: case.call("gather:once", url=server.url, status=server.status),
        )


def once(
    *, module: str, settings: Mapping[str, Any], uvloop: bool, size: int, url: str, status: str
) -> Mapping[str, float]:
    """Create so many orders with a client that has its code warm and no connections."""
    client = warm(module, settings, url)
    orders = read(client, size)
    before = accepted(status)
    with asyncio.Runner(loop_factory=_new_uvloop if uvloop else None) as runner:
        found = runner.run(_created(client, url, orders, settings))
    # The last one is this question.
    found["connections"] = accepted(status) - before - 1
    found["peak_mb"] = memory("VmHWM") / 1e6
    return found


def warm(module: str, settings: Mapping[str, Any], url: str) -> Any:
    """Return the module of a client that has been used for a while."""
    client_core()
    client = importlib.import_module(f"benchmarks.clients.{module}")
    orders = [client.read(mapping(f"warm-{number}")) for number in range(_WARM)]
    asyncio.run(client.create_all(url, orders, **settings))
    return client


def _new_uvloop() -> asyncio.AbstractEventLoop:
    import uvloop

    return uvloop.new_event_loop()


def read(client: Any, size: int) -> Sequence[Any]:
    """Return so many orders, and nothing else for the garbage collector to look at.

    The orders are the caller's: a full pass over ten thousand of them stops any loop for about
    0.1 s, and says nothing of the client.
    """
    orders = [client.read(mapping(f"gather-{number}")) for number in range(size)]
    gc.collect()
    gc.freeze()
    return orders


async def _created(
    client: Any, url: str, orders: Sequence[Any], settings: Mapping[str, Any]
) -> dict[str, float]:
    without = memory("VmRSS")
    watch = Watch()
    began, spent = time.perf_counter(), cpu()
    creating = asyncio.ensure_future(client.create_all(url, orders, **settings))
    # All of them begin in one turn of the loop. After it none has been answered.
    for _ in range(3):
        await asyncio.sleep(0)
    waiting = memory("VmRSS") - without
    answers = await creating
    seconds, spent = time.perf_counter() - began, cpu() - spent
    watch.stop()
    assert [client.waybill(answer) for answer in answers] == [WAYBILL] * len(orders)
    return {
        "cpu_us": spent / len(orders) * 1e6,
        "per_second": len(orders) / seconds,
        "longest_block_ms": watch.longest * 1e3,
        "waiting_bytes": waiting / len(orders),
    }
