import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickpost_async.files.cells import BadCellError
from clickpost_async.files.phones import Phone, read_phone


@pytest.fixture(autouse=True)
def _empty_cache() -> None:
    read_phone.cache_clear()


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("9876543210", "9876543210"),
        ("98765-43210", "9876543210"),
        ("98765 43210", "9876543210"),
        ("+91 98765-43210", "9876543210"),
        ("+919876543210", "9876543210"),
        ("(+91)9876543210", "9876543210"),
        ("(+91) 98765 43210", "9876543210"),
        ("0091 98765 43210", "9876543210"),
        ("919876543210", "9876543210"),
        ("91-9876543210", "9876543210"),
        ("09876543210", "9876543210"),
        ("022 2345 6789", "02223456789"),
        ("022-23456789", "02223456789"),
        ("+91 22 2345 6789", "02223456789"),
        ("2223456789", "2223456789"),
    ],
)
def test_phone_of_india_is_read_without_its_dialling_code(text: str, number: str) -> None:
    assert read_phone(text, "IN") == Phone(number)


@pytest.mark.parametrize(
    ("text", "country", "phone"),
    [
        ("+971 50 123 4567", "AE", Phone("501234567", "+971")),
        ("00971501234567", "AE", Phone("501234567", "+971")),
        ("050 123 4567", "AE", Phone("0501234567")),
        ("(512) 555-0114", "US", Phone("5125550114")),
        ("+971501234567", "IN", Phone("501234567", "+971")),
        ("+971501234567", "", Phone("501234567", "+971")),
    ],
)
def test_phone_of_the_world_is_read_with_its_dialling_code_apart(
    text: str, country: str, phone: Phone
) -> None:
    assert read_phone(text, country) == phone


@pytest.mark.parametrize("text", ["12", "00000", "1111111111", "98765432101234"])
def test_phone_that_does_not_exist_stays_and_is_not_valid(text: str) -> None:
    assert read_phone(text, "IN") == Phone(text, is_valid=False)


@pytest.mark.parametrize(
    "text",
    [
        "9876+91543210",
        "9876543210 / 9876543211",
        "9876543210, 9876543211",
        "9876543210\n9876543211",
        "9876543210 9876543211",
        "98765 43210 ext 12",
        "call the gate",
        "98765O4321",
    ],
)
def test_phone_that_could_be_several_or_none_is_refused(text: str) -> None:
    with pytest.raises(BadCellError, match="not a phone number that can be read"):
        read_phone(text, "IN")


def test_phone_in_digits_needs_no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "phonenumbers", None)

    assert read_phone("9876543210", "IN") == Phone("9876543210")
    assert read_phone("5125550114", "US") == Phone("5125550114")
    with pytest.raises(BadCellError, match=r"pip install 'clickpost_async\[phones\]'"):
        read_phone("98765-43210", "IN")


@given(st.integers(6_000_000_000, 9_999_999_999), st.sampled_from(["", "+91", "+91 ", "0091"]))
def test_mobile_number_of_india_is_read_as_its_ten_digits(number: int, prefix: str) -> None:
    phone = read_phone(f"{prefix}{number}", "IN")

    # Some of these numbers are fixed lines, which keep the 0 before them.
    assert phone.number.removeprefix("0") == str(number) or not phone.is_valid


@given(st.text(max_size=20), st.sampled_from(["IN", "AE", "US", "", "XX"]))
def test_any_text_is_a_phone_or_refused(text: str, country: str) -> None:
    try:
        phone = read_phone(text, country)
    except BadCellError:
        return
    assert phone.number
