"""The default connection: httpcore's, without httpcore's pool and httpx's objects.

Parsing the URL and normalising headers costs as much as the rest of a request, so httpcore gets
objects that are built once per server.
"""

import logging
from collections.abc import AsyncIterable
from functools import lru_cache
from typing import Any

import h11
import httpcore

from clickpost_async._http import tls
from clickpost_async._http.adapter import (
    HEADERS,
    JSON_HEADERS,
    BaseURL,
    HTTPRequest,
    SendProgress,
)
from clickpost_async._http.httpcore_stream import TrackingBackend
from clickpost_async._http.httpx_exceptions import drop_quoted_payload
from clickpost_async._http.response_reader import ResponseReader

_log = logging.getLogger("httpcore.http11")


class HTTPCoreConnection:
    """One of httpcore's HTTP/1.1 connections."""

    __slots__ = ("_authority", "_connection", "_origin", "_path", "backend")

    def __init__(self, base: BaseURL) -> None:
        scheme, host = base.scheme.encode("ascii"), base.host.encode("ascii")
        self._origin = httpcore.Origin(scheme, host, base.port)
        self._path = base.path
        self._authority = base.authority
        self.backend = TrackingBackend()
        self._connection = httpcore.AsyncHTTPConnection(
            origin=self._origin,
            ssl_context=tls.verifying_context() if base.scheme == "https" else None,
            network_backend=self.backend,
        )

    async def send(
        self, request: HTTPRequest, progress: SendProgress, reader: ResponseReader
    ) -> None:
        """Send a request and read its response."""
        self.backend.watch(progress, request.signature)
        response = await self._connection.handle_async_request(self._request(request))
        self._drop_locks()
        reader.begin(response.status, response.headers)
        stream = response.stream
        assert isinstance(stream, AsyncIterable)  # noqa: S101 - typed for both worlds
        async for chunk in stream:
            reader.feed(chunk)
        await response.aclose()

    def _drop_locks(self) -> None:
        """Replace httpcore's locks; if it has renamed them, requests only take longer."""
        connection: Any = self._connection
        connection._request_lock = _UNLOCKED  # noqa: SLF001
        http11 = getattr(connection, "_connection", None)
        if http11 is not None:
            http11._state_lock = _UNLOCKED  # noqa: SLF001

    def _request(self, request: HTTPRequest) -> httpcore.Request:
        body = request.body
        headers = _headers(self._authority, None if body is None else len(body))
        connect, write, read = request.limits
        extensions: dict[str, Any] = {
            "timeout": {"connect": connect, "write": write, "read": read, "pool": connect}
        }
        if _log.isEnabledFor(logging.DEBUG):
            extensions["trace"] = _trace_without_payload
        url = _URL(self._origin, (self._path + request.target).encode("ascii"))
        return _Request(request.method.encode("ascii"), url, headers, body, extensions)

    def is_reusable(self) -> bool:
        """Return whether the last response ended so that another request may follow."""
        if not self._connection.is_idle():
            return False
        # Bytes after the response would be taken for the next one.
        http11 = getattr(self._connection, "_connection", None)
        state = getattr(http11, "_h11_state", None)
        return state is None or not state.trailing_data[0]

    def is_stale(self) -> bool:
        """Return whether an idle connection was closed by the server, or has unexpected data."""
        return self._connection.has_expired()

    async def aclose(self) -> None:
        """Close at once; a request in flight fails."""
        # Not httpcore's own, which closes nothing while the connection is being opened.
        await self.backend.aclose()

    def abandon(self) -> None:
        """Close the socket of an event loop that is closed."""
        self.backend.abandon()


class _Unlocked:
    """In place of httpcore's locks: a request owns its connection, so nothing contends for them.

    Each request takes three, and each of them an iteration of the event loop.
    """

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, *_: object) -> None:
        pass


_UNLOCKED: Any = _Unlocked()


@lru_cache(maxsize=1024)
def _headers(authority: str, length: int | None) -> Any:
    """Return the headers of a request with a body of that length; h11 validates them only here."""
    headers = {"Host": authority, **HEADERS}
    if length is not None:
        headers |= {**JSON_HEADERS, "Content-Length": str(length)}
    return h11.Request(method="POST", target="/", headers=list(headers.items())).headers


async def _trace_without_payload(_: str, info: dict[str, Any]) -> None:
    drop_quoted_payload(info)


class _URL(httpcore.URL):
    """A URL built from its parts, with an origin that is computed once."""

    def __init__(self, origin: httpcore.Origin, target: bytes) -> None:
        self.scheme = origin.scheme
        self.host = origin.host
        self.port = origin.port
        self.target = target
        self._origin = origin

    @property
    def origin(self) -> httpcore.Origin:
        return self._origin


class _Request(httpcore.Request):
    """A request whose parts have httpcore's types already."""

    def __init__(
        self,
        method: bytes,
        url: httpcore.URL,
        headers: list[tuple[bytes, bytes]],
        body: bytes | None,
        extensions: dict[str, Any],
    ) -> None:
        self.method = method
        self.url = url
        self.headers = headers
        self.stream = _Body(body)
        self.extensions = extensions


class _Body:
    """A body in one piece, or none; it may be read more than once."""

    __slots__ = ("_left", "_whole")

    def __init__(self, body: bytes | None) -> None:
        self._whole = self._left = body

    def __aiter__(self) -> "_Body":
        self._left = self._whole
        return self

    async def __anext__(self) -> bytes:
        piece = self._left
        if piece is None:
            raise StopAsyncIteration
        self._left = None
        return piece
