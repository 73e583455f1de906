"""Exports logged calls as golden samples: the call, its request and response, and the result.

`{"call", "args", "kwargs", "sent", "answered", "expect" or "raises"}`. `args` and `kwargs` are
present where they can be derived from the request: for every payload, and for look-ups of orders.
Personal data and credentials are replaced by placeholders.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from clickpost_async._codec.messages import APIResponse
from clickpost_async._codec.response import decode
from clickpost_async.endpoints import CATALOG
from clickpost_async.errors import ClickPostError
from clickpost_async.sandbox.call_log import LoggedCall
from clickpost_async.sandbox.operation import JSON
from clickpost_async.sandbox.redaction import replaced
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


def of(exchanges: Sequence[LoggedCall]) -> Mapping[str, JSON]:
    """Return a sample of each call with a response, the oldest first, by file name."""
    made: dict[str, JSON] = {}
    for exchange in reversed(exchanges):
        call = _call(exchange)
        if exchange.http_status and exchange.answer and call in CATALOG:
            sample = _sample(exchange, call)
            name = f"{call.replace('.', '/')}--{exchange.code}-{exchange.id}.json"
            made[name] = sample
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


def _sample(exchange: LoggedCall, call: str) -> JSON:
    body = replaced(exchange.sent)
    answered = replaced(exchange.answered)
    query = {name: str(value) for name, value in exchange.query.items()}
    return {
        "source": f"the sandbox, {day(exchange.moment)}",
        "call": call,
        **_arguments(exchange, body),
        "sent": {
            "method": exchange.method,
            "path": exchange.path,
            "query": query,
            "body": body,
        },
        "answered": {"http_status": exchange.http_status, "body": answered},
        **_meaning(call, exchange.http_status, answered),
    }


def _call(exchange: LoggedCall) -> str:
    """Return the client's name of the call: a fetch by reference is a find."""
    found = re.fullmatch(r"orders\.fetch_(india|world)", exchange.operation)
    by_reference = found and "reference_number" in exchange.query
    return f"orders.find_{found[1]}" if found and by_reference else exchange.operation


def _arguments(exchange: LoggedCall, body: object) -> JSON:
    query = exchange.query
    if exchange.operation in _TAKE_NO_PAYLOAD:
        return {}
    if isinstance(body, Mapping):
        return {"args": [{name: body[name] for name in body if name != "key"}], "kwargs": {}}
    if isinstance(body, list):
        return {"args": [body], "kwargs": {}}
    if not exchange.operation.startswith(("orders.fetch_", "orders.find_")):
        return {}
    if "reference_number" in query:
        return {"args": [query["reference_number"]], "kwargs": {}}
    courier_partner = query.get("cp_id", "")
    known = courier_partner.isdecimal() and "awb" in query
    kwargs = {"courier_partner": int(courier_partner)} if known else {}
    return {"args": [query["awb"]], "kwargs": kwargs} if known else {}


def _meaning(call: str, http_status: int, answered: object) -> JSON:
    text = answered if isinstance(answered, str) else json.dumps(answered)
    response = APIResponse(http_status=http_status, body=text.encode())
    try:
        decoded = decode(CATALOG[call], response)
    except ClickPostError as error:
        return {"raises": {"kind": type(error).__name__, "outcome": error.outcome.value}}
    return {"expect": {"response.status": decoded.response.status}}
