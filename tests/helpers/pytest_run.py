"""Runs pytest in a user's folder, in an environment without ClickPost settings."""

import os
import subprocess
import sys
from pathlib import Path


def run_pytest(folder: Path) -> str:
    """Return what it prints; it has to succeed."""
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", str(folder)],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if "CLICKPOST" not in name},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout
    return run.stdout
