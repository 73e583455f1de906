"""The sandbox as an ASGI application."""

import math
import re
from collections.abc import Mapping
from typing import Self
from urllib.parse import urlsplit

import anyio
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from clickpost_async.sandbox.api import (
    account,
    couriers,
    delivery,
    labels,
    ndr,
    order_changes,
    orders,
    params,
    pickups,
    reports,
    returns,
    serviceability,
    tracking,
)
from clickpost_async.sandbox.api.checks import CREATES
from clickpost_async.sandbox.commands import COMMANDS
from clickpost_async.sandbox.control import SandboxControl
from clickpost_async.sandbox.http.fault_injection import (
    drop,
    injected_reply,
    response_to,
    throttled,
    until_gone,
)
from clickpost_async.sandbox.http.faults import Fault
from clickpost_async.sandbox.http.routing import files_at, router
from clickpost_async.sandbox.http.traffic import Limit, Traffic, busiest
from clickpost_async.sandbox.operation import OPERATIONS, Operation, Reply, SandboxRequest
from clickpost_async.sandbox.page import routes as page
from clickpost_async.sandbox.payload import get
from clickpost_async.sandbox.store.records import read_json
from clickpost_async.sandbox.store.repository import fingerprint

# Importing a chapter declares its operations.
_CHAPTERS = (
    *(orders, order_changes, tracking, ndr, pickups, labels, couriers, serviceability),
    *(delivery, reports, returns, account),
)

# Requests to the control API and the page are not counted as API traffic.
_is_control_path = re.compile(r"/$|/favicon\.ico$|/(control|page)(/|$)").match
_PLACEHOLDER_KEY = "not-a-real-key"
_PLACEHOLDERS = {"username": "acme", "user_name": "acme", "key": _PLACEHOLDER_KEY}


class Application(SandboxControl):
    """Everything a sandbox does; `Sandbox` adds an address."""

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.traffic: Traffic = Traffic()
        self._limit: Limit | None = None
        if self.rate is not None:
            burst = max(1, math.ceil(self.rate)) if self.burst is None else self.burst
            self._limit = Limit(rate=self.rate, burst=burst)
        files = (
            files_at(self, "/labels/{name:path}.pdf", labels.label_file, "application/pdf"),
            files_at(self, "/proofs/{name:path}.pdf", labels.proof_file, "application/pdf"),
            files_at(self, "/reports/{name}.csv", reports.report_file, "text/csv"),
        )
        control = (*(command.route(self) for command in COMMANDS), *page.routes(self))
        self._router = router(OPERATIONS.values(), self.respond, (*files, *control))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request as an ASGI application."""
        if scope["type"] != "http" or _is_control_path(scope["path"]):
            await self._router(scope, receive, send)
            return
        with self.traffic.call():
            await self._router(scope, receive, send)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; without this it is closed when the sandbox is collected."""
        self.store.close()

    def busiest(self, seconds: float = 1.0) -> int:
        """Return the largest number of calls in any window of so many seconds."""
        return busiest(sorted(call.moment for call in self.requests()), seconds)

    async def respond(self, called: Operation, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a call of an operation, or inject a fault."""
        # The event loop's clock: in a test it may be virtual.
        moment = anyio.current_time()
        request = Request(scope, receive)
        try:
            body = await request.body()
        except ClientDisconnect:
            return
        query = dict(request.query_params)
        call = SandboxRequest(
            operation=called.name,
            credentials={name: query.pop(name) for name in _PLACEHOLDERS if name in query},
            query=query,
            body=body,
            payload=read_json(body),
            url=str(request.url),
        )
        reference = _reference(called, call)
        wait = 0.0 if self._limit is None else self._limit.wait(moment)
        asks = called.name in CREATES.values()
        fault = None if wait else self.faults.draw(reference, asks_courier=asks)
        reply: Reply | None = None
        with self.traffic.create(reference if called.endpoint.method == "POST" else ""):
            if self.faults.latency:
                await anyio.sleep(self.faults.latency)
            if not wait and (fault is None or fault.books):
                self.catch_up()
                reply = await called.respond(self, call)
        sent = reply
        if wait:
            sent = throttled(max(1, math.ceil(wait)))
        elif fault is not None:
            sent = injected_reply(fault, self.faults, called)
        response = response_to(sent) if sent else None
        key, content = self.api_key.encode(), bytes(response.body) if response else b""
        self.store.log_call(
            operation=called.name,
            about=(reference or _waybill(call)).replace(self.api_key, _PLACEHOLDER_KEY),
            reference_number=reference,
            method=called.endpoint.method,
            path=urlsplit(call.url).path,
            query={**{name: _PLACEHOLDERS[name] for name in call.credentials}, **call.query},
            body=body.replace(key, _PLACEHOLDER_KEY.encode()) if key else body,
            payload_hash=fingerprint(body),
            status=reply.status if reply else None,
            http_status=sent.http_status if sent else 0,
            code=sent.code if sent else 0,
            response=content,
            fault=fault,
            seconds=anyio.current_time() - moment,
            moment=moment,
            at=self.now(),
        )
        if response is not None:
            await response(scope, receive, send)
        elif fault is Fault.HANG:
            await until_gone(receive)
        else:
            half = response_to(reply) if reply and fault is Fault.HALF_RESPONSE else None
            await drop(scope, receive, send, half=half, reset=self.faults.reset)


def _reference(called: Operation, call: SandboxRequest) -> str:
    """Return the reference number that a call is about, fit for the log."""
    section = "shipment_info" if called.name == "orders.create_b2b" else "shipment_details"
    payload = call.payload if isinstance(call.payload, Mapping) else {}
    found = get(payload, f"{section}.reference_number")
    return params.printable(call.query.get("reference_number") if found is None else found)


def _waybill(call: SandboxRequest) -> str:
    """Return the waybill that a call is about."""
    payload = call.payload if isinstance(call.payload, Mapping) else {}
    names = ("waybill", "awb", "awb_number")
    values = (part.get(name) for part in (call.query, payload) for name in names)
    return params.printable(next((value for value in values if value), None))
