"""A client for the length of an application on Starlette or FastAPI: `pip install starlette`.

app = FastAPI(
    lifespan=lifespan(ClickPost), exception_handlers={ClickPostError: answer_error}
)
app.add_route("/health", health)
app.add_route("/hook", webhook(handle, token=TOKEN), methods=["POST"])


@app.post("/orders")
async def place(order: dict[str, Any], clickpost: Annotated[ClickPost, Depends(get_clickpost)]):
    created = await clickpost.orders.create(order)
    return {"waybill": created.waybill}

In Starlette all of it is the same, with `await get_clickpost(request)` in place of `Depends`.
"""

from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

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

try:
    from starlette.requests import ClientDisconnect, HTTPConnection, Request
    from starlette.responses import JSONResponse, Response
except ImportError as _missing:
    message = "this needs Starlette, which FastAPI brings along: pip install starlette"
    raise ImportError(message) from _missing

_NAME = "clickpost"


def lifespan(
    client: Callable[[], AbstractAsyncContextManager[ClickPost]],
) -> Callable[[object], AbstractAsyncContextManager[dict[str, Any]]]:
    """Return a lifespan that opens a client when the application starts, and closes it at its end.

    Every process, and every event loop, that serves the application has a client of its own, opened
    by `client`. It travels in the lifespan's state, which mounted applications see as well. A
    lifespan of your own enters this one, and hands its state on with yours.
    """

    @asynccontextmanager
    async def opened(_app: object) -> AsyncGenerator[dict[str, Any], None]:
        async with client() as clickpost:
            yield {_NAME: clickpost}

    return opened


async def get_clickpost(connection: HTTPConnection) -> ClickPost:
    """Return the application's client, for a request or a WebSocket; as it is, or by `Depends`.

    Raises `RuntimeError` if the application has no lifespan that opens one.
    """
    found: ClickPost | None = getattr(connection.state, _NAME, None)
    if found is None:
        message = (
            "the application has no client: make it with lifespan=lifespan(ClickPost),"
            " and let a lifespan of your own hand on the state that this one gives"
        )
        raise RuntimeError(message)
    return found


async def answer_error(request: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette's
    """Answer a `ClickPostError`, as `exception_handlers={ClickPostError: answer_error}`.

    422 with the problems of an order, 409 for one that was rejected, 503 where nothing was sent,
    504 where nobody knows, and 500 for the key or a courier's account; with `Retry-After` where the
    same request may come again. It says the outcome and the reference number, and no more.
    """
    if not isinstance(error, ClickPostError):
        raise error
    status, body, headers = response_to(error)
    return JSONResponse(body, status, headers)


async def health(request: Request) -> Response:
    """Answer that the application lives, and how busy its client is; nobody is asked."""
    return JSONResponse(load_from(await get_clickpost(request)))


async def clickpost_health(request: Request) -> Response:
    """Ask ClickPost itself: 200 if it answers within 5 s and takes the key, otherwise 503.

    Every question costs a call of the rate, so it is not for strangers.
    """
    fine = await is_ready(await get_clickpost(request))
    return JSONResponse({"answers": fine}, 200 if fine else 503)


def webhook(
    handle: Handler[Request], *, token: Token, seen: EventStore | None = None
) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    """Return an endpoint for POST that takes ClickPost's pushes and awaits `handle` for each event.

    `token` is as `webhooks.parse` has it. `seen` remembers which events were handled; without one,
    the last 10,000 of this process are. A push is answered with 200 only once its event was
    handled: an error of the handler goes to the application, and the event is pushed again.
    """
    receiver = WebhookReceiver(handle, token, seen)

    async def receive(request: Request) -> Response:
        try:
            status = await receiver.receive(
                request, request.headers, request.stream(), request.url.query
            )
        except ClientDisconnect:
            # Nobody hears it.
            status = 400
        return Response(status_code=status)

    return receive


__all__ = [
    "Claim",
    "EventStore",
    "Handler",
    "InMemoryEventStore",
    "PushedEvent",
    "answer_error",
    "clickpost_health",
    "get_clickpost",
    "health",
    "lifespan",
    "webhook",
]
