"""Sandboxes in processes of their own."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Serves until a line is written to it, then prints what it received.
_SCRIPT = """
import json, sys
from clickpost_async.sandbox import Sandbox

sandbox = Sandbox()
sandbox.start()
print(sandbox.base_url, flush=True)
sys.stdin.readline()
traffic = sandbox.traffic
print(json.dumps({
    "calls": traffic.calls,
    "most_open_connections": traffic.most_open_connections,
    "connections": traffic.connections,
    "ledger": {reference: list(waybills) for reference, waybills in sandbox.ledger().items()},
}), flush=True)
sandbox.stop()
"""


class Process:
    """A running sandbox: its address, and what it saw."""

    def __init__(self, running: "subprocess.Popen[str]") -> None:
        self.running = running
        assert running.stdout is not None
        self.url = running.stdout.readline().strip()

    def kill(self) -> None:
        self.running.kill()
        self.running.wait(60)

    def report(self) -> dict[str, Any]:
        output, _ = self.running.communicate("enough\n", timeout=120)
        found: dict[str, Any] = json.loads(output)
        return found


@contextmanager
def process(*arguments: str) -> Iterator[Process]:
    """Start a sandbox: one that reports, or with arguments the module's own command."""
    command = ["-m", "clickpost_async.sandbox", "--port", "0", *arguments]
    with subprocess.Popen(
        [sys.executable, *(command if arguments else ["-c", _SCRIPT])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            yield Process(running)
        finally:
            running.kill()
