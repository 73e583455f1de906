"""The benchmarks run, judge their results correctly, and update the pages."""

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import _pages, _targets, codec, limiters
from benchmarks._figures import Figures, NotMeasuredError, Part
from benchmarks._measure import Row
from benchmarks._rate_windows import fullest, over
from benchmarks._tables import put, spread

ROOT = Path(__file__).resolve().parents[1]

# So much is measured with what the tests have installed.
OURS = {
    "codec": {"with": codec.PLAIN},
    "limiters": {"limiter": limiters.OURS},
    "imports": {"import": "clickpost_async"},
}


def part(*rows: Row, quick: bool = False) -> Part:
    machine = {"system": "Linux", "cores": 2, "processor": "one", "python": "CPython 3.13.0"}
    versions = {"httpx": "0.28.1"}
    return Part(quick=quick, when="2026-01-01", machine=machine, versions=versions, rows=rows)


def row(labels: dict[str, Any], **figures: float) -> Row:
    return Row(labels=labels, found={name: [value] for name, value in figures.items()})


# --- they run -----------------------------------------------------------------------------------


def test_quick_run_measures_what_is_installed_and_lists_what_is_missing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "--quick", "--results", str(tmp_path)]
    command += ["--only", *OURS]
    ran = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )

    assert ran.returncode == 0, ran.stderr
    found = Figures.read(tmp_path / "figures.json")
    assert set(found.parts) == set(OURS)
    for name, labels in OURS.items():
        [ours] = found.rows(name, **labels)
        assert ours.failed is None
        assert ours.found
        assert all(math.isfinite(value) for values in ours.found.values() for value in values)
        assert found.parts[name].quick
        assert found.parts[name].versions["clickpost_async"]
    assert all(each.failed is None or each.missing for name in OURS for each in found.rows(name))
    assert (tmp_path / "tables.md").read_text("utf-8").strip() == ran.stdout.strip()
    assert "missed" not in ran.stdout


def test_parts_are_written_and_read_again(tmp_path: Path) -> None:
    before = Figures({"codec": part(row({"with": codec.PLAIN}, out_us=4.5), quick=True)})

    before.write(tmp_path / "figures.json")

    assert json.loads((tmp_path / "figures.json").read_text("utf-8"))
    assert Figures.read(tmp_path / "figures.json").median("codec", "out_us") == 4.5
    assert Figures.read(tmp_path / "figures.json").parts["codec"].quick


# --- they judge ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("milliseconds", "words"),
    [(10.0, "10.0 ms | reached"), (10.1, "10.1 ms | **missed**"), (None, "– | not measured")],
)
def test_target_is_reached_missed_or_not_measured(milliseconds: float | None, words: str) -> None:
    rows = [] if milliseconds is None else [row({"import": "clickpost_async"}, ms=milliseconds)]

    table = _targets.table(Figures({"imports": part(*rows)}))

    assert f"| import of `clickpost_async` | ≤ 10 ms | {words} |" in table.splitlines()


def test_target_is_judged_by_its_worst_round_and_a_cost_by_its_median() -> None:
    labels = {"limiter": limiters.OURS}
    figures = {"over": [0, 0, 1], "used_percent": [98.0, 99.5, 99.6]}
    found = Figures({"limiters": part(Row(labels=labels, found=figures))})

    verdicts = {
        target.what.split()[0]: target.reached(value)
        for target in _targets.TARGETS
        if (value := target.measured(found)) is not None
    }

    assert verdicts == {"calls": False, "of": True}


def test_every_target_can_be_measured() -> None:
    class Everything(Figures):
        def values(self, part: str, figure: str, **labels: Any) -> list[float]:
            asked.add((part, figure))
            return [1.0]

    asked: set[tuple[str, str]] = set()
    found = Everything({})

    assert all(target.measured(found) == 1.0 for target in _targets.TARGETS)
    columns = {name: {each.name for each in _pages.COLUMNS[name]} for name, _ in asked}
    assert all(figure in columns[name] for name, figure in asked)


def test_missing_figure_is_an_error() -> None:
    with pytest.raises(NotMeasuredError):
        Figures({}).median("codec", "out_us")


@pytest.mark.parametrize(
    ("times", "most", "beyond"),
    [
        ([0.0, 0.1, 0.2, 0.3], 4, 0),
        ([0.0, 0.0, 0.1, 0.2], 4, 1),
        ([0.0, 0.05, 0.2, 0.3], 4, 0),
        ([0.0, 5.0, 5.0, 5.0, 9.0], 3, 2),
    ],
)
def test_windows_of_every_length_respect_the_rate(
    times: list[float], most: int, beyond: int
) -> None:
    assert fullest(times, 1.0) == most
    assert over(times, rate=10, burst=1) == beyond


# --- they show ----------------------------------------------------------------------------------


def test_every_part_has_its_place_in_the_pages(tmp_path: Path) -> None:
    (tmp_path / "benchmarks").mkdir()
    for page in ("README.md", "benchmarks/README.md"):
        shutil.copy(ROOT / page, tmp_path / page)
    found = Figures({name: part(row({"what": f"all of {name}"})) for name in _pages.COLUMNS})

    _pages.fill(found, tmp_path)
    once = [(tmp_path / page).read_text("utf-8") for page in ("README.md", "benchmarks/README.md")]
    _pages.fill(found, tmp_path)

    assert all(f"| all of {name} |" in once[1] for name in _pages.COLUMNS)
    assert "benchmarks/results/gather-cpu-light.png" in once[0]
    assert once[0] == (tmp_path / "README.md").read_text("utf-8")
    assert once[1] == (tmp_path / "benchmarks/README.md").read_text("utf-8")


def test_page_without_the_place_is_an_error(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- one -->\n<!-- /one -->\n")

    put(page, "one", "ink")

    assert page.read_text() == "<!-- one -->\nink\n<!-- /one -->\n"
    with pytest.raises(ValueError, match="0 places for two"):
        put(page, "two", "ink")


def test_figure_is_shown_with_its_spread() -> None:
    assert spread([3.0, 1.0, 1234.5]) == "3 (1–1,234)"
    assert spread([2.0, 2.0], 1) == "2.0"
    assert spread([]) == "–"
