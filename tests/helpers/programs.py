"""Programs that some tests start; tests whose program is missing are skipped, and listed.

With `CI=true` nothing may be left out: a missing program fails the tests that need it.
"""

import os
import shutil
from collections import Counter
from pathlib import Path

import pytest

# By the Debian package that has it. PostgreSQL's is in a folder of its version there.
_PACKAGES = {"redis-server": "redis-server", "chromium": "chromium", "postgres": "postgresql"}
_POSTGRES = Path("/usr/lib/postgresql")

_MISSING = "is not installed"


def program(name: str) -> str:
    """Return the path of a program, or skip the test that needs it."""
    found = shutil.which(name)
    if found is None and name == "postgres":
        versions = sorted(
            _POSTGRES.glob("*/bin/postgres"), key=lambda path: path.parent.parent.name
        )
        found = str(versions[0]) if versions else None
    if found is not None:
        return found
    reason = f"{name} {_MISSING}; on Debian: apt install {_PACKAGES[name]}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def left_out(reports: list[pytest.TestReport]) -> list[str]:
    """Return a line for each missing program: how many tests it left out, and of which suites."""
    suites: dict[str, Counter[str]] = {}
    for report in reports:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
        if _MISSING in reason:
            suite = "/".join(report.nodeid.split("::", 1)[0].split("/")[:2])
            suites.setdefault(reason.removeprefix("Skipped: "), Counter())[suite] += 1
    return [
        f"{reason} ({', '.join(f'{suite}: {count}' for suite, count in sorted(found.items()))})"
        for reason, found in sorted(suites.items())
    ]
