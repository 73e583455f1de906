"""Admits attempts, and lets the failure of one slow down the attempts of other calls.

Before it: the circuit breaker and the rate limiter. After it failed: a broken server counts against
the circuit breaker, and a 429 pauses all calls.
"""

from functools import partial
from typing import Any

import anyio

from clickpost_async._concurrency.circuit_breaker import CircuitOpenError, Permit
from clickpost_async._core.call_state import CallState
from clickpost_async._core.retry import UNHEALTHY
from clickpost_async._core.telemetry import LONG_WAIT
from clickpost_async.errors import ClickPostError, FailureKind, NotSentError, ThrottledError

# How long all calls pause after a 429 without Retry-After, in seconds.
_DEFAULT_PAUSE = 1.0
# The first pause of the circuit breaker is as long as a wait may be without a warning.
_TICK = 0.5
_BREAKER_OPEN = "circuit breaker open: too many recent failures"
_RATE_LIMIT_PAUSE = "ClickPost has asked for a pause (HTTP 429)"


async def acquire_permit(call: CallState[Any]) -> Permit:
    """Wait until the circuit breaker lets a call pass; raise where its priority does not wait."""
    breaker, priority = call.health.breaker, call.options.priority
    try:
        with anyio.move_on_after(LONG_WAIT + _TICK):
            return await breaker.acquire(priority)
        call.telemetry.warn_of_wait(LONG_WAIT + _TICK + breaker.wait, _BREAKER_OPEN)
        return await breaker.acquire(priority)
    except CircuitOpenError as is_open:
        wait = is_open.wait
    raise NotSentError(
        f"{_BREAKER_OPEN}; next attempt in {wait:.1f} s",
        endpoint=call.endpoint.label,
        reference_number=call.reference,
        retry_after=wait,
        kind=FailureKind.CIRCUIT_OPEN,
    )


async def acquire_rate(call: CallState[Any]) -> None:
    """Wait for the rate limiter; raise where ClickPost has asked for too long a pause."""
    runtime, limit, left = call.runtime, call.wait_limit, call.runtime.pause_left
    if not left or limit.allows(left):
        call.telemetry.warn_of_wait(left, _RATE_LIMIT_PAUSE)
        warn = partial(call.telemetry.warn_of_wait, reason=_RATE_LIMIT_PAUSE)
        with runtime.throttle.waiting(limit, on_pause=warn) as scope:
            await runtime.limiter.acquire(call.options.priority)
        if not scope.cancelled_caught:
            call.waited += left
            return
        left = runtime.pause_left
    raise ThrottledError(
        f"{_RATE_LIMIT_PAUSE}: {left:.0f} s of it are left, longer than the call may wait",
        endpoint=call.endpoint.label,
        reference_number=call.reference,
        retry_after=left,
        kind=FailureKind.RATE_LIMIT_PAUSED,
    )


async def feed_back(call: CallState[Any], error: ClickPostError, permit: Permit) -> None:
    """Report a failed attempt to the circuit breaker, and pause all calls after a 429."""
    if error.kind in UNHEALTHY:
        wait = call.health.breaker.wait
        permit.failed()
        if call.health.breaker.wait > wait:
            call.telemetry.calls_paused(call.health.breaker.wait)
    elif isinstance(error, ThrottledError):
        permit.succeeded()
        await _pause_calls(call, error)
    elif not isinstance(error, NotSentError):
        permit.succeeded()


async def _pause_calls(call: CallState[Any], error: ThrottledError) -> None:
    """Pause all calls of a client for as long as a 429 asks."""
    runtime = call.runtime
    runtime.counts.rate_limited += 1
    seconds = _DEFAULT_PAUSE if error.retry_after is None else error.retry_after
    # Reported once, however many calls get a 429 together.
    fails_calls = seconds > call.options.retry.max_total_delay >= runtime.pause_left
    call.telemetry.calls_paused(seconds, fails_calls=fails_calls)
    if not call.wait_limit.allows(seconds):
        error.kind = FailureKind.RATE_LIMIT_PAUSED
    runtime.throttle.pause(seconds)
    await runtime.limiter.pause(seconds)
