"""No tracer, error tracker or recorder exports the key or personal data.

Each tool watches clients that leak, too: where it finds nothing there, it was not looking.
"""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from clickpost_async.sandbox import Sandbox
from tests.docs.pages import ROOT, blocks
from tests.environments.canary import CONTROLS, TOOLS, TRANSPORTS
from tests.test_personal_data import leaks as persons_in
from tests.test_secrets import CANARY
from tests.test_secrets import leaks as shows_key

PAGE = ROOT / "docs" / "topics" / "secrets.md"
LIBRARIES = {
    "sentry": "sentry_sdk",
    "opentelemetry": "opentelemetry.instrumentation",
    "logfire": "logfire",
    "elastic-apm": "elasticapm",
    "ddtrace": "ddtrace",
    "vcrpy": "vcr",
}
# Not in the `tests` extra, for what they bring along: tried where they are installed.
HEAVY = ("logfire", "ddtrace")
QUIET = {
    "DD_TRACE_AGENT_URL": "http://127.0.0.1:9",
    "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
    "DD_REMOTE_CONFIGURATION_ENABLED": "false",
    "DD_CRASHTRACKING_ENABLED": "false",
    "ELASTIC_APM_LOG_LEVEL": "off",
}
# aiohttp's hooks are given what aiohttp writes, and that has the key.
SIGNED_BELOW_HOOKS = tuple(name for name in TRANSPORTS if name != "httpx-aiohttp")
SCRUBBED = {
    "sentry": "scrub_sentry",
    "opentelemetry": "scrub_opentelemetry",
    "elastic-apm": "scrub_elastic",
    "vcrpy": "scrub_vcr",
}
# A recording has the request whole: that is what it is made for. Its body is the user's to filter.
RECORDERS = ("vcrpy",)


def watched(tool: str, folder: Path, *module: str, **environ: str) -> dict[str, dict[str, Any]]:
    """Run the canary's calls under a tool, and return what it exported."""
    if find_spec(LIBRARIES[tool].partition(".")[0]) is None and tool in HEAVY:
        pytest.skip(f"{tool} is not installed: pip install {tool}")
    sandbox = Sandbox(api_key=CANARY)
    sandbox.start()
    for name in TRANSPORTS:
        sandbox.faults.next("drop_after", reference_number=f"R-LOST-{name}")
    try:
        done = subprocess.run(
            [sys.executable, "-m", "tests.environments.canary", tool, *module],
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)]),
                "CLICKPOST_BASE_URL": sandbox.base_url,
                "CLICKPOST_API_KEY": CANARY,
                **QUIET,
                **environ,
            },
        )
    finally:
        sandbox.stop()
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return found


def exported(found: dict[str, dict[str, Any]], *clients: str) -> list[str]:
    return [text for client in clients for text in found[client]["exported"]]


def logged(found: dict[str, dict[str, Any]], *clients: str) -> list[str]:
    return [text for client in clients for text in found[client]["log"]]


@pytest.mark.parametrize("tool", TOOLS)
def test_tools_export_no_key_and_no_person(tool: str, tmp_path: Path) -> None:
    found = watched(tool, tmp_path)

    texts = exported(found, *SIGNED_BELOW_HOOKS) + logged(found, *SIGNED_BELOW_HOOKS)
    assert [text for text in texts if shows_key(text)] == []
    if tool not in RECORDERS:
        assert persons_in(texts + exported(found, "httpx-aiohttp")) == []
    # What shows that they were looking: a client that signs in the open.
    leaked = exported(found, *CONTROLS)
    assert any(map(shows_key, leaked))
    if tool in ("sentry", "elastic-apm", "vcrpy"):
        assert persons_in(leaked)


@pytest.mark.parametrize("tool", SCRUBBED)
def test_tools_configured_as_documented_export_no_key_with_aiohttp(
    tool: str, tmp_path: Path
) -> None:
    [block] = [one for one in blocks(PAGE) if one.caption == f"{SCRUBBED[tool]}.py"]
    (tmp_path / f"{SCRUBBED[tool]}.py").write_text(block.text, encoding="utf-8")

    found = watched(tool, tmp_path, SCRUBBED[tool])

    texts = exported(found, *TRANSPORTS)
    assert [text for text in texts if shows_key(text)] == []
    assert texts


def test_ddtrace_configured_as_documented_exports_no_key_with_aiohttp(tmp_path: Path) -> None:
    name = "DD_TRACE_HTTP_CLIENT_TAG_QUERY_STRING"
    assert f"`{name}=false`" in PAGE.read_text("utf-8")

    found = watched("ddtrace", tmp_path, **{name: "false"})

    texts = exported(found, *TRANSPORTS)
    assert [text for text in texts if shows_key(text)] == []
    assert texts
