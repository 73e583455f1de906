"""The routes of the page, its files and its updates."""

import json
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response, StreamingResponse
from starlette.routing import Route

from clickpost_async.sandbox.control import SandboxControl
from clickpost_async.sandbox.http.security import guard

# Seconds between two updates, and the least multiple of the time that one takes.
_EVERY = 0.1
_REST = 5
# Seconds. A browser that disconnected is noticed by writing to it.
_HEARTBEAT = 10.0
_FOLDER = Path(__file__).parent


def routes(control: SandboxControl) -> list[Route]:
    """Return the routes of the page."""

    async def index(request: Request) -> Response:
        from clickpost_async.sandbox.page.view import environment

        return HTMLResponse(environment().get_template("index.html").render(api=_api(request)))

    async def news(request: Request) -> Response:
        events = _events(control, _api(request), dict(request.query_params))
        return StreamingResponse(events, media_type="text/event-stream")

    return [
        Route("/", guard(index)),
        Route("/page/news", guard(news)),
        _file("/favicon.ico", "favicon.svg"),
        *(_file(f"/page/{name}", name) for name in ("page.css", "page.js", "favicon.svg")),
    ]


def _api(request: Request) -> str:
    return f"{request.url.scheme}://{request.url.netloc}/api"


def _file(path: str, name: str) -> Route:
    async def file(_: Request) -> Response:
        return FileResponse(_FOLDER / name)

    return Route(path, guard(file))


async def _events(
    control: SandboxControl, api: str, query: dict[str, str]
) -> AsyncGenerator[str, None]:
    """Send the page anew whenever anything has changed.

    No events are kept for a browser: one that is slow to read misses states in between, and costs
    no memory.
    """
    from clickpost_async.sandbox.page.view import View, render

    texts = {name: query[name] for name in ("search", "shown", "tab") if name in query}
    view = View(**texts, persons=query.get("persons") == "1")
    seen: object = None
    sent_at = anyio.current_time()
    while True:
        began = anyio.current_time()
        changes = control.changes()
        if changes != seen:
            yield f"data: {json.dumps(render(control, view, api))}\n\n"
            seen, sent_at = changes, began
        elif began - sent_at > _HEARTBEAT:
            yield ": heartbeat\n\n"
            sent_at = began
        took = anyio.current_time() - began
        await anyio.sleep(max(_EVERY, _REST * took))
