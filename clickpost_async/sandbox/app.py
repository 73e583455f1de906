"""The sandbox as an ASGI application."""

import json
import math
import re
import shlex
from collections.abc import Callable, Mapping
from os import PathLike
from typing import Self
from urllib.parse import urlsplit

import anyio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from clickpost_async.sandbox import control_api
from clickpost_async.sandbox.api.orders import OrderBehaviour
from clickpost_async.sandbox.api.validation import section
from clickpost_async.sandbox.control import SandboxControl, SandboxSettings
from clickpost_async.sandbox.http import rate_limit as law
from clickpost_async.sandbox.http.fault_injection import (
    answer_instead,
    drop,
    response_to,
    throttled,
    until_gone,
)
from clickpost_async.sandbox.http.faults import Fault, Faults
from clickpost_async.sandbox.http.routing import files_at, router
from clickpost_async.sandbox.http.traffic import Traffic
from clickpost_async.sandbox.operation import Operation, ReceivedCall, Reply
from clickpost_async.sandbox.page import routes as page
from clickpost_async.sandbox.store.orders import OrderStore, ReceivedCreate, fingerprint

# Requests to the control API and the page are not counted as API traffic.
_is_control_path = re.compile(r"/$|/favicon\.ico$|/(control|page)(/|$)").match
_API_KEY = "sandbox-key-not-a-secret"
_NOBODYS_KEY = "not-a-real-key"
_STAND_INS = {"username": "acme", "user_name": "acme", "key": _NOBODYS_KEY}
_ASK_THE_COURIER = frozenset({"orders.create_india", "orders.create_world", "orders.create_b2b"})


class Application(SandboxControl):
    """Everything a sandbox does; `Sandbox` adds an address."""

    def __init__(
        self,
        *,
        path: str | PathLike[str] | None = None,
        username: str = "sandbox",
        api_key: str = _API_KEY,
        password: str = "sandbox-password-not-a-secret",  # noqa: S107 - a placeholder
        rate: float | None = None,
        burst: int | None = None,
        faults: Faults | None = None,
        courier_seconds: float = 0.0,
        async_polls: int = 1,
        racy: bool = False,
        seed: int = 0,
        clock: Callable[[], float] | None = None,
        scan_every: float | None = None,
        page_size: int = 100,
    ) -> None:
        self.username = username
        self.api_key = api_key
        self.traffic: Traffic = Traffic()
        self._limit = (
            None
            if rate is None
            else law.Limit(rate=rate, burst=max(1, math.ceil(rate)) if burst is None else burst)
        )
        manners = OrderBehaviour(
            courier_seconds=courier_seconds, async_polls=async_polls, racy=racy
        )
        setting = SandboxSettings(
            username=username,
            password=password,
            seed=seed,
            page_size=page_size,
            clock=clock,
            scan_every=scan_every,
            manners=manners,
            faults=Faults(seed=seed) if faults is None else faults,
        )
        super().__init__(OrderStore(path), setting)
        files = (
            files_at("/labels/{name:path}.pdf", self._labels.file, "application/pdf"),
            files_at("/proofs/{name:path}.pdf", self._tracking.proof_file, "application/pdf"),
            files_at("/reports/{name}.csv", self._reports.file, "text/csv"),
        )
        control_routes = (*control_api.routes(self), *page.routes(self, self.export_lines))
        self._router = router(self.operations(), self.answer, (*files, *control_routes))

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

    def export_lines(self, base_url: str) -> tuple[str, ...]:
        """Return the shell commands that configure `ClickPost()` for this sandbox at `base_url`.

        Only the default key is shown: another one may be real.
        """
        api_key = self.api_key if self.api_key == _API_KEY else "..."
        return (
            f"export CLICKPOST_USERNAME={shlex.quote(self.username)}",
            f"export CLICKPOST_API_KEY={api_key}",
            f"export CLICKPOST_BASE_URL={base_url}",
        )

    def close(self) -> None:
        """Close the file; without this it is closed when the sandbox is collected."""
        self._book.close()

    def requests(self) -> tuple[ReceivedCreate, ...]:
        """Return every call received, in the order of the responses."""
        return self._book.arrivals()

    def busiest(self, seconds: float = 1.0) -> int:
        """Return the largest number of calls in any window of so many seconds."""
        return law.busiest(sorted(arrival.moment for arrival in self.requests()), seconds)

    async def answer(
        self, operation: Operation, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Handle a call of an operation, or inject a fault."""
        # The event loop's clock: in a test it may be virtual.
        moment = anyio.current_time()
        request = Request(scope, receive)
        try:
            body = await request.body()
        except ClientDisconnect:
            return
        query = dict(request.query_params)
        credentials = {name: query.pop(name) for name in _STAND_INS if name in query}
        call = ReceivedCall(query=query, body=body, payload=_parsed(body), url=str(request.url))
        reference = _reference(operation, call)
        wait = 0.0 if self._limit is None else self._limit.wait(moment)
        asks = operation.name in _ASK_THE_COURIER
        fault = None if wait else self.faults.draw(reference, asks_courier=asks)
        reply: Reply | None = None
        with self.traffic.create(reference if operation.method == "POST" else ""):
            if self.faults.latency:
                await anyio.sleep(self.faults.latency)
            if not wait and (fault is None or fault.books):
                self.catch_up()
                reply = await operation.answer(
                    call, credentials, username=self.username, key=self.api_key
                )
        response = self._response(reply, wait, fault)
        self._keep(operation, call, credentials, response, fault=fault, moment=moment)
        self._book.note(
            ReceivedCreate(
                operation=operation.name,
                reference_number=reference,
                payload_hash=fingerprint(body),
                status=reply.status if reply else None,
                http_status=response.status_code if response else 0,
                fault=fault,
                moment=moment,
            )
        )
        if response is not None:
            await response(scope, receive, send)
        elif fault is Fault.HANG:
            await until_gone(receive)
        else:
            half = response_to(reply) if reply and fault is Fault.HALF_ANSWER else None
            await drop(scope, receive, send, half=half, reset=self.faults.reset)

    def _keep(
        self,
        operation: Operation,
        call: ReceivedCall,
        credentials: Mapping[str, str],
        response: Response | None,
        *,
        fault: Fault | None,
        moment: float,
    ) -> None:
        key = self.api_key.encode()
        self._exchanges.note(
            operation.name,
            (_reference(operation, call) or _waybill(call)).replace(self.api_key, _NOBODYS_KEY),
            method=operation.method,
            path=urlsplit(call.url).path,
            query={**{name: _STAND_INS[name] for name in credentials}, **call.query},
            body=call.body.replace(key, _NOBODYS_KEY.encode()) if key else call.body,
            http_status=response.status_code if response else 0,
            answer=bytes(response.body) if response else b"",
            fault=fault,
            seconds=anyio.current_time() - moment,
            moment=self.now(),
        )

    def _response(self, reply: Reply | None, wait: float, fault: Fault | None) -> Response | None:
        if wait:
            return throttled(max(1, math.ceil(wait)))
        if fault is not None:
            return answer_instead(fault, self.faults)
        return response_to(reply) if reply else None


def _parsed(body: bytes) -> object:
    try:
        return json.loads(body) if body else None
    except (ValueError, RecursionError):
        return None


def _reference(operation: Operation, call: ReceivedCall) -> str:
    """Return the reference a call is about, fit for the log."""
    found: object = call.query.get("reference_number")
    if isinstance(call.payload, Mapping):
        name = "shipment_info" if operation.name == "orders.create_b2b" else "shipment_details"
        found = section(call.payload, name).get("reference_number", found)
    return _fit(found)


def _waybill(call: ReceivedCall) -> str:
    """Return the waybill a call is about."""
    payload = call.payload if isinstance(call.payload, Mapping) else {}
    names = ("waybill", "awb", "awb_number")
    values = (part.get(name) for part in (call.query, payload) for name in names)
    return _fit(next((value for value in values if value), None))


def _fit(found: object) -> str:
    return "" if found is None else str(found).encode("utf-8", "replace").decode()
