"""Numbers, texts and empty cells of other libraries: taken exactly, or refused with their path."""

import enum
import json
import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickpost_async import InvalidRequestError, Problem, structure, unstructure
from clickpost_async._codec.request import encode
from clickpost_async.endpoints.orders import CREATE_INDIA
from clickpost_async.structures import IndiaOrder, Item
from clickpost_async.structures._json_values import json_problems, to_json, to_number, to_plain
from tests.helpers.strategies import india

SIGNALLING = Decimal("sNaN")


class Colour(enum.Enum):
    RED = "red"


# --- taken exactly --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Decimal("12.50"), 12.5),
        (Decimal("0.1"), 0.1),
        (Decimal(4), 4),
        (Decimal("4.00"), 4),
        (Decimal("-0.05"), -0.05),
        (Decimal("1E+3"), 1000),
        (Decimal(123456789012345678901), 123456789012345678901),
        (Fraction(1, 4), 0.25),
        (np.int64(7), 7),
        (np.uint8(7), 7),
        (np.float64(12.5), 12.5),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        (np.str_("x"), "x"),
        (np.array(3), 3),
    ],
)
def test_number_or_text_of_another_type_becomes_the_same_of_pythons_own(
    value: Any, plain: Any
) -> None:
    found = to_plain(value)

    assert found == plain
    assert type(found) is type(plain)
    assert to_json({"a": [value]}) == {"a": [plain]}
    assert json_problems({"a": [value]}) == ()


@pytest.mark.parametrize(
    "value",
    [
        Decimal("123456789012345678.12"),
        Decimal("0.1000000000000000055511151231257827021181583404541015625"),
        Decimal("1E+309"),
        Decimal("1E+99999999"),
        Decimal("1E-400"),
        Fraction(1, 3),
        Fraction(10**400, 3),
        np.longdouble("0.1"),
    ],
)
def test_number_that_a_float_would_round_is_refused_with_advice(value: Any) -> None:
    assert to_plain(value) is value
    (problem,) = json_problems({"a": [value]})
    assert problem.path == "a[0]"
    assert problem.message.endswith("cannot be written as JSON: give float(x), which rounds it")


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_decimal_is_written_exactly_or_not_at_all(value: Decimal) -> None:
    plain = to_plain(value)

    if plain is not value:
        assert Decimal(json.dumps(plain)) == value


@pytest.mark.parametrize(
    "value", ["", "x", 5, 2.5, True, None, [1], (1,), {"a": 1}, Colour.RED, object()]
)
def test_builtin_values_are_unchanged(value: Any) -> None:
    assert to_plain(value) is value


@pytest.mark.parametrize(
    ("value", "integer"), [(2.0, 2), (Decimal("2.0"), 2), (np.float64(2), 2), (2, 2)]
)
def test_whole_number_may_be_a_float_as_pandas_has_it(value: Any, integer: int) -> None:
    assert (to_number(value, whole=True), type(to_number(value, whole=True))) == (integer, int)


@pytest.mark.parametrize("value", [2.5, True, "2.5", "two", math.nan, math.inf, Decimal("2.5")])
def test_anything_else_does_not_become_a_whole_number(value: Any) -> None:
    found = to_number(value, whole=True)

    assert not isinstance(found, int) or found is value


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
)


@given(JSON)
def test_json_is_copied_as_it_is_and_has_no_problems(value: Any) -> None:
    assert repr(to_json(value)) == repr(value)
    assert json_problems(value) == ()


def test_mappings_and_tuples_become_objects_and_lists() -> None:
    value = MappingProxyType({"a": (1, MappingProxyType({"b": ()}))})

    assert to_json(value) == {"a": [1, {"b": []}]}


# --- refused with their paths ---------------------------------------------------------------------

NOT_JSON: Mapping[str, tuple[Any, str]] = {
    "nan": (math.nan, "missing value (NaN): give a value, or None"),
    "np.nan": (np.float32("nan"), "missing value (NaN): give a value, or None"),
    "np.nat": (np.datetime64("NaT", "s"), "missing value (NaN): give a value, or None"),
    "pd.NA": (pd.NA, "missing value (NaN): give a value, or None"),
    "pd.NaT": (pd.NaT, "missing value (NaN): give a value, or None"),
    "decimal nan": (Decimal("NaN"), "missing value (NaN): give a value, or None"),
    "signalling nan": (SIGNALLING, "missing value (NaN): give a value, or None"),
    "infinity": (-math.inf, "expected a finite number"),
    "decimal infinity": (
        Decimal("Infinity"),
        "Decimal cannot be written as JSON: give float(x), which rounds it",
    ),
    "date": (date(2026, 1, 31), "date cannot be written as JSON: give its isoformat()"),
    "datetime": (
        datetime(2026, 1, 31, tzinfo=UTC),
        "datetime cannot be written as JSON: give its isoformat()",
    ),
    "time": (time(10), "time cannot be written as JSON: give its isoformat()"),
    "pd.Timestamp": (
        pd.Timestamp("2026-01-31"),
        "Timestamp cannot be written as JSON: give its isoformat()",
    ),
    "bytes": (b"x", "bytes cannot be written as JSON: give text, by decode() or base64"),
    "set": ({1}, "set cannot be written as JSON: give a list"),
    "enum": (Colour.RED, "Colour cannot be written as JSON: give its value"),
    "uuid": (UUID(int=7), "UUID cannot be written as JSON: give str(x)"),
    "array": (np.array([1, 2]), "ndarray cannot be written as JSON: give its tolist()"),
    "surrogate": ("a\ud800", "contains an unpaired surrogate (invalid Unicode)"),
    "huge": (2**1025, "is too large a number"),
    "object": (object(), "object cannot be written as JSON"),
    "key": ({5: 1}, "a key must be a string, got an integer"),
    "surrogate key": ({"\ud800": 1}, "a key contains an unpaired surrogate (invalid Unicode)"),
}


@pytest.mark.parametrize("name", NOT_JSON)
def test_value_without_json_form_is_reported_with_its_path_and_advice(name: str) -> None:
    value, message = NOT_JSON[name]

    assert json_problems({"a": [1, {"b": value}]}) == (Problem("a[1].b", message),)
    with pytest.raises(ValueError, match="is not JSON"):
        to_json({"a": [1, {"b": math.nan}]})


def test_list_that_contains_itself_is_reported() -> None:
    endless: list[Any] = []
    endless.append(endless)

    (problem,) = json_problems(endless)
    assert problem.message == "is nested more than 64 levels deep"


def test_thousands_of_problems_in_one_value_are_truncated() -> None:
    assert len(json_problems([math.nan] * 5_000)) == 20


# --- in orders ------------------------------------------------------------------------------------


def sent(order: Any) -> Any:
    body = encode(CREATE_INDIA, body=order).body
    assert body is not None
    return json.loads(body, parse_float=Decimal)


DECIMALS = {
    "shipment_details.cod_value": Decimal("901.10"),
    "shipment_details.invoice_value": Decimal("901.10"),
    "shipment_details.items[0].price": Decimal("450.55"),
    "shipment_details.items[0].quantity": Decimal("2.00"),
    "shipment_details.courier_partner": Decimal(4),
    "additional.insured_for": [Decimal("12.50")],
}


def test_decimals_of_a_mapping_are_sent_exactly() -> None:
    order = structure(india(DECIMALS), IndiaOrder)
    shipment = sent(order)["shipment_details"]

    assert unstructure(order)["shipment_details"]["cod_value"] == 901.1
    assert unstructure(order)["additional"] == {"insured_for": [12.5]}
    assert shipment["cod_value"] == Decimal("901.10")
    assert shipment["items"][0]["price"] == Decimal("450.55")
    assert (shipment["items"][0]["quantity"], shipment["courier_partner"]) == (2, 4)
    assert sent(order)["additional"]["insured_for"] == [Decimal("12.5")]


def test_decimals_of_a_structure_are_sent_exactly() -> None:
    price: Any = Decimal("450.55")
    quantity: Any = np.int64(2)

    item = Item(description=np.str_("shirt"), quantity=quantity, price=price, weight=200)

    assert (type(item.price), item.price) == (float, 450.55)
    assert (type(item.quantity), type(item.description)) == (int, str)


def test_rows_of_pandas_are_sent_as_they_are() -> None:
    # A column of whole numbers with an empty cell is one of floats.
    table = pd.DataFrame(
        {
            "reference": ["P-1", "P-2"],
            "price": [450.55, 20.0],
            "quantity": [2, None],
            "weight": pd.array([200, 300], dtype="Int64"),
        }
    )
    first = table.iloc[0]
    order = india(
        {
            "shipment_details.reference_number": first["reference"],
            "shipment_details.items[0].price": first["price"],
            "shipment_details.items[0].quantity": first["quantity"],
            "shipment_details.items[0].weight": first["weight"],
        }
    )

    assert sent(order)["shipment_details"]["items"][0] == {
        **india()["shipment_details"]["items"][0],
        "price": Decimal("450.55"),
        "quantity": 2,
        "weight": 200,
    }


def problems_of(changes: Mapping[str, Any]) -> dict[str, str]:
    with pytest.raises(InvalidRequestError) as caught:
        structure(india(changes), IndiaOrder)
    return {problem.path: problem.message for problem in caught.value.problems}


def test_empty_cells_of_pandas_are_reported_with_all_other_mistakes() -> None:
    missing = "missing value (NaN): give a value, or None"

    assert problems_of(
        {
            "drop_info.drop_email": math.nan,
            "drop_info.drop_pincode": "1",
            "pickup_info.pickup_time": pd.NaT,
            "shipment_details.cod_value": pd.NA,
            "shipment_details.items[0].quantity": np.float64("nan"),
            "shipment_details.order_type": math.nan,
            "shipment_details.new": {"seen": [date(2026, 1, 31)]},
            "additional.note": "a\ud800",
            "unknown": math.inf,
        }
    ) == {
        "drop_info.drop_email": missing,
        "drop_info.drop_pincode": "a pincode is six digits, like 110001",
        "pickup_info.pickup_time": missing,
        "shipment_details.cod_value": missing,
        "shipment_details.items[0].quantity": missing,
        "shipment_details.order_type": "expected one of COD, PREPAID, EXCHANGE",
        "shipment_details.new.seen[0]": "date cannot be written as JSON: give its isoformat()",
        "additional.note": "contains an unpaired surrogate (invalid Unicode)",
        "unknown": "expected a finite number",
    }


def test_inexact_decimal_is_reported_with_advice() -> None:
    assert problems_of({"shipment_details.invoice_value": Decimal("123456789012345678.12")}) == {
        "shipment_details.invoice_value": (
            "expected a number, got Decimal: give float(x), which rounds it"
        )
    }


def test_half_a_piece_is_no_quantity() -> None:
    assert problems_of({"shipment_details.items[0].quantity": Decimal("2.5")}) == {
        "shipment_details.items[0].quantity": ("expected an integer, got a number")
    }


def test_structure_with_what_json_cannot_hold_cannot_be_made() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        Item(description="shirt", quantity=0, price=1, weight=1, extra={"seen": date(2026, 1, 31)})

    assert [problem.path for problem in caught.value.problems] == ["quantity", "seen"]


def test_mapping_whose_keys_are_not_text_is_no_json() -> None:
    with pytest.raises(ValueError, match="dict is not JSON"):
        to_json({"parts": [{7: "x"}]})
