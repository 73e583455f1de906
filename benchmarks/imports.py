"""How long an import takes: what `python -X importtime` says of every module that it brings."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence

from benchmarks._child import MissingError
from benchmarks._measure import Case, Row, interleaved
from benchmarks._tables import Column

COLUMNS = (Column("ms", "ms"), Column("modules", "modules"))

LIBRARIES = ("aiohttp", "httpx", "httpx2", "openai", "stripe")

# The package loads a name when it is asked for: creating a client is measured beside it.
STATEMENTS = {
    "clickpost_async": "import clickpost_async",
    "clickpost_async.ClickPost": "from clickpost_async import ClickPost",
    **{name: f"import {name}" for name in ("asyncio", *LIBRARIES)},
}

_NOT_COMPILED = "PYTHONDONTWRITEBYTECODE"

_LINE = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)")


def measure(*, quick: bool) -> Sequence[Row]:
    """Measure this library and some that are like it or below it."""
    cases = [
        Case(labels={"import": name}, arguments={}, rounds=2 if quick else 10, timeout=60)
        for name in STATEMENTS
    ]
    for case in cases:
        # So that all are compiled.
        _imported(STATEMENTS[case.labels["import"]], missing_too=True)
    return interleaved(cases, lambda case: _figures(case.labels["import"]))


def _figures(name: str) -> Mapping[str, float]:
    started = _imported("pass")
    brought = {
        module: microseconds
        for module, microseconds in _imported(STATEMENTS[name]).items()
        if module not in started
    }
    return {"ms": sum(brought.values()) / 1e3, "modules": len(brought)}


def _imported(code: str, *, missing_too: bool = False) -> Mapping[str, int]:
    command = [sys.executable, "-X", "importtime", "-c", code]
    compiling = {name: value for name, value in os.environ.items() if name != _NOT_COMPILED}
    ran = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env=compiling
    )
    if ran.returncode and not missing_too:
        raise MissingError(ran.stderr.strip().splitlines()[-1])
    return {module: int(own) for own, module in _LINE.findall(ran.stderr)}
