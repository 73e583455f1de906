"""Any transport of httpx, or of httpx2, as a wire: a user's own, or one that is made here."""

from types import ModuleType
from typing import TYPE_CHECKING, Any

import anyio

from clickpost_async._transport.family import fault_of, unquoted
from clickpost_async._transport.incoming import Incoming
from clickpost_async._transport.wire import (
    HEADERS,
    JSON_HEADERS,
    Fault,
    Outgoing,
    Progress,
)

if TYPE_CHECKING:
    import httpx
    import httpx2


class HttpxWire:
    """Sends calls through a transport; `library` is the module whose requests it takes."""

    connections = 0

    def __init__(
        self,
        transport: "httpx.AsyncBaseTransport | httpx2.AsyncBaseTransport",
        library: ModuleType,
    ) -> None:
        self._transport: Any = transport
        self._library = library

    def fault(self, error: Exception) -> Fault:
        """Sort an exception of httpx or its successor."""
        return fault_of(error)

    async def send(self, call: Outgoing, progress: Progress, answer: Incoming) -> None:
        """Send a call, in the hands of the transport from here on."""
        connect, write, read = call.limits
        request = self._library.Request(
            call.method,
            call.base.url + call.target,
            headers=HEADERS if call.body is None else JSON_HEADERS,
            content=call.body,
            extensions={
                "timeout": {"connect": connect, "write": write, "read": read, "pool": connect},
                "trace": _Trace(progress).step,
            },
        )
        progress.left = True
        response = await self._transport.handle_async_request(request)
        stream: Any = response.stream
        try:
            answer.begin(response.status_code, response.headers.raw)
            async for chunk in stream:
                answer.take(chunk)
        finally:
            with anyio.CancelScope(shield=True):
                await stream.aclose()

    async def aclose(self) -> None:
        """Close the transport."""
        await self._transport.aclose()

    def abandon(self) -> None:
        """Leave its sockets to the garbage collector: httpx closes none without its event loop."""


class _Trace:
    """Reads a call's progress from what httpcore tells of its steps, where a transport has one."""

    __slots__ = ("_progress",)

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    async def step(self, name: str, info: dict[str, Any]) -> None:
        progress = self._progress
        if not progress.proven:
            progress.proven = True
            progress.left = False
        if name.endswith("send_request_headers.started"):
            progress.left = True
        unquoted(info)
