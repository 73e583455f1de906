"""Serves a sandbox on a port of this machine, with uvicorn."""

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from clickpost_async.sandbox.http.faults import CONNECTION
from clickpost_async.sandbox.http.traffic import Traffic

_HOST = "127.0.0.1"
_BACKLOG = 2048
# Longer than clients keep idle connections, so that none is closed under a call by chance.
_KEEP_ALIVE = 120


def _counting(traffic: Traffic) -> type[H11Protocol]:
    class ServedConnection(H11Protocol):
        """Count itself, and hand its transport to the application, which may have to cut it."""

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
            super().connection_made(transport)
            self.app_state = {**self.app_state, CONNECTION: transport}
            # asyncio does so for sockets that name their protocol, which create_server's do not:
            # each response but the first would wait 40 ms for the client to acknowledge its head.
            wire = transport.get_extra_info("socket")
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            traffic.connected()

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            traffic.disconnected()

    return ServedConnection


class Server(uvicorn.Server):
    """An application on a port, in its own thread: it responds while the caller's loop is busy.

    It is uvicorn without its pauses: it stops at once, without waiting for connections. The
    `background` coroutine runs as long as it serves.
    """

    def __init__(
        self,
        app: ASGIApp,
        traffic: Traffic,
        background: Callable[[], Coroutine[Any, Any, None]],
        port: int,
    ) -> None:
        # Listening from the start, so that a client may connect as soon as the address is known.
        self._socket = socket.create_server((_HOST, port), backlog=_BACKLOG)
        self.url: str = "http://{}:{}/api".format(*self._socket.getsockname())
        super().__init__(
            uvicorn.Config(
                self._app,
                interface="asgi3",
                http=_counting(traffic),
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                date_header=False,
                timeout_keep_alive=_KEEP_ALIVE,
                backlog=_BACKLOG,
            )
        )
        self._application, self._background = app, background
        self._over = asyncio.Event()
        self._ready: Future[asyncio.AbstractEventLoop] = Future()
        self._thread = threading.Thread(target=self._run, name="clickpost sandbox", daemon=True)
        self._thread.start()
        self._ready.result()

    def stop(self) -> None:
        """Close the port and every connection at once, even with a call in flight."""
        if self._thread.is_alive():  # not in a forked process
            self.should_exit = True
            self._ready.result().call_soon_threadsafe(self._over.set)
            self._thread.join()

    def _run(self) -> None:
        try:
            with self._socket:
                asyncio.run(self.serve(sockets=[self._socket]))
        except BaseException as error:
            if self._ready.done():
                raise
            self._ready.set_exception(error)

    async def main_loop(self) -> None:
        """Serve until stopped, without polling ten times a second."""
        background = asyncio.create_task(self._background())
        self._ready.set_result(asyncio.get_running_loop())
        await self._over.wait()
        background.cancel()
        await asyncio.gather(background, return_exceptions=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - uvicorn's own
        """Cut every connection, then end the calls that were in flight."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)
        calls = list(self.server_state.tasks)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._application(scope, receive, send)
        except asyncio.CancelledError:
            # Only `shutdown` cancels; uvicorn would report it as a crash of the application.
            if not self.should_exit:
                raise
