"""A client for the lifetime of a Starlette or FastAPI application: `pip install starlette`.

app = FastAPI(
    lifespan=lifespan(ClickPost), exception_handlers={ClickPostError: handle_error}
)
app.add_route("/health", health)
app.add_route("/hook", webhook(handle, token=TOKEN), methods=["POST"])


@app.post("/orders")
async def place(order: dict[str, Any], clickpost: Annotated[ClickPost, Depends(get_clickpost)]):
    created = await clickpost.orders.create(order)
    return {"waybill": created.waybill}

Starlette works the same way, with `await get_clickpost(request)` in place of `Depends`.
"""

from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from clickpost_async._util.extras import require
from clickpost_async.client import ClickPost
from clickpost_async.errors import ClickPostError
from clickpost_async.integrations._web import (
    Claim,
    EventStore,
    Handler,
    InMemoryEventStore,
    PushedEvent,
    Token,
    WebhookReceiver,
    is_ready,
    load_from,
    response_to,
)

with require("this needs Starlette, which FastAPI brings along", "starlette"):
    from starlette.requests import ClientDisconnect, HTTPConnection, Request
    from starlette.responses import JSONResponse, Response

_NAME = "clickpost"


def lifespan(
    client: Callable[[], AbstractAsyncContextManager[ClickPost]],
) -> Callable[[object], AbstractAsyncContextManager[dict[str, Any]]]:
    """Return a lifespan that opens a client at startup and closes it at shutdown.

    Every process, and every event loop, that serves the application has a separate client, opened
    by `client`. It is stored in the lifespan's state, which mounted applications share. A lifespan
    of your own enters this one, and yields its state together with yours.

    Args:
        client: Opens the client, such as `ClickPost`.

    Returns:
        The lifespan, for `FastAPI(lifespan=…)` or `Starlette(lifespan=…)`.

    """

    @asynccontextmanager
    async def opened(_app: object) -> AsyncGenerator[dict[str, Any], None]:
        async with client() as clickpost:
            yield {_NAME: clickpost}

    return opened


async def get_clickpost(connection: HTTPConnection) -> ClickPost:
    """Return the application's client; also for `Depends`.

    Args:
        connection: A request or a WebSocket.

    Raises:
        RuntimeError: The application has no lifespan that opens one.

    """
    found: ClickPost | None = getattr(connection.state, _NAME, None)
    if found is None:
        message = (
            "the application has no client: make it with lifespan=lifespan(ClickPost),"
            " and let a lifespan of your own yield the state that this one yields"
        )
        raise RuntimeError(message)
    return found


async def handle_error(request: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette's
    """Return the response to a `ClickPostError`.

    Pass it as `exception_handlers={ClickPostError: handle_error}`. 422 with the problems of an
    order, 409 for one that was rejected, 503 where nothing was sent, 504 where the outcome is
    unknown, and 500 for the key or a courier's account; with `Retry-After` where the same request
    may be sent again. The body is JSON with the outcome and the reference number only.

    Args:
        request: The request; it is not used.
        error: The error.

    Returns:
        The response.

    """
    if not isinstance(error, ClickPostError):
        raise error
    status, body, headers = response_to(error)
    return JSONResponse(body, status, headers)


async def health(request: Request) -> Response:
    """Liveness probe: responds with the client's load on this event loop; sends nothing."""
    return JSONResponse(load_from(await get_clickpost(request)))


async def clickpost_health(request: Request) -> Response:
    """Readiness probe: 200 if ClickPost responds within 5 s and accepts the key, otherwise 503.

    Every probe uses a call of the rate limit, so do not expose it to the public.
    """
    fine = await is_ready(await get_clickpost(request))
    return JSONResponse({"ready": fine}, 200 if fine else 503)


def webhook(
    handle: Handler[Request], *, token: Token, seen: EventStore | None = None
) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    """Return an endpoint for POST that receives ClickPost's webhooks.

    The response is 200 only after the event was handled: an exception of the handler goes to the
    application, and ClickPost pushes the event again.

    Args:
        handle: Is awaited with each event and the request.
        token: The webhook token, as in `webhooks.parse`.
        seen: The store of events that were handled; `None` stores the last 10,000 of this process.

    """
    receiver = WebhookReceiver(handle, token, seen)

    async def receive(request: Request) -> Response:
        try:
            status = await receiver.receive(
                request, request.headers, request.stream(), request.url.query
            )
        except ClientDisconnect:
            # The sender has disconnected.
            status = 400
        return Response(status_code=status)

    return receive


__all__ = [
    "Claim",
    "EventStore",
    "Handler",
    "InMemoryEventStore",
    "PushedEvent",
    "clickpost_health",
    "get_clickpost",
    "handle_error",
    "health",
    "lifespan",
    "webhook",
]
