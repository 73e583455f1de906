"""Fault injection: apply a fault to a response or its connection."""

import json
import os
import socket
import struct
from collections.abc import Mapping
from http import HTTPStatus

from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send

from clickpost_async.sandbox.http.faults import Fault, Faults
from clickpost_async.sandbox.operation import Operation, Reply
from clickpost_async.sandbox.world.scenarios import COURIER_ERROR, INTERNAL_ERROR

# The key in the scope's state under which the server passes the connection to the application.
CONNECTION = "clickpost_async.sandbox.connection"

_PAGES: Mapping[Fault, tuple[HTTPStatus, str]] = {
    Fault.BUSY: (HTTPStatus.SERVICE_UNAVAILABLE, "503 Service Temporarily Unavailable"),
    Fault.SERVER_ERROR: (HTTPStatus.INTERNAL_SERVER_ERROR, "Server Error (500)"),
    Fault.HTML: (HTTPStatus.OK, "We are down for maintenance"),
    Fault.GATEWAY: (HTTPStatus.GATEWAY_TIMEOUT, "504 Gateway Time-out"),
}

_LINGER_ZERO = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)


def response_to(reply: Reply) -> Response:
    """Return the HTTP response of a reply, without faults."""
    content = json.dumps(reply.body, separators=(",", ":"))
    return Response(content, reply.http_status, dict(reply.headers), "application/json")


def page(http_status: HTTPStatus, text: str) -> HTMLResponse:
    """Return an HTML page where a client expects JSON."""
    return HTMLResponse(
        f"<html><head><title>{text}</title></head><body><h1>{text}</h1></body></html>", http_status
    )


def throttled(seconds: int) -> Response:
    """Return the response to a call above the rate limit."""
    detail = f"Request was throttled. Expected available in {seconds} seconds."
    return response_to(Reply({"detail": detail}, 429, {"Retry-After": str(seconds)}))


def injected_response(fault: Fault, faults: Faults, called: Operation) -> Response | None:
    """Return the response of a fault; None if it drops the connection."""
    if fault is Fault.TOO_MANY:
        return throttled(faults.retry_after)
    if fault is Fault.OOPS:
        return response_to(called.refuse(500, INTERNAL_ERROR))
    if fault is Fault.COURIER_DOWN:
        return response_to(called.refuse(322, COURIER_ERROR))
    if fault not in _PAGES:
        return None
    response = page(*_PAGES[fault])
    if fault is Fault.BUSY:
        response.headers["Retry-After"] = str(faults.retry_after)
    return response


async def drop(
    scope: Scope, receive: Receive, send: Send, *, half: Response | None, reset: bool
) -> None:
    """Close the connection without a response, or after the first half of one."""
    if half is not None:
        body = bytes(half.body)
        await send(
            {"type": "http.response.start", "status": half.status_code, "headers": half.raw_headers}
        )
        first = body[: len(body) // 2]
        await send({"type": "http.response.body", "body": first, "more_body": True})
    connection = scope.get("state", {}).get(CONNECTION)
    if connection is None:
        raise ConnectionResetError("the sandbox dropped this call on purpose")
    wire = connection.get_extra_info("socket")
    if reset and wire is not None:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
    connection.close()
    await until_gone(receive)


async def until_gone(receive: Receive) -> None:
    """Wait until the client disconnects; returning earlier would make the server respond."""
    while (await receive())["type"] != "http.disconnect":
        pass
