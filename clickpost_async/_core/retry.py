"""When a call is sent again: a table of what failed against what a second sending does.

The pauses are tenacity's business; a fresh object is made for every call, and only once a first
attempt has failed.
"""

import enum
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from attrs import field, frozen, validators

from clickpost_async._codec.endpoint import Repeat
from clickpost_async._concurrency.retry_budget import THROTTLE_PRICE, RetryBudget
from clickpost_async.errors import (
    BusyCourierError,
    ClickPostError,
    CourierError,
    NoReplyError,
    NotSentError,
    Outcome,
    ServerError,
    ThrottledError,
    Trouble,
    UnreadableReplyError,
)
from clickpost_async.structures._base import Answer

if TYPE_CHECKING:
    from tenacity import RetryCallState

R = TypeVar("R", bound=Answer)


class Failure(enum.Enum):
    """What a failed attempt tells about the call."""

    UNSENT = "no connection, or it was turned away before it was read"
    CROWDED = "no room on this machine: nothing left"
    ODD_UNSENT = "something unforeseen failed before anything left"
    THROTTLED = "turned away with 429"
    BUSY = "the courier was down or too slow"
    SERVER = "ClickPost, or something before it, failed inside"
    LOST = "it left, and no answer came"
    UNREADABLE = "it left, and what came is no answer"
    ODD = "it left, and then something unforeseen failed"
    NOT_CLICKPOST = "something other than ClickPost answered"
    UNRECOGNISED = "the courier said what ClickPost does not understand"
    FINAL = "ClickPost has decided, or nothing will help"


class Step(enum.Enum):
    """What is done about it."""

    RAISE = "raise"
    BACK_OFF = "repeat after a short, growing pause"
    ONCE = "repeat once, after a short pause"
    SETTLE = "look it up, and repeat it once the first sending has been worked off"
    LOOK_UP = "look it up once, and do not repeat it"
    ON_REQUEST = "settle once, if the policy says so"


class Row(NamedTuple):
    """What follows a failure, by what a second sending does; and what a repeat costs."""

    freely: Step
    after_settling: Step
    by_reference: Step
    never: Step
    price: float


_RAISE, _BACK_OFF, _ONCE, _SETTLE, _LOOK_UP, _ON_REQUEST = Step

# fmt: off
STEPS: Mapping[Failure, Row] = {
    #                         FREELY     AFTER_SETTLING  BY_REFERENCE  NEVER      price
    Failure.UNSENT:       Row(_BACK_OFF, _BACK_OFF,      _BACK_OFF,    _BACK_OFF, 1),
    Failure.CROWDED:      Row(_BACK_OFF, _BACK_OFF,      _BACK_OFF,    _BACK_OFF, 0),
    Failure.ODD_UNSENT:   Row(_ONCE,     _ONCE,          _ONCE,        _ONCE,     1),
    Failure.THROTTLED:    Row(_BACK_OFF, _BACK_OFF,      _BACK_OFF,    _BACK_OFF, THROTTLE_PRICE),
    Failure.BUSY:         Row(_BACK_OFF, _SETTLE,        _SETTLE,      _RAISE,    1),
    Failure.SERVER:       Row(_BACK_OFF, _SETTLE,        _SETTLE,      _RAISE,    1),
    Failure.LOST:         Row(_BACK_OFF, _SETTLE,        _SETTLE,      _RAISE,    1),
    Failure.UNREADABLE:   Row(_ONCE,     _SETTLE,        _SETTLE,      _RAISE,    1),
    Failure.ODD:          Row(_ONCE,     _RAISE,         _SETTLE,      _RAISE,    1),
    Failure.NOT_CLICKPOST: Row(_RAISE,   _RAISE,         _LOOK_UP,    _RAISE,    0),
    Failure.UNRECOGNISED: Row(_RAISE,    _RAISE,         _ON_REQUEST,  _RAISE,    1),
    Failure.FINAL:        Row(_RAISE,    _RAISE,         _RAISE,       _RAISE,    0),
}
# fmt: on


# What says that the server is not well; all other answers are answers, refusals among them.
SICK = frozenset(
    {
        Failure.UNSENT,
        Failure.ODD_UNSENT,
        Failure.SERVER,
        Failure.LOST,
        Failure.UNREADABLE,
        Failure.ODD,
    }
)


_BY_CLASS: Mapping[type[ClickPostError], Failure] = {
    ThrottledError: Failure.THROTTLED,
    NotSentError: Failure.UNSENT,
    NoReplyError: Failure.LOST,
    UnreadableReplyError: Failure.UNREADABLE,
    BusyCourierError: Failure.BUSY,
    ServerError: Failure.SERVER,
}
_BY_TROUBLE: Mapping[tuple[Failure, Trouble | None], Failure] = {
    (Failure.UNSENT, Trouble.CROWDED): Failure.CROWDED,
    (Failure.UNSENT, Trouble.UNFORESEEN): Failure.ODD_UNSENT,
    (Failure.UNSENT, Trouble.SHUT): Failure.FINAL,
    (Failure.THROTTLED, Trouble.HELD): Failure.FINAL,
    (Failure.LOST, Trouble.UNFORESEEN): Failure.ODD,
}


def failure_of(error: ClickPostError) -> Failure:
    """Sort an error into the table's rows."""
    if isinstance(error, CourierError) and error.outcome is Outcome.UNKNOWN:
        return Failure.UNRECOGNISED
    if error.trouble is Trouble.NOT_CLICKPOST:
        return Failure.NOT_CLICKPOST
    if not error.transient:
        return Failure.FINAL
    kinds = (_BY_CLASS[kind] for kind in _BY_CLASS if isinstance(error, kind))
    failure = next(kinds, Failure.FINAL)
    return _BY_TROUBLE.get((failure, error.trouble), failure)


def step_after(error: ClickPostError, repeat: Repeat) -> Step:
    """Look up what to do after an error."""
    step: Step = getattr(STEPS[failure_of(error)], repeat.name.lower())
    return step


class ReSend(enum.Enum):
    """What is done with an order whose create got no answer, and which a look-up does not find.

    `AFTER_SETTLING`: the same order is sent again under its reference number, by which ClickPost
    recognises it. `NEVER`: it is looked up again and never sent again; it ends unknown, for a
    person to decide. Only that is free of second labels whatever ClickPost and its couriers do.
    """

    AFTER_SETTLING = "after settling"
    NEVER = "never"


def _seconds(default: float) -> float:
    value: float = field(default=default, validator=[validators.ge(0), validators.lt(float("inf"))])
    return value


@frozen(kw_only=True)
class RetryPolicy:
    """How often and how patiently a call is repeated; all times in seconds.

    `attempts` counts sendings that failed, the first one included; `patience` bounds the sum of the
    pauses between them (not the time spent waiting for a turn). `backoff` is the first short pause,
    doubled up to `longest` and drawn at random below that. `settling` is how long a create that got
    no answer is left alone at least before the same order is sent again, and twice as long the next
    time: couriers are slow, and a second sending that overtakes the first may buy a second label. A
    pending order is asked for every `poll_every` seconds, ever more slowly, for `polling` seconds.

    A create without an answer is looked up by its reference number at once, unless `look_up` is
    off; `resend` says what is done when that does not find it. One that an earlier bulk run left in
    doubt for longer than `resend_within` is looked up and not sent again: for how long ClickPost
    knows a reference number is documented nowhere. With `retry_unrecognised` an order whose courier
    said what ClickPost does not understand (354) is sent once more after settling.
    """

    attempts: int = field(default=4, validator=validators.ge(1))
    patience: float = _seconds(600.0)
    backoff: float = _seconds(0.5)
    longest: float = _seconds(20.0)
    settling: float = _seconds(30.0)
    poll_every: float = _seconds(30.0)
    polling: float = _seconds(600.0)
    look_up: bool = True
    resend: ReSend = ReSend.AFTER_SETTLING
    resend_within: float = _seconds(86_400.0)
    retry_unrecognised: bool = False

    @classmethod
    def never(cls) -> "RetryPolicy":
        """Send once, whatever happens."""
        return cls(attempts=1, polling=0.0, look_up=False)


_LONGEST_SETTLING = 600.0
_LONGEST_POLL = 300.0


class Course:
    """The course of one call: what it has tried, and what it may still try."""

    def __init__(
        self,
        policy: RetryPolicy,
        repeat: Repeat,
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

    def goes_on(self, error: ClickPostError | None, answer: Answer | None) -> bool:
        """Decide whether to send again, and after what pause."""
        if error is not None:
            return self._goes_on_after(error)
        return answer is not None and self._polls_on(answer)

    def _goes_on_after(self, error: ClickPostError) -> bool:
        policy = self._policy
        step = step_after(error, self._repeat)
        self._failures += 1
        if step is Step.ON_REQUEST:
            step = Step.SETTLE if policy.retry_unrecognised and self._failures == 1 else Step.RAISE
        most = min(policy.attempts, 2) if step is Step.ONCE else policy.attempts
        if step in (Step.RAISE, Step.LOOK_UP) or self._failures >= most:
            return False
        pause = self._settling() if step is Step.SETTLE else self._backoff(error)
        if error.wait is not None and not isinstance(error, ThrottledError):
            pause = max(pause, error.wait)
        # Before the next attempt the limiter waits as long as a 429 asks for, this pause included.
        if self.paused + max(pause, error.wait or 0.0) > policy.patience:
            return False
        if not self._budget.withdraw(STEPS[failure_of(error)].price):
            error.trouble = Trouble.UNAFFORDABLE
            return False
        self.paused += pause
        self._wait = pause
        return True

    def _settling(self) -> float:
        policy = self._policy
        settling: float = policy.settling * 2 ** (self._failures - 1)
        longest = max(policy.settling, _LONGEST_SETTLING)
        return min(settling, longest) * (1 + random.random())  # noqa: S311 - jitter

    def _backoff(self, error: ClickPostError) -> float:
        policy = self._policy
        ceiling: float = min(policy.longest, policy.backoff * 2 ** (self._failures - 1))
        if isinstance(error, ThrottledError):
            # The limiter holds everybody as long as was asked; the rest is spread.
            ceiling = policy.backoff if error.wait is not None else ceiling * 2
        return ceiling * random.random()  # noqa: S311 - jitter

    def _polls_on(self, answer: Answer) -> bool:
        if self._repeat is not Repeat.BY_REFERENCE or not answer.pending:
            return False
        spread = 0.8 + 0.4 * random.random()  # noqa: S311 - jitter
        grown = self._policy.poll_every + self._polled / 2
        pause = min(grown, _LONGEST_POLL) * spread
        if self._polled + pause > self._policy.polling:
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
            return state.attempt_number == 1 or self.goes_on(error, answer)

        def pause(state: "RetryCallState") -> float:
            self._on_pause(state.attempt_number, self._wait)
            return self._wait

        return await AsyncRetrying(
            sleep=self._pause, stop=lambda _: False, wait=pause, retry=again
        )(once)


def _outcome(state: "RetryCallState") -> tuple[BaseException | None, Answer | None]:
    outcome = state.outcome
    assert outcome is not None  # noqa: S101 - tenacity asks only after an attempt
    error = outcome.exception()
    return error, None if error is not None else outcome.result()
