"""The rehearsal for Windows, in processes that have lost what Windows lacks."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from clickpost_async.sandbox import Sandbox
from tests.docs.pages import ROOT
from tests.environments.contract import CONTRACT, NEEDS_ASYNCIO, sandbox
from tests.sandbox.samples import CREDENTIALS, india_order

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="takes away what Linux has")


def rehearsed(*words: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-X", "warn_default_encoding", "-m", "tests.environments.windows", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environ},
    )


def test_windows_rehearsal_keeps_the_contract_and_locks_the_journal() -> None:
    done = rehearsed()

    assert done.returncode == 0, done.stderr
    checks = [*(name for name in CONTRACT if name not in NEEDS_ASYNCIO), "a journal is locked"]
    assert done.stdout.splitlines() == [f"{check}: passed" for check in checks]


def test_windows_rehearsal_runs_and_resumes_a_file_by_the_command_line(tmp_path: Path) -> None:
    file, journal = tmp_path / "orders.jsonl", tmp_path / "run.db"
    orders = [india_order(f"R-{number}") for number in range(20)]
    file.write_text("".join(f"{json.dumps(order)}\n" for order in orders), encoding="utf-8")
    with sandbox() as server:
        environ = {
            "CLICKPOST_USERNAME": CREDENTIALS["username"],
            "CLICKPOST_API_KEY": CREDENTIALS["key"],
            "CLICKPOST_BASE_URL": server.url,
        }
        for _ in range(2):
            done = rehearsed(
                *("clickpost", "bulk", str(file), "--journal", str(journal), "--quiet"), **environ
            )
            assert done.returncode == 0, done.stderr

        assert isinstance(server.sandbox, Sandbox)
        ledger = server.sandbox.ledger()
        assert sorted(ledger) == sorted(f"R-{number}" for number in range(20))
        assert {len(waybills) for waybills in ledger.values()} == {1}


def test_windows_rehearsal_shows_the_help_of_the_command_line() -> None:
    done = rehearsed("clickpost", "--help")

    assert done.returncode == 0, done.stderr
    assert "Create, label, track and return parcels" in done.stdout
