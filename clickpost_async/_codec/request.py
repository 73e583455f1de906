"""Encodes a request from its endpoint, query and body."""

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from clickpost_async._codec import json
from clickpost_async._codec.converter import reference_number_of, structure, to_wire, unstructure
from clickpost_async._codec.endpoint import Endpoint, Idempotency, Query
from clickpost_async._codec.messages import APIRequest, EncodedOrder
from clickpost_async.errors import InvalidRequestError, Problem
from clickpost_async.settings import BodyStyle
from clickpost_async.structures._base import RequestModel, ResponseModel
from clickpost_async.structures._json_values import UNPAIRED_SURROGATE, json_problems, to_plain
from clickpost_async.structures._rules import log_warnings

# An order may contain an invoice in base64; a larger body is a mistake.
_MAX_SIZE = 8 << 20


def encode(
    endpoint: Endpoint[ResponseModel],
    query: Query | None = None,
    body: object = None,
    *,
    style: BodyStyle = BodyStyle.PLAIN,
) -> APIRequest:
    """Encode a request; raises `InvalidRequestError` for what is invalid or cannot be encoded."""
    parameters = (
        {name: to_plain(value) for name, value in query.items() if value is not None}
        if query
        else {}
    )
    written: bytes | None = None
    if isinstance(body, EncodedOrder):
        written, body = body.json, body.order
    if endpoint.takes is not None:
        if type(body) is not endpoint.takes:
            body = structure(body, endpoint.takes)
        elif getattr(body, "warnings", None):
            log_warnings(body)
    reference = getattr(body, "reference_number", None) or parameters.get("reference_number")
    target = f"{endpoint.path}?{_query(parameters)}" if parameters else endpoint.path
    encoded = None if body is None else _json(body, written, style)
    is_create = endpoint.idempotency is Idempotency.BY_REFERENCE
    return APIRequest(
        endpoint.label,
        endpoint.method,
        endpoint.host,
        target,
        encoded,
        endpoint.auth,
        is_create,
        reference if isinstance(reference, str) else None,
    )


def _query(parameters: Query) -> str:
    try:
        return urlencode(parameters, quote_via=quote, errors="strict")
    except UnicodeEncodeError:
        raise InvalidRequestError.of([Problem("query", UNPAIRED_SURROGATE)]) from None


def encode_order(order: RequestModel) -> EncodedOrder:
    """Encode an order ahead of its request, equal orders alike; raises `InvalidRequestError`."""
    return EncodedOrder(order, _write(order, json.write_canonical))


def _json(body: object, written: bytes | None, style: BodyStyle) -> bytes:
    if written is None:
        written = _write(body, json.write)
    if style is BodyStyle.RAW_BODY:
        written = json.write({"RAW_BODY": written.decode()})
    if len(written) > _MAX_SIZE:
        problem = Problem("", f"is larger than {_MAX_SIZE >> 20} MiB as JSON")
        raise InvalidRequestError.of([problem])
    return written


def _write(body: object, write: Callable[[Any], bytes]) -> bytes:
    try:
        return write(to_wire(body))
    except (ValueError, TypeError, RecursionError):
        # The body of a caller's own endpoint, or a structure whose mappings were mutated.
        problems = _encoding_problem(body)
    raise InvalidRequestError.of(problems, reference_number=reference_number_of(body))


def _encoding_problem(body: object) -> Sequence[Problem]:
    try:
        problems = json_problems(unstructure(body))
    except RecursionError:
        problems = json_problems(body)
    except ValueError:
        problems = ()
    return problems or (Problem("", "contains a value that cannot be encoded as JSON"),)
