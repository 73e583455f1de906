import re

import pytest

from clickpost_async.files.cells import CellKind
from clickpost_async.files.columns import COLUMNS
from clickpost_async.files.header import (
    Heading,
    UnknownColumnError,
    find_column,
    read_headings,
)


@pytest.mark.parametrize("name", ["drop_pincode", "Drop Pincode", "DROP-PINCODE", "drop  pincode"])
def test_column_is_found_whatever_its_capitals_and_punctuation(name: str) -> None:
    assert find_column(name) == COLUMNS["drop_pincode"]


@pytest.mark.parametrize(
    "name",
    [
        *("drop_pincode*", "*Drop Pincode", "Drop Pincode (Optional)", "drop_pincode (mandatory)"),
        *("Drop Pincode\n(required) *", "Drop Pincode:"),
    ],
)
def test_column_is_found_with_the_marks_of_templates(name: str) -> None:
    assert find_column(name) == COLUMNS["drop_pincode"]


def test_path_is_a_column_of_its_own() -> None:
    column = find_column("additional.my_Field")

    assert (column.kind, column.india, column.world) == (
        CellKind.TEXT,
        "additional.my_Field",
        "additional.my_Field",
    )


def test_known_path_keeps_the_kind_of_its_column() -> None:
    assert find_column("shipment_details.cod_value").kind is CellKind.AMOUNT


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("cod_valu", "cod_value"),
        ("Pickup Pin Code", "pickup_pincode"),
        ("aditional.zone", "additional.zone"),
        ("drop_nam", "drop_name"),
        ("Email", "pickup_email or drop_email or return_email"),
        ("Qty", "item_quantity"),
        ("SKU", "item_sku"),
    ],
)
def test_unknown_column_is_reported_with_the_nearest_names(name: str, nearest: str) -> None:
    with pytest.raises(UnknownColumnError, match=re.escape(f"did you mean {nearest}?")):
        find_column(name)


@pytest.mark.parametrize("name", ["Sr. No.", "??", "additional.", "additional..x", "zzz.qqq"])
def test_unrecognised_column_gets_general_advice(name: str) -> None:
    with pytest.raises(UnknownColumnError, match="rename it to a known one"):
        find_column(name)


def problems(*titles: str) -> list[tuple[str, str]]:
    headings: list[Heading] = []
    return list(read_headings(titles, {}, headings))


def test_columns_without_a_name_are_passed_over() -> None:
    headings: list[Heading] = []

    assert list(read_headings(["reference_number", "", "note"], {}, headings)) == []
    assert [heading.index for heading in headings] == [0, 2]


def test_duplicate_column_names_are_reported() -> None:
    assert problems("reference_number", "note", "Note") == [
        ("Note", "columns 2 and 3 have the same name")
    ]


def test_file_without_references_is_refused() -> None:
    assert problems("note") == [
        ("reference_number", "this column is missing; the first row names the columns")
    ]


def test_value_cannot_be_where_other_columns_need_an_object() -> None:
    assert problems("reference_number", "additional.box", "additional.box.size") == [
        ("additional.box", "cannot hold a value and contain column additional.box.size as well")
    ]


def test_title_that_is_long_is_shown_shortened() -> None:
    ((title, _),) = problems("reference_number", "x" * 100_000)

    assert title == "x" * 60 + "…"


def test_title_with_control_characters_is_shown_without_them() -> None:
    ((title, _),) = problems("reference_number", "\x1b]0;owned\x07title")

    assert title == "\ufffd]0;owned\ufffdtitle"
