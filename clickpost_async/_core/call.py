"""The life of a call: single flight( retry( circuit breaker( slot( encode, rate limit, send )))).

The first slot of the concurrency limit is taken before all else, so that a gather of thousands does
nothing more for all of its calls at once. The rate limiter is asked inside the slot, so that slow
responses do not let its permits pile up and leave as a burst. A call that backs off, or that waits
for the circuit breaker, holds neither.
"""

import copy
from typing import Any, TypeVar

import attrs

from clickpost_async._codec.endpoint import Get
from clickpost_async._concurrency.event_loops import Instant
from clickpost_async._concurrency.priority_semaphore import Slot
from clickpost_async._concurrency.retry_budget import LOOK_UP_PRICE
from clickpost_async._concurrency.single_flight import Key
from clickpost_async._core import reconcile
from clickpost_async._core.admission import acquire_permit, acquire_rate, feed_back
from clickpost_async._core.call_state import CallState
from clickpost_async._core.retry import Backoff, RetryAction, RetryPolicy
from clickpost_async.errors import (
    ClickPostError,
    CourierError,
    Outcome,
)
from clickpost_async.structures._base import ResponseModel

R = TypeVar("R", bound=ResponseModel)


class Call(CallState[R]):
    """One call, from its first attempt to its last."""

    __slots__ = ()

    async def run(self) -> R:
        """Make the call, or share the result of an equal create that is in flight."""
        # Calls wait for a slot in this coroutine, not in one more: a gather has thousands of them.
        key: Key | None = None
        slot = self.enter()
        try:
            try:
                if self.needs_slot_first:
                    await slot
            finally:
                self.start()
            key = self.key
            if key is not None and self.error is None:
                leader = self._begin(key)
                if leader is not None:
                    # That one may need it for its next attempt.
                    slot.release()
                    await self._join(key, leader)
            if self.result is None and self.error is None:
                try:
                    if self.unresolved is None:
                        self.result = await self._attempt(slot)
                except ClickPostError as error:
                    self.error = error
                finally:
                    slot.release()
                if self.result is None or self.is_pending:
                    await self._recover()
        finally:
            slot.release()
            if key is not None:
                self.runtime.single_flight.finish(key, self, self.doubt())
            self.report_end()
        if self.error is not None:
            raise self.error
        assert self.result is not None  # noqa: S101 - no error means a result
        return self.result

    def _begin(self, key: Key) -> CallState[R] | None:
        """Become the create in flight for a reference number, or return the one there is."""
        begun: Any = self.runtime.single_flight.begin(key, self)
        leader: CallState[R] | None = begun
        if leader is None:
            doubt = self.runtime.single_flight.doubt_about(key)
            if doubt is not None:
                self.resume(doubt)
        return leader

    async def _join(self, key: Key, leader: CallState[R] | None) -> None:
        """Wait for the create in flight, and share its result if that holds for this call too."""
        while leader is not None and not self.has_result:
            contents = leader.contents()
            if contents is not None:
                self.refuse_unless_equal(contents, "is being created")
                if self.error is not None:
                    return
            self.leader = leader
            if not await self.runtime.single_flight.wait(key, leader):
                self.error = self.left_behind()
            self.leader = None
            if self.error is not None:
                return
            if contents is not None and leader.has_result_for(self.runtime.counts):
                self.result = leader.result
                self.error = copy.copy(leader.error)
            else:
                leader = self._begin(key)

    # --- after a first attempt that failed or left the order pending ------------------------------

    async def _recover(self) -> None:
        """Look the order up, retry or poll, until the outcome is known or the policy gives up."""
        if self.error is None or self.next_action(self.error) is not RetryAction.RAISE:
            backoff = Backoff(
                self.options.retry,
                self.endpoint.idempotency,
                self.health.budget,
                next_action=self.next_action,
                waited=lambda: self.waited,
                on_retry=self._schedule_retry,
            )
            sleep = self.runtime.loop_states.get_or_create().sleep_until_closed
            try:
                self.result = await backoff.retrying(sleep)(self._attempt_or_look_up)
            except ClickPostError as error:
                self.error = error
        if self.error is not None:
            self.error = self.final_error(self.error)

    def _schedule_retry(self, seconds: float, error: ClickPostError | None) -> None:
        action = None if error is None else self.next_action(error)
        if error is not None:
            self.waited += seconds
        self.telemetry.retry_scheduled(seconds, reconcile.wait_reason(action))

    async def _attempt_or_look_up(self) -> R:
        error, result, self.error, self.result = self.error, self.result, None, None
        try:
            if error is not None:
                raise error  # of the first attempt
            if result is not None:
                return result
            if self.unresolved is not None:
                if self.is_resend_forbidden:
                    raise self.unresolved
                if not self.telemetry.attempts:
                    found = await self._look_up(self.unresolved)
                    if found is not None:
                        return found
                    await self._settle(self.unresolved)
            if self.is_pending and self.endpoint.polls_by_lookup:
                return await self._poll()
            slot = self.slot()
            try:
                return await self._attempt(slot)
            finally:
                slot.release()
        except ClickPostError as failure:
            found = await self._look_up(failure)
            if found is None:
                raise
            return found

    async def _look_up(self, error: ClickPostError) -> R | None:
        """Look the order up, unless the error leaves no doubt about its outcome."""
        look_up, policy = reconcile.look_up_endpoint(self.endpoint), self.options.retry
        is_due = reconcile.is_look_up_due(self.next_action(error), policy)
        if look_up is None or self.reference is None or not is_due:
            return None
        # The look-up of an order that an earlier call left in doubt is no retry.
        is_retry = self.telemetry.attempts > 0
        if is_retry and not self.health.budget.withdraw(LOOK_UP_PRICE):
            return None
        self.runtime.counts.reconciliations += 1
        try:
            found = await self._find(look_up)
        except ClickPostError:
            # Not found, or the look-up failed: either way the outcome stays unknown.
            return None
        return reconcile.as_created(found, self.telemetry.attempts)

    async def _poll(self) -> R:
        """Look a pending order up by its reference number instead of sending it again."""
        look_up = reconcile.look_up_endpoint(self.endpoint)
        assert look_up is not None  # noqa: S101 - an endpoint polls by what finds its orders
        try:
            return await self._find(look_up)
        except ClickPostError as error:
            if error.outcome is Outcome.REJECTED and not isinstance(error, CourierError):
                # That the look-up is rejected does not mean that the order is.
                error.outcome = Outcome.UNKNOWN
            raise

    async def _find(self, look_up: Get[R]) -> R:
        """Find the order by its reference number, and record whether it is pending."""
        options = attrs.evolve(self.options, retry=RetryPolicy.never())
        query = {"reference_number": self.reference}
        found = await Call(self.runtime, options, look_up, query, look_up_for=self).run()
        self.is_pending = found.pending
        return found

    async def _settle(self, unresolved: ClickPostError) -> None:
        """Wait until the settle delay of an earlier create of the order has passed."""
        wait = reconcile.settle_wait(self.remembered, self.options.retry)
        if wait > self.options.retry.max_total_delay:
            raise unresolved
        if wait:
            self.telemetry.retry_scheduled(wait, reconcile.SETTLING)
            await self.runtime.loop_states.get_or_create().sleep_until_closed(wait)

    # --- one attempt ------------------------------------------------------------------------------

    async def _attempt(self, slot: Slot) -> R:
        """Make one attempt in a slot, which is not held while the circuit breaker is waited for."""
        runtime, options = self.runtime, self.options
        loop_state = runtime.loop_states.get_or_create()
        while True:
            permit = self.health.breaker.try_acquire()
            if permit is None:
                slot.release()
                permit = await acquire_permit(self)
            with permit:
                await slot
                if not self.may_send(permit):
                    continue
                request = self.request()
                if runtime.pause_left or not runtime.try_take():
                    await acquire_rate(self)
                if not self.may_send(permit):
                    continue
                reference = self.reference
                if options.before_create and request.is_create and reference is not None:
                    await options.before_create(reference, self.telemetry.attempts + 1)
                progress = self.start_attempt()
                loop_state.attempt_started()
                try:
                    result = self.read(await runtime.sender.send(request, progress))
                except ClickPostError as error:
                    self.record_failure(error)
                    await feed_back(self, error, permit)
                    raise
                except BaseException:
                    if progress.may_have_been_sent:
                        self.last_sent = Instant.now()
                    raise
                finally:
                    loop_state.attempt_finished()
                permit.succeeded()
                self.record_success(result)
                return result
