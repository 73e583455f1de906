"""One client on several event loops, in a forked process, and on trio."""

import asyncio
import gc
import os
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Literal

import pytest
import trio

from clickpost_async import ClickPost, NotSentError, Rate
from clickpost_async.sandbox import Sandbox
from tests.helpers.descriptors import descriptors, needs_descriptors_listed
from tests.sandbox.samples import india_order

CREDENTIALS = ("sandbox", "sandbox-key-not-a-secret")


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        sandbox.start()
        yield sandbox


async def create_some(clickpost: ClickPost, name: str) -> list[str | None]:
    orders = await asyncio.gather(
        *(clickpost.orders.create(india_order(f"{name}-{number}")) for number in range(10))
    )
    return [order.reference_number for order in orders]


def names(name: str) -> list[str]:
    return [f"{name}-{number}" for number in range(10)]


@pytest.mark.fault("X09")
def test_one_client_works_on_loops_that_follow_each_other(sandbox: Sandbox) -> None:
    clickpost = ClickPost(*CREDENTIALS, base_url=sandbox.base_url, max_concurrency=3)
    for name in ("A", "B", "C"):
        assert asyncio.run(create_some(clickpost, name)) == names(name)
    assert clickpost.stats().calls == 30
    asyncio.run(clickpost.aclose())
    with pytest.raises(NotSentError, match="closed"):
        asyncio.run(create_some(clickpost, "D"))
    assert len(sandbox.ledger()) == 30


@needs_descriptors_listed
@pytest.mark.parametrize("transport", [None, "httptools"])
def test_ending_event_loop_closes_its_connections(
    sandbox: Sandbox, transport: Literal["httptools"] | None
) -> None:
    clickpost = ClickPost(*CREDENTIALS, base_url=sandbox.base_url, transport=transport)
    loops: list[weakref.ref[asyncio.AbstractEventLoop]] = []

    async def main() -> None:
        loops.append(weakref.ref(asyncio.get_running_loop()))
        await create_some(clickpost, f"L-{len(loops)}")
        assert clickpost.stats().connections > 0

    asyncio.run(main())
    gc.collect()
    before = descriptors()
    for _ in range(5):
        asyncio.run(main())
    gc.collect()
    assert [loop() for loop in loops] == [None] * 6
    # The server is in this process too, and closes its side when it hears of it.
    for _ in range(1000):
        if descriptors() <= before:
            break
        time.sleep(0.005)
    assert descriptors() <= before


def test_pace_is_kept_from_one_loop_to_the_next(sandbox: Sandbox) -> None:
    # Each loop's clock is the same here; what is left to wait is carried over.
    clickpost = ClickPost(*CREDENTIALS, base_url=sandbox.base_url, rate=Rate(50, burst=1))
    for name in ("A", "B"):
        asyncio.run(create_some(clickpost, name))
    asyncio.run(clickpost.aclose())
    moments = sorted(arrival.moment for arrival in sandbox.requests())
    assert len(moments) == 20
    assert moments[-1] - moments[0] >= 19 / 50 - 0.1


@pytest.mark.fault("X09")
def test_loops_in_several_threads_share_a_client(sandbox: Sandbox) -> None:
    clickpost = ClickPost(*CREDENTIALS, base_url=sandbox.base_url, max_concurrency=4)
    found: dict[str, list[str | None]] = {}

    def work(name: str) -> None:
        found[name] = asyncio.run(create_some(clickpost, name))

    threads = [threading.Thread(target=work, args=(name,)) for name in "ABCD"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == {name: names(name) for name in "ABCD"}
    asyncio.run(clickpost.aclose())


FORKING = """
import asyncio, os, sys
from clickpost_async import ClickPost, Get, Hosts, Idempotency, Rate
from clickpost_async.structures import ResponseModel

QUESTION = Get(
    "/v3/create-order/", returns=ResponseModel, accepts={302, 307, 310, 321, 400},
    idempotency=Idempotency.UNSAFE,
)
clickpost = ClickPost(
    "sandbox", "sandbox-key-not-a-secret",
    base_url=sys.argv[1],
    rate=Rate(1000),
    transport=sys.argv[2] or None,
)

async def ask(times):
    for _ in range(times):
        found = await asyncio.gather(*(clickpost.get(QUESTION, {}) for _ in range(5)))
    return [one.response.status for one in found]

async def parent():
    before = await ask(2)
    # A server that loads its application first, and forks its workers then.
    child = os.fork()
    if not child:
        os._exit(os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", "pass"]) or 7)
    _, status = await asyncio.to_thread(os.waitpid, child, 0)
    assert os.waitstatus_to_exitcode(status) == 7
    assert await ask(2) == before

asyncio.run(parent())
child = os.fork()
if not child:
    code = 1
    try:
        asyncio.run(ask(2))
        code = 0
    finally:
        os._exit(code)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0
asyncio.run(ask(1))
asyncio.run(clickpost.aclose())
print("well")
"""


@pytest.mark.fault("X09")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a fork")
@pytest.mark.parametrize("transport", ["", "httptools"])
def test_forked_process_has_connections_of_its_own(sandbox: Sandbox, transport: str) -> None:
    # Python 3.12 warns of forks beside the thread in which asyncio looks up names.
    quiet = ["-W", "ignore:This process:DeprecationWarning"]
    process = subprocess.run(
        [sys.executable, *quiet, "-c", FORKING, sandbox.base_url, transport],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (process.stderr, process.stdout) == ("", "well\n")


def test_client_works_on_trio(sandbox: Sandbox) -> None:
    async def main() -> tuple[list[str | None], int]:
        found: list[str | None] = []
        async with ClickPost(
            *CREDENTIALS, base_url=sandbox.base_url, max_concurrency=3, rate=Rate(1000)
        ) as clickpost:

            async def create(number: int) -> None:
                order = await clickpost.orders.create(india_order(f"T-{number}"))
                found.append(order.reference_number)

            async with trio.open_nursery() as nursery:
                for number in range(10):
                    nursery.start_soon(create, number)
            with trio.move_on_after(0):
                await clickpost.orders.create(india_order("T-given-up"))
            stats = clickpost.stats()
            assert (stats.in_flight, stats.queued) == (0, 0)
            return sorted(map(str, found)), stats.connections

    found, connections = trio.run(main)
    assert found == names("T")
    assert connections <= 3


def test_ending_trio_run_closes_its_connections(sandbox: Sandbox) -> None:
    clickpost = ClickPost(*CREDENTIALS, base_url=sandbox.base_url)
    for number in range(3):
        order = trio.run(clickpost.orders.create, india_order(f"T-{number}"))
        assert order.reference_number == f"T-{number}"
    gc.collect()
