"""Workers on taskiq: `pip install 'clickpost_async[taskiq]'`.

broker = OrderBroker("redis://127.0.0.1", account="acme")
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
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Annotated, Any, cast

from attrs import evolve

from clickpost_async._util.extras import require
from clickpost_async.client import ClickPost
from clickpost_async.fleet.fleet import Feed
from clickpost_async.fleet.ledger import Ledger
from clickpost_async.fleet.redis_calls import (
    RedisBackoff,
    RedisError,
    UnsuitableRedisError,
    retry_until_done,
)
from clickpost_async.fleet.worker import OrderTerms, StoppedError, Worker
from clickpost_async.integrations._order_broker import (
    ORDERS,
    REDELIVERED,
    OrderBroker,
    QueueEntry,
    last_entry,
)

with require("workers on taskiq need the taskiq extra", "clickpost_async[taskiq]"):
    from taskiq import AsyncBroker, AsyncTaskiqDecoratedTask, Context, TaskiqDepends, TaskiqEvents
    from taskiq.exceptions import SendTaskError

_log = logging.getLogger("clickpost_async")

TASK, BATCH_TASK = "clickpost_async:create_order", "clickpost_async:create_orders"

# Seconds after a signal to stop in which the orders that a worker holds can still be finished.
STOP_AFTER = 2.0

CreateOrder = AsyncTaskiqDecoratedTask[Any, Awaitable[str]]


def order_task(
    broker: AsyncBroker,
    *,
    client: Callable[[], AbstractAsyncContextManager[ClickPost]],
    ledger: Ledger,
) -> CreateOrder:
    """Register the tasks that create orders with a taskiq broker; return that for a single order.

    Each worker opens its client and the ledger when it starts, and closes them when it ends.

    Args:
        broker: The queue, such as an `OrderBroker`.
        client: Opens the client of a worker; `ClickPost` reads its account from the environment.
        ledger: The records of orders under way, the same for all workers.

    Returns:
        The task, which takes an order as a plain mapping, and returns the response or the error in
        the form that `fleet.created` reads.

    """
    tasks = _Tasks(broker, client, ledger)
    broker.add_event_handler(TaskiqEvents.WORKER_STARTUP, tasks.start)
    broker.add_event_handler(TaskiqEvents.WORKER_SHUTDOWN, tasks.end)

    async def create_order(
        order: dict[str, Any],
        terms: dict[str, Any] | None = None,
        *,
        context: Annotated[Context, TaskiqDepends()],
    ) -> str:
        return await tasks.create(order, terms or {}, context)

    async def create_orders(
        orders: list[str],
        terms: dict[str, Any],
        *,
        context: Annotated[Context, TaskiqDepends()],
    ) -> None:
        await tasks.create_all(orders, terms, context)

    broker.register_task(create_orders, task_name=BATCH_TASK)
    return cast("CreateOrder", broker.register_task(create_order, task_name=TASK))


class _Tasks:
    """A worker process: its client, its ledger, and what it does with messages."""

    def __init__(
        self,
        broker: AsyncBroker,
        client: Callable[[], AbstractAsyncContextManager[ClickPost]],
        ledger: Ledger,
    ) -> None:
        self._queue = broker if isinstance(broker, OrderBroker) else None
        self._client = client
        self._ledger = ledger
        self._stack = AsyncExitStack()
        self._worker: Worker | None = None

    async def start(self, _: object) -> None:
        clickpost = await self._stack.enter_async_context(self._client())
        opened = await self._stack.enter_async_context(self._ledger.open())
        try:
            await opened.generation()
        except UnsuitableRedisError:
            raise
        except (RedisError, OSError):
            # Claiming an order waits for Redis.
            _log.debug("Redis unavailable when the worker started")
        self._worker = Worker(clickpost, opened)
        if self._queue is not None:
            self._queue.on_stop = self._stop_later

    async def end(self, _: object) -> None:
        self._worker = None
        await self._stack.aclose()

    async def create(self, order: dict[str, Any], terms: dict[str, Any], context: Context) -> str:
        try:
            return await self._started.create(order, _terms(terms, context))
        except StoppedError:
            await self._requeue(context)
            raise

    async def create_all(self, orders: list[str], terms: dict[str, Any], context: Context) -> None:
        message = context.message

        def ended() -> None:
            if self._queue is not None:
                self._queue.order_ended(message.task_id)

        left = await self._started.create_all(orders, _terms(terms, context), ended=ended)
        if left:
            tickets = [terms["tickets"][place] for place in left]
            message.args = [[orders[place] for place in left], terms | {"tickets": tickets}]
            message.labels[ORDERS] = len(left)
            await self._requeue(context)

    @property
    def _started(self) -> Worker:
        assert self._worker is not None  # noqa: S101 - taskiq starts it before it reads messages
        return self._worker

    def _stop_later(self) -> None:
        asyncio.get_running_loop().call_later(STOP_AFTER, self._started.stop)

    async def _requeue(self, context: Context) -> None:
        """Queue the message again for another worker; raises what ends a task without a result."""
        await retry_until_done(context.requeue, RedisBackoff("a worker that stops"))


def _terms(given: dict[str, Any], context: Context) -> OrderTerms:
    terms = OrderTerms(**given)
    # A worker has read a message before that is redelivered: a missing record was lost.
    return evolve(terms, registered=True) if context.message.labels.get(REDELIVERED) else terms


def feed(task: CreateOrder) -> Feed:
    """Return a function that queues orders for the workers of a task, for `Fleet.open`.

    Args:
        task: What `order_task` returned.

    Returns:
        The function.

    Raises:
        ValueError: The task is another one.

    """
    batch = task.broker.find_task(BATCH_TASK)
    if batch is None:
        message = "task must be the one that order_task returned"
        raise ValueError(message)

    async def put(orders: list[str], terms: dict[str, Any]) -> QueueEntry | None:
        last_entry.set(None)
        try:
            await batch.kicker().with_labels(**{ORDERS: len(orders)}).kiq(orders, terms)
        except SendTaskError as error:
            # Its cause shows whether it is an outage.
            raise error.__cause__ or error from None
        return last_entry.get()

    return put


__all__ = ["CreateOrder", "OrderBroker", "QueueEntry", "feed", "order_task"]
