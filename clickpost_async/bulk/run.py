"""Create many orders: outcomes in the order of completion, bounded memory, independent orders."""

import os
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from types import TracebackType
from typing import Any, Literal, Self

import anyio
from anyio.abc import TaskGroup
from attrs import evolve

from clickpost_async._concurrency.channel import Channel, ChannelClosedError
from clickpost_async._util.arguments import check_number, got
from clickpost_async.bulk.decisions import Action, fails_all, is_foreign, outcome_of
from clickpost_async.bulk.in_flight import InFlightCalls
from clickpost_async.bulk.journal import Journal
from clickpost_async.bulk.outage import OutageMonitor
from clickpost_async.bulk.outcome import OrderOutcome, Pending, Placed, Rejected, Unknown
from clickpost_async.bulk.recovery import (
    JournaledCreator,
    OrderCreator,
    PreparedOrder,
    in_doubt,
    reject,
)
from clickpost_async.bulk.report import Report
from clickpost_async.bulk.schedule import BulkOrder, Schedule, ScheduledOrder, scheduled_orders
from clickpost_async.client import ClickPost
from clickpost_async.errors import (
    ClickPostError,
    InvalidRequestError,
    UnreadableReplyError,
)
from clickpost_async.events import Event
from clickpost_async.settings import Priority
from clickpost_async.structures import CreatedOrder

# So many consecutive responses from something other than ClickPost, such as HTTP 404, halt a run.
_MAX_FOREIGN = 3
# How many seconds requests in flight have to finish, when a run is stopped, and when it halts
# although there are responses.
_GRACE = 10.0
_LONG_GRACE = 60.0


class Run:
    """A bulk run: `async with` starts and ends it, `async for` yields the outcomes.

    Leaving it early cancels what is under way. An error of the input itself is raised after the
    orders that were read before it have their outcomes. Orders that were not
    retried because the retry budget was spent are scheduled again after all others.
    """

    def __init__(
        self,
        client: ClickPost,
        orders: Iterable[BulkOrder] | AsyncIterable[BulkOrder] | None,
        journal: Journal | str | os.PathLike[str] | None,
        *,
        max_concurrency: int,
        max_outage: float,
        creator: OrderCreator | None = None,
    ) -> None:
        check_number("max_concurrency", max_concurrency, unit="orders", minimum=1, whole=True)
        self.report: Report = Report()
        self._calls = InFlightCalls()
        self._monitor = OutageMonitor(client.address, max_outage)
        # Queued orders are polled by the schedule, so that polling resumes after a restart.
        self._client = client.with_options(
            priority=Priority.BULK,
            retry=evolve(client.retry, poll_timeout=0.0),
            observer=self._observe,
        )
        self._policy = client.retry
        self._creator = creator
        self._journal = journal
        self._orders = orders
        self._max_concurrency = max_concurrency
        self._failure: Exception | None = None
        self._foreign = 0
        self._recorder: JournaledCreator
        self._prepared: dict[int, PreparedOrder] = {}
        self._schedule = Schedule(
            scheduled_orders(() if orders is None else orders),
            self._prepare if _are_at_hand(orders) else None,
        )
        self._stack = AsyncExitStack()
        self._group: TaskGroup
        self._outcomes: Channel[OrderOutcome] = Channel()
        self._is_entered = False

    @property
    def waiting(self) -> int:
        """How many orders were read and have no outcome yet."""
        return self._schedule.unfinished

    async def __aenter__(self) -> Self:
        if self._is_entered:
            message = "a run is entered once: make another one with bulk.create() or bulk.resolve()"
            raise RuntimeError(message)
        self._is_entered = True
        async with AsyncExitStack() as stack:
            journal = await self._open_journal(stack)
            if self._orders is None:
                self._schedule = Schedule(in_doubt(journal))
            self._recorder = JournaledCreator(journal, self._client, self._creator)
            self._group = anyio.create_task_group()
            await self._group.__aenter__()
            self._stack = stack.pop_all()
        if self.report.stopped:
            self._schedule.end()
        for task in (self._schedule.read, self._calls.cancel_when_set, self._watch, self._work):
            self._group.start_soon(task)
        return self

    async def _open_journal(self, stack: AsyncExitStack) -> Journal:
        journal = self._journal
        if journal is None:
            journal = await stack.enter_async_context(Journal.private())
        elif not isinstance(journal, Journal):
            opened = Journal.at(journal, account=self._client.account_label)
            journal = await stack.enter_async_context(opened)
        self._journal = journal
        return journal

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._group.cancel_scope.cancel()
        self._outcomes.close()
        try:
            # Without the body's error, which the group would wrap.
            await self._group.__aexit__(None, None, None)
        finally:
            await self._stack.aclose()

    def stop(self, *, grace: float = _GRACE) -> None:
        """Stop reading and sending orders.

        Orders that were not sent are `Pending` at once; those whose response does not come in time
        are `Unknown`.

        Args:
            grace: How many seconds requests in flight have to finish.

        """
        self.report.stopped = True
        self._end(grace)

    def _halt(self, error: ClickPostError, *, grace: float = _LONG_GRACE) -> None:
        if self.report.halted is None:
            self.report.halted = error
        self._end(grace)

    def _end(self, grace: float) -> None:
        self._schedule.end()
        self._calls.cancel(grace)

    def __aiter__(self) -> AsyncIterator[OrderOutcome]:
        if not self._is_entered:
            message = "a run has to be entered first: async with bulk.create(…) as run"
            raise RuntimeError(message)
        return self

    async def __anext__(self) -> OrderOutcome:
        try:
            outcome = await self._outcomes.receive()
        except ChannelClosedError:
            error = self._failure or self._schedule.input_error
            if error is not None:
                raise error from None
            raise StopAsyncIteration from None
        self.report.count(outcome)
        return outcome

    def _observe(self, event: Event) -> None:
        self._monitor.observe(event)
        self._calls.observe(event)

    async def _watch(self) -> None:
        await self._monitor.watch(partial(self._halt, grace=_GRACE))

    async def _work(self) -> None:
        try:
            async with anyio.create_task_group() as workers:
                for _ in range(self._max_concurrency):
                    workers.start_soon(self._worker, workers.cancel_scope)
            has_read_all = self._orders is not None and self._schedule.is_exhausted
            if has_read_all and self._failure is None:
                self.report.missing = await self._recorder.count_unseen()
        finally:
            self._outcomes.close()

    async def _worker(self, others: anyio.CancelScope) -> None:
        try:
            while (scheduled := await self._schedule.next()) is not None:
                outcome = await self._process(scheduled)
                if outcome is not None:
                    self._schedule.finish(scheduled)
                    await self._outcomes.send(outcome)
        except Exception as error:  # noqa: BLE001 - the journal's, above all: nothing may be sent
            self._failure = self._failure or error
            others.cancel()

    def _prepare(self, scheduled: ScheduledOrder) -> None:
        self._prepared[scheduled.position] = PreparedOrder.of(scheduled)

    async def _process(self, scheduled: ScheduledOrder) -> OrderOutcome | None:
        """Return an order's outcome, or `None` if it is scheduled again."""
        if scheduled.last_outcome is not None and (self.report.stopped or self.report.halted):
            return scheduled.last_outcome
        order = self._prepared.pop(scheduled.position, None) or PreparedOrder.of(scheduled)
        if order.key is None:
            return order.invalid
        if scheduled.last_outcome is None:
            admitted = await self._admit(scheduled, order)
            if admitted is not Action.SEND:
                return admitted
        outcome = scheduled.add(await self._create(scheduled, order))
        # Queued for writing before anything else can happen, a cancellation included.
        saved = self._recorder.record(order.key, outcome)
        await saved
        return None if self._reschedule(scheduled, outcome) else outcome

    async def _admit(
        self, scheduled: ScheduledOrder, order: PreparedOrder
    ) -> OrderOutcome | Literal[Action.SEND] | None:
        """Return `Action.SEND`, an outcome, or `None` if it is scheduled again."""
        assert order.key is not None  # noqa: S101 - without one there is no record
        other = self._schedule.claim(order.key, scheduled)
        if other is not None:
            # Rows of one reference number are decided one after the other.
            self._schedule.follow(other, scheduled)
            return None
        outcome = await self._recorder.admit(scheduled, order)
        if scheduled.last_outcome is not None:
            self._schedule.put(scheduled)
            return None
        return outcome or Action.SEND

    def _reschedule(self, scheduled: ScheduledOrder, outcome: OrderOutcome) -> bool:
        wait = scheduled.repeat_wait(outcome, self._policy.attempts)
        behind_all = wait is not None
        if wait is None:
            wait = scheduled.poll_wait(
                outcome, self._policy.poll_interval, self._policy.poll_timeout
            )
        if wait is None:
            return False
        scheduled.wait_for(outcome, wait)
        self._schedule.put(scheduled, behind_all=behind_all)
        return True

    async def _create(self, scheduled: ScheduledOrder, order: PreparedOrder) -> OrderOutcome:
        began = time.perf_counter()
        try:
            created = await self._calls.call(
                partial(self._recorder.create, scheduled, order),
                in_doubt=scheduled.in_doubt,
                is_observed=self._recorder.is_observed(scheduled),
            )
        except ClickPostError as error:
            order.context["seconds"] = time.perf_counter() - began
            return self._failed(error, scheduled, order.context)
        self._foreign = 0
        order.context["seconds"] = time.perf_counter() - began
        return _created_outcome(created, order.context, sent_before=scheduled.in_doubt)

    def _failed(
        self, error: ClickPostError, scheduled: ScheduledOrder, context: dict[str, Any]
    ) -> OrderOutcome:
        context["attempts"] = error.attempts
        self._foreign = self._foreign + 1 if is_foreign(error) else 0
        if fails_all(error) or self._foreign >= _MAX_FOREIGN:
            self._halt(error)
        if isinstance(error, InvalidRequestError) and error.problems:
            return reject(error, scheduled.source, context)
        kind = outcome_of(error)
        if kind is Rejected:
            return Rejected(reasons=(str(error),), error=error, **context)
        return (
            Unknown(error=error, **context) if kind is Unknown else Pending(error=error, **context)
        )


def _are_at_hand(orders: object) -> bool:
    """Return whether the next orders can be read without waiting for them."""
    return isinstance(orders, Sequence) or getattr(orders, "are_at_hand", False) is True


def _created_outcome(
    created: CreatedOrder, context: dict[str, Any], *, sent_before: bool
) -> OrderOutcome:
    response = created.response
    context["attempts"] = response.attempts
    if created.pending:
        return Pending(order=created, **context)
    if created.reference_number not in (None, context["reference_number"]):
        # Something on the way has mixed up two responses: this waybill is another order's.
        message = "the response has another reference number"
        return Unknown(error=UnreadableReplyError(message, transient=False), **context)
    sent_before = sent_before or response.attempts > 1
    found_again = response.reconciled or (created.already_placed and sent_before)
    return Placed(order=created, recovered=found_again, **context)


def create(
    client: ClickPost,
    orders: Iterable[BulkOrder] | AsyncIterable[BulkOrder],
    *,
    journal: Journal | str | os.PathLike[str] | None = None,
    max_concurrency: int = 100,
    max_outage: float = 60.0,
    creator: OrderCreator | None = None,
) -> Run:
    """Create every order of an iterable, at lower priority than other calls of the client.

    Iterate over the run for the outcomes; `run.report` counts them.

    With a journal every order is on disk before its first byte is sent, and its outcome afterwards.
    To resume after a crash make the same call again: finished orders are skipped, and orders that
    were in flight are looked up, and resent once they have settled. A placed order stays placed,
    however its row has changed since (`differs`); one that is in doubt and has changed is looked up
    and not resent.

    Within the input a reference number identifies one order. Where the same order occurs again, it
    shares the outcome of the first; another order under the same number is rejected.

    Args:
        client: The client that sends the orders.
        orders: Structures, plain mappings, or rows of `read_orders`; read as fast as outcomes are
            consumed: those of a list or a file a few at a time, others one by one.
        journal: A file, which is created if it does not exist; without one a run cannot be resumed.
        max_concurrency: How many orders are in flight at a time.
        max_outage: Seconds without any response after which the run halts at the next attempt that
            fails, and orders that were not sent are `Pending`; `math.inf` never halts. What the run
            waits for is logged to `clickpost_async.bulk` as a warning.
        creator: What creates the orders instead of the client, such as a
            `clickpost_async.fleet.Fleet`, whose workers are other processes.

    Returns:
        The run, for `async with`.

    Raises:
        TypeError: `orders` is no iterable of orders.
        ValueError: `max_concurrency` is less than 1.
        JournalError: When entered, the journal belongs to another account, is in use, or cannot be
            read; while iterating, it could not be written, and nothing more was sent.

    """
    if isinstance(orders, str | bytes | os.PathLike | Mapping) or not isinstance(
        orders, Iterable | AsyncIterable
    ):
        raise TypeError(
            f"orders must be an iterable of orders, such as a list; {got(orders)}. "
            "The orders of a file are read by bulk.read_orders(path)"
        )
    return Run(
        client,
        orders,
        journal,
        max_concurrency=max_concurrency,
        max_outage=max_outage,
        creator=creator,
    )


def resolve(
    client: ClickPost,
    journal: str | os.PathLike[str],
    *,
    max_concurrency: int = 100,
    max_outage: float = 60.0,
    creator: OrderCreator | None = None,
) -> Run:
    """Settle every order of a journal that is in doubt, or that ClickPost is still working on.

    Each is looked up, and resent if it is not found, as `create` would with the same input.

    Args:
        client: As for `create`.
        journal: The journal of an earlier run.
        max_concurrency: As for `create`.
        max_outage: As for `create`.
        creator: As for `create`.

    Returns:
        The run, for `async with`.

    Raises:
        JournalError: As `create` raises it.

    """
    return Run(
        client,
        None,
        journal,
        max_concurrency=max_concurrency,
        max_outage=max_outage,
        creator=creator,
    )
