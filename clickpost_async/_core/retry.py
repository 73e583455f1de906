"""When a call is retried: a table of what failed and what a second sending does, and the back-off.

The back-off is tenacity's: its retry, wait and stop conditions are made from the policy, anew for
each call, and only once a first attempt has failed or left an order pending.
"""

import enum
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from attrs import field, frozen

from clickpost_async._codec.endpoint import Idempotency
from clickpost_async._concurrency.retry_budget import THROTTLE_PRICE, RetryBudget
from clickpost_async._util.arguments import check_instance, check_number
from clickpost_async.errors import ClickPostError, FailureKind
from clickpost_async.structures._base import ResponseModel

if TYPE_CHECKING:
    from tenacity import AsyncRetrying, RetryCallState


class RetryAction(enum.Enum):
    """What follows a failure."""

    RAISE = "raise the error"
    BACK_OFF = "retry after a short back-off"
    ONCE = "retry once after a short back-off"
    SETTLE = "look the order up, and resend it after the settle delay"
    LOOK_UP = "look the order up once, and do not resend it"
    ON_REQUEST = "resend once after the settle delay, if the policy says so"


class RetryRow(NamedTuple):
    """The action after a failure for each idempotency, and what a retry costs of the budget."""

    safe: RetryAction
    idempotent: RetryAction
    by_reference: RetryAction
    unsafe: RetryAction
    price: float


_RAISE, _BACK_OFF, _ONCE, _SETTLE, _LOOK_UP, _ON_REQUEST = RetryAction

# fmt: off
_Kind, _Row, _CHEAP = FailureKind, RetryRow, THROTTLE_PRICE
RETRY_TABLE: Mapping[FailureKind, RetryRow] = {
    #                                 SAFE       IDEMPOTENT  BY_REFERENCE  UNSAFE     price
    _Kind.NOT_SENT:             _Row(_BACK_OFF, _BACK_OFF,  _BACK_OFF,    _BACK_OFF, 1),
    _Kind.LOCAL_RESOURCES:      _Row(_BACK_OFF, _BACK_OFF,  _BACK_OFF,    _BACK_OFF, 0),
    _Kind.KEY_UNAVAILABLE:      _Row(_BACK_OFF, _BACK_OFF,  _BACK_OFF,    _BACK_OFF, 1),
    _Kind.UNEXPECTED_NOT_SENT:  _Row(_ONCE,     _ONCE,      _ONCE,        _ONCE,     1),
    _Kind.THROTTLED:            _Row(_BACK_OFF, _BACK_OFF,  _BACK_OFF,    _BACK_OFF, _CHEAP),
    _Kind.COURIER_BUSY:         _Row(_BACK_OFF, _SETTLE,    _SETTLE,      _RAISE,    1),
    _Kind.SERVER_ERROR:         _Row(_BACK_OFF, _SETTLE,    _SETTLE,      _RAISE,    1),
    _Kind.NO_RESPONSE:          _Row(_BACK_OFF, _SETTLE,    _SETTLE,      _RAISE,    1),
    _Kind.UNREADABLE:           _Row(_ONCE,     _SETTLE,    _SETTLE,      _RAISE,    1),
    _Kind.UNEXPECTED:           _Row(_ONCE,     _RAISE,     _SETTLE,      _RAISE,    1),
    _Kind.NOT_CLICKPOST:        _Row(_RAISE,    _RAISE,     _LOOK_UP,     _RAISE,    0),
    _Kind.COURIER_UNRECOGNISED: _Row(_RAISE,    _RAISE,     _ON_REQUEST,  _RAISE,    1),
    # A retry of the same call would not help, or is not allowed.
    _Kind.UNKNOWN_STATUS:       _Row(_RAISE,    _RAISE,     _RAISE,       _RAISE,    0),
    _Kind.INVALID_REQUEST:      _Row(_RAISE,    _RAISE,     _RAISE,       _RAISE,    0),
    _Kind.CREDENTIALS:          _Row(_RAISE,    _RAISE,     _RAISE,       _RAISE,    0),
    _Kind.REJECTED:             _Row(_RAISE,    _RAISE,     _RAISE,       _RAISE,    0),
    _Kind.NOT_SENDABLE:         _Row(_RAISE,    _RAISE,     _RAISE,       _RAISE,    0),
    _Kind.CLIENT_CLOSED:        _Row(_RAISE,    _RAISE,     _RAISE,       _RAISE,    0),
    _Kind.CIRCUIT_OPEN:         _Row(_RAISE,    _RAISE,     _RAISE,       _RAISE,    0),
    _Kind.RATE_LIMIT_PAUSED:    _Row(_RAISE,    _RAISE,     _RAISE,       _RAISE,    0),
    _Kind.RETRY_BUDGET_SPENT:   _Row(_RAISE,    _RAISE,     _RAISE,       _RAISE,    0),
    _Kind.DEADLINE:             _Row(_RAISE,    _RAISE,     _RAISE,       _RAISE,    0),
}
# fmt: on

# Failures that the circuit breaker counts. A rejection is not one: the server is reachable.
UNHEALTHY = frozenset(
    {
        FailureKind.NOT_SENT,
        FailureKind.KEY_UNAVAILABLE,
        FailureKind.UNEXPECTED_NOT_SENT,
        FailureKind.SERVER_ERROR,
        FailureKind.NO_RESPONSE,
        FailureKind.UNREADABLE,
        FailureKind.UNEXPECTED,
    }
)


def action_after(kind: FailureKind, idempotency: Idempotency) -> RetryAction:
    """Return what follows a failure of that kind."""
    action: RetryAction = getattr(RETRY_TABLE[kind], idempotency.name.lower())
    return action


class Resend(enum.Enum):
    """What is done with an order whose create got no response, and which a look-up does not find.

    `AFTER_SETTLING`: the same order is sent again under its reference number, by which ClickPost
    recognises it. `NEVER`: it is looked up again and never sent again; it ends unknown, for a
    person to decide. Only that is free of second labels whatever ClickPost and its couriers do.
    """

    AFTER_SETTLING = "after settling"
    NEVER = "never"


def _seconds(default: float) -> float:
    value: float = field(
        default=default,
        validator=lambda _, attribute, value: check_number(
            attribute.name, value, unit="seconds", minimum=0
        ),
    )
    return value


def _switch(*, default: bool) -> bool:
    value: bool = field(
        default=default,
        validator=lambda _, attribute, value: check_instance(
            attribute.name, value, bool, "True or False"
        ),
    )
    return value


@frozen(kw_only=True)
class RetryPolicy:
    """How often a failed call is sent again, and how long it waits before; times are in seconds.

    Args:
        attempts: How many attempts may fail, the first one included; at least 1.
        max_total_delay: How many seconds a call may wait between its attempts, all waits together;
            waiting for the rate limit does not count.
        backoff: The longest first wait; it doubles with every attempt, and each wait is drawn at
            random below it.
        max_backoff: The limit of that doubling.
        settle_delay: How long a create without a response is left alone, at least, before the same
            order is sent again, and twice as long the next time: couriers are slow, and a resend
            that overtakes the first may buy a second label.
        poll_interval: How long to wait before a pending order is looked up, ever longer each time.
        poll_timeout: How long a pending order is looked up before it is returned as pending.
        reconcile: Whether a create without a response is looked up by its reference number.
        resend: What to do when that look-up does not find the order.
        resend_window: An order that an earlier bulk run left in doubt for longer is looked up and
            not sent again: for how long ClickPost recognises a reference number is not documented.
        retry_unrecognised: Whether an order is sent once more, after settling, when ClickPost did
            not recognise the response of its courier (354).

    Raises:
        TypeError: A value has the wrong type.
        ValueError: A number is too small, infinite or NaN.

    """

    attempts: int = field(
        default=4,
        validator=lambda _, attribute, value: check_number(
            attribute.name, value, unit="attempts", minimum=1, whole=True
        ),
    )
    max_total_delay: float = _seconds(600.0)
    backoff: float = _seconds(0.5)
    max_backoff: float = _seconds(20.0)
    settle_delay: float = _seconds(30.0)
    poll_interval: float = _seconds(30.0)
    poll_timeout: float = _seconds(600.0)
    reconcile: bool = _switch(default=True)
    resend: Resend = field(
        default=Resend.AFTER_SETTLING,
        validator=lambda _, attribute, value: check_instance(
            attribute.name, value, Resend, "Resend.AFTER_SETTLING or Resend.NEVER"
        ),
    )
    resend_window: float = _seconds(86_400.0)
    retry_unrecognised: bool = _switch(default=False)

    @classmethod
    def never(cls) -> "RetryPolicy":
        """Return a policy that sends every call once, and neither looks up nor polls."""
        return cls(attempts=1, poll_timeout=0.0, reconcile=False)


_MAX_SETTLE_DELAY = 600.0
_MAX_POLL_PAUSE = 300.0


def poll_pause(interval: float, polled: float) -> float:
    """Return the seconds before a pending order is polled again, after `polled` seconds of it."""
    return min(interval + polled / 2, _MAX_POLL_PAUSE)


class Backoff:
    """The retry, wait and stop conditions of one call that has failed or left an order pending.

    `next_action` says what follows an error; `waited` returns the seconds that the call has already
    waited between its attempts. `on_retry` is called before each pause, with its seconds and the
    error; the error is `None` where a pending order is polled.
    """

    def __init__(
        self,
        policy: RetryPolicy,
        idempotency: Idempotency,
        budget: RetryBudget,
        *,
        next_action: Callable[[ClickPostError], RetryAction],
        waited: Callable[[], float],
        on_retry: Callable[[float, ClickPostError | None], None],
    ) -> None:
        self._policy = policy
        self._budget = budget
        self._is_polled = idempotency is Idempotency.BY_REFERENCE
        self._next_action = next_action
        self._waited = waited
        self._on_retry = on_retry
        self._polled = 0.0

    def retrying(self, sleep: Callable[[float], Awaitable[None]]) -> "AsyncRetrying":
        """Return tenacity's retry loop with these conditions."""
        from tenacity import AsyncRetrying, retry_if_exception, retry_if_result

        return AsyncRetrying(
            retry=retry_if_exception(self._may_retry) | retry_if_result(self._may_poll),
            wait=self._wait,
            stop=self._stop,
            before_sleep=self._before_sleep,
            sleep=sleep,
            retry_error_callback=_result_of,
        )

    def _may_retry(self, error: BaseException) -> bool:
        if not isinstance(error, ClickPostError):
            return False
        action = self._next_action(error)
        if action is RetryAction.ON_REQUEST:
            return self._policy.retry_unrecognised
        return action not in (RetryAction.RAISE, RetryAction.LOOK_UP)

    def _may_poll(self, response: ResponseModel) -> bool:
        return self._is_polled and response.pending

    def _wait(self, state: "RetryCallState") -> float:
        error = _error_of(state)
        if error is None:
            spread = 0.8 + 0.4 * _jitter()
            return poll_pause(self._policy.poll_interval, self._polled) * spread
        if self._next_action(error) in (RetryAction.SETTLE, RetryAction.ON_REQUEST):
            pause = self._settle_pause(state)
        else:
            pause = self._backoff_pause(state, error)
        if error.retry_after is not None and error.kind is not FailureKind.THROTTLED:
            pause = max(pause, error.retry_after)
        return pause

    def _settle_pause(self, state: "RetryCallState") -> float:
        from tenacity import wait_exponential

        settle_delay = self._policy.settle_delay
        grown = wait_exponential(settle_delay, max(settle_delay, _MAX_SETTLE_DELAY))(state)
        return grown * (1 + _jitter())

    def _backoff_pause(self, state: "RetryCallState", error: ClickPostError) -> float:
        from tenacity import wait_random, wait_random_exponential

        backoff, max_backoff = self._policy.backoff, self._policy.max_backoff
        if error.kind is not FailureKind.THROTTLED:
            return wait_random_exponential(backoff, max_backoff)(state)
        if error.retry_after is None:
            return wait_random_exponential(2 * backoff, 2 * max_backoff)(state)
        # The limiter pauses all calls for as long as the server asked; this spreads their return.
        return wait_random(0, backoff)(state)

    def _stop(self, state: "RetryCallState") -> bool:
        from tenacity import stop_after_attempt

        policy, error = self._policy, _error_of(state)
        if error is None:
            return self._polled + state.upcoming_sleep > policy.poll_timeout
        is_once = self._next_action(error) in (RetryAction.ONCE, RetryAction.ON_REQUEST)
        attempts = min(policy.attempts, 2) if is_once else policy.attempts
        # After a 429 the limiter holds the next attempt for as long as the server asked.
        pause = max(state.upcoming_sleep, error.retry_after or 0.0)
        if stop_after_attempt(attempts)(state) or self._waited() + pause > policy.max_total_delay:
            return True
        if self._budget.withdraw(RETRY_TABLE[error.kind].price):
            return False
        error.kind = FailureKind.RETRY_BUDGET_SPENT
        return True

    def _before_sleep(self, state: "RetryCallState") -> None:
        error, pause = _error_of(state), state.upcoming_sleep
        if error is None:
            self._polled += pause
            # Polling a pending order uses up no attempt.
            state.attempt_number -= 1
        self._on_retry(pause, error)


def _jitter() -> float:
    import random  # slow to import, as tenacity

    return random.random()  # noqa: S311 - no secret


def _error_of(state: "RetryCallState") -> ClickPostError | None:
    error = state.outcome and state.outcome.exception()
    return error if isinstance(error, ClickPostError) else None


def _result_of(state: "RetryCallState") -> object:
    """Return what the last attempt returned, or raise what it raised."""
    return state.outcome and state.outcome.result()
