"""The README stays short, its links resolve, and its program runs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from clickpost_async.endpoints import CATALOG
from tests.docs.pages import README, ROOT, blocks

TEXT = README.read_text(encoding="utf-8")


def test_readme_is_short() -> None:
    assert len(TEXT.splitlines()) < 200


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\((?!https:)([^)#]+)", TEXT))))
def test_link_leads_to_a_file(link: str) -> None:
    assert (ROOT / link).is_file()


def test_readme_counts_the_operations() -> None:
    assert f"All {len(CATALOG)} operations" in TEXT


def test_program_runs_as_it_stands(tmp_path: Path) -> None:
    [program] = [block.text for block in blocks(README) if "asyncio.run" in block.text]
    (tmp_path / "first.py").write_text(program, "utf-8")

    done = subprocess.run(
        [sys.executable, "first.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    waybill, label, last = re.split(r"\s", done.stdout.strip(), maxsplit=2)
    assert label == f"http://127.0.0.1:{label.split(':')[2].split('/')[0]}/labels/{waybill}.pdf"
    assert last == "bought twice: False"
