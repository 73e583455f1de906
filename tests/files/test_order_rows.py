import io

import pytest

from clickpost_async.files.columns import Market
from clickpost_async.files.order_rows import OrderRow, RowProblem
from clickpost_async.files.reader import read_orders


def read(text: str) -> list[OrderRow]:
    return list(read_orders(io.StringIO(text)))


def told(row: OrderRow) -> list[str]:
    return [str(problem) for problem in row.problems]


def test_rows_with_one_reference_are_one_order_with_several_items() -> None:
    (row,) = read(
        "reference_number,drop_name,item_sku,item_length\nA1,Asha,S1,10\nA1,,S2,20\nA1,Asha,S3,30\n"
    )

    assert (row.number, row.last, row.reference) == (2, 4, "A1")
    assert row.order == {
        "drop_info": {"drop_name": "Asha"},
        "shipment_details": {
            "reference_number": "A1",
            "items": [
                {"sku": "S1", "length": 10},
                {"sku": "S2", "length": 20},
                {"sku": "S3", "length": 30},
            ],
        },
    }


def test_contradicting_rows_are_told_with_both_row_numbers() -> None:
    (row,) = read("reference_number,drop_city,item_sku\nA1,Pune,S1\nA1,Surat,S2\n")

    assert row.order is None
    assert told(row) == [
        (
            "row 3, drop_city: differs from row 2, which has the same reference; "
            "further rows of an order repeat its fields or leave them empty"
        )
    ]


@pytest.mark.parametrize(
    ("titles", "cells", "market"),
    [
        ("drop_country", "IN", Market.INDIA),
        ("drop_country", "India", Market.INDIA),
        ("drop_country", "", Market.INDIA),
        ("drop_country", "AE", Market.WORLD),
        ("drop_country_code", "us", Market.WORLD),
        ("pickup_country,drop_country", "IN,US", Market.WORLD),
        ("drop_info.country_code", "DE", Market.WORLD),
        ("market,drop_country", "World,IN", Market.WORLD),
        ("market", "india", Market.INDIA),
        ("market", "", Market.INDIA),
    ],
)
def test_the_market_is_said_or_told_by_the_countries(
    titles: str, cells: str, market: Market
) -> None:
    (row,) = read(f"reference_number,{titles}\nA1,{cells}\n")

    assert row.market is market


def test_an_unknown_market_is_a_problem() -> None:
    (row,) = read("reference_number,market\nA1,moon\n")

    assert told(row) == ["row 2, market: india or world is needed"]


def test_a_world_address_without_postal_code_gets_the_blank_one_clickpost_wants() -> None:
    (row,) = read("reference_number,drop_country,drop_postal_code\nA1,AE,\n")

    assert row.order is not None
    assert row.order["drop_info"] == {"country_code": "AE", "postal_code": ""}


def test_a_field_that_the_market_does_not_have_is_a_problem() -> None:
    (row,) = read("reference_number,drop_country,tin\nA1,AE,T1\n")

    assert told(row) == ["row 2, tin: an order for world has no such field; leave it empty"]


def test_two_columns_for_one_field_may_not_disagree() -> None:
    same, other, item = read(
        "reference_number,drop_pincode,drop_postal_code,item_sku,shipment_details.items.sku\n"
        "A1,110001,110001,S,S\nA2,110001,110002,S,\nA3,,,S,T\n"
    )

    assert same.problems == ()
    assert told(other) == [
        "row 3, drop_postal_code: says something else than column drop_pincode; fill in one"
    ]
    assert told(item) == [
        "row 4, shipment_details.items.sku: another column says something else; fill in one"
    ]


def test_paths_reach_the_order_and_the_item_of_their_row() -> None:
    (row,) = read(
        "reference_number,additional.gift.text,shipment_details.items.mood\nA1,hello,calm\nA1,,wild\n"
    )

    assert row.order == {
        "shipment_details": {
            "reference_number": "A1",
            "items": [{"mood": "calm"}, {"mood": "wild"}],
        },
        "additional": {"gift": {"text": "hello"}},
    }


def test_a_note_is_not_sent() -> None:
    (row,) = read("reference_number,note\nA1,call first\n")

    assert row.order == {"shipment_details": {"reference_number": "A1"}}


def test_all_problems_of_an_order_are_told_together_by_row() -> None:
    (row,) = read(
        "reference_number,weight,drop_phone,item_price\nA1,heavy,9.1E+11,1\nA1,,,cheap\nA1\n"
    )

    assert [(problem.row, problem.column) for problem in row.problems] == [
        (2, "weight"),
        (2, "drop_phone"),
        (3, "item_price"),
        (4, "weight"),
    ]


@pytest.mark.parametrize(
    ("path", "row", "column"),
    [
        ("shipment_details.items[0].price", 2, "Price"),
        ("shipment_details.items[1].price", 4, "Price"),
        ("shipment_details.items[1].sku", 4, "item_sku"),
        ("shipment_details.items", 2, "item_description"),
        ("additional.rvp_reason", 2, "Why"),
        ("drop_info.drop_phone", 2, "drop_phone"),
        ("drop_info", 2, "drop_info"),
        ("", 2, "(whole row)"),
    ],
)
def test_a_path_of_the_order_is_located_in_the_file(path: str, row: int, column: str) -> None:
    (order,) = read_orders(
        io.StringIO("reference_number,Why,Price\nA1,torn,5\nA1,torn,\nA1,,6\n"),
        columns={"why": "rvp_reason", "price": "item_price"},
    )

    assert order.locate(path, "no") == RowProblem(row=row, column=column, message="no")


def test_a_path_of_a_json_order_is_its_own_column() -> None:
    (order,) = read('\n{"drop_info": {}}\n')

    assert order.problems == ()
    assert str(order.locate("drop_info.name", "missing")) == "row 2, drop_info.name: missing"


def test_what_belongs_to_a_person_is_not_shown() -> None:
    (row,) = read("reference_number,drop_name\nA1,Asha\n")

    assert "Asha" not in repr(row)
