"""Which worker of a fleet has which order, and what was sent: in Redis, on Redis' own clock."""

import asyncio
import logging
import uuid
from collections.abc import AsyncGenerator, Awaitable, Generator, Iterable, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from importlib import resources
from typing import Any, cast

from attrs import field, frozen
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from clickpost_async._util.arguments import check_number
from clickpost_async._util.redis_keys import key_prefix
from clickpost_async.bulk.records import Key
from clickpost_async.fleet.generation import GenerationScript
from clickpost_async.fleet.redis_calls import (
    Batcher,
    RedisBackoff,
    RedisError,
    cancel_and_wait,
)
from clickpost_async.fleet.server_check import check_server
from clickpost_async.limits.redis import check_redis_url

_log = logging.getLogger("clickpost_async")

_SCRIPT = resources.files("clickpost_async.fleet").joinpath("ledger.lua").read_text("utf-8")
# One for each kind of call, one for heartbeats, and one that waits for replies.
_CONNECTIONS = 6
# A worker without a heartbeat for so many seconds is dead, and its orders are free.
ALIVE = 15
_HEARTBEATS = 5
# How many seconds a worker that ends waits for a Redis that does not respond.
_LEAVE_TIMEOUT = 1.0
# Replies that no feeder collects are deleted after so many seconds.
_REPLIES_KEPT = 3600
_MAX_REPLIES = 100
# Seconds that an outcome waits for others to be recorded with it; feeders read as rarely.
_END_LINGER = 0.05


class LostError(Exception):
    """The order has become another worker's, because this one sent no heartbeat for too long."""


@frozen
class AlreadyPlaced:
    """An order that was placed before: the summary of its response."""

    summary: str


@frozen
class Granted:
    """An order that is the claimer's now, if `sent` then by another worker so many seconds ago."""

    sent: float | None


@frozen
class Conflict:
    """An order that was sent, or placed, with other contents."""


@frozen
class HeldByOther:
    """An order that a living worker has."""


Claim = AlreadyPlaced | Granted | Conflict | HeldByOther


@frozen(kw_only=True)
class Result:
    """The result of an order: `placed`, `nothing` or `open`, and the reply for its feeder.

    `reply` is the feeder's stream, its ticket, and the reply itself.
    """

    state: str
    summary: str = ""
    reply: tuple[str, int, str] | None = None


@frozen
class Ledger:
    """Records for a fleet which orders are under way, and which ones are placed.

    Redis has to be 7.0 or later, or Valkey; it must not evict (`maxmemory-policy noeviction`), and
    should save what it has (`appendonly yes`). What was under way when it was restarted, or failed
    over, and what a `Fleet` had queued and Redis has lost (FLUSHALL, an old snapshot) is looked up
    before it is sent.

    Args:
        url: `redis://`, `rediss://` or `unix://`.
        account: Names the records, the same in all processes.
        keep: Seconds after which a record is deleted, from when it was last written. An order that
            is queued again later than that is sent again, and ClickPost responds with the first
            waybill.
        check_eviction: Whether Redis is asked for its `maxmemory-policy`.

    Raises:
        TypeError: `keep` is not a number.
        ValueError: `url`, `account` or `keep` is invalid.

    """

    url: str = field(repr=False)
    account: str = field(kw_only=True)
    keep: float = field(default=7 * 86_400.0, kw_only=True)
    check_eviction: bool = field(default=True, kw_only=True)

    def __attrs_post_init__(self) -> None:
        """Validate the arguments."""
        check_redis_url("url", self.url)
        key_prefix(self.account)
        check_number("keep", self.keep, unit="seconds", minimum=1)

    @asynccontextmanager
    async def open(self) -> "AsyncGenerator[OpenLedger]":
        """Connect as a new worker, which is alive while the block runs."""
        pool = BlockingConnectionPool.from_url(
            self.url,
            max_connections=_CONNECTIONS,
            timeout=None,
            decode_responses=True,
            retry=Retry(NoBackoff(), 1),
        )
        async with Redis.from_pool(pool) as redis:
            ledger = OpenLedger(redis, self)
            beating = asyncio.create_task(ledger.send_heartbeats())
            try:
                yield ledger
            finally:
                await cancel_and_wait(beating)
                await ledger.leave()


class OpenLedger:
    """A ledger as one worker sees it.

    Its calls wait while Redis does not respond, which is logged once; concurrent ones
    are batched.
    """

    def __init__(self, redis: "Redis", ledger: Ledger) -> None:
        self.worker_id: str = uuid.uuid4().hex[:16]
        self.account: str = ledger.account
        self._redis = redis
        self._keep = round(ledger.keep)
        self._prefix = key_prefix(ledger.account)
        self._workers = f"{self._prefix}worker:"
        self._roster = f"{self._prefix}workers"
        self._doubts = f"{self._prefix}doubts"
        self._generation_key = f"{self._prefix}generation"
        self._held: set[str] = set()
        self._is_worker = False
        self._script = GenerationScript(
            redis,
            self._generation_key,
            _SCRIPT,
            kept=self._keep,
            check=lambda: check_server(redis, check_eviction=ledger.check_eviction),
        )
        backoff = RedisBackoff(f"the fleet of {ledger.account}")
        self._claim: Batcher[Sequence[str], list[str]]
        self._claim = Batcher(lambda items: self._act("claim", items), backoff)
        self._sending: Batcher[str, bool] = Batcher(self._record_sending, backoff)
        # No request waits for it.
        self._end: Batcher[Sequence[str], None]
        self._end = Batcher(self._record_ends, backoff, linger=_END_LINGER)
        self._reply: Batcher[tuple[str, int, str], None] = Batcher(self._send_replies, backoff)

    def enlist(self) -> None:
        """Count as a worker from the next heartbeat on."""
        self._is_worker = True

    @contextmanager
    def holding(self, key: Key) -> Generator[None]:
        """Name the order in every heartbeat while the block runs."""
        self._held.add(self._order(key))
        try:
            yield
        finally:
            self._held.discard(self._order(key))

    async def register(self, keys: Iterable[Key]) -> None:
        """Note that orders are going to be queued; if a record is missing later, it was lost.

        Raises redis-py's `RedisError` when Redis does not respond.
        """
        await self._act("register", [[self._order(key)] for key in keys])

    async def claim(self, key: Key, digest: str, *, registered: bool = False) -> Claim:
        """Claim an order for this worker, as long as it is `holding` it, or a heartbeat longer.

        Args:
            key: The account's name of the order.
            digest: The digest of its contents.
            registered: Whether a feeder registered it, so that a missing record means doubt.

        Returns:
            `Granted`, or why not.

        """
        known = "queued" if registered else ""
        match await self._claim([self._order(key), digest, known]):
            case ["placed", summary]:
                return AlreadyPlaced(summary)
            case ["conflict"]:
                return Conflict()
            case ["held"]:
                return HeldByOther()
            case ["granted", sent]:
                return Granted(float(sent) if sent else None)
            case unexpected:
                raise ValueError(unexpected)

    async def sending(self, key: Key) -> None:
        """Record that the order is about to be sent.

        Raises `LostError` when the order is not this worker's any more.
        """
        if not await self._sending(self._order(key)):
            message = f"{key[1]}: it may have become another worker's, and is claimed again"
            raise LostError(message)

    async def end(self, key: Key, digest: str, result: Result) -> None:
        """Record the result of the order, and send its reply, if any: both or neither.

        Args:
            key: The order.
            digest: The digest of its contents.
            result: The outcome, and the reply if a feeder waits for one.

        """
        stream, ticket, text = result.reply or ("", 0, "")
        fields = (result.state, digest, result.summary, stream, str(ticket), text)
        await self._end([self._order(key), *fields])

    async def reply(self, stream: str, ticket: int, text: str) -> None:
        """Send a reply to a feeder.

        Args:
            stream: The feeder's stream.
            ticket: The order's number there.
            text: The reply, as JSON.

        """
        await self._reply((stream, ticket, text))

    async def collect(
        self, stream: str, after: str, seconds: float
    ) -> list[tuple[str, dict[str, str]]]:
        """Read the entries of a reply stream.

        What was read before is trimmed; what a lost connection held back is read again.

        Args:
            stream: The stream.
            after: The id of the last entry that was read.
            seconds: How long to wait if there are none.

        Returns:
            The ids of the entries, and their replies by ticket.

        """
        # BLOCK 0 would wait for ever.
        milliseconds = round(seconds * 1000) or None
        reading = self._redis.xread({stream: after}, count=_MAX_REPLIES, block=milliseconds)
        read = await cast("Awaitable[Any]", reading) or []
        if after != "0-0":
            # What was read before has arrived.
            await self._redis.xtrim(stream, minid=after, approximate=False)
        return [entry for _, entries in read for entry in entries]

    def reply_stream(self) -> str:
        """Return the name of this feeder's stream of replies."""
        return f"{self._prefix}replies:{self.worker_id}"

    async def generation(self) -> str:
        """Return the generation of this Redis; a restart, a failover and FLUSHALL begin another."""
        return await self._script.current()

    async def workers(self) -> int:
        """Count the workers with a recent heartbeat."""
        return int(await self._redis.zcount(self._roster, await self._now() - ALIVE, "+inf"))

    async def send_heartbeat(self) -> None:
        """Send a heartbeat, which names the orders that this worker has."""
        key = self._workers + self.worker_id
        now = await self._now() if self._is_worker else 0
        async with self._redis.pipeline(transaction=True) as pipe:
            # Anew: a Redis that was restarted may remember orders that this worker no longer has.
            pipe.delete(key)
            if self._held:
                pipe.sadd(key, *self._held)
                pipe.expire(key, ALIVE)
            if self._is_worker:
                pipe.zadd(self._roster, {self.worker_id: now})
                pipe.zremrangebyscore(self._roster, "-inf", now - ALIVE)
                pipe.expire(self._roster, ALIVE)
            pipe.expire(self._generation_key, self._keep)
            await pipe.execute()

    async def send_heartbeats(self) -> None:
        """Send heartbeats until cancelled."""
        while True:
            await asyncio.sleep(ALIVE / _HEARTBEATS)
            try:
                await self.send_heartbeat()
            except RedisError as error:
                _log.debug("a heartbeat of the fleet failed: %s", type(error).__name__)

    async def leave(self) -> None:
        """Free this worker's orders at once, unless Redis does not respond."""
        for batcher in (self._claim, self._sending, self._end, self._reply):
            await batcher.aclose()
        with suppress(RedisError, TimeoutError):
            async with asyncio.timeout(_LEAVE_TIMEOUT), self._redis.pipeline() as pipe:
                pipe.delete(self._workers + self.worker_id)
                pipe.zrem(self._roster, self.worker_id)
                await pipe.execute()

    async def _now(self) -> int:
        # The clocks of the machines may differ.
        return int((await self._redis.time())[0])

    async def _record_sending(self, orders: Sequence[str]) -> list[bool]:
        """Return for each order whether it is still this worker's."""
        lost = await self._act("sending", [[order] for order in orders])
        return [place not in lost for place in range(1, len(orders) + 1)]

    async def _record_ends(self, items: Sequence[Sequence[str]]) -> list[None]:
        await self._act("end", items)
        return [None] * len(items)

    async def _act(self, act: str, items: Sequence[Sequence[str]]) -> list[Any]:
        keys = [self._workers, self._doubts, *(order for order, *_ in items)]
        arguments = [argument for _, *arguments in items for argument in arguments]
        return await self._script.run(
            keys, [act, self.worker_id, str(ALIVE), str(self._keep), *arguments]
        )

    async def _send_replies(self, items: Sequence[tuple[str, int, str]]) -> list[None]:
        replies: dict[str, dict[Any, Any]] = {}
        for stream, ticket, text in items:
            replies.setdefault(stream, {})[str(ticket)] = text
        async with self._redis.pipeline(transaction=True) as pipe:
            for stream, fields in replies.items():
                pipe.xadd(stream, fields)
                pipe.expire(stream, _REPLIES_KEPT)
            await pipe.execute()
        return [None] * len(items)

    def _order(self, key: Key) -> str:
        return f"{self._prefix}{key[0]}:{key[1]}"


__all__ = [
    "AlreadyPlaced",
    "Claim",
    "Conflict",
    "Granted",
    "HeldByOther",
    "Ledger",
    "LostError",
    "OpenLedger",
    "Result",
]
