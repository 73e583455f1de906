"""One rate for many processes, in Redis or Valkey: `pip install 'clickpost_async[redis]'`.

async with RedisBucket("redis://127.0.0.1", Rate(200), account="acme") as limiter:
    async with ClickPost(limiter=limiter) as clickpost:
        ...
"""

import hashlib
from collections.abc import Awaitable
from importlib import resources
from types import TracebackType
from typing import Any, Self, cast
from urllib.parse import urlsplit

from clickpost_async._concurrency.per_loop import close_orphan
from clickpost_async._util.arguments import check_instance, check_number
from clickpost_async._util.extras import require
from clickpost_async._util.redis_keys import key_prefix
from clickpost_async.limits._distributed import DistributedLimiter, RateSpec, SlotGrant, SlotRequest
from clickpost_async.settings import Rate

with require("a rate for a fleet needs the redis extra", "clickpost_async[redis]"):
    from redis.asyncio import BlockingConnectionPool, Redis
    from redis.asyncio.connection import parse_url
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import MovedError, NoScriptError

_SCRIPTS = resources.files("clickpost_async.limits")
_SCRIPT = _SCRIPTS.joinpath("token_bucket.lua").read_text("utf-8")
_HEARTBEAT_SCRIPT = _SCRIPTS.joinpath("heartbeat.lua").read_text("utf-8")
_SHA = hashlib.sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()
# One for slots, one for heartbeats, one for a pause.
_CONNECTIONS = 3

_URL_FORMS = (
    "redis://, rediss:// or unix:// is needed, such as redis://user:password@host:6379/0;"
    " percent-encode special characters of the password; instead of a Sentinel give the master, or"
    " a host name that follows it"
)


def check_redis_url(name: str, url: str) -> bool:
    """Return whether a URL of Redis has a password.

    Raises `ValueError`, which shows no part of the URL, where it is none.
    """
    try:
        return bool(parse_url(url).get("password"))
    except (AttributeError, TypeError, ValueError):
        # The message of redis may quote a part of the password, and error trackers export frames.
        del url
        raise ValueError(f"{name}: {_URL_FORMS}") from None


class RedisBucket(DistributedLimiter):
    """Keeps one rate for all processes that name the same account at the same Redis.

    In any w seconds at most `burst + rate * w` calls of all processes are sent, and a few
    milliseconds' worth more, since a call may be late. Times are those of Redis. Processes take
    turns however many calls wait in each; in each, first come, first served, `NORMAL` before
    `BULK`. A 429 in one process pauses all. An account that Redis does not know starts without a
    burst, and slots that Redis has lost in a failover are void once a process presents one.

    A process requests a few slots at once, at most 20 ms' worth; unused ones lapse. When Redis does
    not respond within 50 ms, or responds with an error, the process falls back to its share of the
    rate: the rate divided by the number of processes whose heartbeats Redis has counted last. It
    tries Redis again after a second at the latest, and logs when it falls back and when Redis is
    back. The calls of a process that has been counted for less than 6 s, and was given no
    `process_count`, wait for Redis. The share is booked at Redis before it is used, since Redis may
    respond to other processes in time.

    It works on asyncio, with connections of its own for each event loop: close it in each.

    Args:
        url: `redis://`, `rediss://` or `unix://`.
        rate: The rate of all processes together.
        account: Names the rate, the same in all processes.
        process_count: The least number of processes to divide the rate by while Redis does not
            respond.

    Raises:
        TypeError: `rate` or `process_count` has the wrong type.
        ValueError: `url`, `account` or `process_count` is invalid.

    """

    def __init__(
        self, url: str, rate: Rate, *, account: str, process_count: int | None = None
    ) -> None:
        self._url = url
        self._rate = rate
        self._account = account
        del url  # error trackers export the variables of frames that fail
        check_redis_url("url", self._url)
        self._key = f"{key_prefix(account)}rate"
        check_instance("rate", rate, Rate, "a Rate, such as Rate(200)")
        if process_count is not None:
            check_number("process_count", process_count, unit="processes", minimum=1, whole=True)
        super().__init__(rate, process_count, f"the shared rate of {account}")

    def __repr__(self) -> str:
        # Without the URL: it may carry a password.
        return f"RedisBucket({self._rate}, account={self._account!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    def _open(self) -> "_Redis":
        return _Redis(self._url, self._key, self._spec)


class _Redis:
    """The script at a Redis, or at the node of a cluster that it names."""

    def __init__(self, url: str, key: str, spec: RateSpec) -> None:
        self._url = url
        self._key = key
        self._spec = spec
        self._redis = Redis.from_pool(_pool(url))
        self._node: Redis | None = None

    async def request_slots(self, request: SlotRequest) -> SlotGrant:
        arguments = (self._key, *arguments_of(self._spec, request))
        responded = False
        try:
            try:
                reply = await _run_script(self._node or self._redis, arguments)
            except MovedError as moved:
                await self._leave_node()
                self._node = Redis.from_pool(_pool(_moved_to(self._url, moved.host, moved.port)))
                reply = await _run_script(self._node, arguments)
            responded = True
        finally:
            # The configured node knows where the key is now.
            if not responded:
                await self._leave_node()
        return read_grant(reply)

    async def send_heartbeat(self, process: str, calls: int) -> int:
        keys = (self._key, f"{self._key}:processes")
        arguments = (*keys, process, str(calls), repr(self._spec.interval))
        counted = (self._node or self._redis).eval(_HEARTBEAT_SCRIPT, 2, *arguments)
        return await cast("Awaitable[int]", counted)

    async def aclose(self) -> None:
        await self._leave_node()
        await self._redis.aclose()

    def abandon(self) -> None:
        clients, self._node = (self._redis, self._node), None
        for client in clients:
            if client is not None:
                _abandon(client.connection_pool)

    async def _leave_node(self) -> None:
        node, self._node = self._node, None
        if node is not None:
            await node.aclose()


async def _run_script(redis: "Redis", arguments: tuple[str, ...]) -> list[str]:
    try:
        return await cast("Awaitable[list[str]]", redis.evalsha(_SHA, 1, *arguments))
    except NoScriptError:
        # Redis was restarted, or its scripts were flushed.
        return await cast("Awaitable[list[str]]", redis.eval(_SCRIPT, 1, *arguments))


def _pool(url: str) -> BlockingConnectionPool:
    return BlockingConnectionPool.from_url(
        url,
        max_connections=_CONNECTIONS,
        timeout=None,
        decode_responses=True,
        # A connection that Redis has closed shows when it is used; asking twice does no harm.
        retry=Retry(NoBackoff(), 1),
    )


def _abandon(pool: Any) -> None:
    # Nothing public of redis closes connections without their event loop.
    for connection in (*pool._available_connections, *pool._in_use_connections):  # noqa: SLF001
        if (writer := connection._writer) is not None:  # noqa: SLF001
            close_orphan(writer.transport)
            connection._writer = connection._reader = None  # noqa: SLF001


def _moved_to(url: str, host: str, port: int) -> str:
    parts = urlsplit(url)
    user, at, _ = parts.netloc.rpartition("@")
    name = f"[{host}]" if ":" in host else host
    return parts._replace(netloc=f"{user}{at}{name}:{port}").geturl()


def arguments_of(spec: RateSpec, request: SlotRequest) -> list[str]:
    """Return the script's arguments."""
    numbers = (spec.interval, request.slack, spec.lapse, request.count_wanted, request.hold)
    message = (request.generation, repr(request.first), str(request.count))
    return [*map(repr, numbers), *message]


def read_grant(reply: list[str]) -> SlotGrant:
    """Read the script's reply."""
    generation, now, kept, first, held = reply
    return SlotGrant(
        generation=generation, now=float(now), kept=int(kept), first=float(first), held=float(held)
    )
