"""Event loops that end in every way there is: a client leaves no file descriptor open behind them.

Calls go through `ClickPost`, to a sandbox in another process, whose descriptors are not counted.
"""

import asyncio
import gc
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from asgiref.sync import async_to_sync

from clickpost_async import ClickPost
from clickpost_async._http.per_loop_adapter import PerLoopAdapter
from tests.environments.runners import RUNNERS
from tests.helpers.process_servers import process
from tests.sandbox.samples import CREDENTIALS

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/fd").exists(), reason="counts descriptors as Linux lists them"
)
LOOPS = 300


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with process() as server:
        yield server.url


@pytest.fixture
def clickpost(url: str) -> ClickPost:
    return ClickPost(CREDENTIALS["username"], CREDENTIALS["key"], base_url=url)


async def call(clickpost: ClickPost) -> None:
    assert (await clickpost.health()).response.status == 200
    assert clickpost.stats().connections == 1


def open_descriptors() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - they are counted


def closed_by_hand(factory: Callable[[], asyncio.AbstractEventLoop], clickpost: ClickPost) -> None:
    """Use a loop as Celery tasks and Flask views do."""
    loop = factory()
    try:
        loop.run_until_complete(call(clickpost))
    finally:
        loop.close()


def loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    factories = {"asyncio": asyncio.new_event_loop}
    if "uvloop" in RUNNERS:
        import uvloop

        factories["uvloop"] = uvloop.new_event_loop
    return factories


# A transport of asyncio's says so when it is collected, where a loop was closed under it.
abandoned = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


@abandoned
@pytest.mark.parametrize("factory", loop_factories().values(), ids=loop_factories())
def test_loops_closed_by_hand_leave_no_descriptor(
    factory: Callable[[], asyncio.AbstractEventLoop], clickpost: ClickPost
) -> None:
    closed_by_hand(factory, clickpost)
    asyncio.run(call(clickpost))  # what the loop before has left is closed when the next one calls
    before = open_descriptors()
    for _ in range(LOOPS):
        closed_by_hand(factory, clickpost)
    asyncio.run(call(clickpost))

    assert open_descriptors() <= before
    asyncio.run(clickpost.aclose())


@abandoned
def test_loops_closed_by_hand_leave_descriptors_where_nothing_sweeps_them(
    clickpost: ClickPost, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The control: what the count is of.
    monkeypatch.setattr("clickpost_async._concurrency.per_loop.PerLoop.sweep", lambda _: None)
    held = []
    before = open_descriptors()
    for _ in range(5):
        loop = asyncio.new_event_loop()
        loop.run_until_complete(call(clickpost))
        assert isinstance(clickpost._transport, PerLoopAdapter)
        held.append(loop)
    assert open_descriptors() >= before + 5
    for loop in held:
        loop.run_until_complete(clickpost._transport.aclose())
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


@pytest.mark.parametrize("name", [name for name in RUNNERS if "debug" not in name])
def test_loops_that_are_run_to_their_end_leave_no_descriptor(
    name: str, clickpost: ClickPost
) -> None:
    async def main() -> None:
        await call(clickpost)

    runs = LOOPS if name == "asyncio" else LOOPS // 30
    RUNNERS[name](main)
    before = open_descriptors()
    for _ in range(runs):
        if name == "asyncio":
            asyncio.run(main())
        else:
            RUNNERS[name](main)

    assert open_descriptors() <= before


def test_calls_from_threads_by_async_to_sync_leave_no_descriptor(clickpost: ClickPost) -> None:
    health = async_to_sync(clickpost.health)

    def ask(_: int) -> int:
        return health().response.status

    def ask_from_threads(times: int) -> set[int]:
        with ThreadPoolExecutor(4) as pool:
            return set(pool.map(ask, range(times)))

    ask_from_threads(8)
    before = open_descriptors()

    assert ask_from_threads(LOOPS) == {200}
    assert open_descriptors() <= before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_forks_leave_no_descriptor_in_the_parent_and_none_of_its_in_use(
    clickpost: ClickPost,
) -> None:
    async def parent() -> None:
        await call(clickpost)
        for _ in range(3):
            child = os.fork()
            if not child:
                os._exit(_in_a_child(clickpost))
            _, status = await asyncio.to_thread(os.waitpid, child, 0)
            assert os.waitstatus_to_exitcode(status) == 0
            await call(clickpost)

    asyncio.run(parent())
    before = open_descriptors()
    asyncio.run(parent())

    assert open_descriptors() <= before


def _in_a_child(clickpost: ClickPost) -> int:
    """Return 0 where a forked process can call, on a loop of its own."""
    try:
        asyncio.events._set_running_loop(None)
        asyncio.run(call(clickpost))
        first = open_descriptors()
        for _ in range(3):
            asyncio.run(call(clickpost))
        return 0 if open_descriptors() <= first else 1
    except BaseException:  # noqa: BLE001 - nobody is there to see it
        return 2
