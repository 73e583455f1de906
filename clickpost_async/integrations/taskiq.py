"""Workers on taskiq: `pip install 'clickpost_async[taskiq]'`.

broker = order_broker("redis://127.0.0.1", account="acme")
create_order = order_task(
    broker,
    client=ClickPost,
    ledger=Ledger("redis://127.0.0.1", account="acme"),
)

A queue delivers at least once, so a worker asks the ledger first: an order that was placed gives
its first answer, one that another worker has is waited for, and one that a dead worker left is
looked up before it is sent again.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, cast

from clickpost_async.client import ClickPost
from clickpost_async.fleet.fleet import Feed
from clickpost_async.fleet.ledger import (
    Ledger,
    cancel_and_wait,
    raise_if_cancelled,
    retry_until_done,
)
from clickpost_async.fleet.worker import OrderTerms, Worker

try:
    from redis.asyncio import Redis
    from redis.exceptions import RedisError, ResponseError
    from taskiq import AckableMessage, AsyncBroker, AsyncTaskiqDecoratedTask, TaskiqEvents
    from taskiq.exceptions import SendTaskError
    from taskiq_redis import RedisStreamBroker
except ImportError as _error:
    message = "workers on taskiq need the taskiq extra: pip install 'clickpost_async[taskiq]'"
    raise ImportError(message) from _error

_log = logging.getLogger("clickpost_async")

TASK = "clickpost_async:create_order"

# A message that nobody has touched for so long was a dead worker's; the living touch theirs.
_IDLE = 30.0
_TOUCHES = 3
# More than its tasks can take would wait in one worker while another one has nothing to do.
_READ = 10
_BLOCK_MS = 1000
# Each task ends with an acknowledgement of its own.
_CONNECTIONS = 32

CreateOrder = AsyncTaskiqDecoratedTask[Any, Awaitable[str]]


class OrderBroker(RedisStreamBroker):
    """A Redis stream that loses no order, keeps none that is done, and outlives its Redis.

    A message whose worker died is another's after `idle` seconds, also where no new ones come.
    """

    def __init__(self, url: str, *, account: str, idle: float = _IDLE) -> None:
        super().__init__(
            url,
            queue_name=f"clickpost:{{{account}}}:orders",
            consumer_group_name="workers",
            # What was fed before the first worker came is not to be passed over.
            consumer_id="0",
            max_connection_pool_size=_CONNECTIONS,
        )
        self._idle = idle
        self._held: set[bytes] = set()
        # How far the search for messages of the dead has come.
        self._searched: Any = "0-0"

    async def listen(self) -> AsyncGenerator[AckableMessage, None]:
        """Give messages as they come: new ones, and those of the dead."""
        async with Redis(connection_pool=self.connection_pool) as redis:
            touching = asyncio.create_task(self._touch(redis))
            try:
                while True:
                    found = await retry_until_done("a worker's queue", lambda: self._found(redis))
                    if not found:
                        # taskiq cancels it once, and then waits for it.
                        raise_if_cancelled()
                    for number, fields in found:
                        self._held.add(number)
                        yield AckableMessage(data=fields[b"data"], ack=self._ack(redis, number))
            finally:
                await cancel_and_wait(touching)

    async def _found(self, redis: "Redis") -> list[tuple[bytes, dict[bytes, bytes]]]:
        try:
            return await self._left(redis) or await self._new(redis)
        except ResponseError as error:
            # Redis was started anew, and empty.
            if not str(error).startswith("NOGROUP"):
                raise
            await self._declare_consumer_group()
            return []

    async def _declare_consumer_group(self) -> None:
        try:
            await super()._declare_consumer_group()
        except (RedisError, OSError):
            # A worker waits for its Redis where it listens, and can be told there to end.
            if not self.is_worker_process:
                raise

    async def _new(self, redis: "Redis") -> list[tuple[bytes, dict[bytes, bytes]]]:
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
        return [message for _, messages in streams for message in _flatten(messages)]

    async def _left(self, redis: "Redis") -> list[tuple[bytes, dict[bytes, bytes]]]:
        claimed = await cast(
            "Awaitable[Any]",
            redis.xautoclaim(
                self.queue_name,
                self.consumer_group_name,
                self.consumer_name,
                min_idle_time=round(self._idle * 1000),
                # It looks at so many at a time: a dead one's may be behind all that are under way.
                start_id=self._searched,
                count=_READ,
            ),
        )
        self._searched = claimed[0]
        # Those that were frozen here are still under way here.
        return [(n, fields) for n, fields in claimed[1] if fields and n not in self._held]

    def _ack(self, redis: "Redis", number: bytes) -> Callable[[], Awaitable[None]]:
        async def done() -> None:
            async with redis.pipeline(transaction=True) as pipe:
                pipe.xack(self.queue_name, self.consumer_group_name, number)
                # An acknowledged one would stay, with a person's address in it.
                pipe.xdel(self.queue_name, number)
                await pipe.execute()

        async def ack() -> None:
            await retry_until_done("a worker's acknowledgement", done)
            self._held.discard(number)

        return ack

    async def _touch(self, redis: "Redis") -> None:
        while True:
            await asyncio.sleep(self._idle / _TOUCHES)
            held: list[Any] = list(self._held)
            if not held:
                continue
            try:
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
            except (RedisError, OSError) as error:
                _log.debug("a worker's messages could not be kept: %s", type(error).__name__)


def _flatten(messages: Any) -> list[tuple[bytes, dict[bytes, bytes]]]:
    # RESP3 wraps the messages of a stream once more.
    inner = messages[0] if messages and isinstance(messages[0], list) else messages
    return [(number, fields) for number, fields in inner if fields]


def order_broker(url: str, *, account: str, idle: float = _IDLE) -> OrderBroker:
    """Make a broker on Redis streams for one account's orders; `url` may hold a password."""
    return OrderBroker(url, account=account, idle=idle)


def order_task(
    broker: AsyncBroker,
    *,
    client: Callable[[], AbstractAsyncContextManager[ClickPost]],
    ledger: Ledger,
) -> CreateOrder:
    """Add the task that creates an order to any of taskiq's brokers.

    Each worker opens its client and the ledger when it starts, and closes them when it ends. The
    task takes an order as a plain mapping, and returns what `fleet.created` reads: the answer, or
    the error.
    """
    stack = AsyncExitStack()
    worker: list[Worker] = []

    async def start(_: object) -> None:
        clickpost = await stack.enter_async_context(client())
        worker.append(Worker(clickpost, await stack.enter_async_context(ledger.open())))

    async def end(_: object) -> None:
        worker.clear()
        await stack.aclose()

    broker.add_event_handler(TaskiqEvents.WORKER_STARTUP, start)
    broker.add_event_handler(TaskiqEvents.WORKER_SHUTDOWN, end)

    async def create_order(order: dict[str, Any], terms: dict[str, Any] | None = None) -> str:
        return await worker[0].create(order, OrderTerms(**(terms or {})))

    return cast("CreateOrder", broker.register_task(create_order, task_name=TASK))


def feed(task: CreateOrder) -> Feed:
    """Return what puts orders into a task's queue, as `Fleet.open` takes it."""

    async def put(order: dict[str, Any], terms: dict[str, Any]) -> None:
        try:
            await task.kiq(order, terms)
        except SendTaskError as error:
            # Its cause tells whether it passes.
            raise error.__cause__ or error from None

    return put


__all__ = ["CreateOrder", "OrderBroker", "feed", "order_broker", "order_task"]
