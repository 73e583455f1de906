"""The demo command."""

import csv
import os
import re
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

from clickpost_async.bulk import read_orders
from clickpost_async.cli.demo import run


@pytest.fixture
def some_orders(tmp_path: Path) -> Path:
    """A file of some of the orders that ship: the first that can be read, and one that cannot."""
    with resources.as_file(resources.files("clickpost_async.files") / "orders.csv") as shipped:
        rows = list(read_orders(shipped))
        with shipped.open(encoding="utf-8", newline="") as opened:
            lines = list(csv.reader(opened))
    good = next(row for row in rows if not row.problems and row.number == row.last)
    bad = next(row for row in rows if row.problems)
    file = tmp_path / "some.csv"
    with file.open("w", encoding="utf-8", newline="") as opened:
        # A reference that comes twice is refused where the file is read.
        csv.writer(opened).writerows([lines[0], lines[good.number - 1], lines[bad.number - 1]])
    return file


def cells(text: str) -> dict[str, str]:
    """Read the summary's rows."""
    found = re.findall(r"^│ ([^│]+?) +│ +([\d.]+) │$", text, re.MULTILINE)
    return dict(found)


@pytest.mark.asyncio
async def test_file_of_orders_becomes_waybills_and_reasons(
    some_orders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = await run(some_orders, rate=1000, faults=False)
    output = capsys.readouterr().out

    assert code == 0
    assert re.search(r"sandbox at http://127\.0\.0\.1:\d+/api, 2 orders in some\.csv", output)
    summary = cells(output)
    assert float(summary.pop("seconds")) >= 0
    assert summary == {
        "placed": "1",
        "already placed: repeated in the file": "0",
        "rejected": "1",
        "outcome unknown": "0",
        "still pending": "0",
        "orders in the file": "2",
        "labels bought, by the sandbox's ledger": "1",
        "orders with two labels": "0",
        "requests to create orders": summary["requests to create orders"],
        "of these, retries": summary["of these, retries"],
    }
    assert re.search(r"^│ +3 │ \S+ +│ (?!row)", output, re.MULTILINE)
    assert "what happened, and what to do" not in output
    assert "clickpost bulk FILE --dry-run" in output
    [path] = re.findall(r"^  (\S+results\.csv)$", output, re.MULTILINE)
    results = csv.DictReader(Path(path).read_text(encoding="utf-8-sig").splitlines())
    outcomes = [row["outcome"] for row in results]
    assert sorted(outcomes) == ["placed", "rejected"]


def test_command_runs_the_whole_job() -> None:
    output = subprocess.run(
        [sys.executable, "-W", "error", "-m", "clickpost_async", "demo", "--rate", "1000"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ | {"COLUMNS": "100"},
    )

    assert (output.returncode, output.stderr) == (0, "")
    summary = cells(output.stdout)
    repeated = "already placed: repeated in the file"
    names = ("placed", repeated, "rejected", "outcome unknown", "still pending")
    total = sum(int(summary[name]) for name in names)
    assert total == int(summary["orders in the file"])
    assert summary["placed"] == summary["labels bought, by the sandbox's ledger"]
    with resources.as_file(resources.files("clickpost_async.files") / "orders.csv") as shipped:
        assert total == sum(1 for _ in read_orders(shipped)) >= 200
    assert int(summary["placed"]) > 200
    assert int(summary["rejected"]) > 10
    assert int(summary["of these, retries"]) > 0
    assert summary["orders with two labels"] == "0"
