"""Redis servers that a fleet accepts or refuses at its start, each a real one."""

import asyncio
import socket
import ssl
import subprocess
from pathlib import Path

import pytest
import redis

from clickpost_async.fleet import Ledger
from clickpost_async.fleet.ledger import Granted, Result
from clickpost_async.fleet.redis_calls import UnsuitableRedisError
from clickpost_async.fleet.server_check import check_server
from tests.helpers.programs import program
from tests.helpers.redis_server import RedisServer, free_port

KEY = ("india", "PEN-1")
PASSWORD = "not-a-real-password"
# All that an application needs, and nothing that is dangerous.
USER = ["ACL", "SETUSER", "fleet", "on", f">{PASSWORD}", "~clickpost:*", "&*", "+@all"]


async def place_order(ledger: Ledger) -> None:
    async with ledger.open() as opened:
        await opened.register([KEY])
        assert await opened.claim(KEY, "aa", registered=True) == Granted(None)
        await opened.sending(KEY)
        await opened.end(KEY, "aa", Result(state="placed", summary="12 W-1"))
        await opened.send_heartbeat()


async def refusal(ledger: Ledger) -> str:
    async with ledger.open() as opened:
        with pytest.raises(UnsuitableRedisError) as refused:
            await opened.generation()
    return str(refused.value)


@pytest.mark.parametrize("policy", ["volatile-lru", "allkeys-lru", "volatile-ttl", "allkeys-lfu"])
@pytest.mark.asyncio
async def test_redis_that_evicts_is_refused_with_the_command_that_changes_it(policy: str) -> None:
    with RedisServer(maxmemory_policy=policy) as server:
        message = await refusal(Ledger(server.url, account="acme"))

        assert f"maxmemory-policy is {policy}" in message
        assert "redis-cli config set maxmemory-policy noeviction" in message
        with server.client() as client:
            assert client.keys() == []
            client.config_set("maxmemory-policy", "noeviction")
        await place_order(Ledger(server.url, account="acme"))


@pytest.mark.asyncio
async def test_eviction_policy_that_changes_is_noticed_when_redis_is_restarted() -> None:
    with RedisServer(appendonly="yes") as server:
        async with Ledger(server.url, account="acme").open() as opened:
            await opened.generation()
            server._settings["maxmemory_policy"] = "allkeys-lru"
            server.restart()
            with pytest.raises(UnsuitableRedisError, match="allkeys-lru"):
                await opened.generation()


@pytest.mark.asyncio
async def test_user_without_dangerous_commands_can_do_all_once_the_check_is_off() -> None:
    with RedisServer() as server:
        with server.client() as client:
            client.execute_command(*USER, "-@dangerous")
        url = server.url.replace("redis://", f"redis://fleet:{PASSWORD}@")
        message = await refusal(Ledger(url, account="acme"))

        assert "forbids CONFIG" in message
        assert "check_eviction=False" in message
        assert PASSWORD not in message
        await place_order(Ledger(url, account="acme", check_eviction=False))
        with server.client() as client:
            client.execute_command("ACL", "SETUSER", "fleet", "+config|get")
        await place_order(Ledger(url, account="acm2"))


@pytest.mark.asyncio
async def test_node_of_a_cluster_is_refused() -> None:
    with RedisServer(cluster_enabled="yes") as server:
        assert "node of a cluster" in await refusal(Ledger(server.url, account="acme"))


@pytest.mark.asyncio
async def test_sentinel_is_refused(tmp_path: Path) -> None:
    port = free_port()
    config = tmp_path / "sentinel.conf"
    config.write_text(f"port {port}\nbind 127.0.0.1\ndir {tmp_path}\n")
    process = subprocess.Popen(
        [program("redis-server"), str(config), "--sentinel"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        await until_open(port)
        message = await refusal(Ledger(f"redis://127.0.0.1:{port}", account="acme"))
    finally:
        process.kill()
        process.wait()

    assert "this is a Sentinel" in message
    assert "address of the master" in message


@pytest.mark.asyncio
async def test_version_before_7_is_refused() -> None:
    class OldRedis:
        async def execute_command(self, *_: str) -> dict[str, str]:
            return {"server": "redis", "version": "6.2.14", "mode": "standalone"}

    with pytest.raises(UnsuitableRedisError, match=r"6\.2\.14; a fleet needs Redis 7\.0 or later"):
        await check_server(OldRedis(), check_eviction=False)  # type: ignore[arg-type]


@pytest.mark.asyncio
async def test_unix_socket_is_used(tmp_path: Path) -> None:
    path = tmp_path / "redis.sock"
    with RedisServer(unixsocket=str(path)):
        await place_order(Ledger(f"unix://{path}", account="acme"))


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    key, pem = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(pem)),
        ],
        check=True,
        capture_output=True,
    )
    return key, pem


@pytest.mark.asyncio
async def test_tls_with_an_own_certificate_is_used_and_others_are_not_trusted(
    certificate: tuple[Path, Path],
) -> None:
    key, pem = certificate
    port = free_port()
    tls = {"tls_cert_file": str(pem), "tls_key_file": str(key), "tls_ca_cert_file": str(pem)}
    with RedisServer(tls_port=str(port), tls_auth_clients="no", **tls):
        url = f"rediss://127.0.0.1:{port}"
        await place_order(Ledger(f"{url}?ssl_ca_certs={pem}", account="acme"))
        async with Ledger(url, account="acme").open() as opened:
            with pytest.raises((redis.ConnectionError, ssl.SSLError)):
                await opened.generation()


async def until_open(port: int) -> None:

    for _ in range(1000):
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        await asyncio.sleep(0.01)
    pytest.fail("the server does not take connections")
