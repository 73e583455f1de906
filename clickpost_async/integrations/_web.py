"""What web applications have in common, whichever framework they stand on.

How an error of a call is answered over HTTP, and how a push of ClickPost's is taken once.
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
from clickpost_async.client import ClickPost
from clickpost_async.errors import (
    ClickPostError,
    CredentialsError,
    InvalidRequestError,
    Outcome,
)

R = TypeVar("R")
R_contra = TypeVar("R_contra", contravariant=True)

# A reference number that was refused may be of any length.
_LONGEST = 300
# How long a probe waits for ClickPost's answer, in seconds.
_PROBE = 5.0
# How long a store is given to let go of an event whose handling was cancelled.
_LETTING_GO = 1.0


# --- errors ---------------------------------------------------------------------------------------


class WebResponse(NamedTuple):
    """What an application answers."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str]


def response_to(error: ClickPostError) -> WebResponse:
    """Tell an application's own client what is known of its order, in none of ClickPost's words."""
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
    # Orders that were refused are told of too, and not all that JSON can spell can be written.
    return None if text is None else text[:_LONGEST].encode(errors="replace").decode()


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
    """Tell how busy a client is on this event loop; asks nobody."""
    stats = clickpost.stats()
    return {"in_flight": stats.in_flight, "queued": stats.queued}


async def is_ready(clickpost: ClickPost) -> bool:
    """Ask ClickPost once, with the key; why it does not answer is for the log alone."""
    try:
        await clickpost.with_options(deadline=_PROBE, retry=RetryPolicy.never()).health()
    except ClickPostError:
        return False
    return True


# --- webhooks -------------------------------------------------------------------------------------

Token = str | Iterable[str] | None
PushedEvent = webhooks.TrackingEvent | webhooks.ReturnEvent


class Claim(enum.Enum):
    """What is known of an event that is pushed."""

    GRANTED = "nobody has handled it, and now you do"
    BUSY = "somebody is handling it"
    DONE = "it was handled"


class EventStore(Protocol):
    """Remembers by their `identity` which events were handled.

    Several processes need one that they share, and in which a `begin` that is never followed by
    `done` or `failed` counts for a while only: its process may have died.
    """

    async def begin(self, identity: str) -> Claim:
        """Take an event, in one step, unless somebody has it or had it."""
        ...

    async def done(self, identity: str) -> None:
        """Remember that it was handled."""
        ...

    async def failed(self, identity: str) -> None:
        """Give it back: the next push is handled."""
        ...


class InMemoryEventStore:
    """Remembers the last so many events of this process."""

    def __init__(self, most: int = 10_000) -> None:
        if most < 1:
            message = "most: at least 1 is needed"
            raise ValueError(message)
        self._most = most
        # Django's ordinary views are served by threads.
        self._lock = threading.Lock()
        self._busy: set[str] = set()
        self._done: OrderedDict[str, None] = OrderedDict()

    async def begin(self, identity: str) -> Claim:
        """Take an event, unless somebody has it or had it."""
        with self._lock:
            if identity in self._done:
                self._done.move_to_end(identity)
                return Claim.DONE
            if identity in self._busy:
                return Claim.BUSY
            self._busy.add(identity)
            return Claim.GRANTED

    async def done(self, identity: str) -> None:
        """Remember that it was handled, and forget the one that was pushed longest ago."""
        with self._lock:
            self._busy.discard(identity)
            self._done[identity] = None
            if len(self._done) > self._most:
                self._done.popitem(last=False)

    async def failed(self, identity: str) -> None:
        """Give it back."""
        with self._lock:
            self._busy.discard(identity)


class Handler(Protocol[R_contra]):
    """What an application does with an event."""

    def __call__(self, event: PushedEvent, request: R_contra, /) -> Awaitable[object]:
        """Handle it; an error has it pushed again."""
        ...


class WebhookReceiver(Generic[R]):
    """Takes pushes: each event is handed over until it was handled once."""

    def __init__(self, handle: Handler[R], token: Token, seen: EventStore | None) -> None:
        self._handler = handle
        # An iterator would be used up by the first push.
        self._token = token if token is None or isinstance(token, str) else tuple(token)
        self._seen: EventStore = InMemoryEventStore() if seen is None else seen

    async def receive(
        self,
        request: R,
        headers: Mapping[str, str],
        body: AsyncIterable[bytes],
        query: str = "",
    ) -> int:
        """Return the HTTP status to answer with; raises what the handler raises.

        200 says that the event was handled, now or before. ClickPost pushes again what is answered
        otherwise.
        """
        try:
            event = webhooks.parse(
                await _read_bounded(body), headers, token=self._token, query=query
            )
        except webhooks.WebhookError as error:
            return error.http_status
        turn = await self._seen.begin(event.identity)
        if turn is Claim.GRANTED:
            await self._handle(event, request)
        return 503 if turn is Claim.BUSY else 200

    async def _handle(self, event: PushedEvent, request: R) -> None:
        succeeded = False
        try:
            await self._handler(event, request)
            succeeded = True
        finally:
            if not succeeded:
                # Also for a handler that is cancelled, where nothing else could be awaited.
                with anyio.move_on_after(_LETTING_GO, shield=True):
                    await self._seen.failed(event.identity)
        await self._seen.done(event.identity)


async def _read_bounded(body: AsyncIterable[bytes]) -> bytes:
    """Read a body no further than the largest push goes."""
    read = bytearray()
    async for part in body:
        read += part
        if len(read) > webhooks.LARGEST:
            break
    return bytes(read)
