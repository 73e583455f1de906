"""Shared by the web framework integrations.

Maps errors to HTTP responses, checks readiness, and handles each webhook event once.
"""

import enum
import math
import threading
from collections import OrderedDict
from collections.abc import AsyncIterable, Awaitable, Iterable, Mapping
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import anyio

from clickpost_async import webhooks
from clickpost_async._core.retry import RetryPolicy
from clickpost_async._util.arguments import check_number
from clickpost_async.client import ClickPost
from clickpost_async.errors import (
    ClickPostError,
    CredentialsError,
    InvalidRequestError,
    Outcome,
)

R = TypeVar("R")
R_contra = TypeVar("R_contra", contravariant=True)

# An invalid reference number may be of any length.
_MAX_TEXT_LENGTH = 300
# Deadline of a readiness probe, in seconds.
_PROBE = 5.0
# Seconds that an event store has to release an event whose handler was cancelled.
_RELEASE_TIMEOUT = 1.0


# --- errors ---------------------------------------------------------------------------------------


class WebResponse(NamedTuple):
    """Status, body and headers of the application's response."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str]


def response_to(error: ClickPostError) -> WebResponse:
    """Return the response for an error: the order's outcome, without ClickPost's message."""
    body: dict[str, Any] = {
        "outcome": error.outcome.value,
        "reference_number": _public_message(error.reference_number),
    }
    if isinstance(error, InvalidRequestError):
        body["problems"] = [
            {"path": _public_message(problem.path), "message": _public_message(problem.message)}
            for problem in error.problems
        ]
    headers: dict[str, str] = {}
    if error.safe_to_retry_in is not None:
        headers["Retry-After"] = str(max(1, math.ceil(error.safe_to_retry_in)))
    return WebResponse(_status_of(error), body, headers)


def _public_message(text: str | None) -> str | None:
    # The values of an invalid order may contain unpaired surrogates, which UTF-8 cannot encode.
    return None if text is None else text[:_MAX_TEXT_LENGTH].encode(errors="replace").decode()


def _status_of(error: ClickPostError) -> int:
    if error.outcome is Outcome.UNKNOWN:
        return 504
    if isinstance(error, InvalidRequestError):
        return 422
    if isinstance(error, CredentialsError):
        return 500
    return 409 if error.outcome is Outcome.REJECTED else 503


# --- probes ---------------------------------------------------------------------------------------


def load_from(clickpost: ClickPost) -> dict[str, int]:
    """Return a client's load on this event loop; sends nothing."""
    stats = clickpost.stats()
    return {"in_flight": stats.in_flight, "queued": stats.queued}


async def is_ready(clickpost: ClickPost) -> bool:
    """Return whether one authenticated call succeeds; the cause of a failure is only logged."""
    try:
        await clickpost.with_options(deadline=_PROBE, retry=RetryPolicy.never()).health()
    except ClickPostError:
        return False
    return True


# --- webhooks -------------------------------------------------------------------------------------

Token = str | Iterable[str] | None
PushedEvent = webhooks.TrackingEvent | webhooks.ReturnEvent


class Claim(enum.Enum):
    """State of an event at the time of a push."""

    GRANTED = "not handled before: the caller handles it now"
    BUSY = "being handled by another request or process"
    DONE = "handled"


class EventStore(Protocol):
    """Stores which events were handled, by their `identity`.

    Several processes need a store that they share, in which a `begin` without `done` or `failed`
    expires: the process may have crashed.
    """

    async def begin(self, identity: str) -> Claim:
        """Claim an event atomically, unless it is being handled or was handled."""
        ...

    async def done(self, identity: str) -> None:
        """Record that an event was handled."""
        ...

    async def failed(self, identity: str) -> None:
        """Release an event: its next push is handled."""
        ...


class InMemoryEventStore:
    """Stores the last `max_events` events of this process, in memory."""

    def __init__(self, max_events: int = 10_000) -> None:
        check_number("max_events", max_events, unit="events", minimum=1, whole=True)
        self._max_events = max_events
        # Django serves synchronous views in threads.
        self._lock = threading.Lock()
        self._busy: set[str] = set()
        self._done: OrderedDict[str, None] = OrderedDict()

    async def begin(self, identity: str) -> Claim:
        """Claim an event, unless it is being handled or was handled."""
        with self._lock:
            if identity in self._done:
                self._done.move_to_end(identity)
                return Claim.DONE
            if identity in self._busy:
                return Claim.BUSY
            self._busy.add(identity)
            return Claim.GRANTED

    async def done(self, identity: str) -> None:
        """Record that an event was handled, and drop the one whose last push is oldest."""
        with self._lock:
            self._busy.discard(identity)
            self._done[identity] = None
            if len(self._done) > self._max_events:
                self._done.popitem(last=False)

    async def failed(self, identity: str) -> None:
        """Release an event: its next push is handled."""
        with self._lock:
            self._busy.discard(identity)


class Handler(Protocol[R_contra]):
    """A function of the application that handles an event."""

    def __call__(self, event: PushedEvent, request: R_contra, /) -> Awaitable[object]:
        """Handle the event; if it raises, ClickPost pushes the event again."""
        ...


class WebhookReceiver(Generic[R]):
    """Receives webhook pushes, and calls the handler until each event was handled once."""

    def __init__(self, handle: Handler[R], token: Token, seen: EventStore | None) -> None:
        self._handler = handle
        # The first push would exhaust an iterator.
        self._token = token if token is None or isinstance(token, str) else tuple(token)
        self._seen: EventStore = InMemoryEventStore() if seen is None else seen

    async def receive(
        self,
        request: R,
        headers: Mapping[str, str],
        body: AsyncIterable[bytes],
        query: str = "",
    ) -> int:
        """Return the HTTP status of the response; raises what the handler raises.

        200 means that the event was handled, now or before. ClickPost pushes the event again after
        any other status.
        """
        try:
            event = webhooks.parse(
                await _read_bounded(body), headers, token=self._token, query=query
            )
        except webhooks.WebhookError as error:
            return error.http_status
        claim = await self._seen.begin(event.identity)
        if claim is Claim.GRANTED:
            await self._handle(event, request)
        return 503 if claim is Claim.BUSY else 200

    async def _handle(self, event: PushedEvent, request: R) -> None:
        succeeded = False
        try:
            await self._handler(event, request)
            succeeded = True
        finally:
            if not succeeded:
                # Shielded: after a cancellation every other await would be cancelled too.
                with anyio.move_on_after(_RELEASE_TIMEOUT, shield=True):
                    await self._seen.failed(event.identity)
        await self._seen.done(event.identity)


async def _read_bounded(body: AsyncIterable[bytes]) -> bytes:
    """Read a body, up to just above the largest accepted size."""
    read = bytearray()
    async for part in body:
        read += part
        if len(read) > webhooks.MAX_SIZE:
            break
    return bytes(read)
