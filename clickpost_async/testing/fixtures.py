"""A sandbox for tests with pytest: import the fixture in `conftest.py`, and take it by its name.

    from clickpost_async.testing.fixtures import clickpost_sandbox

    async def test_my_checkout(clickpost_sandbox):
        clickpost_sandbox.faults.next("drop_after")
        async with ClickPost(
            clickpost_sandbox.credentials, hosts=clickpost_sandbox.hosts
        ) as clickpost:
            ...
        assert len(clickpost_sandbox.ledger()) == 1

It serves on a free port, from a thread of its own: tests may be async or not, with any plugin.
What the process remembers of orders is forgotten before the test and after it, so that tests may
use the same reference numbers. Where there is no sandbox, `clickpost_reset` does so for every test.
"""

from collections.abc import Iterator

try:
    import pytest
except ImportError as _missing:
    raise ImportError("the fixtures need pytest: pip install pytest") from _missing

from clickpost_async.sandbox import Sandbox
from clickpost_async.testing import reset


@pytest.fixture(autouse=True)
def clickpost_reset() -> Iterator[None]:
    """Forget before and after every test which orders are under way or in doubt."""
    reset()
    yield
    reset()


@pytest.fixture
def clickpost_sandbox() -> Iterator[Sandbox]:
    """Serve a sandbox of its own for a test, the same one every time: with seed 0."""
    reset()
    sandbox = Sandbox()
    sandbox.start()
    try:
        yield sandbox
    finally:
        sandbox.stop()
        sandbox.close()
        reset()
