"""The ways in which ClickPost wraps a response."""

import json
import warnings
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickpost_async._codec.envelope import (
    MetaStatus,
    days_of,
    meta_status_of,
    only_row,
    order_of,
    result_of,
    rows_from_result,
    whole_body,
    without_meta,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ("meta", "status", "message", "result", "order_id", "children", "waybill", "item")
            )
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


# --- the status ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status_found"),
    [
        (
            {"meta": {"status": 200, "message": "SUCCESS", "success": True}},
            MetaStatus(200, "SUCCESS"),
        ),
        ({"result": {}, "meta": {"message": "late", "status": 319}}, MetaStatus(319, "late")),
        ({"result": [], "meta": {"meta": {"status": 200, "message": "ok"}}}, MetaStatus(200, "ok")),
        ({"message": "old", "status_code": 200, "success": True}, MetaStatus(200, "old")),
        ({"detail": 'Method "PUT" not allowed.'}, MetaStatus(None, 'Method "PUT" not allowed.')),
        ({"meta": {"status": "301", "message": "bad key"}}, MetaStatus(301, "bad key")),
        ({"meta": {"status": 202}}, MetaStatus(202, "")),
        ({"meta": {"status": 314, "messsage": "no city"}}, MetaStatus(314, "no city")),
        ({"messsage": "done", "status_code": 200, "success": True}, MetaStatus(200, "done")),
        ({"meta": {"status": 200, "message": None}}, MetaStatus(200, "")),
        ({"meta": {"status": 200, "username": "acme", "next": None}}, MetaStatus(200, "")),
    ],
)
def test_status_is_found_in_every_shape(body: Any, status_found: MetaStatus) -> None:
    assert meta_status_of(body) == status_found


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        "200",
        200,
        {"token": "t", "expires_at": "2026-03-01T10:00:00"},
        {"meta": None},
        {"meta": []},
        {"meta": {}},
        {"meta": {"message": "no status"}},
        {"meta": {"meta": {}}},
        {"detail": ["not text"]},
        {"status_code": None},
    ],
)
def test_body_without_a_status_has_no_status(body: Any) -> None:
    assert meta_status_of(body) is None


@pytest.mark.fault("P03")
@pytest.mark.parametrize(
    "status",
    [True, False, 200.0, None, "", "2 00", "two", "20000", "-200", "２００", [200], {"a": 1}],
)
def test_status_that_is_no_small_whole_number_is_none(status: Any) -> None:
    assert meta_status_of({"meta": {"status": status, "message": "?"}}) is None
    assert meta_status_of({"status_code": status}) is None


@pytest.mark.parametrize("status", [10_000, 10**50, -1, -200])
def test_number_outside_of_the_code_table_is_no_status(status: int) -> None:
    assert meta_status_of({"meta": {"status": status, "message": "?"}}) is None


@given(JSON)
def test_any_json_has_a_status_or_none(body: Any) -> None:
    status_found = meta_status_of(body)

    assert status_found is None or (
        (status_found.status is None or type(status_found.status) is int)
        and isinstance(status_found.message, str)
    )


@given(st.integers(100, 600), st.booleans() | st.none() | st.text(max_size=3))
def test_success_flag_never_matters(status: int, success: Any) -> None:
    with_success = {"meta": {"status": status, "message": "m", "success": success}}
    without_success = {"meta": {"status": status, "message": "m"}}

    assert meta_status_of(with_success) == meta_status_of(without_success)


# --- its words ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("plain words", "plain words"),
        ({"non_field_errors": ["account is invalid"]}, "non_field_errors: account is invalid"),
        ({"a": ["one", "two"], "b": "three"}, "a: one; two; b: three"),
        (["one", "two"], "one; two"),
        ("['must be either True or False.']", "must be either True or False."),
        ("['one', \"two\"]", "one; two"),
        ("[1, 2]", "[1, 2]"),
        ("[not a list", "[not a list"),
        ("[", "["),
        ("[__import__('os')]", "[__import__('os')]"),
        (319, "319"),
        (None, ""),
        ({}, ""),
        ([], ""),
        ("{'status': {'reason': 'closed'}}", "{'status': {'reason': 'closed'}}"),
        ("{not a dict", "{not a dict"),
        ('{"reason": null}', '{"reason": null}'),
    ],
)
def test_message_is_read_whatever_clickpost_made_of_it(message: Any, line: str) -> None:
    assert meta_status_of({"meta": {"status": 400, "message": message}}) == MetaStatus(400, line)


def test_message_is_one_line() -> None:
    status_found = meta_status_of({"meta": {"status": 319, "message": "first\nsecond\r\n\tthird"}})

    assert status_found == MetaStatus(319, "first second third")


def test_endless_message_is_cut() -> None:
    status_found = meta_status_of({"meta": {"status": 319, "message": "x" * 10**6}})

    assert status_found is not None
    assert len(status_found.message) == 2000


@pytest.mark.parametrize("depth", [10, 100, 500, 900])
@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_deeply_nested_message_becomes_text(depth: int, opening: str) -> None:
    closing = "]" if opening == "[" else "}"
    try:
        message = json.loads(opening * depth + "1" + closing * depth)
    except RecursionError:
        pytest.skip("this Python does not read it either")

    status_found = meta_status_of({"meta": {"status": 319, "message": message}})

    assert status_found is not None
    assert isinstance(status_found.message, str)


@pytest.mark.parametrize("message", ["['C:\\drive']", "[1is 2]", "['\\p']", "[0_in[1]]"])
def test_reading_a_message_logs_no_warning(message: str) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        meta_status_of({"meta": {"status": 319, "message": message}})

    assert caught == []


@given(JSON)
def test_any_json_can_be_a_message(message: Any) -> None:
    status_found = meta_status_of({"meta": {"status": 319, "message": message}})

    assert status_found is not None
    assert isinstance(status_found.message, str)


@given(st.text("[]'\",\\ \n\x00\ud800u1{}()-", max_size=40))
def test_any_text_that_looks_like_a_list_can_be_a_message(text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        status_found = meta_status_of({"meta": {"status": 319, "message": "[" + text}})

    assert status_found is not None


@pytest.mark.parametrize("where", ["meta", "detail"])
def test_message_is_one_line_without_control_characters(where: str) -> None:
    message = "क्‍ष a\x1b[31m\x00 \ud800\u202e\n\nb" + "x" * 5000
    body = {"meta": {"status": 400, "message": message}} if where == "meta" else {"detail": message}

    status_found = meta_status_of(body)

    assert status_found is not None
    assert status_found.message.startswith("क्‍ष a\ufffd[31m\ufffd \ufffd\ufffd bx")
    assert len(status_found.message) <= 2000


# --- where the result is ------------------------------------------------------------------------


@pytest.mark.parametrize("body", [{}, {"result": None}, {"result": {}}, {"meta": {"status": 200}}])
def test_response_without_a_result_is_empty(body: Any) -> None:
    assert result_of(body) == {}
    assert rows_from_result({**body, "result": body.get("result") or None}) == {"rows": []}


def test_result_is_taken_as_it_is() -> None:
    assert result_of({"result": {"waybill": "W1"}}) == {"waybill": "W1"}
    assert rows_from_result({"result": [{"waybill": "W1"}]}) == {"rows": [{"waybill": "W1"}]}
    assert whole_body({"token": "t"}) == {"token": "t"}


def test_flat_response_is_read_beside_its_meta() -> None:
    flat = {"status_code": 200, "success": True, "message": "SUCCESS"}

    assert result_of({**flat, "tracking_id": 7}) == {"tracking_id": 7}
    assert result_of({**flat, "result": {"waybill": "W1"}}) == {"waybill": "W1"}
    assert result_of(flat) == {}


@pytest.mark.parametrize("result", ["rows", {"a": 1}, 5, [1], [{}, "a"], [[]], True])
def test_rows_that_are_no_objects_are_unreadable(result: Any) -> None:
    assert rows_from_result({"result": result}) is None


@pytest.mark.parametrize("result", [None, False, "", [], {}, 0, [None]])
def test_result_that_is_empty_in_any_type_is_empty(result: Any) -> None:
    body = {"meta": {"status": 200}, "result": result}

    assert rows_from_result(body) == {"rows": []}
    assert only_row(body) == {}
    assert result_of(body) in ({}, [None])
    assert order_of(body) == {
        **dict.fromkeys(("order_id", "merchant_order_id", "tracking_id", "reference_number"))
    }


def test_null_rows_are_left_out() -> None:
    assert rows_from_result({"result": [None, {"a": 1}, None]}) == {"rows": [{"a": 1}]}


def test_result_in_a_list_of_one_is_read() -> None:
    body = {"meta": {"status": 200}, "result": [{"waybill": "W1"}]}

    assert only_row(body) == {"waybill": "W1"}
    assert order_of(body)["waybill"] == "W1"


@pytest.mark.parametrize("result", ["text", True, 5, [1], [[]], [{}, {}]])
def test_result_that_is_no_object_is_unreadable(result: Any) -> None:
    body = {"meta": {"status": 200}, "result": result}

    assert only_row(body) is order_of(body) is None


@pytest.mark.parametrize(
    ("body", "clickposts", "merchants"),
    [
        # v3: the merchant's inside, ClickPost's beside
        ({"result": {"order_id": "mine"}, "order_id": 7}, 7, "mine"),
        ({"result": {"order_id": "123"}, "order_id": 7}, 7, "123"),
        ({"result": {"order_id": 123}, "order_id": 7}, 7, 123),
        # v4, and 323: ClickPost's inside
        ({"result": {"order_id": 7}}, 7, None),
        ({"result": {"order_id": 7}, "order_id": None}, 7, None),
        # nothing but the merchant's
        ({"result": {"order_id": "mine"}}, None, "mine"),
        # nothing but ClickPost's, beside
        ({"result": {}, "order_id": 7}, 7, None),
        ({"order_id": 7, "reference_number": "r"}, 7, None),
        ({"result": {"order_id": None}, "order_id": "7"}, "7", None),
        ({}, None, None),
    ],
)
def test_two_order_ids_are_distinguished(body: Any, clickposts: Any, merchants: Any) -> None:
    order = order_of(body)

    assert order["order_id"] == clickposts
    assert order["merchant_order_id"] == merchants


def test_ids_and_reference_are_found_beside_the_result_too() -> None:
    beside = order_of({"result": {"waybill": "W1"}, "tracking_id": 5, "reference_number": "r"})
    inside = order_of(
        {
            "result": {"tracking_id": 6, "reference_number": "s"},
            "tracking_id": 5,
            "reference_number": "r",
        }
    )

    assert (beside["tracking_id"], beside["reference_number"]) == (5, "r")
    assert (inside["tracking_id"], inside["reference_number"]) == (6, "s")


@pytest.mark.parametrize("children", [None, "W1", 5, True])
def test_unreadable_children_do_not_lose_the_waybill(children: Any) -> None:
    order = order_of({"result": {"waybill": "W1", "children": children}})

    assert order["waybill"] == "W1"
    assert not order["children"]


def test_children_may_be_absent() -> None:
    assert "children" not in order_of({"result": {"waybill": "W1"}})


_SHAPED = [
    {"waybill": "W1-1", "item": {"sku": "A", "waybill": "W1-1"}},
    {"waybill": None, "item": {"sku": "B"}},
]


@pytest.mark.parametrize(
    "children",
    [
        _SHAPED,
        {"0": _SHAPED[0], "1": _SHAPED[1]},
        [_SHAPED[0], "junk", None, _SHAPED[1]],
    ],
)
def test_children_come_as_a_list_or_as_an_object(children: Any) -> None:
    assert order_of({"result": {"children": children}})["children"] == _SHAPED


@pytest.mark.parametrize("child", [_SHAPED[0], {"waybill": "W1-1", "sku": "A"}])
def test_single_child_need_not_be_in_a_list(child: Any) -> None:
    (found,) = order_of({"result": {"children": child}})["children"]

    assert found["waybill"] == "W1-1"
    assert found["item"]["sku"] == "A"


def test_flat_child_gets_an_item() -> None:
    flat = {
        "waybill": "W1-1",
        "description": "shirt",
        "sku": "A",
        "DestinationArea": "AMD",
        "label": None,
    }

    assert order_of({"result": {"children": [flat]}})["children"] == [
        {
            "waybill": "W1-1",
            "DestinationArea": "AMD",
            "label": None,
            "item": {"description": "shirt", "sku": "A"},
        }
    ]


@given(JSON)
def test_any_result_is_an_object_or_unreadable(result: Any) -> None:
    body = {"meta": {"status": 200}, "result": result}

    assert result_of(body) in (result, {})
    assert whole_body(body) is body
    for reader in (rows_from_result, only_row, order_of):
        assert isinstance(reader(body), dict | None)


@given(JSON, JSON)
def test_order_is_read_without_changing_the_body(children: Any, order_id: Any) -> None:
    body = {"result": {"children": children, "order_id": 1}, "order_id": order_id}
    before = json.dumps(body)

    order_of(body)

    assert json.dumps(body) == before


# --- counts by day ------------------------------------------------------------------------------


def test_days_are_distinguished_from_other_text() -> None:
    result = {"2026-02-01": None, "20260202": {"tracking": 1}, "total": 4, "2026-02-03": [1]}

    assert days_of({"result": result}) == {
        "days": {"2026-02-01": {}, "2026-02-02": {"tracking": 1}},
        "total": 4,
        "2026-02-03": [1],
    }


def test_no_result_has_no_days() -> None:
    assert days_of({"meta": {}}) == {"days": {}}


def test_counts_that_are_no_object_are_unreadable() -> None:
    assert days_of({"result": [1]}) is None


@given(body=st.dictionaries(st.text() | st.sampled_from(["meta", "result"]), JSON))
def test_days_of_any_body_are_read_without_an_exception(body: dict[str, object]) -> None:
    days = days_of(body)

    assert days is None or "days" in days
    assert without_meta(body) == {name: value for name, value in body.items() if name != "meta"}
