"""A pool of httpcore's connections under httpx's transport interface.

httpcore's own pool looks through all its connections and waiting calls at every event, which makes
a gather of thousands collapse, and it can lose slots to cancelled calls (encode/httpcore #1035,
#1093). Here a call owns its connection from the first byte to the last: it is taken off the pile of
idle ones or made new, and goes back only if its answer was read to the end. Nothing is looked
through, and there is no slot to lose: how many calls there are at once is the gate's business.
"""

import ssl
from collections.abc import AsyncIterable, AsyncIterator
from functools import cache
from typing import Any

import anyio
import certifi
import httpcore
import httpx

# Below the time after which servers commonly close idle connections (uvicorn 5 s, others more):
# a call written to a connection that is just being closed is a call nobody knows about.
_KEEP_ALIVE = 4.0

_Origin = tuple[bytes, bytes, int | None]


@cache
def verified() -> ssl.SSLContext:
    """Return the TLS settings for every connection: TLS 1.2 and up, certificates checked."""
    # Not create_default_context(), which writes the session's keys to SSLKEYLOGFILE.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context


class ScaledTransport(httpx.AsyncBaseTransport):
    """httpx's transport interface, flat in the number of calls; keep-alive, TLS, HTTP/1.1."""

    def __init__(self, *, verify: ssl.SSLContext | None = None) -> None:
        self._verify = verify
        self._idle: dict[_Origin, list[httpcore.AsyncHTTPConnection]] = {}
        self._busy: set[httpcore.AsyncHTTPConnection] = set()
        self._closed = False

    @property
    def connections(self) -> int:
        """How many connections there are, idle or not."""
        return len(self._busy) + sum(map(len, self._idle.values()))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request on a connection of its own."""
        url = request.url
        origin = (url.raw_scheme, url.raw_host, url.port)
        connection = await self._connection(origin)
        self._busy.add(connection)
        try:
            response = await connection.handle_async_request(
                httpcore.Request(
                    method=request.method,
                    url=httpcore.URL(
                        scheme=url.raw_scheme,
                        host=url.raw_host,
                        port=url.port,
                        target=url.raw_path,
                    ),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        except BaseException as error:
            await self._discard(connection)
            _reraise_as_httpx(error)
            raise
        return httpx.Response(
            status_code=response.status,
            headers=response.headers,
            stream=_Body(self, origin, connection, response),
            extensions=response.extensions,
        )

    async def _connection(self, origin: _Origin) -> httpcore.AsyncHTTPConnection:
        if self._closed:
            message = "the transport is closed"
            raise httpx.ConnectError(message)
        idle = self._idle.get(origin, [])
        while idle:
            connection = idle.pop()
            if not connection.has_expired():
                return connection
            await connection.aclose()
        scheme, host, port = origin
        return httpcore.AsyncHTTPConnection(
            origin=httpcore.Origin(scheme, host, port or (443 if scheme == b"https" else 80)),
            ssl_context=(self._verify or verified()) if scheme == b"https" else None,
            keepalive_expiry=_KEEP_ALIVE,
            # pyright reads httpcore's stand-in for a missing anyio.
            network_backend=httpcore.AnyIOBackend(),  # pyright: ignore[reportArgumentType]
        )

    async def release(self, origin: _Origin, connection: httpcore.AsyncHTTPConnection) -> None:
        """Take back a connection whose call has ended, one way or another."""
        if connection.is_idle() and not _has_more_to_say(connection) and not self._closed:
            self._busy.discard(connection)
            pile = self._idle.setdefault(origin, [])
            pile.append(connection)
            # The top is used again and again; what a busier time has left below it is closed.
            while len(pile) > 1 and pile[0].has_expired():
                await pile.pop(0).aclose()
        else:
            await self._discard(connection)

    async def _discard(self, connection: httpcore.AsyncHTTPConnection) -> None:
        self._busy.discard(connection)
        with anyio.CancelScope(shield=True):
            await connection.aclose()

    async def aclose(self) -> None:
        """Close all connections, also those in use."""
        self._closed = True
        connections = [*self._busy, *(one for pile in self._idle.values() for one in pile)]
        self._busy.clear()
        self._idle.clear()
        with anyio.CancelScope(shield=True):
            for connection in connections:
                await connection.aclose()


class _Body(httpx.AsyncByteStream):
    """An answer's body; closing it gives the connection back."""

    def __init__(
        self,
        pool: ScaledTransport,
        origin: _Origin,
        connection: httpcore.AsyncHTTPConnection,
        response: httpcore.Response,
    ) -> None:
        self._pool = pool
        self._origin = origin
        self._connection = connection
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        stream = self._response.stream
        assert isinstance(stream, AsyncIterable)  # noqa: S101 - httpcore types it for both worlds
        try:
            async for chunk in stream:
                yield chunk
        except Exception as error:
            _reraise_as_httpx(error)
            raise

    async def aclose(self) -> None:
        try:
            await self._response.aclose()
        finally:
            await self._pool.release(self._origin, self._connection)


def _has_more_to_say(connection: httpcore.AsyncHTTPConnection) -> bool:
    """Tell whether bytes came after the answer: they would be taken for the next call's answer."""
    http11 = getattr(connection, "_connection", None)
    wire = getattr(http11, "_h11_state", None)
    return wire is not None and bool(wire.trailing_data[0])


def _reraise_as_httpx(error: BaseException) -> None:
    """Raise what httpx's own transport would: its exceptions are named like httpcore's."""
    if not type(error).__module__.startswith("httpcore"):
        return
    kind: Any = getattr(httpx, type(error).__name__, None)
    if kind is not None:
        raise kind(str(error)) from error
