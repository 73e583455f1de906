"""One measurement in a process of its own, which ends with it.

A process that has done nothing else has no memory to reuse, no caches to profit from, and imports
only what it measures.
"""

import importlib
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


class ChildError(Exception):
    """A measurement came to nothing; the message says why in one line."""


class MissingError(ChildError):
    """It was not made, since something is not installed."""


def call(
    where: str,
    arguments: Mapping[str, Any],
    *,
    timeout: float,
    needs: Sequence[str] = (),
    without: Sequence[str] = (),
) -> dict[str, float]:
    """Call `module:function` of the benchmarks in a new process, and return what it returned.

    `without` names modules that it cannot import, as if they were not installed; `needs` those
    without which it would measure something else.
    """
    task = json.dumps({"arguments": arguments, "needs": needs, "without": without})
    command = [sys.executable, "-m", "benchmarks._child", where, task]
    try:
        ran = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired:
        raise ChildError(f"did not end within {timeout:g} s") from None
    if ran.returncode:
        raise failure(ran.stderr, ran.returncode)
    found: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    return found


def failure(errors: str, code: int) -> ChildError:
    """Return why a process failed, from the last line of its standard error."""
    last = (errors.strip().splitlines() or [f"ended with {code}"])[-1]
    # Our optional packages name the extra to install.
    missing = last.startswith("ModuleNotFoundError") or "pip install" in last
    return (MissingError if missing else ChildError)(last)


def main() -> None:
    """Be the new process."""
    where, encoded = sys.argv[1:]
    task = json.loads(encoded)
    for name in task["without"]:
        sys.modules[name] = None  # type: ignore[assignment]
    for name in task["needs"]:
        importlib.import_module(name)
    module, _, function = where.partition(":")
    found = getattr(importlib.import_module(f"benchmarks.{module}"), function)(**task["arguments"])
    print(json.dumps(found))


if __name__ == "__main__":
    main()
