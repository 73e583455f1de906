"""aiohttp as a wire, on asyncio alone: what costs least.

It has no timeout for writing: a server that stops reading is given up when the time for the whole
attempt is over. Else it is held to what the other wires do: nothing is redirected, unpacked, kept
in cookies, read from the environment, or sent a second time.
"""

import asyncio
import io
from collections.abc import Callable
from contextvars import ContextVar
from functools import lru_cache
from http.cookies import SimpleCookie
from typing import Any
from weakref import WeakKeyDictionary

from clickpost_async._http import tls
from clickpost_async._http.adapter import (
    HEADERS,
    JSON,
    KEEP_ALIVE,
    BaseURL,
    HTTPRequest,
    SendProgress,
    StepTimeouts,
)
from clickpost_async._http.response_reader import ResponseReader
from clickpost_async._http.socket_probe import is_readable
from clickpost_async.errors import FailureKind, NotSentError

try:
    import aiohttp
    from yarl import URL
except ImportError as _error:
    message = "transport='aiohttp' needs its extra: pip install 'clickpost_async[aiohttp]'"
    raise ImportError(message) from _error

# Larger bodies are read by aiohttp piece by piece; it warns of those in one piece.
_LARGE = 2**20

# Whose call it is that the connector connects for: aiohttp hands nothing of ours through.
_progress: ContextVar[SendProgress] = ContextVar("clickpost_async.progress")


class AiohttpAdapter:
    """Sends calls through a session of one event loop."""

    def __init__(self) -> None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            message = "aiohttp needs asyncio; with trio leave `transport` out, or give httpx's"
            kind = FailureKind.NOT_SENDABLE
            raise NotSentError(message, transient=False, kind=kind) from None
        # Both know their event loop, and are let go of with it.
        self._connector: _Connector | None = _Connector(
            limit=0,
            keepalive_timeout=KEEP_ALIVE,
            resolver=aiohttp.ThreadedResolver(),
            ssl=tls.verifying_context(),
        )
        self._session: aiohttp.ClientSession | None = aiohttp.ClientSession(
            connector=self._connector,
            headers=HEADERS,
            cookie_jar=_NoCookies(),
            auto_decompress=False,
            trust_env=False,
            raise_for_status=False,
        )

    @property
    def connections(self) -> int:
        """How many connections there are, idle or not."""
        return 0 if self._connector is None else self._connector.connections

    def failure_of(self, error: Exception) -> FailureKind:
        """Sort an exception of aiohttp."""
        if isinstance(error, aiohttp.InvalidURL):
            return FailureKind.NOT_SENDABLE
        if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
            return FailureKind.NOT_SENT
        if isinstance(error, aiohttp.ClientError | TimeoutError):
            return FailureKind.NO_RESPONSE
        return FailureKind.UNEXPECTED

    async def send(self, call: HTTPRequest, progress: SendProgress, answer: ResponseReader) -> None:
        """Send a call once."""
        progress.is_reliable = True
        session = self._session
        if session is None:
            message = "the connections are closed"
            raise NotSentError(message)
        _progress.set(progress)
        target, body = call.signed()
        response = await session.request(
            call.method,
            _url(call.base, target),
            data=None if body is None else _payload(body),
            allow_redirects=False,
            timeout=_timeout(call.limits),
        )
        try:
            answer.begin(response.status, response.raw_headers)
            content = response.content
            while not content.at_eof():
                answer.feed(await content.readany())
        finally:
            # Does nothing where the answer was read to its end; else its connection is closed.
            response.close()

    async def aclose(self) -> None:
        """Close the session, and all connections, also those in use."""
        session, self._session, self._connector = self._session, None, None
        if session is not None:
            await session.close()

    def abandon(self) -> None:
        """Leave its sockets to the garbage collector: aiohttp needs its event loop to close any."""
        self._session = self._connector = None


class _Connector(aiohttp.TCPConnector):
    """Connects, says so, and does not connect a second time for the same call.

    aiohttp sends a GET again by itself where an idle connection turns out to be dead. What is sent
    again, and when, is decided above, for GETs that act are among ClickPost's.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._open: WeakKeyDictionary[Any, Callable[[], bool]] = WeakKeyDictionary()

    @property
    def connections(self) -> int:
        return sum(protocol.is_connected() for protocol in self._open)

    async def connect(self, *args: Any, **settings: Any) -> Any:
        progress = _progress.get()
        if progress.may_have_been_sent:
            raise aiohttp.ServerDisconnectedError
        while True:
            connection = await super().connect(*args, **settings)
            # A new one has said so itself; a used one may be about to be closed.
            if progress.may_have_been_sent or not self._open[connection.protocol]():
                progress.may_have_been_sent = True
                return connection
            connection.close()

    async def _create_connection(
        self,
        req: Any,
        traces: Any,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's interface
    ) -> Any:
        try:
            async with asyncio.timeout(timeout.sock_connect):
                protocol: Any = await super()._create_connection(req, traces, timeout)
        except TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError from error
        self._open[protocol] = is_readable(protocol.transport.get_extra_info("socket").fileno())
        _progress.get().may_have_been_sent = True
        return protocol


class _NoCookies(aiohttp.DummyCookieJar):
    """Keeps no cookies, and does not even read them: aiohttp logs those that it cannot read."""

    _none: "SimpleCookie" = SimpleCookie()

    def filter_cookies(self, request_url: URL) -> Any:  # noqa: ARG002 - aiohttp's interface
        return self._none

    def update_cookies_from_headers(self, headers: Any, response_url: URL) -> None:
        """Leave them."""


@lru_cache(maxsize=32)
def _timeout(limits: StepTimeouts) -> aiohttp.ClientTimeout:
    connect, _, read = limits
    # With `connect` aiohttp would set a timer for every call, connected or not.
    return aiohttp.ClientTimeout(total=None, sock_connect=connect, sock_read=read)


def _payload(body: bytes) -> aiohttp.Payload:
    if len(body) > _LARGE:
        return aiohttp.BytesIOPayload(io.BytesIO(body), content_type=JSON)
    return aiohttp.BytesPayload(body, content_type=JSON)


def _url(base: BaseURL, target: str) -> URL:
    """Write a URL as it is to be sent, byte by byte.

    yarl remembers the URLs that its constructors have read, and this one has the key in it. So it
    is made as a URL is that comes out of a pickle.
    """
    path, _, query = target.partition("?")
    url = URL.__new__(URL)
    url.__setstate__(((base.scheme, base.authority, base.path + path, query, ""),))
    return url
