"""What a worker of a fleet does with one order: create it, once, whoever had it before."""

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any
from weakref import WeakValueDictionary

from attrs import define, evolve, field, frozen

from clickpost_async._core.retry import Resend
from clickpost_async.bulk.records import Key
from clickpost_async.bulk.recovery import PreparedPayload
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
from clickpost_async.fleet.ledger import (
    LostError,
    OpenLedger,
    RedisBackoff,
    RedisError,
    retry_until_done,
)
from clickpost_async.settings import Priority
from clickpost_async.structures import CreatedOrder

_log = logging.getLogger("clickpost_async")

# How often it is asked whether a living worker is done with an order.
_BUSY = 1.0
_ANSWER = "a worker's answer"


@frozen(kw_only=True)
class OrderTerms:
    """How an order is to be created, and who waits for the answer.

    `settling` and `hold` are the retry policy's; `polls`: an order that ClickPost has only recorded
    is asked for by the worker. `registered`: the ledger knows the order, or knew it and has
    forgotten it; then it may have been sent, and is looked up first. `identity`: whose orders these
    are.
    """

    settle_delay: float | None = None
    no_resend: bool = False
    polls: bool = True
    bulk: bool = False
    registered: bool = False
    account_label: str = ""
    reply_stream: str = ""
    ticket: int = 0


@define
class _Order:
    """An order under way here, and whether bytes of it may have left."""

    kept: PreparedPayload
    digest: str = field(init=False)
    in_doubt: bool = False
    sent_at: float | None = None

    def __attrs_post_init__(self) -> None:
        self.digest = self.kept.digest.hex()


class Worker:
    """Creates orders for a fleet, each once, with a client and a ledger that it does not own."""

    def __init__(self, client: ClickPost, opened: OpenLedger) -> None:
        self._client = client
        self._ledger = opened
        opened.enlist()
        # The ledger tells workers apart, not the tasks of one.
        self._turns: WeakValueDictionary[Key, asyncio.Lock] = WeakValueDictionary()

    async def create(self, order: Mapping[str, Any], terms: OrderTerms | None = None) -> str:
        """Create an order and return the answer as `fleet.created` reads it.

        It is the same however often the same order is given, in whatever worker: one that another
        worker has is waited for, one that a dead worker left is looked up and, once it has settled,
        sent again. While Redis does not answer, nothing is sent.
        """
        terms = OrderTerms() if terms is None else terms
        began = time.perf_counter()
        try:
            kept = self._claim(order, terms)
            turn = self._turns.setdefault(kept.key, asyncio.Lock())
            async with turn:
                with self._ledger.holding(kept.key):
                    answer = await self._answer(_Order(kept), terms)
        except ClickPostError as error:
            answer = messages.write(error, time.perf_counter() - began)
        if terms.reply_stream:
            told = f'{{"ticket":{terms.ticket},"answer":{answer}}}'
            await retry_until_done(_ANSWER, lambda: self._ledger.reply(terms.reply_stream, told))
        return answer

    def _claim(self, order: Mapping[str, Any], terms: OrderTerms) -> PreparedPayload:
        if terms.account_label not in ("", self._client.account_label):
            message = (
                f"the order is of {terms.account_label}, the worker of {self._client.account_label}"
            )
            raise NotSentError(message, transient=False)
        return PreparedPayload(order)

    async def _answer(self, order: _Order, terms: OrderTerms) -> str:
        patience = RedisBackoff("a worker")
        key, digest, registered = order.kept.key, order.digest, terms.registered
        while True:
            try:
                claim = await self._ledger.claim(key, digest, registered=registered)
                patience.over()
                match claim:
                    case ledger.AlreadyPlaced(answer):
                        return answer
                    case ledger.Conflict():
                        raise _conflict_error()
                    case ledger.HeldByOther():
                        await asyncio.sleep(_BUSY)
                    case ledger.Granted(sent):
                        return await self._create(order, sent, terms)
            except RedisError as error:
                await patience.wait(error)
            except LostError as error:
                _log.warning("%s", error)
                registered = True

    async def _create(self, order: _Order, sent: float | None, terms: OrderTerms) -> str:
        client = self._on(terms)
        # The ledger may have forgotten what was sent from here; another worker may have sent later.
        if order.sent_at is not None:
            own = _now() - order.sent_at
            sent = own if sent is None else min(own, sent)
        if sent is not None:
            order.in_doubt = True
            await asyncio.sleep(max(0.0, client.retry.settle_delay - sent))

        async def announce(reference_number: str, attempt: int) -> None:
            del reference_number, attempt
            await self._ledger.sending(order.kept.key)
            order.sent_at = _now()

        kept = client.with_options(before_create=announce, in_doubt=order.in_doubt)
        began = time.perf_counter()
        came: CreatedOrder | ClickPostError
        try:
            came = await kept.orders.create(order.kept.order)
        except ClickPostError as error:
            came = error
        except (RedisError, LostError):
            raise
        except Exception as error:  # noqa: BLE001 - see below
            # The engine would drop the order: it has to be told as one that nobody knows about.
            _log.exception("an order of a fleet failed unforeseen")
            came = NoReplyError(f"the worker failed: {type(error).__name__}")
        answer = messages.write(came, time.perf_counter() - began)
        became = _result_of(came, order)
        if became != "placed" and not terms.reply_stream:
            # Nobody may be waiting for it. Without ClickPost's words, which may name a person.
            _log.warning("%s is not placed: %s", order.kept.key[1], type(came).__name__)
        key, digest = order.kept.key, order.digest
        await retry_until_done(_ANSWER, lambda: self._ledger.end(key, digest, became, answer))
        return answer

    def _on(self, terms: OrderTerms) -> ClickPost:
        retry = self._client.retry
        settling = retry.settle_delay if terms.settle_delay is None else terms.settle_delay
        resend = Resend.NEVER if terms.no_resend else retry.resend
        polling = retry.poll_timeout if terms.polls else 0.0
        priority = Priority.BULK if terms.bulk else None
        return self._client.with_options(
            retry=evolve(retry, settle_delay=settling, resend=resend, poll_timeout=polling),
            priority=priority,
        )


def _result_of(came: CreatedOrder | ClickPostError, order: _Order) -> str:
    if isinstance(came, CreatedOrder):
        return "open" if came.pending else "placed"
    if came.outcome is Outcome.REJECTED:
        return "nothing"
    # That nothing was sent from here says nothing of what another worker has sent.
    return "open" if came.outcome is Outcome.UNKNOWN or order.in_doubt else "nothing"


def _now() -> float:
    return asyncio.get_running_loop().time()


def _conflict_error() -> InvalidRequestError:
    what = (
        "the order may have been placed with other contents;"
        " give a changed order a reference number of its own"
    )
    return InvalidRequestError.of([Problem("reference_number", what)])
