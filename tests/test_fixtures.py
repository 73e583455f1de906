"""The fixture of the pytest plugin, used as users do."""

import threading
from pathlib import Path

import pytest

from clickpost_async import ClickPost
from clickpost_async.sandbox import Sandbox
from tests.helpers.pytest_run import run_pytest
from tests.sandbox.samples import india_order

WAYBILLS: list[str | None] = []


@pytest.mark.parametrize("time", ["first", "second"])
@pytest.mark.asyncio
async def test_every_test_gets_a_sandbox_of_its_own_that_is_the_same(
    clickpost_sandbox: Sandbox, time: str
) -> None:
    clickpost_sandbox.faults.next("drop_after")
    async with ClickPost(
        clickpost_sandbox.username, clickpost_sandbox.api_key, base_url=clickpost_sandbox.base_url
    ) as clickpost:
        created = await clickpost.orders.create(india_order("PEN-1"))

    WAYBILLS.append(created.waybill)
    assert clickpost_sandbox.ledger() == {"PEN-1": (created.waybill,)}
    assert len({*WAYBILLS}) == 1


def test_synchronous_test_may_use_the_fixture(clickpost_sandbox: Sandbox) -> None:
    assert clickpost_sandbox.base_url.startswith("http://127.0.0.1:")
    assert clickpost_sandbox.page == clickpost_sandbox.base_url.removesuffix("api")


@pytest.mark.asyncio
async def test_sandbox_serves_within_its_block_and_keeps_its_state_afterwards() -> None:
    async with Sandbox() as sandbox:
        async with ClickPost(
            sandbox.username, sandbox.api_key, base_url=sandbox.base_url
        ) as clickpost:
            await clickpost.orders.create(india_order("PEN-1"))
        with pytest.raises(RuntimeError, match="is already running"):
            sandbox.start()

    assert list(sandbox.ledger()) == ["PEN-1"]
    assert [call.operation for call in sandbox.requests()] == ["orders.create_india"]
    assert "clickpost sandbox" not in {thread.name for thread in threading.enumerate()}
    with pytest.raises(RuntimeError, match="is not running"):
        _ = sandbox.base_url


def test_plugin_imports_nothing_and_acts_on_no_test(tmp_path: Path) -> None:
    (tmp_path / "test_shop.py").write_text(
        "import os, sys\n\n\n"
        "def test_unconcerned(request):\n"
        "    assert not [n for n in request.fixturenames if 'clickpost' in n]\n"
        "    assert 'CLICKPOST_BASE_URL' not in os.environ\n"
        "    loaded = {name for name in sys.modules if name.startswith('clickpost_async')}\n"
        "    assert sorted(loaded) == [\n"
        "        'clickpost_async', 'clickpost_async.testing', 'clickpost_async.testing.plugin'\n"
        "    ]\n\n\n"
        "def test_concerned(clickpost_sandbox):\n"
        "    assert os.environ['CLICKPOST_BASE_URL'] == clickpost_sandbox.base_url\n"
    )
    assert "2 passed" in run_pytest(tmp_path)
