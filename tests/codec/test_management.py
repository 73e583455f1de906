"""Responses of order management are read whatever they contain."""

from hypothesis import given
from hypothesis import strategies as st

from clickpost_async._codec.management import days_of, without_meta

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


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
def test_junk_never_raises(body: dict[str, object]) -> None:
    days = days_of(body)

    assert days is None or "days" in days
    assert without_meta(body) == {name: value for name, value in body.items() if name != "meta"}
