"""The command line: help, arguments, and messages for missing settings."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from contextlib import closing
from importlib import metadata
from pathlib import Path

import httpx
import pytest

from tests.docs.pages import ROOT
from tests.helpers.command_line import run_command_line
from tests.sandbox.samples import CREDENTIALS, INDIA, india_order, status_of

MODULE = [sys.executable, "-W", "error", "-m", "clickpost_async"]


def clean_environ() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if "CLICKPOST" not in name}


def run_clickpost(arguments: Sequence[str], **environ: str) -> "subprocess.CompletedProcess[str]":
    return run_command_line(arguments, clean_environ() | environ)


HELP = """
import sys
from clickpost_async.cli.main import app, main

commands, run = sys.argv[1:], main
for command in commands:
    sys.argv = ["clickpost", *command.split(), "--help"]
    try:
        run()
    except SystemExit as end:
        print(chr(12), end.code, sep="", end=chr(12))
    run = app  # which has its commands since the first
"""


def test_help_names_the_commands() -> None:
    result = run_clickpost(["--help"])

    assert (result.returncode, result.stderr) == (0, "")
    for command in ("demo", "sandbox", "orders"):
        assert command in result.stdout


def test_help_is_the_same_where_python_strips_docstrings() -> None:
    commands = ["", "demo", "bulk", "orders", "orders create-india"]
    stripped = subprocess.run(
        [sys.executable, "-W", "error", "-OO", "-c", HELP, *commands],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=clean_environ(),
    )

    assert (stripped.returncode, stripped.stderr) == (0, "")
    usual = [run_clickpost([*command.split(), "--help"]).stdout for command in commands]
    assert stripped.stdout.split("\f") == [part for text in usual for part in (text, "0")] + [""]


def test_version_is_the_packages() -> None:
    try:
        version = metadata.version("clickpost_async")
    except metadata.PackageNotFoundError:
        pytest.skip("has a version only where it is installed")

    result = run_clickpost(["--version"])
    assert (result.returncode, result.stdout.strip()) == (0, version)


def test_unknown_command_is_an_error() -> None:
    result = run_clickpost(["destroy"])
    assert result.returncode != 0
    assert "destroy" in result.stdout + result.stderr


@pytest.mark.parametrize(
    ("redis", "rate", "message"),
    [
        ("nonsense", "10/1s", "not a Redis URL: redis://, rediss:// or unix:// is needed"),
        ("redis://127.0.0.1", "much", "a rate is written as calls per time"),
    ],
)
def test_worker_reports_wrong_arguments(redis: str, rate: str, message: str) -> None:
    result = run_clickpost(["worker", redis, "--rate", rate])

    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(message)


def test_worker_without_a_redis_url_names_the_variable() -> None:
    result = run_clickpost(["worker", "--rate", "10/1s"])

    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "no Redis: set CLICKPOST_REDIS_URL, such as redis://127.0.0.1:6379\n"


@pytest.mark.parametrize(
    "url",
    [
        "redis://:not-a-real-password@127.0.0.1",
        "redis://127.0.0.1?password=not-a-real-password",
        "unix:///run/redis.sock?password=not-a-real-password",
    ],
)
def test_redis_password_is_taken_from_the_environment_and_warned_about_as_an_argument(
    url: str,
) -> None:
    wrong_rate = ["--rate", "much"]  # so that it ends
    argument = run_clickpost(["worker", url, *wrong_rate])
    variable = run_clickpost(["worker", *wrong_rate], CLICKPOST_REDIS_URL=f"{url}\n")

    warning, reason = argument.stderr.splitlines()
    assert warning == (
        "warning: all users of this machine can read the Redis password in the command line:"
        " set CLICKPOST_REDIS_URL instead"
    )
    assert variable.stderr.splitlines() == [reason]
    assert argument.returncode == variable.returncode == 2
    assert "not-a-real-password" not in argument.stderr + variable.stderr


def test_redis_url_that_cannot_be_read_is_refused_without_its_password() -> None:
    # Where urllib takes what follows the colon for a port.
    result = run_clickpost(
        ["worker", "--rate", "10/1s"], CLICKPOST_REDIS_URL="redis://:fake/word@host"
    )

    assert result.returncode == 2
    assert result.stderr.startswith("not a Redis URL: ")
    assert "fake" not in result.stderr


def test_sandbox_prints_its_address_and_serves() -> None:
    with subprocess.Popen(
        [*MODULE, "sandbox", "--port", "0"], stdout=subprocess.PIPE, text=True
    ) as running:
        try:
            assert running.stdout is not None
            url = running.stdout.readline().strip()
            response = httpx.post(
                url + INDIA, params=CREDENTIALS, json=india_order("R-1"), trust_env=False
            )
            running.send_signal(signal.SIGINT)
            code = running.wait(20)
        finally:
            running.kill()

    assert url.startswith("http://127.0.0.1:")
    assert (status_of(response), code) == (200, 0)


@pytest.mark.parametrize(
    "arguments",
    [
        "demo /nowhere/orders.csv",
        "demo --rate -1",
        "sandbox --rate 0",
        "sandbox --port 99999",
        "sandbox --port 0 --file /nowhere/sandbox.db",
        "sandbox --port 0 --webhooks-to http://example.com/",
        "bulk orders.csv --max-concurrency 0",
        "bulk orders.csv --settle-delay -1",
    ],
)
def test_invalid_arguments_are_reported_without_a_traceback(arguments: str) -> None:
    result = run_clickpost(arguments.split())

    assert result.returncode != 0
    assert result.stdout + result.stderr
    assert "Traceback" not in result.stderr


def test_port_in_use_is_reported_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run_clickpost(["sandbox", "--port", str(port)])

    assert result.returncode == 1
    assert result.stderr.strip() == f"port {port}: address already in use; 0 takes any free one"


def test_sandbox_file_of_another_version_is_reported_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "day.db"
    with closing(sqlite3.connect(file)) as older:
        older.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, reference TEXT)")

    result = run_clickpost(["sandbox", "--port", "0", "--file", str(file)])

    assert result.returncode == 1
    assert result.stderr.strip() == (
        f"{file}: its tables are those of another version or program;"
        " delete it, or choose another file"
    )


@pytest.mark.parametrize(
    ("arguments", "instead"),
    [
        (["bulk", "--jurnal", "run.db", "orders.csv"], "--journal"),
        (["bulk", "--dry-rnu", "orders.csv"], "--dry-run"),
        (["bulk", "orders.csv", "--jurnal", "run.db"], "--journal"),
        (["orders", "create-india", "--hel"], "Unknown"),
    ],
)
def test_misspelt_option_is_named_wherever_it_stands(
    arguments: Sequence[str], instead: str
) -> None:
    result = run_clickpost(arguments)

    wrong = next(each for each in arguments if each.startswith("--"))
    assert result.returncode == 2
    assert f"Unknown option: {wrong}" in result.stdout + result.stderr
    assert instead in result.stdout + result.stderr


def test_missing_libraries_name_what_to_install() -> None:
    script = (
        "import sys; sys.modules['cyclopts'] = None\n"
        "try: import clickpost_async.cli\n"
        "except ImportError as error: print(error)"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30
    )
    assert result.stdout.strip() == (
        "the command line needs cyclopts and rich: pip install 'clickpost_async[cli]'"
    )


def test_command_line_without_its_libraries_is_one_line() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    module, _, function = project["scripts"]["clickpost"].partition(":")
    program = f"import sys; sys.modules['rich'] = None; from {module} import {function}"
    result = subprocess.run(
        [sys.executable, "-c", f"{program}; {function}()"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert (result.returncode, result.stderr.strip()) == (
        1,
        "the command line needs cyclopts and rich: pip install 'clickpost_async[cli]'",
    )


@pytest.mark.parametrize(
    ("missing", "arguments", "extra"),
    [
        ("starlette", ["sandbox"], "sandbox"),
        ("starlette", ["demo"], "sandbox"),
        ("taskiq", ["worker", "redis://127.0.0.1:1", "--rate", "1/1s"], "taskiq"),
    ],
)
def test_command_without_its_libraries_names_the_extra_in_one_line(
    missing: str, arguments: Sequence[str], extra: str
) -> None:
    script = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        f"sys.argv = ['clickpost', *{arguments!r}]\n"
        "from clickpost_async.cli import main; main()"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=30
    )

    [line] = result.stderr.splitlines()
    assert result.returncode == 1
    assert line.endswith(f"pip install 'clickpost_async[{extra}]'")


@pytest.mark.parametrize("module", ["clickpost_async", "clickpost_async.bulk"])
def test_package_itself_needs_no_command_line(module: str) -> None:
    script = (
        "import sys\n"
        "for name in ('cyclopts', 'rich', 'starlette', 'uvicorn'): sys.modules[name] = None\n"
        f"import {module}"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=30)
