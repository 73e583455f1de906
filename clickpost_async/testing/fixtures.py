"""Fixtures for pytest: import them in `conftest.py`.

    from clickpost_async.testing.fixtures import clickpost_offline, clickpost_sandbox

    async def test_my_checkout(clickpost_sandbox):
        clickpost_sandbox.faults.next("drop_after")
        async with ClickPost() as clickpost:
            ...
        assert len(clickpost_sandbox.ledger()) == 1

`clickpost_sandbox` serves on a free port, in a thread of its own: tests may be async or not, with
any plugin. `clickpost_offline` keeps tests without a sandbox from calling the real ClickPost. The
orders that the process has stored are forgotten before and after the test, so that tests may use
the same reference numbers; without a sandbox, `clickpost_reset` does so for every test.
"""

from collections.abc import Iterator

from clickpost_async._util.extras import require

with require("the fixtures need pytest", "pytest"):
    import pytest

from clickpost_async.sandbox import Sandbox
from clickpost_async.testing import offline, reset


@pytest.fixture(scope="session", autouse=True)
def clickpost_offline() -> Iterator[str]:
    """Keep clients without a base URL from calling the real ClickPost; see `offline`."""
    with offline() as base_url:
        yield base_url


@pytest.fixture(autouse=True)
def clickpost_reset() -> Iterator[None]:
    """Forget before and after every test which orders are in flight or in doubt."""
    reset()
    yield
    reset()


@pytest.fixture
def clickpost_sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """Serve a new sandbox for a test, deterministic by seed 0.

    Its address, username and key are set in the environment, where `ClickPost()`, other processes
    and the command line read them.
    """
    reset()
    sandbox = Sandbox()
    sandbox.start()
    monkeypatch.setenv("CLICKPOST_BASE_URL", sandbox.base_url)
    monkeypatch.setenv("CLICKPOST_USERNAME", sandbox.username)
    monkeypatch.setenv("CLICKPOST_API_KEY", sandbox.api_key)
    try:
        yield sandbox
    finally:
        sandbox.stop()
        sandbox.close()
        reset()
