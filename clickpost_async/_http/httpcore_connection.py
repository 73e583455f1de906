"""The default connection: httpcore's, without httpcore's pool and httpx's objects.

Parsing the URL and normalising headers costs as much as the rest of a request, so httpcore gets
objects that are built once per server. It opens a connection and makes the first request on it;
then `_Exchange` takes its place, which drives h11 alike.
"""

import logging
from collections.abc import AsyncIterable
from contextlib import suppress
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

_SWITCHING = 101
_READ_BYTES = 2**16


class HTTPCoreConnection:
    """One of httpcore's HTTP/1.1 connections."""

    __slots__ = ("_authority", "_connection", "_exchange", "_origin", "_path", "backend")

    def __init__(self, base: BaseURL) -> None:
        scheme, host = base.scheme.encode("ascii"), base.host.encode("ascii")
        self._origin = httpcore.Origin(scheme, host, base.port)
        self._path = base.path
        self._authority = base.authority
        self.backend = TrackingBackend()
        self._exchange: _Exchange | None = None
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
        reader.begin(response.status, response.headers)
        stream = response.stream
        assert isinstance(stream, AsyncIterable)  # noqa: S101 - typed for both worlds
        async for chunk in stream:
            reader.feed(chunk)
        await response.aclose()
        if self._exchange is None and not _log.isEnabledFor(logging.DEBUG):
            self._replace_exchange()

    def _replace_exchange(self) -> None:
        """Replace httpcore's own; if it has renamed its parts, requests only take longer."""
        connection: Any = self._connection
        http11 = getattr(connection, "_connection", None)
        stream = getattr(http11, "_network_stream", None)
        state = getattr(http11, "_h11_state", None)
        if stream is not None and state is not None and self._connection.is_idle():
            self._exchange = _Exchange(stream, state)
            connection._connection = self._exchange  # noqa: SLF001 - nothing public replaces it
            connection._request_lock = _UNLOCKED  # noqa: SLF001 - as above

    def _request(self, request: HTTPRequest) -> httpcore.Request:
        body = request.body
        headers = _headers(self._authority, None if body is None else len(body))
        extensions: dict[str, Any] = {"timeout": request.timeouts.as_extension()}
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


class _Exchange:
    """Requests and responses of one connection, in place of httpcore's `AsyncHTTP11Connection`.

    That one takes locks, context managers for its log and for every exception, and three
    asynchronous generators, as long as h11 does. A request owns its connection here, and the pool
    closes the connection of a request that fails.
    """

    def __init__(self, stream: httpcore.AsyncNetworkStream, state: h11.Connection) -> None:
        self._stream = stream
        # Under httpcore's name, by which `is_reusable` reads it.
        self._h11_state = state
        self._is_idle = True

    async def handle_async_request(self, request: "_Request") -> "_Response":
        """Send a request, and read the head of its response; raises what httpcore's own does."""
        self._is_idle = False
        state = self._h11_state
        timeouts = request.extensions["timeout"]
        try:
            head = h11.Request(
                method=request.method, target=request.url.target, headers=request.headers
            )
            data = state.send(head) or b""
            if request.body is not None:
                data += state.send(h11.Data(data=request.body)) or b""
            data += state.send(h11.EndOfMessage()) or b""
        except h11.LocalProtocolError as error:
            raise httpcore.LocalProtocolError(error) from error
        # A server may respond to a request that it has not read to its end.
        with suppress(httpcore.WriteError):
            await self._stream.write(data, timeout=timeouts["write"])
        read_timeout = timeouts["read"]
        while True:
            event = await self.receive(read_timeout)
            if isinstance(event, h11.Response) or (
                isinstance(event, h11.InformationalResponse) and event.status_code == _SWITCHING
            ):
                return _Response(self, event, read_timeout)

    async def receive(self, timeout: float) -> Any:
        """Return the next event of h11."""
        state = self._h11_state
        while True:
            try:
                event = state.next_event()
            except h11.RemoteProtocolError as error:
                raise httpcore.RemoteProtocolError(error) from error
            if event is not h11.NEED_DATA:
                return event
            data = await self._stream.read(_READ_BYTES, timeout=timeout)
            if not data and state.their_state is h11.SEND_RESPONSE:
                message = "Server disconnected without sending a response."
                raise httpcore.RemoteProtocolError(message)
            state.receive_data(data)

    def end(self) -> None:
        """Prepare for the next request, if there can be one."""
        state = self._h11_state
        if state.our_state is h11.DONE and state.their_state is h11.DONE:
            state.start_next_cycle()
            self._is_idle = True

    def is_idle(self) -> bool:
        """Return whether another request may be sent."""
        return self._is_idle

    def has_expired(self) -> bool:
        """Return whether an idle connection was closed by the server, or has unexpected data."""
        return self._is_idle and bool(self._stream.get_extra_info("is_readable"))


class _Response:
    """The head of a response, and its body as a stream."""

    __slots__ = ("_exchange", "_timeout", "headers", "status")

    def __init__(
        self, exchange: _Exchange, head: h11.Response | h11.InformationalResponse, timeout: float
    ) -> None:
        self._exchange = exchange
        self._timeout = timeout
        self.status = head.status_code
        self.headers = head.headers.raw_items()

    @property
    def stream(self) -> AsyncIterable[bytes]:
        return self

    def __aiter__(self) -> "_Response":
        return self

    async def __anext__(self) -> bytes:
        event = await self._exchange.receive(self._timeout)
        if isinstance(event, h11.Data):
            return bytes(event.data)
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Let the next request follow."""
        self._exchange.end()


class _Unlocked:
    """In place of httpcore's lock: a request owns its connection, so nothing contends for it.

    It takes an iteration of the event loop.
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
        self.body = body
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
