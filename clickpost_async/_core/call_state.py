"""The state of a call: its request, its result, and whether its outcome is in doubt."""

import math
import time
from typing import Generic, TypeVar

from attrs import define, field

from clickpost_async._codec.converter import reference_number_of
from clickpost_async._codec.endpoint import Endpoint, Idempotency, Query
from clickpost_async._codec.messages import APIRequest, APIResponse, EncodedOrder
from clickpost_async._codec.redaction import redact
from clickpost_async._codec.request import encode
from clickpost_async._codec.response import decode
from clickpost_async._concurrency.circuit_breaker import Permit
from clickpost_async._concurrency.event_loops import Instant
from clickpost_async._concurrency.per_loop import loop_time
from clickpost_async._concurrency.priority_semaphore import Slot
from clickpost_async._concurrency.single_flight import Doubt, Key, contents_of, other_contents
from clickpost_async._core import outcome, reconcile
from clickpost_async._core.retry import Resend, RetryAction, action_after
from clickpost_async._core.runtime import CallOptions, ClientRuntime, Counters, ServerHealth
from clickpost_async._core.telemetry import CallTelemetry
from clickpost_async._core.throttle import WaitLimit
from clickpost_async._http.adapter import SendProgress
from clickpost_async.errors import (
    ClickPostError,
    DeadlineError,
    FailureKind,
    InvalidRequestError,
    NoReplyError,
    NotSentError,
    Outcome,
    UnreadableReplyError,
)
from clickpost_async.structures._base import ResponseModel

R = TypeVar("R", bound=ResponseModel)


# No weak references and no repr: thousands of these wait in a gather, and a body is personal data.
@define(eq=False, repr=False, weakref_slot=False)
class CallState(Generic[R]):
    """The state of one call.

    `look_up_for`: the create whose order this call looks up. `waited`: seconds waited between
    attempts, and for pauses that ClickPost has asked for. `unresolved`: the error of an attempt, or
    of an earlier create, that left the outcome unknown. `remembered`: the doubt that an earlier
    create of this process has left.
    """

    runtime: ClientRuntime
    options: CallOptions
    endpoint: Endpoint[R]
    _query: Query | None = None
    _body: object = None
    look_up_for: "CallState[R] | None" = field(default=None, kw_only=True)
    _ends_at: float = field(init=False, default=math.inf)
    _number: int = field(init=False)
    _began: float = field(init=False)
    # All below is set by `start`.
    # The circuit breaker and retry budget of the server that it calls.
    health: ServerHealth = field(init=False)
    telemetry: CallTelemetry = field(init=False)
    # Creates of one key are made one at a time; all other calls may be in flight together.
    key: Key | None = field(init=False)
    leader: "CallState[R] | None" = field(init=False)
    result: R | None = field(init=False)
    error: ClickPostError | None = field(init=False)
    unresolved: ClickPostError | None = field(init=False)
    remembered: Doubt | None = field(init=False)
    is_pending: bool = field(init=False)
    progress: SendProgress | None = field(init=False)
    last_sent: Instant | None = field(init=False)
    waited: float = field(init=False)
    _request: APIRequest | None = field(init=False)

    def enter(self) -> Slot:
        """Count the call, and return the slot that it needs for its first attempt.

        A gather of thousands does this for all of its calls in one iteration of the event loop;
        what can wait until the call has its slot is done by `start`.
        """
        runtime = self.runtime
        runtime.refuse_if_closed(self.endpoint.label)
        runtime.counts.started += 1
        self._number = runtime.counts.started
        self._began = time.perf_counter()
        semaphore = runtime.loop_states.get_or_create().semaphore
        # In a gather of thousands, a look-up would otherwise queue behind all others.
        return semaphore.slot(self.options.priority, is_returning=self.look_up_for is not None)

    @property
    def needs_slot_first(self) -> bool:
        """Whether an attempt is the first thing to be made, and may be."""
        is_open = self.runtime.health[self.endpoint.host].breaker.is_open
        return not (is_open or self.options.in_doubt or self.is_too_late)

    def start(self) -> None:
        """Set all that a call needs once it has its slot."""
        runtime, endpoint = self.runtime, self.endpoint
        self.health = runtime.health[endpoint.host]
        self.key = self.leader = self.result = self.error = self.unresolved = None
        self.remembered = self.progress = self.last_sent = self._request = None
        self.is_pending = False
        self.waited = 0.0
        reference: str | None = None
        if endpoint.idempotency is Idempotency.BY_REFERENCE:
            body = self._body
            order = body.order if isinstance(body, EncodedOrder) else body
            reference = reference_number_of(order) or None
        self.telemetry = CallTelemetry(
            runtime.observers,
            runtime.counts,
            endpoint.label,
            reference,
            number=self._number,
            began=self._began,
            warns=self.look_up_for is None,
        )
        if reference:
            self.key = (runtime.accounts[endpoint.host], endpoint.path, reference)
            if self.options.in_doubt:
                self.unresolved = self._unknown("the order may have been sent before")
        if self.is_too_late:
            self.error = self.too_late()

    # --- the request ------------------------------------------------------------------------------

    def request(self) -> APIRequest:
        """Return the request, which is encoded once, and not before it is needed."""
        # In this order: another thread's create may call this, to compare the requests.
        body, request = self._body, self._request
        if request is None:
            style = self.runtime.body_style
            try:
                request = encode(self.endpoint, self._query, body, style=style)
            except InvalidRequestError as error:
                # Error trackers export the variables of frames, and these hold the order.
                del body
                raise error.with_traceback(None) from None
            self._request = request
            self._body = None
            self.telemetry.reference_number = self.reference or request.reference_number
        return request

    @property
    def reference(self) -> str | None:
        """The order's reference number, as far as it is known before the request is encoded."""
        return self.telemetry.reference_number

    def contents(self) -> bytes | None:
        """Return a digest of the order's contents; `None` if it is invalid."""
        try:
            return contents_of(self.request().body or b"null")
        except InvalidRequestError:
            return None

    def refuse_unless_equal(self, contents: bytes, state: str) -> None:
        """End with an error unless the order has these contents; `state` describes the other."""
        try:
            # Raises what is wrong with this order itself, if it is invalid.
            self.request()
        except InvalidRequestError as error:
            self.error = error
            return
        if contents != self.contents():
            find = self.endpoint.found_by
            self.error = other_contents(state, self.reference, find.label if find else None)

    def __rich_repr__(self) -> tuple[str]:
        """Return what rich shows, which otherwise shows every field of an attrs class."""
        return (self.endpoint.label,)

    # --- the result -------------------------------------------------------------------------------

    @property
    def has_result(self) -> bool:
        """Whether the call has ended."""
        return self.result is not None or self.error is not None

    def has_result_for(self, counts: Counters) -> bool:
        """Return whether it has a result for an equal create of the client with those counters."""
        mine = self.runtime.counts
        return self.has_result and reconcile.is_shareable(
            self.error, same_client=mine is counts, is_closed=mine.closed
        )

    def may_have_been_sent(self) -> bool:
        """Return whether ClickPost may have processed an attempt whose outcome is unknown."""
        in_progress = self.progress is not None and self.progress.may_have_been_sent
        joined = self.leader is not None and self.leader.may_have_been_sent()
        return self.unresolved is not None or in_progress or self.is_pending or joined

    def doubt(self, sent: Instant | None = None) -> Doubt | None:
        """Return what is in doubt if it ends here; with `sent`, it may have been sent then."""
        if sent is None:
            if self.result is not None or (self.error and self.error.outcome is Outcome.REJECTED):
                # ClickPost recognises an order that it has recorded as pending (202, then 102).
                return None
            if self.remembered is not None and self.last_sent is None:
                return self.remembered
            if not self.may_have_been_sent():
                return None
        contents = self.contents()
        if contents is None:
            return None
        return Doubt(
            contents=contents,
            last_sent=sent or self.last_sent or Instant.now(),
            settle_delay=self.options.retry.settle_delay,
            resend_window=self.options.retry.resend_window,
        )

    def resume(self, doubt: Doubt) -> None:
        """Continue from what an earlier create of the same reference number has left in doubt."""
        self.remembered = doubt
        self.refuse_unless_equal(doubt.contents, "was sent, and has an unknown outcome,")
        if self.error is None:
            self.unresolved = self._unknown("an earlier create of the order has an unknown outcome")

    def _unknown(self, message: str) -> NoReplyError:
        return NoReplyError(message, endpoint=self.endpoint.label, reference_number=self.reference)

    # --- an attempt -------------------------------------------------------------------------------

    def slot(self) -> Slot:
        """Return a slot of the concurrency limit for another attempt."""
        semaphore = self.runtime.loop_states.get_or_create().semaphore
        # As for a look-up.
        return semaphore.slot(self.options.priority, is_returning=self.telemetry.attempts > 0)

    def may_send(self, permit: Permit) -> bool:
        """Return whether the circuit breaker is still closed to the call; raise if it is over."""
        self.runtime.refuse_if_closed(self.endpoint.label)
        if self.is_too_late:
            raise self.too_late()
        return permit.is_valid

    def start_attempt(self) -> SendProgress:
        """Count an attempt, and return what follows how far it gets."""
        self.telemetry.attempt_started()
        if self.telemetry.attempts == 1:
            # Now, not when the call was made: a gather makes thousands of calls at once.
            self.health.budget.deposit()
        self.progress = SendProgress()
        return self.progress

    def read(self, response: APIResponse) -> R:
        """Decode a response; raise its error, or one for a response that is inconsistent."""
        telemetry = self.telemetry
        try:
            result = decode(
                self.endpoint, response, attempts=telemetry.attempts, seconds=telemetry.seconds
            )
        except ClickPostError as error:
            # Error trackers export the variables of frames, and these hold the response.
            raise error.with_traceback(None) from None
        message: str | None = None
        if outcome.names_another_order(result, self.reference):
            message = "response belongs to a different order: it has another reference number"
            telemetry.response_rejected(message)
        elif result.incomplete:
            message = f"response reports success but contains no {result.essential}"
        if message is not None:
            raise UnreadableReplyError(message, status=result.response.status)
        return result

    def record_success(self, result: R) -> None:
        """Note the response of an attempt."""
        # Only an attempt that is cut short stays in doubt, or an order that is still pending.
        self.progress = None
        self.is_pending = result.pending
        if result.pending:
            self.last_sent = Instant.now()
        self.telemetry.attempt_succeeded(result.response)

    def record_failure(self, error: ClickPostError) -> None:
        """Complete the error of an attempt, and note whether it leaves the outcome unknown."""
        self.progress = None
        create = self.look_up_for or self
        error.args = (redact(error.message, create.endpoint.takes, create.request().body),)
        error.endpoint = self.endpoint.label
        error.reference_number = self.reference
        error.attempts = self.telemetry.attempts
        if self.runtime.counts.closed:
            error.transient = False
        if error.outcome is Outcome.UNKNOWN:
            self.unresolved = error
            self.last_sent = Instant.now()
        self.telemetry.attempt_failed(error)

    # --- limits, and how it ends ------------------------------------------------------------------

    @property
    def is_resend_forbidden(self) -> bool:
        """Whether an order in doubt is looked up only."""
        by_reference = self.endpoint.idempotency is Idempotency.BY_REFERENCE
        return by_reference and self.options.retry.resend is Resend.NEVER

    def next_action(self, error: ClickPostError) -> RetryAction:
        """Return what follows an error of an attempt."""
        if self.runtime.counts.closed:
            return RetryAction.RAISE
        return action_after(error.kind, self.endpoint.idempotency)

    @property
    def wait_limit(self) -> WaitLimit:
        """How long it may still wait for a pause that ClickPost asks for."""
        return WaitLimit(self.options.retry.max_total_delay - self.waited, self._ends_at)

    def end_within(self, seconds: float) -> None:
        """Send nothing once so many seconds have passed."""
        self._ends_at = loop_time() + seconds

    @property
    def is_too_late(self) -> bool:
        """Whether its deadline has passed."""
        # No timer fires if the event loop was blocked, or the deadline was over from the start.
        return self._ends_at != math.inf and loop_time() >= self._ends_at

    def too_late(self) -> ClickPostError:
        """Return the error for a deadline that has passed."""
        error = (NoReplyError if self.may_have_been_sent() else DeadlineError)(
            f"the deadline of {self.options.deadline or 0:g} s passed",
            endpoint=self.endpoint.label,
            reference_number=self.reference,
            transient=False,
            kind=FailureKind.DEADLINE,
            # The pause that it was waiting for, if there is one.
            retry_after=self.runtime.pause_left or None,
        )
        error.attempts = self.telemetry.attempts
        return self.final_error(error)

    def left_behind(self) -> ClickPostError:
        """Return the error for a create in flight whose event loop has been stopped."""
        error = (NoReplyError if self.may_have_been_sent() else NotSentError)(
            "the order is being created on an event loop that was stopped, and not closed",
            endpoint=self.endpoint.label,
            reference_number=self.reference,
        )
        error.attempts = self.telemetry.attempts
        return self.final_error(error)

    def final_error(self, last: ClickPostError) -> ClickPostError:
        """Return the error that is true of the whole call, not only of its last attempt."""
        error = outcome.final_error(
            last, self.unresolved, is_pending=self.is_pending, attempts=self.telemetry.attempts
        )
        if error.outcome is Outcome.UNKNOWN:
            error.settle_delay = outcome.safe_resend_delay(
                error,
                self.endpoint.idempotency,
                self.options.retry,
                self.runtime.pause_left,
            )
        return error

    def report_end(self) -> None:
        """Emit how the call ended."""
        known: Outcome | None = None
        if self.error is not None:
            known = self.error.outcome
        elif self.result is None:
            known = outcome.outcome_of(None, in_doubt=self.may_have_been_sent())
        is_read = self.endpoint.idempotency is Idempotency.SAFE
        self.telemetry.call_finished(known, self.error, is_read=is_read)
