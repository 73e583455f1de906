"""Decodes a response to a response object, or raises the error that fits its status.

`meta.status` decides, never `meta.success` and not the HTTP status alone: ClickPost sends its
errors with HTTP 200, and has sent the same code with several HTTP statuses. A response without
that status may be a gateway's page: it does not prove that the request was rejected.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, Never

from clickpost_async._codec import json
from clickpost_async._codec.converter import structure_response
from clickpost_async._codec.endpoint import Endpoint, Idempotency, R
from clickpost_async._codec.envelope import MetaStatus, meta_status_of, whole_body
from clickpost_async._codec.messages import APIResponse
from clickpost_async.errors import (
    BusyCourierError,
    ClickPostError,
    CourierError,
    CredentialsError,
    FailureKind,
    InvalidRequestError,
    NotSentError,
    Outcome,
    RefusedError,
    ServerError,
    ThrottledError,
    UnreadableReplyError,
)
from clickpost_async.structures._base import ResponseInfo, ResponseModel
from clickpost_async.structures._compiled import constructor

_TOO_MANY = 429

# ClickPost's code tables (order creation, error codes) and help desk.
BY_STATUS: Mapping[int, type[ClickPostError]] = {
    **dict.fromkeys((301, 306, 316, 320, 324, 351, 352, 353, 401, 403), CredentialsError),
    **dict.fromkeys((302, 303, 304, 305, *range(307, 316)), InvalidRequestError),
    **dict.fromkeys((321, 325, 326, 327, 328, 330, 355, 400, 404, 422), InvalidRequestError),
    **dict.fromkeys((319, 350, 354, 420), CourierError),
    **dict.fromkeys((322, 329), BusyCourierError),
    **dict.fromkeys((500, 502, 503, 504), ServerError),
}

# Codes that leave open whether the courier has the order. A code that is in no table does, too.
_UNRECOGNISED = {354: FailureKind.COURIER_UNRECOGNISED}


def decode(
    endpoint: Endpoint[R], response: APIResponse, *, attempts: int = 1, seconds: float = 0.0
) -> R:
    """Decode a response; `attempts` and `seconds` of the call are recorded in its `response`.

    Raises the error that ClickPost's status code maps to.
    """
    body = json.read(response.body)
    if response.http_status == _TOO_MANY:
        raise ThrottledError(
            "too many calls (HTTP 429)",
            retry_after=response.retry_after,
            **_context(endpoint, response),
        )
    meta = meta_status_of(body)
    if meta is None and endpoint.extract is whole_body and response.http_status == 200 and body:
        meta = MetaStatus(200, "")
    if meta is None or meta.status is None:
        if (
            endpoint.extract is whole_body
            and isinstance(body, dict)
            and response.http_status == 400
        ):
            # Endpoints that are documented without an envelope reject without one too.
            raise RefusedError("rejected without a message", **_context(endpoint, response))
        _raise_by_http_status(endpoint, response, meta)
    accepted = meta.status in endpoint.accepts
    creates = endpoint.idempotency is Idempotency.BY_REFERENCE
    if (response.http_status >= 300 if accepted else creates) and not _has_meta(body):
        # A gateway may send `status_code` too; only ClickPost's own status decides whether an order
        # was placed, and only that is a success under a HTTP status of an error.
        _raise_by_http_status(endpoint, response, meta)
    if not accepted:
        _raise_rejection(endpoint, response, meta, meta.status)
    if not isinstance(body, dict):
        raise UnreadableReplyError(
            "response body is not a JSON object", **_context(endpoint, response)
        )
    info = _response_info(meta.status, meta.message, body, response.http_status, attempts, seconds)
    found = _fields_of(endpoint.extract(body), endpoint.returns)
    decoded = structure_response(found, endpoint.returns, info)
    if decoded is None:
        raise UnreadableReplyError(
            "response does not have the documented structure",
            status=meta.status,
            **_context(endpoint, response),
        )
    return decoded


def _has_meta(body: Any) -> bool:
    return isinstance(body, dict) and isinstance(body.get("meta"), dict)


def _fields_of(found: Any, returns: type[ResponseModel]) -> Any:
    """Return the fields of a result that is a list: ClickPost wraps single objects in one."""
    if not isinstance(found, list):
        return found
    if returns is ResponseModel:
        # The list of an endpoint that is not declared here.
        return {"rows": found}
    return found[0] if len(found) == 1 else None


_response_info = constructor(ResponseInfo)


def _context(endpoint: Endpoint[Any], response: APIResponse) -> dict[str, Any]:
    return {"endpoint": endpoint.label, "http_status": response.http_status}


def _raise_rejection(
    endpoint: Endpoint[Any], response: APIResponse, meta: MetaStatus, status: int
) -> Never:
    context: dict[str, Any] = {
        **_context(endpoint, response),
        "status": status,
        "retry_after": response.retry_after,
    }
    if status == _TOO_MANY:
        raise ThrottledError(meta.message, **context)
    kind: Callable[..., ClickPostError] | None
    kind = endpoint.means.get(status) or BY_STATUS.get(status)
    if kind is None or status in _UNRECOGNISED:
        context["outcome"] = Outcome.UNKNOWN
        context["kind"] = _UNRECOGNISED.get(status, FailureKind.UNKNOWN_STATUS)
    raise (kind or RefusedError)(meta.message or "rejected without a message", **context)


def _raise_by_http_status(
    endpoint: Endpoint[Any], response: APIResponse, meta: MetaStatus | None
) -> Never:
    """Raise the error for a response without ClickPost's status; only 401 and 403 are definite."""
    status = response.http_status
    context = _context(endpoint, response)
    message = f"HTTP {status} without a ClickPost status"
    if meta and meta.message:
        message = f"{message}: {meta.message}"
    if status == 404:
        message = f"{message}; check the base URL, such as https://www.clickpost.in/api"
    # See Other may point to the result of the request: RFC 9110, section 15.4.4.
    may_have_acted = status == 303 and endpoint.idempotency is not Idempotency.SAFE
    if 300 <= status < 400 and not may_have_acted:
        raise NotSentError(
            f"redirected (HTTP {status}); redirects are never followed: check the base URL",
            transient=False,
            kind=FailureKind.NOT_SENDABLE,
            **context,
        )
    if status in (408, 425) or status >= 500:
        raise ServerError(message, retry_after=response.retry_after, **context)
    if status in (401, 403):
        raise CredentialsError(message, outcome=Outcome.NOT_SENT, **context)
    if 300 <= status < 500:
        raise UnreadableReplyError(
            message, transient=False, kind=FailureKind.NOT_CLICKPOST, **context
        )
    raise UnreadableReplyError(
        f"cannot interpret the response (HTTP {status}, no meta.status)", **context
    )


# --- how long to wait ---------------------------------------------------------------------------

# Seconds; a longer one may be in milliseconds, or a mistake.
_MAX_WAIT = 3600.0


def retry_after(header: str | None, date: str | None) -> float | None:
    """Parse a Retry-After header to seconds; `None` if it is absent or invalid.

    The result is clamped to between 0 and one hour. A date is compared with the response's own
    Date header, so that a wrong local clock has no effect.
    """
    if header is None:
        return None
    text = header.strip()
    seconds: float
    if text.isascii() and text.replace(".", "", 1).isdigit():
        seconds = float(text)
    else:
        from email.utils import parsedate_to_datetime

        try:
            until = parsedate_to_datetime(text)
            seconds = (until - parsedate_to_datetime(date or "")).total_seconds()
        except (ValueError, TypeError, OverflowError):
            return None
    if math.isnan(seconds):
        return None
    return min(max(seconds, 0.0), _MAX_WAIT)
