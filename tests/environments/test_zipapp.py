"""The package in a zip archive that Python runs: `python clickpost.pyz`."""

import json
import os
import shutil
import subprocess
import sys
import zipapp
from pathlib import Path

import pytest

from tests.environments.contract import started_sandbox
from tests.sandbox.samples import CREDENTIALS, india_order

ROOT = Path(__file__).parents[2]
ORDER = """
import asyncio, json, sys
from clickpost_async import ClickPost
import clickpost_async
assert ".pyz" in clickpost_async.__file__, clickpost_async.__file__

async def main():
    async with ClickPost() as clickpost:
        return await clickpost.orders.create(json.load(sys.stdin))

print(asyncio.run(main()).waybill)
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pack the package; what it depends on is installed beside it."""
    folder = tmp_path_factory.mktemp("zipapp")
    source, target = folder / "source", folder / "clickpost.pyz"
    skip = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "clickpost_async", source / "clickpost_async", ignore=skip)
    zipapp.create_archive(source, target, main="clickpost_async.cli:main", compressed=True)
    return target


def run(archive: Path, *words: str, stdin: str = "", **environ: str) -> str:
    done = subprocess.run(
        [sys.executable, *words],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd=archive.parent,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(archive), **environ},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_zipapp_shows_help(archive: Path) -> None:
    assert "Create, label, track and return parcels" in run(archive, str(archive), "--help")


def test_zipapp_places_an_order(archive: Path) -> None:
    with started_sandbox() as sandbox:
        printed = run(
            archive,
            "-c",
            ORDER,
            stdin=json.dumps(india_order("R-1")),
            CLICKPOST_USERNAME=CREDENTIALS["username"],
            CLICKPOST_API_KEY=CREDENTIALS["key"],
            CLICKPOST_BASE_URL=sandbox.base_url,
        )

        assert sandbox.ledger() == {"R-1": (printed.strip(),)}
