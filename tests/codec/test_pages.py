"""The next page: its URL's query is used, without host and credentials."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickpost_async._codec.pages import page_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def listed(following: object) -> dict[str, Any]:
    return {"meta": {"status": 200, "next": following}, "result": [{"waybill": "W"}]}


@pytest.mark.parametrize(
    ("address", "asked"),
    [
        ("https://www.clickpost.in/api/v1/x?key=***&page=2", {"page": "2"}),
        ("?Username=a&user_name=b&KEY=c&cursor=cD0y&empty=", {"cursor": "cD0y", "empty": ""}),
        ("//evil.example/?page=2#key=x", {"page": "2"}),
        ("?location=a%20b%26c", {"location": "a b&c"}),
    ],
)
def test_next_page_keeps_the_query_only(address: str, asked: dict[str, str]) -> None:
    assert page_of(listed(address)) == {"rows": [{"waybill": "W"}], "next_page": asked}


@pytest.mark.parametrize("address", [None, "", False])
def test_page_without_a_next_one_is_the_last(address: object) -> None:
    assert page_of(listed(address)) == {"rows": [{"waybill": "W"}]}


def test_next_page_is_found_in_a_doubled_meta() -> None:
    body = {"meta": {"meta": {"status": 200, "next": "?page=2"}}, "result": []}

    assert page_of(body) == {"rows": [], "next_page": {"page": "2"}}


@pytest.mark.parametrize(
    "address",
    [
        7,
        {"page": 2},
        "https://www.clickpost.in/api/v1/x",
        "?key=***",
        "http://[",
        "?" + "&".join("a=1" for _ in range(100)),
    ],
)
def test_next_page_without_a_query_is_unreadable(address: object) -> None:
    assert page_of(listed(address)) is None


@given(meta=JSON, result=JSON)
def test_junk_never_raises(meta: object, result: object) -> None:
    page = page_of({"meta": meta, "result": result})

    assert page is None or set(page) <= {"rows", "next_page"}
