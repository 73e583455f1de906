"""How annotations are read, and what each constraint accepts and rejects."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Annotated, Any

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from clickpost_async.errors import Problem
from clickpost_async.structures import Item, OrderType, RequestModel, ResponseModel
from clickpost_async.structures._constraints import (
    AtLeast,
    BlankPincode,
    Country,
    Currency,
    Date,
    DateOrTime,
    GreaterThan,
    India,
    InRange,
    MaxLength,
    NotBlank,
    Phone,
    Pincode,
    Time,
)
from clickpost_async.structures._marks import Compact, Personal, WireName
from clickpost_async.structures._schema import check_kind, member_kind, specs


@frozen(kw_only=True, repr=False)
class Parcel(RequestModel):
    name: Annotated[str, MaxLength(5), Personal()]
    number: Annotated[int | None, WireName("no", also=("nr",))] = None
    price: Annotated[float, AtLeast(0)] | str | None = None
    parts: Sequence[Item] | None = None


def test_field_is_declared_once_and_read_from_its_annotation() -> None:
    name, number, price, parts = specs(Parcel)

    assert (name.name, name.wire, name.kind) == ("name", "name", str)
    assert (name.required, name.personal, name.rules) == (True, True, (MaxLength(5),))
    assert (number.name, number.wire, number.also, number.kind) == ("number", "no", ("nr",), int)
    assert (number.required, number.personal) == (False, False)
    assert price.kind == float | str
    assert price.rules == (AtLeast(0),)
    assert member_kind(parts.kind) is Item


def test_private_attributes_of_a_structure_are_not_sent() -> None:
    assert {spec.name for spec in specs(ResponseModel)} == set()
    assert {spec.name for spec in specs(RequestModel)} == set()


def test_only_a_sequence_has_members() -> None:
    assert member_kind(Sequence[int]) is int
    assert member_kind(str) is None
    assert member_kind(Mapping[str, int]) is None


def problems_of(kind: Any, value: Any) -> list[str]:
    return [str(problem) for problem in check_kind(kind, value)]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (str, ""),
        (str, "ünï"),
        (str, "😀"),
        (int, 0),
        (int, 10**30),
        (float, 1),
        (float, 1.5),
        (bool, True),
        (Any, {"a": [1, None, "x"]}),
        (OrderType, "COD"),
        (OrderType, OrderType.COD),
        (float | str, "5"),
        (float | str, 5),
        (Sequence[int], (1, 2)),
        (Sequence[int], []),
        (Mapping[str, Any], {"any": 1}),
    ],
)
def test_value_of_the_right_type_is_taken(kind: Any, value: Any) -> None:
    assert problems_of(kind, value) == []


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (str, 5, "expected a string, got an integer: give str(x)"),
        (str, None, "expected a string, got null"),
        (str, date(2026, 1, 31), "expected a string, got date: give its isoformat()"),
        (str, "a\x00b", "must not contain a NUL character"),
        (str, "a\ud800", "contains an unpaired surrogate (invalid Unicode)"),
        (int, True, "expected an integer, got a boolean"),
        (int, 1.0, "expected an integer, got a number"),
        (float, False, "expected a number, got a boolean"),
        (float, "5", "expected a number, got a string"),
        (float, float("nan"), "missing value (NaN): give a value, or None"),
        (float, float("-inf"), "expected a finite number"),
        (bool, 1, "expected a boolean, got an integer"),
        (bool, "true", "expected a boolean, got a string"),
        (int, 2**1025, "is too large a number"),
        (str, float("nan"), "missing value (NaN): give a value, or None"),
        (str, b"W1", "expected a string, got bytes: give text, by decode() or base64"),
        (Any, [{"a": object()}], "[0].a: object cannot be written as JSON"),
        (Mapping[str, Any], {"a": float("inf")}, "a: expected a finite number"),
        (OrderType, "cod", "expected one of COD, PREPAID, EXCHANGE"),
        (OrderType, [], "expected one of COD, PREPAID, EXCHANGE"),
        (float | str, [], "expected a number or a string, got a list"),
        (Sequence[int], "12", "expected a list, got a string"),
        (Sequence[int], {1: 2}, "expected a list, got an object"),
        (Sequence[int], (1, "2", 3), "[1]: expected an integer, got a string"),
        (Mapping[str, Any], [], "expected an object, got a list"),
        (Item, 5, "expected an object, got an integer"),
    ],
)
def test_value_of_the_wrong_type_has_a_plain_message(kind: Any, value: Any, message: str) -> None:
    assert problems_of(kind, value) == [message]


def test_mistake_is_seen_from_further_out() -> None:
    assert Problem("price", "no").under("items[0]") == Problem("items[0].price", "no")
    assert Problem("[0]", "no").under("items") == Problem("items[0]", "no")
    assert Problem("", "no").under("items") == Problem("items", "no")
    assert str(Problem("items", "no")) == "items: no"
    assert str(Problem("", "no")) == "no"


# --- rules for single values --------------------------------------------------------------------


def keeps(annotation: Any, value: Any) -> bool:
    """Tell whether a value keeps the rules of an annotated type."""
    rules = [mark for mark in annotation.__metadata__ if not isinstance(mark, Personal | Compact)]
    return all(rule(value) is None for rule in rules)


@pytest.mark.parametrize("text", ["110001", "999999", "380055"])
def test_pincode_is_six_digits(text: str) -> None:
    assert keeps(Pincode, text)
    assert keeps(BlankPincode, text)


@pytest.mark.parametrize(
    "text",
    ["", "11000", "1100011", "011000", "11000a", "110 001", "११०००१", "110001\n", " 110001"],
)
def test_anything_else_is_no_pincode(text: str) -> None:
    assert not keeps(Pincode, text)
    assert keeps(BlankPincode, text) == (text == "")


@pytest.mark.parametrize("text", ["IN", "India"])
def test_india_is_spelled_both_ways(text: str) -> None:
    assert keeps(India, text)


@pytest.mark.parametrize("text", ["", "in", "INDIA", "IND", "US", "IN "])
def test_another_country_is_not_india(text: str) -> None:
    assert not keeps(India, text)


@pytest.mark.parametrize("code", ["AE", "SA", "IN", "XK", "GB", "US", "MX"])
def test_country_is_an_iso_code(code: str) -> None:
    assert Country()(code) is None


@pytest.mark.parametrize("code", ["", "ae", "UK", "EU", "UAE", "XX", "A", "A3", "ＡＥ"])
def test_anything_else_is_no_country(code: str) -> None:
    assert Country()(code) == "a country is written as its ISO alpha-2 code in capitals, like AE"


@given(st.text(max_size=3))
def test_only_the_249_codes_and_kosovo_are_countries(text: str) -> None:
    if Country()(text) is None:
        assert len(text) == 2
        assert text.isascii()
        assert text.isupper()


def test_all_countries_of_iso_are_known() -> None:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    assert sum(Country()(a + b) is None for a in letters for b in letters) == 250


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-02T10:00:00",
        "2026-03-02T10:00:00Z",
        "2026-03-02T10:00:00+05:30",
        "2026-03-02T10:00:00+0530",
        "2026-03-02T10:00:00-03:00",
        "2026-03-02T10:00:00.5",
        "2026-03-02T10:00:00.123Z",
        "2026-03-02T10:00:00.123456+05:30",
        "2024-02-29T23:59:59",
    ],
)
def test_time_is_taken_with_and_without_zone_and_fraction(text: str) -> None:
    assert keeps(Time, text)
    assert keeps(DateOrTime, text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-03-02",
        "10:00:00",
        "2026-03-02T10:00",
        "2026-03-02T24:00:01",
        "2026-03-02T10:60:00",
        "2026-02-29T10:00:00",
        "2026-13-01T10:00:00",
        "2026-10-271T10:00:00",
        "2026-3-2T10:00:00",
        "02-03-2026T10:00:00",
        "20260302T100000",
        "2026-W10-1T10:00:00",
        "2026-03-02T10:00:00 IST",
        "2026-03-02T10:00:00+5",
        "2026-03-02T10:00:00+99:00",
        "2026-03-02T10:00:00.1234567",
        "2026-03-02T10:00:00\n",
        "२०२६-03-02T10:00:00",
        "1772445600",
    ],
)
def test_impossible_time_is_refused(text: str) -> None:
    assert not keeps(Time, text)


@pytest.mark.parametrize("text", ["2026-03-01", "2024-02-29", "0001-01-01"])
def test_date_is_year_month_day(text: str) -> None:
    assert keeps(Date, text)
    assert keeps(DateOrTime, text)


@pytest.mark.parametrize(
    "text",
    ["", "01-03-2026", "2026/03/01", "20260301", "2026-W09-7", "2026-02-30", "2026-3-1", "today"],
)
def test_anything_else_is_no_date(text: str) -> None:
    assert not keeps(Date, text)
    assert not keeps(DateOrTime, text)


@pytest.mark.parametrize("text", ["9000000001", "+919000000", "022-123456", "500 000001"])
def test_phone_is_digits(text: str) -> None:
    assert keeps(Phone, text)


@pytest.mark.parametrize("text", ["", " ", "call me", "(022)123456", "900000000123", "९००००००००१"])
def test_anything_else_is_no_phone(text: str) -> None:
    assert not keeps(Phone, text)


@pytest.mark.parametrize(("text", "fits"), [("INR", True), ("inr", False), ("", False)])
def test_currency_is_three_capitals(text: str, *, fits: bool) -> None:
    assert keeps(Currency, text) == fits


@pytest.mark.parametrize(
    ("rule", "taken", "refused"),
    [
        (AtLeast(0), [0, 0.0, 0.01, 10**30], [-0.01, -1, float("inf"), float("nan")]),
        (GreaterThan(0), [0.001, 1], [0, -1, float("nan")]),
        (InRange(-90, 90), [-90, 0, 90], [-90.1, 90.1, float("inf")]),
    ],
)
def test_number_keeps_its_bounds(rule: Any, taken: list[float], refused: list[float]) -> None:
    assert [rule(number) for number in taken] == [None] * len(taken)
    assert all(rule(number) for number in refused)


def test_number_too_large_for_arithmetic_is_refused_not_raised() -> None:
    assert AtLeast(0)(10**400) == "must be at least 0"


@pytest.mark.parametrize("text", ["", " ", "\t\n", "\u00a0"])
def test_blanks_do_not_fill_a_field(text: str) -> None:
    assert NotBlank()(text) == "must not be blank"
