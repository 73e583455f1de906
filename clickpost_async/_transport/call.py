"""The order of things in one call: repeat( breaker( gate( encode, take a turn, send, decode )).

The gate comes before encoding, so that a gather of thousands does not encode them all in one turn
of the loop. The turn is taken inside the gate, so that slow answers do not let turns pile up and
leave as a burst. A call that pauses before it is repeated, or that waits for a sick server, holds
neither.
"""

import time
from typing import Any, Generic, TypeVar

import anyio
import attrs

from clickpost_async._transport.breaker import BreakerOpenError, Passage
from clickpost_async._transport.budget import LOOK_UP_PRICE
from clickpost_async._transport.exchange import Exchange, Options
from clickpost_async._transport.retry import (
    SICK,
    Course,
    ReSend,
    RetryPolicy,
    Step,
    failure_of,
    step_after,
)
from clickpost_async._transport.wire import Progress
from clickpost_async._wire.converter import reference_of
from clickpost_async._wire.decode import decode
from clickpost_async._wire.encode import encode
from clickpost_async._wire.endpoint import Endpoint, Get, Query, Repeat
from clickpost_async._wire.messages import Request
from clickpost_async._wire.personal import masked
from clickpost_async.errors import (
    ClickPostError,
    CredentialsError,
    DeadlineError,
    NoReplyError,
    NotSentError,
    Outcome,
    ThrottledError,
    Trouble,
    UnreadableReplyError,
)
from clickpost_async.events import (
    Answered,
    Doubted,
    Ended,
    Event,
    Failed,
    Held,
    Repeating,
    Started,
    heard,
    tell,
)
from clickpost_async.structures._base import Answer

R = TypeVar("R", bound=Answer)

# ClickPost has an order for this waybill (its code table), which a sending that was lost may have
# placed.
_ORDER_EXISTS = 303
# How long everybody waits after a 429 that does not say how long.
_UNSAID_HOLD = 1.0


class Call(Generic[R]):
    """One call, from its first attempt to its last."""

    __slots__ = (
        "_attempts",
        "_began",
        "_body",
        "_exchange",
        "_guard",
        "_here",
        "_key",
        "_looks_for",
        "_lost",
        "_number",
        "_options",
        "_pending",
        "_progress",
        "_query",
        "_request",
        "answer",
        "endpoint",
        "error",
        "landed",
    )

    def __init__(
        self,
        exchange: Exchange,
        options: Options,
        endpoint: Endpoint[R],
        query: Query | None = None,
        body: object = None,
        *,
        looks_for: "Call[R] | None" = None,
    ) -> None:
        self._looks_for = looks_for
        self._exchange = exchange
        self._guard = exchange.guards[endpoint.host]
        self._here = exchange.places.here()
        self._options = options
        self.endpoint = endpoint
        self._query = query
        self._body = body
        self._request: Request | None = None
        self._progress: Progress | None = None
        self._number = 0
        self._attempts = 0
        self._lost: ClickPostError | None = None
        self._pending = False
        self._began = time.perf_counter()
        # What ClickPost tells creates apart by; other calls may be under way together.
        self._key: tuple[str, str] | None = None
        if endpoint.repeat is Repeat.BY_REFERENCE and (reference := reference_of(body)):
            self._key = (endpoint.path, reference)
            if options.in_doubt:
                message = "it is not known whether the order was sent before"
                self._lost = NoReplyError(
                    message, endpoint=endpoint.label, reference_number=reference
                )
        self.answer: R | None = None
        self.error: ClickPostError | None = None
        self.landed: anyio.Event | None = None

    @property
    def _reference(self) -> str | None:
        if self._key is not None:
            return self._key[1]
        return None if self._request is None else self._request.reference_number

    @property
    def _seconds(self) -> float:
        return time.perf_counter() - self._began

    async def run(self) -> R:
        """Make the call, or share the answer of the same create that is under way."""
        # In one coroutine, not in one for each step: a gather has thousands of them wait.
        exchange, key, flights = self._exchange, self._key, self._here.flights
        exchange.refuse_if_closed(self.endpoint.label)
        exchange.counts.begun += 1
        self._number = exchange.counts.begun
        alone = False
        try:
            while key is not None and not self._has_ended and flights.under_way(key):
                await self._join(key)
            if not self._has_ended:
                if key is not None:
                    flights.start(key, self)
                    alone = True
                try:
                    self.answer = await self._attempt()
                except ClickPostError as failed:
                    self.error = failed
                if self.error is not None or self._pending:
                    await self._go_on()
        finally:
            if alone:
                flights.land(key, self)
            self._tell_end()
        if self.error is not None:
            raise self.error
        assert self.answer is not None  # noqa: S101 - no error means an answer
        return self.answer

    @property
    def _has_ended(self) -> bool:
        return self.answer is not None or self.error is not None

    async def _join(self, key: tuple[str, str]) -> None:
        try:
            self.answer = await self._here.flights.join(key, self)
        except ClickPostError as error:
            self.error = error

    async def _go_on(self) -> None:
        """Repeat what failed or is pending as long as that makes sense, and say how it ended."""
        course = Course(
            self._options.retry,
            self.endpoint.repeat,
            self._guard.budget,
            self._here.rest,
            self._pausing,
        )
        if course.goes_on(self.error, self.answer):
            first, self.error, self.answer = (self.error, self.answer), None, None
            try:
                self.answer = await course.run(self._attempt, *first)
            except ClickPostError as failed:
                self.error = failed
        if self.error is not None:
            self.error = self._final(self.error)

    # --- one attempt --------------------------------------------------------------------------

    async def _attempt(self) -> R:
        try:
            if self._lost is not None and self._holds_back:
                raise self._lost
            if self._lost is not None and not self._attempts:
                # Sent before, perhaps, by somebody else: this one has not tried anything yet.
                found = await self._found_after(self._lost)
                if found is not None:
                    return found
            return await self._sent()
        except ClickPostError as error:
            found = await self._found_after(error)
            if found is None:
                raise
            return found

    @property
    def _holds_back(self) -> bool:
        by_reference = self.endpoint.repeat is Repeat.BY_REFERENCE
        return by_reference and self._options.retry.resend is ReSend.NEVER

    async def _sent(self) -> R:
        exchange, breaker = self._exchange, self._guard.breaker
        priority = self._options.priority
        while True:
            with breaker.passage() or await self._admitted() as passage:
                async with self._here.gate.entered(priority, again=self._has_waited):
                    exchange.refuse_if_closed(self.endpoint.label)
                    # Most calls may have begun to fail while this one waited.
                    if not passage.holds:
                        continue
                    request = self._written()
                    await exchange.limiter.take(priority)
                    exchange.refuse_if_closed(self.endpoint.label)
                    if passage.holds:
                        await self._announce(request)
                        return await self._send(request, passage)

    @property
    def _has_waited(self) -> bool:
        # In a gather of thousands, what was lost would otherwise be looked for after all others.
        return self._attempts > 0 or self._looks_for is not None

    async def _announce(self, request: Request) -> None:
        announce = self._options.before_create
        reference = request.reference_number
        if announce is None or reference is None:
            return
        if self.endpoint.repeat is Repeat.BY_REFERENCE:
            await announce(reference, self._attempts + 1)

    async def _admitted(self) -> Passage:
        try:
            return await self._guard.breaker.admit(self._options.priority)
        except BreakerOpenError as shut:
            wait = shut.wait
        error = NotSentError(
            f"most calls have failed lately; the next one is tried in {wait:.1f} s",
            endpoint=self.endpoint.label,
            reference_number=self._reference,
            wait=wait,
        )
        error.trouble = Trouble.SHUT
        raise error

    def _written(self) -> Request:
        """Return what is sent; it is written once, and not before it is needed."""
        if self._request is None:
            style = self._exchange.body_style
            self._request = encode(self.endpoint, self._query, self._body, style=style)
            self._body = None
        return self._request

    async def _send(self, request: Request, passage: Passage) -> R:
        exchange, endpoint = self._exchange, self.endpoint
        self._attempts += 1
        exchange.counts.attempts += 1
        if self._attempts == 1:
            # Now, not when it was made: a gather makes thousands at once, and no budget holds that.
            self._guard.budget.deposit()
        listening = heard(exchange.observers)
        if listening:
            self._tell(Started(attempt=self._attempts, **self._about))
        self._progress = progress = Progress()
        self._here.leaves()
        try:
            response = await exchange.sender.send(request, progress)
            answer = decode(endpoint, response, attempts=self._attempts, seconds=self._seconds)
            self._refuse_unusable(answer)
        except ClickPostError as error:
            self._note(error, passage)
            if isinstance(error, ThrottledError):
                await self._hold(error)
            self._progress = None
            raise
        finally:
            self._here.returns()
        passage.succeeded()
        # Told and settled; only an attempt that is cut short stays open, or an order that is.
        self._progress = None
        self._pending = answer.pending
        if listening:
            reply = answer.reply
            self._tell(
                Answered(
                    attempt=self._attempts,
                    status=reply.status,
                    http_status=reply.http_status,
                    seconds=reply.seconds,
                    **self._about,
                )
            )
        return answer

    def _refuse_unusable(self, answer: R) -> None:
        if answer.incomplete:
            message = "placed, says the answer, and gives no waybill"
            raise UnreadableReplyError(message, status=answer.reply.status)
        if self._key is None:
            return
        reference = getattr(answer, "reference_number", None)
        if reference in (None, self._reference):
            return
        if self._here.flights.seen((self.endpoint.path, reference)):
            # Something on the way has mixed up two answers: the waybill is another order's.
            message = "the answer is for another of our orders"
            raise UnreadableReplyError(message, status=answer.reply.status)
        # Not one of ours: ClickPost's documents show such answers, with the number of an earlier
        # order of the merchant's.
        self._tell(Doubted(why="the answer has another reference number", **self._about))

    def _note(self, error: ClickPostError, passage: Passage) -> None:
        create = self._looks_for or self
        error.args = (masked(error.message, create.endpoint.takes, create.written()),)
        error.endpoint = self.endpoint.label
        error.reference_number = self._reference
        error.attempts = self._attempts
        if self._exchange.counts.closed:
            error.transient = False
        if error.outcome is Outcome.UNKNOWN:
            self._lost = error
        self._tell(
            Failed(attempt=self._attempts, error=error, seconds=self._seconds, **self._about)
        )
        if failure_of(error) in SICK:
            breaker = self._guard.breaker
            wait = breaker.wait
            passage.failed()
            if breaker.wait > wait:
                self._tell(Held(seconds=breaker.wait, **self._about))
        elif isinstance(error, ThrottledError) or not isinstance(error, NotSentError):
            passage.succeeded()

    async def _hold(self, error: ThrottledError) -> None:
        self._exchange.counts.throttled += 1
        seconds = _UNSAID_HOLD if error.wait is None else error.wait
        self._tell(Held(seconds=seconds, **self._about))
        await self._exchange.limiter.hold(seconds)

    # --- an order whose create got no answer ---------------------------------------------------

    async def _found_after(self, error: ClickPostError) -> R | None:
        """Look for the order, unless the error leaves no doubt about it."""
        find, policy = self.endpoint.found_by, self._options.retry
        if (
            find is None
            or self._reference is None
            or not policy.look_up
            or step_after(error, self.endpoint.repeat) is not Step.SETTLE
            or not self._guard.budget.withdraw(LOOK_UP_PRICE)
        ):
            return None
        return await self._looked_up(find, self._reference)

    async def _looked_up(self, find: Get[Answer], reference: str) -> R | None:
        options = attrs.evolve(self._options, retry=RetryPolicy.never())
        # As the create would have answered.
        endpoint: Any = attrs.evolve(find, returns=self.endpoint.returns)
        query = {"reference_number": reference}
        look_up: Call[R] = Call(self._exchange, options, endpoint, query, looks_for=self)
        self._exchange.counts.look_ups += 1
        try:
            found = await look_up.run()
        except ClickPostError:
            # Not found, or not to be found out now: whatever it is, the order stays unknown.
            return None
        if getattr(found, "reference_number", None) not in (None, reference):
            return None
        self._pending = found.pending
        reply = attrs.evolve(found.reply, attempts=self._attempts, looked_up=True)
        return attrs.evolve(found, reply=reply)

    # --- what is told ---------------------------------------------------------------------------

    @property
    def _about(self) -> dict[str, Any]:
        return {
            "call": self._number,
            "endpoint": self.endpoint.label,
            "reference_number": self._reference,
        }

    def _tell(self, event: Event) -> None:
        tell(self._exchange.observers, event)

    def _pausing(self, attempt: int, wait: float) -> None:
        self._exchange.counts.repeats += 1
        self._tell(Repeating(attempt=attempt, wait=wait, **self._about))

    def _tell_end(self) -> None:
        outcome: Outcome | None = None
        if self.error is not None:
            outcome = self.error.outcome
        elif self.answer is None:
            outcome = Outcome.UNKNOWN if self.may_have_left() else Outcome.NOT_SENT
        if outcome is Outcome.UNKNOWN or heard(self._exchange.observers):
            self._tell(
                Ended(
                    outcome=outcome,
                    attempts=self._attempts,
                    seconds=self._seconds,
                    reads=self.endpoint.repeat is Repeat.FREELY,
                    error=self.error,
                    **self._about,
                )
            )

    # --- how it ends ----------------------------------------------------------------------------

    def _final(self, error: ClickPostError) -> ClickPostError:
        """Return the error that tells the truth about the whole call, not its last attempt alone.

        A sending that got no answer stays unknown, and an order that was pending does too, whatever
        kept a later one from leaving or from being let in.
        """
        if error is not self._lost and (self._lost or self._pending):
            if isinstance(error, NotSentError):
                trouble = error.trouble
                error = self._lost or NoReplyError(
                    f"ClickPost was still working on the order, then: {error.message}",
                    endpoint=self.endpoint.label,
                    reference_number=self._reference,
                )
                error.trouble = error.trouble or trouble
                error.attempts = self._attempts
            elif error.status == _ORDER_EXISTS or (
                isinstance(error, CredentialsError) and error.key_refused
            ):
                error.outcome = Outcome.UNKNOWN
        if error.outcome is Outcome.UNKNOWN:
            error.settles_in = self._settles_in(error)
        return error

    def _settles_in(self, error: ClickPostError) -> float | None:
        match self.endpoint.repeat:
            case Repeat.FREELY:
                return error.wait or 0.0
            case Repeat.NEVER:
                return None
            case _:
                settling = self._options.retry.settling
                return None if self._holds_back else max(settling, error.wait or 0.0)

    def written(self) -> bytes | None:
        """Write what is sent, to be compared with another call's."""
        return self._written().body

    def may_have_left(self) -> bool:
        """Tell whether ClickPost may know of the call without our knowing what became of it."""
        under_way = self._progress is not None and self._progress.left
        return self._lost is not None or under_way or self._pending

    def too_late(self, deadline: float) -> ClickPostError:
        """Return the error for a deadline that passed, by how far the call had got."""
        kind = NoReplyError if self.may_have_left() else DeadlineError
        error = kind(
            f"the deadline of {deadline:g} s passed",
            endpoint=self.endpoint.label,
            reference_number=self._reference,
            transient=False,
        )
        error.attempts = max(self._attempts, 1)
        return self._final(error)
