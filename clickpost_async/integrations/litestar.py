"""A client for the lifetime of a Litestar application: `pip install litestar`.

app = Litestar(
    [place, webhook("/hook", handle, token=TOKEN)],
    lifespan=[lifespan(ClickPost)],
    dependencies={"clickpost": Provide(get_clickpost)},
    exception_handlers={ClickPostError: handle_error},
)


@post("/orders")
async def place(
    data: JSONBody[dict[str, Any]], clickpost: NamedDependency[ClickPost]
) -> dict[str, Any]:
    created = await clickpost.orders.create(data)
    return {"waybill": created.waybill}
"""

from collections.abc import AsyncGenerator, Callable
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
    response_to,
)

with require("this needs Litestar", "litestar"):
    from litestar import Litestar, MediaType, Request, Response, post
    from litestar.datastructures import State
    from litestar.handlers import HTTPRouteHandler

_NAME = "clickpost"


def lifespan(
    client: Callable[[], AbstractAsyncContextManager[ClickPost]],
) -> Callable[[Litestar], AbstractAsyncContextManager[None]]:
    """Return a lifespan that opens a client at startup and closes it at shutdown.

    Every process that serves the application has a separate client, opened by `client`.

    Args:
        client: Opens the client, such as `ClickPost`.

    Returns:
        The lifespan, for `Litestar(lifespan=[…])`.

    """

    @asynccontextmanager
    async def opened(app: Litestar) -> AsyncGenerator[None, None]:
        async with client() as clickpost:
            app.state[_NAME] = clickpost
            yield

    return opened


async def get_clickpost(state: State) -> ClickPost:
    """Return the application's client, for `Provide(get_clickpost)`.

    Args:
        state: The application's state.

    Raises:
        RuntimeError: The application has no lifespan that opens one.

    """
    found: ClickPost | None = state.get(_NAME)
    if found is None:
        message = "the application has no client: give it lifespan=[lifespan(ClickPost)]"
        raise RuntimeError(message)
    return found


def handle_error(_request: Request[Any, Any, Any], error: ClickPostError) -> Response[Any]:
    """Return the response to a `ClickPostError`.

    Pass it as `exception_handlers={ClickPostError: handle_error}`; status and body are those of
    `clickpost_async.integrations.starlette.handle_error`.

    Args:
        _request: The request; it is not used.
        error: The error.

    Returns:
        The response.

    """
    status, body, headers = response_to(error)
    return Response(body, status_code=status, headers=headers, media_type=MediaType.JSON)


def webhook(
    path: str,
    handle: Handler[Request[Any, Any, Any]],
    *,
    token: Token,
    seen: EventStore | None = None,
) -> HTTPRouteHandler:
    """Return a route that receives ClickPost's webhooks.

    The response is 200 only after the event was handled: an exception of the handler goes to the
    application, and ClickPost pushes the event again.

    Args:
        path: The route's path.
        handle: Is awaited with each event and the request.
        token: The webhook token, as in `webhooks.parse`.
        seen: The store of events that were handled; `None` stores the last 10,000 of this process.

    """
    receiver = WebhookReceiver(handle, token, seen)

    @post(path, status_code=200, include_in_schema=False)
    async def receive(request: Request[Any, Any, Any]) -> Response[None]:
        status = await receiver.receive(
            request, request.headers, request.stream(), request.url.query
        )
        return Response(None, status_code=status)

    return receive


__all__ = [
    "Claim",
    "EventStore",
    "Handler",
    "InMemoryEventStore",
    "PushedEvent",
    "get_clickpost",
    "handle_error",
    "lifespan",
    "webhook",
]
