"""The feeder's side of a fleet: orders go into a queue, and their answers come back."""

import asyncio
import itertools
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import attrs
from attrs import define

from clickpost_async._codec.converter import unstructure
from clickpost_async._core.retry import Resend
from clickpost_async.bulk.recovery import PreparedPayload
from clickpost_async.client import ClickPost
from clickpost_async.fleet import messages
from clickpost_async.fleet.ledger import (
    Ledger,
    OpenLedger,
    RedisBackoff,
    RedisError,
    cancel_and_wait,
    raise_if_cancelled,
    retry_until_done,
)
from clickpost_async.fleet.stall import StallMonitor
from clickpost_async.fleet.worker import OrderTerms
from clickpost_async.structures import CreatedOrder, IndiaOrder, WorldOrder

# Puts an order and its terms into the queue.
Feed = Callable[[dict[str, Any], dict[str, Any]], Awaitable[object]]

_COLLECT = 1.0
_BEGINNING = "0-0"
# An order without an answer for so long is put into the queue once more: that does no harm.
_LONGEST = 600.0


@define
class _QueuedOrder:
    """An order in the queue, and who waits for it."""

    order: dict[str, Any]
    terms: dict[str, Any]
    answer: "asyncio.Future[str]"
    since: float


class Fleet:
    """Lets the workers of a fleet create orders, and waits for their answers.

    Use `Fleet.open`. A Redis that dies and comes back is waited for, and orders that it has
    forgotten are fed again: they are looked up before they are sent.
    """

    def __init__(
        self, feed: Feed, client: ClickPost, opened: OpenLedger, era: str, *, bulk: bool
    ) -> None:
        self._feed = feed
        self._bulk = bulk
        self._client = client
        self._ledger = opened
        self._stall = StallMonitor(opened.account)
        self._mailbox = opened.reply_stream()
        self._era = era
        self._fed: dict[int, _QueuedOrder] = {}
        self._tickets = itertools.count(1)

    @classmethod
    @asynccontextmanager
    async def open(
        cls, feed: Feed, client: ClickPost, ledger: Ledger, *, bulk: bool = False
    ) -> "AsyncGenerator[Fleet]":
        """Begin to feed a queue with `feed(order, terms)`, on behalf of a client.

        Of the client its identity and its retry policy are used; its limit is the workers' affair.
        With `bulk` its orders yield to others.
        """
        async with ledger.open() as opened:
            fleet = cls(feed, client, opened, await opened.redis_run_id(), bulk=bulk)
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
        """Let a worker create an order.

        With `in_doubt` it may have been sent before, and is looked up unless the ledger knows more.
        `polls`: one that ClickPost has only recorded is asked for by the worker. Cancelling leaves
        the order in the queue. Raises what `orders.create` does.
        """
        kept = PreparedPayload(order)
        key = kept.key
        retry = self._client.retry
        terms = OrderTerms(
            settle_delay=retry.settle_delay,
            no_resend=retry.resend is Resend.NEVER,
            polls=polls,
            bulk=self._bulk,
            registered=True,
            account_label=self._client.account_label,
            reply_stream=self._mailbox,
            ticket=next(self._tickets),
        )
        loop = asyncio.get_running_loop()
        fed = _QueuedOrder(
            unstructure(kept.order), attrs.asdict(terms), loop.create_future(), loop.time()
        )
        self._fed[terms.ticket] = fed
        try:
            if not in_doubt:
                await retry_until_done("feeding a fleet", lambda: self._ledger.register(key))
            await self._enqueue(fed)
            raise_if_cancelled()
            return messages.created(await fed.answer)
        finally:
            del self._fed[terms.ticket]

    async def _enqueue(self, fed: _QueuedOrder) -> None:
        patience = RedisBackoff("feeding a fleet")
        while not fed.answer.done():
            try:
                await self._feed(fed.order, fed.terms)
            except Exception as error:
                if not _passes(error):
                    raise
                await patience.wait(error)
            else:
                patience.over()
                return

    async def _collect(self) -> None:
        patience = RedisBackoff("a fleet's feeder")
        last = _BEGINNING
        while True:
            try:
                for place, told in await self._ledger.collect(self._mailbox, last, _COLLECT):
                    self._hand_over(told)
                    last = place
                era = await self._ledger.redis_run_id()
                now = asyncio.get_running_loop().time()
                await self._stall.check(len(self._fed), now, self._ledger.workers)
            except RedisError as error:
                await patience.wait(error)
                continue
            patience.over()
            forgotten, self._era = era != self._era, era
            if forgotten:
                last = _BEGINNING
            for fed in self._requeue_unanswered(all_of_them=forgotten):
                try:
                    await self._enqueue(fed)
                except Exception as error:  # noqa: BLE001 - who waits for it is told
                    if not fed.answer.done():
                        fed.answer.set_exception(error)

    def _hand_over(self, told: str) -> None:
        message = json.loads(told)
        self._stall.note(message["answer"], asyncio.get_running_loop().time())
        fed = self._fed.get(message["ticket"])
        # Answered before: it was fed twice.
        if fed is not None and not fed.answer.done():
            fed.answer.set_result(json.dumps(message["answer"]))

    def _requeue_unanswered(self, *, all_of_them: bool) -> list[_QueuedOrder]:
        now = asyncio.get_running_loop().time()
        late = [fed for fed in self._fed.values() if all_of_them or now - fed.since > _LONGEST]
        for fed in late:
            fed.since = now
        return late


def _passes(error: Exception) -> bool:
    """Tell whether the queue's own server did not answer, as its library's exceptions say."""
    return isinstance(error, RedisError | OSError | TimeoutError)
