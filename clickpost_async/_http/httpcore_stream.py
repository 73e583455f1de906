"""The bytes of one connection, as asyncio pushes them, where httpcore reads and writes.

httpcore's own streams enter one of anyio's cancel scopes for every read and every write, and send
the head and the body of a call apart. Here a timeout is a timer, and what is written is held back
until an answer is waited for, so that a call leaves in one piece. On trio httpcore's own are used.
"""

import asyncio
import ssl
from collections.abc import Callable, Iterable
from typing import Any, cast

import httpcore

from clickpost_async._concurrency.per_loop import close_orphan
from clickpost_async._http.adapter import SendProgress
from clickpost_async._http.happy_eyeballs import connect
from clickpost_async._http.signature import Signature
from clickpost_async._http.socket_probe import is_readable

# Beyond this the server has to wait until what came is read.
_FULL = 2**18


class StaleConnectionError(Exception):
    """A connection that was used before is one no more, and nothing of the call has left."""


class TrackingBackend(httpcore.AsyncNetworkBackend):
    """Opens the one connection of an owner, puts the key into each of its calls as it is written,
    and tells the call when a byte of it may have left.
    """

    def __init__(self) -> None:
        self.progress = SendProgress()
        self.opened = False
        self.used = False
        self._line: AsyncioStream | None = None
        self.unsigned: Signature | None = None
        self._held_back = b""

    def watch(self, progress: SendProgress, signature: Signature | None) -> None:
        """Tell this call from now on; before the connection there is nobody who could."""
        self.unsigned = signature
        self._held_back = b""
        self.progress = progress
        self.used = progress.is_reliable = self.opened
        progress.may_have_been_sent = not self.opened

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect; nothing has left until something is written."""
        self.opened = self.progress.is_reliable = True
        self.progress.may_have_been_sent = False
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            # pyright reads httpcore's stand-in for a missing anyio.
            network: httpcore.AsyncNetworkBackend = httpcore.AnyIOBackend()  # pyright: ignore[reportAssignmentType]
            stream = await network.connect_tcp(host, port, timeout, local_address, socket_options)
            return _TrackedStream(self, stream)
        line = AsyncioStream(self, loop)
        try:
            async with asyncio.timeout(timeout):
                connected = await connect(loop, host, port)
                await loop.create_connection(lambda: line, sock=connected)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        self._line = line
        return line

    def sign(self, buffer: bytes) -> bytes:
        """Return what can be written of an unsigned call, with the key in it."""
        buffer = self._held_back + buffer
        signed = buffer if self.unsigned is None else self.unsigned.sign_bytes(buffer)
        self._held_back = buffer if signed is None else b""
        if signed is None:
            return b""
        self.unsigned = None
        return signed

    def abandon(self) -> None:
        """Close the connection of an event loop that is closed."""
        if self._line is not None:
            self._line.abandon()


class _TrackedStream(httpcore.AsyncNetworkStream):
    """One of httpcore's streams, which tells when something is written."""

    def __init__(self, tap: TrackingBackend, stream: httpcore.AsyncNetworkStream) -> None:
        self._tap = tap
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        return await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        if self._tap.unsigned:
            buffer = self._tap.sign(buffer)
        if buffer:
            self._tap.progress.may_have_been_sent = True
            await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface
    ) -> httpcore.AsyncNetworkStream:
        stream = await self._stream.start_tls(ssl_context, server_hostname, timeout)
        return _TrackedStream(self._tap, stream)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class AsyncioStream(asyncio.Protocol, httpcore.AsyncNetworkStream):
    """One connection, and what came on it that nobody has read yet."""

    _transport: asyncio.Transport
    _is_readable: Callable[[], bool]

    def __init__(self, tap: TrackingBackend, loop: asyncio.AbstractEventLoop) -> None:
        self._tap = tap
        self._loop = loop
        self._received = b""
        self._full = False
        self._ended = False
        self._failure: BaseException | None = None
        self._unsent: list[bytes] = []
        self._write_timeout: float | None = None
        self._congested = False
        self._waiter: asyncio.Future[None] | None = None

    # --- what asyncio tells -----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not checked with isinstance: uvloop's transports only look like asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._is_readable = is_readable(transport.get_extra_info("socket").fileno())

    def data_received(self, data: bytes) -> None:
        self._received = self._received + data if self._received else data
        if len(self._received) > _FULL and not self._full:
            self._full = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        self._ended = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        self._failure = self._failure or exc
        self._wake()

    def pause_writing(self) -> None:
        self._congested = True

    def resume_writing(self) -> None:
        self._congested = False
        self._wake()

    # --- what httpcore asks -----------------------------------------------------------------------

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Take what is to be sent; it leaves with the next read."""
        if self._tap.unsigned:
            buffer = self._tap.sign(buffer)
        if buffer:
            self._unsent.append(buffer)
            self._write_timeout = timeout

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        """Send what is unsent, and return what comes; nothing at the end."""
        if self._unsent:
            await self._flush()
        if not self._received:
            until = self._wait_until(timeout)
            while not self._received and not self._ended:
                await self._wait(until, httpcore.ReadTimeout)
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
        tap = self._tap
        if not tap.progress.may_have_been_sent:
            # Asked when the connection was taken, too; but other tasks have had their turn since.
            if tap.used and self._has_unread_data():
                raise StaleConnectionError
            tap.progress.may_have_been_sent = True
        if self._ended:
            return  # whatever came before the end is still read
        self._transport.write(unsent[0] if len(unsent) == 1 else b"".join(unsent))
        if self._congested:
            until = self._wait_until(self._write_timeout)
            while self._congested and not self._ended:
                await self._wait(until, httpcore.WriteTimeout)

    def _wait_until(self, timeout: float | None) -> float | None:
        return None if timeout is None else self._loop.time() + timeout

    async def _wait(self, until: float | None, too_late: type[Exception]) -> None:
        waiter = self._waiter = self._loop.create_future()
        timer = None if until is None else self._loop.call_at(until, _abort, waiter, too_late)
        try:
            await waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def aclose(self) -> None:
        """Close at once; a call that still reads learns that this was no end of an answer."""
        self._failure = self._failure or ConnectionAbortedError("closed on this side")
        self._unsent = []
        self._transport.abort()

    def abandon(self) -> None:
        """Close the socket of an event loop that is closed."""
        close_orphan(self._transport)

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface
    ) -> httpcore.AsyncNetworkStream:
        """Go on in TLS."""
        try:
            async with asyncio.timeout(timeout):
                secured = await self._loop.start_tls(
                    self._transport, self, ssl_context, server_hostname=server_hostname
                )
        except BaseException as error:
            self._transport.abort()
            if isinstance(error, TimeoutError):
                raise httpcore.ConnectTimeout(str(error)) from error
            if isinstance(error, OSError):
                raise httpcore.ConnectError(str(error)) from error
            raise
        if secured is None:  # a line that was cut while it was secured
            raise httpcore.ConnectError
        self._transport = secured
        return self

    def get_extra_info(self, info: str) -> Any:
        """Tell what httpcore wants to know of a connection."""
        return (
            self._has_unread_data()
            if info == "is_readable"
            else self._transport.get_extra_info(info)
        )

    def _has_unread_data(self) -> bool:
        return bool(self._received) or self._ended or self._is_readable()


def _abort(waiter: "asyncio.Future[None]", too_late: type[Exception]) -> None:
    if not waiter.done():
        waiter.set_exception(too_late())
