"""The default wire: a pool of httpcore's connections, without httpcore's pool.

That one looks through all its connections and waiting calls at every event, which makes a gather of
thousands collapse, and it can lose slots to cancelled calls (encode/httpcore #1035, #1093). Here a
call owns its connection from the first byte to the last: it is taken off the pile of idle ones or
made new, and goes back only if its answer was read to the end. Nothing is looked through, and there
is no slot to lose: how many calls there are at once is the gate's business.

Nor are there objects of httpx in between: a URL that is parsed, and headers that are looked up, for
every call cost as much as the call itself.
"""

import logging
import ssl
from collections.abc import AsyncIterable
from typing import Any

import anyio
import httpcore

from clickpost_async._http import tls
from clickpost_async._http.adapter import (
    HEADERS,
    JSON_HEADERS,
    KEEP_ALIVE,
    BaseURL,
    HTTPRequest,
    SendProgress,
)
from clickpost_async._http.httpcore_stream import StaleConnectionError, TrackingBackend
from clickpost_async._http.httpx_exceptions import drop_quoted_payload, failure_of
from clickpost_async._http.response_reader import ResponseReader
from clickpost_async.errors import FailureKind, NotSentError

_log = logging.getLogger("httpcore.http11")


class HTTPCorePool:
    """Connections of one event loop: keep-alive, TLS, HTTP/1.1; flat in the number of calls."""

    def __init__(self) -> None:
        self._servers: dict[BaseURL, _Origin] = {}
        self._busy: set[_PooledConnection] = set()
        self._closed = False

    @property
    def connections(self) -> int:
        """How many connections there are, idle or not."""
        return len(self._busy) + sum(len(server.idle) for server in self._servers.values())

    def failure_of(self, error: Exception) -> FailureKind:
        """Sort an exception of httpcore, or of what stands in for it in a test."""
        return failure_of(error)

    async def send(self, call: HTTPRequest, progress: SendProgress, answer: ResponseReader) -> None:
        """Send a call on a connection of its own."""
        server = self._servers.get(call.base)
        if server is None:
            server = self._servers[call.base] = _Origin(call.base)
        while True:
            link = await self._connection_for(server)
            try:
                await self._send(call, server, link, progress, answer)
            except StaleConnectionError:
                continue
            return

    async def _send(
        self,
        call: HTTPRequest,
        server: "_Origin",
        link: "_PooledConnection",
        progress: SendProgress,
        answer: ResponseReader,
    ) -> None:
        self._busy.add(link)
        link.tap.watch(progress, call.signature)
        try:
            response = await link.connection.handle_async_request(server.request(call))
            answer.begin(response.status, response.headers)
            stream = response.stream
            assert isinstance(stream, AsyncIterable)  # noqa: S101 - typed for both worlds
            async for chunk in stream:
                answer.feed(chunk)
            await response.aclose()
        except BaseException:
            await self._discard(link)
            raise
        await self._release(server, link)

    async def _connection_for(self, server: "_Origin") -> "_PooledConnection":
        if self._closed:
            message = "the connections are closed"
            raise NotSentError(message)
        while server.idle:
            link = server.idle.pop()
            if not link.connection.has_expired():
                return link
            await link.connection.aclose()
        secure = server.origin.scheme == b"https"
        return _PooledConnection(server.origin, tls.verifying_context() if secure else None)

    async def _release(self, server: "_Origin", link: "_PooledConnection") -> None:
        """Take back a connection whose call has ended well."""
        if self._closed or not link.connection.is_idle() or link.has_trailing_data():
            await self._discard(link)
            return
        self._busy.discard(link)
        idle = server.idle
        idle.append(link)
        # The top is used again and again; what a busier time has left below it is closed.
        while len(idle) > 1 and idle[0].connection.has_expired():
            await idle.pop(0).connection.aclose()

    async def _discard(self, link: "_PooledConnection") -> None:
        self._busy.discard(link)
        with anyio.CancelScope(shield=True):
            await link.connection.aclose()

    async def aclose(self) -> None:
        """Close all connections, also those in use."""
        with anyio.CancelScope(shield=True):
            for link in self._acquire():
                await link.connection.aclose()

    def abandon(self) -> None:
        """Close the sockets of an event loop that is closed."""
        for link in self._acquire():
            link.tap.abandon()

    def _acquire(self) -> "list[_PooledConnection]":
        self._closed = True
        links = [*self._busy, *(link for server in self._servers.values() for link in server.idle)]
        self._busy.clear()
        self._servers.clear()
        return links


class _PooledConnection:
    """One connection, and who tells how far its call has got."""

    __slots__ = ("connection", "tap")

    def __init__(self, origin: httpcore.Origin, context: ssl.SSLContext | None) -> None:
        self.tap = TrackingBackend()
        self.connection = httpcore.AsyncHTTPConnection(
            origin=origin,
            ssl_context=context,
            keepalive_expiry=KEEP_ALIVE,
            network_backend=self.tap,
        )

    def has_trailing_data(self) -> bool:
        """Tell whether bytes came after the answer: they would be taken for the next call's."""
        http11 = getattr(self.connection, "_connection", None)
        wire = getattr(http11, "_h11_state", None)
        return wire is not None and bool(wire.trailing_data[0])


class _Origin:
    """What all calls to one base have in common, and the connections that wait for the next."""

    __slots__ = ("_headers", "_json_headers", "_path", "idle", "origin")

    def __init__(self, base: BaseURL) -> None:
        scheme, host = base.scheme.encode("ascii"), base.host.encode("ascii")
        self.origin = httpcore.Origin(scheme, host, base.port)
        self.idle: list[_PooledConnection] = []
        self._path = base.path
        self._headers = _raw({"Host": base.authority, **HEADERS})
        self._json_headers = _raw({"Host": base.authority, **JSON_HEADERS})

    def request(self, call: HTTPRequest) -> httpcore.Request:
        """Write a call as httpcore wants it."""
        body = call.body
        headers = self._headers
        if body is not None:
            headers = [*self._json_headers, (b"Content-Length", b"%d" % len(body))]
        connect, write, read = call.limits
        extensions: dict[str, Any] = {
            "timeout": {"connect": connect, "write": write, "read": read, "pool": connect}
        }
        if _log.isEnabledFor(logging.DEBUG):
            extensions["trace"] = _trace_without_payload
        url = _URL(self.origin, (self._path + call.target).encode("ascii"))
        return _Request(call.method.encode("ascii"), url, headers, body, extensions)


def _raw(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("ascii"), value.encode("ascii")) for name, value in headers.items()]


async def _trace_without_payload(_: str, info: dict[str, Any]) -> None:
    drop_quoted_payload(info)


class _URL(httpcore.URL):
    """A URL whose parts are known, and whose origin is not made anew at every question."""

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
    """A request whose parts are of the right types already."""

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
