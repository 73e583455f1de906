"""Tests whose program is not installed are skipped, and the summary names them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.skipif(os.name == "nt", reason="starts processes as on Linux")

SUITE = """
from tests.helpers.programs import program

def test_concerned():
    program("redis-server")

def test_unconcerned():
    pass
"""
CONFTEST = "from tests.conftest import pytest_terminal_summary  # noqa: F401\n"


def run(folder: Path, ci: str) -> subprocess.CompletedProcess[str]:
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_suite.py").write_text(SUITE)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)],
        cwd=folder,
        env={"PATH": str(folder), "PYTHONPATH": str(ROOT), "CI": ci},
        capture_output=True,
        text=True,
        check=False,
    )


def test_missing_program_skips_its_tests_and_the_last_lines_name_them(tmp_path: Path) -> None:
    done = run(tmp_path, ci="")

    assert done.returncode == 0, done.stdout
    assert "1 passed, 1 skipped" in done.stdout
    assert done.stdout.splitlines()[-2] == (
        "redis-server is not installed; on Debian: apt install redis-server (test_suite.py: 1)"
    )


def test_missing_program_fails_its_tests_in_continuous_integration(tmp_path: Path) -> None:
    done = run(tmp_path, ci="true")

    assert done.returncode == 1
    assert "1 failed, 1 passed" in done.stdout
