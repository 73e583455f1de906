import contextlib
import copy
import itertools
import json
import pickle
import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clickpost_async import webhooks
from clickpost_async.structures import Bucket, NdrCode, NotificationEvent, TrackingCode
from clickpost_async.webhooks import (
    Event,
    ReturnEvent,
    TrackingEvent,
    WebhookError,
    WebhookTokenError,
    WebhookTooLargeError,
)

TOKEN = "a-word-typed-on-the-dashboard"
IST = timezone(timedelta(hours=5, minutes=30))

SCAN: dict[str, Any] = {
    "waybill": "DL8800000001",
    "cp_id": 4,
    "status": "Pending",
    "remark": "door locked",
    "location": "Indore_Palasia_D (Madhya Pradesh)",
    "timestamp": "2026-03-04T12:40:00Z",
    "clickpost_status_code": 9,
    "clickpost_status_description": "FailedDelivery",
    "clickpost_city": "Indore",
    "account_code": "delhivery surface",
    "additional": {
        "latest_status": {
            "status": "Dispatched",
            "clickpost_status_code": 6,
            "clickpost_status_bucket": 4,
            "timestamp": "2026-03-05T09:00:00Z",
            "reference_number": "SHOP-9",
        },
        "is_rvp": False,
        "order_id": "9",
        "ndr_status_code": 1,
        "ndr_status_description": "customer unavailable",
        "npr_status_code": None,
    },
}
EVENT = {**SCAN, "clickpost_status_code": 8, "additional": {"notification_event_id": 5}}
PLACED: dict[str, Any] = {
    "waybill": "",
    "cp_id": -1,
    "status": "Return Order Placed",
    "remark": "Return Order Placed",
    "timestamp": "2026-03-04 07:10:11.161221",
    "clickpost_status_code": 101,
    "clickpost_status_bucket": 8,
    "notification_event": 11,
    "additional": {
        "notification_event_id": 11,
        "is_rvp": True,
        "forward_awb": "DL8800000001",
        "forward_reference_number": "SHOP-9",
        "self_shipped": False,
        "item_info": [{"sku": "CUP-2", "quantity": "1", "customer_comment": "chipped"}],
    },
}
# The shape of 2025, which the poll of returns repeats.
RAISED: dict[str, Any] = {
    **PLACED,
    "return_reference_number": "RT-18",
    "customer_name": "Nina Sample",
    "request_placed_time": "2026-03-04T07:10:11Z",
    "pickup_info": {"customer_name": "Nina Sample", "pickup_pincode": "452001"},
    "additional": {
        **PLACED["additional"],
        "source": "API",
        "forward_order_id": "9",
        "return_reference_number": "RT-18",
        "drop_store_id": "Store 4",
        "return_address": "5 Depot Lane",
        "return_phone_number": "9000000044",
        "return_pickup_address": "7 Lake View",
        "return_pickup_phone_number": "9000000045",
        "item_info": [
            {
                "id": 17827,
                "sku": "CUP-2",
                "quantity": 1,
                "description": "cup",
                "return_reason": "damaged",
                "return_sub_reason": None,
                "return_mode": "REFUND",
                "refund_mode": "Credits",
                "customer_comment": "",
                "images": "https://shop.example.com/cup.jpg",
                "customer_uploaded_images": "https://shop.example.com/mine.jpg",
                "shopify_line_item_id": None,
            }
        ],
    },
}
APPROVED = {
    "payload": {
        **PLACED,
        "clickpost_status_code": 102,
        "clickpost_status_bucket_description": 8,
        "return_reference_number": "RT-17",
        "customer_name": "Nina Sample",
    },
    "internal": {"queue": 3},
}


def parsed(payload: Any, headers: dict[str, str] | None = None, **more: Any) -> Any:
    more.setdefault("token", None)
    return webhooks.parse(json.dumps(payload).encode(), headers or {}, **more)


# --- what is pushed -----------------------------------------------------------------------------


def test_scan_has_its_own_state_and_the_current_one() -> None:
    event = parsed(SCAN)

    assert type(event) is TrackingEvent
    assert event.clickpost_status_code is TrackingCode.FAILED_DELIVERY
    assert event.additional.ndr_status_code is NdrCode.CUSTOMER_UNAVAILABLE
    assert event.additional.latest_status.clickpost_status_code is TrackingCode.OUT_FOR_DELIVERY
    assert event.additional.latest_status.clickpost_status_bucket is Bucket.OUT_FOR_DELIVERY
    assert event.at == datetime(2026, 3, 4, 12, 40, tzinfo=IST)
    assert event.extra == {}
    assert event.response.raw == SCAN


def test_selected_event_is_named() -> None:
    assert parsed(EVENT).additional.notification_event_id is NotificationEvent.DELIVERED


def test_return_is_about_what_is_returned() -> None:
    event = parsed(PLACED)

    assert type(event) is ReturnEvent
    assert event.clickpost_status_code is TrackingCode.RETURN_PLACED
    assert event.subject == "SHOP-9"
    assert event.at == datetime(2026, 3, 4, 7, 10, 11, 161221, tzinfo=UTC)
    assert event.additional.item_info[0].quantity == 1


def test_return_names_its_origin_and_destination() -> None:
    event = parsed(RAISED)

    details = event.additional
    (item,) = details.item_info
    assert details.forward_order_id == "9"
    assert details.drop_store_id == "Store 4"
    assert details.return_pickup_phone_number == "9000000045"
    assert (item.id, item.images) == ("17827", "https://shop.example.com/cup.jpg")
    assert event.extra == details.extra == item.extra == {}
    for person in ("Nina", "7 Lake View", "5 Depot Lane", "9000000044", "9000000045", "mine.jpg"):
        assert person not in repr(event)


@pytest.mark.parametrize(
    "change",
    [
        {"clickpost_status_code": "101"},
        {"clickpost_status_code": 103, "status": "Return Request Rejected"},
        {"clickpost_status_code": 102, "cp_id": 4, "waybill": "DL8800000009"},
    ],
)
def test_return_is_known_by_its_code_or_by_having_no_courier(change: dict[str, Any]) -> None:
    event = parsed({**RAISED, **change})

    assert type(event) is ReturnEvent
    assert event.subject == "RT-18"


def test_approved_return_is_wrapped() -> None:
    event = parsed(APPROVED)

    assert type(event) is ReturnEvent
    assert event.clickpost_status_code is TrackingCode.RETURN_APPROVED
    assert event.subject == "RT-17"
    assert event.clickpost_status_bucket_description == "8"
    assert event.internal == {"queue": 3}


@pytest.mark.fault("S07")
def test_undocumented_codes_are_kept() -> None:
    unknown = {"notification_event_id": 99, "ndr_status_code": 14}
    event = parsed({**SCAN, "clickpost_status_code": 47, "new_key": [1], "additional": unknown})

    assert event.clickpost_status_code == 47
    assert (event.additional.notification_event_id, event.additional.ndr_status_code) == (99, 14)
    assert event.extra == {"new_key": [1]}


def test_people_are_not_shown() -> None:
    shown = repr(parsed(APPROVED)) + repr(parsed(PLACED))

    assert "Nina" not in shown
    assert "chipped" not in shown


BODY = json.dumps(SCAN).encode()

# --- the token ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header", ["webhook_key", "Webhook-Key", "AUTHORIZATION", "x-api-key", "X-API-Key"]
)
def test_token_is_found_wherever_it_may_be(header: str) -> None:
    assert parsed(SCAN, {header: TOKEN, "Host": "h"}, token=TOKEN).waybill == "DL8800000001"


def test_two_tokens_are_taken_while_one_is_changed() -> None:
    for accepted in ("old-word", "new-word"):
        assert parsed(SCAN, {"webhook_key": accepted}, token=["old-word", "new-word"])


@pytest.mark.fault("S07")
@pytest.mark.parametrize(
    "headers",
    [{}, {"webhook_key": ""}, {"webhook_key": TOKEN + "x"}, {"cookie": TOKEN}, {"x-api-key": "é"}],
)
def test_wrong_token_and_none_are_the_same(headers: dict[str, str]) -> None:
    with pytest.raises(WebhookTokenError) as caught:
        parsed(SCAN, headers, token=TOKEN)

    assert caught.value.http_status == 401
    assert str(caught.value) == "webhook token missing or wrong in the headers and the URL's query"
    assert TOKEN not in repr(caught.value)


@pytest.mark.parametrize(
    ("token", "sent_as"),
    [
        ("mot-de-passe-\u00e9t\u00e9", "utf-8"),
        ("mot-de-passe-\u00e9t\u00e9", "latin-1"),
        ("\u0936\u092c\u094d\u0926", "utf-8"),
        ("\u20ac5", "utf-8"),
    ],
)
@pytest.mark.parametrize("read_as", ["utf-8", "latin-1"])
def test_token_that_is_not_ascii_matches_however_it_is_encoded(
    token: str, sent_as: str, read_as: str
) -> None:
    header = token.encode(sent_as).decode(read_as, "surrogateescape")

    assert parsed(SCAN, {"webhook_key": header}, token=["another", token])
    for wrong in (header + "x", header[:-1], ""):
        with pytest.raises(WebhookTokenError):
            parsed(SCAN, {"webhook_key": wrong}, token=token)


@given(st.text(st.characters(exclude_categories=())), st.text(st.characters()))
def test_any_other_header_is_a_wrong_token(header: str, token: str) -> None:
    forms = {token, token.encode("utf-8", "surrogatepass").decode("latin-1")}
    with contextlib.suppress(UnicodeEncodeError):
        forms.add(token.encode("latin-1").decode("utf-8", "surrogateescape"))
    if token and header in forms:
        assert parsed(SCAN, {"webhook_key": header}, token=token)
    else:
        with pytest.raises(WebhookTokenError):
            parsed(SCAN, {"webhook_key": header}, token=token)


@pytest.mark.parametrize("name", ["secret", "token", "webhook_key", "SECRET"])
def test_token_may_stand_in_the_url(name: str) -> None:
    query = f"shop=7&{name}=caf%C3%A9-not-a-secret"

    event = webhooks.parse(BODY, {}, token="café-not-a-secret", query=query)

    assert event.waybill == "DL8800000001"


@pytest.mark.parametrize(
    "query",
    ["", "secret=", "secret=wrong", "other=right-word", "secret", "&" * 60 + "secret=right-word"],
)
def test_url_without_the_token_is_rejected(query: str) -> None:
    with pytest.raises(webhooks.WebhookTokenError):
        webhooks.parse(BODY, {}, token="right-word", query=query)


def test_empty_token_in_the_url_is_refused() -> None:
    with pytest.raises(webhooks.WebhookTokenError):
        webhooks.parse(BODY, {}, token="", query="secret=&token=")


def test_waybill_of_a_return_to_origin_is_a_field() -> None:
    event = parsed({**SCAN, "rto_awb": "DL8800000002"})

    assert event.rto_awb == "DL8800000002"
    assert "rto_awb" not in event.extra


@pytest.mark.parametrize("nothing", ["", [], [""]])
def test_empty_token_is_refused(nothing: Any) -> None:
    with pytest.raises(WebhookTokenError):
        parsed(SCAN, {"webhook_key": ""}, token=nothing)


# --- what is no push ----------------------------------------------------------------------------


def test_largest_push_is_taken() -> None:
    body = json.dumps(SCAN).encode()
    padded = body + b" " * (256 * 1024 - len(body))

    assert webhooks.parse(padded, {}, token=None).waybill == "DL8800000001"
    with pytest.raises(WebhookTooLargeError):
        webhooks.parse(padded + b" ", {}, token=None)


@pytest.mark.fault("S07")
def test_push_of_any_size_is_not_taken() -> None:
    with pytest.raises(WebhookTooLargeError) as caught:
        parsed({**SCAN, "remark": "x" * 256 * 1024})

    assert caught.value.http_status == 413


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'"a"', b"{", b"{}", b"\xff", b"[" * 9999])
def test_invalid_push_is_reported(body: bytes) -> None:
    with pytest.raises(WebhookError) as caught:
        webhooks.parse(body, {}, token=None)

    assert caught.value.http_status == 400
    assert type(pickle.loads(pickle.dumps(caught.value))) is type(caught.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.binary(max_size=200))
def test_any_bytes_end_in_an_event_or_an_error(body: bytes) -> None:
    try:
        event = webhooks.parse(body, {}, token=None)
    except WebhookError:
        return
    assert event.clickpost_status_code is not None


@given(st.sampled_from([SCAN, EVENT, PLACED, RAISED, APPROVED]), st.data())
def test_any_change_ends_in_an_event_or_an_error(payload: dict[str, Any], data: Any) -> None:
    changed = copy.deepcopy(payload)
    inner = data.draw(
        st.sampled_from([changed, changed.get("additional") or {}, changed.get("payload") or {}])
    )
    for key in data.draw(st.lists(st.sampled_from([*inner, "payload", "new"]), max_size=4)):
        inner[key] = data.draw(json_values)

    try:
        event = parsed(changed)
    except WebhookError:
        return
    assert isinstance(event, Event)
    assert len(event.identity) == 64
    assert event.supersedes(None)


# --- repeats and order --------------------------------------------------------------------------


@pytest.mark.fault("S07")
def test_repeated_push_is_recognised_by_its_identity() -> None:
    again = {**copy.deepcopy(SCAN), "new": 1}
    again["additional"]["latest_status"]["clickpost_status_code"] = 8

    assert parsed(again).identity == parsed(SCAN).identity


@pytest.mark.parametrize(
    ("field", "other"),
    [
        ("waybill", "DL8800000002"),
        ("clickpost_status_code", 6),
        ("timestamp", "2026-03-04T12:40:01Z"),
        ("status", "Not attempted"),
    ],
)
def test_another_event_has_another_identity(field: str, other: Any) -> None:
    assert parsed({**SCAN, field: other}).identity != parsed(SCAN).identity


@pytest.mark.fault("S07")
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from([4, 5, 6, 8, 9, 47])), min_size=1, max_size=5
    )
)
@example([(1, 47), (1, 8)])
def test_newest_is_the_same_however_pushes_arrive(scans: list[tuple[int, int]]) -> None:
    events = [
        parsed({**SCAN, "timestamp": f"2026-03-04T12:4{at}:00Z", "clickpost_status_code": code})
        for at, code in scans
    ]
    expected = max((at, code == 8) for at, code in scans)

    found = set()
    for arrival in itertools.permutations([*events, events[0]]):
        latest: Event | None = None
        for event in arrival:
            if event.supersedes(latest):
                latest = event
        assert latest is not None
        found.add(latest.identity)
        assert latest.at is not None
        assert (latest.at.minute - 40, latest.clickpost_status_code == 8) == expected

    assert len(found) == 1


def test_repeated_push_does_not_supersede_the_first() -> None:
    assert not parsed(SCAN).supersedes(parsed({**SCAN, "new": 1}))


def test_event_without_a_time_overwrites_nothing() -> None:
    timeless = parsed({**SCAN, "timestamp": "yesterday", "clickpost_status_code": 8})

    assert timeless.at is None
    assert not timeless.supersedes(parsed(SCAN))
    assert parsed(SCAN).supersedes(timeless)


@pytest.mark.parametrize(
    ("body", "headers", "message"),
    [
        ("{}", {}, "body must be the raw bytes of the request's body; got '{}'"),
        ({"waybill": "W-1"}, {}, "body must be the raw bytes of the request's body; got dict"),
        (b"{}", [(b"webhook_key", b"x")], "headers must be a mapping of names to values; got list"),
    ],
)
def test_body_and_headers_of_a_wrong_type_are_named(body: Any, headers: Any, message: str) -> None:
    with pytest.raises(TypeError, match=re.escape(message)):
        webhooks.parse(body, headers, token="a-token")
