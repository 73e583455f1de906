"""Who works on which order of a fleet, and what was sent: in Redis, on Redis' own clock."""

import asyncio
import hashlib
import logging
import re
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from importlib import resources
from typing import Any, TypeVar, cast

from attrs import field, frozen

try:
    from redis.asyncio import BlockingConnectionPool, Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import NoScriptError, RedisError
except ImportError as _error:
    message = "a fleet's ledger needs the redis extra: pip install 'clickpost_async[redis]'"
    raise ImportError(message) from _error

from clickpost_async.bulk.records import Key

T = TypeVar("T")

_log = logging.getLogger("clickpost_async")

_SCRIPT = resources.files("clickpost_async.fleet").joinpath("ledger.lua").read_text("utf-8")
_SHA = hashlib.sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()
_CONNECTIONS = 16
# A worker that has not been heard of for so long is dead, and what was its is anybody's.
_ALIVE = 15
_HEARTBEATS = 5
# How long a worker that ends waits for a Redis that does not answer, in seconds.
_FAREWELL = 1.0
# Answers that nobody collects are forgotten after so many seconds.
_MAILBOX = 3600
# A feeder that has not asked for so many seconds takes all that it has queued for forgotten.
_MARKER = 3600
_AT_ONCE = 100
_LONGEST_PAUSE = 1.0
_UNUSUAL = 0.5


class LostError(Exception):
    """The order has become another worker's, because this one was not heard of for too long."""


@frozen
class AlreadyPlaced:
    """An order that was placed before: its answer, as it was written."""

    answer: str


@frozen
class Granted:
    """An order that is the claimer's now; `sent` so many seconds ago by nobody knows whom."""

    sent: float | None


@frozen
class Conflict:
    """An order that was sent, or placed, with other contents."""


@frozen
class HeldByOther:
    """An order that a living worker has."""


Claim = AlreadyPlaced | Granted | Conflict | HeldByOther


@frozen
class Ledger:
    """Keeps for a fleet which orders are under way, and what placed ones came to.

    What it knows of an order is forgotten `keep` seconds after it was last touched. An order that
    is fed again later than that is sent again, and ClickPost answers with the first one's waybill.
    Let Redis save what it has (`appendonly yes`). What was under way when it was restarted, and
    what a `Fleet` had queued and Redis has lost (FLUSHALL, an old snapshot, eviction), is looked up
    before it is sent.
    """

    url: str = field(repr=False)
    account: str = field(kw_only=True)
    keep: float = field(default=7 * 86_400.0, kw_only=True)

    def __attrs_post_init__(self) -> None:
        """Check what was given."""
        if not re.fullmatch(r"[^{}\s]+", self.account):
            message = (
                "account: a name without braces or blanks is needed, the same in all processes"
            )
            raise ValueError(message)

    @asynccontextmanager
    async def open(self) -> "AsyncGenerator[OpenLedger]":
        """Connect as a worker of its own, which lives as long as this is open."""
        pool = BlockingConnectionPool.from_url(
            self.url,
            max_connections=_CONNECTIONS,
            timeout=None,
            decode_responses=True,
            retry=Retry(NoBackoff(), 1),
        )
        async with Redis.from_pool(pool) as redis:
            ledger = OpenLedger(redis, self.account, round(self.keep))
            beating = asyncio.create_task(ledger.beat_on())
            try:
                yield ledger
            finally:
                await cancel_and_wait(beating)
                await ledger.leave()


class OpenLedger:
    """A ledger as one worker sees it."""

    def __init__(self, redis: "Redis", account: str, keep: int) -> None:
        self.me: str = uuid.uuid4().hex
        self.account: str = account
        self._redis = redis
        self._keep = str(keep)
        # The braces: all of an account is on one node of a cluster.
        self._prefix = f"clickpost:{{{account}}}:"
        self._workers = f"{self._prefix}worker:"
        self._held: set[str] = set()
        self._roster = f"{self._prefix}workers"
        self._works = False
        self._marker = f"{self._prefix}feeder:{self.me}"
        self._memory = ""
        self._run_id = ""

    def enlist(self) -> None:
        """Count as a worker from the next heartbeat on."""
        self._works = True

    @contextmanager
    def holding(self, key: Key) -> Generator[None]:
        """Say in every heartbeat that this worker has the order, until this is left."""
        self._held.add(self._order(key))
        try:
            yield
        finally:
            self._held.discard(self._order(key))

    async def register(self, key: Key) -> None:
        """Note that an order is going to be queued, so that one that is missing was forgotten."""
        order = self._order(key)
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.hsetnx(order, "era", self._run_id)
            pipe.expire(order, int(self._keep))
            await pipe.execute()

    async def claim(self, key: Key, digest: str, *, registered: bool = False) -> Claim:
        """Ask for an order; one that was `registered` and is missing may have been sent.

        It is this worker's for as long as it is `holding` it, or a heartbeat longer.
        """
        known = "registered" if registered else ""
        match await self._act(key, "claim", digest, known, self._keep):
            case ["placed", answer]:
                return AlreadyPlaced(answer)
            case ["changed"]:
                return Conflict()
            case ["busy"]:
                return HeldByOther()
            case [_, sent]:
                return Granted(float(sent) if sent else None)
            case told:
                raise ValueError(told)

    async def sending(self, key: Key) -> None:
        """Write down that the order's bytes are about to leave.

        Raises `LostError` when the order is not this worker's any more.
        """
        if await self._act(key, "sending", self._keep) == ["lost"]:
            message = f"{key[1]}: it may have become another worker's, and is asked for again"
            raise LostError(message)

    async def end(self, key: Key, digest: str, became: str, answer: str) -> None:
        """Write down what the order became: `placed`, `nothing`, or `open`."""
        await self._act(key, "end", became, digest, answer, self._keep)

    async def reply(self, mailbox: str, answer: str) -> None:
        """Put an answer where a feeder waits for it."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.xadd(mailbox, {"answer": answer})
            pipe.expire(mailbox, _MAILBOX)
            await pipe.execute()

    async def collect(self, mailbox: str, after: str, seconds: float) -> list[tuple[str, str]]:
        """Return what was put there after that place, and each one's place.

        Waits for so long if there is nothing. What a lost connection kept back is there again.
        """
        milliseconds = round(seconds * 1000)
        asked = self._redis.xread({mailbox: after}, count=_AT_ONCE, block=milliseconds)
        read = await cast("Awaitable[Any]", asked)
        # What was read before has arrived.
        await self._redis.xtrim(mailbox, minid=after, approximate=False)
        return [(place, told["answer"]) for _, found in read for place, told in found]

    def reply_stream(self) -> str:
        """Name a place for this one's answers."""
        return f"{self._prefix}answers:{self.me}"

    async def redis_run_id(self) -> str:
        """Name the memory of this Redis: a restart, a failover and FLUSHALL begin a new one.

        The run id alone does not tell of FLUSHALL: this one's marker is gone then, and set anew.
        """
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.info("server")
            pipe.expire(self._marker, _MARKER)
            server, is_remembered = await pipe.execute()
        if not is_remembered:
            self._memory = uuid.uuid4().hex
            await self._redis.set(self._marker, self._memory, ex=_MARKER)
        self._run_id = str(server["run_id"])
        return f"{self._run_id} {self._memory}"

    async def workers(self) -> int:
        """Count the workers that have been heard of lately."""
        return int(await self._redis.zcount(self._roster, await self._now() - _ALIVE, "+inf"))

    async def beat(self) -> None:
        """Let the others know that this worker lives, and which orders it has."""
        me = self._workers + self.me
        now = await self._now() if self._works else 0
        async with self._redis.pipeline(transaction=True) as pipe:
            # Anew: a Redis that was restarted may remember some that it has no more.
            pipe.delete(me)
            if self._held:
                pipe.sadd(me, *self._held)
                pipe.expire(me, _ALIVE)
            if self._works:
                pipe.zadd(self._roster, {self.me: now})
                pipe.zremrangebyscore(self._roster, "-inf", now - _ALIVE)
                pipe.expire(self._roster, _ALIVE)
            await pipe.execute()

    async def beat_on(self) -> None:
        """Let them know until cancelled."""
        while True:
            await asyncio.sleep(_ALIVE / _HEARTBEATS)
            try:
                await self.beat()
            except RedisError as error:
                _log.debug("the fleet's ledger cannot be reached: %s", type(error).__name__)

    async def leave(self) -> None:
        """Let the others know at once that this worker is gone, or let them find out."""
        with suppress(RedisError, TimeoutError):
            async with asyncio.timeout(_FAREWELL), self._redis.pipeline() as pipe:
                pipe.delete(self._workers + self.me)
                pipe.zrem(self._roster, self.me)
                await pipe.execute()

    async def _now(self) -> int:
        # The clocks of the machines may differ.
        return int((await self._redis.time())[0])

    async def _act(self, key: Key, act: str, *told: str) -> list[str]:
        words = (self._order(key), self._workers, act, self.me, str(_ALIVE), *told)
        try:
            done = await cast("Awaitable[list[str]]", self._redis.evalsha(_SHA, 2, *words))
        except NoScriptError:
            # A new one, or SCRIPT FLUSH.
            done = await cast("Awaitable[list[str]]", self._redis.eval(_SCRIPT, 2, *words))
        raise_if_cancelled()
        return done

    def _order(self, key: Key) -> str:
        return f"{self._prefix}order:{key[0]}:{key[1]}"


class RedisBackoff:
    """Waits ever longer for a Redis that does not answer, and says so once.

    It is silent while no more than connections were lost, which Redis does when it is restarted.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._pause = 0.0
        self._said = False

    async def wait(self, error: Exception) -> None:
        """Wait, because of that error."""
        # redis-py may tell of a connection that was lost where it was cancelled.
        raise_if_cancelled()
        if not self._said and self._pause > _UNUSUAL:
            self._said = True
            kind = type(error).__name__
            _log.warning("%s waits for Redis, which does not answer (%s)", self._what, kind)
        self._pause = min(2 * self._pause + 0.05, _LONGEST_PAUSE)
        await asyncio.sleep(self._pause)

    def over(self) -> None:
        """Begin anew: it has answered."""
        if self._said:
            _log.warning("%s goes on: Redis answers again", self._what)
        self._pause, self._said = 0.0, False


def raise_if_cancelled() -> None:
    """Raise `CancelledError` if the current task was cancelled and has not noticed.

    redis-py sends within `asyncio.wait_for`, which until Python 3.12 drops a cancellation that
    comes when the bytes have just been written (python/cpython#86296).
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def retry_until_done(what: str, act: Callable[[], Awaitable[T]]) -> T:
    """Do what must not be left out, however long Redis does not answer."""
    patience = RedisBackoff(what)
    while True:
        try:
            done = await act()
        except (RedisError, OSError) as error:
            await patience.wait(error)
        else:
            patience.over()
            return done


async def cancel_and_wait(task: "asyncio.Task[None]") -> None:
    """Cancel a task that asks Redis, until it has ended: one cancellation may get lost there."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.1)


__all__ = [
    "AlreadyPlaced",
    "Claim",
    "Conflict",
    "Granted",
    "HeldByOther",
    "Ledger",
    "LostError",
    "OpenLedger",
    "RedisBackoff",
    "RedisError",
    "cancel_and_wait",
    "raise_if_cancelled",
    "retry_until_done",
]
