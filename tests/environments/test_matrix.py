"""The contract on every event loop, over both transports of this package.

`pytest tests/environments/test_matrix.py -s` prints how many cells passed, as a table.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.environments.contract import CONTRACT, NEEDS_ASYNCIO
from tests.environments.runners import RUNNERS, on_asyncio
from tests.helpers.programs import program
from tests.helpers.transports import TRANSPORTS, make_default

CELLS = [
    (environment, check, transport)
    for transport in TRANSPORTS
    for environment in RUNNERS
    for check in CONTRACT
    if environment != "trio" or not (transport == "httptools" or check in NEEDS_ASYNCIO)
]
_passed: Counter[tuple[str, str]] = Counter()


@pytest.fixture(scope="module", autouse=True)
def table() -> Iterator[None]:
    """Print on how many transports each check passed, by environment."""
    yield
    wide = max(map(len, CONTRACT))
    print("\n" + "  ".join([" " * wide, *RUNNERS]))  # noqa: T201 - with -s, as below
    for check in CONTRACT:
        cells = (
            f"{_passed[name, check]}/{sum(cell[:2] == (name, check) for cell in CELLS)}"
            for name in RUNNERS
        )
        row = [cell.ljust(len(name)) for cell, name in zip(cells, RUNNERS, strict=True)]
        print("  ".join([check.ljust(wide), *row]))  # noqa: T201


@pytest.mark.parametrize(("environment", "check", "transport"), CELLS)
def test_contract_holds_in_every_environment(
    environment: str,
    check: str,
    transport: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if check in NEEDS_ASYNCIO:
        program("redis-server")
    make_default(TRANSPORTS[transport], monkeypatch)
    CONTRACT[check](RUNNERS[environment], tmp_path)
    _passed[environment, check] += 1


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

        task = asyncio.create_task(fails())
        await asyncio.wait([task])  # its exception is not retrieved

    with pytest.raises(AssertionError, match="never retrieved"):
        on_asyncio(main)
