"""The routes of the page, its files and its updates."""

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response, StreamingResponse
from starlette.routing import Route

from clickpost_async.sandbox.control import SandboxControl
from clickpost_async.sandbox.http.security import guard

if TYPE_CHECKING:
    from clickpost_async.sandbox.page.stream import PageStream

# Seconds between two updates, and the least multiple of the time that one takes.
_EVERY = 0.1
_REST = 5
# Seconds. A browser that disconnected is noticed by writing to it.
_HEARTBEAT = 10.0
_FOLDER = Path(__file__).parent


def routes(control: SandboxControl) -> list[Route]:
    """Return the routes of the page."""

    async def index(request: Request) -> Response:
        from clickpost_async.sandbox.page.stream import environment

        return HTMLResponse(environment().get_template("index.html").render(api=_api(request)))

    async def news(request: Request) -> Response:
        from clickpost_async.sandbox.page.stream import PageStream, ViewOptions

        query = request.query_params
        names = ("search", "shown", "tab", "persons")
        options = ViewOptions(**{name: query[name] for name in names if name in query})
        page = PageStream(control, options, _api(request))
        return StreamingResponse(_events(page), media_type="text/event-stream")

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


async def _events(page: "PageStream") -> AsyncGenerator[str, None]:
    sent_at = anyio.current_time()
    while True:
        began = anyio.current_time()
        news = page.news()
        if news is not None:
            yield f"data: {json.dumps(news)}\n\n"
            sent_at = began
        elif began - sent_at > _HEARTBEAT:
            yield ": heartbeat\n\n"
            sent_at = began
        took = anyio.current_time() - began
        await anyio.sleep(max(_EVERY, _REST * took))
