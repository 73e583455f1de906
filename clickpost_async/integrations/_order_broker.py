"""A taskiq broker on a Redis stream, for orders."""

import asyncio
import logging
import math
import time
import zlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextvars import ContextVar
from typing import Any, cast

from attrs import define, frozen

from clickpost_async._util.extras import require
from clickpost_async._util.redis_keys import key_prefix
from clickpost_async.fleet.fleet import MESSAGE_SIZE
from clickpost_async.fleet.redis_calls import (
    Batcher,
    RedisBackoff,
    cancel_and_wait,
    raise_if_cancelled,
    retry_until_done,
)
from clickpost_async.integrations._signal_wakeup import wake_on_signals

with require("workers on taskiq need the taskiq extra", "clickpost_async[taskiq]"):
    from redis.asyncio import Redis
    from redis.exceptions import RedisError, ResponseError
    from taskiq import AckableMessage, BrokerMessage
    from taskiq_redis import RedisStreamBroker

_log = logging.getLogger("clickpost_async")

# Seconds after which a message that its worker has not touched is claimed by another one; workers
# touch their messages more often.
_IDLE = 30.0
_TOUCHES = 3
# Milliseconds after which a consumer that has no messages and reads none counts as dead.
_DEAD_CONSUMER_MS = 3_600_000
# Messages read at a time; more would wait in one worker while others are idle.
_READ = 10
_BLOCK_MS = 1000
# The search for messages of dead workers is made so often while their `idle` seconds pass.
_SEARCHES = 10
# Messages are deleted so many seconds after they were queued, done or not.
_KEEP = 7 * 86_400.0
# One connection blocks on reads; acknowledgements and touches share the others.
_CONNECTIONS = 4
# Marks a message whose first worker crashed.
REDELIVERED = "clickpost_redelivered"
# How many orders a message has.
ORDERS = "clickpost_orders"

# Atomic: deleting a consumer deletes its pending messages, so none may be added in between.
_DELETE_DEAD_CONSUMERS = """
for _, fields in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local consumer = {}
  for place = 1, #fields, 2 do
    consumer[fields[place]] = fields[place + 1]
  end
  if consumer.pending == 0 and consumer.idle > tonumber(ARGV[2]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], consumer.name)
  end
end
return 0
"""

# A message's number in the stream, and its fields.
_Entry = tuple[bytes, dict[bytes, bytes]]
_BEGINNING = b"0-0"
_COMPRESSION = 1

last_entry: ContextVar["QueueEntry | None"] = ContextVar("last_entry", default=None)


@frozen
class QueueEntry:
    """A message in the stream of an `OrderBroker`."""

    broker: "OrderBroker"
    number: bytes

    async def is_queued(self) -> bool:
        """Return whether the message is still in the stream; it is deleted with its order done."""
        return await self.broker.contains(self.number)


@define
class _HeldMessage:
    """A message that this worker has read, and how many of its orders are not done."""

    task_id: str
    orders: int


class OrderBroker(RedisStreamBroker):
    """A broker on a Redis stream that loses no order, deletes finished ones, and reconnects.

    Messages of a crashed worker are claimed by another one. A worker that stops returns to the
    stream the orders that it has not sent within 2 s. Messages are compressed.

    Args:
        url: `redis://`, `rediss://` or `unix://`.
        account: Names the queue, the same in all processes.
        idle: Seconds after which a message of a worker that crashed is claimed.
        max_concurrency: With so many orders a worker reads no more messages.
        keep: Seconds after which a message is deleted that no worker has done.

    """

    def __init__(
        self,
        url: str,
        *,
        account: str,
        idle: float = _IDLE,
        max_concurrency: int = 100,
        keep: float = _KEEP,
    ) -> None:
        super().__init__(
            url,
            queue_name=f"{key_prefix(account)}orders",
            consumer_group_name="workers",
            # Also read messages that were queued before the first worker started.
            consumer_id="0",
            max_connection_pool_size=_CONNECTIONS,
            timeout=None,
        )
        self._redis = Redis(connection_pool=self.connection_pool)
        self.on_stop: Callable[[], None] | None = None
        self._idle = idle
        self._max_concurrency = max_concurrency
        self._keep = keep
        self._held: dict[bytes, _HeldMessage] = {}
        self._room = asyncio.Event()
        # Cursor of the search for messages of crashed workers, and when the next one is due.
        self._searched: bytes = _BEGINNING
        self._search_at = -math.inf
        self._backoff = RedisBackoff("a worker's queue")
        self._delete: Batcher[bytes, None] = Batcher(self._delete_messages, self._backoff)

    async def kick(self, message: BrokerMessage) -> None:
        """Add a message to the stream."""
        fields: Any = {
            "data": zlib.compress(message.message, _COMPRESSION),
            "id": message.task_id,
            "orders": int(message.labels.get(ORDERS, 1)),
        }
        oldest = round((time.time() - self._keep) * 1000)
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.xadd(self.queue_name, fields, minid=max(0, oldest), approximate=False)
            pipe.expire(self.queue_name, math.ceil(self._keep))
            number, _ = await pipe.execute()
        last_entry.set(QueueEntry(self, number))

    async def contains(self, number: bytes) -> bool:
        """Return whether a message is in the stream, waiting or claimed by a worker."""
        found = self._redis.xrange(self.queue_name, number, number)
        return bool(await cast("Awaitable[list[Any]]", found))

    async def listen(self) -> AsyncGenerator[AckableMessage, None]:
        """Yield new messages, and those of crashed workers."""
        touching = asyncio.create_task(self._touch())
        try:
            with wake_on_signals():
                while True:
                    await self._wait_for_room()
                    found = await retry_until_done(self._next, self._backoff)
                    if not found:
                        # taskiq cancels it once, and then waits for it.
                        raise_if_cancelled()
                    for message in found:
                        yield message
        finally:
            if self.on_stop is not None:
                self.on_stop()
            await cancel_and_wait(touching)

    def order_ended(self, task_id: str) -> None:
        """Note that one order of a message is done, which lets the worker read more."""
        for held in self._held.values():
            if held.task_id == task_id:
                held.orders -= 1
        self._room.set()

    async def shutdown(self) -> None:
        """Close the connections."""
        await self._delete.aclose()
        await super().shutdown()

    @property
    def _free(self) -> int:
        return self._max_concurrency - sum(max(0, held.orders) for held in self._held.values())

    async def _wait_for_room(self) -> None:
        while self._free <= 0:
            self._room.clear()
            await self._room.wait()

    async def _next(self) -> list[AckableMessage]:
        try:
            found = await self._left() or await self._new()
        except ResponseError as error:
            # Redis was restarted without its data.
            if not str(error).startswith("NOGROUP"):
                raise
            await self._declare_consumer_group()
            return []
        return [self._hold(number, fields) for number, fields in found]

    def _hold(self, number: bytes, fields: dict[bytes, bytes]) -> AckableMessage:
        orders = int(fields.get(b"orders", 1))
        self._held[number] = _HeldMessage(fields.get(b"id", b"").decode(), orders)
        return AckableMessage(data=fields[b"data"], ack=self._ack(number))

    async def _declare_consumer_group(self) -> None:
        try:
            await super()._declare_consumer_group()
        except (RedisError, OSError):
            # A worker waits for Redis in `listen`, where a signal can stop it.
            if not self.is_worker_process:
                raise

    async def _new(self) -> list[_Entry]:
        read = await cast(
            "Awaitable[Any]",
            self._redis.xreadgroup(
                self.consumer_group_name,
                self.consumer_name,
                {self.queue_name: ">"},
                count=self._read_count,
                block=_BLOCK_MS,
            ),
        )
        streams = read.items() if isinstance(read, dict) else read or []
        return [
            (number, _decompress(fields))
            for _, messages in streams
            for number, fields in _flatten(messages)
        ]

    async def _left(self) -> list[_Entry]:
        now = time.monotonic()
        if now < self._search_at:
            return []
        claimed = await cast(
            "Awaitable[Any]",
            self._redis.xautoclaim(
                self.queue_name,
                self.consumer_group_name,
                self.consumer_name,
                min_idle_time=round(self._idle * 1000),
                # It scans `count` messages at a time: those in flight may come first.
                start_id=self._searched,
                count=self._read_count,
            ),
        )
        self._searched = claimed[0]
        if self._searched == _BEGINNING and not claimed[1]:
            self._search_at = now + self._idle / _SEARCHES
        # Messages of this worker that were idle while it was blocked are still in flight here.
        return [
            (number, self._mark_redelivered(_decompress(fields)))
            for number, fields in claimed[1]
            if fields and number not in self._held
        ]

    @property
    def _read_count(self) -> int:
        return min(_READ, max(1, self._free // MESSAGE_SIZE))

    def _mark_redelivered(self, fields: dict[bytes, bytes]) -> dict[bytes, bytes]:
        try:
            message = self.formatter.loads(fields[b"data"])
        except Exception:  # noqa: BLE001 - taskiq logs and drops what it cannot read
            return fields
        message.labels[REDELIVERED] = True
        return fields | {b"data": self.formatter.dumps(message).message}

    def _ack(self, number: bytes) -> Callable[[], Awaitable[None]]:
        async def ack() -> None:
            await self._delete(number)
            self._held.pop(number, None)
            self._room.set()

        return ack

    async def _delete_messages(self, numbers: Sequence[bytes]) -> list[None]:
        async with self._redis.pipeline(transaction=False) as pipe:
            # Deleted first: an acknowledged message would stay, with personal data in it.
            pipe.xdel(self.queue_name, *numbers)
            pipe.xack(self.queue_name, self.consumer_group_name, *numbers)
            await pipe.execute()
        return [None] * len(numbers)

    async def _touch(self) -> None:
        """Renew the claim on this worker's messages, and delete dead consumers."""
        while True:
            await asyncio.sleep(self._idle / _TOUCHES)
            held: list[Any] = list(self._held)
            try:
                if held:
                    await cast(
                        "Awaitable[Any]",
                        self._redis.xclaim(
                            self.queue_name,
                            self.consumer_group_name,
                            self.consumer_name,
                            min_idle_time=0,
                            message_ids=held,
                            justid=True,
                        ),
                    )
                await self._delete_dead_consumers()
            except (RedisError, OSError) as error:
                _log.debug("a worker's messages could not be touched: %s", type(error).__name__)

    async def _delete_dead_consumers(self) -> None:
        arguments = (self.queue_name, self.consumer_group_name, str(_DEAD_CONSUMER_MS))
        await cast("Awaitable[int]", self._redis.eval(_DELETE_DEAD_CONSUMERS, 1, *arguments))


def _decompress(fields: dict[bytes, bytes]) -> dict[bytes, bytes]:
    try:
        return fields | {b"data": zlib.decompress(fields[b"data"])}
    except zlib.error:
        # Not written by this broker: taskiq logs and drops what it cannot read.
        return fields


def _flatten(messages: Any) -> list[tuple[bytes, dict[bytes, bytes]]]:
    # RESP3 wraps the messages of a stream once more.
    inner = messages[0] if messages and isinstance(messages[0], list) else messages
    return [(number, fields) for number, fields in inner if fields]
