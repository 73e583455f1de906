"""A process killed at every point of every journal transition, and of the journal's creation."""

import asyncio
import json
import signal
import sys
from pathlib import Path

import pytest

from clickpost_async.bulk import status
from clickpost_async.bulk.records import JournalState
from tests.bulk.process_crash import POINTS, TRANSITIONS
from tests.bulk.process_kills import Watching
from tests.helpers.http_server import until


async def run(*arguments: str) -> int:
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bulk.process_crash", *arguments),
        stdout=asyncio.subprocess.DEVNULL,
    )
    return await child.wait()


@pytest.mark.fault("L02")
@pytest.mark.parametrize("transition", TRANSITIONS)
@pytest.mark.parametrize("point", POINTS)
@pytest.mark.asyncio
async def test_l02_kill_at_any_point_of_any_transition_loses_and_duplicates_nothing(
    transition: str, point: str, tmp_path: Path
) -> None:
    journal = tmp_path / "run.db"
    sandbox = Watching(journal, racy=True, courier_seconds=0.01)
    async with sandbox:
        killed = await run(sandbox.base_url, str(journal), "--at", transition, point)
        ended = await run(sandbox.base_url, str(journal))
        await until(lambda: not sandbox.traffic.in_flight)

    assert (killed, ended) == (-signal.SIGKILL, 0)
    assert sandbox.unannounced == []
    assert {name: len(bought) for name, bought in sandbox.ledger().items()} == {
        f"KILL-{number}": 1 for number in range(4)
    }
    assert status(journal).counts[JournalState.PLACED] == 4


@pytest.mark.fault("L02")
@pytest.mark.asyncio
async def test_l02_journal_whose_maker_was_killed_at_any_point_can_be_opened_again(
    tmp_path: Path,
) -> None:
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bulk.journal_crash", str(tmp_path)),
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await child.communicate()
    assert child.returncode == 0
    found = json.loads(output)
    # Before and after each statement and call, and in the middle of the writes of each file.
    assert found["killed"]["step"] > 50
    assert found["killed"]["size"] > 30
    assert found["unusable"] == []
