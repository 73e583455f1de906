"""Fault injection: apply a fault to a response or its connection."""

import json
import os
import socket
import struct
from collections.abc import Mapping

from attrs import evolve
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send

from clickpost_async.sandbox.http.faults import Fault, Faults
from clickpost_async.sandbox.operation import Operation, Reply
from clickpost_async.sandbox.world.scenarios import COURIER_ERROR, INTERNAL_ERROR

# The key in the scope's state under which the server passes the connection to the application.
CONNECTION = "clickpost_async.sandbox.connection"

NOT_FOUND = Reply("Not Found", 404)

_PAGES: Mapping[Fault, Reply] = {
    Fault.BUSY: Reply("503 Service Temporarily Unavailable", 503),
    Fault.SERVER_ERROR: Reply("Server Error (500)", 500),
    Fault.HTML: Reply("We are down for maintenance"),
    Fault.GATEWAY: Reply("504 Gateway Time-out", 504),
}

_LINGER_ZERO = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)


def response_to(reply: Reply) -> Response:
    """Return the HTTP response of a reply, without faults."""
    if isinstance(reply.body, str):
        text = reply.body
        page = f"<html><head><title>{text}</title></head><body><h1>{text}</h1></body></html>"
        return HTMLResponse(page, reply.http_status, dict(reply.headers))
    content = json.dumps(reply.body, separators=(",", ":"))
    return Response(content, reply.http_status, dict(reply.headers), "application/json")


def throttled(seconds: int) -> Reply:
    """Return the reply to a call above the rate limit."""
    detail = f"Request was throttled. Expected available in {seconds} seconds."
    return Reply({"detail": detail}, 429, {"Retry-After": str(seconds)})


def injected_reply(fault: Fault, faults: Faults, called: Operation) -> Reply | None:
    """Return the reply of a fault; None if it drops the connection."""
    if fault is Fault.TOO_MANY:
        return throttled(faults.retry_after)
    if fault is Fault.OOPS:
        return called.refuse(500, INTERNAL_ERROR)
    if fault is Fault.COURIER_DOWN:
        return called.refuse(322, COURIER_ERROR)
    if fault is Fault.BUSY:
        return evolve(_PAGES[fault], headers={"Retry-After": str(faults.retry_after)})
    return _PAGES.get(fault)


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
