"""Bytes to a response object, or to an error with advice."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickpost_async._codec.endpoint import Get, Idempotency, Post
from clickpost_async._codec.envelope import whole_body
from clickpost_async._codec.messages import APIResponse
from clickpost_async._codec.response import BY_STATUS, decode, retry_after
from clickpost_async.endpoints import CATALOG
from clickpost_async.endpoints.orders import CREATE_INDIA, FIND_INDIA
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
from clickpost_async.structures import CreatedOrder, ResponseInfo, ResponseModel, SecurityKey

REJECTED, UNKNOWN, NOT_SENT = Outcome.REJECTED, Outcome.UNKNOWN, Outcome.NOT_SENT

TOKEN = Get(
    "/v1/user/token/",
    name="token",
    returns=ResponseModel,
    extract=whole_body,
    idempotency=Idempotency.UNSAFE,
)


def decoded(body: Any, http_status: int = 200, wait: float | None = None) -> CreatedOrder:
    """Decode the response to a create."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return decode(
        CREATE_INDIA,
        APIResponse(http_status=http_status, body=content, retry_after=wait),
        attempts=2,
        seconds=1.5,
    )


def refused(body: Any, http_status: int = 200, wait: float | None = None) -> ClickPostError:
    """Return the error of the response to a create."""
    with pytest.raises(ClickPostError) as caught:
        decoded(body, http_status, wait)
    return caught.value


def meta(status: Any, message: Any = "words", **more: Any) -> dict[str, Any]:
    return {"meta": {"status": status, "message": message, "success": False}, **more}


# --- the table of codes -------------------------------------------------------------------------

TABLE: list[tuple[int, type[ClickPostError], Outcome, bool]] = [
    *((code, CredentialsError, REJECTED, False) for code in (301, 306, 316, 320, 324)),
    *((code, CredentialsError, REJECTED, False) for code in (351, 352, 353, 401, 403)),
    *((code, InvalidRequestError, REJECTED, False) for code in (302, 303, 304, 305, 307, 308)),
    *((code, InvalidRequestError, REJECTED, False) for code in (309, 310, 311, 312, 313, 314)),
    *((code, InvalidRequestError, REJECTED, False) for code in (315, 321, 325, 326, 327, 328)),
    *((code, InvalidRequestError, REJECTED, False) for code in (330, 355, 400, 404, 422)),
    *((code, CourierError, REJECTED, False) for code in (319, 350, 420)),
    (354, CourierError, UNKNOWN, False),
    *((code, BusyCourierError, UNKNOWN, True) for code in (322, 329)),
    *((code, ServerError, UNKNOWN, True) for code in (500, 502, 503, 504)),
    (429, ThrottledError, NOT_SENT, True),
    *(
        (code, RefusedError, UNKNOWN, False)
        for code in (0, 101, 201, 317, 318, 331, 356, 600, 9999)
    ),
]


def test_every_code_that_is_sorted_is_in_this_table() -> None:
    assert BY_STATUS.keys() <= {code for code, *_ in TABLE}


@pytest.mark.parametrize(("code", "kind", "outcome", "transient"), TABLE)
@pytest.mark.parametrize("http_status", [200, 301, 400, 500])
def test_code_decides_which_error_it_is_under_any_http_status(
    code: int, kind: type[ClickPostError], outcome: Outcome, *, transient: bool, http_status: int
) -> None:
    error = refused(meta(code, "the reason"), http_status)

    assert type(error) is kind
    assert (error.outcome, error.transient) == (outcome, transient)
    assert (error.status, error.http_status) == (code, http_status)
    assert error.message == "the reason"
    assert error.endpoint == "orders.create_india"


@pytest.mark.fault("P13")
@pytest.mark.parametrize("code", [200, 202, 102, 323])
@pytest.mark.parametrize("http_status", [200, 202, 301, 400, 500])
@pytest.mark.parametrize("success", [True, False, None])
def test_accepted_code_is_a_response_under_any_http_status(
    code: int, http_status: int, *, success: bool | None
) -> None:
    body = {
        "meta": {"status": code, "message": "words", "success": success},
        "result": {"waybill": "W1"},
    }

    order = decoded(body, http_status)

    assert order.waybill == "W1"
    assert order.response == ResponseInfo(
        status=code,
        message="words",
        raw=body,
        http_status=http_status,
        attempts=2,
        seconds=1.5,
    )
    assert order.pending == (code in (102, 202))
    assert order.already_placed == (code == 323)


@pytest.mark.fault("P04")
@given(
    st.sampled_from([code for code, *_ in TABLE] + [200, 202, 102, 323]),
    st.booleans() | st.none() | st.text(max_size=3),
)
def test_success_flag_changes_nothing(code: int, success: Any) -> None:
    plain = {"meta": {"status": code, "message": "words"}, "result": {"waybill": "W1"}}
    flipped = {**plain, "meta": {**plain["meta"], "success": success}}

    def seen(body: Any) -> Any:
        try:
            return decoded(body)
        except ClickPostError as error:
            return type(error), error.status, error.outcome, error.transient, error.message

    assert seen(flipped) == seen(plain)


def test_declaration_may_give_a_code_another_meaning() -> None:
    endpoint = Get(
        "/v1/ndr_user_feedback/",
        returns=ResponseModel,
        idempotency=Idempotency.SAFE,
        accepts={200, 404},
        means={500: InvalidRequestError},
    )

    def ask(status: int) -> ResponseModel:
        body = json.dumps(meta(status)).encode()
        return decode(endpoint, APIResponse(http_status=200, body=body))

    with pytest.raises(InvalidRequestError) as caught:
        ask(500)
    assert caught.value.outcome is REJECTED
    assert caught.value.endpoint == "GET /v1/ndr_user_feedback/"
    assert ask(404).response.status == 404


def test_refusal_without_a_message_is_described() -> None:
    assert refused(meta(319, "")).message == "rejected without a message"
    assert refused(meta(319, None)).message == "rejected without a message"


# --- responses without a status -----------------------------------------------------------------

BODIES = [
    b"",
    b"null",
    b"[]",
    b"{}",
    b'"words"',
    b"5",
    b"<html><body>502 Bad Gateway</body></html>",
    b"\xff\xfe\x00",
    b'{"detail": "words of the framework"}',
]


@pytest.mark.fault("P13")
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize(
    ("http_status", "kind", "outcome", "transient"),
    [
        (200, UnreadableReplyError, UNKNOWN, True),
        (201, UnreadableReplyError, UNKNOWN, True),
        (204, UnreadableReplyError, UNKNOWN, True),
        (301, NotSentError, NOT_SENT, False),
        (302, NotSentError, NOT_SENT, False),
        (303, UnreadableReplyError, UNKNOWN, False),
        (307, NotSentError, NOT_SENT, False),
        (308, NotSentError, NOT_SENT, False),
        (400, UnreadableReplyError, UNKNOWN, False),
        (401, CredentialsError, NOT_SENT, False),
        (403, CredentialsError, NOT_SENT, False),
        (404, UnreadableReplyError, UNKNOWN, False),
        (405, UnreadableReplyError, UNKNOWN, False),
        (408, ServerError, UNKNOWN, True),
        (413, UnreadableReplyError, UNKNOWN, False),
        (425, ServerError, UNKNOWN, True),
        (429, ThrottledError, NOT_SENT, True),
        (500, ServerError, UNKNOWN, True),
        (502, ServerError, UNKNOWN, True),
        (503, ServerError, UNKNOWN, True),
        (504, ServerError, UNKNOWN, True),
    ],
)
def test_without_a_clickpost_status_the_http_status_decides(
    body: bytes, http_status: int, kind: type[ClickPostError], outcome: Outcome, *, transient: bool
) -> None:
    error = refused(body, http_status)

    assert type(error) is kind
    assert (error.outcome, error.transient) == (outcome, transient)
    assert (error.status, error.http_status) == (None, http_status)
    assert error.endpoint == "orders.create_india"
    # A gateway or another server responds with these; ClickPost decides with `meta.status` alone.
    foreign = http_status in (303, 400, 404, 405, 413)
    assert (error.kind is FailureKind.NOT_CLICKPOST) == foreign


def test_missing_page_advises_to_check_the_base_url() -> None:
    error = refused(b"<html>Not Found</html>", 404)

    assert error.message == (
        "HTTP 404 without a ClickPost status; check the base URL, such as"
        " https://www.clickpost.in/api"
    )


def test_messages_of_the_framework_are_kept() -> None:
    error = refused({"detail": 'Method "PUT" not allowed.'}, 405)

    assert error.message == 'HTTP 405 without a ClickPost status: Method "PUT" not allowed.'


@pytest.mark.parametrize(
    "body",
    [
        {"status_code": 404, "message": "no route"},
        {"status_code": 319, "message": "no"},
        {"status": 400, "error": "Bad Request"},
        {"meta": {"status": "rejected"}},
        {"meta": None, "status_code": 307},
    ],
)
@pytest.mark.parametrize("http_status", [200, 202, 400, 404, 422])
def test_only_a_status_within_meta_rejects_an_order(body: Any, http_status: int) -> None:
    error = refused(body, http_status)

    assert (type(error), error.outcome) == (UnreadableReplyError, UNKNOWN)
    assert error.transient == (http_status < 400)


def test_status_outside_meta_is_read_where_nothing_is_created() -> None:
    endpoint = Get("/v1/own/", returns=ResponseModel, idempotency=Idempotency.SAFE)
    body = b'{"status_code": 307, "message": "no"}'
    with pytest.raises(InvalidRequestError) as caught:
        decode(endpoint, APIResponse(http_status=200, body=body))
    assert (caught.value.status, caught.value.message) == (307, "no")


@pytest.mark.parametrize(
    ("http_status", "kind"),
    [(302, NotSentError), (404, UnreadableReplyError), (500, ServerError), (503, ServerError)],
)
def test_success_outside_meta_is_not_believed_under_a_http_status_of_an_error(
    http_status: int, kind: type[ClickPostError]
) -> None:
    endpoint = CATALOG["orders.cancel"]
    body = b'{"status_code": 200, "message": "ok", "success": true}'
    with pytest.raises(ClickPostError) as caught:
        decode(endpoint, APIResponse(http_status=http_status, body=body))
    assert type(caught.value) is kind
    assert decode(endpoint, APIResponse(http_status=200, body=body)).response.status == 200


@pytest.mark.parametrize(
    ("repeat", "outcome"),
    [(repeat, UNKNOWN) for repeat in Idempotency if repeat is not Idempotency.SAFE],
)
def test_see_other_after_what_acts_means_that_it_may_have_acted(
    repeat: Idempotency, outcome: Outcome
) -> None:
    for kind in (Get, Post):
        endpoint: Any = kind("/v1/own/", returns=ResponseModel, idempotency=repeat)
        with pytest.raises(UnreadableReplyError) as caught:
            decode(endpoint, APIResponse(http_status=303, body=b""))
        assert caught.value.outcome is outcome


def test_see_other_after_a_read_is_a_redirect_like_any_other() -> None:
    endpoint = Get("/v1/own/", returns=ResponseModel, idempotency=Idempotency.SAFE)
    with pytest.raises(NotSentError, match="redirect"):
        decode(endpoint, APIResponse(http_status=303, body=b""))


def test_429_is_throttling_with_a_retry_after_whatever_its_body() -> None:
    for body in (meta(200, result={"waybill": "W1"}), b"<html>", meta(301)):
        error = refused(body, 429, wait=12.5)
        assert isinstance(error, ThrottledError)
        assert error.retry_after == 12.5


def test_429_in_the_body_has_a_retry_after() -> None:
    error = refused(meta(429), 200, wait=3.0)

    assert isinstance(error, ThrottledError)
    assert error.retry_after == 3.0


def test_response_without_an_envelope_is_read_where_documented() -> None:
    def ask(body: bytes, http_status: int = 200) -> ResponseModel:
        return decode(TOKEN, APIResponse(http_status=http_status, body=body))

    assert ask(b'{"token": "t"}').extra == {"token": "t"}
    assert ask(b'{"token": "t"}').response.status == 200
    for body in (b"{}", b"[]", b"[1]", b"null", b'"t"', b"5", b"<html>"):
        with pytest.raises(UnreadableReplyError):
            ask(body)
    for http_status in (201, 202, 404):
        with pytest.raises(UnreadableReplyError):
            ask(b'{"token": "t"}', http_status)
    with pytest.raises(RefusedError):
        ask(b"{}", 400)
    with pytest.raises(UnreadableReplyError):
        ask(b"<html>", 400)
    with pytest.raises(CredentialsError):
        ask(b'{"meta": {"status": 301, "message": "bad"}}')


# --- json that is not json ----------------------------------------------------------------------

GOOD = b'{"meta":{"status":200,"message":"ok"},"result":{"waybill":"W1"}}'


@pytest.mark.parametrize(
    "body",
    [
        b"\xef\xbb\xbf" + GOOD,
        GOOD.decode().encode("utf-16"),
        GOOD.decode().encode("utf-16-le"),
        GOOD.decode().encode("utf-32"),
        GOOD[:-1],
        GOOD + b"x",
        GOOD + GOOD,
        GOOD.replace(b'"W1"', b"NaN"),
        GOOD.replace(b'"W1"', b"Infinity"),
        GOOD.replace(b'"W1"', b"-Infinity"),
        GOOD.replace(b'"W1"', b'"W1","waybill":"W2"'),
        GOOD.replace(b'"status":200', b'"status":301,"status":200'),
        GOOD.replace(b'"W1"', b"1" * 100_000),
        GOOD.replace(b'"W1"', b'"\xff"'),
        GOOD.replace(b'"W1"', b"'W1'"),
        GOOD.replace(b'"W1"', b"[" * 100_000 + b"]" * 100_000),
        GOOD.replace(b'"W1"', b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
        b"[" * 100_000,
    ],
    ids=lambda body: repr(body[:20]),
)
def test_json_that_could_be_read_in_two_ways_is_not_read(body: bytes) -> None:
    error = refused(body)

    assert type(error) is UnreadableReplyError
    assert (error.outcome, error.transient) == (UNKNOWN, True)


def test_complete_response_is_read() -> None:
    assert decoded(GOOD).waybill == "W1"


@pytest.mark.parametrize("depth", [50, 900, 3_000, 9_000, 20_000])
@pytest.mark.parametrize("place", ["message", "waybill", "children", "order_id", "unknown"])
def test_deep_nesting_ends_in_a_response_or_a_clickpost_error(depth: int, place: str) -> None:
    deep = b"[" * depth + b"]" * depth
    body = b'{"meta":{"status":200,"message":"ok"},"result":{"waybill":"W1","children":[]}}'
    body = {
        "message": body.replace(b'"ok"', deep),
        "waybill": body.replace(b'"W1"', deep),
        "children": body.replace(b"[]", deep),
        "order_id": body.replace(b'"W1"', b'"W1","order_id":' + deep),
        "unknown": body.replace(b'"W1"', b'"W1","unknown":' + deep),
    }[place]

    with contextlib.suppress(ClickPostError):
        assert isinstance(decoded(body), CreatedOrder)


@given(st.binary(max_size=60), st.sampled_from([200, 301, 400, 401, 429, 500]))
def test_any_bytes_end_in_a_clickpost_error(body: bytes, http_status: int) -> None:
    assert isinstance(refused(body, http_status), ClickPostError)


def test_no_error_shows_the_body() -> None:
    error = refused(b'{"consignee": "Wilhelmina Canary", ')

    assert "Canary" not in str(error)
    assert error.__cause__ is None
    assert error.__context__ is None


def test_result_that_is_no_order_is_unreadable() -> None:
    with pytest.raises(UnreadableReplyError) as caught:
        decode(
            Get("/v1/shipment-security-key", returns=SecurityKey, idempotency=Idempotency.SAFE),
            APIResponse(http_status=200, body=b'{"meta":{"status":200},"result":["x"]}'),
        )

    assert caught.value.status == 200
    assert caught.value.message == "response does not have the documented structure"


def test_undocumented_list_is_kept_as_rows() -> None:
    response = decode(
        Get("/v9/own/", returns=ResponseModel, idempotency=Idempotency.SAFE),
        APIResponse(http_status=200, body=b'{"meta":{"status":200},"result":[{"a":1},"b"]}'),
    )

    assert response.extra == {"rows": [{"a": 1}, "b"]}


@pytest.mark.parametrize("result", ["oops", [1], 5, True])
def test_success_whose_result_is_no_order_is_unreadable(result: Any) -> None:
    error = refused(meta(200, result=result))

    assert type(error) is UnreadableReplyError
    assert (error.outcome, error.status) == (UNKNOWN, 200)


def test_order_that_is_not_done_has_none() -> None:
    for code in (202, 102):
        assert decoded(meta(code, order_id=7)).waybill is None


def test_looking_up_accepts_what_creating_does() -> None:
    body = json.dumps(meta(102, result={"waybill": None})).encode()

    found = decode(FIND_INDIA, APIResponse(http_status=200, body=body))

    assert found.pending


# --- Retry-After --------------------------------------------------------------------------------

DATE = "Mon, 02 Mar 2026 10:00:00 GMT"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0.0),
        ("10", 10.0),
        (" 10 ", 10.0),
        ("1.5", 1.5),
        ("007", 7.0),
        ("3600", 3600.0),
        ("3601", 3600.0),
        ("9" * 20, 3600.0),
        ("9" * 5000, 3600.0),
        ("Mon, 02 Mar 2026 10:00:30 GMT", 30.0),
        ("Mon, 02 Mar 2026 15:30:30 +0530", 30.0),
        ("Mon, 02 Mar 2026 09:59:00 GMT", 0.0),
        ("Tue, 02 Mar 2027 10:00:00 GMT", 3600.0),
    ],
)
def test_wait_is_read_in_seconds_and_bounded(header: str, seconds: float) -> None:
    assert retry_after(header, DATE) == seconds


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        " ",
        "-5",
        "+5",
        "1e3",
        "inf",
        "nan",
        "Infinity",
        "soon",
        ".",
        "1.2.3",
        "1,5",
        "10s",
        "0x10",
        "１０",
        "²",
        "Mon, 99 Mar 2026 10:00:00 GMT",
        "Mon, 02 Mar 99999 10:00:00 GMT",
        "Mon, 02 Mar 2026 10:00:00 -0000",
        "\x00",
    ],
)
def test_invalid_retry_after_is_none(header: str | None) -> None:
    assert retry_after(header, DATE) is None


@pytest.mark.parametrize("date", [None, "", "yesterday", "-1", "Mon, 02 Mar 2026"])
def test_http_date_without_a_date_header_gives_no_delay(date: str | None) -> None:
    assert retry_after("Mon, 02 Mar 2026 10:00:30 GMT", date) is None
    assert retry_after("30", date) == 30.0


def test_only_the_servers_own_clock_counts() -> None:
    skewed = "Thu, 01 Jan 1998 00:00:00 GMT"

    assert retry_after("Thu, 01 Jan 1998 00:00:20 GMT", skewed) == 20.0


@given(st.none() | st.text(max_size=40), st.none() | st.text(max_size=40))
def test_any_header_is_read_or_ignored(header: str | None, date: str | None) -> None:
    seconds = retry_after(header, date)

    assert seconds is None or 0 <= seconds <= 3600


_PARTS = (
    *("Mon,", "Mon", "02", "31", "Mar", "2026", "0", "-1", "99999", "10:00:00", "10:00"),
    *("25:61:61", "GMT", "+0530", "-9999", ",", ":", "+", "()"),
)


@given(st.lists(st.sampled_from(_PARTS), max_size=7).map(" ".join))
def test_anything_like_a_date_is_read_or_ignored(header: str) -> None:
    seconds = retry_after(header, DATE)

    assert seconds is None or 0 <= seconds <= 3600
    retry_after(DATE, header)
