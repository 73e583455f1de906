"""Fixtures for pytest: import them in `conftest.py`.

    from clickpost_async.testing.fixtures import clickpost_offline, clickpost_sandbox

    async def test_my_checkout(clickpost_sandbox):
        clickpost_sandbox.faults.next("drop_after")
        async with ClickPost() as clickpost:
            ...
        assert len(clickpost_sandbox.ledger()) == 1

`clickpost_sandbox` serves on a free port, from a thread of its own: tests may be async or not, with
any plugin. `clickpost_offline` keeps tests that take no sandbox away from the real ClickPost.
What the process remembers of orders is forgotten before the test and after it, so that tests may
use the same reference numbers. Where there is no sandbox, `clickpost_reset` does so for every test.
"""

from collections.abc import Iterator

try:
    import pytest
except ImportError as _missing:
    raise ImportError("the fixtures need pytest: pip install pytest") from _missing

from clickpost_async.sandbox import Sandbox
from clickpost_async.testing import offline, reset


@pytest.fixture(scope="session", autouse=True)
def clickpost_offline() -> Iterator[str]:
    """Let no client reach the real ClickPost for want of another address; see `offline`."""
    with offline() as base_url:
        yield base_url


@pytest.fixture(autouse=True)
def clickpost_reset() -> Iterator[None]:
    """Forget before and after every test which orders are under way or in doubt."""
    reset()
    yield
    reset()


@pytest.fixture
def clickpost_sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """Serve a sandbox of its own for a test, the same one every time: with seed 0.

    Its address, username and key are in the environment, where `ClickPost()`, other processes and
    the command line find them.
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
