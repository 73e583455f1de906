"""The feeder's side of a fleet: puts orders into a queue, and collects the replies."""

import asyncio
import itertools
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol

import attrs
from attrs import define

from clickpost_async._codec.converter import unstructure
from clickpost_async._core.retry import Resend
from clickpost_async.bulk.recovery import PreparedPayload
from clickpost_async.client import ClickPost
from clickpost_async.fleet import messages
from clickpost_async.fleet.ledger import Ledger, OpenLedger
from clickpost_async.fleet.redis_calls import (
    RedisBackoff,
    RedisError,
    cancel_and_wait,
    raise_if_cancelled,
)
from clickpost_async.fleet.stall import StallMonitor
from clickpost_async.fleet.worker import OrderTerms
from clickpost_async.structures import CreatedOrder, IndiaOrder, WorldOrder


class QueuedMessage(Protocol):
    """A message in a queue that can be asked for."""

    async def is_queued(self) -> bool:
        """Tell whether the message is still there, waiting or in a worker's hands."""
        ...


# Puts an order and its terms into the queue. A `QueuedMessage` that it returns keeps the order from
# being queued again while it is there.
Feed = Callable[[dict[str, Any], dict[str, Any]], Awaitable[object]]

# Seconds to wait for replies, and between two reads, so that more of them come in one.
_COLLECT, _LINGER = 1.0, 0.05
_BEGINNING = "0-0"
# An order without a reply for so many seconds is queued again if its message is gone.
_MAX_SILENCE = 600.0


@define
class _QueuedOrder:
    """An order in the queue, and the future that waits for its reply."""

    order: dict[str, Any]
    terms: dict[str, Any]
    answer: "asyncio.Future[str]"
    since: float
    message: object = None

    async def is_queued(self) -> bool:
        """Tell whether its message is known to be in the queue still."""
        queued = getattr(self.message, "is_queued", None)
        return queued is not None and await queued()


class Fleet:
    """Has the workers of a fleet create orders, and waits for their replies.

    Use `Fleet.open`. While Redis does not respond it waits; orders that Redis has lost are queued
    again, and looked up before they are sent.
    """

    def __init__(
        self, feed: Feed, client: ClickPost, opened: OpenLedger, generation: str, *, bulk: bool
    ) -> None:
        self._feed = feed
        self._bulk = bulk
        self._client = client
        self._ledger = opened
        self._stall = StallMonitor(opened.account)
        self._reply_stream = opened.reply_stream()
        self._generation = generation
        self._queued: dict[int, _QueuedOrder] = {}
        self._tickets = itertools.count(1)
        self._backoff = RedisBackoff("a fleet's queue")

    @classmethod
    @asynccontextmanager
    async def open(
        cls, feed: Feed, client: ClickPost, ledger: Ledger, *, bulk: bool = False
    ) -> "AsyncGenerator[Fleet]":
        """Begin to fill a queue with `feed(order, terms)`, on behalf of a client.

        Of the client its account and its retry policy are used; the workers have limits of their
        own. With `bulk` its orders yield to others. Raises redis-py's `RedisError` when Redis does
        not respond, or is not safe for orders.
        """
        async with ledger.open() as opened:
            fleet = cls(feed, client, opened, await opened.generation(), bulk=bulk)
            collecting = asyncio.create_task(fleet._collect())
            try:
                yield fleet
            finally:
                await cancel_and_wait(collecting)

    async def create(
        self,
        order: IndiaOrder | WorldOrder | Mapping[str, Any],
        *,
        in_doubt: bool = False,
        polls: bool = True,
    ) -> CreatedOrder:
        """Have a worker create an order.

        With `in_doubt` it may have been sent before, and is looked up unless the ledger knows more.
        `polls`: one that ClickPost has only recorded is polled by the worker. Cancelling leaves the
        order in the queue. Raises what `orders.create` does.
        """
        payload = PreparedPayload(order)
        retry = self._client.retry
        terms = OrderTerms(
            settle_delay=retry.settle_delay,
            no_resend=retry.resend is Resend.NEVER,
            polls=polls,
            bulk=self._bulk,
            registered=True,
            account_label=self._client.account_label,
            reply_stream=self._reply_stream,
            ticket=next(self._tickets),
        )
        loop = asyncio.get_running_loop()
        queued = _QueuedOrder(
            unstructure(payload.order), attrs.asdict(terms), loop.create_future(), loop.time()
        )
        self._queued[terms.ticket] = queued
        try:
            if not in_doubt:
                await self._ledger.register(payload.key)
            await self._enqueue(queued)
            raise_if_cancelled()
            return messages.created(await queued.answer)
        finally:
            del self._queued[terms.ticket]

    async def _enqueue(self, queued: _QueuedOrder) -> None:
        while not queued.answer.done():
            try:
                queued.message = await self._feed(queued.order, queued.terms)
            except Exception as error:
                if not _is_outage(error):
                    raise
                await self._backoff.wait(error)
            else:
                self._backoff.over()
                return

    async def _collect(self) -> None:
        backoff = RedisBackoff("a fleet's feeder")
        last = _BEGINNING
        while True:
            try:
                for place, answers in await self._ledger.collect(
                    self._reply_stream, last, _COLLECT
                ):
                    self._hand_over(answers)
                    last = place
                generation = await self._ledger.generation()
                now = asyncio.get_running_loop().time()
                await self._stall.check(len(self._queued), now, self._ledger.workers)
                if generation != self._generation:
                    last = _BEGINNING
                late = await self._late(is_new_generation=generation != self._generation)
                self._generation = generation
            except (RedisError, OSError) as error:
                await backoff.wait(error)
                continue
            backoff.over()
            await asyncio.sleep(_LINGER)
            for queued in late:
                try:
                    await self._enqueue(queued)
                except Exception as error:  # noqa: BLE001 - the task that waits raises it
                    if not queued.answer.done():
                        queued.answer.set_exception(error)

    def _hand_over(self, answers: Mapping[str, str]) -> None:
        for ticket, answer in answers.items():
            self._stall.note(json.loads(answer), asyncio.get_running_loop().time())
            queued = self._queued.get(int(ticket))
            # It has its answer already if it was queued twice.
            if queued is not None and not queued.answer.done():
                queued.answer.set_result(answer)

    async def _late(self, *, is_new_generation: bool) -> list[_QueuedOrder]:
        """Return the orders to queue again: late ones whose message is not in the queue."""
        now = asyncio.get_running_loop().time()
        late = [
            queued
            for queued in self._queued.values()
            if is_new_generation or now - queued.since > _MAX_SILENCE
        ]
        missing = [queued for queued in late if not await queued.is_queued()]
        for queued in late:
            queued.since = now
        return missing


def _is_outage(error: Exception) -> bool:
    """Tell whether the queue's own server failed, by its library's exceptions."""
    return isinstance(error, RedisError | OSError | TimeoutError)
