"""Exports logged calls as golden samples: the call, its request and response, and the result.

`{"call", "args", "kwargs", "request", "response", "expect" or "raises"}`. `args` and `kwargs` are
present where they can be derived from the request: for every payload, and for look-ups of orders.
Personal data and credentials are replaced by placeholders.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from clickpost_async._codec.messages import APIResponse
from clickpost_async._codec.response import decode
from clickpost_async.endpoints import CATALOG
from clickpost_async.errors import ClickPostError
from clickpost_async.sandbox.operation import JSON
from clickpost_async.sandbox.redaction import replaced
from clickpost_async.sandbox.store.records import LoggedCall
from clickpost_async.sandbox.world.clock import day

# Their coroutines take separate arguments, not a payload.
_TAKE_NO_PAYLOAD = frozenset(
    {
        "account.token",
        "serviceability.check",
        "serviceability.options",
        "tracking.set_whatsapp",
        "tracking.unregister",
    }
)


def of(calls: Sequence[LoggedCall]) -> Mapping[str, JSON]:
    """Return a sample of each call with a response, the oldest first, by file name."""
    made: dict[str, JSON] = {}
    for logged in reversed(calls):
        call = _call(logged)
        if logged.http_status and logged.response and call in CATALOG:
            name = f"{call.replace('.', '/')}--{logged.code}-{logged.id}.json"
            made[name] = _sample(logged, call)
    return made


def write(samples: Mapping[str, JSON], folder: Path) -> Sequence[Path]:
    """Write samples as files; returns their paths."""
    paths = []
    for name, sample in samples.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(sample, ensure_ascii=False, indent=2) + "\n", "utf-8")
        paths.append(path)
    return paths


def _sample(logged: LoggedCall, call: str) -> JSON:
    body = replaced(logged.request_json)
    received = replaced(logged.response_json)
    query = {name: str(value) for name, value in logged.query.items()}
    return {
        "source": f"the sandbox, {day(logged.at)}",
        "call": call,
        **_arguments(logged, body),
        "request": {"method": logged.method, "path": logged.path, "query": query, "body": body},
        "response": {"http_status": logged.http_status, "body": received},
        **_meaning(call, logged.http_status, received),
    }


def _call(logged: LoggedCall) -> str:
    """Return the client's name of the call: a fetch by reference is a find."""
    by_reference = "reference_number" in logged.query
    return logged.operation.replace(".fetch_", ".find_") if by_reference else logged.operation


def _arguments(logged: LoggedCall, body: object) -> JSON:
    query = logged.query
    if logged.operation in _TAKE_NO_PAYLOAD:
        return {}
    if isinstance(body, Mapping):
        body = {name: body[name] for name in body if name != "key"}
    if isinstance(body, dict | list):
        return {"args": [body], "kwargs": {}}
    if not logged.operation.startswith(("orders.fetch_", "orders.find_")):
        return {}
    if "reference_number" in query:
        return {"args": [query["reference_number"]], "kwargs": {}}
    if "awb" not in query or not query.get("cp_id", "").isdecimal():
        return {}
    return {"args": [query["awb"]], "kwargs": {"courier_partner": int(query["cp_id"])}}


def _meaning(call: str, http_status: int, received: object) -> JSON:
    text = received if isinstance(received, str) else json.dumps(received)
    response = APIResponse(http_status=http_status, body=text.encode())
    try:
        decoded = decode(CATALOG[call], response)
    except ClickPostError as error:
        return {"raises": {"kind": type(error).__name__, "outcome": error.outcome.value}}
    return {"expect": {"response.status": decoded.response.status}}
