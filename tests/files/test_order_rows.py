import io
from pathlib import Path

import pytest

from clickpost_async.files.column_map import ColumnMap
from clickpost_async.files.columns import Market
from clickpost_async.files.order_rows import OrderRow, RowProblem
from clickpost_async.files.reader import read_orders


def read(text: str) -> list[OrderRow]:
    return list(read_orders(io.StringIO(text)))


def problems_of(row: OrderRow) -> list[str]:
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


def test_contradicting_rows_are_reported_with_both_row_numbers() -> None:
    (row,) = read("reference_number,drop_city,item_sku\nA1,Pune,S1\nA1,Surat,S2\n")

    assert row.order is None
    assert problems_of(row) == [
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
        ("drop_country", "Bharat", Market.INDIA),
        ("drop_country", '"=""IN"""', Market.INDIA),
        ("drop_country", "'India", Market.INDIA),
        ("pickup_country,drop_country", 'IN,"="""""', Market.INDIA),
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
def test_market_is_given_or_derived_from_the_countries(
    titles: str, cells: str, market: Market
) -> None:
    (row,) = read(f"reference_number,{titles}\nA1,{cells}\n")

    assert row.market is market


def test_unknown_market_is_a_problem() -> None:
    (row,) = read("reference_number,market\nA1,moon\n")

    assert problems_of(row) == ["row 2, market: india or world is needed"]


def test_world_address_without_postal_code_gets_a_blank_one() -> None:
    (row,) = read("reference_number,drop_country,drop_postal_code\nA1,AE,\n")

    assert row.order is not None
    assert row.order["drop_info"] == {"country_code": "AE", "postal_code": ""}


def test_field_that_the_market_does_not_have_is_a_problem() -> None:
    (row,) = read("reference_number,drop_country,tin\nA1,AE,T1\n")

    assert problems_of(row) == ["row 2, tin: an order for world has no such field; leave it empty"]


def test_two_columns_for_one_field_may_not_disagree() -> None:
    same, other, item = read(
        "reference_number,drop_pincode,drop_postal_code,item_sku,shipment_details.items.sku\n"
        "A1,110001,110001,S,S\nA2,110001,110002,S,\nA3,,,S,T\n"
    )

    assert same.problems == ()
    assert problems_of(other) == [
        "row 3, drop_postal_code: differs from column drop_pincode; fill in one of the two"
    ]
    assert problems_of(item) == [
        (
            "row 4, shipment_details.items.sku: "
            "differs from another column for the same field; fill in one"
        )
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


def test_note_is_not_sent() -> None:
    (row,) = read("reference_number,note\nA1,call first\n")

    assert row.order == {"shipment_details": {"reference_number": "A1"}}


def test_all_problems_of_an_order_are_reported_together_by_row() -> None:
    (row,) = read(
        "reference_number,weight,drop_phone,item_price\nA1,heavy,9.1E+11,1\nA1,,,cheap\nA1,light,,\n"
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
def test_path_of_the_order_is_located_in_the_file(path: str, row: int, column: str) -> None:
    (order,) = read_orders(
        io.StringIO("reference_number,Why,Price\nA1,torn,5\nA1,torn,\nA1,,6\n"),
        columns={"why": "rvp_reason", "price": "item_price"},
    )

    assert order.locate(path, "no") == RowProblem(row=row, column=column, message="no")


def test_path_of_a_json_order_is_its_own_column() -> None:
    (order,) = read('\n{"drop_info": {}}\n')

    assert order.problems == ()
    assert str(order.locate("drop_info.name", "missing")) == "row 2, drop_info.name: missing"


def test_personal_data_of_a_row_is_not_shown() -> None:
    (row,) = read("reference_number,drop_name\nA1,Asha\n")

    assert "Asha" not in repr(row)


def notes(row: OrderRow) -> list[str]:
    return [str(note) for note in row.notes]


def test_phone_of_the_world_puts_its_dialling_code_into_the_column_for_it() -> None:
    empty, same, other, local = read(
        "reference_number,drop_country,drop_phone,drop_phone_code\n"
        "A1,AE,+971 50 123 4567,\nA2,AE,+971 50 123 4567,971\n"
        "A3,AE,+971 50 123 4567,+91\nA4,AE,050 123 4567,\n"
    )

    assert empty.order is not None
    assert empty.order["drop_info"] == {
        "country_code": "AE",
        "phone": "501234567",
        "phone_code": "+971",
    }
    assert notes(empty) == [
        "row 2, drop_phone: dialling code +971 put into drop_info.phone_code",
        "row 2, drop_phone: +971 50 123 4567 read as 501234567",
    ]
    assert same.problems == ()
    assert problems_of(other) == [
        (
            "row 4, drop_phone: has the dialling code +971, and drop_info.phone_code another; "
            "correct one"
        )
    ]
    assert local.order is not None
    assert local.order["drop_info"] == {"country_code": "AE", "phone": "0501234567"}


def test_phone_that_does_not_exist_has_a_warning() -> None:
    (row,) = read("reference_number,drop_phone\nA1,12\n")

    assert row.order is not None
    assert row.order["drop_info"] == {"drop_phone": "12"}
    assert [str(warning) for warning in row.warnings] == [
        "row 2, drop_phone: does not look like a phone number of IN"
    ]


@pytest.mark.parametrize(
    ("name", "cell", "value"),
    [
        ("drop_pincode", "560 041", "560041"),
        ("drop_pincode", "560-041", "560041"),
        ("order_type", "Cash on Delivery", "COD"),
        ("order_type", "pre-paid", "PREPAID"),
        ("delivery_type", "forward", "FORWARD"),
        ("drop_country", "INDIA", "IN"),
        ("drop_state", "IN-KA", "Karnataka"),
        ("invoice_date", "27/11/2026", "2026-11-27"),
        ("pickup_time", "27-Nov-2026 6:30 PM", "2026-11-27T18:30:00"),
    ],
)
def test_value_with_one_meaning_is_normalised_with_a_note(name: str, cell: str, value: str) -> None:
    (row,) = read(f"reference_number,{name}\nA1,{cell}\n")

    assert row.problems == ()
    assert f"'{value}'" in str(row.order)
    assert notes(row) == [f"row 2, {name}: {cell} read as {value}"]


def test_postal_code_of_the_world_keeps_its_blank() -> None:
    (row,) = read("reference_number,drop_country,drop_postal_code\nA1,GB,SW1A 1AA\n")

    assert row.order is not None
    assert row.order["drop_info"] == {"country_code": "GB", "postal_code": "SW1A 1AA"}


def test_cod_value_of_a_prepaid_order_may_be_blank() -> None:
    prepaid, cod = read("reference_number,order_type,cod_value\nA1,prepaid,\nA2,COD,\n")

    assert prepaid.order == {
        "shipment_details": {"reference_number": "A1", "order_type": "PREPAID", "cod_value": 0}
    }
    assert notes(prepaid)[-1] == "row 2, cod_value: blank read as 0, since the order is PREPAID"
    assert cod.order == {"shipment_details": {"reference_number": "A2", "order_type": "COD"}}


def test_column_that_is_not_used_refuses_nothing() -> None:
    (row,) = read_orders(
        io.StringIO("reference_number,Id,,drop_city\nA1,6.79E+12,#REF!,Pune\n"),
        columns=ColumnMap(ignore_others=True),
    )

    assert (row.problems, row.order is not None) == ((), True)


def test_date_that_is_written_as_the_others_of_the_file_has_a_note(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    path.write_text("reference_number,invoice_date\nA1,03/04/2026\nA2,27/11/2026\n")

    first, _ = read_orders(path)
    (by_format,) = read_orders(
        io.StringIO("reference_number,invoice_date\nA1,03/04/2026\n"), date_format="MM/DD/YYYY"
    )
    (refused,) = read("reference_number,invoice_date\nA1,03/04/2026\n")

    assert notes(first) == [
        (
            "row 2, invoice_date: 03/04/2026 read as 2026-04-03, as the file's other dates are "
            "DD/MM/YYYY"
        )
    ]
    assert "'2026-03-04'" in str(by_format.order)
    assert "could be day/month or month/day" in problems_of(refused)[0]


def test_values_that_a_map_fixes_are_normalised_without_a_note() -> None:
    columns = ColumnMap(fixed={"pickup_phone": "+91 90000 00011", "order_type": "cod"})

    (row,) = read_orders(io.StringIO("reference_number,drop_city\nA1,Pune\n"), columns=columns)

    assert row.order is not None
    assert row.order["pickup_info"] == {"pickup_phone": "9000000011"}
    assert row.notes == ()


def test_notes_and_warnings_are_not_shown_by_a_repr() -> None:
    (row,) = read("reference_number,drop_phone\nA1,+91 98765-43210\n")

    assert row.notes
    assert "98765" not in repr(row)
    assert "98765" not in repr(row.notes)
