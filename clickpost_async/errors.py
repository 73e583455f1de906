"""Exceptions, sorted by what the caller can do next.

    ClickPostError
    ├── NotSentError              not processed: retry the same call
    │   ├── ThrottledError        HTTP 429: retry after `retry_after` seconds
    │   └── DeadlineError         the call's deadline passed before anything was sent
    ├── NoReplyError              sent, outcome unknown: look the order up before retrying
    ├── UnreadableReplyError      response cannot be read, outcome unknown: look up before retrying
    └── RefusedError              ClickPost rejected the request (`status` is its code)
        ├── CredentialsError      the API key, or the courier account behind it
        ├── InvalidRequestError   the order itself; also raised locally, before anything is sent
        ├── CourierError          the courier rejected the order
        ├── BusyCourierError      the courier was down or too slow; transient
        └── ServerError           internal server error at ClickPost; transient

No exception can hold the API key: it is added below everything that raises.
"""

import enum
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

from attrs import frozen


class Outcome(enum.Enum):
    """What is known of the order, or other effect, of a failed call."""

    NOT_SENT = "not sent"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


class FailureKind(enum.Enum):
    """What failed. It is set where the failure is seen, and decides whether the call is retried.

    For a call whose outcome is unknown it may instead be the reason why it was not retried:
    `CIRCUIT_OPEN`, `RATE_LIMIT_PAUSED`, `RETRY_BUDGET_SPENT` or `DEADLINE`.
    """

    # Nothing was processed.
    NOT_SENT = "no connection, or the attempt ended before its first byte was sent"
    LOCAL_RESOURCES = "this machine was out of pool slots, file descriptors, ports or memory"
    KEY_UNAVAILABLE = "the callable that returns the API key failed"
    NOT_SENDABLE = "cannot be sent as configured: URL, certificate, proxy, API key or redirect"
    UNEXPECTED_NOT_SENT = "an unexpected exception, before anything was sent"
    THROTTLED = "rejected with HTTP 429"
    RATE_LIMIT_PAUSED = "ClickPost asked for a longer pause (HTTP 429) than the call may wait"
    CIRCUIT_OPEN = "circuit breaker open: too many recent failures"
    CLIENT_CLOSED = "the client was closed"
    # ClickPost rejected it.
    INVALID_REQUEST = "the request is invalid"
    CREDENTIALS = "the API key or the courier account was rejected"
    REJECTED = "rejected by ClickPost or the courier"
    # It may have been processed.
    NO_RESPONSE = "sent, but no complete response was received"
    UNREADABLE = "the response cannot be read"
    NOT_CLICKPOST = "the response is from a gateway or another server, not from ClickPost"
    SERVER_ERROR = "internal server error at ClickPost or a gateway"
    COURIER_BUSY = "the courier's system was down or too slow"
    COURIER_UNRECOGNISED = "the courier returned an error that ClickPost does not recognise"
    UNKNOWN_STATUS = "ClickPost returned a status that it does not document"
    UNEXPECTED = "an unexpected exception, after the request may have been sent"
    # Either way.
    DEADLINE = "the call's deadline passed"
    RETRY_BUDGET_SPENT = "not retried: too many calls of this client were being retried"


@frozen
class Problem:
    """One validation error: its field path (`pickup_info.pickup_pincode`) and what to correct."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message

    def under(self, prefix: str) -> "Problem":
        """Return the same validation error with its path prefixed by the enclosing field."""
        joint = "" if not self.path or self.path.startswith("[") else "."
        return type(self)(f"{prefix}{joint}{self.path}", self.message)


_LOOK_UP = "look the order up by its reference number before it is sent again"
_FIND_OUT = "check whether it was processed before it is sent again"
_CORRECT = "nothing was processed; correct what the message names, then call again"
_RETRY = "outcome unknown; safe to retry the same call"


class ClickPostError(Exception):
    """Base class of all failures of a call.

    Attributes:
        outcome: What is known of the order: not sent, rejected or unknown.
        kind: What failed.
        transient: Whether the same call may succeed later.
        endpoint: The endpoint's name, such as `orders.create_india`.
        status: ClickPost's status code (`meta.status`), if it sent one.
        http_status: The HTTP status, if a response was received.
        reference_number: The order's reference number, if the call is about one.
        attempts: How many attempts were made; 0 if the call ended before the first one.
        retry_after: Seconds that the server asked to wait before the next attempt, if it did.
        settle_delay: Seconds after which a call with an unknown outcome may be resent without a
            second effect; `None` if a resend may act twice.

    """

    outcome: Outcome = Outcome.UNKNOWN
    transient: bool = False
    kind: FailureKind = FailureKind.UNEXPECTED
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
        kind: FailureKind | None = None,
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
        if kind is not None:
            self.kind = kind
        elif transient is False and self.kind is FailureKind.NOT_SENT:
            self.kind = FailureKind.NOT_SENDABLE

    @property
    def advice(self) -> str:
        """What the caller can do next."""
        if self.outcome is not Outcome.UNKNOWN:
            return self._advice
        if self.reference_number or self.endpoint is None:
            return _LOOK_UP
        return _FIND_OUT if self.settle_delay is None else _RETRY

    if not TYPE_CHECKING:  # type checkers keep the plain attribute that this overrides

        @property
        def args(self) -> tuple[Any, ...]:
            """The message, and the outcome unless it is that of the class.

            Result backends that store JSON, such as Celery's, rebuild the error from these alone.
            """
            message = BaseException.args.__get__(self)[:1]
            return message if self.outcome is type(self).outcome else (*message, self.outcome.value)

        @args.setter
        def args(self, args: tuple[Any, ...]) -> None:
            BaseException.args.__set__(self, args)

    @property
    def message(self) -> str:
        """ClickPost's or the client's own description of what happened."""
        return str(self.args[0])

    @property
    def safe_to_retry_in(self) -> float | None:
        """Seconds after which the same call may safely be made again; 0 means immediately.

        `None`: correct the request first if it was rejected; look it up first if it is unknown.
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
    """Nothing was processed: the same call may be made again immediately."""

    outcome = Outcome.NOT_SENT
    kind = FailureKind.NOT_SENT
    transient = True
    _advice = "nothing was processed; call again"

    @property
    def advice(self) -> str:
        """What the caller can do next."""
        final = self.outcome is Outcome.NOT_SENT and self.safe_to_retry_in is None
        return _CORRECT if final else super().advice

    @property
    def safe_to_retry_in(self) -> float | None:
        """Seconds after which the same call may safely be made again; 0 means immediately.

        `None`: a retry cannot help before its cause is corrected.
        """
        return self.retry_after or 0.0 if self.transient else None


class ThrottledError(NotSentError):
    """HTTP 429: too many requests; nothing was processed. Retry after `retry_after` seconds."""

    kind = FailureKind.THROTTLED
    _advice = "nothing was processed; call again later, or set a lower rate"


class DeadlineError(NotSentError):
    """The call's deadline passed before anything was sent."""

    kind = FailureKind.DEADLINE
    transient = False
    _advice = "nothing was processed; call again with more time"

    @property
    def safe_to_retry_in(self) -> float | None:
        """Seconds after which the same call may safely be made again; 0 means immediately."""
        return self.retry_after or 0.0


class NoReplyError(ClickPostError):
    """The request was sent and no response was received: it may have been processed."""

    kind = FailureKind.NO_RESPONSE
    transient = True


class UnreadableReplyError(ClickPostError):
    """The response cannot be read: the request may have been processed."""

    kind = FailureKind.UNREADABLE
    transient = True


class RefusedError(ClickPostError):
    """ClickPost rejected the request; `status` is its code, `message` its message."""

    outcome = Outcome.REJECTED
    kind = FailureKind.REJECTED


class CredentialsError(RefusedError):
    """The API key, or the courier account behind it, is wrong, missing or inactive."""

    kind = FailureKind.CREDENTIALS
    _advice = "check the API key and the courier account on ClickPost's dashboard"

    @property
    def key_refused(self) -> bool:
        """Whether the API key itself was rejected, so that every other call will fail too."""
        # HTTP 401 also comes with 320, for a service that is not subscribed.
        status = self.http_status if self.status is None else self.status
        return status in _KEY_REFUSED


# 316, 324 and 351-353 are about one courier account, 306 and 320 about one service.
_KEY_REFUSED = frozenset({301, 401, 403})


class InvalidRequestError(RefusedError, ValueError):
    """The request is invalid; `problems` lists every validation error found locally."""

    kind = FailureKind.INVALID_REQUEST
    _advice = "correct the fields named, then send it again"

    def __init__(
        self,
        message: str,
        outcome: Outcome | str | None = None,
        *,
        problems: Iterable[Problem] = (),
        **context: Any,
    ) -> None:
        super().__init__(message, outcome, **context)
        self.problems: tuple[Problem, ...] = tuple(problems)

    @classmethod
    def of(
        cls,
        problems: Iterable[Problem],
        *,
        reference_number: str | None = None,
        advice: str | None = None,
    ) -> Self:
        """Return the error that lists all validation errors, raised before anything is sent.

        Args:
            problems: Every validation error.
            reference_number: The order's, if the request is about one.
            advice: What to do, where it is something else than to correct the fields.

        Returns:
            The error.

        """
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
    """The courier rejected the order; `message` is the courier's."""

    _advice = "read the courier's message; correct the order or choose another courier"


class BusyCourierError(RefusedError):
    """The courier's system was down or too slow: it may have booked the order nevertheless."""

    outcome = Outcome.UNKNOWN
    kind = FailureKind.COURIER_BUSY
    transient = True


class ServerError(RefusedError):
    """Internal server error at ClickPost or a gateway: the request may have been processed."""

    outcome = Outcome.UNKNOWN
    kind = FailureKind.SERVER_ERROR
    transient = True
