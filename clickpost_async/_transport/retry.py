"""When a call is sent again: a table of what failed against what a second sending does.

The pauses are tenacity's business; a fresh object is made for every call, and only once a first
attempt has failed.
"""

import enum
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import anyio
from attrs import field, frozen, validators
from tenacity import AsyncRetrying, RetryCallState

from clickpost_async._wire.endpoint import Repeat
from clickpost_async.errors import (
    BusyCourierError,
    ClickPostError,
    NoReplyError,
    NotSentError,
    ServerError,
    ThrottledError,
    UnreadableReplyError,
)
from clickpost_async.structures import Answer

R = TypeVar("R", bound=Answer)


class Failure(enum.Enum):
    """What a failed attempt tells about the call."""

    NOT_SENT = "nothing left, or it was turned away"
    BUSY = "the courier was down or too slow"
    LOST = "it left, and no usable answer came"
    FINAL = "ClickPost has decided, or nothing will help"


class Step(enum.Enum):
    """What is done about it."""

    RAISE = "raise"
    BACK_OFF = "repeat after a short, growing pause"
    SETTLE = "repeat once the first sending has been worked off"


# Read a row as: after this failure, a call that may be repeated FREELY does …
STEPS: Mapping[Failure, Mapping[Repeat, Step]] = {
    Failure.NOT_SENT: {
        Repeat.FREELY: Step.BACK_OFF,
        Repeat.AFTER_SETTLING: Step.BACK_OFF,
        Repeat.BY_REFERENCE: Step.BACK_OFF,
        Repeat.NEVER: Step.BACK_OFF,
    },
    Failure.BUSY: {
        Repeat.FREELY: Step.BACK_OFF,
        Repeat.AFTER_SETTLING: Step.SETTLE,
        Repeat.BY_REFERENCE: Step.SETTLE,
        Repeat.NEVER: Step.RAISE,
    },
    Failure.LOST: {
        Repeat.FREELY: Step.BACK_OFF,
        Repeat.AFTER_SETTLING: Step.SETTLE,
        Repeat.BY_REFERENCE: Step.SETTLE,
        Repeat.NEVER: Step.RAISE,
    },
    Failure.FINAL: dict.fromkeys(Repeat, Step.RAISE),
}


def failure_of(error: ClickPostError) -> Failure:
    """Sort an error into the table's rows."""
    if not error.transient:
        return Failure.FINAL
    if isinstance(error, NotSentError):
        return Failure.NOT_SENT
    if isinstance(error, BusyCourierError):
        return Failure.BUSY
    if isinstance(error, NoReplyError | UnreadableReplyError | ServerError):
        return Failure.LOST
    return Failure.FINAL


def step_after(error: ClickPostError, repeat: Repeat) -> Step:
    """Look up what to do after an error."""
    return STEPS[failure_of(error)][repeat]


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
    """

    attempts: int = field(default=4, validator=validators.ge(1))
    patience: float = _seconds(600.0)
    backoff: float = _seconds(0.5)
    longest: float = _seconds(20.0)
    settling: float = _seconds(30.0)
    poll_every: float = _seconds(30.0)
    polling: float = _seconds(600.0)

    @classmethod
    def never(cls) -> "RetryPolicy":
        """Send once, whatever happens."""
        return cls(attempts=1, polling=0.0)


_LONGEST_SETTLING = 600.0
_LONGEST_POLL = 300.0


class Course:
    """The course of one call: what it has tried, and what it may still try."""

    def __init__(
        self,
        policy: RetryPolicy,
        repeat: Repeat,
        on_pause: Callable[[int, float], None],
    ) -> None:
        self._policy = policy
        self._repeat = repeat
        self._on_pause = on_pause
        self._failures = 0
        self._paused = 0.0
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
        if step is Step.RAISE or self._failures >= policy.attempts:
            return False
        if step is Step.SETTLE:
            settling = policy.settling * 2 ** (self._failures - 1)
            longest = max(policy.settling, _LONGEST_SETTLING)
            pause = min(settling, longest) * (1 + random.random())  # noqa: S311 - jitter
        else:
            ceiling = min(policy.longest, policy.backoff * 2 ** (self._failures - 1))
            pause = ceiling * random.random()  # noqa: S311 - jitter
        if isinstance(error, ThrottledError) and error.wait is not None:
            # The limiter holds everybody that long already; the rest is spread.
            pause = policy.backoff * random.random()  # noqa: S311 - jitter
        elif error.wait is not None:
            pause = max(pause, error.wait)
        if self._paused + pause > policy.patience:
            return False
        self._paused += pause
        self._wait = pause
        return True

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

        def again(state: RetryCallState) -> bool:
            error, answer = _outcome(state)
            if error is not None and not isinstance(error, ClickPostError):
                return False
            return state.attempt_number == 1 or self.goes_on(error, answer)

        def pause(state: RetryCallState) -> float:
            self._on_pause(state.attempt_number, self._wait)
            return self._wait

        return await AsyncRetrying(
            sleep=anyio.sleep, stop=lambda _: False, wait=pause, retry=again
        )(once)


def _outcome(state: RetryCallState) -> tuple[BaseException | None, Answer | None]:
    outcome = state.outcome
    assert outcome is not None  # noqa: S101 - tenacity asks only after an attempt
    error = outcome.exception()
    return error, None if error is not None else outcome.result()
