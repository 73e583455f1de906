"""Servers that a fleet runs on: Valkey, TLS, and a user with few rights, each a real one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from clickpost_async import Rate
from clickpost_async.fleet import Fleet, Ledger
from clickpost_async.integrations.taskiq import feed
from clickpost_async.limits.redis import RedisBucket
from clickpost_async.sandbox import Sandbox
from tests.fleet.fleet_run import play
from tests.fleet.worker_process import process, sandbox_client
from tests.helpers.redis_server import RedisServer, ValkeyServer, free_port
from tests.sandbox.samples import india_order

PASSWORD = "not-a-real-password"
# As the page has it.
USER = f"ACL SETUSER fleet on >{PASSWORD} ~clickpost:* &* +@all -@dangerous +config|get"
RATE = 100


async def create_orders(url: str, **settings: Any) -> None:
    """Create orders with a feeder, a worker and a shared rate, all at this URL."""
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(Sandbox())
        limiter = await stack.enter_async_context(
            RedisBucket(url, Rate(200), account="acme", process_count=1)
        )
        worker = await stack.enter_async_context(process(url, sandbox, client={"limiter": limiter}))
        client = await stack.enter_async_context(sandbox_client(sandbox))
        ledger = Ledger(url, account="acme", **settings)
        fleet = await stack.enter_async_context(Fleet.open(feed(worker.task), client, ledger))
        creating = [
            asyncio.create_task(fleet.create(india_order(f"SERVER-{number}")))
            for number in range(5)
        ]
        await worker.work()
        placed = await asyncio.gather(*creating)

    assert {order.reference_number: (order.waybill,) for order in placed} == sandbox.ledger()


@pytest.mark.asyncio
async def test_fleet_runs_on_valkey() -> None:
    with ValkeyServer() as server:
        await create_orders(server.url)
        with server.client() as client:
            assert "valkey_version" in client.info("server")


@pytest.mark.asyncio
async def test_fleet_on_valkey_survives_a_killed_worker_and_a_killed_server(
    tmp_path: Path,
) -> None:
    verdict = await play(tmp_path, orders=120, workers=2, rate=RATE, server=ValkeyServer)

    assert verdict.code == 0, verdict.printed_text
    assert len(verdict.ledger) == len(verdict.journal) == 120
    assert verdict.twice == 0
    assert set(verdict.journal.values()) == {"placed"}


@asynccontextmanager
async def tls_url(folder: Path) -> AsyncIterator[str]:
    """Start a Redis that takes TLS only, with a certificate of an authority of its own."""
    authority, port = trustme.CA(), free_port()
    pem, ca = folder / "server.pem", folder / "ca.pem"
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(str(pem))
    authority.cert_pem.write_to_path(str(ca))
    tls = {"tls_cert_file": str(pem), "tls_key_file": str(pem), "tls_ca_cert_file": str(ca)}
    with RedisServer(tls_port=str(port), tls_auth_clients="no", **tls):
        yield f"rediss://127.0.0.1:{port}?ssl_ca_certs={ca}"


@pytest.mark.asyncio
async def test_fleet_runs_over_tls(tmp_path: Path) -> None:
    async with tls_url(tmp_path) as url:
        await create_orders(url)


@pytest.mark.asyncio
async def test_fleet_runs_as_the_acl_user_of_the_page() -> None:
    with RedisServer() as server:
        with server.client() as client:
            client.execute_command(*USER.split())
            client.execute_command("ACL", "SETUSER", "default", "off")
        await create_orders(server.url.replace("redis://", f"redis://fleet:{PASSWORD}@"))


@pytest.mark.asyncio
async def test_fleet_runs_in_a_numbered_database_beside_another(redis_server: RedisServer) -> None:
    await create_orders(f"{redis_server.url}/3")
    with redis_server.client(db=4) as client:
        assert client.keys() == []
