"""Event loops of every kind leave no descriptor open; tests/http/test_loop_ends.py has all endings.

Calls go through `ClickPost`, to a sandbox in another process, whose descriptors are not counted.
"""

import asyncio
import gc
from collections.abc import Iterator

import pytest

from clickpost_async import ClickPost
from clickpost_async._http.per_loop_adapter import PerLoopAdapter
from tests.environments.runners import RUNNERS
from tests.helpers.descriptors import descriptors, needs_descriptors_listed
from tests.helpers.process_servers import process
from tests.sandbox.samples import CREDENTIALS

pytestmark = needs_descriptors_listed


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


def descriptors_in_use() -> int:
    gc.collect()
    return descriptors()


# A transport of asyncio warns when it is collected, where its loop was closed before.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_loops_closed_by_hand_leave_descriptors_where_nothing_sweeps_them(
    clickpost: ClickPost, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The control: what the count is of.
    monkeypatch.setattr("clickpost_async._concurrency.per_loop.PerLoop.sweep", lambda _: None)
    held = []
    before = descriptors_in_use()
    for _ in range(5):
        loop = asyncio.new_event_loop()
        loop.run_until_complete(call(clickpost))
        assert isinstance(clickpost._transport, PerLoopAdapter)
        held.append(loop)
    assert descriptors_in_use() >= before + 5
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

    RUNNERS[name](main)
    before = descriptors_in_use()
    for _ in range(10):
        RUNNERS[name](main)

    assert descriptors_in_use() <= before
