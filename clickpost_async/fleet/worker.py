"""Creates one order in a worker of a fleet, once, whichever worker had it before."""

import asyncio
import logging
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from weakref import WeakValueDictionary

from attrs import define, evolve, field, frozen

from clickpost_async._core.retry import Resend
from clickpost_async.bulk.records import Key
from clickpost_async.bulk.recovery import PreparedPayload, look_up
from clickpost_async.client import ClickPost
from clickpost_async.errors import (
    ClickPostError,
    InvalidRequestError,
    NoReplyError,
    NotSentError,
    Outcome,
    Problem,
)
from clickpost_async.fleet import ledger, messages
from clickpost_async.fleet.ledger import LostError, OpenLedger, Result
from clickpost_async.settings import Priority
from clickpost_async.structures import CreatedOrder

_log = logging.getLogger("clickpost_async")

# Seconds between claims of an order that another worker has.
_BUSY = 1.0
# Enough to distinguish contents; 8 characters in each record.
_DIGEST_BYTES = 6


@frozen(kw_only=True)
class OrderTerms:
    """How an order is to be created, and where its reply goes.

    `settle_delay` and `no_resend` are the retry policy's; `polls`: an order that ClickPost has only
    recorded is polled by the worker. `registered`: the ledger has, or had, a record of the order;
    if it is missing, the order may have been sent, and is looked up first. `account_label`: whose
    orders these are. The reply goes to `reply_stream`, under the order's ticket: `tickets` has one
    for each order of a message.
    """

    settle_delay: float | None = None
    no_resend: bool = False
    polls: bool = True
    bulk: bool = False
    registered: bool = False
    account_label: str = ""
    reply_stream: str = ""
    tickets: Sequence[int] = ()


class StoppedError(Exception):
    """The worker stops, and has not sent the order: another worker can have it."""


def _current_task() -> "asyncio.Task[Any]":
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - an order is created in a task
    return task


@define(eq=False)
class _Order:
    """An order under way here, and whether bytes of it may have left."""

    payload: PreparedPayload
    terms: OrderTerms
    client: ClickPost
    ticket: int
    task: "asyncio.Task[Any]" = field(factory=_current_task)
    digest: str = field(init=False)
    is_interrupted: bool = False
    in_doubt: bool = False
    sent_at: float | None = None

    def __attrs_post_init__(self) -> None:
        self.digest = urlsafe_b64encode(self.payload.digest[:_DIGEST_BYTES]).decode()


# The order that the running task sends.
_sent_order: ContextVar[_Order] = ContextVar("clickpost_async_fleet_order")


class Worker:
    """Creates orders for a fleet, each once, with a client and a ledger that it does not own."""

    def __init__(self, client: ClickPost, opened: OpenLedger) -> None:
        self._client = client
        self._ledger = opened
        opened.enlist()
        # The ledger distinguishes workers, not the tasks of one.
        self._locks: WeakValueDictionary[Key, asyncio.Lock] = WeakValueDictionary()
        # Orders without a result.
        self._open: set[_Order] = set()
        self._is_stopping = False

    async def create(self, order: Mapping[str, Any], terms: OrderTerms | None = None) -> str:
        """Create an order, and return the reply that `fleet.created` reads.

        An order that another worker has is waited for; one that was placed is looked up for its
        reply; one that a crashed worker left is looked up and, once it has settled, resent. While
        Redis does not respond, nothing is sent.

        Args:
            order: The order.
            terms: How it is created; `None` is `OrderTerms()`.

        Returns:
            The reply, as JSON.

        """
        terms = OrderTerms() if terms is None else terms
        return await self._create(order, terms, self._on(terms), next(iter(terms.tickets), 0))

    async def create_all(
        self,
        orders: Sequence[Mapping[str, Any] | str],
        terms: OrderTerms,
        *,
        ended: Callable[[], None] = lambda: None,
    ) -> list[int]:
        """Create the orders of a message concurrently, and send the replies for their tickets.

        Args:
            orders: Each a mapping, or the JSON that a `Fleet` has written of it.
            terms: How they are created, and their tickets.
            ended: Is called whenever one ends.

        Returns:
            The positions of the orders that were not sent because the worker was stopped.

        """
        client = self._on(terms)

        async def create(place: int) -> int | None:
            try:
                await self._create(orders[place], terms, client, terms.tickets[place])
            except StoppedError:
                return place
            finally:
                ended()
            return None

        results = await asyncio.gather(*map(create, range(len(orders))), return_exceptions=True)
        left: list[int] = []
        for result in results:
            if isinstance(result, BaseException):
                raise result
            if result is not None:
                left.append(result)
        return left

    def stop(self) -> None:
        """Interrupt the orders that have no result: those that were sent are reported as unknown.

        The others raise `StoppedError`.
        """
        self._is_stopping = True
        while self._open:
            order = self._open.pop()
            order.is_interrupted = True
            order.task.cancel()

    async def _create(
        self, given: Mapping[str, Any] | str, terms: OrderTerms, client: ClickPost, ticket: int
    ) -> str:
        began = time.perf_counter()
        try:
            order = _Order(self._prepare(given, terms), terms, client, ticket)
            with self._interruptible(order):
                lock = self._locks.setdefault(order.payload.key, asyncio.Lock())
                async with lock:
                    with self._ledger.holding(order.payload.key):
                        return await self._claim_and_send(order)
        except ClickPostError as error:
            reply = messages.write(error, time.perf_counter() - began)
            return await self._reply(terms, ticket, reply)

    @contextmanager
    def _interruptible(self, order: _Order) -> Generator[None]:
        """Raise `StoppedError` where `stop` has interrupted the order."""
        if self._is_stopping:
            raise StoppedError
        self._open.add(order)
        try:
            yield
        except asyncio.CancelledError:
            if not order.is_interrupted:
                raise
            order.task.uncancel()
            raise StoppedError from None
        finally:
            self._open.discard(order)

    def _prepare(self, order: Mapping[str, Any] | str, terms: OrderTerms) -> PreparedPayload:
        if terms.account_label not in ("", self._client.account_label):
            message = (
                f"the order is of {terms.account_label}, the worker of {self._client.account_label}"
            )
            raise NotSentError(message, transient=False)
        return PreparedPayload.read(order) if isinstance(order, str) else PreparedPayload(order)

    async def _reply(self, terms: OrderTerms, ticket: int, reply: str) -> str:
        if terms.reply_stream:
            await self._ledger.reply(terms.reply_stream, ticket, reply)
        return reply

    async def _claim_and_send(self, order: _Order) -> str:
        key, registered = order.payload.key, order.terms.registered
        while True:
            match await self._ledger.claim(key, order.digest, registered=registered):
                case ledger.AlreadyPlaced(summary):
                    found = await self._look_up(key, summary)
                    return await self._reply(order.terms, order.ticket, found)
                case ledger.Conflict():
                    raise _conflict_error()
                case ledger.HeldByOther():
                    await asyncio.sleep(_BUSY)
                case ledger.Granted(sent):
                    try:
                        return await self._send(order, sent)
                    except LostError as error:
                        _log.warning("%s", error)
                        registered = True

    async def _look_up(self, key: Key, summary: str) -> str:
        """Return the reply of a placed order; without a look-up's response, what is recorded."""
        began = time.perf_counter()
        try:
            order = await look_up(self._client, key)
        except ClickPostError:
            order = None
        if order is None or order.waybill is None:
            order = messages.read_summary(summary, key[1])
        return messages.write(order, time.perf_counter() - began)

    async def _send(self, order: _Order, sent: float | None) -> str:
        # The ledger may have lost what was sent from here; another worker may have sent later.
        if order.sent_at is not None:
            own = _now() - order.sent_at
            sent = own if sent is None else min(own, sent)
        if sent is not None:
            order.in_doubt = True
            await asyncio.sleep(max(0.0, order.client.retry.settle_delay - sent))
        client = order.client.with_options(in_doubt=True) if order.in_doubt else order.client
        began = time.perf_counter()
        result: CreatedOrder | ClickPostError
        try:
            result = await _create(order, client)
        except ClickPostError as error:
            result = error
        except LostError:
            raise
        except asyncio.CancelledError:
            if order.sent_at is None or not order.is_interrupted:
                raise
            order.task.uncancel()
            result = NoReplyError("the worker was stopped before it had the response")
        except Exception as error:  # noqa: BLE001 - see below
            # The queue would drop the order: its feeder has to hear that its outcome is unknown.
            _log.exception("an order of a fleet failed unexpectedly")
            result = NoReplyError(f"the worker failed: {type(error).__name__}")
        return await self._end(order, result, time.perf_counter() - began)

    async def _record_sending(self, reference_number: str, attempt: int) -> None:
        del reference_number, attempt
        order = _sent_order.get()
        await self._ledger.sending(order.payload.key)
        order.sent_at = _now()

    async def _end(
        self, order: _Order, result: CreatedOrder | ClickPostError, seconds: float
    ) -> str:
        self._open.discard(order)
        reply = messages.write(result, seconds)
        state = _state_of(result, order)
        key, terms = order.payload.key, order.terms
        if state != "placed" and not terms.reply_stream:
            # There may be no feeder. Without ClickPost's message, which may name a person.
            _log.warning("%s is not placed: %s", key[1], type(result).__name__)
        summary = messages.summarize(result) if isinstance(result, CreatedOrder) else ""
        addressed = (terms.reply_stream, order.ticket, reply) if terms.reply_stream else None
        await self._ledger.end(
            key, order.digest, Result(state=state, summary=summary, reply=addressed)
        )
        return reply

    def _on(self, terms: OrderTerms) -> ClickPost:
        retry = self._client.retry
        settle_delay = retry.settle_delay if terms.settle_delay is None else terms.settle_delay
        resend = Resend.NEVER if terms.no_resend else retry.resend
        poll_timeout = retry.poll_timeout if terms.polls else 0.0
        priority = Priority.BULK if terms.bulk else None
        return self._client.with_options(
            retry=evolve(
                retry, settle_delay=settle_delay, resend=resend, poll_timeout=poll_timeout
            ),
            priority=priority,
            before_create=self._record_sending,
        )


async def _create(order: _Order, client: ClickPost) -> CreatedOrder:
    token = _sent_order.set(order)
    try:
        return await order.payload.create(client)
    finally:
        _sent_order.reset(token)


def _state_of(result: CreatedOrder | ClickPostError, order: _Order) -> str:
    if isinstance(result, CreatedOrder):
        return "open" if result.pending else "placed"
    if result.outcome is Outcome.REJECTED:
        return "nothing"
    # That nothing was sent from here does not show that no other worker has sent it.
    return "open" if result.outcome is Outcome.UNKNOWN or order.in_doubt else "nothing"


def _now() -> float:
    return asyncio.get_running_loop().time()


def _conflict_error() -> InvalidRequestError:
    what = (
        "the order may have been placed with other contents;"
        " give a changed order a reference number of its own"
    )
    return InvalidRequestError.of([Problem("reference_number", what)])
