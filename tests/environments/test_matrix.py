"""Every line of the contract on every event loop, over both transports of this package.

`pytest tests/environments -s` prints the table of the default transport.
"""

import shutil
import sys
from pathlib import Path

import pytest

from tests.environments.contract import CONTRACT, NEEDS_ASYNCIO
from tests.environments.runners import RUNNERS, on_asyncio
from tests.helpers.transports import TRANSPORTS, make_default

CELLS = [
    (environment, check, transport)
    for transport in TRANSPORTS
    for environment in RUNNERS
    for check in CONTRACT
    if environment != "trio" or not (transport == "httptools" or check in NEEDS_ASYNCIO)
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


@pytest.mark.parametrize(("environment", "check", "transport"), CELLS)
def test_contract_holds_in_every_environment(
    environment: str,
    check: str,
    transport: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if check in NEEDS_ASYNCIO and shutil.which("redis-server") is None:
        pytest.fail("redis-server is missing; on Debian: apt install redis-server")
    make_default(TRANSPORTS[transport], monkeypatch)
    CONTRACT[check](RUNNERS[environment], tmp_path)
    if transport == "default":
        _passed.add((environment, check))


def test_every_environment_is_there_that_this_python_and_system_have() -> None:
    expected = {"asyncio", "asyncio, debug mode", "trio"}
    if sys.platform != "win32":
        expected.add("uvloop")
    if sys.version_info >= (3, 12):
        expected.add("asyncio, eager tasks")

    assert set(RUNNERS) == expected


def test_warning_of_the_event_loop_fails_a_contract() -> None:
    import asyncio

    async def main() -> None:
        async def fails() -> None:
            raise LookupError

        # Nobody asks for what became of it.
        task = asyncio.create_task(fails())
        await asyncio.wait([task])

    with pytest.raises(AssertionError, match="never retrieved"):
        on_asyncio(main)
