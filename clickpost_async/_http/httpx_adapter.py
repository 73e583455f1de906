"""Adapter for a transport of httpx or httpx2 that the user passes."""

from collections.abc import AsyncIterator, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

import anyio

from clickpost_async._http.adapter import (
    HEADERS,
    JSON_HEADERS,
    BaseURL,
    Fetched,
    HTTPRequest,
    SendProgress,
    StepTimeouts,
    address,
)
from clickpost_async._http.httpx_exceptions import drop_quoted_payload, failure_of
from clickpost_async._http.response_reader import ResponseReader
from clickpost_async._http.signature import Signature
from clickpost_async.errors import FailureKind

if TYPE_CHECKING:
    import httpx
    import httpx2


class HttpxAdapter:
    """Sends requests through a transport; `library` is httpx or httpx2, whichever it is of."""

    connections = 0

    def __init__(
        self,
        transport: "httpx.AsyncBaseTransport | httpx2.AsyncBaseTransport",
        library: ModuleType,
    ) -> None:
        self._transport: Any = transport
        self._library = library

    def failure_of(self, error: Exception) -> FailureKind:
        """Classify an exception of httpx or httpx2."""
        return failure_of(error)

    async def send(
        self, request: HTTPRequest, progress: SendProgress, reader: ResponseReader
    ) -> None:
        """Send a request through the transport."""
        traced = isinstance(self._transport, self._library.AsyncHTTPTransport)
        target, body = (request.target, request.body) if traced else request.signed()
        signature = request.signature if traced else None
        theirs = self._library.Request(
            request.method,
            request.base.url + target,
            headers=HEADERS if body is None else JSON_HEADERS,
            content=body,
            extensions={
                "timeout": request.timeouts.as_extension(),
                "trace": _Trace(request.base, progress, signature).step,
            },
        )
        progress.may_have_been_sent = True
        response = await self._transport.handle_async_request(theirs)
        stream: Any = response.stream
        try:
            reader.begin(response.status_code, response.headers.raw)
            async for chunk in stream:
                reader.feed(chunk)
        finally:
            with anyio.CancelScope(shield=True):
                await stream.aclose()

    async def fetch(
        self, url: str, headers: Sequence[tuple[str, str]], timeouts: StepTimeouts
    ) -> Fetched:
        """Request a file, without credentials."""
        request = self._library.Request(
            "GET", url, headers=headers, extensions={"timeout": timeouts.as_extension()}
        )
        response = await self._transport.handle_async_request(request)
        stream: Any = response.stream
        return Fetched(response.status_code, response.headers.raw, stream, stream.aclose)

    async def aclose(self) -> None:
        """Close the transport."""
        await self._transport.aclose()


class _Trace:
    """Handles httpcore's trace events of a request: its `trace` extension.

    They show the request's progress. While httpcore writes the request, its own request object
    contains the key; the one that libraries and their hooks get does not.
    """

    __slots__ = ("_base", "_progress", "_signature", "_unsigned")

    def __init__(self, base: BaseURL, progress: SendProgress, signature: Signature | None) -> None:
        self._base = base
        self._progress = progress
        self._signature = signature
        self._unsigned: tuple[Any, bytes, Any] | None = None

    async def step(self, name: str, info: dict[str, Any]) -> None:
        progress = self._progress
        if not progress.is_reliable:
            progress.is_reliable = True
            progress.may_have_been_sent = False
        if name.endswith("connect_tcp.started"):
            progress.via = self._proxy(info)
        request: Any = info.get("request")
        # The CONNECT request to a proxy precedes the request itself.
        tunnel = request is not None and request.method == b"CONNECT"
        if name.endswith(_WRITING) and not tunnel:
            progress.may_have_been_sent = True
            self._sign(request)
        elif self._unsigned is not None:
            (written, target, stream), self._unsigned = self._unsigned, None
            written.url.target, written.stream = target, stream
        drop_quoted_payload(info)

    def _proxy(self, info: dict[str, Any]) -> str | None:
        host, port = str(info.get("host")), info.get("port")
        base = self._base
        direct = (host, port) == (base.host, base.port)
        return None if direct or not isinstance(port, int) else address(host, port)

    def _sign(self, request: Any) -> None:
        signature = self._signature
        if signature is None:
            return
        self._unsigned = request, request.url.target, request.stream
        request.url.target = signature.sign_target(request.url.target)
        request.stream = _SignedStream(request.stream, signature)


_WRITING = ("send_request_headers.started", "send_request_body.started")


class _SignedStream:
    """A request's body in one piece, with the key in it."""

    def __init__(self, stream: Any, signature: Signature) -> None:
        self._stream = stream
        self._signature = signature

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._stream:
            yield self._signature.sign_body(piece)
