"""The order of things in one call: repeat( breaker( gate( encode, take a turn, send, decode )).

The gate comes before encoding, so that a gather of thousands does not encode them all in one turn
of the loop. The turn is taken inside the gate, so that slow answers do not let turns pile up and
leave as a burst. A call that pauses before it is repeated, or that waits for a sick server, holds
neither.
"""

import copy
import math
import time
from typing import Any, Generic, TypeVar

import attrs

from clickpost_async._codec.converter import reference_number_of
from clickpost_async._codec.endpoint import Endpoint, Get, Idempotency, Query
from clickpost_async._codec.messages import APIRequest
from clickpost_async._codec.redaction import redact
from clickpost_async._codec.request import encode
from clickpost_async._codec.response import decode
from clickpost_async._concurrency.circuit_breaker import CircuitOpenError, Permit
from clickpost_async._concurrency.event_loops import Instant
from clickpost_async._concurrency.per_loop import loop_time
from clickpost_async._concurrency.retry_budget import LOOK_UP_PRICE
from clickpost_async._concurrency.single_flight import Doubt, Key, contents_of, other_contents
from clickpost_async._core.plausibility import names_another_order
from clickpost_async._core.retry import (
    UNHEALTHY,
    Resend,
    RetryAction,
    RetryPolicy,
    RetryState,
    action_after,
    retry_case_of,
)
from clickpost_async._core.runtime import CallOptions, ClientRuntime, Counters
from clickpost_async._core.throttle import WaitLimit
from clickpost_async._http.adapter import SendProgress
from clickpost_async.errors import (
    ClickPostError,
    CourierError,
    CredentialsError,
    DeadlineError,
    FailureKind,
    InvalidRequestError,
    NoReplyError,
    NotSentError,
    Outcome,
    ThrottledError,
    UnreadableReplyError,
)
from clickpost_async.events import (
    AttemptFailed,
    AttemptStarted,
    AttemptSucceeded,
    CallFinished,
    Event,
    RateLimitPaused,
    RetryScheduled,
    SuspiciousResponse,
    emit,
    has_listeners,
)
from clickpost_async.settings import Priority
from clickpost_async.structures._base import ResponseModel

R = TypeVar("R", bound=ResponseModel)

# ClickPost has an order for this waybill (its code table), which a sending that was lost may have
# placed.
_ORDER_EXISTS = 303
# How long everybody waits after a 429 that does not say how long.
_DEFAULT_PAUSE = 1.0


class Call(Generic[R]):
    """One call, from its first attempt to its last."""

    __slots__ = (
        "_attempts",
        "_began",
        "_body",
        "_course",
        "_deadline",
        "_ends_at",
        "_exchange",
        "_guard",
        "_held",
        "_here",
        "_key",
        "_last_sent",
        "_leader",
        "_looks_for",
        "_lost",
        "_number",
        "_options",
        "_pending",
        "_progress",
        "_query",
        "_remembered",
        "_request",
        "answer",
        "endpoint",
        "error",
    )

    def __init__(
        self,
        exchange: ClientRuntime,
        options: CallOptions,
        endpoint: Endpoint[R],
        query: Query | None = None,
        body: object = None,
        *,
        looks_for: "Call[R] | None" = None,
    ) -> None:
        self._looks_for = looks_for
        self._exchange = exchange
        self._guard = exchange.health[endpoint.host]
        self._here = exchange.loop_states.get_or_create()
        self._options = options
        self.endpoint = endpoint
        self._query = query
        self._body = body
        self._request: APIRequest | None = None
        self._progress: SendProgress | None = None
        self._number = 0
        self._attempts = 0
        self._lost: ClickPostError | None = None
        self._pending = False
        self._deadline = self._ends_at = math.inf
        self._course: RetryState | None = None
        self._held = 0.0
        self._began = time.perf_counter()
        # Creates of one key are made one at a time; all other calls may be under way together.
        self._key: Key | None = None
        self._leader: Call[R] | None = None
        self._remembered: Doubt | None = None
        self._last_sent: Instant | None = None
        if endpoint.idempotency is Idempotency.BY_REFERENCE and (
            reference := reference_number_of(body)
        ):
            self._key = (exchange.accounts[endpoint.host], endpoint.path, reference)
            if options.in_doubt:
                self._lost = self._unknown("it is not known whether the order was sent before")
        self.answer: R | None = None
        self.error: ClickPostError | None = None

    @property
    def _reference(self) -> str | None:
        if self._key is not None:
            return self._key[2]
        return None if self._request is None else self._request.reference_number

    @property
    def _seconds(self) -> float:
        return time.perf_counter() - self._began

    async def run(self) -> R:
        """Make the call, or share the answer of the same create that is under way."""
        # In one coroutine, not in one for each step: a gather has thousands of them wait.
        exchange, key, single_flight = self._exchange, self._key, self._exchange.single_flight
        exchange.refuse_if_closed(self.endpoint.label)
        exchange.counts.started += 1
        self._number = exchange.counts.started
        leads = False
        try:
            if self._is_too_late:
                self.error = self.too_late()
            while key is not None and not (leads or self._check_finished):
                leader: Any = single_flight.begin(key, self)
                leads = leader is None
                try:
                    if leads:
                        self._begin_or_join(single_flight.doubt_about(key))
                    else:
                        await self._join(key, leader)
                except InvalidRequestError as refused:
                    self.error = refused
            if not self._check_finished:
                try:
                    self.answer = await self._attempt()
                except ClickPostError as failed:
                    self.error = failed
                if self.error is not None or self._pending:
                    await self._retry()
        finally:
            if leads and key is not None:
                single_flight.finish(key, self, self.doubt())
            self._emit_finished()
        if self.error is not None:
            raise self.error
        assert self.answer is not None  # noqa: S101 - no error means an answer
        return self.answer

    @property
    def _check_finished(self) -> bool:
        return self.answer is not None or self.error is not None

    # --- one create at a time -------------------------------------------------------------------

    async def _join(self, key: Key, leader: "Call[R]") -> None:
        """Wait for the create under way, and share its result if it has one for this call too."""
        contents = leader.contents()
        if contents is not None:
            self._refuse_unless_equal(contents, "is being created")
        self._leader = leader
        await self._exchange.single_flight.wait(key, leader)
        self._leader = None
        if contents is not None and leader.has_result_for(self._exchange.counts):
            self.answer = leader.answer
            self.error = copy.copy(leader.error)

    def has_result_for(self, counts: Counters) -> bool:
        """Tell whether its result is that of an equal create of the client with those counts.

        One that was given up, or ran out of its own time, has none. What kept another client from
        sending, or was cut off when that was closed, need not keep this one.
        """
        if self.error is None:
            return self.answer is not None
        if self.error.kind in (FailureKind.DEADLINE, FailureKind.RATE_LIMIT_PAUSED):
            return False
        mine = self._exchange.counts
        return mine is counts or not (mine.closed or self.error.outcome is Outcome.NOT_SENT)

    def _begin_or_join(self, doubt: Doubt | None) -> None:
        """Go on from what an earlier create of the same reference number has left in doubt."""
        if doubt is not None:
            self._remembered = doubt
            self._refuse_unless_equal(doubt.contents, "was sent, and has an unknown outcome,")
            self._lost = self._unknown("an earlier create of the order has an unknown outcome")

    def _refuse_unless_equal(self, contents: bytes, state: str) -> None:
        # Raises what is wrong with this order itself, if it is invalid.
        self._mark_sent()
        if contents != self.contents():
            find = self.endpoint.found_by
            raise other_contents(state, self._reference, find.label if find else None)

    def _unknown(self, message: str) -> NoReplyError:
        return NoReplyError(message, endpoint=self.endpoint.label, reference_number=self._reference)

    def contents(self) -> bytes | None:
        """Return what tells orders under one reference number apart; `None` if it is invalid."""
        try:
            return contents_of(self._mark_sent().body or b"null")
        except InvalidRequestError:
            return None

    def doubt(self, sent: Instant | None = None) -> Doubt | None:
        """Return what is in doubt if it ends here; with `sent`, it may have been sent then."""
        if sent is None:
            if self._is_resolved:
                return None
            if self._remembered is not None and self._last_sent is None:
                return self._remembered
            if not self.may_have_been_sent():
                return None
        contents = self.contents()
        if contents is None:
            return None
        return Doubt(
            contents=contents,
            last_sent=sent or self._last_sent or Instant.now(),
            settle_delay=self._options.retry.settle_delay,
            resend_window=self._options.retry.resend_window,
        )

    @property
    def _is_resolved(self) -> bool:
        """Whether ClickPost has recorded the order, or it is known that there is none.

        One that is recorded and still pending is recognised when it is sent again (202, then 102).
        """
        if self.answer is not None:
            return True
        return self.error is not None and self.error.outcome is Outcome.REJECTED

    async def _retry(self) -> None:
        """Repeat what failed or is pending as long as that makes sense, and say how it ended."""
        self._course = course = RetryState(
            self._options.retry,
            self.endpoint.idempotency,
            self._guard.budget,
            self._here.sleep_until_closed,
            self._announce_pause,
            paused=self._held,
        )
        if course.should_retry(self.error, self.answer):
            first, self.error, self.answer = (self.error, self.answer), None, None
            try:
                self.answer = await course.run(self._attempt, *first)
            except ClickPostError as failed:
                self.error = failed
        if self.error is not None:
            self.error = self._is_final(self.error)

    # --- one attempt --------------------------------------------------------------------------

    async def _attempt(self) -> R:
        find = self.endpoint.found_by
        if self._pending and find is not None and self.endpoint.polls_by_lookup:
            return await self._poll(find)
        try:
            if self._lost is not None and self._resend_is_forbidden:
                raise self._lost
            if self._lost is not None and not self._attempts:
                # Sent before, perhaps, by an earlier create: this one has not tried anything yet.
                found = await self._result_of_lookup(self._lost)
                if found is not None:
                    return found
                await self._settle(self._lost)
            return await self._send_once()
        except ClickPostError as error:
            found = await self._result_of_lookup(error)
            if found is None:
                raise
            return found

    async def _settle(self, lost: ClickPostError) -> None:
        """Leave what an earlier create may have sent alone until its settle delay has passed."""
        policy = self._options.retry
        wait = (
            0.0
            if self._remembered is None
            else self._remembered.left_to_settle(policy.settle_delay)
        )
        if wait > policy.max_total_delay:
            raise lost
        if wait:
            self._announce_pause(self._attempts, wait)
            await self._here.sleep_until_closed(wait)

    @property
    def _resend_is_forbidden(self) -> bool:
        by_reference = self.endpoint.idempotency is Idempotency.BY_REFERENCE
        return by_reference and self._options.retry.resend is Resend.NEVER

    async def _send_once(self) -> R:
        exchange, breaker = self._exchange, self._guard.breaker
        priority = self._options.priority
        while True:
            with breaker.try_acquire() or await self._acquire_breaker() as passage:
                async with self._here.semaphore.slot(priority, again=self._has_waited):
                    exchange.refuse_if_closed(self.endpoint.label)
                    # Most calls may have begun to fail while this one waited.
                    if not passage.is_valid:
                        continue
                    request = self._mark_sent()
                    await self._acquire_rate(priority)
                    exchange.refuse_if_closed(self.endpoint.label)
                    if self._is_too_late:
                        raise self.too_late()
                    if passage.is_valid:
                        await self._announce(request)
                        return await self._send(request, passage)

    async def _acquire_rate(self, priority: Priority) -> None:
        """Wait for the limiter, unless ClickPost has asked for a longer pause than may be waited.

        Raises ThrottledError, which says how long the pause is.
        """
        exchange = self._exchange
        left = exchange.pause_left
        if not left and exchange.try_take():
            return
        limit = self._limit
        if not left or limit.allows(left):
            with exchange.throttle.waiting(limit) as scope:
                await exchange.limiter.acquire(priority)
            if not scope.cancelled_caught:
                self._record_rate_pause(left)
                return
            left = exchange.pause_left
        error = ThrottledError(
            f"ClickPost has asked for a pause (HTTP 429): {left:.0f} s of it are left,"
            " which is longer than the call may wait",
            endpoint=self.endpoint.label,
            reference_number=self._reference,
            retry_after=left,
        )
        error.kind = FailureKind.RATE_LIMIT_PAUSED
        raise error

    @property
    def _limit(self) -> WaitLimit:
        paused = self._held if self._course is None else self._course.paused
        return WaitLimit(self._options.retry.max_total_delay - paused, self._ends_at)

    def _record_rate_pause(self, seconds: float) -> None:
        if self._course is None:
            self._held += seconds
        else:
            self._course.paused += seconds

    @property
    def _has_waited(self) -> bool:
        # In a gather of thousands, what was lost would otherwise be looked for after all others.
        return self._attempts > 0 or self._looks_for is not None

    async def _announce(self, request: APIRequest) -> None:
        announce = self._options.before_create
        reference = request.reference_number
        if announce is None or reference is None:
            return
        if self.endpoint.idempotency is Idempotency.BY_REFERENCE:
            await announce(reference, self._attempts + 1)

    async def _acquire_breaker(self) -> Permit:
        try:
            return await self._guard.breaker.acquire(self._options.priority)
        except CircuitOpenError as shut:
            wait = shut.wait
        error = NotSentError(
            f"most calls have failed lately; the next one is tried in {wait:.1f} s",
            endpoint=self.endpoint.label,
            reference_number=self._reference,
            retry_after=wait,
        )
        error.kind = FailureKind.CIRCUIT_OPEN
        raise error

    def _mark_sent(self) -> APIRequest:
        """Return what is sent; it is written once, and not before it is needed."""
        # In this order: another thread's create may ask for it, to compare it with its own.
        body, request = self._body, self._request
        if request is None:
            style = self._exchange.body_style
            try:
                request = self._request = encode(self.endpoint, self._query, body, style=style)
            except InvalidRequestError as error:
                # Error trackers export the variables of frames, and these have seen the order.
                del body
                raise error.with_traceback(None) from None
            self._body = None
        return request

    async def _send(self, request: APIRequest, passage: Permit) -> R:
        exchange, endpoint = self._exchange, self.endpoint
        self._attempts += 1
        exchange.counts.attempts += 1
        if self._attempts == 1:
            # Now, not when it was made: a gather makes thousands at once, and no budget holds that.
            self._guard.budget.deposit()
        listening = has_listeners(exchange.observers)
        if listening:
            self._emit(AttemptStarted(attempt=self._attempts, **self._about))
        self._progress = progress = SendProgress()
        self._here.attempt_started()
        try:
            response = await exchange.sender.send(request, progress)
            answer = decode(endpoint, response, attempts=self._attempts, seconds=self._seconds)
            self._reject_implausible(answer)
        except ClickPostError as error:
            self._annotate(error, passage)
            if isinstance(error, ThrottledError):
                await self._pause_limiter(error)
            self._progress = None
            raise
        except BaseException:
            if progress.may_have_been_sent:
                self._last_sent = Instant.now()
            raise
        finally:
            self._here.attempt_finished()
        passage.succeeded()
        # Told and settled; only an attempt that is cut short stays open, or an order that is.
        self._progress = None
        self._pending = answer.pending
        if answer.pending:
            self._last_sent = Instant.now()
        if listening:
            reply = answer.response
            self._emit(
                AttemptSucceeded(
                    attempt=self._attempts,
                    status=reply.status,
                    http_status=reply.http_status,
                    seconds=reply.seconds,
                    **self._about,
                )
            )
        return answer

    def _reject_implausible(self, answer: R) -> None:
        message: str | None = None
        if names_another_order(answer, self._reference):
            # Whosever it is: the order is looked up before anything is believed.
            message = "the response has another reference number"
            self._emit(SuspiciousResponse(reason=message, **self._about))
        elif answer.incomplete:
            message = "placed, says the answer, and gives no waybill"
        if message is not None:
            raise UnreadableReplyError(message, status=answer.response.status)

    def _annotate(self, error: ClickPostError, passage: Permit) -> None:
        create = self._looks_for or self
        error.args = (redact(error.message, create.endpoint.takes, create.written()),)
        error.endpoint = self.endpoint.label
        error.reference_number = self._reference
        error.attempts = self._attempts
        if self._exchange.counts.closed:
            error.transient = False
        if error.outcome is Outcome.UNKNOWN:
            self._lost = error
            self._last_sent = Instant.now()
        self._emit(
            AttemptFailed(attempt=self._attempts, error=error, seconds=self._seconds, **self._about)
        )
        if retry_case_of(error) in UNHEALTHY:
            breaker = self._guard.breaker
            wait = breaker.wait
            passage.failed()
            if breaker.wait > wait:
                self._emit(RateLimitPaused(seconds=breaker.wait, **self._about))
        elif isinstance(error, ThrottledError) or not isinstance(error, NotSentError):
            passage.succeeded()

    async def _pause_limiter(self, error: ThrottledError) -> None:
        exchange, patience = self._exchange, self._options.retry.max_total_delay
        exchange.counts.rate_limited += 1
        seconds = _DEFAULT_PAUSE if error.retry_after is None else error.retry_after
        # Said once, however many calls are turned away together.
        fails_calls = seconds > patience >= exchange.pause_left
        self._emit(RateLimitPaused(seconds=seconds, fails_calls=fails_calls, **self._about))
        if not self._limit.allows(seconds):
            error.kind = FailureKind.RATE_LIMIT_PAUSED
        exchange.throttle.pause(seconds)
        await exchange.limiter.pause(seconds)

    # --- an order whose create got no answer ---------------------------------------------------

    async def _result_of_lookup(self, error: ClickPostError) -> R | None:
        """Look for the order, unless the error leaves no doubt about it."""
        find, policy = self.endpoint.found_by, self._options.retry
        if (
            find is None
            or self._reference is None
            or not policy.reconcile
            or action_after(error, self.endpoint.idempotency)
            not in (RetryAction.SETTLE, RetryAction.LOOK_UP)
            or not self._guard.budget.withdraw(LOOK_UP_PRICE)
        ):
            return None
        return await self._look_up(find)

    async def _poll(self, find: Get[ResponseModel]) -> R:
        """Look a pending order up by its reference number instead of sending it again."""
        try:
            found = await self._make_lookup(find).run()
        except ClickPostError as error:
            if error.outcome is Outcome.REJECTED and not isinstance(error, CourierError):
                # That the look-up is rejected does not mean that the order is.
                error.outcome = Outcome.UNKNOWN
            raise
        self._pending = found.pending
        return found

    def _make_lookup(self, find: Get[ResponseModel]) -> "Call[R]":
        options = attrs.evolve(self._options, retry=RetryPolicy.never())
        # As the create would have answered.
        endpoint: Any = attrs.evolve(find, returns=self.endpoint.returns)
        query = {"reference_number": self._reference}
        return Call(self._exchange, options, endpoint, query, looks_for=self)

    async def _look_up(self, find: Get[ResponseModel]) -> R | None:
        self._exchange.counts.reconciliations += 1
        try:
            found = await self._make_lookup(find).run()
        except ClickPostError:
            # Not found, or not to be found out now: whatever it is, the order stays unknown.
            return None
        self._pending = found.pending
        reply = attrs.evolve(found.response, attempts=self._attempts, reconciled=True)
        return attrs.evolve(found, response=reply)

    # --- what is told ---------------------------------------------------------------------------

    @property
    def _about(self) -> dict[str, Any]:
        return {
            "call": self._number,
            "endpoint": self.endpoint.label,
            "reference_number": self._reference,
        }

    def _emit(self, event: Event) -> None:
        emit(self._exchange.observers, event)

    def _announce_pause(self, attempt: int, wait: float) -> None:
        self._exchange.counts.retries += 1
        self._emit(RetryScheduled(attempt=attempt, wait=wait, **self._about))

    def _emit_finished(self) -> None:
        outcome: Outcome | None = None
        if self.error is not None:
            outcome = self.error.outcome
        elif self.answer is None:
            outcome = Outcome.UNKNOWN if self.may_have_been_sent() else Outcome.NOT_SENT
        if outcome is Outcome.UNKNOWN or has_listeners(self._exchange.observers):
            self._emit(
                CallFinished(
                    outcome=outcome,
                    attempts=self._attempts,
                    seconds=self._seconds,
                    is_read=self.endpoint.idempotency is Idempotency.SAFE,
                    error=self.error,
                    **self._about,
                )
            )

    # --- how it ends ----------------------------------------------------------------------------

    def _is_final(self, error: ClickPostError) -> ClickPostError:
        """Return the error that tells the truth about the whole call, not its last attempt alone.

        A sending that got no answer stays unknown, and an order that was pending does too, whatever
        kept a later one from leaving or from being let in.
        """
        if error is not self._lost and (self._lost or self._pending):
            if isinstance(error, NotSentError):
                trouble = error.kind
                error = self._lost or self._unknown(
                    f"ClickPost was still working on the order, then: {error.message}"
                )
                error.kind = error.kind or trouble
                error.attempts = self._attempts
            elif error.status == _ORDER_EXISTS or (
                isinstance(error, CredentialsError) and error.key_refused
            ):
                error.outcome = Outcome.UNKNOWN
        if error.outcome is Outcome.UNKNOWN:
            error.settle_delay = self._settle_delay_of(error)
        return error

    def _settle_delay_of(self, error: ClickPostError) -> float | None:
        match self.endpoint.idempotency:
            case Idempotency.SAFE:
                return error.retry_after or 0.0
            case Idempotency.UNSAFE:
                return None
            case _:
                settling = self._options.retry.settle_delay
                held = self._exchange.pause_left
                return (
                    None
                    if self._resend_is_forbidden
                    else max(settling, error.retry_after or 0.0, held)
                )

    def written(self) -> bytes | None:
        """Return the body that is sent."""
        return self._mark_sent().body

    def may_have_been_sent(self) -> bool:
        """Tell whether ClickPost may know of the call without our knowing what became of it."""
        under_way = self._progress is not None and self._progress.may_have_been_sent
        joined = self._leader is not None and self._leader.may_have_been_sent()
        return self._lost is not None or under_way or self._pending or joined

    def end_within(self, seconds: float) -> None:
        """Send nothing any more once so many seconds have passed."""
        self._deadline = seconds
        self._ends_at = loop_time() + seconds

    @property
    def _is_too_late(self) -> bool:
        # No timer tells it where the event loop was blocked, or nothing was left from the start.
        return loop_time() >= self._ends_at

    def too_late(self) -> ClickPostError:
        """Return the error for a deadline that passed, by how far the call had got."""
        kind = NoReplyError if self.may_have_been_sent() else DeadlineError
        error = kind(
            f"the deadline of {self._deadline:g} s passed",
            endpoint=self.endpoint.label,
            reference_number=self._reference,
            transient=False,
            # What it waited for when the time was over, if that can be told.
            retry_after=self._exchange.pause_left or None,
        )
        error.kind = FailureKind.DEADLINE
        error.attempts = max(self._attempts, 1)
        return self._is_final(error)
