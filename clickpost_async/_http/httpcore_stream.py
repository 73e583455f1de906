"""A network stream for httpcore on asyncio.

httpcore's own streams enter an anyio cancel scope for every read and write, and send the head and
the body of a request separately. Here writes are buffered until the response is read, so that a
request is sent in one piece. On trio httpcore's own streams are used.
"""

import asyncio
import math
import ssl
from collections.abc import Iterable
from typing import Any

import anyio
import httpcore

from clickpost_async._http.adapter import SendProgress
from clickpost_async._http.pool import StaleConnectionError
from clickpost_async._http.signature import Signature
from clickpost_async._http.socket_protocol import SocketProtocol

# Above this many unread bytes, reading from the socket is paused.
_FULL = 2**18


class TrackingBackend(httpcore.AsyncNetworkBackend):
    """Opens the connection of its owner, and adds the key to each request as it is written.

    It also records in the request's progress that a byte of it may have been sent.
    """

    def __init__(self) -> None:
        self.progress = SendProgress()
        self.opened = False
        self.used = False
        self._stream: httpcore.AsyncNetworkStream | None = None
        self._is_closed = False
        self.unsigned: Signature | None = None
        self._held_back = b""

    def watch(self, progress: SendProgress, signature: Signature | None) -> None:
        """Track a request from now on."""
        self.unsigned = signature
        self._held_back = b""
        self.progress = progress
        self.used = progress.is_reliable = self.opened
        progress.may_have_been_sent = not self.opened

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect; nothing is sent until something is written."""
        self.opened = self.progress.is_reliable = True
        self.progress.may_have_been_sent = False
        stream: httpcore.AsyncNetworkStream
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            # Not AnyIOBackend, which loses a connection that is made as its task is cancelled.
            # pyright reads httpcore's stand-in for a missing trio.
            network: httpcore.AsyncNetworkBackend = httpcore.TrioBackend()  # pyright: ignore[reportAssignmentType]
            stream = _TrackedStream(
                self,
                await network.connect_tcp(host, port, timeout, local_address, socket_options),
            )
        else:
            stream = opened = AsyncioStream(self, loop)
            await opened.connect(host, port, timeout)
        if self._is_closed:
            await stream.aclose()
            message = "closed on this side"
            raise httpcore.ConnectError(message)
        self._stream = stream
        return stream

    async def aclose(self) -> None:
        """Close the connection at once; if it is being opened, nothing is sent on it."""
        self._is_closed = True
        if self._stream is not None:
            await self._stream.aclose()

    def sign(self, buffer: bytes) -> bytes:
        """Return the bytes to write of a request, with the key in them."""
        buffer = self._held_back + buffer
        signed = buffer if self.unsigned is None else self.unsigned.sign_bytes(buffer)
        self._held_back = buffer if signed is None else b""
        if signed is None:
            return b""
        self.unsigned = None
        return signed

    def abandon(self) -> None:
        """Close the connection of an event loop of asyncio that is closed."""
        if isinstance(self._stream, AsyncioStream):
            self._stream.abandon()


class _TrackedStream(httpcore.AsyncNetworkStream):
    """A httpcore stream that records when something is written."""

    def __init__(self, backend: TrackingBackend, stream: httpcore.AsyncNetworkStream) -> None:
        self._backend = backend
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if self._backend.unsigned:
            buffer = self._backend.sign(buffer)
        if buffer:
            self._backend.progress.may_have_been_sent = True
            await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        with anyio.CancelScope(shield=True):
            await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            stream = await self._stream.start_tls(ssl_context, server_hostname, timeout)
        except BaseException:
            # httpcore's own closes the connection after an error, but not after a cancellation.
            await self.aclose()
            raise
        return _TrackedStream(self._backend, stream)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class AsyncioStream(SocketProtocol, httpcore.AsyncNetworkStream):
    """One connection, with the bytes received that httpcore has not read yet."""

    def __init__(self, backend: TrackingBackend, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._backend = backend
        self._received = b""
        self._full = False
        self._unsent: list[bytes] = []
        self._write_timeout: float | None = None

    def data_received(self, data: bytes) -> None:
        self._received = self._received + data if self._received else data
        if len(self._received) > _FULL and not self._full:
            self._full = True
            self._transport.pause_reading()
        self._wake()

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Buffer data; it is sent by the next read."""
        if self._backend.unsigned:
            buffer = self._backend.sign(buffer)
        if buffer:
            self._unsent.append(buffer)
            self._write_timeout = timeout

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Send buffered data, and return received bytes; none at the end of the stream."""
        if self._unsent:
            await self._flush()
        if not self._received:
            deadline = self._after(timeout)
            while not self._received and not self._ended:
                await self._next_event(deadline, httpcore.ReadTimeout)
        received = self._received
        if not received:
            if self._failure is not None:
                raise httpcore.ReadError(str(self._failure)) from self._failure
            return b""
        if len(received) > max_bytes:
            self._received = received[max_bytes:]
            return received[:max_bytes]
        self._received = b""
        if self._full:
            self._full = False
            self._transport.resume_reading()
        return received

    async def _flush(self) -> None:
        unsent = self._unsent
        self._unsent = []
        backend = self._backend
        if not backend.progress.may_have_been_sent:
            # The pool has checked this too, but other tasks have run since.
            if backend.used and self._has_unread_data():
                raise StaleConnectionError
            backend.progress.may_have_been_sent = True
        if self._ended:
            return  # data received before the end is still read
        self._transport.write(unsent[0] if len(unsent) == 1 else b"".join(unsent))
        if self._congested:
            deadline = self._after(self._write_timeout)
            while self._congested and not self._ended:
                await self._next_event(deadline, httpcore.WriteTimeout)

    def _after(self, timeout: float | None) -> float:
        return math.inf if timeout is None else self._loop.time() + timeout

    async def aclose(self) -> None:
        """Close at once; a request in flight fails."""
        self._unsent = []
        self._abort()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 - that of `connect` counts
    ) -> httpcore.AsyncNetworkStream:
        """Switch to TLS; the timeout is that of `connect`, which counts from its start."""
        if self._received:  # it would be taken for a response that TLS has protected
            self._abort()
        await self.secure(ssl_context, server_hostname)
        return self

    def get_extra_info(self, info: str) -> Any:
        """Return the connection details that httpcore needs."""
        return (
            self._has_unread_data()
            if info == "is_readable"
            else self._transport.get_extra_info(info)
        )

    def _has_unread_data(self) -> bool:
        return bool(self._received) or self._ended or self._is_readable()
