"""Applies a journal to a run: an order is skipped, resolved or sent, and its outcome recorded."""

import hashlib
import json
from collections.abc import AsyncIterator, Awaitable
from functools import partial
from typing import Any, Protocol

from anyio.lowlevel import checkpoint_if_cancelled
from attrs import define, evolve

from clickpost_async._codec.converter import reference_number_of, structure
from clickpost_async._codec.messages import EncodedOrder
from clickpost_async._codec.request import encode_order
from clickpost_async._core.reconcile import as_created, look_up_endpoint
from clickpost_async.bulk import outcome_codec
from clickpost_async.bulk.decisions import Action, fails_all
from clickpost_async.bulk.journal import Journal
from clickpost_async.bulk.outcome import OrderOutcome, Pending, Placed, Rejected, Unknown
from clickpost_async.bulk.records import JournalEntry, JournalRecord, JournalState, Key
from clickpost_async.bulk.schedule import ScheduledOrder
from clickpost_async.bulk.timestamp import Timestamp
from clickpost_async.client import ClickPost
from clickpost_async.endpoints.orders import (
    CREATE_INDIA,
    CREATE_WORLD,
    is_india,
)
from clickpost_async.errors import (
    ClickPostError,
    InvalidRequestError,
    NoReplyError,
    Outcome,
    Problem,
)
from clickpost_async.files.order_rows import OrderRow
from clickpost_async.structures import CreatedOrder, IndiaOrder, WorldOrder
from clickpost_async.structures._market import Market

_TOO_OLD = "that was too long ago, or a clock was set back and its age is not known"
_REFERENCE = "shipment_details.reference_number"


_CREATE = {"india": CREATE_INDIA, "world": CREATE_WORLD}


async def look_up(client: ClickPost, key: Key) -> CreatedOrder:
    """Return the order that ClickPost has under a reference number, as a create would."""
    market, reference = key
    find = look_up_endpoint(_CREATE[market])
    assert find is not None  # noqa: S101 - both endpoints declare one
    found = await client.get(find, {"reference_number": reference})
    return as_created(found, attempts=0)


class OrderCreator(Protocol):
    """Creates orders in other processes, such as a `Fleet`."""

    async def create(
        self,
        order: Any,
        *,
        payload: bytes | None = None,
        in_doubt: bool = False,
        polls: bool = True,
    ) -> CreatedOrder:
        """Create an order; raises what `orders.create` does.

        Args:
            order: The order.
            payload: Its JSON.
            in_doubt: Whether it may have been sent before, so that it is looked up first.
            polls: Whether an order that ClickPost has only recorded is polled.

        """
        ...


class PreparedPayload:
    """An order as the journal stores it, and a request sends it: its key and its JSON.

    `payload` is the JSON if the order was encoded before.
    """

    def __init__(self, given: object, payload: bytes | None = None) -> None:
        order = _to_structure(given)
        self.order = order
        self.key: Key = (_market_of(order), str(order.reference_number))
        self.encoded: EncodedOrder = (
            encode_order(order) if payload is None else EncodedOrder(order, payload)
        )
        self.payload: bytes = self.encoded.json
        self.digest: bytes = hashlib.sha256(self.payload).digest()

    @classmethod
    def read(cls, payload: str) -> "PreparedPayload":
        """Return the order of a `payload` that another process has written."""
        return cls(json.loads(payload), payload.encode())

    async def create(self, client: ClickPost) -> CreatedOrder:
        """Create the order with a client."""
        return await client.post(_CREATE[self.key[0]], self.encoded)


def _to_structure(given: object) -> IndiaOrder | WorldOrder:
    if isinstance(given, IndiaOrder | WorldOrder):
        return given
    # What is no mapping at all is refused like any other mistake.
    shaped: Any = given
    return structure(shaped, IndiaOrder) if is_india(shaped) else structure(shaped, WorldOrder)


def _market_of(given: Any) -> str:
    is_for_india = (
        isinstance(given, IndiaOrder)
        if isinstance(given, IndiaOrder | WorldOrder)
        else is_india(given)
    )
    return "india" if is_for_india else "world"


def _key_of(given: object) -> Key | None:
    """Return the key of an invalid order, if it has a readable reference number."""
    reference = given.reference if isinstance(given, OrderRow) else reference_number_of(given)
    if reference is None or not _is_encodable(reference):
        return None
    if isinstance(given, OrderRow):
        return (given.market.value, reference)
    try:
        return (_market_of(given), reference)
    except InvalidRequestError:
        return None


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@define
class PreparedOrder:
    """An order of the input as it is sent, or, if it is `invalid`, its outcome.

    It has a key if its reference number is readable. `context` holds the fields that any outcome of
    it has.
    """

    context: dict[str, Any]
    key: Key | None
    payload: PreparedPayload | None = None
    invalid: Rejected | None = None

    @property
    def digest(self) -> bytes | None:
        """What stands for its contents; none, if they are invalid."""
        return None if self.payload is None else self.payload.digest

    @classmethod
    def of(cls, scheduled: ScheduledOrder) -> "PreparedOrder":
        """Validate an order, and write what would be sent."""
        given = scheduled.source
        row = given if isinstance(given, OrderRow) else None
        context: dict[str, Any] = {
            "position": scheduled.position,
            "reference_number": row.reference if row else reference_number_of(given),
            "row": row.number if row else None,
            "differs": scheduled.differs,
        }
        if row is not None and row.problems:
            invalid = Rejected(reasons=tuple(map(str, row.problems)), **context)
            return cls(context, _key_of(given), invalid=invalid)
        try:
            stored = PreparedPayload(row.order if row else given)
        except InvalidRequestError as error:
            return cls(context, _key_of(given), invalid=reject(error, given, context))
        return cls(context, stored.key, stored)


def reject(error: InvalidRequestError, given: object, context: dict[str, Any]) -> Rejected:
    """Return the outcome of an order that is invalid: where, and why."""
    problems = error.problems
    if isinstance(given, OrderRow):
        reasons = tuple(str(given.locate(one.path, one.message)) for one in problems)
    else:
        reasons = tuple(map(str, problems))
    return evolve(Rejected(reasons=reasons, error=error, **context), attempts=error.attempts)


async def in_doubt(journal: Journal) -> AsyncIterator[ScheduledOrder]:
    """Iterate over the orders that earlier runs left in doubt, as rows of their input."""
    async for stored in journal.doubts():
        market, reference = stored.key
        row = stored.row or 0
        order = json.loads(stored.payload)
        given = OrderRow(
            number=row, last=row, market=Market(market), reference=reference, order=order
        )
        yield ScheduledOrder(stored.position, given)


class JournaledCreator:
    """Creates orders, and records each attempt and outcome in the journal."""

    def __init__(
        self, journal: Journal, client: ClickPost, creator: OrderCreator | None = None
    ) -> None:
        self._journal = journal
        self._client = client
        self._creator = creator
        self._policy = client.retry
        self._clients = {
            (market, in_doubt): client.with_options(
                in_doubt=in_doubt, before_create=partial(self._announce, market)
            )
            for market in _CREATE
            for in_doubt in (False, True)
        }

    async def _announce(self, market: str, reference: str, _: int) -> None:
        if self._journal.is_durable:
            await self._journal.sending((market, reference))
            # The run may have ended without this task being cancelled yet, and the next step sends.
            await checkpoint_if_cancelled()

    def is_observed(self, scheduled: ScheduledOrder) -> bool:
        """Return whether this run's client creates an order, so that its attempts are observed."""
        return self._creator is None or scheduled.look_up_only

    async def create(self, scheduled: ScheduledOrder, order: PreparedOrder) -> CreatedOrder:
        """Create an order, or look it up; each attempt is in the journal before it is sent."""
        assert order.key is not None  # noqa: S101 - only what has one gets here
        if scheduled.look_up_only:
            return await self._look_up(order.key, scheduled)
        assert order.payload is not None  # noqa: S101 - what is invalid is never sent
        if self._creator is not None:
            await self._journal.sending(order.key)
            return await self._creator.create(
                order.payload.order,
                payload=order.payload.payload,
                in_doubt=scheduled.in_doubt,
                polls=False,
            )
        return await order.payload.create(self._clients[order.key[0], scheduled.in_doubt])

    async def _look_up(self, key: Key, scheduled: ScheduledOrder) -> CreatedOrder:
        """Look up an order that is not to be resent; raises `NoReplyError` if it is not found."""
        reference = key[1]
        try:
            return await look_up(self._client, key)
        except ClickPostError as error:
            if error.outcome is Outcome.NOT_SENT or fails_all(error):
                raise
            why = "its row has changed since" if scheduled.differs else _TOO_OLD
            message = (
                f"it may have been placed by a previous run, and is not resent because {why};"
                f" a look-up did not find it ({error.message})"
            )
            raise NoReplyError(message, transient=False, reference_number=reference) from None

    async def admit(self, scheduled: ScheduledOrder, order: PreparedOrder) -> OrderOutcome | None:
        """Return the outcome of an order that is not to be sent, such as a final one.

        `None`: it is to be sent, or, if it is in doubt, resolved later.
        """
        assert order.key is not None  # noqa: S101 - without one there is no record
        context = order.context
        entry = JournalEntry(
            key=order.key,
            position=scheduled.position,
            row=context["row"],
            payload=None if order.payload is None else order.payload.payload,
            digest=order.digest,
        )
        admission = await self._journal.admit(entry)
        record = admission.record
        match admission.action:
            case Action.REFUSE:
                return order.invalid or refuse(scheduled, order, record.place)
            case Action.REPORT:
                return self._report(record, context)
            case Action.RESOLVE | Action.LOOK_UP:
                self._resolve_later(scheduled, record, context)
                return None
            case _:
                return order.invalid

    def _report(self, record: JournalRecord, context: dict[str, Any]) -> OrderOutcome:
        context["differs"] = not record.matches
        if not record.seen:
            return self._stored_outcome(record, recorded=True, **context)
        outcome = self._stored_outcome(record, duplicate_of=record.place, **context)
        return evolve(outcome, attempts=0, seconds=0.0)

    def _resolve_later(
        self, scheduled: ScheduledOrder, record: JournalRecord, context: dict[str, Any]
    ) -> None:
        now = Timestamp.now()
        scheduled.in_doubt = True
        scheduled.differs = context["differs"] = not record.matches
        is_old = record.since.is_older_than(self._policy.resend_window, now)
        scheduled.look_up_only = scheduled.differs or is_old
        left = record.since.left_of(self._policy.settle_delay, now)
        scheduled.wait_for(self._doubt(record, context), left)

    def _doubt(self, record: JournalRecord, context: dict[str, Any]) -> OrderOutcome:
        # An outcome from before the last attempt does not describe it.
        if record.outcome is not None and record.state is not JournalState.SENDING:
            return self._stored_outcome(record, recorded=True, **context)
        error = NoReplyError(outcome_codec.IN_FLIGHT, reference_number=context["reference_number"])
        error.attempts = record.attempts
        return Unknown(error=error, attempts=record.attempts, recorded=True, **context)

    def _stored_outcome(self, record: JournalRecord, **context: Any) -> OrderOutcome:
        assert record.state is not None  # noqa: S101 - without one there is nothing to be read
        return outcome_codec.read(record.state.value, record.outcome or b"", **context)

    async def count_unseen(self) -> int:
        """Count the orders of earlier runs that this run's input did not have."""
        return await self._journal.count_unseen()

    def record(self, key: Key, outcome: OrderOutcome) -> Awaitable[None]:
        """Queue an outcome for writing; the awaitable ends when it is durable."""
        return self._journal.record(key, _state_of(outcome), outcome_codec.write(outcome))


def _state_of(outcome: OrderOutcome) -> JournalState:
    match outcome:
        case Placed():
            return JournalState.PLACED
        case Rejected():
            return JournalState.REJECTED
        case Unknown():
            return JournalState.UNKNOWN
        case Pending(order=None):
            return JournalState.ACCEPTED
        case Pending():
            return JournalState.QUEUED


def refuse(scheduled: ScheduledOrder, order: PreparedOrder, place: str) -> Rejected:
    """Return the outcome of an order that has the reference number of another one of the input."""
    message = (
        f"{place} has the same reference number with other contents, so this one was not sent;"
        " different orders need different reference numbers, and the rows of one order must"
        " stand next to each other"
    )
    problem: object = Problem(_REFERENCE, message)
    if isinstance(scheduled.source, OrderRow):
        problem = scheduled.source.locate(_REFERENCE, message)
    return Rejected(reasons=(str(problem),), **order.context)
