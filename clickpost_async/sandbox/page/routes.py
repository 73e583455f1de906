"""Where the page, its files and its news are found."""

import json
from collections.abc import AsyncGenerator, Callable, Sequence
from functools import cache

import anyio
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Route

from clickpost_async.sandbox.control import SandboxControl
from clickpost_async.sandbox.http.security import guard

# So often a window is looked through for news; and at least so much longer than that takes.
_EVERY = 0.1
_REST = 5
# A browser that has gone is noticed by writing to it.
_HEARTBEAT = 10.0
_FILES = {
    "page.css": "text/css",
    "page.js": "text/javascript",
    "favicon.svg": "image/svg+xml",
}


def routes(control: SandboxControl, export_lines: Callable[[str], Sequence[str]]) -> list[Route]:
    """Return the routes of the page; `export_lines` of a base URL are shown while it is empty."""

    async def index(request: Request) -> Response:
        from clickpost_async.sandbox.page.stream import environment

        api = f"{request.url.scheme}://{request.url.netloc}/api"
        template = environment().get_template("index.html")
        return HTMLResponse(template.render(api=api, exports=export_lines(api)))

    async def news(request: Request) -> Response:
        asked = request.query_params
        stream = _stream(
            control,
            search=asked.get("search", ""),
            shown=asked.get("shown", ""),
            persons=asked.get("persons") == "1",
        )
        return StreamingResponse(stream, media_type="text/event-stream")

    async def file(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in _FILES:
            return Response(status_code=404)
        return Response(_content(name), media_type=_FILES[name])

    async def icon(_: Request) -> Response:
        return Response(_content("favicon.svg"), media_type=_FILES["favicon.svg"])

    return [
        Route("/", guard(index)),
        Route("/favicon.ico", guard(icon)),
        Route("/page/news", guard(news)),
        Route("/page/{name}", guard(file)),
    ]


async def _stream(
    control: SandboxControl, *, search: str, shown: str, persons: bool
) -> AsyncGenerator[str, None]:
    from clickpost_async.sandbox.page.stream import PageStream, ViewOptions, environment

    window = PageStream(
        control, environment(), ViewOptions(search=search, shown=shown, persons=persons)
    )
    silent_since = anyio.current_time()
    while True:
        began = anyio.current_time()
        news = window.news()
        if news is not None:
            yield f"data: {json.dumps(news, separators=(',', ':'))}\n\n"
            silent_since = began
        elif began - silent_since > _HEARTBEAT:
            yield ": still here\n\n"
            silent_since = began
        took = anyio.current_time() - began
        await anyio.sleep(max(_EVERY, _REST * took))


@cache
def _content(name: str) -> bytes:
    from clickpost_async.sandbox.page.stream import FOLDER

    return (FOLDER / name).read_bytes()
