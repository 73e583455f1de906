"""The rehearsal for Windows, in processes without what Windows lacks."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from clickpost_async.sandbox import Sandbox
from tests.docs.pages import ROOT
from tests.environments.contract import CONTRACT, NEEDS_ASYNCIO, started_sandbox
from tests.sandbox.samples import CREDENTIALS, india_order

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="takes away what Linux has")


def rehearsed(*words: str, stdin: str = "", **environ: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-X", "warn_default_encoding", "-m", "tests.environments.windows", *words],
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=600,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environ},
    )


def account(sandbox: Sandbox) -> dict[str, str]:
    return {
        "CLICKPOST_USERNAME": CREDENTIALS["username"],
        "CLICKPOST_API_KEY": CREDENTIALS["key"],
        "CLICKPOST_BASE_URL": sandbox.base_url,
    }


def test_windows_rehearsal_keeps_the_contract_and_locks_the_journal() -> None:
    done = rehearsed()

    assert done.returncode == 0, done.stderr
    checks = [*(name for name in CONTRACT if name not in NEEDS_ASYNCIO), "a journal is locked"]
    assert done.stdout.splitlines() == [f"{check}: passed" for check in checks]


def test_windows_rehearsal_runs_and_resumes_a_file_by_the_command_line(tmp_path: Path) -> None:
    file, journal = tmp_path / "orders.jsonl", tmp_path / "run.db"
    orders = [india_order(f"R-{number}") for number in range(20)]
    file.write_text("".join(f"{json.dumps(order)}\n" for order in orders), encoding="utf-8")
    with started_sandbox() as sandbox:
        for _ in range(2):
            done = rehearsed(
                *("clickpost", "bulk", str(file), "--journal", str(journal), "--quiet"),
                **account(sandbox),
            )
            assert done.returncode == 0, done.stderr
            assert "Traceback" not in done.stderr

        ledger = sandbox.ledger()
        assert sorted(ledger) == sorted(f"R-{number}" for number in range(20))
        assert {len(waybills) for waybills in ledger.values()} == {1}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_windows_rehearsal_reads_and_prints_what_the_code_page_lacks(
    encoding: str, tmp_path: Path
) -> None:
    file = tmp_path / "order.json"
    file.write_text(json.dumps(india_order("पेन-1"), ensure_ascii=False), encoding=encoding)
    with started_sandbox() as sandbox:
        created = rehearsed("clickpost", "orders", "create-india", str(file), **account(sandbox))
        assert (created.returncode, created.stderr) == (0, "")
        assert json.loads(created.stdout)["reference_number"] == "पेन-1"
        assert list(sandbox.ledger()) == ["पेन-1"]


def test_windows_rehearsal_reads_standard_input_as_utf8() -> None:
    order = json.dumps(india_order("पेन-2"), ensure_ascii=False)
    with started_sandbox() as sandbox:
        created = rehearsed(
            *("clickpost", "orders", "create-india", "-"), stdin=order, **account(sandbox)
        )
        assert (created.returncode, created.stderr) == (0, "")
        assert list(sandbox.ledger()) == ["पेन-2"]


def test_windows_rehearsal_shows_the_help_of_the_command_line() -> None:
    done = rehearsed("clickpost", "--help")

    assert done.returncode == 0, done.stderr
    assert "Create, label, track and return parcels" in done.stdout
