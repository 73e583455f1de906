"""Every code block of the documentation is run as it is written."""

import asyncio
import builtins
import contextlib
import io
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import redirect_stdout
from inspect import CO_COROUTINE
from pathlib import Path
from types import FunctionType
from typing import Any

import attrs
import pytest

from clickpost_async.sandbox import Sandbox
from tests.docs.pages import FIRST, PAGES, ROOT, RUN, SHOWN, Block, blocks, prints
from tests.helpers.command_line import run_command_line
from tests.helpers.postgres_server import PostgresServer
from tests.helpers.programs import program
from tests.helpers.redis_server import RedisServer, free_port

EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
PACKAGES = frozenset({"postgresql", "redis-server"})  # what .ci/run installs
PLACES = frozenset({"CLICKPOST_BASE_URL", "CLICKPOST_REDIS_URL"})  # the tests have their own
VENV = ("python3 -m venv .venv", ". .venv/bin/activate")
OWN = "python -m clickpost_async "
PROGRAMS = (
    *(OWN, "python -m pytest", "python ", "clickpost "),
    *("psql ", "PGUSER=orders python "),
)


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """Serve a sandbox, say so in the environment, and go to a folder of the reader's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    # Of the plugins of pytest, a reader has two.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv(
        "PYTEST_ADDOPTS", "-p pytest_asyncio.plugin -p clickpost_async.testing.plugin"
    )
    sandbox = Sandbox()
    sandbox.start()
    monkeypatch.setenv("CLICKPOST_USERNAME", sandbox.username)
    monkeypatch.setenv("CLICKPOST_API_KEY", sandbox.api_key)
    monkeypatch.setenv("CLICKPOST_BASE_URL", sandbox.base_url)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    try:
        yield sandbox
    finally:
        sandbox.stop()
        sandbox.close()
        for file in tmp_path.glob("*.py"):
            sys.modules.pop(file.stem, None)


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


pages = pytest.mark.parametrize("page", PAGES, ids=name)


@pages
def test_every_block_is_run_or_listed_as_one_to_be_read(page: Path) -> None:
    for block in blocks(page):
        assert block.language in RUN | SHOWN, f"{name(page)}:{block.line}: {block.language!r}"


@pages
def test_no_line_of_a_block_is_cut_off_by_its_frame(page: Path) -> None:
    lines = [line for block in blocks(page) for line in block.text.splitlines()]

    assert [line for line in lines if len(line) > 92] == []


@pages
def test_code_blocks_of_a_page_run(
    page: Path,
    sandbox: Sandbox,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = page.read_text("utf-8").lower()
    if "redis" in text:
        redis_server: RedisServer = request.getfixturevalue("redis_server")
        monkeypatch.setenv("REDIS_URL", redis_server.url)
        monkeypatch.setenv("CLICKPOST_REDIS_URL", redis_server.url)
    if "postgresql" in text:
        postgres_server: PostgresServer = request.getfixturevalue("postgres_server")
        for variable, value in postgres_server.environ.items():
            monkeypatch.setenv(variable, value)

    reader = Reader(page)
    try:
        reader.read()
    finally:
        reader.leave()


class Reader:
    """A reader who has the files of the first page, and runs the blocks of a page in order."""

    def __init__(self, page: Path) -> None:
        self._page = page.name
        self._blocks = tuple(blocks(page))
        self._names: dict[str, Any] = {"__name__": "page", "__builtins__": builtins}
        self._printed = ""
        self._running: list[subprocess.Popen[str]] = []
        self._ports: dict[str, str] = {}

    def leave(self) -> None:
        """End what the page has started and left running."""
        for process in self._running:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()

    def read(self) -> None:
        for block in blocks(FIRST):
            if block.caption is not None:
                Path(block.caption).write_text(block.text, encoding="utf-8")
        with asyncio.Runner() as runner:
            for block in self._blocks:
                self._do(block, runner)

    def _do(self, block: Block, runner: asyncio.Runner) -> None:
        where = f"{self._page}:{block.line}"
        for shown, port in self._ports.items():
            block = attrs.evolve(block, text=block.text.replace(f":{shown}", f":{port}"))
        if block.caption is not None:
            Path(block.caption).write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            with redirect_stdout(io.StringIO()) as out:
                done = FunctionType(block.code, self._names)()
                if block.code.co_flags & CO_COROUTINE:
                    runner.run(done)
            self._printed = out.getvalue()
        elif block.language == "text":
            assert prints(block.text, self._printed), f"{where}: it prints {self._printed!r}"
        elif block.language == "console":
            for command, wanted in block.commands:
                self._type(command, wanted, where)

    def _type(self, command: str, wanted: str, where: str) -> None:
        """Run a command, or see that it would do what the page says."""
        if command in VENV:
            return  # the tests run in an environment of their own
        if command.startswith("pip install "):
            extras = re.search(r"'(?:clickpost_async|\.)\[([\w,]+)\]'$", command)
            assert extras is not None, where
            assert set(extras[1].split(",")) <= set(EXTRAS), where
        elif command.startswith("apt install "):
            assert command.removeprefix("apt install ") in PACKAGES, where
        elif command.startswith("redis-server"):
            self._see_ready(command)
        elif command.startswith("export "):
            self._believe(command, where)
        elif command.startswith("python -m clickpost_async sandbox"):
            self._serve(command, wanted)
        elif command.startswith("python -m clickpost_async worker"):
            self._start(command, wanted)
        elif command.startswith("celery "):
            self._work(command)
        elif command.startswith("uvicorn "):
            self._host(command, where)
        else:
            assert command.startswith(PROGRAMS), f"{where}: the tests cannot run {command!r}"
            done = _run(command)
            printed = done.stdout + done.stderr
            assert done.returncode == 0, f"{where}: {command} ends with {printed}"
            assert prints(wanted, printed), f"{where}: it prints {printed!r}"

    def _start(self, command: str, wanted: str) -> None:
        """Start what the rest of the page needs, and hear what it says first."""
        process = subprocess.Popen(
            ["bash", "-c", command.replace("python ", f"{shlex.quote(sys.executable)} ", 1)],
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._running.append(process)
        assert process.stderr is not None
        port = re.compile(r"-\d{4,}-")
        assert port.sub("", process.stderr.readline()) == port.sub("", wanted)

    def _work(self, command: str) -> None:
        """Start workers that take what the rest of the page gives them, whenever they are up."""
        process = subprocess.Popen(
            [sys.executable, "-m", *shlex.split(command)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._running.append(process)

    def _host(self, command: str, where: str) -> None:
        """Serve an application on a free port, and ask there what the page asks at its own."""
        shown = re.search(r"--port (\d+)", command)
        assert shown is not None, where
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = self._ports[shown[1]] = str(free.getsockname()[1])
        served = command.replace(f"--port {shown[1]}", f"--port {port}")
        process = subprocess.Popen(
            [sys.executable, "-m", *shlex.split(served)],
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._running.append(process)
        assert process.stderr is not None
        printed = ""
        # In this order or the other, with one worker or with several.
        while not ("Uvicorn running" in printed and "startup complete" in printed):
            line = process.stderr.readline()
            assert line, f"{where}: {printed}"
            printed += line
        # It says so, and then it listens.
        for _ in range(1000):
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", int(port))).close()
                return
            time.sleep(0.01)
        raise AssertionError(where)

    def _see_ready(self, command: str) -> None:
        """Start a server on a free port, and stop it when it says that it is there."""
        _, *options = shlex.split(command)
        words = [program("redis-server"), *options, "--port", str(free_port())]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            ready = any("Ready to accept connections" in line for line in process.stdout)
            process.terminate()
        assert ready, command

    def _believe(self, command: str, where: str) -> None:
        variable, _, value = command.removeprefix("export ").partition("=")
        printed = os.environ[variable]
        assert value == printed or variable in PLACES, where

    def _serve(self, command: str, wanted: str) -> None:
        """Start what does not end by itself, on a free port, and stop it when it has spoken."""
        words = [sys.executable, *shlex.split(command)[1:], "--port", "0"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            printed = "".join(process.stdout.readline() for _ in wanted.splitlines())
            process.terminate()
        port = re.compile(r":\d+")
        assert port.sub("", printed) == port.sub("", wanted)


def _run(command: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a shell does, and the command line of this package without one."""
    if command.startswith(OWN) and not set(command) & set("|&;<>$*"):
        return run_command_line(shlex.split(command.removeprefix(OWN)), os.environ)
    return subprocess.run(
        ["bash", "-c", command.replace("python ", f"{shlex.quote(sys.executable)} ", 1)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ,
    )
