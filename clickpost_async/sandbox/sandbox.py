"""The sandbox: an ASGI application, which can serve itself on a port."""

import math
import os
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Self
from urllib.parse import urlsplit

import anyio
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from clickpost_async.sandbox import params
from clickpost_async.sandbox.api import (
    account,
    couriers,
    delivery,
    labels,
    ndr,
    order_changes,
    orders,
    pickups,
    reports,
    returns,
    serviceability,
    tracking,
)
from clickpost_async.sandbox.api.checks import CREATES
from clickpost_async.sandbox.commands import COMMANDS
from clickpost_async.sandbox.control import SandboxControl
from clickpost_async.sandbox.http.faults import Fault, drop, injected_reply, throttled, until_gone
from clickpost_async.sandbox.http.routing import files_at, router
from clickpost_async.sandbox.http.traffic import Limit, Traffic, busiest
from clickpost_async.sandbox.operation import OPERATIONS, Operation, Reply, SandboxRequest
from clickpost_async.sandbox.page import routes as page
from clickpost_async.sandbox.redaction import PLACEHOLDER_CREDENTIALS as PLACEHOLDERS
from clickpost_async.sandbox.server import Server
from clickpost_async.sandbox.store.records import read_json
from clickpost_async.sandbox.store.repository import fingerprint

# Importing a chapter declares its operations.
_CHAPTERS = (
    *(orders, order_changes, tracking, ndr, pickups, labels, couriers, serviceability),
    *(delivery, reports, returns, account),
)

# Requests to the control API and the page are not counted as API traffic.
_is_control_path = re.compile(r"/$|/favicon\.ico$|/(control|page)(/|$)").match


class Sandbox(SandboxControl):
    """A local server with ClickPost's API: it responds, rejects, stores and fails like ClickPost.

    `async with Sandbox() as sandbox:` serves it on a free port while the block runs, with its page
    at `sandbox.page`; what it has stored can still be read afterwards.

    Args:
        path: A SQLite file for its data; by default they are kept in memory.
        username: The accepted username.
        api_key: The accepted API key.
        password: The password of the user, for `account.token`.
        rate: The rate limit in calls per second (429 above it); `None` is unlimited.
        burst: How many calls may exceed it at once.
        faults: The injected faults, from the start.
        courier_seconds: How long a courier takes to book an order, in seconds.
        async_polls: How often an order with `additional.async` gets 102, and a report PENDING,
            before it is done.
        racy: Buy a label before its reference is recorded, so that overlapping creates buy two.
        seed: The seed of waybills and faults: the same calls get the same responses.
        clock: Returns the seconds since the epoch.
        scan_every: The seconds that a parcel stays at a station; without it parcels move by
            `advance` alone.
        page_size: The rows in a page of updated orders.

    """

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.traffic: Traffic = Traffic()
        self._server: Server | None = None
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
        self._router = router(OPERATIONS.values(), self._respond, (*files, *control))

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

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.stop()

    def start(self, port: int = 0) -> None:
        """Serve from a background thread until `stop`; port 0 takes any free one."""
        if self._server is not None:
            raise RuntimeError(f"this sandbox is already running at {self.base_url}")
        pushing = partial(self.webhooks.keep_pushing, self.catch_up, self.scan_every)
        self._server = Server(self, self.traffic, pushing, port)

    def stop(self) -> None:
        """Close the port and every connection; idempotent."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def close(self) -> None:
        """Stop, and close the file; without this it is closed when the sandbox is collected."""
        self.stop()
        self.store.close()

    @property
    def base_url(self) -> str:
        """The base URL of the API, which a client takes as `base_url`."""
        if self._server is None:
            raise RuntimeError("this sandbox is not running: use `async with`, or call `start()`")
        return self._server.url

    @property
    def page(self) -> str:
        """The URL of the sandbox's page for browsers."""
        return self.base_url.removesuffix("api")

    def busiest(self, seconds: float = 1.0) -> int:
        """Return the largest number of calls in any window of so many seconds."""
        return busiest(sorted(call.moment for call in self.requests()), seconds)

    async def _respond(self, called: Operation, scope: Scope, receive: Receive, send: Send) -> None:
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
            credentials={name: query.pop(name) for name in PLACEHOLDERS if name in query},
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
        response = sent.response() if sent else None
        key, content = self.api_key.encode(), bytes(response.body) if response else b""
        self.store.log_call(
            operation=called.name,
            about=(reference or _waybill(call)).replace(self.api_key, PLACEHOLDERS["key"]),
            reference_number=reference,
            method=called.endpoint.method,
            path=urlsplit(call.url).path,
            query={**{name: PLACEHOLDERS[name] for name in call.credentials}, **call.query},
            body=body.replace(key, PLACEHOLDERS["key"].encode()) if key else body,
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
            half = reply if fault is Fault.HALF_RESPONSE else None
            await drop(scope, receive, send, half=half, reset=self.faults.reset)


def main(sandbox: Sandbox, port: int) -> None:
    """Print the address of a sandbox, then serve it until interrupted."""
    with sandbox, suppress(KeyboardInterrupt):
        try:
            sandbox.start(port)
        except OSError as error:
            reason = os.strerror(error.errno).lower() if error.errno else error
            raise SystemExit(f"port {port}: {reason}; 0 takes any free one") from None
        lines = (f"in a browser: {sandbox.page}", *sandbox.export_lines(sandbox.base_url))
        # The process that started this one waits for the first line.
        print(sandbox.base_url, *lines, sep="\n", flush=True)
        while True:
            time.sleep(3600)


def _reference(called: Operation, call: SandboxRequest) -> str:
    """Return the reference number that a call is about, fit for the log."""
    section = "shipment_info" if called.name == "orders.create_b2b" else "shipment_details"
    payload = call.payload if isinstance(call.payload, Mapping) else {}
    found = params.get(payload, f"{section}.reference_number")
    return params.printable(call.query.get("reference_number") if found is None else found)


def _waybill(call: SandboxRequest) -> str:
    """Return the waybill that a call is about."""
    payload = call.payload if isinstance(call.payload, Mapping) else {}
    names = ("waybill", "awb", "awb_number")
    values = (part.get(name) for part in (call.query, payload) for name in names)
    return params.printable(next((value for value in values if value), None))
