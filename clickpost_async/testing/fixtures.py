"""Fixtures that act on every test, for those who import them in `conftest.py`.

    from clickpost_async.testing.fixtures import clickpost_offline, clickpost_reset

`clickpost_offline` keeps tests from calling the real ClickPost, and `clickpost_reset` lets them use
the same reference numbers. `clickpost_sandbox` needs no import: pytest finds it by the package's
entry point. It serves on a free port, in a separate thread, so tests may be async or not, with
any plugin:

    async def test_my_checkout(clickpost_sandbox):
        clickpost_sandbox.faults.next("drop_after")
        async with ClickPost() as clickpost:
            ...
        assert len(clickpost_sandbox.ledger()) == 1

"""

from collections.abc import Iterator

from clickpost_async._util.extras import require

with require("the fixtures need pytest", "pytest"):
    import pytest

from clickpost_async.testing import offline, reset
from clickpost_async.testing.plugin import clickpost_sandbox


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


__all__ = ["clickpost_offline", "clickpost_reset", "clickpost_sandbox"]
