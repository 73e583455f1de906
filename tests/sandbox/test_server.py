"""The sandbox on a port, in this process and in a separate one."""

import asyncio
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from clickpost_async import ClickPost
from clickpost_async.sandbox import Sandbox, SandboxStore
from tests.sandbox.samples import INDIA, client, india_order, placed, raw_client, status_of


@contextmanager
def process(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-W", "error", "-m", "clickpost_async.sandbox", "--port", "0"]
    with subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            yield running, running.stdout.readline().strip()
        finally:
            running.kill()


@pytest.mark.asyncio
async def test_concurrent_clients_all_get_responses_and_are_counted() -> None:
    sandbox = Sandbox()
    async with sandbox, raw_client(sandbox.base_url) as http:
        limit = asyncio.Semaphore(20)

        async def create(number: int) -> int:
            async with limit:
                return status_of(await http.post(INDIA, json=india_order(f"PEN-{number}")))

        statuses = await asyncio.gather(*(create(number) for number in range(300)))

    traffic = sandbox.traffic
    assert statuses == [200] * 300
    assert {len(waybills) for waybills in sandbox.ledger().values()} == {1}
    assert len(set(sandbox.ledger().values())) == 300
    assert (traffic.calls, traffic.in_flight, traffic.open_connections) == (300, 0, 0)
    assert 1 < traffic.most_open_connections <= 20
    assert traffic.connections >= traffic.most_open_connections


@pytest.mark.asyncio
@pytest.mark.parametrize("racy", [False, True])
async def test_overlapping_creates_over_http_buy_twice_only_in_a_racy_sandbox(racy: bool) -> None:
    sandbox = Sandbox(racy=racy, courier_seconds=0.5)
    async with sandbox, raw_client(sandbox.base_url) as http:
        order = india_order("RACE")
        await asyncio.gather(*(http.post(INDIA, json=order) for _ in range(20)))

    assert (len(sandbox.ledger()["RACE"]) > 1) is racy


@pytest.mark.asyncio
async def test_stopping_cuts_calls_in_flight_and_refuses_new_ones(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sandbox = Sandbox(courier_seconds=60)
    async with sandbox, raw_client(sandbox.base_url) as http:
        call = asyncio.create_task(http.post(INDIA, json=india_order("PEN-1")))
        async with asyncio.timeout(10):
            while not sandbox.traffic.in_flight:  # noqa: ASYNC110 - it lives on a thread
                await asyncio.sleep(0.01)
        sandbox.stop()
        sandbox.stop()
        with pytest.raises(httpx.TransportError):
            await call
        with pytest.raises(httpx.ConnectError):
            await http.post(INDIA, json=india_order("PEN-1"))

    assert sandbox.ledger() == {}
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
    assert [t.name for t in threading.enumerate() if t.name == "clickpost sandbox"] == []


@pytest.mark.asyncio
async def test_stopped_sandbox_serves_again_with_its_state() -> None:
    sandbox = Sandbox()
    statuses = []
    for _ in range(2):
        async with sandbox, raw_client(sandbox.base_url) as http:
            statuses.append(status_of(await http.post(INDIA, json=india_order("PEN-1"))))

    assert statuses == [200, 323]


@pytest.mark.asyncio
async def test_port_that_is_taken_is_an_error_at_once() -> None:
    async with Sandbox() as sandbox:
        port = int(sandbox.base_url.rsplit(":", 1)[1].partition("/")[0])
        with pytest.raises(OSError, match="in use"):
            Sandbox().start(port)


def test_file_outlives_its_sandbox(tmp_path: Path) -> None:
    async def create(path: Path) -> int:
        with Sandbox(path=path) as sandbox:
            async with client(sandbox) as http:
                return status_of(await http.post(INDIA, json=india_order("PEN-1")))

    file = tmp_path / "sandbox.db"
    assert [asyncio.run(create(file)) for _ in range(2)] == [200, 323]


@pytest.mark.asyncio
async def test_killed_process_leaves_a_ledger_that_can_be_read(tmp_path: Path) -> None:
    file = str(tmp_path / "sandbox.db")
    with process("--path", file, "--seed", "3") as (running, url):
        async with raw_client(url) as http:
            first = (await http.post(INDIA, json=india_order("PEN-1"))).json()
        running.kill()
        assert running.wait(10) == -signal.SIGKILL

    store = SandboxStore(file)
    assert store.ledger() == {"PEN-1": (first["result"]["waybill"],)}
    store.close()
    with process("--path", file) as (_, url):
        async with raw_client(url) as http:
            again = await http.post(INDIA, json=india_order("PEN-1"))
    assert (status_of(again), again.json()["result"]["waybill"]) == (
        323,
        first["result"]["waybill"],
    )


@pytest.mark.asyncio
@pytest.mark.parametrize(("by", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, -signal.SIGTERM)])
async def test_sandbox_process_injects_faults_and_stops_on_request(
    by: signal.Signals, code: int
) -> None:
    with process("--drop-after", "1", "--rate", "1000") as (running, url):
        async with raw_client(url) as http:
            with pytest.raises(httpx.RemoteProtocolError):
                await http.post(INDIA, json=india_order("PEN-1"))
            running.send_signal(by)
            assert running.wait(10) == code


@pytest.mark.asyncio
async def test_sandbox_process_moves_parcels_by_clock_and_page_size() -> None:
    flags = ("--scan-every", "0.01", "--page-size", "1", "--webhooks-to", "http://127.0.0.1:9/")
    with process(*flags, "--webhook-token", "not-a-real-token") as (_, url):
        async with raw_client(url) as http:
            for number in range(2):
                await placed(http, f"W{number}")
            track: dict[str, Any] = {"waybill": "W0", "cp_id": 4}
            async with asyncio.timeout(10):
                code = 0
                while code != 8:
                    reply = await http.get("/v2/track-order/", params=track)
                    code = reply.json()["result"]["W0"]["latest_status"]["clickpost_status_code"]
            end = int(time.time()) + 1
            window = {"start_date": end - 60, "end_date": end}
            page = (await http.get("/v1/updated-order", params=window)).json()

    assert len(page["result"]) == 1
    assert page["meta"]["next"].startswith(f"{url}/v1/updated-order?")


def test_sandbox_without_its_libraries_names_what_to_install() -> None:
    script = (
        "import sys; sys.modules['uvicorn'] = None\n"
        "try: import clickpost_async.sandbox\n"
        "except ImportError as error: print(error)"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30
    )
    assert result.stdout.strip() == (
        "the sandbox needs jinja2, reportlab, starlette and uvicorn:"
        " pip install 'clickpost_async[sandbox]'"
    )


@pytest.mark.asyncio
async def test_uvicorn_makes_the_sandbox_that_the_page_shows_for_containers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page = (Path(__file__).parents[2] / "docs/how-to/sandbox.md").read_text(encoding="utf-8")
    [factory] = re.findall(r"uvicorn --factory (\S+)", page)
    environ = dict(re.findall(r"(CLICKPOST_\w+): (\S+)", page))
    config = uvicorn.Config(factory, factory=True)
    config.load()

    here = httpx.ASGITransport(app=config.loaded_app)
    monkeypatch.setenv("CLICKPOST_ALLOW_HTTP", "1")
    for name in ("CLICKPOST_USERNAME", "CLICKPOST_API_KEY", "CLICKPOST_BASE_URL"):
        monkeypatch.setenv(name, environ[name])
    async with ClickPost(transport=here) as shop:
        created = await shop.orders.create(india_order("R-1"))

    assert environ["CLICKPOST_ALLOW_HTTP"] == '"1"'
    assert created.label is not None
    assert created.label.startswith("http://clickpost:8000/labels/")


def test_file_of_another_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "day.db"
    with closing(sqlite3.connect(path)) as older:
        older.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, reference TEXT)")
    before = path.read_bytes()

    with pytest.raises(ValueError, match=r"day\.db: .* another version .*; delete it, or"):
        Sandbox(path=path)

    assert path.read_bytes() == before
