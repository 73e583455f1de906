"""What a client must do in every environment, each as a function that gets an event loop."""

import asyncio
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
import trustme

from clickpost_async import (
    ClickPost,
    NoReplyError,
    NotSentError,
    Outcome,
    RetryPolicy,
    Timeouts,
)
from clickpost_async._http import tls
from clickpost_async.bulk import Placed, create
from clickpost_async.fleet import Ledger, OrderTerms, Worker, created
from clickpost_async.sandbox import Sandbox
from tests.environments.runners import Run
from tests.helpers.http_server import Server, Talk, until, well
from tests.helpers.redis_server import RedisServer
from tests.helpers.server_behaviours import hangs
from tests.sandbox.samples import CREDENTIALS, india_order


def client(url: str, **settings: Any) -> ClickPost:
    return ClickPost(CREDENTIALS["username"], CREDENTIALS["key"], base_url=url, **settings)


@contextmanager
def started_sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        sandbox.start()
        yield sandbox


@contextmanager
def serving_from_a_thread(talk: Talk, context: ssl.SSLContext | None = None) -> Iterator[Server]:
    """Serve a test server from a thread of its own, so that a client may be on any loop."""
    server = Server(talk)
    ready: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def main() -> None:
        stopped = asyncio.Event()
        listener = await asyncio.start_server(server.connected, "127.0.0.1", 0, ssl=context)
        server.port = listener.sockets[0].getsockname()[1]
        ready.set_result((asyncio.get_running_loop(), stopped))
        await stopped.wait()
        listener.close()
        server.hang_up()
        await until(lambda: not server.open)

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    loop, stopped = ready.result(60)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stopped.set)
        thread.join(60)


async def came(holds: Callable[[], object]) -> None:
    """Wait, for a minute at most, until something holds; on any loop."""
    with anyio.fail_after(60):
        while not holds():  # noqa: ASYNC110 - a server in another thread has no event for it
            await anyio.sleep(0.001)


# --- the contract -----------------------------------------------------------------------------


def creates_an_order(run: Run, folder: Path) -> None:
    with started_sandbox() as sandbox:

        async def main() -> str | None:
            async with client(sandbox.base_url) as clickpost:
                return (await clickpost.orders.create(india_order("R-1"))).waybill

        waybill = run(main)
        assert waybill
        assert sandbox.ledger() == {"R-1": (waybill,)}


def gathers_200_creates(run: Run, folder: Path) -> None:
    waybills: dict[str, tuple[str | None]] = {}
    with started_sandbox() as sandbox:

        async def main() -> int:
            async with client(sandbox.base_url, max_concurrency=20) as clickpost:

                async def place(reference: str) -> None:
                    order = await clickpost.orders.create(india_order(reference))
                    waybills[reference] = (order.waybill,)

                async with anyio.create_task_group() as group:
                    for number in range(200):
                        group.start_soon(place, f"R-{number}")
                return clickpost.stats().connections

        assert run(main) <= 20
        assert len(waybills) == 200
        assert sandbox.ledger() == waybills


def cancels_calls_in_flight(run: Run, folder: Path) -> None:
    with serving_from_a_thread(hangs) as server:

        async def main() -> str | None:
            async with client(server.url, retry=RetryPolicy.never()) as clickpost:
                async with anyio.create_task_group() as group:
                    for number in range(5):
                        group.start_soon(clickpost.orders.create, india_order(f"C-{number}"))
                    await came(lambda: len(server.heads) == 5)
                    group.cancel_scope.cancel()
                stats = clickpost.stats()
                assert (stats.in_flight, stats.queued, stats.connections) == (0, 0, 0)
                await came(lambda: not server.open)
                server.talk = well
                return (await clickpost.orders.create(india_order("R-1"))).waybill

        assert run(main) == "W-1"


def speaks_tls(run: Run, folder: Path) -> None:
    authority, other = trustme.CA(), trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    def trusting(authority: trustme.CA) -> ssl.SSLContext:
        trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        authority.configure_trust(trusting)
        return trusting

    with pytest.MonkeyPatch.context() as patch, serving_from_a_thread(well, context) as server:
        url = f"https://127.0.0.1:{server.port}/api"

        async def main() -> None:
            patch.setattr(tls, "verifying_context", lambda: trusting(authority))
            async with client(url) as clickpost:
                for _ in range(3):
                    order = await clickpost.orders.create(india_order("R-1", additional={}))
                    assert order.waybill == "W-1"
            patch.setattr(tls, "verifying_context", lambda: trusting(other))
            async with client(url, retry=RetryPolicy.never()) as clickpost:
                with pytest.raises(NotSentError, match="certificate"):
                    await clickpost.orders.create(india_order("R-1"))

        run(main)
        assert len(server.heads) == 3


def reuses_connections(run: Run, folder: Path) -> None:
    with serving_from_a_thread(well) as server:

        async def main() -> int:
            async with client(server.url) as clickpost:
                for _ in range(5):
                    await clickpost.health()
                return clickpost.stats().connections

        assert run(main) == 1
        assert (server.connections, len(server.heads)) == (1, 5)


def times_out(run: Run, folder: Path) -> None:
    with serving_from_a_thread(hangs) as server:

        async def main() -> Outcome:
            timeouts = Timeouts(create=1.0)  # enough to connect and send on a loaded machine
            async with client(
                server.url, timeouts=timeouts, retry=RetryPolicy.never()
            ) as clickpost:
                with pytest.raises(NoReplyError) as caught:
                    await clickpost.orders.create(india_order("T-1"))
                assert clickpost.stats().in_flight == 0
                await came(lambda: len(server.heads) == 1)
                return caught.value.outcome

        assert run(main) is Outcome.UNKNOWN


def resumes_a_bulk_run(run: Run, folder: Path) -> None:
    journal = folder / "run.db"

    async def main() -> list[tuple[bool, bool]]:
        async with client(sandbox.base_url) as clickpost:
            rows = (india_order(f"R-{number}") for number in range(40))
            async with create(clickpost, rows, journal=journal, max_concurrency=8) as outcomes:
                return [(isinstance(one, Placed), one.recorded) async for one in outcomes]

    with started_sandbox() as sandbox:
        assert run(main) == [(True, False)] * 40
        assert run(main) == [(True, True)] * 40
        assert len(sandbox.ledger()) == 40
        assert {len(waybills) for waybills in sandbox.ledger().values()} == {1}


def works_for_a_fleet(run: Run, folder: Path) -> None:
    with RedisServer() as redis, started_sandbox() as sandbox:

        async def main() -> list[str | None]:
            async with (
                client(sandbox.base_url) as clickpost,
                Ledger(redis.url, account="sandbox").open() as ledger,
            ):
                worker = Worker(clickpost, ledger)
                # Each of them is given twice, as a queue that is restarted does.
                replies = await asyncio.gather(
                    *(worker.create(india_order(f"R-{n % 10}"), OrderTerms()) for n in range(20))
                )
            return [created(reply).waybill for reply in replies]

        waybills = run(main)
        ledger = {f"R-{number}": (waybills[number],) for number in range(10)}
        assert waybills[10:] == waybills[:10]
        assert sandbox.ledger() == ledger


CONTRACT: Mapping[str, Callable[[Run, Path], None]] = {
    check.__name__.replace("_", " "): check
    for check in (
        creates_an_order,
        gathers_200_creates,
        cancels_calls_in_flight,
        speaks_tls,
        reuses_connections,
        times_out,
        resumes_a_bulk_run,
        works_for_a_fleet,
    )
}
# Redis' own client and the queues that a fleet is fed from are asyncio's.
NEEDS_ASYNCIO = frozenset({"works for a fleet"})
