"""Access to the sandbox's page and control API: this machine only, no cross-site requests."""

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from clickpost_async.settings import is_loopback

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src"
        " 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

Endpoint = Callable[[Request], Awaitable[Response]]


def guard(endpoint: Endpoint) -> Endpoint:
    """Allow requests from this machine only, and add security headers."""

    async def guarded(request: Request) -> Response:
        refused = _refusal(request)
        response = JSONResponse({"error": refused}, 403) if refused else await endpoint(request)
        response.headers.update(_HEADERS)
        return response

    return guarded


def _refusal(request: Request) -> str | None:
    # DNS rebinding: another site's name may resolve to this machine; Host has that name then.
    if not is_loopback(request.url.hostname or ""):
        return "only this machine has access: call the sandbox at http://127.0.0.1"
    if request.method in ("GET", "HEAD"):
        return None
    names = ("host", "origin", "sec-fetch-site")
    host, origin, site = (request.headers.get(name) for name in names)
    # Programs send neither header, browsers at least one.
    if site not in (None, "same-origin") or (origin and urlsplit(origin).netloc != host):
        return "requests from the pages of other sites are not accepted"
    return None
