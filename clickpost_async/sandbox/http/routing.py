"""Routes calls to operations, as Django does with trailing slashes, and to files."""

import re
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from clickpost_async.sandbox.operation import Operation, Reply
from clickpost_async.settings import Host

_NOT_FOUND = Reply("Not Found", 404)

_DOUBLED = re.compile(r"//+api/|/api/(/|.*//)").match

Responder = Callable[[Operation, Scope, Receive, Send], Awaitable[None]]

S = TypeVar("S")


def router(operations: Iterable[Operation], respond: Responder, others: Iterable[Route]) -> ASGIApp:
    """Return a router that matches operations by their exact path, trailing slash included."""
    routes_by_path: dict[str, dict[str, Operation]] = {}
    for handled in operations:
        endpoint = handled.endpoint
        # The documentation has the proofs of delivery outside of `/api`.
        for root in ("/api", "") if endpoint.host is Host.PROOF else ("/api",):
            routes_by_path.setdefault(root + endpoint.path, {})[endpoint.method] = handled

    async def not_found(scope: Scope, receive: Receive, send: Send) -> None:
        # Django in production sends every method to the path with the slash.
        path = scope["path"] + "/"
        response = _NOT_FOUND.response()
        if path in routes_by_path:
            query = scope["query_string"].decode("latin-1")
            response = RedirectResponse(f"{path}?{query}" if query else path, 301)
        await response(scope, receive, send)

    async def find(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _DOUBLED(scope["path"]):
            # A client that joins a base with its slash to a path with another one.
            scope = {**scope, "path": re.sub("/{2,}", "/", scope["path"])}
        methods = routes_by_path.get(scope["path"]) if scope["type"] == "http" else None
        if methods is None:
            await other_routes(scope, receive, send)
        elif handled := methods.get(scope["method"]):
            await respond(handled, scope, receive, send)
        else:
            detail = f'Method "{scope["method"]}" not allowed.'
            allowed = {"Allow": ", ".join(sorted(methods))}
            await Reply({"detail": detail}, 405, allowed).response()(scope, receive, send)

    other_routes = Router(list(others), redirect_slashes=False, default=not_found)
    return find


def files_at(state: S, path: str, file: Callable[[S, str], bytes | None], media_type: str) -> Route:
    """Return a route to files, which are served to anyone who knows their name, as by S3."""

    async def serve(request: Request) -> Response:
        content = file(state, request.path_params["name"])
        if content is None:
            return _NOT_FOUND.response()
        return Response(content, media_type=media_type)

    return Route(path, serve)
