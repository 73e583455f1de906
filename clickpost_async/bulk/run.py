"""Create many orders: outcomes as they come, memory bounded, one bad order never stops another."""

import os
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self

import anyio
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from attrs import evolve

from clickpost_async._wire.converter import reference_of
from clickpost_async.bulk.journal import Journal
from clickpost_async.bulk.keeping import Elsewhere, Keeper, Kept, in_doubt
from clickpost_async.bulk.outcome import Outcome, Pending, Placed, Rejected, Unknown
from clickpost_async.bulk.report import Report
from clickpost_async.bulk.rows import Row
from clickpost_async.bulk.turns import BulkOrder, Later, Turn
from clickpost_async.client import ClickPost
from clickpost_async.errors import (
    ClickPostError,
    CredentialsError,
    DeadlineError,
    InvalidRequestError,
    NotSentError,
    ThrottledError,
    Trouble,
    UnreadableReplyError,
)
from clickpost_async.errors import Outcome as Evidence
from clickpost_async.settings import Priority
from clickpost_async.structures import CreatedOrder

# So many answers in a row that are not ClickPost's, such as HTTP 404: something else answers there.
_STRANGERS = 3


class Run:
    """A bulk run: `async with` starts and ends it, `async for` gives the outcomes as they come.

    Leaving it early cancels what is under way. An error of the input itself is raised after the
    orders that were read before it have their outcomes. Orders that could not be repeated, because
    too many calls were being repeated, come up again after all others.
    """

    def __init__(
        self,
        client: ClickPost,
        orders: Iterable[BulkOrder] | AsyncIterable[BulkOrder] | None,
        journal: Journal | str | os.PathLike[str] | None,
        at_once: int,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self.report: Report = Report()
        self.waiting: int = 0
        self._client = client.with_options(priority=Priority.BULK)
        self._policy = client.retry
        self._elsewhere = elsewhere
        self._journal = journal
        self._keeper: Keeper | None = None
        self._orders = None if orders is None else _numbered(orders)
        self._has_input = orders is not None
        self._at_once = at_once
        self._reading = anyio.Lock()
        self._input_error: Exception | None = None
        self._failure: Exception | None = None
        self._later = Later()
        self._strangers = 0
        self._stack = AsyncExitStack()
        self._group: TaskGroup
        self._done: MemoryObjectSendStream[Outcome]
        self._outcomes: MemoryObjectReceiveStream[Outcome]

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            if self._journal is not None:
                self._keeper = await self._keep(self._journal, stack)
            self._group = anyio.create_task_group()
            await self._group.__aenter__()
            self._stack = stack.pop_all()
        # No buffer: a consumer that is slow slows the run down, not fills the memory.
        self._done, self._outcomes = anyio.create_memory_object_stream[Outcome]()
        self._group.start_soon(self._work)
        return self

    async def _keep(
        self, journal: Journal | str | os.PathLike[str], stack: AsyncExitStack
    ) -> Keeper:
        if not isinstance(journal, Journal):
            opened = Journal.at(journal, account=self._client.identity)
            journal = await stack.enter_async_context(opened)
        if self._orders is None:
            self._orders = in_doubt(journal)
        self._journal = journal
        # The journal's clock polls what ClickPost has recorded: it goes on after a restart.
        polled_here = evolve(self._policy, polling=0.0)
        return Keeper(journal, self._client.with_options(retry=polled_here), self._elsewhere)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._group.cancel_scope.cancel()
        self._outcomes.close()
        try:
            # Not given the body's error, which would come out wrapped in a group.
            await self._group.__aexit__(None, None, None)
        finally:
            await self._stack.aclose()

    def stop(self) -> None:
        """Read no more orders; those that are under way come to their end."""
        self.report.stopped = True

    def __aiter__(self) -> AsyncIterator[Outcome]:
        return self

    async def __anext__(self) -> Outcome:
        try:
            outcome = await self._outcomes.receive()
        except anyio.EndOfStream:
            if self._failure is not None:
                raise self._failure from None
            if self._input_error is not None:
                raise self._input_error from None
            raise StopAsyncIteration from None
        self.report.count(outcome)
        return outcome

    async def _work(self) -> None:
        async with self._done:
            async with anyio.create_task_group() as workers:
                for _ in range(self._at_once):
                    workers.start_soon(self._worker, workers.cancel_scope)
            read_all = self._has_input and not (self._ends or self._input_error or self._failure)
            if read_all and isinstance(self._journal, Journal):
                self.report.missing = await self._journal.count_unseen()

    async def _worker(self, others: anyio.CancelScope) -> None:
        try:
            while (turn := await self._next()) is not None:
                outcome = await self._play(turn)
                if outcome is not None:
                    self.waiting -= 1
                    await self._done.send(outcome)
        except Exception as error:  # noqa: BLE001 - the journal's, above all: nothing may be sent
            self._failure = self._failure or error
            others.cancel()

    async def _next(self) -> Turn | None:
        turn = self._later.due()
        if turn is None:
            async with self._reading:
                read = await self._read()
            if read is not None:
                self.waiting += 1
                return Turn(*read)
            turn = self._later.take()
        if turn is not None and not self._ends:
            await anyio.sleep(max(0.0, turn.due - anyio.current_time()))
        return turn

    @property
    def _ends(self) -> bool:
        return self.report.stopped or self.report.halted is not None

    async def _read(self) -> tuple[int, BulkOrder] | None:
        if self._ends or self._input_error is not None or self._orders is None:
            return None
        try:
            return await anext(self._orders, None)
        except Exception as error:  # noqa: BLE001 - it is the caller's own, and is given back
            self._input_error = error
            return None

    async def _play(self, turn: Turn) -> Outcome | None:
        """Return an order's outcome; `None`: it comes up again later."""
        if turn.known is not None and self._ends:
            return turn.known
        given = turn.given
        facts: dict[str, Any] = {
            "position": turn.position,
            "reference_number": given.reference if isinstance(given, Row) else reference_of(given),
            "row": given.number if isinstance(given, Row) else None,
        }
        if isinstance(given, Row) and given.problems:
            return Rejected(reasons=tuple(map(str, given.problems)), **facts)
        if self._keeper is None:
            outcome = turn.add(await self._outcome(turn, facts))
        else:
            try:
                kept = Kept(given.order if isinstance(given, Row) else given)
            except InvalidRequestError as error:
                return self._failed(error, given, facts)
            if not turn.waits():
                known = await self._keeper.admit(turn, kept, facts)
                if known is not None:
                    return known
                if turn.waits():
                    self._later.put(turn)
                    return None
            outcome = turn.add(await self._outcome(turn, facts, kept))
            # Handed over before anything else can happen, a cancellation included.
            saved = self._keeper.record(kept, outcome)
            await saved
        return None if self._comes_again(turn, outcome) else outcome

    def _comes_again(self, turn: Turn, outcome: Outcome) -> bool:
        wait = turn.repeat_wait(outcome, self._policy.attempts)
        behind_all = wait is not None
        if wait is None and self._keeper is not None:
            wait = turn.poll_wait(outcome, self._policy.poll_every, self._policy.polling)
        if wait is None:
            return False
        turn.wait_for(outcome, wait)
        self._later.put(turn, behind_all=behind_all)
        return True

    async def _outcome(
        self, turn: Turn, facts: dict[str, Any], kept: Kept | None = None
    ) -> Outcome:
        began = time.perf_counter()
        given = turn.given
        order: Any = given.order if isinstance(given, Row) else given
        try:
            if self._keeper is not None and kept is not None:
                answer = await self._keeper.create(kept, turn)
            elif self._elsewhere is not None:
                answer = await self._elsewhere.create(order)
            else:
                answer = await self._client.orders.create(order)
        except ClickPostError as error:
            facts["seconds"] = time.perf_counter() - began
            return self._failed(error, given, facts)
        self._strangers = 0
        facts["seconds"] = time.perf_counter() - began
        sent_before = turn.in_doubt or isinstance(turn.known, Unknown)
        return _answered(answer, facts, sent_before=sent_before)

    def _failed(self, error: ClickPostError, given: BulkOrder, facts: dict[str, Any]) -> Outcome:
        facts["attempts"] = error.attempts
        if self._concerns_all(error):
            self.report.halted = error
        if isinstance(error, CredentialsError) and error.key_refused:
            return (
                Unknown(error=error, **facts)
                if error.outcome is Evidence.UNKNOWN
                else Pending(error=error, **facts)
            )
        if isinstance(error, InvalidRequestError) and error.problems:
            return Rejected(reasons=_reasons(error, given), error=error, **facts)
        if error.outcome is Evidence.UNKNOWN:
            return Unknown(error=error, **facts)
        if error.outcome is Evidence.NOT_SENT:
            return Pending(error=error, **facts)
        return Rejected(reasons=(str(error),), error=error, **facts)

    def _concerns_all(self, error: ClickPostError) -> bool:
        """Tell whether every further order would fail in the same way."""
        if isinstance(error, CredentialsError):
            # Of one courier account it speaks otherwise: other orders have others.
            return error.key_refused
        if isinstance(error, ThrottledError):
            # Every other order would be told to wait for so long, too.
            return error.trouble is Trouble.HELD
        if isinstance(error, NotSentError):
            # A redirect, a certificate that was refused, a client that was closed.
            return not (error.transient or isinstance(error, DeadlineError))
        strange = error.trouble is Trouble.NOT_CLICKPOST
        self._strangers = self._strangers + 1 if strange else 0
        return self._strangers >= _STRANGERS


def _answered(answer: CreatedOrder, facts: dict[str, Any], *, sent_before: bool) -> Outcome:
    reply = answer.reply
    facts["attempts"] = reply.attempts
    if answer.pending:
        return Pending(order=answer, **facts)
    if answer.reference_number not in (None, facts["reference_number"]):
        # Something on the way has mixed up two answers: this waybill is another order's.
        message = "the answer is for another reference number"
        return Unknown(error=UnreadableReplyError(message, transient=False), **facts)
    sent_before = sent_before or reply.attempts > 1
    found_again = reply.looked_up or (answer.already_placed and sent_before)
    return Placed(order=answer, found_again=found_again, **facts)


def _reasons(error: InvalidRequestError, given: BulkOrder) -> tuple[str, ...]:
    if not isinstance(given, Row):
        return tuple(map(str, error.problems))
    return tuple(str(given.locate(problem.path, problem.message)) for problem in error.problems)


async def _numbered(
    orders: Iterable[BulkOrder] | AsyncIterable[BulkOrder],
) -> AsyncIterator[tuple[int, BulkOrder]]:
    position = 0
    if isinstance(orders, AsyncIterable):
        async for order in orders:
            yield position, order
            position += 1
    else:
        for order in orders:
            yield position, order
            position += 1


def create(
    client: ClickPost,
    orders: Iterable[BulkOrder] | AsyncIterable[BulkOrder],
    *,
    journal: Journal | str | os.PathLike[str] | None = None,
    at_once: int = 100,
    elsewhere: Elsewhere | None = None,
) -> Run:
    """Create every order of an iterable, `at_once` of them at a time, behind all other calls.

    Orders are structures, plain mappings, or rows of `read_orders`. Iterate over the run for the
    outcomes; `run.report` counts them.

    With a `journal`, a file that is made if it is not there, every order is written down durably
    before its first byte leaves, and its outcome after. To go on after a crash make the same call
    again: what is done is skipped, what was under way is looked up and sent again once it has
    settled, and an order that has changed under its old reference number is refused.

    `elsewhere`, a `clickpost_async.fleet.Fleet`, has the orders created by other processes.

    Raises:
        JournalError: when entered, the journal belongs to another account, is in use, or cannot be
            read; while iterating, it could not be written, and nothing more was sent.

    """
    return Run(client, orders, journal, at_once, elsewhere)


def resolve(
    client: ClickPost,
    journal: str | os.PathLike[str],
    *,
    at_once: int = 100,
    elsewhere: Elsewhere | None = None,
) -> Run:
    """Settle every order of a journal that is in doubt, or that ClickPost is still working on.

    Each is looked up, and sent again if it is not found, as `create` would with the same input.

    Raises `JournalError` as `create` does.
    """
    return Run(client, None, journal, at_once, elsewhere)
