"""Create many orders: outcomes as they come, memory bounded, one bad order never stops another."""

import time
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from types import TracebackType
from typing import Any, Self

import anyio
from anyio.abc import TaskGroup
from attrs import define, field

from clickpost_async._wire.converter import reference_of
from clickpost_async.bulk.outcome import Outcome, Pending, Placed, Rejected, Unknown
from clickpost_async.bulk.rows import Row
from clickpost_async.client import ClickPost
from clickpost_async.errors import (
    ClickPostError,
    CredentialsError,
    InvalidRequestError,
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


class Run:
    """A bulk run: `async with` starts and ends it, `async for` gives the outcomes as they come.

    Leaving it early cancels what is under way. An error of the input itself is raised after the
    orders that were read before it have their outcomes.
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
        while (read := await self._next()) is not None:
            outcome = await self._outcome(*read)
            await self._done.send(outcome)

    async def _next(self) -> tuple[int, BulkOrder] | None:
        async with self._reading:
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
        facts["seconds"] = time.perf_counter() - began
        return _answered(answer, facts)

    def _failed(self, error: ClickPostError, given: BulkOrder, facts: dict[str, Any]) -> Outcome:
        facts["attempts"] = error.attempts
        if isinstance(error, CredentialsError) and error.key_refused:
            # Every further order would be refused, too; those of one courier account are not.
            self.report.halted = error
            return Pending(error=error, **facts)
        if isinstance(error, InvalidRequestError) and error.problems:
            return Rejected(reasons=_reasons(error, given), error=error, **facts)
        if error.outcome is Evidence.UNKNOWN:
            return Unknown(error=error, **facts)
        if error.outcome is Evidence.NOT_SENT:
            return Pending(error=error, **facts)
        return Rejected(reasons=(str(error),), error=error, **facts)


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
