"""Compares recorded responses with the declarations: which fields, types and codes are new.

ClickPost adds fields and codes without notice. The client reads such responses all the same; this
lists what is new in them. Nothing is sent. A difference contains names of fields, types and codes,
and no other value: no personal data, no waybill and no key.
"""

import base64
import enum
import json
import re
import types
import typing
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from attrs import frozen

from clickpost_async import webhooks
from clickpost_async._codec.endpoint import Get, Post
from clickpost_async._codec.envelope import only_row, result_of, rows_from_result
from clickpost_async._codec.messages import APIResponse
from clickpost_async._codec.response import decode
from clickpost_async.endpoints import CATALOG
from clickpost_async.errors import ClickPostError, FailureKind
from clickpost_async.structures import ResponseModel
from clickpost_async.structures._base import Structure
from clickpost_async.structures._json_values import kind_name, type_name
from clickpost_async.structures._schema import FieldSpec, member_kind, specs

Endpoint = Get[ResponseModel] | Post[ResponseModel]

WEBHOOK = "webhook"


@frozen(order=True)
class Difference:
    """Something in responses that is not declared, and in how many of them it was found."""

    operation: str
    path: str
    what: str
    count: int = 1


@frozen
class Recorded:
    """A recorded response: its operation or its method and path, its HTTP status and its body."""

    operation: str | None
    method: str
    path: str
    http_status: int
    body: Any


def read(text: str) -> list[Recorded]:
    """Read recorded responses from a file's text.

    Args:
        text: A HAR archive, as browsers and proxies save it; or JSON Lines or a JSON list of
            objects with `body`, and with `operation` (such as `orders.create`) or with `method`
            and `url`; `http_status` is 200 if it is missing. `operation` is `webhook` for webhooks.

    Raises:
        ValueError: It is none of these; the message names the line or the entry.

    """
    try:
        data = json.loads(text)
    except ValueError:
        return [_line(number, line) for number, line in enumerate(text.splitlines(), 1) if line]
    if isinstance(data, Mapping) and isinstance(data.get("log"), Mapping):
        return [_har_entry(n, entry) for n, entry in enumerate(data["log"].get("entries", ()), 1)]
    entries = data if isinstance(data, list) else [data]
    return [_record(f"entry {number}", entry) for number, entry in enumerate(entries, 1)]


def compare(recorded: Iterable[Recorded]) -> list[Difference]:
    """Return what is in recorded responses and not in the declarations, each thing once."""
    found = Counter(difference for each in recorded for difference in set(_differences(each)))
    return sorted(
        Difference(each.operation, each.path, each.what, count) for each, count in found.items()
    )


# --- reading recorded responses -------------------------------------------------------------------


def _line(number: int, line: str) -> Recorded:
    try:
        entry = json.loads(line)
    except ValueError:
        raise ValueError(f"line {number} is not JSON: expected an object with body") from None
    return _record(f"line {number}", entry)


def _record(where: str, entry: Any) -> Recorded:
    if not isinstance(entry, Mapping) or "body" not in entry:
        raise ValueError(f"{where} is not a recorded response: expected an object with body")
    operation = entry.get("operation")
    url = entry.get("url", "")
    if operation is None and not url:
        raise ValueError(f"{where} names no operation: add operation, or method and url")
    if operation is not None and operation != WEBHOOK and not _named(str(operation)):
        raise ValueError(f"{where}: there is no operation {str(operation)[:60]!r}")
    try:
        status = int(entry.get("http_status", 200))
    except (TypeError, ValueError):
        raise ValueError(f"{where}: http_status must be a number, such as 200") from None
    method = str(entry.get("method", "GET")).upper()
    return Recorded(operation, method, urlsplit(str(url)).path, status, entry["body"])


def _har_entry(number: int, entry: Any) -> Recorded:
    try:
        request, response = entry["request"], entry["response"]
        path = urlsplit(request["url"]).path
        content = response.get("content", {})
        body = content.get("text", "")
        if content.get("encoding") == "base64":
            body = base64.b64decode(body).decode()
        return Recorded(None, request["method"].upper(), path, int(response["status"]), body)
    except (KeyError, TypeError, AttributeError, ValueError):
        message = f"entry {number} of the HAR archive has no request with a response"
        raise ValueError(message) from None


# --- comparing ------------------------------------------------------------------------------------


def _differences(recorded: Recorded) -> Iterable[Difference]:
    body = recorded.body if isinstance(recorded.body, str) else json.dumps(recorded.body)
    if recorded.operation == WEBHOOK:
        return _of_webhook(body.encode())
    if recorded.operation is not None:
        endpoints = _named(recorded.operation)
    else:
        endpoints = _served_at(recorded.method, recorded.path)
    if not endpoints:
        path = "/".join(map(_public, recorded.path.split("/")))
        return [Difference(f"{recorded.method} {path}", "", "no operation is declared for it")]
    response = APIResponse(http_status=recorded.http_status, body=body.encode())
    # Operations that share a path differ in what they return: the one that fits is meant.
    return min((list(_of_response(each, response)) for each in endpoints), key=len)


def _named(operation: str) -> list[Endpoint]:
    """Return the endpoints of a method of the client; `orders.create` is one of two."""
    return [
        endpoint
        for name, endpoint in CATALOG.items()
        if name in (operation, f"{operation}_india", f"{operation}_world")
    ]


def _served_at(method: str, path: str) -> list[Endpoint]:
    path = re.sub("/+", "/", f"{path}/")
    return [
        endpoint
        for endpoint in CATALOG.values()
        if endpoint.method == method and path.endswith(f"{endpoint.path.rstrip('/')}/")
    ]


def _of_webhook(body: bytes) -> Iterator[Difference]:
    try:
        event = webhooks.parse(body, {}, token=None)
    except webhooks.WebhookError:
        yield Difference(WEBHOOK, "", "the body is not a ClickPost webhook")
        return
    yield from _in_structure(WEBHOOK, "", event)


def _of_response(endpoint: Endpoint, response: APIResponse) -> Iterator[Difference]:
    try:
        decoded = decode(endpoint, response)
    except ClickPostError as error:
        if error.kind is FailureKind.UNKNOWN_STATUS:
            yield Difference(endpoint.name, "meta.status", f"new code {error.status}")
        elif error.kind is FailureKind.UNREADABLE:
            yield Difference(endpoint.name, "", "the response cannot be read")
        return
    body = decoded.response.raw
    if endpoint.extract in (result_of, only_row, rows_from_result) and "meta" in body:
        for key, value in body.items():
            if key not in ("meta", "result"):
                yield Difference(endpoint.name, _public(key), f"new field, {type_name(value)}")
    yield from _in_structure(endpoint.name, "", decoded)


def _in_structure(operation: str, path: str, value: Structure) -> Iterator[Difference]:
    fields = {wire: spec for spec in specs(type(value)) for wire in (spec.wire, *spec.also)}
    for key, raw in value.extra.items():
        # A field that is declared is in `extra` only if its type is another one.
        spec = fields.get(key)
        what = f"new field, {type_name(raw)}"
        if spec is not None:
            what = f"{type_name(raw)} instead of {_declared(spec.kind)}"
        yield Difference(operation, f"{path}{_public(key)}", what)
    for spec in specs(type(value)):
        yield from _in_value(operation, f"{path}{spec.wire}", spec, getattr(value, spec.name))


def _in_value(operation: str, path: str, spec: FieldSpec, value: Any) -> Iterator[Difference]:
    if isinstance(value, Structure):
        yield from _in_structure(operation, f"{path}.", value)
    elif isinstance(value, tuple):
        for member in value:
            yield from _in_value(operation, f"{path}[]", spec, member)
    elif isinstance(value, Mapping):
        for member in value.values():
            yield from _in_value(operation, f"{path}.*", spec, member)
    elif isinstance(value, int) and not isinstance(value, bool | enum.Enum) and _codes(spec.kind):
        yield Difference(operation, path, f"new code {value}")


def _codes(kind: Any) -> bool:
    """Return whether a field holds one of ClickPost's codes, which may be a new one."""
    arms = (member_kind(kind), *typing.get_args(kind))
    return any(isinstance(arm, type) and issubclass(arm, enum.IntEnum) for arm in arms)


def _declared(kind: Any) -> str:
    """Return a declared type by JSON's name for it."""
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        arms = (arm for arm in typing.get_args(kind) if arm is not types.NoneType)
        return " or ".join(dict.fromkeys(map(_declared, arms)))
    if member_kind(kind) is not None:
        return "a list"
    if typing.get_origin(kind) is Mapping:
        return "an object"
    return kind_name(kind)


_NAME = re.compile(r"[A-Za-z_][A-Za-z_-]*\d{0,3}")


def _public(name: str) -> str:
    """Return the name of a field, or `*` for a key that may be a waybill or a person."""
    return name if not name or (_NAME.fullmatch(name) and len(name) <= 60) else "*"


__all__ = ["Difference", "Recorded", "compare", "read"]
