"""The feeder's side of a fleet: puts orders into a queue, and collects the replies."""

import asyncio
import itertools
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

import attrs
from attrs import define, evolve

from clickpost_async._core.retry import Resend
from clickpost_async.bulk.records import Key
from clickpost_async.bulk.recovery import PreparedPayload
from clickpost_async.client import ClickPost
from clickpost_async.errors import NoReplyError
from clickpost_async.fleet import messages
from clickpost_async.fleet.ledger import Ledger, OpenLedger
from clickpost_async.fleet.redis_calls import (
    Batcher,
    RedisBackoff,
    RedisError,
    cancel_and_wait,
)
from clickpost_async.fleet.stall import StallMonitor
from clickpost_async.fleet.worker import OrderTerms
from clickpost_async.structures import CreatedOrder, IndiaOrder, WorldOrder


class QueuedMessage(Protocol):
    """A message in a queue that can be searched for it."""

    async def is_queued(self) -> bool:
        """Return whether the message is still queued, or claimed by a worker."""
        ...


# Puts orders, as JSON, and the terms of all of them into the queue as one message. A
# `QueuedMessage` that it returns keeps the orders from being queued again while it is there.
Feed = Callable[[list[str], dict[str, Any]], Awaitable[object]]

# At most so many orders are one message: a worker takes all of them, or none.
MESSAGE_SIZE = 20
# Seconds to wait for replies, and between two reads, so that more of them come in one.
_COLLECT, _LINGER = 1.0, 0.2
_BEGINNING = "0-0"
# An order without a reply for so many seconds is queued again if its message is gone.
_MAX_SILENCE = 600.0


@define(eq=False)
class _QueuedOrder:
    """An order in the queue, and the future that waits for its reply."""

    ticket: int
    key: Key
    order: str
    polls: bool
    reply: "asyncio.Future[dict[str, Any]]"
    since: float
    is_registered: bool
    is_enqueued: bool = False
    message: object = None


class Fleet:
    """Has the workers of a fleet create orders, and waits for their replies.

    Use `Fleet.open`. While Redis does not respond it waits; orders that Redis has lost are queued
    again, and looked up before they are sent.
    """

    def __init__(
        self, feed: Feed, client: ClickPost, opened: OpenLedger, generation: str, *, bulk: bool
    ) -> None:
        self._feed = feed
        self._ledger = opened
        self._stall = StallMonitor(opened.account)
        self._reply_stream = opened.reply_stream()
        self._generation = generation
        self._queued: dict[int, _QueuedOrder] = {}
        self._tickets = itertools.count(1)
        # The last entry of the stream that was read.
        self._last_read = _BEGINNING
        # No order is late before.
        self._late_at = 0.0
        retry = client.retry
        terms = OrderTerms(
            settle_delay=retry.settle_delay,
            no_resend=retry.resend is Resend.NEVER,
            bulk=bulk,
            registered=True,
            account_label=client.account_label,
            reply_stream=self._reply_stream,
        )
        # By whether an order that ClickPost has only recorded is polled.
        self._enqueue = {
            polls: self._batcher(evolve(terms, polls=polls)) for polls in (True, False)
        }

    def _batcher(self, terms: OrderTerms) -> Batcher[_QueuedOrder, None]:
        backoff = RedisBackoff("a fleet's queue")
        return Batcher(lambda orders: self._put(orders, terms), backoff)

    @classmethod
    @asynccontextmanager
    async def open(
        cls, feed: Feed, client: ClickPost, ledger: Ledger, *, bulk: bool = False
    ) -> "AsyncGenerator[Fleet]":
        """Begin to queue orders for the workers of a fleet, on behalf of a client.

        Args:
            feed: Queues up to 20 orders, each as JSON, as one message for `Worker.create_all`.
            client: Its account and retry policy are used; the workers have limits of their own.
            ledger: The records of orders under way, the same as the workers'.
            bulk: Whether the orders yield to others.

        Raises:
            redis.exceptions.RedisError: Redis does not respond, or is not safe for orders.

        """
        async with ledger.open() as opened:
            fleet = cls(feed, client, opened, await opened.generation(), bulk=bulk)
            collecting = asyncio.create_task(fleet._collect())
            try:
                yield fleet
            finally:
                await cancel_and_wait(collecting)
                for batcher in fleet._enqueue.values():
                    await batcher.aclose()
                fleet._fail_queued()

    async def create(
        self,
        order: IndiaOrder | WorldOrder | Mapping[str, Any],
        *,
        payload: bytes | None = None,
        in_doubt: bool = False,
        polls: bool = True,
    ) -> CreatedOrder:
        """Have a worker create an order; cancelling the call leaves the order in the queue.

        Args:
            order: The order.
            payload: Its JSON, if it was encoded before.
            in_doubt: Whether it may have been sent before: then it is looked up, unless the ledger
                has its result.
            polls: Whether the worker polls an order that ClickPost has only recorded.

        Returns:
            The order that ClickPost created.

        Raises:
            NoReplyError: Also when the fleet is closed before there is a reply; the order stays in
                the queue.
            ClickPostError: As `orders.create`.

        """
        prepared = PreparedPayload(order, payload)
        loop = asyncio.get_running_loop()
        queued = _QueuedOrder(
            ticket=next(self._tickets),
            key=prepared.key,
            order=prepared.payload.decode(),
            polls=polls,
            reply=loop.create_future(),
            since=loop.time(),
            is_registered=in_doubt,
        )
        self._queued[queued.ticket] = queued
        enqueued = self._enqueue[polls].put(queued)
        try:
            return messages.read(await queued.reply)
        finally:
            enqueued.cancel()
            del self._queued[queued.ticket]

    def _fail_queued(self) -> None:
        """Raise an error from every call that has no reply yet."""
        for queued in self._queued.values():
            if not queued.reply.done():
                _, reference_number = queued.key
                message = "the fleet was closed before a worker had replied"
                queued.reply.set_exception(NoReplyError(message, reference_number=reference_number))

    async def _put(self, orders: Sequence[_QueuedOrder], terms: OrderTerms) -> list[None]:
        """Queue orders, in as many messages as they need."""
        # A call that failed may have queued some of them.
        waiting = [each for each in orders if not (each.is_enqueued or each.reply.done())]
        try:
            if new := [queued for queued in waiting if not queued.is_registered]:
                await self._ledger.register(queued.key for queued in new)
                for queued in new:
                    queued.is_registered = True
            for first in range(0, len(waiting), MESSAGE_SIZE):
                await self._put_message(waiting[first : first + MESSAGE_SIZE], terms)
        except (RedisError, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - each task that waits for a reply raises it
            for queued in waiting:
                if not (queued.is_enqueued or queued.reply.done()):
                    queued.reply.set_exception(error)
        return [None] * len(orders)

    async def _put_message(self, orders: Sequence[_QueuedOrder], terms: OrderTerms) -> None:
        terms = evolve(terms, tickets=[queued.ticket for queued in orders])
        message = await self._feed([queued.order for queued in orders], attrs.asdict(terms))
        for queued in orders:
            queued.message, queued.is_enqueued = message, True

    async def _collect(self) -> None:
        backoff = RedisBackoff("a fleet's feeder")
        while True:
            try:
                await self._read_replies(_COLLECT)
                generation = await self._ledger.generation()
                now = asyncio.get_running_loop().time()
                await self._stall.check(len(self._queued), now, self._ledger.workers)
                if generation != self._generation:
                    self._last_read = _BEGINNING
                late = await self._late(is_new_generation=generation != self._generation)
                self._generation = generation
            except (RedisError, OSError) as error:
                await backoff.wait(error)
                continue
            backoff.over()
            for queued in late:
                queued.is_enqueued = False
                self._enqueue[queued.polls].put(queued)
            await asyncio.sleep(_LINGER)

    async def _read_replies(self, seconds: float) -> bool:
        """Read and deliver replies, waiting that long for them; return whether there were any."""
        entries = await self._ledger.collect(self._reply_stream, self._last_read, seconds)
        for place, replies in entries:
            self._deliver(replies)
            self._last_read = place
        return bool(entries)

    def _deliver(self, replies: Mapping[str, str]) -> None:
        now = asyncio.get_running_loop().time()
        for ticket, reply in replies.items():
            message = json.loads(reply)
            self._stall.note(message, now)
            queued = self._queued.get(int(ticket))
            # It has its reply already if it was queued twice.
            if queued is not None and not queued.reply.done():
                queued.reply.set_result(message)

    async def _late(self, *, is_new_generation: bool) -> list[_QueuedOrder]:
        """Return the orders to queue again: late ones whose message is not in the queue."""
        now = asyncio.get_running_loop().time()
        if now < self._late_at and not is_new_generation:
            return []
        late = [
            queued
            for queued in self._queued.values()
            if queued.is_enqueued and (is_new_generation or now - queued.since > _MAX_SILENCE)
        ]
        missing = []
        is_queued: dict[int, bool] = {}
        for queued in late:
            message = queued.message
            if id(message) not in is_queued:
                is_queued[id(message)] = await _is_queued(message)
            if not is_queued[id(message)]:
                missing.append(queued)
        # A worker that is done replies before it deletes the message.
        while missing and await self._read_replies(0.0):
            pass
        for queued in late:
            queued.since = now
        oldest = min((queued.since for queued in self._queued.values()), default=now)
        self._late_at = oldest + _MAX_SILENCE
        return [queued for queued in missing if not queued.reply.done()]


async def _is_queued(message: object) -> bool:
    """Return whether a message is known to be in the queue still."""
    queued = getattr(message, "is_queued", None)
    return queued is not None and await queued()
