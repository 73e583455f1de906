"""A structure and a declaration become the request that is sent."""

import json
import math
from datetime import date
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clickpost_async import BodyStyle, Host, InvalidRequestError, structure
from clickpost_async._codec.endpoint import Auth, Get, Idempotency, Post
from clickpost_async._codec.request import encode
from clickpost_async.endpoints.orders import CREATE_INDIA, CREATE_WORLD, FIND_INDIA
from clickpost_async.structures import IndiaOrder, ResponseModel, WorldOrder
from tests.helpers.strategies import india, made, world

FREE = Post("/v9/anything/", returns=ResponseModel, idempotency=Idempotency.UNSAFE)
ASK = Get(
    "/v9/anything",
    returns=ResponseModel,
    idempotency=Idempotency.SAFE,
    host=Host.TRACKING,
    auth=Auth.KEY,
    name="ask.me",
)


def test_create_is_a_post_that_may_wait_long() -> None:
    request = encode(CREATE_INDIA, body=structure(india(), IndiaOrder))

    assert (request.label, request.method) == ("orders.create_india", "POST")
    assert (request.host, request.target) == (Host.MAIN, "/v3/create-order/")
    assert request.auth is Auth.USERNAME_AND_KEY
    assert request.is_create
    assert request.reference_number == "order-1001"


def test_request_of_a_get_endpoint_has_no_body() -> None:
    request = encode(ASK, {"awb": "W1", "cp_id": 4, "nothing": None})

    assert (request.label, request.method, request.host) == ("ask.me", "GET", Host.TRACKING)
    assert request.target == "/v9/anything?awb=W1&cp_id=4"
    assert request.body is None
    assert request.auth is Auth.KEY
    assert not request.is_create
    assert request.reference_number is None


def test_request_without_parameters_has_no_question_mark() -> None:
    assert encode(ASK).target == "/v9/anything"
    assert encode(ASK, {"awb": None}).target == "/v9/anything"


@given(
    st.dictionaries(
        st.text("abc_-", min_size=1),
        st.text(st.characters(exclude_categories=["Cs"])) | st.integers(),
        max_size=3,
    )
)
def test_query_arrives_unchanged(query: dict[str, str | int]) -> None:
    target = encode(FIND_INDIA, query).target

    assert target.isascii()
    assert " " not in target
    assert "+" not in target
    assert dict(parse_qsl(urlsplit(target).query, keep_blank_values=True)) == {
        name: str(value) for name, value in query.items()
    }


def test_numbers_of_other_libraries_must_be_exact() -> None:
    query: Any = {"cp_id": Decimal("4.00"), "page": np.int64(2)}

    assert encode(ASK, query).target == "/v9/anything?cp_id=4&page=2"


def test_unpaired_surrogate_in_a_query_is_refused_with_a_message() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        encode(FIND_INDIA, {"reference_number": "\ud800"})

    assert caught.value.__context__ is None or caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("endpoint", "kind"), [(CREATE_INDIA, IndiaOrder), (CREATE_WORLD, WorldOrder)]
)
@given(data=st.data())
@settings(max_examples=15)
def test_body_is_the_compact_json_of_the_order_itself(
    endpoint: Post[Any], kind: type[Any], data: st.DataObject
) -> None:
    order = data.draw(made(kind))

    body = encode(endpoint, body=order).body

    assert body is not None
    decoded = json.loads(body)
    compact = json.dumps(decoded, ensure_ascii=False, separators=(",", ":"))
    assert body.count(b" ") == compact.count(" ")
    assert structure(decoded, kind) == order


@pytest.mark.parametrize(
    ("endpoint", "payload"), [(CREATE_INDIA, india()), (CREATE_WORLD, world())]
)
def test_mapping_is_sent_as_the_structure_is(endpoint: Post[Any], payload: Any) -> None:
    by_mapping = encode(endpoint, body=payload)
    by_structure = encode(endpoint, body=structure(payload, endpoint.takes))

    assert by_mapping == by_structure
    assert json.loads(by_mapping.body or b"") == payload


def test_raw_body_sends_the_same_json_as_a_string() -> None:
    plain = encode(CREATE_INDIA, body=india()).body
    raw = encode(CREATE_INDIA, body=india(), style=BodyStyle.RAW_BODY).body

    assert plain is not None
    assert raw is not None
    assert json.loads(raw) == {"RAW_BODY": plain.decode()}


def test_text_of_any_language_is_sent_as_utf_8() -> None:
    body = encode(CREATE_INDIA, body=india({"drop_info.drop_name": "आशा 😀"})).body

    assert body is not None
    assert "आशा 😀".encode() in body


def test_invalid_mapping_is_refused_before_it_is_sent() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        encode(CREATE_INDIA, body=india({"drop_info.drop_pincode": "1"}))

    assert [problem.path for problem in caught.value.problems] == ["drop_info.drop_pincode"]


@pytest.mark.parametrize(
    ("endpoint", "order"),
    [
        (CREATE_INDIA, structure(world(), WorldOrder)),
        (CREATE_WORLD, structure(india(), IndiaOrder)),
        (CREATE_INDIA, structure(india(), IndiaOrder).drop_info),
        (CREATE_INDIA, None),
        (CREATE_INDIA, "order"),
        (CREATE_INDIA, [india()]),
    ],
)
def test_unknown_parameter_of_an_endpoint_is_refused(endpoint: Post[Any], order: Any) -> None:
    with pytest.raises(InvalidRequestError):
        encode(endpoint, body=order)


@pytest.mark.parametrize("style", BodyStyle)
def test_body_of_a_custom_endpoint_is_refused_with_every_path_that_is_not_json(
    style: BodyStyle,
) -> None:
    item = structure(india(), IndiaOrder).shipment_details.items[0]
    body = {"rows": [item, {"when": date(2026, 1, 31), "price": math.nan}], "name": "\ud800"}

    with pytest.raises(InvalidRequestError) as caught:
        encode(FREE, body=body, style=style)

    assert [problem.path for problem in caught.value.problems] == [
        "rows[1].when",
        "rows[1].price",
        "name",
    ]
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_invalid_mapping_inside_a_structured_order_is_refused_with_a_message() -> None:
    order = structure(india({"additional.new": {"a": 1}}), IndiaOrder)
    assert order.additional is not None
    order.additional.extra["new"]["a"] = math.nan

    with pytest.raises(InvalidRequestError, match="cannot be encoded as JSON"):
        encode(CREATE_INDIA, body=order)


def test_endless_body_is_refused_with_a_message() -> None:
    endless: list[Any] = []
    endless.append(endless)

    with pytest.raises(InvalidRequestError):
        encode(FREE, body={"a": endless})


def test_custom_endpoint_takes_any_json() -> None:
    assert encode(FREE, body={"a": [1, None]}).body == b'{"a":[1,null]}'
    assert encode(FREE, body=[1]).body == b"[1]"


def test_request_shows_no_body() -> None:
    assert "Asha Tester" not in repr(encode(CREATE_INDIA, body=india()))
