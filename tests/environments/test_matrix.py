"""Every line of the contract on every event loop; `pytest tests/environments -s` prints the table.

The default transport is meant: it is the one whose connections are of this package's own making.
"""

import shutil
import sys
from pathlib import Path

import pytest

from tests.environments.contract import CONTRACT, NEEDS_ASYNCIO
from tests.environments.runners import RUNNERS, on_asyncio

CELLS = [
    (environment, check)
    for environment in RUNNERS
    for check in CONTRACT
    if environment != "trio" or check not in NEEDS_ASYNCIO
]
_passed: set[tuple[str, str]] = set()


@pytest.fixture(scope="module", autouse=True)
def table(request: pytest.FixtureRequest) -> "object":
    """Print which environment passed which check."""
    yield
    wide = max(map(len, CONTRACT))
    lines = ["", " ".join([" " * wide, *RUNNERS])]
    for check in CONTRACT:
        words = [
            ("passed" if (name, check) in _passed else "-").ljust(len(name)) for name in RUNNERS
        ]
        lines.append(" ".join([check.ljust(wide), *words]))
    print("\n".join(lines))  # noqa: T201 - with -s


@pytest.mark.parametrize(("environment", "check"), CELLS)
def test_contract_holds_in_every_environment(environment: str, check: str, tmp_path: Path) -> None:
    if check in NEEDS_ASYNCIO and shutil.which("redis-server") is None:
        pytest.fail("redis-server is missing; on Debian: apt install redis-server")
    CONTRACT[check](RUNNERS[environment], tmp_path)
    _passed.add((environment, check))


def test_every_environment_is_there_that_this_python_and_system_have() -> None:
    expected = {"asyncio", "asyncio, debug mode", "trio"}
    if sys.platform != "win32":
        expected.add("uvloop")
    if sys.version_info >= (3, 12):
        expected.add("asyncio, eager tasks")

    assert set(RUNNERS) == expected


def test_a_warning_of_the_event_loop_fails_a_contract() -> None:
    import asyncio

    async def main() -> None:
        async def fails() -> None:
            raise LookupError

        # Nobody asks for what became of it.
        task = asyncio.create_task(fails())
        await asyncio.wait([task])

    with pytest.raises(AssertionError, match="never retrieved"):
        on_asyncio(main)
