"""A client for the length of an application on Litestar: `pip install litestar`.

app = Litestar(
    [place, webhook("/hook", handle, token=TOKEN)],
    lifespan=[lifespan(ClickPost)],
    dependencies={"clickpost": Provide(get_clickpost)},
    exception_handlers={ClickPostError: answer_error},
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

try:
    from litestar import Litestar, MediaType, Request, Response, post
    from litestar.datastructures import State
    from litestar.handlers import HTTPRouteHandler
except ImportError as _missing:
    message = "this needs Litestar: pip install litestar"
    raise ImportError(message) from _missing

_NAME = "clickpost"


def lifespan(
    client: Callable[[], AbstractAsyncContextManager[ClickPost]],
) -> Callable[[Litestar], AbstractAsyncContextManager[None]]:
    """Return a lifespan that opens a client when the application starts, and closes it at its end.

    Every process that serves the application has a client of its own, opened by `client`.
    """

    @asynccontextmanager
    async def opened(app: Litestar) -> AsyncGenerator[None, None]:
        async with client() as clickpost:
            app.state[_NAME] = clickpost
            yield

    return opened


async def get_clickpost(state: State) -> ClickPost:
    """Return the application's client, as `Provide(get_clickpost)` has it.

    Raises `RuntimeError` if the application has no lifespan that opens one.
    """
    found: ClickPost | None = state.get(_NAME)
    if found is None:
        message = "the application has no client: give it lifespan=[lifespan(ClickPost)]"
        raise RuntimeError(message)
    return found


def answer_error(_request: Request[Any, Any, Any], error: ClickPostError) -> Response[Any]:
    """Answer a `ClickPostError`, as `exception_handlers={ClickPostError: answer_error}`.

    It answers as `clickpost_async.integrations.starlette.answer_error` does.
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
    """Return a route that takes ClickPost's pushes and awaits `handle` for each event.

    It takes them as `clickpost_async.integrations.starlette.webhook` does.
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
    "answer_error",
    "get_clickpost",
    "lifespan",
    "webhook",
]
