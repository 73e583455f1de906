"""What can go wrong, sorted by what the caller can do next.

    ClickPostError
    ├── NotSentError              nothing left, or it was turned away at the door: send it again
    │   ├── ThrottledError        HTTP 429, after `wait` seconds
    │   └── DeadlineError         the call's deadline passed while it was still waiting
    ├── NoReplyError              it left, and nobody knows what became of it: look before repeating
    ├── UnreadableReplyError      a reply came that cannot be understood: look before repeating
    └── RefusedError              ClickPost understood, and said no (`status` is its code)
        ├── CredentialsError      the key, or the courier account behind it
        ├── InvalidRequestError   the order itself; also raised here, before anything is sent
        ├── CourierError          the courier refused
        ├── BusyCourierError      the courier was down or too slow; passes
        └── ServerError           ClickPost's own fault; passes

No class can hold the key: it is added below everything that raises.
"""

import enum
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

from attrs import frozen


class Outcome(enum.Enum):
    """What is known of the order behind a failed call."""

    NOT_SENT = "not sent"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


class FailureKind(enum.Enum):
    """What the transport knows of a failure beyond its class."""

    LOCAL_RESOURCES = "this machine had no room: no place in a pool, no file to open"
    UNEXPECTED = "an exception that no HTTP library tells of"
    CIRCUIT_OPEN = "nothing was tried, because most calls had failed lately"
    RETRY_BUDGET_SPENT = "not repeated, because too many calls were being repeated"
    RATE_LIMIT_PAUSED = (
        "not tried, because ClickPost had asked for a longer pause than the call may wait"
    )
    DEADLINE = "the call's own deadline passed"
    NOT_CLICKPOST = "the response is a gateway's or another server's, not ClickPost's"


@frozen
class Problem:
    """One mistake: where it is (`pickup_info.pickup_pincode`), and what to do about it."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message

    def under(self, prefix: str) -> "Problem":
        """Return the same mistake as seen from one level further out."""
        if not self.path:
            return Problem(prefix, self.message)
        joint = "" if self.path.startswith("[") else "."
        return Problem(f"{prefix}{joint}{self.path}", self.message)


_LOOK_UP = "look the order up by its reference number before it is sent again"
_FIND_OUT = "find out what became of it before it is sent again"
_CORRECT = "nothing was processed; correct what the message names, then call again"
_AGAIN = "nobody knows what became of it; the very same call may be made again"


class ClickPostError(Exception):
    """Any failure of a call; `outcome` says what is known of it, `advice` what to do next.

    `wait` is for how many seconds ClickPost asked to be left alone, if it did. `settles_in` is how
    long a call nobody knows about should be left alone, where a second sending then does no more
    than the first.
    """

    outcome: Outcome = Outcome.UNKNOWN
    transient: bool = False
    kind: FailureKind | None = None
    settle_delay: float | None = None
    _advice = "see the message"

    def __init__(
        self,
        message: str,
        outcome: Outcome | str | None = None,
        *,
        endpoint: str | None = None,
        status: int | None = None,
        http_status: int | None = None,
        reference_number: str | None = None,
        transient: bool | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.endpoint = endpoint
        self.status = status
        self.http_status = http_status
        self.reference_number = reference_number
        self.attempts = 1
        self.retry_after = retry_after
        if outcome is not None:
            self.outcome = Outcome(outcome)
        if transient is not None:
            self.transient = transient

    @property
    def advice(self) -> str:
        """What the caller can do next."""
        if self.outcome is not Outcome.UNKNOWN:
            return self._advice
        if self.reference_number or self.endpoint is None:
            return _LOOK_UP
        return _FIND_OUT if self.settle_delay is None else _AGAIN

    if not TYPE_CHECKING:  # to a checker it stays the plain attribute that it overrides

        @property
        def args(self) -> tuple[Any, ...]:
            """The message, and the outcome unless it is that of the class.

            A result backend that keeps JSON, such as Celery's, makes the error anew of these alone.
            """
            message = BaseException.args.__get__(self)[:1]
            return message if self.outcome is type(self).outcome else (*message, self.outcome.value)

        @args.setter
        def args(self, args: tuple[Any, ...]) -> None:
            BaseException.args.__set__(self, args)

    @property
    def message(self) -> str:
        """What happened, in ClickPost's words or ours."""
        return str(self.args[0])

    @property
    def safe_to_retry_in(self) -> float | None:
        """In how many seconds the very same call may be made again; 0 is at once.

        `None`: not before it was corrected, if it was rejected, or looked up, if it is unknown.
        """
        return self.settle_delay if self.outcome is Outcome.UNKNOWN else None

    def __str__(self) -> str:
        where = f"{self.endpoint}: " if self.endpoint else ""
        code = f" (status {self.status})" if self.status is not None else ""
        tries = f", after {self.attempts} attempts" if self.attempts > 1 else ""
        return f"{where}{self.message}{code}{tries}"

    def __reduce__(self) -> tuple[Any, ...]:
        # Keyword arguments do not survive BaseException's own way of pickling.
        return _rebuild, (type(self), self.message, self.__dict__.copy())


def _rebuild(kind: type[ClickPostError], message: str, state: dict[str, Any]) -> ClickPostError:
    error = kind.__new__(kind, message)
    Exception.__init__(error, message)
    error.__dict__.update(state)
    return error


class NotSentError(ClickPostError):
    """Nothing was processed: the same call may be made again at once."""

    outcome = Outcome.NOT_SENT
    transient = True
    _advice = "nothing was processed; call again"

    @property
    def advice(self) -> str:
        """What the caller can do next."""
        final = self.outcome is Outcome.NOT_SENT and self.safe_to_retry_in is None
        return _CORRECT if final else super().advice

    @property
    def safe_to_retry_in(self) -> float | None:
        """In how many seconds the very same call may be made again; 0 is at once.

        `None`: not before its cause was corrected, which no repeat can do.
        """
        return self.retry_after or 0.0 if self.transient else None


class ThrottledError(NotSentError):
    """HTTP 429: too many calls, for the next `wait` seconds."""

    _advice = "nothing was processed; call again later, or set a lower rate"


class DeadlineError(NotSentError):
    """The call's deadline passed while it was still waiting for its turn."""

    transient = False
    _advice = "nothing was processed; call again with more time"

    @property
    def safe_to_retry_in(self) -> float | None:
        """In how many seconds the very same call may be made again; 0 is at once."""
        return self.retry_after or 0.0


class NoReplyError(ClickPostError):
    """The call left and no answer came: it may or may not have been processed."""

    transient = True


class UnreadableReplyError(ClickPostError):
    """An answer came that cannot be understood: the call may or may not have been processed."""

    transient = True


class RefusedError(ClickPostError):
    """ClickPost understood the call and said no; `status` is its code, `message` its words."""

    outcome = Outcome.REJECTED


class CredentialsError(RefusedError):
    """The key, or the courier account behind it, is wrong, missing or inactive."""

    _advice = "check the key and the account on the dashboard; nothing else will help"

    @property
    def key_refused(self) -> bool:
        """Whether the key itself was refused, and with it every other call."""
        # A service that is not subscribed is told under HTTP 401 too, with a code of its own (320).
        said = self.http_status if self.status is None else self.status
        return said in _KEY_REFUSED


# 316, 324 and 351-353 speak of one courier account, 306 and 320 of one service.
_KEY_REFUSED = frozenset({301, 401, 403})


class InvalidRequestError(RefusedError, ValueError):
    """What was asked for is not valid; `problems` has every mistake when it was found here."""

    _advice = "correct the fields named, then send it again"

    def __init__(
        self,
        message: str,
        outcome: Outcome | str | None = None,
        *,
        problems: Iterable[Problem] = (),
        **facts: Any,
    ) -> None:
        super().__init__(message, outcome, **facts)
        self.problems: tuple[Problem, ...] = tuple(problems)

    @classmethod
    def of(
        cls,
        problems: Iterable[Problem],
        *,
        reference_number: str | None = None,
        advice: str | None = None,
    ) -> Self:
        """Make the error that names all mistakes, raised before anything is sent."""
        found = tuple(problems)
        error = cls(
            "; ".join(map(str, found)),
            problems=found,
            outcome=Outcome.NOT_SENT,
            reference_number=reference_number,
        )
        error.attempts = 0
        if advice is not None:
            error._advice = advice
        return error


class CourierError(RefusedError):
    """The courier refused the order; its own words follow."""

    _advice = "read the courier's words; correct the order or choose another courier"


class BusyCourierError(RefusedError):
    """The courier's system was down or too slow: it may have booked the order all the same."""

    outcome = Outcome.UNKNOWN
    transient = True


class ServerError(RefusedError):
    """ClickPost failed inside: the call may or may not have been processed."""

    outcome = Outcome.UNKNOWN
    transient = True
