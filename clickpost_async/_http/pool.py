"""The connection pool of one event loop, independent of the HTTP library.

httpcore's own pool scans all connections and waiting requests on each event, which is quadratic for
a gather of thousands, and it can lose slots to cancelled requests (encode/httpcore #1035, #1093).
Here a request owns its connection from the first byte to the last: an idle or a new one, which is
returned only if the response was read to the end. Nothing is scanned and there are no slots: the
client's semaphore bounds the number of concurrent requests.
"""

from collections.abc import Callable
from typing import Protocol

from clickpost_async._concurrency.per_loop import loop_time
from clickpost_async._http.adapter import KEEP_ALIVE, BaseURL, HTTPRequest, SendProgress
from clickpost_async._http.httpx_exceptions import failure_of
from clickpost_async._http.response_reader import ResponseReader
from clickpost_async.errors import FailureKind, NotSentError


class StaleConnectionError(Exception):
    """A reused connection was closed by the server before any byte of the request was sent."""


class Connection(Protocol):
    """One connection to one server, opened by its first request; one request at a time."""

    async def send(
        self, request: HTTPRequest, progress: SendProgress, reader: ResponseReader
    ) -> None:
        """Send a request and read its response; raises httpcore's exceptions.

        Raises `StaleConnectionError` if another connection has to be tried.
        """
        ...

    def is_reusable(self) -> bool:
        """Return whether the last response ended so that another request may follow."""
        ...

    def is_stale(self) -> bool:
        """Return whether an idle connection was closed by the server, or has unexpected data."""
        ...

    async def aclose(self) -> None:
        """Close at once, even if cancelled; a request in flight fails."""
        ...

    def abandon(self) -> None:
        """Close the socket of an event loop that is closed."""
        ...


class ConnectionPool:
    """Keep-alive connections of one event loop, with constant cost per request."""

    def __init__(self, make_connection: Callable[[BaseURL], Connection]) -> None:
        self._make_connection = make_connection
        # The idle connections of each server, and until when each may be reused.
        self._idle: dict[BaseURL, list[tuple[float, Connection]]] = {}
        self._busy: set[Connection] = set()
        self._closed = False

    @property
    def connections(self) -> int:
        """How many connections there are, idle or not."""
        return len(self._busy) + sum(map(len, self._idle.values()))

    def failure_of(self, error: Exception) -> FailureKind:
        """Classify an exception of httpcore, or of its replacement in a test."""
        return failure_of(error)

    async def send(
        self, request: HTTPRequest, progress: SendProgress, reader: ResponseReader
    ) -> None:
        """Send a request on a connection that no other request uses."""
        idle = self._idle.get(request.base)
        if idle is None:
            idle = self._idle[request.base] = []
        busy = self._busy
        while True:
            if self._closed:
                message = "the connections are closed"
                raise NotSentError(message)
            if idle:
                connection = await self._pop(idle)
                if connection is None:
                    continue
            else:
                connection = self._make_connection(request.base)
            busy.add(connection)
            try:
                await connection.send(request, progress, reader)
            except StaleConnectionError:
                await self._discard(connection)
                continue
            except BaseException:
                await self._discard(connection)
                raise
            break
        if self._closed or not connection.is_reusable():
            await self._discard(connection)
            return
        busy.discard(connection)
        now = loop_time()
        idle.append((now + KEEP_ALIVE, connection))
        # Last in, first out: surplus connections of a busier time stay idle, and are closed here.
        while len(idle) > 1 and idle[0][0] < now:
            await self._discard(idle.pop(0)[1])

    async def _pop(self, idle: list[tuple[float, Connection]]) -> Connection | None:
        expires, connection = idle.pop()
        if loop_time() <= expires and not connection.is_stale():
            return connection
        await self._discard(connection)
        return None

    async def _discard(self, connection: Connection) -> None:
        self._busy.discard(connection)
        await connection.aclose()

    async def aclose(self) -> None:
        """Close all connections, also those in use."""
        for connection in self._take_all():
            await connection.aclose()

    def abandon(self) -> None:
        """Close the sockets of an event loop that is closed."""
        for connection in self._take_all():
            connection.abandon()

    def _take_all(self) -> list[Connection]:
        self._closed = True
        idle = (connection for kept in self._idle.values() for _, connection in kept)
        connections = [*self._busy, *idle]
        self._busy.clear()
        self._idle.clear()
        return connections
