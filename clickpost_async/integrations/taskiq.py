"""Workers on taskiq: `pip install 'clickpost_async[taskiq]'`.

broker = order_broker("redis://127.0.0.1", account="acme")
create_order = order_task(
    broker,
    client=ClickPost,
    ledger=Ledger("redis://127.0.0.1", account="acme"),
)

A queue delivers at least once, so a worker checks the ledger first: an order that was placed
returns its recorded response, one that another worker is creating is waited for, and one whose
worker crashed is looked up before it is sent again.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from contextvars import ContextVar
from typing import Annotated, Any, cast

from attrs import evolve, frozen

from clickpost_async._util.extras import require
from clickpost_async.client import ClickPost
from clickpost_async.fleet.fleet import Feed
from clickpost_async.fleet.ledger import Ledger
from clickpost_async.fleet.redis_calls import (
    Batcher,
    RedisBackoff,
    UnsuitableRedisError,
    cancel_and_wait,
    raise_if_cancelled,
    retry_until_done,
)
from clickpost_async.fleet.worker import OrderTerms, Worker

with require("workers on taskiq need the taskiq extra", "clickpost_async[taskiq]"):
    from redis.asyncio import Redis
    from redis.exceptions import RedisError, ResponseError
    from taskiq import (
        AckableMessage,
        AsyncBroker,
        AsyncTaskiqDecoratedTask,
        BrokerMessage,
        Context,
        TaskiqDepends,
        TaskiqEvents,
    )
    from taskiq.exceptions import SendTaskError
    from taskiq_redis import RedisStreamBroker

_log = logging.getLogger("clickpost_async")

TASK = "clickpost_async:create_order"

# Seconds after which a message that its worker has not touched is claimed by another one; workers
# touch their messages more often.
_IDLE = 30.0
_TOUCHES = 3
# Milliseconds after which a consumer that has no messages and reads none counts as dead.
_DEAD_CONSUMER_MS = 3_600_000
# Messages read at a time; more would wait in one worker while others are idle.
_READ = 10
_BLOCK_MS = 1000
# One connection blocks on reads; acknowledgements and touches share the others.
_CONNECTIONS = 4
# Marks a message whose first worker crashed.
_REDELIVERED = "clickpost_redelivered"

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

CreateOrder = AsyncTaskiqDecoratedTask[Any, Awaitable[str]]

_last_entry: ContextVar["QueueEntry | None"] = ContextVar("_last_entry", default=None)


@frozen
class QueueEntry:
    """A message in the stream of an `OrderBroker`."""

    broker: "OrderBroker"
    number: bytes

    async def is_queued(self) -> bool:
        """Return whether the message is still in the stream; it is deleted with its order done."""
        return await self.broker.contains(self.number)


class OrderBroker(RedisStreamBroker):
    """A broker on a Redis stream that loses no order, deletes finished ones, and reconnects.

    A message whose worker crashed is claimed by another one after `idle` seconds, even if no new
    messages arrive.
    """

    def __init__(self, url: str, *, account: str, idle: float = _IDLE) -> None:
        super().__init__(
            url,
            queue_name=f"clickpost:{{{account}}}:orders",
            consumer_group_name="workers",
            # Also read messages that were queued before the first worker started.
            consumer_id="0",
            max_connection_pool_size=_CONNECTIONS,
            timeout=None,
        )
        self._idle = idle
        self._held: set[bytes] = set()
        # Cursor of the search for messages of crashed workers.
        self._searched: Any = "0-0"
        self._backoff = RedisBackoff("a worker's queue")
        self._delete: Batcher[bytes, None] = Batcher(self._delete_messages, self._backoff)

    async def kick(self, message: BrokerMessage) -> None:
        """Add a message to the stream."""
        async with self._redis() as redis:
            number = await redis.xadd(self.queue_name, {b"data": message.message})
        _last_entry.set(QueueEntry(self, cast("bytes", number)))

    async def contains(self, number: bytes) -> bool:
        """Return whether a message is in the stream, waiting or claimed by a worker."""
        async with self._redis() as redis:
            found = redis.xrange(self.queue_name, number, number)
            return bool(await cast("Awaitable[list[Any]]", found))

    async def listen(self) -> AsyncGenerator[AckableMessage, None]:
        """Yield new messages, and those of crashed workers."""
        async with self._redis() as redis:
            touching = asyncio.create_task(self._touch(redis))
            try:
                while True:
                    found = await retry_until_done(lambda: self._next(redis), self._backoff)
                    if not found:
                        # taskiq cancels it once, and then waits for it.
                        raise_if_cancelled()
                    for number, data in found:
                        self._held.add(number)
                        yield AckableMessage(data=data, ack=self._ack(number))
            finally:
                await cancel_and_wait(touching)

    async def shutdown(self) -> None:
        """Close the connections."""
        await self._delete.aclose()
        await super().shutdown()

    def _redis(self) -> "Redis":
        return Redis(connection_pool=self.connection_pool)

    async def _next(self, redis: "Redis") -> list[tuple[bytes, bytes]]:
        try:
            return await self._left(redis) or await self._new(redis)
        except ResponseError as error:
            # Redis was restarted without its data.
            if not str(error).startswith("NOGROUP"):
                raise
            await self._declare_consumer_group()
            return []

    async def _declare_consumer_group(self) -> None:
        try:
            await super()._declare_consumer_group()
        except (RedisError, OSError):
            # A worker waits for Redis in `listen`, where a signal can stop it.
            if not self.is_worker_process:
                raise

    async def _new(self, redis: "Redis") -> list[tuple[bytes, bytes]]:
        read = await cast(
            "Awaitable[Any]",
            redis.xreadgroup(
                self.consumer_group_name,
                self.consumer_name,
                {self.queue_name: ">"},
                count=_READ,
                block=_BLOCK_MS,
            ),
        )
        streams = read.items() if isinstance(read, dict) else read or []
        return [
            (number, fields[b"data"])
            for _, messages in streams
            for number, fields in _flatten(messages)
        ]

    async def _left(self, redis: "Redis") -> list[tuple[bytes, bytes]]:
        claimed = await cast(
            "Awaitable[Any]",
            redis.xautoclaim(
                self.queue_name,
                self.consumer_group_name,
                self.consumer_name,
                min_idle_time=round(self._idle * 1000),
                # It scans `count` messages at a time: those in flight may come first.
                start_id=self._searched,
                count=_READ,
            ),
        )
        self._searched = claimed[0]
        # Messages of this worker that were idle while it was blocked are still in flight here.
        return [
            (number, self._mark_redelivered(fields[b"data"]))
            for number, fields in claimed[1]
            if fields and number not in self._held
        ]

    def _mark_redelivered(self, data: bytes) -> bytes:
        try:
            message = self.formatter.loads(data)
        except Exception:  # noqa: BLE001 - taskiq logs and drops what it cannot read
            return data
        message.labels[_REDELIVERED] = True
        return self.formatter.dumps(message).message

    def _ack(self, number: bytes) -> Callable[[], Awaitable[None]]:
        async def ack() -> None:
            await self._delete(number)
            self._held.discard(number)

        return ack

    async def _delete_messages(self, numbers: Sequence[bytes]) -> list[None]:
        async with self._redis() as redis, redis.pipeline(transaction=False) as pipe:
            # Deleted first: an acknowledged message would stay, with personal data in it.
            pipe.xdel(self.queue_name, *numbers)
            pipe.xack(self.queue_name, self.consumer_group_name, *numbers)
            await pipe.execute()
        return [None] * len(numbers)

    async def _touch(self, redis: "Redis") -> None:
        """Renew the claim on this worker's messages, and delete dead consumers."""
        while True:
            await asyncio.sleep(self._idle / _TOUCHES)
            held: list[Any] = list(self._held)
            try:
                if held:
                    await cast(
                        "Awaitable[Any]",
                        redis.xclaim(
                            self.queue_name,
                            self.consumer_group_name,
                            self.consumer_name,
                            min_idle_time=0,
                            message_ids=held,
                            justid=True,
                        ),
                    )
                await self._delete_dead_consumers(redis)
            except (RedisError, OSError) as error:
                _log.debug("a worker's messages could not be touched: %s", type(error).__name__)

    async def _delete_dead_consumers(self, redis: "Redis") -> None:
        arguments = (self.queue_name, self.consumer_group_name, str(_DEAD_CONSUMER_MS))
        await cast("Awaitable[int]", redis.eval(_DELETE_DEAD_CONSUMERS, 1, *arguments))


def _flatten(messages: Any) -> list[tuple[bytes, dict[bytes, bytes]]]:
    # RESP3 wraps the messages of a stream once more.
    inner = messages[0] if messages and isinstance(messages[0], list) else messages
    return [(number, fields) for number, fields in inner if fields]


def order_broker(url: str, *, account: str, idle: float = _IDLE) -> OrderBroker:
    """Return a broker on Redis streams for one account's orders; `url` may contain a password."""
    return OrderBroker(url, account=account, idle=idle)


def order_task(
    broker: AsyncBroker,
    *,
    client: Callable[[], AbstractAsyncContextManager[ClickPost]],
    ledger: Ledger,
) -> CreateOrder:
    """Register the task that creates an order with a taskiq broker.

    Each worker opens its client and the ledger when it starts, and closes them when it ends. The
    task takes an order as a plain mapping, and returns the response or the error in the form that
    `fleet.created` reads.
    """
    stack = AsyncExitStack()
    worker: list[Worker] = []

    async def start(_: object) -> None:
        clickpost = await stack.enter_async_context(client())
        opened = await stack.enter_async_context(ledger.open())
        try:
            await opened.generation()
        except UnsuitableRedisError:
            raise
        except (RedisError, OSError):
            # Claiming an order waits for Redis.
            _log.debug("Redis unavailable when the worker started")
        worker.append(Worker(clickpost, opened))

    async def end(_: object) -> None:
        worker.clear()
        await stack.aclose()

    broker.add_event_handler(TaskiqEvents.WORKER_STARTUP, start)
    broker.add_event_handler(TaskiqEvents.WORKER_SHUTDOWN, end)

    async def create_order(
        order: dict[str, Any],
        terms: dict[str, Any] | None = None,
        *,
        context: Annotated[Context, TaskiqDepends()],
    ) -> str:
        how = OrderTerms(**(terms or {}))
        if context.message.labels.get(_REDELIVERED):
            # A worker has read it before: a missing record was lost.
            how = evolve(how, registered=True)
        return await worker[0].create(order, how)

    return cast("CreateOrder", broker.register_task(create_order, task_name=TASK))


def feed(task: CreateOrder) -> Feed:
    """Return a function that queues orders for a task, for `Fleet.open`."""

    async def put(order: dict[str, Any], terms: dict[str, Any]) -> QueueEntry | None:
        _last_entry.set(None)
        try:
            await task.kiq(order, terms)
        except SendTaskError as error:
            # Its cause shows whether it is an outage.
            raise error.__cause__ or error from None
        return _last_entry.get()

    return put


__all__ = ["CreateOrder", "OrderBroker", "QueueEntry", "feed", "order_broker", "order_task"]
