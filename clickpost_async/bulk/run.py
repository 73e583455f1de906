"""Create many orders: outcomes as they come, memory bounded, one bad order never stops another."""

import time
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from types import TracebackType
from typing import Any, Self

import anyio
from anyio.abc import TaskGroup
from attrs import define, evolve, field

from clickpost_async._wire.converter import reference_of
from clickpost_async.bulk.outcome import Outcome, Pending, Placed, Rejected, Unknown
from clickpost_async.bulk.rows import Row
from clickpost_async.client import ClickPost
from clickpost_async.errors import (
    ClickPostError,
    CredentialsError,
    DeadlineError,
    InvalidRequestError,
    NotSentError,
    RefusedError,
    Trouble,
    UnreadableReplyError,
)
from clickpost_async.errors import Outcome as Evidence
from clickpost_async.settings import Priority
from clickpost_async.structures import CreatedOrder, IndiaOrder, WorldOrder

BulkOrder = IndiaOrder | WorldOrder | Mapping[str, Any] | Row


@define(kw_only=True)
class Report:
    """Counts of a run so far, and of the whole of it at its end."""

    placed: int = 0
    already_placed: int = 0
    rejected: int = 0
    unknown: int = 0
    pending: int = 0
    requests: int = 0
    repeats: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    halted: ClickPostError | None = None
    _began: float = field(factory=time.perf_counter, repr=False)

    @property
    def total(self) -> int:
        """How many orders have an outcome."""
        return self.placed + self.already_placed + self.rejected + self.unknown + self.pending

    def count(self, outcome: Outcome) -> None:
        """Count one more outcome."""
        match outcome:
            case Placed(already_placed=True):
                self.already_placed += 1
            case Placed():
                self.placed += 1
            case Rejected():
                self.rejected += 1
            case Unknown():
                self.unknown += 1
            case Pending():
                self.pending += 1
        self.requests += outcome.attempts
        self.repeats += max(outcome.attempts - 1, 0)
        self.slowest = max(self.slowest, outcome.seconds)
        self.seconds = time.perf_counter() - self._began

    def __str__(self) -> str:
        text = (
            f"{self.total} orders in {self.seconds:.1f} s: {self.placed} placed,"
            f" {self.already_placed} already placed, {self.rejected} rejected,"
            f" {self.unknown} unknown, {self.pending} pending;"
            f" {self.requests} requests, {self.repeats} repeats, slowest {self.slowest:.2f} s"
        )
        return text if self.halted is None else f"{text}; halted: {self.halted}"


# How often an order is taken up again after all others, where repeats had become too many.
_ROUNDS = 3
# So many answers in a row that are not ClickPost's, such as HTTP 404: something else answers there.
_STRANGERS = 3


@define
class _Turn:
    """An order of the input; what is known of it, if a first round was not the end of it."""

    position: int
    given: BulkOrder
    rounds: int = 0
    known: Unknown | Pending | None = None
    due: float = 0.0

    def add(self, outcome: Outcome) -> Outcome:
        """Return what this round and the ones before it tell together."""
        self.rounds += 1
        before = self.known
        if before is None:
            return outcome
        unsent = isinstance(outcome, Pending) and outcome.order is None
        return evolve(
            before if unsent and isinstance(before, Unknown) else outcome,
            attempts=before.attempts + outcome.attempts,
            seconds=before.seconds + outcome.seconds,
        )

    def goes_again(self, outcome: Outcome) -> bool:
        """Tell whether the order comes up once more, behind all others."""
        if not isinstance(outcome, Unknown | Pending) or outcome.error is None:
            return False
        wait = outcome.error.again_in
        if outcome.error.trouble is not Trouble.UNAFFORDABLE or wait is None:
            return False
        self.known, self.due = outcome, anyio.current_time() + wait
        return self.rounds < _ROUNDS


class Run:
    """A bulk run: `async with` starts and ends it, `async for` gives the outcomes as they come.

    Leaving it early cancels what is under way. An error of the input itself is raised after the
    orders that were read before it have their outcomes. Orders that could not be repeated, because
    too many calls were being repeated, come up again after all others.
    """

    def __init__(
        self,
        client: ClickPost,
        orders: Iterable[BulkOrder] | AsyncIterable[BulkOrder],
        at_once: int,
    ) -> None:
        self.report = Report()
        self._create = client.with_options(priority=Priority.BULK).orders.create
        self._orders = _numbered(orders)
        self._at_once = at_once
        self._reading = anyio.Lock()
        self._input_error: Exception | None = None
        self._later: deque[_Turn] = deque()
        self._strangers = 0
        # No buffer: a consumer that is slow slows the run down, not fills the memory.
        self._done, self._outcomes = anyio.create_memory_object_stream[Outcome]()
        self._group: TaskGroup

    async def __aenter__(self) -> Self:
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        self._group.start_soon(self._work)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._group.cancel_scope.cancel()
        self._outcomes.close()
        # Not given the body's error, which would come out wrapped in a group.
        await self._group.__aexit__(None, None, None)

    def __aiter__(self) -> AsyncIterator[Outcome]:
        return self

    async def __anext__(self) -> Outcome:
        try:
            outcome = await self._outcomes.receive()
        except anyio.EndOfStream:
            if self._input_error is not None:
                raise self._input_error from None
            raise StopAsyncIteration from None
        self.report.count(outcome)
        return outcome

    async def _work(self) -> None:
        async with self._done, anyio.create_task_group() as workers:
            for _ in range(self._at_once):
                workers.start_soon(self._worker)

    async def _worker(self) -> None:
        while (turn := await self._next()) is not None:
            if turn.known is not None:
                await anyio.sleep(max(0.0, turn.due - anyio.current_time()))
            if turn.known is not None and self.report.halted is not None:
                await self._done.send(turn.known)
                continue
            outcome = turn.add(await self._outcome(turn.position, turn.given))
            if turn.goes_again(outcome):
                self._later.append(turn)
            else:
                await self._done.send(outcome)

    async def _next(self) -> _Turn | None:
        async with self._reading:
            read = await self._read()
        if read is None:
            return self._later.popleft() if self._later else None
        return _Turn(*read)

    async def _read(self) -> tuple[int, BulkOrder] | None:
        if self.report.halted is not None or self._input_error is not None:
            return None
        try:
            return await anext(self._orders, None)
        except Exception as error:  # noqa: BLE001 - it is the caller's own, and is given back
            self._input_error = error
            return None

    async def _outcome(self, position: int, given: BulkOrder) -> Outcome:
        began = time.perf_counter()
        order: Any = given.order if isinstance(given, Row) else given
        facts: dict[str, Any] = {
            "position": position,
            "reference_number": given.reference if isinstance(given, Row) else reference_of(given),
            "row": given.number if isinstance(given, Row) else None,
        }
        if isinstance(given, Row) and given.problems:
            return Rejected(reasons=tuple(map(str, given.problems)), **facts)
        try:
            answer = await self._create(order)
        except ClickPostError as error:
            facts["seconds"] = time.perf_counter() - began
            return self._failed(error, given, facts)
        self._strangers = 0
        facts["seconds"] = time.perf_counter() - began
        return _answered(answer, facts)

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
        if isinstance(error, NotSentError):
            # A redirect, a certificate that was refused, a client that was closed.
            return not (error.transient or isinstance(error, DeadlineError))
        strange = isinstance(error, RefusedError) and error.status is None and error.attempts > 0
        self._strangers = self._strangers + 1 if strange else 0
        return self._strangers >= _STRANGERS


def _answered(answer: CreatedOrder, facts: dict[str, Any]) -> Outcome:
    facts["attempts"] = answer.reply.attempts
    if answer.pending:
        return Pending(order=answer, **facts)
    if answer.reference_number not in (None, facts["reference_number"]):
        # Something on the way has mixed up two answers: this waybill is another order's.
        message = "the answer is for another reference number"
        return Unknown(error=UnreadableReplyError(message, transient=False), **facts)
    return Placed(order=answer, **facts)


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
    at_once: int = 100,
) -> Run:
    """Create every order of an iterable, `at_once` of them at a time, behind all other calls.

    Orders are structures, plain mappings, or rows of `read_orders`. Iterate over the run for the
    outcomes; `run.report` counts them.
    """
    return Run(client, orders, at_once)
