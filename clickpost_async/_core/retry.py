"""When a call is sent again: a table of what failed against what a second sending does.

The pauses are tenacity's business; a fresh object is made for every call, and only once a first
attempt has failed.
"""

import enum
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from attrs import field, frozen

from clickpost_async._codec.endpoint import Idempotency
from clickpost_async._concurrency.retry_budget import THROTTLE_PRICE, RetryBudget
from clickpost_async._util.arguments import check_instance, check_number
from clickpost_async.errors import (
    BusyCourierError,
    ClickPostError,
    CourierError,
    FailureKind,
    NoReplyError,
    NotSentError,
    Outcome,
    ServerError,
    ThrottledError,
    UnreadableReplyError,
)
from clickpost_async.structures._base import ResponseModel

if TYPE_CHECKING:
    from tenacity import RetryCallState

R = TypeVar("R", bound=ResponseModel)


class RetryCase(enum.Enum):
    """What a failed attempt tells about the call."""

    UNSENT = "no connection, or it was turned away before it was read"
    LOCAL_RESOURCES = "no room on this machine: nothing left"
    UNEXPECTED_UNSENT = "something unforeseen failed before anything left"
    THROTTLED = "turned away with 429"
    BUSY = "the courier was down or too slow"
    SERVER = "ClickPost, or something before it, failed inside"
    NO_RESPONSE = "it left, and no answer came"
    UNREADABLE = "it left, and what came is no answer"
    UNEXPECTED = "it left, and then something unforeseen failed"
    NOT_CLICKPOST = "something other than ClickPost answered"
    UNRECOGNISED = "the courier said what ClickPost does not understand"
    FINAL = "ClickPost has decided, or nothing will help"


class RetryAction(enum.Enum):
    """What is done about it."""

    RAISE = "raise"
    BACK_OFF = "repeat after a short, growing pause"
    ONCE = "repeat once, after a short pause"
    SETTLE = "look it up, and repeat it once the first sending has been worked off"
    LOOK_UP = "look it up once, and do not repeat it"
    ON_REQUEST = "settle once, if the policy says so"


class RetryRow(NamedTuple):
    """What follows a failure, by what a second sending does; and what a repeat costs."""

    safe: RetryAction
    idempotent: RetryAction
    by_reference: RetryAction
    unsafe: RetryAction
    price: float


_RAISE, _BACK_OFF, _ONCE, _SETTLE, _LOOK_UP, _ON_REQUEST = RetryAction

# fmt: off
_Case, _Row = RetryCase, RetryRow
RETRY_TABLE: Mapping[RetryCase, RetryRow] = {
    #                              SAFE       IDEMPOTENT  BY_REFERENCE  UNSAFE     price
    _Case.UNSENT:            _Row(_BACK_OFF, _BACK_OFF,  _BACK_OFF,    _BACK_OFF, 1),
    _Case.LOCAL_RESOURCES:   _Row(_BACK_OFF, _BACK_OFF,  _BACK_OFF,    _BACK_OFF, 0),
    _Case.UNEXPECTED_UNSENT: _Row(_ONCE,     _ONCE,      _ONCE,        _ONCE,     1),
    _Case.THROTTLED:         _Row(_BACK_OFF, _BACK_OFF,  _BACK_OFF,    _BACK_OFF, THROTTLE_PRICE),
    _Case.BUSY:              _Row(_BACK_OFF, _SETTLE,    _SETTLE,      _RAISE,    1),
    _Case.SERVER:            _Row(_BACK_OFF, _SETTLE,    _SETTLE,      _RAISE,    1),
    _Case.NO_RESPONSE:       _Row(_BACK_OFF, _SETTLE,    _SETTLE,      _RAISE,    1),
    _Case.UNREADABLE:        _Row(_ONCE,     _SETTLE,    _SETTLE,      _RAISE,    1),
    _Case.UNEXPECTED:        _Row(_ONCE,     _RAISE,     _SETTLE,      _RAISE,    1),
    _Case.NOT_CLICKPOST:     _Row(_RAISE,    _RAISE,     _LOOK_UP,     _RAISE,    0),
    _Case.UNRECOGNISED:      _Row(_RAISE,    _RAISE,     _ON_REQUEST,  _RAISE,    1),
    _Case.FINAL:             _Row(_RAISE,    _RAISE,     _RAISE,       _RAISE,    0),
}
# fmt: on


# What says that the server is not well; all other answers are answers, refusals among them.
UNHEALTHY = frozenset(
    {
        RetryCase.UNSENT,
        RetryCase.UNEXPECTED_UNSENT,
        RetryCase.SERVER,
        RetryCase.NO_RESPONSE,
        RetryCase.UNREADABLE,
        RetryCase.UNEXPECTED,
    }
)


_BY_CLASS: Mapping[type[ClickPostError], RetryCase] = {
    ThrottledError: RetryCase.THROTTLED,
    NotSentError: RetryCase.UNSENT,
    NoReplyError: RetryCase.NO_RESPONSE,
    UnreadableReplyError: RetryCase.UNREADABLE,
    BusyCourierError: RetryCase.BUSY,
    ServerError: RetryCase.SERVER,
}
_BY_TROUBLE: Mapping[tuple[RetryCase, FailureKind | None], RetryCase] = {
    (RetryCase.UNSENT, FailureKind.LOCAL_RESOURCES): RetryCase.LOCAL_RESOURCES,
    (RetryCase.UNSENT, FailureKind.UNEXPECTED): RetryCase.UNEXPECTED_UNSENT,
    (RetryCase.UNSENT, FailureKind.CIRCUIT_OPEN): RetryCase.FINAL,
    (RetryCase.THROTTLED, FailureKind.RATE_LIMIT_PAUSED): RetryCase.FINAL,
    (RetryCase.NO_RESPONSE, FailureKind.UNEXPECTED): RetryCase.UNEXPECTED,
}


def retry_case_of(error: ClickPostError) -> RetryCase:
    """Sort an error into the table's rows."""
    if isinstance(error, CourierError) and error.outcome is Outcome.UNKNOWN:
        return RetryCase.UNRECOGNISED
    if error.kind is FailureKind.NOT_CLICKPOST:
        return RetryCase.NOT_CLICKPOST
    if not error.transient:
        return RetryCase.FINAL
    kinds = (_BY_CLASS[kind] for kind in _BY_CLASS if isinstance(error, kind))
    failure = next(kinds, RetryCase.FINAL)
    return _BY_TROUBLE.get((failure, error.kind), failure)


def action_after(error: ClickPostError, repeat: Idempotency) -> RetryAction:
    """Look up what to do after an error."""
    step: RetryAction = getattr(RETRY_TABLE[retry_case_of(error)], repeat.name.lower())
    return step


class Resend(enum.Enum):
    """What is done with an order whose create got no answer, and which a look-up does not find.

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


class RetryState:
    """The course of one call: what it has tried, and what it may still try."""

    def __init__(
        self,
        policy: RetryPolicy,
        repeat: Idempotency,
        budget: RetryBudget,
        pause: Callable[[float], Awaitable[None]],
        on_pause: Callable[[int, float], None],
        *,
        paused: float = 0.0,
    ) -> None:
        self._policy = policy
        self._repeat = repeat
        self._budget = budget
        self._pause = pause
        self._on_pause = on_pause
        self._failures = 0
        # For how many seconds it has paused, or was held by a 429.
        self.paused = paused
        self._polled = 0.0
        self._wait = 0.0

    def should_retry(self, error: ClickPostError | None, answer: ResponseModel | None) -> bool:
        """Decide whether to send again, and after what pause."""
        if error is not None:
            return self._should_retry_after(error)
        return answer is not None and self._should_poll(answer)

    def _should_retry_after(self, error: ClickPostError) -> bool:
        policy = self._policy
        step = action_after(error, self._repeat)
        self._failures += 1
        if step is RetryAction.ON_REQUEST:
            step = (
                RetryAction.SETTLE
                if policy.retry_unrecognised and self._failures == 1
                else RetryAction.RAISE
            )
        most = min(policy.attempts, 2) if step is RetryAction.ONCE else policy.attempts
        if step in (RetryAction.RAISE, RetryAction.LOOK_UP) or self._failures >= most:
            return False
        pause = self._settle_pause() if step is RetryAction.SETTLE else self._backoff_pause(error)
        if error.retry_after is not None and not isinstance(error, ThrottledError):
            pause = max(pause, error.retry_after)
        # Before the next attempt the limiter waits as long as a 429 asks for, this pause included.
        if self.paused + max(pause, error.retry_after or 0.0) > policy.max_total_delay:
            return False
        if not self._budget.withdraw(RETRY_TABLE[retry_case_of(error)].price):
            error.kind = FailureKind.RETRY_BUDGET_SPENT
            return False
        self.paused += pause
        self._wait = pause
        return True

    def _settle_pause(self) -> float:
        policy = self._policy
        settling: float = policy.settle_delay * 2 ** (self._failures - 1)
        longest = max(policy.settle_delay, _MAX_SETTLE_DELAY)
        return min(settling, longest) * (1 + random.random())  # noqa: S311 - jitter

    def _backoff_pause(self, error: ClickPostError) -> float:
        policy = self._policy
        ceiling: float = min(policy.max_backoff, policy.backoff * 2 ** (self._failures - 1))
        if isinstance(error, ThrottledError):
            # The limiter holds everybody as long as was asked; the rest is spread.
            ceiling = policy.backoff if error.retry_after is not None else ceiling * 2
        return ceiling * random.random()  # noqa: S311 - jitter

    def _should_poll(self, answer: ResponseModel) -> bool:
        if self._repeat is not Idempotency.BY_REFERENCE or not answer.pending:
            return False
        spread = 0.8 + 0.4 * random.random()  # noqa: S311 - jitter
        grown = self._policy.poll_interval + self._polled / 2
        pause = min(grown, _MAX_POLL_PAUSE) * spread
        if self._polled + pause > self._policy.poll_timeout:
            return False
        self._polled += pause
        self._wait = pause
        return True

    async def run(
        self,
        attempt: Callable[[], Awaitable[R]],
        first_error: ClickPostError | None,
        first_answer: R | None,
    ) -> R:
        """Go on after a first attempt that already went wrong, or left an order pending."""
        from tenacity import AsyncRetrying

        first = True

        async def once() -> R:
            nonlocal first
            if not first:
                return await attempt()
            first = False
            if first_error is not None:
                raise first_error
            assert first_answer is not None  # noqa: S101 - one of the two is always given
            return first_answer

        def again(state: "RetryCallState") -> bool:
            error, answer = _outcome(state)
            if error is not None and not isinstance(error, ClickPostError):
                return False
            return state.attempt_number == 1 or self.should_retry(error, answer)

        def pause(state: "RetryCallState") -> float:
            self._on_pause(state.attempt_number, self._wait)
            return self._wait

        return await AsyncRetrying(
            sleep=self._pause, stop=lambda _: False, wait=pause, retry=again
        )(once)


def _outcome(state: "RetryCallState") -> tuple[BaseException | None, ResponseModel | None]:
    outcome = state.outcome
    assert outcome is not None  # noqa: S101 - tenacity asks only after an attempt
    error = outcome.exception()
    return error, None if error is not None else outcome.result()
