"""The order of things around one call: repeat( gate( encode, wait for a turn, send, decode )).

The gate comes before encoding, so that a gather of thousands does not encode them all in one turn
of the loop. The turn is taken inside the gate, so that slow answers do not let turns pile up and
leave as a burst. A call that pauses before it is repeated holds neither.
"""

import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import anyio
import attrs
from attrs import Factory, define, field, frozen

from clickpost_async._transport.download import Downloader
from clickpost_async._transport.flights import Flights
from clickpost_async._transport.http import Progress, Sender
from clickpost_async._transport.retry import Course, RetryPolicy
from clickpost_async._wire.converter import reference_of
from clickpost_async._wire.decode import decode
from clickpost_async._wire.encode import encode
from clickpost_async._wire.endpoint import Endpoint, Get, Post, Query, Repeat
from clickpost_async._wire.files import Download
from clickpost_async._wire.messages import Request
from clickpost_async.errors import (
    ClickPostError,
    CredentialsError,
    DeadlineError,
    NoReplyError,
    NotSentError,
    Outcome,
    ThrottledError,
    UnreadableReplyError,
)
from clickpost_async.events import Answered, Event, Failed, Held, Observer, Repeating, Started, tell
from clickpost_async.limits import Limiter
from clickpost_async.limits.gate import Gate
from clickpost_async.limits.per_loop import PerLoop
from clickpost_async.settings import BodyStyle, Priority, Timeouts
from clickpost_async.structures import Answer, Reply

T = TypeVar("T")
R = TypeVar("R", bound=Answer)

# How long everybody waits after a 429 that does not say how long.
_UNSAID_HOLD = 1.0


@frozen(kw_only=True)
class Options:
    """What `with_options` changes."""

    retry: RetryPolicy
    deadline: float | None = None
    priority: Priority = Priority.NORMAL


@define(kw_only=True)
class Counts:
    """What a client and its light copies have done so far, and whether they are closed."""

    calls: int = 0
    attempts: int = 0
    repeats: int = 0
    throttled: int = 0
    closed: bool = False


class Here:
    """What the calls on one event loop share."""

    __slots__ = ("__weakref__", "flights", "gate")

    def __init__(self, at_once: int) -> None:
        self.gate = Gate(at_once)
        self.flights = Flights()


@frozen(kw_only=True)
class Exchange:
    """What all calls of a client, and of its light copies, share."""

    sender: Sender
    downloader: Downloader
    limiter: Limiter
    at_once: int
    body_style: BodyStyle
    observers: Sequence[Observer]
    counts: Counts = field(factory=Counts)
    places: PerLoop[Here] = field(
        default=Factory(lambda self: PerLoop(lambda: Here(self.at_once)), takes_self=True),
        repr=False,
    )

    def with_timeouts(self, timeouts: Timeouts) -> "Exchange":
        """Return a copy with other timeouts that shares everything else."""
        return attrs.evolve(self, sender=self.sender.with_timeouts(timeouts))

    def refuse_if_closed(self, label: str) -> None:
        """Raise a clear error where a client is used after it was closed."""
        if self.counts.closed:
            message = "the client is closed; make a new one"
            raise NotSentError(message, endpoint=label, transient=False)

    def tell(self, event: Event) -> None:
        tell(self.observers, event)


class ResilientCaller:
    """Calls endpoints: what `endpoints` need of a client."""

    def __init__(self, exchange: Exchange, options: Options) -> None:
        self._exchange = exchange
        self._options = options

    # A gather takes the first step of all its calls in one turn of the loop, so the way to the gate
    # is short: these return the coroutine that does the work instead of awaiting it in another.

    def get(self, endpoint: Get[R], query: Query) -> Coroutine[Any, Any, R]:
        """Ask an endpoint with a query."""
        call = _Call(self._exchange, self._options, endpoint, query)
        return self._in_time(call)

    def post(self, endpoint: Post[R], body: object) -> Coroutine[Any, Any, R]:
        """Send an endpoint a body: a structure, or a plain mapping of one."""
        call = _Call(self._exchange, self._options, endpoint, body=body)
        return self._in_time(call)

    def _in_time(self, call: "_Call[R]") -> Coroutine[Any, Any, R]:
        deadline = self._options.deadline
        return call.run() if deadline is None else self._within_deadline(call, deadline)

    async def gather(self, calls: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
        """Make calls together; the answers are in order, the first failure ends the others."""
        answers: dict[int, T] = {}
        failures: list[ClickPostError] = []

        async def one(position: int) -> None:
            try:
                answers[position] = await calls[position]()
            except ClickPostError as error:
                failures.append(error)
                group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            for position in range(len(calls)):
                group.start_soon(one, position)
        if failures:
            raise failures[0]
        return [answers[position] for position in range(len(calls))]

    async def pause(self, seconds: float) -> None:
        """Let time pass."""
        await anyio.sleep(seconds)

    async def download(
        self, download: Download, url: str, path: Path, *, overwrite: bool = False
    ) -> Path:
        """Fetch a file that ClickPost has put somewhere, without the key."""
        self._exchange.refuse_if_closed(download.name)
        deadline = self._options.deadline
        with anyio.move_on_after(deadline):
            return await self._exchange.downloader.download(
                download, url, path, overwrite=overwrite
            )
        message = f"the deadline of {deadline:g} s passed"
        raise NoReplyError(message, endpoint=download.name, transient=False)

    async def _within_deadline(self, call: "_Call[R]", deadline: float) -> R:
        with anyio.move_on_after(deadline):
            return await call.run()
        raise call.too_late(deadline)


class _Call(Generic[R]):
    """One call, from its first attempt to its last."""

    __slots__ = (
        "_attempts",
        "_began",
        "_body",
        "_exchange",
        "_key",
        "_lost",
        "_options",
        "_pending",
        "_progress",
        "_query",
        "_request",
        "answer",
        "endpoint",
        "error",
        "here",
        "landed",
    )

    def __init__(
        self,
        exchange: Exchange,
        options: Options,
        endpoint: Endpoint[R],
        query: Query | None = None,
        body: object = None,
    ) -> None:
        self._exchange = exchange
        self.here = exchange.places.here()
        self._options = options
        self.endpoint = endpoint
        self._query = query
        self._body = body
        self._request: Request | None = None
        self._progress: Progress | None = None
        self._attempts = 0
        self._lost: ClickPostError | None = None
        self._pending = False
        self._began = time.perf_counter()
        # What ClickPost tells creates apart by; other calls may be under way together.
        self._key: tuple[str, str] | None = None
        if endpoint.repeat is Repeat.BY_REFERENCE and (reference := reference_of(body)):
            self._key = (endpoint.path, reference)
        self.answer: R | None = None
        self.error: ClickPostError | None = None
        self.landed: anyio.Event | None = None

    @property
    def _reference(self) -> str | None:
        return None if self._request is None else self._request.reference_number

    async def run(self) -> R:
        """Make the call, or share the answer of the same create that is under way."""
        self._exchange.refuse_if_closed(self.endpoint.label)
        self._exchange.counts.calls += 1
        flights, key = self.here.flights, self._key
        if key is not None:
            while flights.under_way(key):
                shared = await flights.join(key, self)
                if shared is not None:
                    return shared
            flights.start(key, self)
        try:
            try:
                self.answer = await self._attempt()
            except ClickPostError as failed:
                self.error = failed
            course = Course(self._options.retry, self.endpoint.repeat, self._pausing)
            if course.goes_on(self.error, self.answer):
                first, self.error, self.answer = (self.error, self.answer), None, None
                try:
                    self.answer = await course.run(self._attempt, *first)
                except ClickPostError as failed:
                    self.error = failed
            if self.error is not None:
                self.error = self._final(self.error)
        finally:
            if key is not None:
                flights.land(key, self)
        if self.error is not None:
            raise self.error
        assert self.answer is not None  # noqa: S101 - no error means an answer
        return self.answer

    async def _attempt(self) -> R:
        exchange = self._exchange
        priority = self._options.priority
        async with self.here.gate.entered(priority):
            request = self._written()
            await exchange.limiter.take(priority)
            exchange.refuse_if_closed(self.endpoint.label)
            return await self._send(request)

    def _written(self) -> Request:
        """Return what is sent; it is written once, and not before it is needed."""
        if self._request is None:
            style = self._exchange.body_style
            self._request = encode(self.endpoint, self._query, self._body, style=style)
            self._body = None
        return self._request

    async def _send(self, request: Request) -> R:
        exchange = self._exchange
        endpoint = self.endpoint
        reference = request.reference_number
        self._attempts += 1
        exchange.counts.attempts += 1
        exchange.tell(
            Started(endpoint=endpoint.label, attempt=self._attempts, reference_number=reference)
        )
        self._progress = progress = Progress()
        try:
            response = await exchange.sender.send(request, progress)
            seconds = time.perf_counter() - self._began
            answer = decode(endpoint, response, Reply(attempts=self._attempts, seconds=seconds))
            if answer.incomplete:
                message = "placed, says the answer, and gives no waybill"
                raise UnreadableReplyError(message, status=answer.reply.status)
        except ClickPostError as error:
            error.endpoint = endpoint.label
            error.reference_number = reference
            error.attempts = self._attempts
            if exchange.counts.closed:
                error.transient = False
            if error.outcome is Outcome.UNKNOWN:
                self._lost = error
            exchange.tell(
                Failed(
                    endpoint=endpoint.label,
                    attempt=self._attempts,
                    error=error,
                    reference_number=reference,
                )
            )
            if isinstance(error, ThrottledError):
                await self._hold(error)
            self._progress = None
            raise
        # Told and settled; only an attempt that is cut short stays open, or an order that is.
        self._progress = None
        self._pending = answer.pending
        exchange.tell(
            Answered(
                endpoint=endpoint.label,
                attempt=self._attempts,
                status=answer.reply.status,
                seconds=seconds,
                reference_number=reference,
            )
        )
        return answer

    async def _hold(self, error: ThrottledError) -> None:
        self._exchange.counts.throttled += 1
        seconds = _UNSAID_HOLD if error.wait is None else error.wait
        self._exchange.tell(Held(endpoint=self.endpoint.label, seconds=seconds))
        await self._exchange.limiter.hold(seconds)

    def _pausing(self, attempt: int, wait: float) -> None:
        self._exchange.counts.repeats += 1
        self._exchange.tell(
            Repeating(
                endpoint=self.endpoint.label,
                attempt=attempt,
                wait=wait,
                reference_number=self._reference,
            )
        )

    def _final(self, error: ClickPostError) -> ClickPostError:
        """Return the error that tells the truth about the whole call, not its last attempt alone.

        A sending that got no answer stays unknown, and an order that was pending does too, whatever
        kept a later one from leaving or from being let in.
        """
        if error is self._lost or not (self._lost or self._pending):
            return error
        if isinstance(error, NotSentError):
            told = self._lost or NoReplyError(
                f"ClickPost was still working on the order, then: {error.message}",
                endpoint=self.endpoint.label,
                reference_number=self._reference,
            )
            told.attempts = self._attempts
            return told
        if isinstance(error, CredentialsError) and error.key_refused:
            error.outcome = Outcome.UNKNOWN
        return error

    def written(self) -> bytes | None:
        """Write what is sent, to be compared with another call's."""
        return self._written().body

    def may_have_left(self) -> bool:
        """Tell whether ClickPost may know of the call without our knowing what became of it."""
        under_way = self._progress is not None and self._progress.left
        return self._lost is not None or under_way or self._pending

    def too_late(self, deadline: float) -> ClickPostError:
        """Return the error for a deadline that passed, by how far the call had got."""
        kind = NoReplyError if self.may_have_left() else DeadlineError
        error = kind(
            f"the deadline of {deadline:g} s passed",
            endpoint=self.endpoint.label,
            reference_number=self._reference,
            transient=False,
        )
        error.attempts = max(self._attempts, 1)
        return error
