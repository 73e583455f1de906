"""Serves a sandbox on a port of this machine, with uvicorn."""

import asyncio
import os
import socket
import threading
import time
from collections.abc import AsyncGenerator
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress

import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from clickpost_async.sandbox.app import Application
from clickpost_async.sandbox.http.fault_injection import CONNECTION
from clickpost_async.sandbox.http.traffic import Traffic

_HOST = "127.0.0.1"
_BACKLOG = 2048
# Longer than clients keep idle connections, so that none is closed under a call by chance.
_KEEP_ALIVE = 120


class Served:
    """A sandbox on a port, in its own thread: it responds while the caller's loop is busy."""

    def __init__(self, sandbox: Application, *, port: int = 0) -> None:
        self.sandbox = sandbox
        # Listening from the start, so that a client may connect as soon as the address is known.
        self._socket = socket.create_server((_HOST, port), backlog=_BACKLOG)
        self.port: int = self._socket.getsockname()[1]
        self.url: str = f"http://{_HOST}:{self.port}/api"
        self._server = _Server(sandbox)
        self._thread = threading.Thread(target=self._run, name="clickpost sandbox", daemon=True)
        self._thread.start()
        self._server.ready.result()

    def stop(self) -> None:
        """Close the port and every connection at once, even with a call in flight; idempotent."""
        if self._thread.is_alive():
            self._server.stop()
            self._thread.join()

    def _run(self) -> None:
        try:
            with self._socket:
                asyncio.run(self._server.serve(sockets=[self._socket]))
        except BaseException as error:
            if self._server.ready.done():
                raise
            self._server.ready.set_exception(error)


@asynccontextmanager
async def served(sandbox: Application, *, port: int = 0) -> AsyncGenerator[Served, None]:
    """Serve a sandbox while the block runs; port 0 takes any free one."""
    server = Served(sandbox, port=port)
    try:
        yield server
    finally:
        server.stop()


def main(
    sandbox: Application,
    *,
    port: int = 8000,
    webhooks_to: str | None = None,
    webhook_token: str | None = None,
) -> None:
    """Print the address of a sandbox, then serve it until interrupted.

    With `webhooks_to` it pushes webhooks to that address of this machine.
    """
    if webhooks_to:
        sandbox.webhooks_to(webhooks_to, token=webhook_token)
    with sandbox, suppress(KeyboardInterrupt):
        try:
            server = Served(sandbox, port=port)
        except OSError as error:
            reason = os.strerror(error.errno).lower() if error.errno else error
            raise SystemExit(f"port {port}: {reason}; 0 takes any free one") from None
        lines = (
            f"in a browser: {server.url.removesuffix('api')}",
            *sandbox.export_lines(server.url),
        )
        try:
            # The process that started this one waits for the first line.
            print(server.url, *lines, sep="\n", flush=True)
            while True:
                time.sleep(3600)
        finally:
            server.stop()


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


class _Server(uvicorn.Server):
    """Uvicorn without its pauses: it stops at once, without waiting for connections."""

    def __init__(self, sandbox: Application) -> None:
        super().__init__(
            uvicorn.Config(
                self._app,
                interface="asgi3",
                http=_counting(sandbox.traffic),
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
        self.ready: Future[asyncio.AbstractEventLoop] = Future()
        self._sandbox = sandbox
        self._over = asyncio.Event()

    async def main_loop(self) -> None:
        """Serve until stopped, without polling ten times a second."""
        sandbox = self._sandbox
        pushing = asyncio.create_task(
            sandbox.webhooks.keep_pushing(sandbox.catch_up, sandbox.scan_every)
        )
        self.ready.set_result(asyncio.get_running_loop())
        await self._over.wait()
        pushing.cancel()
        await asyncio.gather(pushing, return_exceptions=True)

    def stop(self) -> None:
        """Stop, from any thread."""
        self.should_exit = True
        if self.ready.done():
            self.ready.result().call_soon_threadsafe(self._over.set)

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
            await self._sandbox(scope, receive, send)
        except asyncio.CancelledError:
            # Only `shutdown` cancels; uvicorn would report it as a crash of the application.
            if not self.should_exit:
                raise
