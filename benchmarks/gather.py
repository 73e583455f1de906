"""Gather creates of typed orders at nginx: what an order costs, from 1,000 at once to 50,000."""

import asyncio
import gc
import importlib
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
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
PLAIN_TLS = "clickpost_async, over TLS"
FAST_TLS = "clickpost_async[fast], over TLS"
SCRIPT_TLS = "a script: aiohttp + msgspec, over TLS"

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
    """A way to create orders; `rounds` is how often it is measured at which size, by default 3."""

    module: str
    settings: Mapping[str, Any] = {}
    uvloop: bool = False
    tls: bool = False
    needs: Sequence[str] = ()
    without: Sequence[str] = ()
    rounds: Mapping[int, int] = {}


_ONLY_10_000 = {1_000: 0, 50_000: 0}
_ONCE_10_000 = {1_000: 0, 10_000: 1, 50_000: 0}
_ONCE_1_000 = {500: 0, 1_000: 1, 10_000: 0, 50_000: 0}
_ONCE_50_000 = {50_000: 1}
_NOT_50_000 = {50_000: 0}

_HTTPTOOLS: Mapping[str, Any] = {"transport": "httptools"}

CLIENTS: Mapping[str, Client] = {
    PLAIN: Client(module="ours", without=["orjson"]),
    "clickpost_async[orjson]": Client(module="ours", needs=["orjson"], rounds=_ONLY_10_000),
    "clickpost_async[fast], without orjson": Client(
        module="ours", settings=_HTTPTOOLS, without=["orjson"], rounds=_ONLY_10_000
    ),
    FAST: Client(module="ours", settings=_HTTPTOOLS, needs=["orjson"]),
    "clickpost_async[fast], plain mappings": Client(
        module="ours_plain", settings=_HTTPTOOLS, needs=["orjson"], rounds=_ONLY_10_000
    ),
    FAST_UVLOOP: Client(
        module="ours",
        settings=_HTTPTOOLS,
        needs=["orjson", "uvloop"],
        uvloop=True,
        rounds=_NOT_50_000,
    ),
    "clickpost_async, no rate given": Client(
        module="ours", settings={"paced": False}, without=["orjson"], rounds=_ONLY_10_000
    ),
    PLAIN_TLS: Client(module="ours", without=["orjson"], tls=True, rounds=_ONLY_10_000),
    FAST_TLS: Client(
        module="ours", settings=_HTTPTOOLS, needs=["orjson"], tls=True, rounds=_ONLY_10_000
    ),
    OBVIOUS: Client(module="put_together", rounds=_ONCE_50_000),
    OBVIOUS_2: Client(module="put_together", settings={"library": "httpx2"}, rounds=_NOT_50_000),
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
    SCRIPT_TLS: Client(module="script", tls=True, rounds=_ONLY_10_000),
}


def measure(*, quick: bool) -> Sequence[Row]:
    """Measure all clients at all sizes."""
    cases = [
        Case(
            labels={"orders": size, "client": name},
            arguments={
                "module": client.module,
                "settings": client.settings,
                "uvloop": client.uvloop,
                "tls": client.tls,
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
            lambda case: case.call("gather:once", server=attrs.asdict(server)),
        )


def once(
    *,
    module: str,
    settings: Mapping[str, Any],
    uvloop: bool,
    tls: bool,
    size: int,
    server: Mapping[str, str],
) -> Mapping[str, float]:
    """Create so many orders with a client that has its code warm and no connections."""
    url = server["tls_url" if tls else "url"]
    os.environ["SSL_CERT_FILE"] = server["authority"]
    client = warm(module, settings, url)
    orders = read(client, size)
    before = accepted(server["status"])
    with asyncio.Runner(loop_factory=_new_uvloop if uvloop else None) as runner:
        found = runner.run(_created(client, url, orders, settings))
    # The last one is that of this request.
    found["connections"] = accepted(server["status"]) - before - 1
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
    # All of them begin in one turn of the loop. After it none has a response.
    for _ in range(3):
        await asyncio.sleep(0)
    waiting = memory("VmRSS") - without
    placed = await creating
    seconds, spent = time.perf_counter() - began, cpu() - spent
    watch.stop()
    assert [client.waybill(created) for created in placed] == [WAYBILL] * len(orders)
    return {
        "cpu_us": spent / len(orders) * 1e6,
        "per_second": len(orders) / seconds,
        "longest_block_ms": watch.longest * 1e3,
        "waiting_bytes": waiting / len(orders),
    }
