"""Parse the webhooks that ClickPost sends: a pure function, for any web framework.

    event = webhooks.parse(body, headers, token="the token from the dashboard")
    if event.identity not in seen and event.supersedes(latest.get(event.waybill)):
        ...

ClickPost sends neither a signature nor an id. It resends a webhook until it gets HTTP 200, in no
guaranteed order, and with keys that vary. So `identity` is the same for duplicates, `supersedes`
compares two events by age, and unknown keys are kept in `extra`. The token is a static secret and
weak protection: rotate it (`token` takes several), and receive webhooks over https only.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, tzinfo
from typing import Annotated, Any
from urllib.parse import parse_qsl

from attrs import frozen

from clickpost_async._codec.converter import structure_response
from clickpost_async._util.arguments import got
from clickpost_async.structures import (
    Bucket,
    NdrCode,
    NotificationEvent,
    ResponseInfo,
    ResponseModel,
    Scan,
    TrackingCode,
)
from clickpost_async.structures._marks import Personal, WireName
from clickpost_async.structures._timestamps import IST, parse_timestamp

MAX_SIZE = 256 * 1024

# The header of the token in ClickPost's documentation, and those that receivers have been seen to
# read it from. Web servers may turn the underscore into a hyphen.
_TOKEN_HEADERS = frozenset({"webhook_key", "webhook-key", "authorization", "x-api-key"})

# Query parameters with a token, in the URL configured on the dashboard: https://…/clickpost?secret=…
_TOKEN_PARAMETERS = frozenset({"secret", "token", "webhook_key"})
_MAX_PARAMETERS = 50

_RETURN_CODES = frozenset({"101", "102"})
_NO_COURIER = "-1"

# Final states; of two scans at the same time these are the later one.
_FINAL = frozenset(
    {
        TrackingCode.DELIVERED,
        TrackingCode.CANCELLED,
        TrackingCode.RTO_DELIVERED,
        TrackingCode.LOST,
        TrackingCode.EXCHANGE_DELIVERED,
    }
)


class WebhookError(Exception):
    """A webhook that is rejected; `http_status` is the status to respond with."""

    http_status = 400


class WebhookTokenError(WebhookError):
    """The webhook does not contain the token."""

    http_status = 401


class WebhookTooLargeError(WebhookError):
    """The body is larger than any that ClickPost sends."""

    http_status = 413


@frozen(kw_only=True, repr=False)
class ReturnedItem(ResponseModel):
    """One item that a customer wants to return."""

    id: str | None = None
    sku: str | None = None
    quantity: int | None = None
    description: str | None = None
    return_reason: str | None = None
    return_sub_reason: str | None = None
    return_mode: str | None = None
    refund_mode: str | None = None
    customer_comment: Annotated[str | None, Personal()] = None
    images: str | None = None
    customer_uploaded_images: Annotated[str | None, Personal()] = None
    shopify_line_item_id: str | None = None


@frozen(kw_only=True, repr=False)
class EventDetails(ResponseModel):
    """The `additional` object of a webhook; those of returns have only some of its fields."""

    latest_status: Scan | None = None
    is_rvp: bool | None = None
    account_code: str | None = None
    merchant_order_id: Annotated[str | None, WireName("order_id")] = None
    courier_partner_edd: str | None = None
    destination_hub_inscan_ts: str | None = None
    ndr_status_code: NdrCode | int | None = None
    ndr_status_description: str | None = None
    npr_status_code: int | None = None
    npr_status_description: str | None = None
    notification_event_id: NotificationEvent | int | None = None
    source: str | None = None
    forward_awb: str | None = None
    rto_awb: str | None = None
    forward_order_id: str | None = None
    forward_reference_number: str | None = None
    return_reference_number: str | None = None
    self_shipped: bool | None = None
    item_info: Sequence[ReturnedItem] | None = None
    drop_store_id: str | None = None
    return_address: Annotated[str | None, Personal()] = None
    return_phone_number: Annotated[str | None, Personal()] = None
    return_pickup_address: Annotated[str | None, Personal()] = None
    return_pickup_phone_number: Annotated[str | None, Personal()] = None


@frozen(kw_only=True, repr=False)
class Event(ResponseModel):
    """The fields of every webhook: a scan, and in `additional.latest_status` the current state.

    Several scans that ClickPost receives together are sent one by one, all with the same current
    state.
    """

    waybill: str | None = None
    courier_partner: Annotated[int | None, WireName("cp_id")] = None
    status: str | None = None
    # As in `Scan`: couriers write who received the parcel into it.
    remark: Annotated[str | None, Personal()] = None
    location: str | None = None
    timestamp: str | None = None
    clickpost_status_code: TrackingCode | int | None = None
    clickpost_status_description: str | None = None
    clickpost_status_bucket: Bucket | int | None = None
    clickpost_status_bucket_description: str | None = None
    clickpost_city: str | None = None
    account_code: str | None = None
    rto_awb: str | None = None
    additional: EventDetails | None = None

    @property
    def at(self) -> datetime | None:
        """When it happened, as far as its text can be read."""
        return _read(self.timestamp, IST)

    @property
    def subject(self) -> str:
        """The waybill that the event is about."""
        return self.waybill or ""

    @property
    def identity(self) -> str:
        """Key for deduplication, equal for every delivery of one event, and for no other."""
        code = self.clickpost_status_code
        facts = (self.subject, None if code is None else int(code), self.timestamp, self.status)
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def supersedes(self, other: "Event | None") -> bool:
        """Return whether it is newer than another event of the same parcel.

        Events are ordered by when they happened, not by when they were received; at the same time,
        a final state is the later. An event without a valid time supersedes only a missing one.

        Args:
            other: An event of the same `subject`, or `None` if there is none yet.

        """
        return other is None or self.order > other.order

    @property
    def order(self) -> tuple[Any, ...]:
        """The sort key of events, oldest first."""
        at = self.at
        code = self.clickpost_status_code
        return (
            at is not None,
            at or datetime.min.replace(tzinfo=UTC),
            code in _FINAL,
            -1 if code is None else int(code),
            self.identity,
        )


@frozen(kw_only=True, repr=False)
class TrackingEvent(Event):
    """A scan of a parcel; its `timestamp` is India's time, though it ends with `Z`."""


@frozen(kw_only=True, repr=False)
class ReturnEvent(Event):
    """A customer has requested a return (code 101), or it was approved (102); times are UTC.

    There is no waybill yet, and the courier is -1.
    """

    notification_event: NotificationEvent | int | None = None
    return_reference_number: str | None = None
    customer_name: Annotated[str | None, Personal()] = None
    request_placed_time: str | None = None
    pickup_info: Annotated[Mapping[str, Any] | None, Personal()] = None
    internal: Annotated[Mapping[str, Any] | None, Personal()] = None

    @property
    def at(self) -> datetime | None:
        """When it happened, as far as its text can be read."""
        return _read(self.timestamp, UTC)

    @property
    def subject(self) -> str:
        """The reference of the return that the event is about, or of the returned parcel."""
        details = self.additional or EventDetails()
        return (
            self.return_reference_number
            or details.return_reference_number
            or details.forward_reference_number
            or details.forward_awb
            or self.waybill
            or ""
        )


def parse(
    body: bytes,
    headers: Mapping[str, str],
    *,
    token: str | Iterable[str] | None,
    query: str = "",
) -> TrackingEvent | ReturnEvent:
    """Check a webhook's token and parse it.

    Args:
        body: The raw body, at most 256 KiB.
        headers: The request's headers.
        token: The token configured on the dashboard, or several while it is being rotated; `None`
            skips the check, if a proxy has done it.
        query: The query string of the request's URL, for a token in the URL of the webhook
            (`?secret=`, `?token=` or `?webhook_key=`) instead of a header.

    Returns:
        A tracking event or a return event.

    Raises:
        WebhookTooLargeError: The body is larger than any that ClickPost sends.
        WebhookTokenError: Neither a header nor the query contains the token.
        WebhookError: The body is not a ClickPost webhook.
        TypeError: The body is not bytes, or the headers are not a mapping.

    """
    if not hasattr(body, "decode"):
        raise TypeError(f"body must be the raw bytes of the request's body; {got(body)}")
    if not hasattr(headers, "items"):
        raise TypeError(f"headers must be a mapping of names to values; {got(headers)}")
    try:
        return _parse(body, headers, token, query)
    except WebhookError as error:
        # Error trackers export the variables of frames, and these hold the token and a customer.
        del body, headers, token, query
        raise error.with_traceback(None) from None


def _parse(
    body: bytes, headers: Mapping[str, str], token: str | Iterable[str] | None, query: str
) -> TrackingEvent | ReturnEvent:
    if len(body) > MAX_SIZE:
        raise WebhookTooLargeError(f"webhook body larger than {MAX_SIZE} bytes")
    if token is not None:
        tokens = [token] if isinstance(token, str) else token
        if not _has_token((*_header_values(headers), *_query_values(query)), tokens):
            raise WebhookTokenError(
                "webhook token missing or wrong in the headers and the URL's query"
            )
    payload = _payload(body)
    reply = ResponseInfo(raw=payload)
    event: TrackingEvent | ReturnEvent | None
    if _is_return(payload):
        event = structure_response(payload, ReturnEvent, reply)
    else:
        event = structure_response(payload, TrackingEvent, reply)
    if event is None or event.clickpost_status_code is None:
        raise WebhookError("not a ClickPost webhook: no clickpost_status_code")
    return event


def _has_token(values: Iterable[bytes], tokens: Iterable[str]) -> bool:
    """Compare every value with every token, in a time that does not depend on their contents."""
    accepted = [form for token in tokens if token for form in _header_forms(token)]
    matches = [hmac.compare_digest(value, form) for value in values for form in accepted]
    return any(matches)


def _header_values(headers: Mapping[str, str]) -> Iterator[bytes]:
    for name, value in headers.items():
        if name.lower() in _TOKEN_HEADERS:
            yield value.encode("utf-8", "surrogatepass")


def _query_values(query: str) -> Iterator[bytes]:
    with suppress(ValueError):
        for name, value in parse_qsl(query.removeprefix("?"), max_num_fields=_MAX_PARAMETERS):
            if name.lower() in _TOKEN_PARAMETERS:
                yield value.encode("utf-8", "surrogatepass")


def _header_forms(token: str) -> Iterator[bytes]:
    """Yield the forms that a token may have in a header, as UTF-8.

    It is sent as UTF-8 or Latin-1, and frameworks decode a header's bytes as one or the other: ASGI
    and WSGI as Latin-1, aiohttp as UTF-8 with surrogate escapes.
    """
    yield token.encode("utf-8", "surrogatepass")
    with suppress(UnicodeEncodeError):
        yield token.encode().decode("latin-1").encode()
    with suppress(UnicodeEncodeError):
        as_utf8 = token.encode("latin-1").decode("utf-8", "surrogateescape")
        yield as_utf8.encode("utf-8", "surrogatepass")


def _payload(body: bytes) -> dict[str, Any]:
    try:
        payload = json.loads(body.decode())
    except (ValueError, RecursionError):
        payload = None
    if isinstance(payload, dict) and isinstance(payload.get("payload"), dict):
        # The payload of an approved return is nested.
        payload = {**payload["payload"], "internal": payload.get("internal")}
    if not isinstance(payload, dict):
        raise WebhookError("not a ClickPost webhook: body is not a JSON object")
    return payload


def _is_return(payload: Mapping[str, Any]) -> bool:
    """Return whether it is about a return: by its code, or because it has no courier yet."""
    return (
        str(payload.get("clickpost_status_code")) in _RETURN_CODES
        or str(payload.get("cp_id")) == _NO_COURIER
    )


def _read(text: str | None, zone: tzinfo) -> datetime | None:
    """Parse a time in `zone`, ignoring a `Z`, which ClickPost also writes for other zones."""
    return parse_timestamp(None if text is None else text.strip().removesuffix("Z"), zone)
