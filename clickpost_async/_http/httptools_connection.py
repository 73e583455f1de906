"""The fast connection: an asyncio protocol whose responses are parsed by httptools (llhttp).

Where llhttp is more lenient than h11, this is stricter: a response with ambiguous framing is
rejected, and all received data is bounded.
"""

import asyncio
from collections.abc import Mapping

import httpcore

from clickpost_async._http import tls
from clickpost_async._http.adapter import (
    HEADERS,
    JSON_HEADERS,
    BaseURL,
    HTTPRequest,
    SendProgress,
)
from clickpost_async._http.response_reader import ResponseReader
from clickpost_async._http.socket_protocol import SocketProtocol
from clickpost_async._util.extras import require
from clickpost_async.errors import FailureKind, NotSentError

with require("transport='httptools' needs an extra", "clickpost_async[fast]"):
    from httptools import HttpParserError, HttpResponseParser

# Consecutive bytes outside of a body: heads, chunk sizes with their extensions, trailers.
_MAX_FRAMING = 100 * 1024


class HTTPToolsConnection(SocketProtocol):
    """One HTTP/1.1 connection to one server, opened by its first request.

    Received data is parsed at once and fed to the request's reader, which bounds it; so there is no
    buffer, and reading is never paused.
    """

    def __init__(self, base: BaseURL) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            message = (
                "transport='httptools' needs asyncio; on trio omit `transport`, or pass one of"
                " httpx's transports"
            )
            kind = FailureKind.NOT_SENDABLE
            raise NotSentError(message, transient=False, kind=kind) from None
        super().__init__(loop)
        self._base = base
        self._tls_context = tls.verifying_context() if base.scheme == "https" else None
        self._head = _after_target(base, HEADERS)
        self._json_head = _after_target(base, JSON_HEADERS)
        self._parser = HttpResponseParser(self)
        self._reader: ResponseReader | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._framing_bytes = 0
        self._is_final = False
        self._ends_with_connection = False
        self._complete = False
        self._keep_alive = False

    # --- the pool's side --------------------------------------------------------------------------

    async def send(
        self, request: HTTPRequest, progress: SendProgress, reader: ResponseReader
    ) -> None:
        """Send a request and read its response."""
        progress.is_reliable = True
        progress.may_have_been_sent = False
        timeouts = request.timeouts
        if not self._is_open:
            base = self._base
            await self.connect(base.host, base.port, timeouts.connect)
            if self._tls_context is not None:
                await self.secure(self._tls_context, base.host)
        self._raise_if_lost()
        data = self._serialize(request)
        self._reader = reader
        self._complete = False
        self._framing_bytes = 0
        progress.may_have_been_sent = True
        self._transport.write(data)
        del data  # the key is in it
        if self._congested:
            deadline = self._loop.time() + timeouts.write
            while self._congested and not self._complete:
                self._raise_if_lost()
                await self._next_event(deadline, httpcore.WriteTimeout)
        while not self._complete:
            self._raise_if_lost()
            await self._next_event(self._loop.time() + timeouts.read, httpcore.ReadTimeout)
        self._reader = None

    def _raise_if_lost(self) -> None:
        failure = self._failure
        if isinstance(failure, OSError):
            raise httpcore.ReadError(str(failure)) from failure
        if failure is not None:
            raise failure
        if self._ended:
            message = "the server closed the connection before the end of a response"
            raise httpcore.RemoteProtocolError(message)

    def _serialize(self, request: HTTPRequest) -> bytes:
        """Return the bytes of a request, with the key in them."""
        start = f"{request.method} {self._base.path}{request.target}"
        if not start.isprintable() or start.count(" ") != 1:
            message = "illegal character in the request's target"
            raise httpcore.LocalProtocolError(message)
        line, body, signature = start.encode("ascii"), request.body, request.signature
        if signature is not None:
            line = signature.sign_target(line)
        if body is None:
            return line + self._head + b"\r\n"
        if signature is not None:
            body = signature.sign_body(body)
        return b"%b%bContent-Length: %d\r\n\r\n%b" % (line, self._json_head, len(body), body)

    def is_reusable(self) -> bool:
        """Return whether the last response ended so that another request may follow."""
        return (
            self._keep_alive
            and not self.is_broken()
            # The response may be complete before the request was written.
            and not self._transport.get_write_buffer_size()
        )

    def is_stale(self) -> bool:
        """Return whether an idle connection was closed by the server, or has unexpected data."""
        return self.is_broken() or self._is_readable()

    def is_broken(self) -> bool:
        """Return whether the connection has ended, or a failure was seen on it."""
        return self._ended or self._failure is not None

    async def aclose(self) -> None:
        """Close at once; a request in flight fails."""
        self._abort()

    # --- asyncio's side ---------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._reader is None or self._complete:
            self._fail("the server sent data outside of a response")
            return
        if self._failure is not None:
            return
        # llhttp skips blank lines and accepts similar protocols.
        if not self._framing_bytes and not data.startswith(b"H"):
            self._fail("the response does not begin with a status line")
            return
        self._framing_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            self._refuse(error)
        else:
            if self._framing_bytes > _MAX_FRAMING:
                self._fail("the response has too much data outside of its body")
        self._wake()

    def _refuse(self, error: HttpParserError) -> None:
        # An exception raised by a callback is the context of the parser's own.
        cause = error.__context__
        if self._complete:
            self._keep_alive = False
        elif isinstance(cause, Exception):
            self._failure = cause
        else:
            self._fail(str(error))

    def eof_received(self) -> None:
        if self._ends_with_connection:
            self._complete = True
        super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        del self._parser  # it refers to its owner

    def _fail(self, message: str) -> None:
        self._failure = self._failure or httpcore.RemoteProtocolError(message)
        self._transport.abort()
        self._wake()

    # --- the parser's side ------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Reject data that follows a response in the same piece."""
        if self._complete:
            message = "the server sent data outside of a response"
            raise httpcore.RemoteProtocolError(message)
        self._headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """Record a header, or a trailer, which is not used."""
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Determine the framing, and begin the response unless it is informational."""
        status = self._parser.get_status_code()
        headers = self._headers
        codings: list[bytes] = []
        has_length = False
        for name, value in headers:
            lowered = name.lower()
            if lowered == b"transfer-encoding":
                codings.append(value.strip().lower())
            elif lowered == b"content-length":
                has_length = True
        self._is_final = status >= 200
        if self._framing_bytes > _MAX_FRAMING:
            size = sum(len(name) + len(value) for name, value in headers)
            if size > _MAX_FRAMING:
                raise httpcore.RemoteProtocolError("the response's head is too large")
        if not self._is_final:
            # RFC 9110, section 8.6 and RFC 9112, section 6.1: neither may be in one. An upgrade
            # (101) was not requested.
            if status < 100 or status == 101 or codings or has_length:
                raise httpcore.RemoteProtocolError("unexpected informational response")
            return
        if codings and codings != [b"chunked"]:
            raise httpcore.RemoteProtocolError("unexpected Transfer-Encoding in the response")
        self._ends_with_connection = not (codings or has_length or status in (204, 304))
        assert self._reader is not None  # noqa: S101 - data is parsed for a reader alone
        self._reader.begin(status, headers)

    def on_body(self, body: bytes) -> None:
        """Feed a piece of the body to the reader."""
        assert self._reader is not None  # noqa: S101 - as above
        self._framing_bytes = 1  # 0 means that nothing of the response was received yet
        self._reader.feed(body)

    def on_message_complete(self) -> None:
        """Record the end of the response, and whether the connection may be reused."""
        if self._is_final:
            self._complete = True
            self._framing_bytes = 1
            parser = self._parser
            self._keep_alive = parser.should_keep_alive() and parser.get_http_version() == "1.1"


def _after_target(base: BaseURL, headers: Mapping[str, str]) -> bytes:
    lines = {"Host": base.authority, **headers}
    text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f" HTTP/1.1\r\n{text}".encode("ascii")
