"""Chapter S: bad input, and what must not be shown.

An argument changes neither the destination of a call nor another field; what is not JSON is refused
before anything is sent; and personal data that a server echoes is redacted.
"""

import contextlib
import copy
import json
import math
import pickle
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickpost_async import (
    ClickPost,
    ClickPostError,
    Get,
    Idempotency,
    InvalidRequestError,
    Outcome,
    Post,
    RetryPolicy,
)
from clickpost_async.structures import ResponseModel
from clickpost_async.testing import run_virtual, virtual_time
from tests.helpers.http_server import serving
from tests.helpers.scripted_transport import KEY, Play, api_response, playing
from tests.sandbox.samples import changed, india_order, world_order
from tests.test_secrets import listening

# --- S01 ----------------------------------------------------------------------------------------

NASTY = (
    *("\r\n", "\n", "\r", "\x00", "\t", "\x1b", "\x7f", "\u2028", " ", "%", "%00", "%0d%0a"),
    *("&key=stolen", "&username=other", "?key=stolen", "#", ";", "=", "+", ",", "'", '"', "\\"),
    *("../", "/..", "/../admin", "%2e%2e%2f", "//evil.example/", "@evil.example", "https://"),
    *("Host: evil.example", " HTTP/1.1\r\nHost: evil.example\r\n\r\n", "é", "१", "😀", "W1", "a"),
)
HOSTILE = st.lists(st.sampled_from(NASTY) | st.text(max_size=3), min_size=1, max_size=5).map(
    "".join
)

HOST = "https://acme.example/base"

Call = Callable[[ClickPost, str], Awaitable[ResponseModel]]
QUESTIONS: dict[str, tuple[str, Call]] = {
    "/v1/cancel-order/": (
        "waybill",
        lambda clickpost, text: clickpost.orders.cancel(text, courier_partner=4, account_code=text),
    ),
    "/v3/create-order/": (
        "awb",
        lambda clickpost, text: clickpost.orders.fetch_india(text, courier_partner=4),
    ),
    "/v4/create-order/": (
        "reference_number",
        lambda clickpost, text: clickpost.orders.find_world(text),
    ),
    "/v1/fetch/shippinglabel/": (
        "waybill",
        lambda clickpost, text: clickpost.labels.regenerate(text, courier_partner=4),
    ),
    "/v2/track-order/": (
        "waybill",
        lambda clickpost, text: clickpost.tracking.track([text], courier_partner=4),
    ),
    "/v1/shipment-security-key": (
        "waybill",
        lambda clickpost, text: clickpost.tracking.security_key(text, courier_partner=4),
    ),
    "/v2/pincode_details/": (
        "pincode",
        lambda clickpost, text: clickpost.couriers.pincode(text),
    ),
}


def sent_by(call: Callable[[ClickPost], Awaitable[ResponseModel]]) -> list[httpx.Request]:
    """Make a call, and return what has left; nothing has if it was refused."""
    play = Play([api_response(200, result={})])

    async def make() -> None:
        async with playing(play, base_url=HOST, retry=RetryPolicy.never()) as clickpost:
            try:
                await call(clickpost)
            except InvalidRequestError:
                assert play.requests == []
            except ClickPostError:
                assert play.requests

    run_virtual(make)
    return play.requests


def assert_goes_to(request: httpx.Request, path: str) -> None:
    assert (request.url.scheme, request.url.host) == ("https", "acme.example")
    assert (request.url.path, request.url.fragment) == (f"/base{path}", "")
    assert request.url.userinfo == b""
    assert request.url.raw_path.isascii()
    assert not any(letter <= 32 or letter == 127 for letter in request.url.raw_path)
    for name, value in request.headers.raw:
        assert not any(letter in b"\r\n\x00" for letter in name + value)
    assert request.headers["host"] == "acme.example"


@pytest.mark.fault("S01")
@pytest.mark.parametrize("path", QUESTIONS)
@given(text=HOSTILE)
def test_s01_no_argument_changes_the_destination_of_a_call(path: str, text: str) -> None:
    name, call = QUESTIONS[path]

    for request in sent_by(lambda clickpost: call(clickpost, text)):
        assert_goes_to(request, path)
        query = parse_qsl(request.url.query.decode(), keep_blank_values=True, strict_parsing=True)
        assert [value for key, value in query if key == name] == [text]
        assert [value for key, value in query if key == "key"] == [KEY]
        assert {key for key, _ in query} <= {
            *(name, "key", "username", "cp_id", "account_code", "regenerate")
        }


@pytest.mark.fault("S01")
@given(text=HOSTILE)
def test_s01_no_value_of_an_order_changes_its_destination(text: str) -> None:
    order = india_order(
        "R-1", shipment_details__reference_number=text, shipment_details__account_code=text
    )

    for request in sent_by(lambda clickpost: clickpost.orders.create(order)):
        assert_goes_to(request, "/v3/create-order/")
        assert parse_qsl(request.url.query.decode()) == [("username", "acme"), ("key", KEY)]
        assert json.loads(request.content)["shipment_details"]["reference_number"] == text


@pytest.mark.fault("S01")
@given(name=HOSTILE, value=HOSTILE)
def test_s01_custom_endpoint_cannot_leave_its_path_either(name: str, value: str) -> None:
    endpoint = Get("/v9/own/", returns=ResponseModel, idempotency=Idempotency.UNSAFE)

    for request in sent_by(lambda clickpost: clickpost.get(endpoint, {name: value})):
        assert_goes_to(request, "/v9/own/")
        query = parse_qsl(request.url.query.decode(), keep_blank_values=True)
        assert query == [(name, value), ("username", "acme"), ("key", KEY)]


@pytest.mark.fault("S01")
@given(HOSTILE)
def test_s01_path_to_another_host_cannot_be_declared(text: str) -> None:
    try:
        endpoint = Get(f"/v9/{text}/", returns=ResponseModel, idempotency=Idempotency.UNSAFE)
    except ValueError:
        return

    for request in sent_by(lambda clickpost: clickpost.get(endpoint)):
        assert request.url.raw_path.decode().startswith(f"/base/v9/{text}/?username=")


@pytest.mark.fault("S01")
@given(HOSTILE, HOSTILE)
def test_s01_username_and_key_cannot_change_the_request(username: str, key: str) -> None:
    play = Play([api_response(200, result={})])
    try:
        client = ClickPost(username, key, transport=httpx.MockTransport(play), base_url=HOST)
    except ValueError:
        return

    async def ask() -> None:
        async with client as clickpost:
            await clickpost.labels.fetch("W-1", courier_partner=4)

    run_virtual(ask)
    assert_goes_to(play.requests[0], "/v1/fetch/shippinglabel/")
    query = parse_qsl(play.requests[0].url.query.decode(), strict_parsing=True)
    assert query[-2:] == [("username", username), ("key", key)]


@pytest.mark.fault("S01")
@pytest.mark.asyncio
async def test_s01_on_the_wire_it_is_one_call_with_one_line() -> None:
    waybill = "W1 HTTP/1.1\r\nHost: evil.example\r\n\r\nGET /admin?key=stolen#"
    async with (
        serving() as server,
        ClickPost("acme", KEY, base_url=server.url) as clickpost,
    ):
        await clickpost.labels.fetch(waybill, courier_partner=4)

    (head,) = server.heads
    line, *headers = head.decode().split("\r\n")
    method, target, version = line.split(" ")
    assert (method, urlsplit(target).path, version) == (
        "GET",
        "/api/v1/fetch/shippinglabel/",
        "HTTP/1.1",
    )
    assert dict(parse_qsl(urlsplit(target).query))["waybill"] == waybill
    assert [header for header in headers if header.lower().startswith("host:")] == [
        f"Host: 127.0.0.1:{server.port}"
    ]


@pytest.mark.fault("S01", control=True)
@virtual_time
async def test_s01_hand_made_url_is_changed_by_the_waybill() -> None:
    play = Play([api_response(200)])
    waybill, path = "W1&key=stolen#", "v1/../admin/"
    async with httpx.AsyncClient(transport=httpx.MockTransport(play)) as plain:
        await plain.get(f"{HOST}/v1/cancel-order/?waybill={waybill}&key={KEY}")
        await plain.get(f"{HOST}/{path}")

    assert play.requests[0].url.params.get_list("key") == ["stolen"]
    assert play.requests[1].url.path == "/base/admin/"


# --- S02 ----------------------------------------------------------------------------------------


def places(order: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return where an order has values."""
    if isinstance(order, Mapping):
        return [found for key, inner in order.items() for found in places(inner, (*path, key))]
    if isinstance(order, list):
        return [found for at, inner in enumerate(order) for found in places(inner, (*path, at))]
    return [path]


def put(order: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """Return the order with another value in one place."""
    order = copy.deepcopy(order)
    part: Any = order
    for step in path[:-1]:
        part = part[step]
    part[path[-1]] = value
    return order


INDIA, WORLD = india_order("R-1"), world_order("R-1")
PLACES = [(order, path) for order in (INDIA, WORLD) for path in places(order)]

UNSPEAKABLE: dict[str, Any] = {
    "NaN": math.nan,
    "infinity": math.inf,
    "minus infinity": -math.inf,
    "half a pair": "half \ud83d a pair",
    "bytes": b"bytes",
    "an object of ours": object(),
    "a set": {1},
    "5,000 digits": 10**5_000,
}
HUGE: dict[str, Any] = {
    "10 MB": "x" * 10_000_000,
    "400 digits": 10**400,
    "1e308": 1e308,
    "minus zero": -0.0,
    "a list in a list": [[["x"]]],
}


def ended(order: Any) -> tuple[ClickPostError | ResponseModel, list[httpx.Request]]:
    play = Play([api_response(200, result={"waybill": "W-1"})])

    async def place() -> ClickPostError | ResponseModel:
        async with playing(play, retry=RetryPolicy.never()) as clickpost:
            try:
                return await clickpost.orders.create(order)
            except ClickPostError as error:
                return error

    return run_virtual(place), play.requests


@pytest.mark.fault("S02")
@pytest.mark.parametrize("what", UNSPEAKABLE)
def test_s02_value_that_is_not_json_is_refused_at_any_depth(what: str) -> None:
    extra = [(INDIA, ("additional", "new")), (INDIA, ("drop_info", "new")), (WORLD, ("new",))]

    for order, path in [*PLACES, *extra]:
        error, requests = ended(put(order, path, UNSPEAKABLE[what]))

        assert isinstance(error, InvalidRequestError), path
        assert (requests, error.outcome, error.attempts) == ([], Outcome.NOT_SENT, 0)


@pytest.mark.fault("S02")
@pytest.mark.parametrize("what", HUGE)
def test_s02_what_is_huge_is_refused_or_sent_as_json(what: str) -> None:
    value = HUGE[what]
    for order, path in PLACES:
        error, requests = ended(put(order, path, value))

        assert isinstance(error, InvalidRequestError) is (requests == []), path
        for request in requests:
            sent = json.loads(request.content)
            for step in path:
                sent = sent[step]
            # A number in a text field is sent as text.
            assert sent in (value, str(value), "0" if value == 0 else None)
            assert len(request.content) < 10_000, path


@pytest.mark.fault("S02")
@given(st.sampled_from(PLACES), st.floats() | st.integers() | st.text() | st.binary() | st.none())
def test_s02_any_value_is_sent_or_refused_with_a_message(
    place: tuple[dict[str, Any], tuple[Any, ...]], value: Any
) -> None:
    error, requests = ended(put(*place, value))

    assert isinstance(error, InvalidRequestError) is (requests == [])
    for request in requests:
        json.loads(request.content.decode(), parse_constant=pytest.fail)


@pytest.mark.fault("S02")
@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("drop_info__drop_phone", "wilhelmina-canary"),
        ("drop_info__drop_pincode", "wilhelmina-canary"),
        ("shipment_details__order_type", "wilhelmina-canary"),
        ("shipment_details__cod_value", "wilhelmina-canary"),
        ("drop_info", "wilhelmina-canary"),
    ],
)
def test_s02_refusal_names_the_field_and_not_the_value(place: str, value: str) -> None:
    error, _ = ended(changed(copy.deepcopy(INDIA), {place: value}))

    assert isinstance(error, InvalidRequestError)
    assert place.replace("__", ".") in str(error)
    assert "canary" not in shown(error)


@pytest.mark.fault("S02", control=True)
def test_s02_control_standard_library_sends_invalid_json() -> None:
    assert json.dumps({"cod_value": math.nan}) == '{"cod_value": NaN}'
    assert json.dumps({"name": "\ud83d"}) == r'{"name": "\ud83d"}'


# --- S03 ----------------------------------------------------------------------------------------


@pytest.mark.fault("S03", control=True)
@virtual_time
async def test_s03_client_with_the_key_in_its_params_sends_it_to_the_host_of_a_label() -> None:
    play = Play([httpx.Response(200)])
    async with httpx.AsyncClient(
        base_url=HOST, params={"key": KEY}, transport=httpx.MockTransport(play)
    ) as plain:
        await plain.get("https://evil.example/label.pdf")

    assert str(play.requests[0].url) == f"https://evil.example/label.pdf?key={KEY}"


# --- S06 ----------------------------------------------------------------------------------------


def shown(error: BaseException) -> str:
    """Return what an error shows of itself, wherever it is printed, logged or stored."""
    notes = getattr(error, "__notes__", [])
    return f"{error} {error!r} {error.args} {notes} {vars(error)} {pickle.dumps(error)!r}"


PERSONS = ("Meera", "Reader", "Banyan", "9000000012", "Lotus Stationers", "desk@lotus.example")
GOSSIP = (
    "Meera Reader at 7 Banyan Road (phone +91 90000 00012) is not served;"
    " tell MEERA READER or desk@lotus.example of Lotus Stationers. Order R-1 to 411001,"
    " account lotus-surface"
)


@pytest.mark.fault("S06")
@pytest.mark.parametrize("status", [307, 319, 322, 354, 500, 999])
@pytest.mark.parametrize("words", [GOSSIP, [GOSSIP], {"drop_info": GOSSIP}, [{"a": [GOSSIP]}]])
def test_s06_personal_data_echoed_by_a_server_is_redacted(status: int, words: Any) -> None:
    meta = {"status": status, "message": words, "success": False}
    response = httpx.Response(200, json={"meta": meta})

    async def place() -> ClickPostError:
        async with playing([response], retry=RetryPolicy.never()) as clickpost:
            with pytest.raises(ClickPostError) as caught:
                await clickpost.orders.create(india_order("R-1"))
            return caught.value

    with listening() as log:
        error = run_virtual(place)

    everything = "\n".join([shown(error), *log.messages])
    assert [person for person in PERSONS if person.lower() in everything.lower()] == []
    for fact in ("R-1", "411001", "lotus-surface"):
        assert fact in error.message


@pytest.mark.fault("S06")
def test_s06_personal_data_echoed_by_a_look_up_is_redacted() -> None:
    play = Play([httpx.Response(502)], knows=api_response(307, GOSSIP))

    async def place() -> ClickPostError:
        async with playing(play) as clickpost:
            with pytest.raises(ClickPostError) as caught:
                await clickpost.orders.create(india_order("R-1"))
            return caught.value

    with listening() as log:
        error = run_virtual(place)

    assert play.look_ups
    assert [
        person for person in PERSONS if person in "\n".join([shown(error), *log.messages])
    ] == []


@pytest.mark.fault("S06")
@virtual_time
async def test_s06_message_of_a_success_is_redacted_too() -> None:
    async with playing([api_response(323, GOSSIP, result={"waybill": "W-1"})]) as clickpost:
        order = await clickpost.orders.create(india_order("R-1"))

    assert [person for person in PERSONS if person in f"{order!r} {order.response!r}"] == []


@pytest.mark.fault("S06")
@virtual_time
async def test_s06_personal_data_echoed_by_a_framework_error_is_redacted() -> None:
    response = httpx.Response(400, json={"detail": f"no such field: {GOSSIP}"})
    async with playing([response], retry=RetryPolicy.never()) as clickpost:
        with pytest.raises(ClickPostError) as caught:
            await clickpost.orders.create(india_order("R-1"))

    assert [person for person in PERSONS if person in shown(caught.value)] == []


@pytest.mark.fault("S06", control=True)
@virtual_time
async def test_s06_message_about_an_unknown_body_is_passed_on() -> None:
    endpoint = Post("/v9/own/", returns=ResponseModel, idempotency=Idempotency.UNSAFE)
    async with playing([api_response(307, GOSSIP)], retry=RetryPolicy.never()) as clickpost:
        with pytest.raises(ClickPostError) as caught:
            await clickpost.post(endpoint, india_order("R-1"))

    assert "Meera Reader" in shown(caught.value)


@pytest.mark.fault("S06")
@given(st.recursive(st.text(max_size=5), lambda inner: st.lists(inner, max_size=3), max_leaves=4))
def test_s06_any_message_is_kept_in_some_form(words: Any) -> None:
    meta = {"status": 307, "message": words}

    async def place() -> str:
        async with playing([httpx.Response(200, json={"meta": meta})]) as clickpost:
            with contextlib.suppress(InvalidRequestError):
                await clickpost.orders.create(india_order("R-1"))
        return "ended"

    assert run_virtual(place) == "ended"
