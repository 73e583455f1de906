"""Every program in examples/ runs as it stands."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from clickpost_async.sandbox import Sandbox
from tests.helpers.redis_server import RedisServer, free_port

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    sandbox = Sandbox()
    sandbox.start()
    yield sandbox
    sandbox.stop()


def environ(sandbox: Sandbox, **more: str) -> dict[str, str]:
    return {
        **os.environ,
        "CLICKPOST_USERNAME": sandbox.username,
        "CLICKPOST_API_KEY": sandbox.api_key,
        "CLICKPOST_BASE_URL": sandbox.base_url,
        "PYTHONPATH": os.pathsep.join([str(EXAMPLES), str(EXAMPLES.parent)]),
        **more,
    }


def run(sandbox: Sandbox, folder: Path, *command: str, **more: str) -> str:
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environ(sandbox, **more),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def serving(module: str, env: Mapping[str, str]) -> Iterator[str]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", f"{module}:app", "--port", str(port)],
        cwd=EXAMPLES,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(url)
            except urllib.error.HTTPError as error:
                error.close()  # else Python 3.15 warns
                break
            except OSError:
                time.sleep(0.1)
        yield url
    finally:
        server.terminate()
        server.communicate(timeout=30)


def post(url: str, body: object, **headers: str) -> int:
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"content-type": "application/json", **headers}
    )
    with urllib.request.urlopen(request) as response:
        return int(response.status)


def order(reference_number: str) -> dict[str, object]:
    made: dict[str, dict[str, object]] = json.loads((EXAMPLES / "order.json").read_text())
    made["shipment_details"]["reference_number"] = reference_number
    return dict(made)


def test_create_order_places_it_and_downloads_its_label(sandbox: Sandbox, tmp_path: Path) -> None:
    assert "waybill" in run(sandbox, tmp_path, str(EXAMPLES / "create_order.py"))
    assert (tmp_path / "label.pdf").read_bytes().startswith(b"%PDF")
    assert list(sandbox.ledger()) == ["EX-1001"]


def test_gather_places_every_order_once(sandbox: Sandbox, tmp_path: Path) -> None:
    assert run(sandbox, tmp_path, str(EXAMPLES / "gather.py")) == "50 placed, 0 failed\n"
    assert len(sandbox.ledger()) == 50


def test_bulk_run_resumes_without_sending_again(sandbox: Sandbox, tmp_path: Path) -> None:
    run(sandbox, tmp_path, str(EXAMPLES / "bulk_run.py"))
    again = run(sandbox, tmp_path, str(EXAMPLES / "bulk_run.py"))
    assert " 0 requests" in again
    assert len(sandbox.ledger()) == 200


def test_updates_are_followed_from_a_checkpoint(sandbox: Sandbox, tmp_path: Path) -> None:
    run(sandbox, tmp_path, str(EXAMPLES / "create_order.py"))
    run(sandbox, tmp_path, str(EXAMPLES / "track_and_returns.py"))
    assert json.loads((tmp_path / "checkpoint.json").read_text())


def test_fastapi_application_creates_an_order(sandbox: Sandbox) -> None:
    with serving("fastapi_app", environ(sandbox)) as url:
        assert post(f"{url}/orders", order("EX-W1")) == 201
    assert list(sandbox.ledger()) == ["EX-W1"]


def test_webhook_receiver_takes_a_push(sandbox: Sandbox) -> None:
    push = {"waybill": "W1", "clickpost_status_code": 8, "timestamp": "2026-03-05T09:00:00Z"}
    with serving("webhook_receiver", environ(sandbox)) as url:
        assert post(f"{url}/webhook", push, webhook_key="typed-on-dashboard") == 200


def test_workers_create_orders_from_the_queue(
    sandbox: Sandbox, redis_server: RedisServer, tmp_path: Path
) -> None:
    env = {"CLICKPOST_REDIS_URL": redis_server.url}
    worker = subprocess.Popen(
        [sys.executable, "-m", "taskiq", "worker", "taskiq_worker:broker", "--workers", "1"],
        cwd=EXAMPLES,
        env=environ(sandbox, **env),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        found = run(sandbox, tmp_path, str(EXAMPLES / "taskiq_worker.py"), **env)
    finally:
        worker.terminate()
        worker.wait(timeout=60)
    assert found == "10 waybills\n"


def test_tests_of_own_code_pass(sandbox: Sandbox, tmp_path: Path) -> None:
    arguments = ("-m", "pytest", "-q", "-p", "no:cacheprovider", str(EXAMPLES / "test_own_code.py"))
    assert "1 passed" in run(sandbox, tmp_path, *arguments)
