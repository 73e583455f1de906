"""The how-to for PostgreSQL as written: real workers, one killed during an order."""

import asyncio
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from clickpost_async.sandbox import State
from tests.docs.pages import FIRST, ROOT, blocks
from tests.fleet.fleet_run import Timing, reached
from tests.helpers.postgres_server import PostgresServer

PAGE = ROOT / "docs" / "how-to" / "postgres.md"
ORDERS = 6
CAREFUL = "with_options(in_doubt=context.job.attempts > 0)"
QUEUE = f"""
import asyncio
from jobs import app, enqueue

async def main():
    async with app.open_async():
        if not await app.check_connection_async():
            await app.schema_manager.apply_schema_async()
        for number in range({ORDERS}):
            await enqueue(f"PG-{{number}}")

asyncio.run(main())
"""


async def until(holds: Callable[[], bool]) -> None:
    """Wait, for a minute at most: processes have to start meanwhile."""
    for _ in range(6000):
        if holds():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it has not happened within a minute")


class Shop:
    """A folder with the page's files, a database of its own, and where its orders go."""

    def __init__(self, folder: Path, postgres: PostgresServer, sandbox: Timing, url: str) -> None:
        self.folder = folder
        self.sandbox = sandbox
        self._postgres = postgres
        self._environ = {
            **os.environ,
            **postgres.environ,
            "PYTHONPATH": str(ROOT),
            "CLICKPOST_USERNAME": sandbox.username,
            "CLICKPOST_API_KEY": sandbox.api_key,
            "CLICKPOST_BASE_URL": url,
        }
        for page in (FIRST, PAGE):
            for block in blocks(page):
                if block.caption is not None:
                    (folder / block.caption).write_text(block.text)

    def become(self, role: str) -> None:
        """Use another role of the database from now on."""
        self._environ["PGUSER"] = role

    async def run(self, *words: str) -> str:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", *words),
            cwd=self.folder,
            env=self._environ,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, complained = await asyncio.wait_for(process.communicate(), 120)
        assert process.returncode == 0, complained.decode()
        return output.decode()

    @contextmanager
    def worker(self) -> Iterator["subprocess.Popen[bytes]"]:
        process = subprocess.Popen(
            [sys.executable, "work.py"],
            cwd=self.folder,
            env=self._environ,
            stdout=subprocess.DEVNULL,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    async def crash(self) -> None:
        """Let a worker begin with every order, and die before any of them is done."""
        await self.run("-c", QUEUE)
        with self.worker() as worker:
            await reached(self.sandbox, ORDERS)
            worker.kill()

    async def settle(self, silent: float) -> int:
        """Have what was silent for so many seconds tried again; return how much that was."""
        return len((await self.run("settle.py", str(silent))).splitlines())

    def jobs(self) -> Mapping[str, int]:
        """Return how many jobs there are in each state."""
        states = self._postgres.query("SELECT status::text FROM procrastinate_jobs")
        return Counter(state for (state,) in states)

    @property
    def placed(self) -> int:
        """Return how many orders ClickPost knows as placed."""
        return sum(order.state is State.PLACED for order in self.sandbox.orders().values())

    @property
    def bought(self) -> list[int]:
        """Return how many labels each order was bought, in order."""
        return [len(self.sandbox.ledger().get(f"PEN-PG-{n}", ())) for n in range(ORDERS)]


@pytest.fixture
def database() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.mark.fault("L01")
@pytest.mark.asyncio
async def test_l01_orders_of_a_killed_worker_stay_visible_and_are_bought_once(
    tmp_path: Path, database: PostgresServer
) -> None:
    sandbox = Timing(racy=True, courier_seconds=2.0)
    async with sandbox:
        shop = Shop(tmp_path, database, sandbox, sandbox.base_url)
        await shop.crash()
        calls = len(sandbox.times)
        assert shop.jobs() == {"doing": ORDERS}

        # Another worker does not touch them, nor are second jobs of them let past their locks.
        await shop.run("-c", QUEUE)
        assert await shop.run("work.py", "--drain") == ""
        assert shop.jobs() == {"doing": ORDERS, "todo": ORDERS}
        assert len(sandbox.times) == calls

        # Once the courier is done with what the dead one has sent.
        await until(lambda: shop.placed == ORDERS)
        assert await shop.settle(0) == ORDERS
        output = await shop.run("work.py", "--drain")

        assert shop.jobs() == {"succeeded": 2 * ORDERS}
        assert shop.bought == [1] * ORDERS
        waybills = {line.split()[1] for line in output.splitlines()}
        assert waybills == {bought for (bought,) in sandbox.ledger().values()}


@pytest.mark.asyncio
async def test_role_of_the_page_can_enqueue_work_and_retry_and_can_create_no_table(
    tmp_path: Path, database: PostgresServer
) -> None:
    sandbox = Timing()
    async with sandbox:
        shop = Shop(tmp_path, database, sandbox, sandbox.base_url)
        await shop.run("-c", QUEUE)
        for statement in (tmp_path / "role.sql").read_text().split(";"):
            if statement.strip():
                database.execute(statement)
        shop.become("orders")
        await shop.run("-c", QUEUE)
        await shop.run("work.py", "--drain")
        assert await shop.settle(60) == 0

    assert shop.jobs() == {"succeeded": 2 * ORDERS}
    assert shop.bought == [1] * ORDERS
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        database.execute("CREATE TABLE public.mine (id int)", user="orders")


@pytest.mark.fault("L01", control=True)
@pytest.mark.parametrize("careful", [False, True], ids=["sent again", "looked up too early"])
@pytest.mark.asyncio
async def test_l01_jobs_that_are_run_again_at_once_buy_twice(
    tmp_path: Path, database: PostgresServer, careful: bool
) -> None:
    # Nothing of what it is sent is known to anybody before it is too late.
    sandbox = Timing(racy=True, courier_seconds=3600)
    async with sandbox:
        shop = Shop(tmp_path, database, sandbox, sandbox.base_url)
        jobs = tmp_path / "jobs.py"
        assert CAREFUL in jobs.read_text()
        if not careful:
            jobs.write_text(jobs.read_text().replace(CAREFUL, "with_options()"))
        await shop.crash()
        assert await shop.settle(0) == ORDERS
        with shop.worker():
            await until(lambda: shop.bought == [2] * ORDERS)
