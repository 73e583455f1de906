"""A client for each process of a Django project: `pip install 'clickpost_async[django]'`.

# settings.py; settings that are missing are read from the environment
CLICKPOST = {"USERNAME": "acme", "RATE": "10/1s", "WEBHOOK_TOKEN": TOKEN}
MIDDLEWARE = [..., "clickpost_async.integrations.django.ErrorMiddleware"]

# urls.py
urlpatterns = [path("hook", webhook(handle)), path("health", health), path("orders", place)]


# views.py
async def place(request):
    created = await get_clickpost().orders.create(json.loads(request.body))
    return JsonResponse({"waybill": created.waybill})

A view that is not async calls `async_to_sync(get_clickpost().orders.create)(order)`.
"""

import asyncio
import atexit
import inspect
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

from clickpost_async._util.extras import require
from clickpost_async.client import ClickPost
from clickpost_async.errors import ClickPostError
from clickpost_async.integrations._web import (
    Claim,
    EventStore,
    InMemoryEventStore,
    PushedEvent,
    Token,
    WebhookReceiver,
    is_ready,
    load_from,
    response_to,
)
from clickpost_async.settings import Hosts, is_switched_on

with require("this needs Django", "clickpost_async[django]"):
    from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
    from django.conf import settings
    from django.core.cache import caches
    from django.core.exceptions import ImproperlyConfigured
    from django.core.signals import setting_changed
    from django.http import HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
    from django.http.response import HttpResponseBase
    from django.views.decorators.csrf import csrf_exempt
    from django.views.decorators.http import require_POST

_NAME = "CLICKPOST"
# Each may be in the environment instead, prefixed with `CLICKPOST_`.
_VARIABLES = ("USERNAME", "API_KEY", "BASE_URL", "ALLOW_HTTP", "RATE")
_OTHERS = ("WEBHOOK_TOKEN", "OPTIONS")

_CHUNK = 64 * 1024

GetResponse = Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]


# --- the client -----------------------------------------------------------------------------------


class _Process:
    """The client of this process, created by the first thread that needs it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._client: ClickPost | None = None

    def client(self) -> ClickPost:
        if self._client is None:
            with self._lock:
                if self._client is None:
                    self._client = _make_client()
                    atexit.register(_close, self._client)
        return self._client

    def forget(self) -> None:
        """Drop the client, so that the next one uses changed settings; it is closed at exit."""
        self._client = None


def _close(client: ClickPost) -> None:
    # Closing may fail: the event loops that it was used on are closed already.
    with suppress(Exception):
        asyncio.run(client.aclose())


_process = _Process()


def get_clickpost() -> ClickPost:
    """Return the client of this process, created from the settings on first use.

    It serves all threads and event loops of the process, and is closed when the process ends.

    Raises:
        ImproperlyConfigured: The settings, or the environment, do not make a client.

    """
    return _process.client()


def _make_client() -> ClickPost:
    configured = _configured()
    options: dict[str, Any] = {
        "username": configured.get("USERNAME") or None,
        "api_key": configured.get("API_KEY") or None,
        "rate": configured.get("RATE") or None,
        **configured.get("OPTIONS", {}),
    }
    base_url = configured.get("BASE_URL") or None
    try:
        if is_switched_on(str(configured.get("ALLOW_HTTP"))):
            base_url = base_url or os.environ.get("CLICKPOST_BASE_URL")
            if base_url:
                options["hosts"] = Hosts.at(base_url, allow_http=True)
        else:
            options["base_url"] = base_url
        return ClickPost(**options)
    except (TypeError, ValueError) as error:
        raise ImproperlyConfigured(f"{_NAME}: {error}") from None


def _configured() -> Mapping[str, Any]:
    found: Mapping[str, Any] = getattr(settings, _NAME, {})
    known = (*_VARIABLES, *_OTHERS)
    unknown = sorted(found.keys() - {*known})
    if unknown:
        raise ImproperlyConfigured(
            f"{_NAME}: unknown settings {', '.join(unknown)}; known: {', '.join(known)}"
        )
    return found


def _settings_changed(*, setting: str, **_: Any) -> None:
    if setting == _NAME:
        _process.forget()


# `override_settings` in tests sends it.
setting_changed.connect(_settings_changed)


# --- errors ---------------------------------------------------------------------------------------


class ErrorMiddleware:
    """Turns a `ClickPostError` of a view, async or not, into an HTTP response.

    422 with the problems of an order, 409 for one that was rejected, 503 where nothing was sent,
    504 where the outcome is unknown, and 500 for the key or a courier's account; with `Retry-After`
    where the same request may be sent again. The body is JSON with the outcome and the reference
    number only.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response
        # Python 3.11's `inspect` does not recognise the functions that asgiref marks.
        if iscoroutinefunction(get_response):  # pyright: ignore[reportDeprecated]
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Pass the request on."""
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:  # noqa: ARG002 - Django's
        """Return the response to a `ClickPostError`; Django handles other exceptions.

        Args:
            request: The request; it is not used.
            exception: What the view raised.

        Returns:
            The response, or `None` for other exceptions.

        """
        if not isinstance(exception, ClickPostError):
            return None
        status, body, headers = response_to(exception)
        return JsonResponse(body, status=status, headers=dict(headers))


# --- probes ---------------------------------------------------------------------------------------


async def health(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - Django's
    """Liveness probe: responds with the client's load on this event loop; sends nothing."""
    return JsonResponse(load_from(get_clickpost()))


async def clickpost_health(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - Django's
    """Readiness probe: 200 if ClickPost responds within 5 s and accepts the key, otherwise 503.

    Every probe uses a call of the rate limit, so do not expose it to the public.
    """
    fine = await is_ready(get_clickpost())
    return JsonResponse({"ready": fine}, status=200 if fine else 503)


# --- webhooks -------------------------------------------------------------------------------------

EventHandler = Callable[[PushedEvent, HttpRequest], object]


def webhook(
    handle: EventHandler, *, token: Token = None, seen: EventStore | None = None
) -> Callable[..., Awaitable[HttpResponse]]:
    """Return a view for POST that receives ClickPost's webhooks and calls `handle` for each event.

    The response is 200 only after the event was handled: an exception of the handler goes to
    Django, and ClickPost pushes the event again.

    Args:
        handle: A coroutine function, or an ordinary one, which runs in a thread and may use the
            ORM.
        token: The webhook token, as in `webhooks.parse`; `None` is `WEBHOOK_TOKEN` of the settings.
        seen: The store of events that were handled; `None` stores the last 10,000 of this process.
            Several processes share `CacheEventStore()`.

    Raises:
        ImproperlyConfigured: There is no token.

    """
    token = _configured().get("WEBHOOK_TOKEN") if token is None else token
    if not token:
        raise ImproperlyConfigured(
            "no webhook token: pass the one set on ClickPost's dashboard as webhook(token=…) or as"
            f" {_NAME} = {{'WEBHOOK_TOKEN': …}}"
        )
    handler: Any = handle if inspect.iscoroutinefunction(handle) else sync_to_async(handle)
    receiver = WebhookReceiver[HttpRequest](handler, token, seen)

    @csrf_exempt
    @require_POST
    async def receive(request: HttpRequest) -> HttpResponse:
        try:
            status = await receiver.receive(
                request, _headers(request), _body(request), request.META.get("QUERY_STRING", "")
            )
        except UnreadablePostError:
            # The sender has disconnected.
            status = 400
        return HttpResponse(status=status)

    return receive


def _headers(request: HttpRequest) -> Mapping[str, str]:
    """Return the headers as received: under ASGI, Django drops those with an underscore.

    The header with ClickPost's token, `webhook_key`, has one.
    """
    scope: Mapping[str, Any] | None = getattr(request, "scope", None)
    if scope is None:
        return request.headers
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


async def _body(request: HttpRequest) -> AsyncIterator[bytes]:
    while chunk := request.read(_CHUNK):
        yield chunk


class CacheEventStore:
    """Stores in a Django cache which events were handled, for all processes that share it.

    Args:
        cache: The name of the cache in `CACHES`.
        busy: Seconds after which an event that was claimed and not finished may be claimed again.
        kept: Seconds for which a handled event is stored.

    """

    def __init__(self, cache: str = "default", *, busy: int = 600, kept: int = 30 * 86_400) -> None:
        self._cache = cache
        self._busy = busy
        self._kept = kept

    async def begin(self, identity: str) -> Claim:
        """Claim an event atomically, unless it is being handled or was handled."""
        cache, key = caches[self._cache], _key(identity)
        if await cache.aadd(key, "busy", self._busy):
            return Claim.GRANTED
        return Claim.DONE if await cache.aget(key) == "done" else Claim.BUSY

    async def done(self, identity: str) -> None:
        """Record that an event was handled."""
        await caches[self._cache].aset(_key(identity), "done", self._kept)

    async def failed(self, identity: str) -> None:
        """Release an event: its next push is handled."""
        await caches[self._cache].adelete(_key(identity))


def _key(identity: str) -> str:
    return f"clickpost:event:{identity}"


__all__ = [
    "CacheEventStore",
    "Claim",
    "ErrorMiddleware",
    "EventStore",
    "InMemoryEventStore",
    "PushedEvent",
    "clickpost_health",
    "get_clickpost",
    "health",
    "webhook",
]
