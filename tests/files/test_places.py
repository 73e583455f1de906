import pytest

from clickpost_async.files.places import read_country, read_indian_state


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("INDIA", "IN"),
        ("india", "IN"),
        ("in", "IN"),
        ("India", "India"),
        ("ae", "AE"),
        ("UAE", "AE"),
        ("United Arab Emirates", "AE"),
        ("uk", "GB"),
        ("Germny", "Germny"),
    ],
)
def test_country_is_read_as_its_code_if_it_is_known(text: str, code: str) -> None:
    assert read_country(text) == code


@pytest.mark.parametrize(
    ("text", "name"),
    [("KA", "Karnataka"), ("in-ka", "Karnataka"), ("Kerala", "Kerala"), ("XX", "XX")],
)
def test_state_of_india_is_read_as_its_name_if_its_code_is_known(text: str, name: str) -> None:
    assert read_indian_state(text) == name
