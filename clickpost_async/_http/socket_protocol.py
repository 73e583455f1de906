"""The asyncio side of one connection: events, timeouts, liveness.

Both kinds of connection raise httpcore's exceptions, so that one table classifies them.
"""

import asyncio
import math
import ssl
from collections.abc import Callable
from typing import cast

import httpcore

from clickpost_async._concurrency.per_loop import close_orphan
from clickpost_async._http.happy_eyeballs import connect
from clickpost_async._http.socket_probe import is_readable


class SocketProtocol(asyncio.Protocol):
    """The state of a connection's socket, independent of the HTTP parser.

    One task at a time waits for the next event. One timer serves many waits: setting and cancelling
    a timer for each costs more than the rest of the wait.
    """

    _transport: asyncio.Transport
    _is_readable: Callable[[], bool]

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._is_open = False
        self._ended = False
        self._failure: BaseException | None = None
        self._congested = False
        self._open_by: float | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._deadline = math.inf
        self._timeout_error: type[Exception] = TimeoutError
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf

    async def connect(
        self,
        host: str,
        port: int,
        timeout: float | None,
    ) -> None:
        """Connect within `timeout` seconds, which include a TLS handshake that may follow."""
        self._open_by = None if timeout is None else self._loop.time() + timeout
        try:
            async with asyncio.timeout_at(self._open_by):
                connected = await connect(self._loop, host, port)
                await self._loop.create_connection(lambda: self, sock=connected)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error

    async def secure(self, context: ssl.SSLContext, host: str | None) -> None:
        """Switch to TLS within the time that is left; close the connection if that fails."""
        if self._ended or self._failure is not None:  # the handshake would not end
            self._transport.abort()
            raise httpcore.ConnectError(str(self._failure or "")) from self._failure
        try:
            async with asyncio.timeout_at(self._open_by):
                secured = await self._loop.start_tls(
                    self._transport, self, context, server_hostname=host
                )
        except BaseException as error:
            self._transport.abort()
            if isinstance(error, TimeoutError):
                raise httpcore.ConnectTimeout(str(error)) from error
            if isinstance(error, OSError):
                raise httpcore.ConnectError(str(error)) from error
            raise
        if secured is None or self._failure is not None:  # lost, or closed on this side
            raise httpcore.ConnectError(str(self._failure or "")) from self._failure
        self._transport = secured

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not checked with isinstance: uvloop's transports only look like asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._is_open = True
        self._is_readable = is_readable(transport.get_extra_info("socket").fileno())

    def eof_received(self) -> None:
        self._ended = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        self._failure = self._failure or exc
        self._stop_timer()
        self._wake()

    def pause_writing(self) -> None:
        self._congested = True

    def resume_writing(self) -> None:
        self._congested = False
        self._wake()

    def _next_event(self, deadline: float, error: type[Exception]) -> asyncio.Future[None]:
        """Return a future that is done at the next event, and fails with `error` at `deadline`.

        `deadline` is in the event loop's time.
        """
        self._waiter = waiter = self._loop.create_future()
        self._deadline = deadline
        self._timeout_error = error
        if deadline < self._timer_at:
            self._stop_timer()
            self._start_timer()
        return waiter

    def _start_timer(self) -> None:
        self._timer_at = self._deadline
        self._timer = self._loop.call_at(self._deadline, self._check_deadline)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timer_at = math.inf

    def _check_deadline(self) -> None:
        has_passed = self._deadline <= self._timer_at
        self._stop_timer()
        waiter = self._waiter
        if waiter is None or waiter.done():
            return
        if has_passed:
            waiter.set_exception(self._timeout_error())
        else:
            self._start_timer()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _abort(self) -> None:
        """Close at once; a task that waits for an event gets a failure, not the end of a stream."""
        self._failure = self._failure or ConnectionAbortedError("closed on this side")
        if self._is_open:
            self._transport.abort()

    def abandon(self) -> None:
        """Close the socket of an event loop that is closed."""
        if self._is_open:
            close_orphan(self._transport)
