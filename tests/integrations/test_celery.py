"""The how-to for Celery as written: real workers, killed during an order, with a real Redis."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from tests.docs.pages import FIRST, ROOT, blocks
from tests.fleet.fleet_run import Timing, environ, reached
from tests.helpers.redis_server import RedisServer

PAGE = ROOT / "docs" / "how-to" / "celery.md"
DOUBT = 'bool(delivery.get("redelivered") or self.request.retries)'
SETTLE = "await asyncio.sleep(clickpost.retry.settle_delay)"
SETTLING = 6.0
# What the page waits for takes an hour and half a minute.
SHORTLY = f"""
from clickpost_async import ClickPost, RetryPolicy
import tasks
from tasks import app

tasks.ClickPost = lambda: ClickPost(retry=RetryPolicy(settle_delay={SETTLING}))
app.conf.broker_transport_options = {{"visibility_timeout": 2, "unacked_restore_interval": 0.5}}
"""
ASK = """
import json
import sys

import shop
from clickpost_async import ClickPostError
from tasks import app, place

if sys.argv[1] == "queue":
    print(place.delay(sys.argv[2]).id)
else:
    try:
        came = app.AsyncResult(sys.argv[2]).get(timeout=300)
    except ClickPostError as error:
        came = {"kind": type(error).__name__, "outcome": error.outcome.name, "message": str(error)}
    print(json.dumps(came))
"""


class Shop:
    """A folder with the page's files, a Redis, and where its orders go."""

    def __init__(self, folder: Path, redis: RedisServer, sandbox: Timing, url: str) -> None:
        self.folder = folder
        self.sandbox = sandbox
        self._environ = environ(url) | {
            "CLICKPOST_REDIS_URL": redis.url,
            "PYTHONPATH": str(ROOT),
        }
        for page in (FIRST, PAGE):
            for block in blocks(page):
                if block.caption is not None:
                    (folder / block.caption).write_text(block.text)
        (folder / "shortly.py").write_text(SHORTLY)
        (folder / "ask.py").write_text(ASK)

    async def _ask(self, *words: str) -> str:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "ask.py", *words),
            cwd=self.folder,
            env=self._environ,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, complained = await asyncio.wait_for(process.communicate(), 400)
        assert process.returncode == 0, complained.decode()
        return output.decode().strip()

    async def queue(self, number: str) -> str:
        """Queue an order; return the task's id."""
        return await self._ask("queue", number)

    async def result(self, task: str) -> dict[str, str]:
        """Wait for what a task came to: what it returned, or the error that a caller gets."""
        came: dict[str, str] = json.loads(await self._ask("result", task))
        return came

    @contextmanager
    def worker(self) -> "Iterator[subprocess.Popen[bytes]]":
        words = "worker --pool prefork --concurrency 1 --loglevel ERROR --without-mingle"
        process = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "shortly", *words.split()],
            cwd=self.folder,
            env=self._environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            kill_all(process)
            process.wait()


def kill_all(worker: "subprocess.Popen[bytes]") -> None:
    """Kill a worker with its pool, as a machine that goes down does."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(worker.pid, signal.SIGKILL)


def kill_child(worker: "subprocess.Popen[bytes]") -> None:
    """Kill the one process of a worker's pool, as the system does when memory runs out."""
    children = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()
    assert len(children) == 1
    os.kill(int(children[0]), signal.SIGKILL)


@asynccontextmanager
async def open_shop(folder: Path, *, courier_seconds: float) -> AsyncIterator[Shop]:
    sandbox = Timing(racy=True, courier_seconds=courier_seconds)
    async with sandbox:
        with RedisServer() as redis:
            yield Shop(folder, redis, sandbox, sandbox.base_url)


def operations(sandbox: Timing) -> list[str]:
    return [arrival.operation for arrival in sandbox.requests()]


@pytest.mark.fault("L01")
@pytest.mark.parametrize("kill", [kill_child, kill_all], ids=["pool process", "whole worker"])
@pytest.mark.asyncio
async def test_task_of_a_process_killed_in_mid_order_ends_placed_with_one_label(
    tmp_path: Path, kill: "Callable[[subprocess.Popen[bytes]], None]"
) -> None:
    async with open_shop(tmp_path, courier_seconds=4.0) as shop:
        task = await shop.queue("CELERY-1")
        with shop.worker() as worker:
            await reached(shop.sandbox, 1)
            assert shop.sandbox.requests() == []  # the courier is still working on it
            kill(worker)
            if kill is kill_child:
                came = await shop.result(task)
        if kill is kill_all:
            with shop.worker():
                came = await shop.result(task)

        assert shop.sandbox.ledger() == {"PEN-CELERY-1": (came["waybill"],)}
        # It was delivered again, looked up, and not sent again.
        assert operations(shop.sandbox) == ["orders.create_india", "orders.fetch_india"]


@pytest.mark.fault("L01", control=True)
@pytest.mark.parametrize(
    ("careful", "careless"), [(DOUBT, "False"), (SETTLE, "pass")], ids=["no doubt", "no settling"]
)
@pytest.mark.asyncio
async def test_task_that_ignores_its_redelivery_or_does_not_wait_buys_a_second_label(
    tmp_path: Path, careful: str, careless: str
) -> None:
    # Longer than a loaded machine needs to deliver the task again.
    async with open_shop(tmp_path, courier_seconds=15.0) as shop:
        page = (tmp_path / "tasks.py").read_text()
        assert careful in page
        (tmp_path / "tasks.py").write_text(page.replace(careful, careless))
        task = await shop.queue("CELERY-1")
        with shop.worker() as worker:
            await reached(shop.sandbox, 1)
            kill_child(worker)
            await shop.result(task)

        assert len(shop.sandbox.ledger()["PEN-CELERY-1"]) == 2


@pytest.mark.asyncio
async def test_outcome_of_an_error_survives_the_json_result_backend(tmp_path: Path) -> None:
    async with open_shop(tmp_path, courier_seconds=0.0) as shop:
        (tmp_path / "shop.py").write_text(
            (tmp_path / "shop.py").read_text()
            + "\nPEN['shipment_details']['weight'] = -1  # refused before anything is sent\n"
        )
        task = await shop.queue("CELERY-2")
        with shop.worker():
            came = await shop.result(task)

        assert (came["kind"], came["outcome"]) == ("InvalidRequestError", "NOT_SENT")
        assert "shipment_details.weight" in came["message"]
        assert shop.sandbox.requests() == []


@pytest.mark.asyncio
async def test_worker_process_keeps_one_client_and_ends_at_sigterm(tmp_path: Path) -> None:
    async with open_shop(tmp_path, courier_seconds=0.0) as shop:
        tasks = [await shop.queue(f"CELERY-{number}") for number in range(3)]
        with shop.worker() as worker:
            waybills = {(await shop.result(task))["waybill"] for task in tasks}
            # A connection that was kept, not one for each task.
            assert shop.sandbox.traffic.connections == 1
            worker.terminate()
            assert await asyncio.to_thread(worker.wait, 60) == 0

        assert {bought for (bought,) in shop.sandbox.ledger().values()} == waybills
