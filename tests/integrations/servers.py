"""Applications on real servers, in separate processes."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
from attrs import define

APP = "tests.integrations.web_app:app"


@define
class Server:
    """A running server, and its output so far."""

    url: str
    process: "subprocess.Popen[bytes]"
    output: Path

    @property
    def output_text(self) -> str:
        return self.output.read_text(errors="replace")

    def stop(self) -> int:
        """Tell it to stop, as a supervisor does, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(120)


def http_client(server: Server) -> httpx.AsyncClient:
    """Return a client with a connection for each request, so that any worker may take it."""
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=60, limits=limits)


@contextmanager
def serving(environ: Mapping[str, str], *words: str, app: str = APP) -> Iterator[Server]:
    """Serve an application with uvicorn while the block runs."""
    port = free_port()
    with running(environ, port, "uvicorn", app, "--port", str(port), *words) as server:
        yield server


@contextmanager
def running(environ: Mapping[str, str], port: int, *module: str) -> Iterator[Server]:
    """Run a server's module, with its arguments, while the block runs."""
    command = [sys.executable, "-W", "error", "-m", *module]
    inherited = {n: os.environ[n] for n in ("PATH", "HOME", "PYTHONPATH") if n in os.environ}
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "output"
        with output.open("wb") as file:
            process = subprocess.Popen(
                command,
                env=inherited | dict(environ),
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        server = Server(f"http://127.0.0.1:{port}", process, output)
        try:
            wait_for(server)
            yield server
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def wait_for(server: Server) -> None:
    """Return when it responds."""
    for _ in range(1200):
        try:
            response = httpx.get(f"{server.url}/health", trust_env=False)
        except httpx.TransportError:
            assert server.process.poll() is None, server.output_text
            time.sleep(0.05)
        else:
            assert response.status_code == 200, server.output_text
            return
    raise TimeoutError(server.output_text)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
