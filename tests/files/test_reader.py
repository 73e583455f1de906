import csv
import io
import itertools
import json
import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clickpost_async.files.column_map import ColumnMap
from clickpost_async.files.columns import COLUMNS, Market
from clickpost_async.files.order_rows import OrderRow
from clickpost_async.files.reader import read_orders

HEADER = "reference_number,drop_city,item_sku\n"


def read(text: str) -> list[OrderRow]:
    return list(read_orders(io.StringIO(text)))


def problems_of(rows: Sequence[OrderRow]) -> list[str]:
    return [str(problem) for row in rows for problem in row.problems]


def references(rows: Sequence[OrderRow]) -> list[tuple[int, str | None, bool]]:
    return [(row.number, row.reference, row.order is not None) for row in rows]


class Endless(io.StringIO):
    """A file that never ends and counts the lines taken from it."""

    def __init__(self, header: str, line: str) -> None:
        super().__init__()
        self._lines = itertools.chain([header], map(line.format, itertools.count(1)))
        self.taken = 0

    def readline(self, _size: int = -1, /) -> str:  # type: ignore[override] # as typeshed's own
        self.taken += 1
        return next(self._lines)


def test_orders_come_before_the_file_has_ended() -> None:
    file = Endless(HEADER, "A{},Pune,S\n")

    first = next(read_orders(file))

    assert (first.number, first.reference) == (2, "A1")
    assert file.taken == 3


def test_orders_of_a_path_are_at_hand_and_those_of_an_open_file_are_not(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    path.write_text(HEADER + "A1,Pune,S\n")

    assert read_orders(path).are_at_hand
    assert not read_orders(tmp_path / "missing.csv").are_at_hand
    with path.open() as file:
        assert not read_orders(file).are_at_hand


def test_json_orders_come_before_the_file_has_ended() -> None:
    file = Endless("{}\n", "{{}}\n")

    assert [row.number for row in itertools.islice(read_orders(file), 3)] == [1, 2, 3]
    assert file.taken == 3


@pytest.mark.parametrize("line", ["A{},Pune,S\n", "A1,Pune,S{}\n", '"A{}"x,Pune,S\n', ",Pune,S\n"])
def test_memory_does_not_grow_with_the_file(line: str) -> None:
    rows = read_orders(Endless(HEADER, line))
    if "A1" in line:
        rows = read_orders(io.StringIO(HEADER + line * 8_000))
    tracemalloc.start()
    try:
        for _ in itertools.islice(rows, 8_000):
            pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    # Most of it is a cache of values. Rows that were kept would take some more megabytes.
    assert peak < 2_500_000


def test_rows_are_numbered_as_a_spreadsheet_shows_them() -> None:
    rows = read('reference_number,drop_address\n\nA1,"Flat 1\nHill Road\nMumbai"\n,,\nA2,x\n')

    assert references(rows) == [(3, "A1", True), (5, "A2", True)]


def test_repeated_reference_in_a_stream_is_refused_with_both_rows() -> None:
    rows = read(HEADER + "A1,Pune,S\nA2,Pune,S\nA1,Pune,T\n")

    assert references(rows) == [(2, "A1", True), (3, "A2", True), (4, "A1", False)]
    assert [text.partition(";")[0] for text in problems_of(rows)] == [
        "row 4, reference_number: row 2 has the same reference number"
    ]


def test_same_order_again_has_a_warning() -> None:
    rows = read(
        "reference_number,note,drop_city\nA1,first,Pune\nA2,,Pune\nA1,again,Pune\nA1x,,Pune\n"
    )

    assert [row.problems for row in rows] == [(), (), (), ()]
    assert [[str(warning) for warning in row.warnings] for row in rows] == [
        [],
        [],
        ["row 4, reference_number: row 2 has the same order"],
        [],
    ]


def test_rows_that_differ_in_a_column_that_is_not_used_are_not_the_same_order() -> None:
    columns = ColumnMap(ignore_others=True)
    text = "reference_number,drop_city,unit\nA1,Pune,1\nA2,Pune,2\nA1,Pune,3\n"

    rows = list(read_orders(io.StringIO(text), columns=columns))

    assert references(rows) == [(2, "A1", True), (3, "A2", True), (4, "A1", False)]


@pytest.mark.parametrize("again", ["A1,Pune,S", "A1,Surat,T", "A1,Pune,S\nA1,,T\nA1,,U"])
def test_reference_in_two_places_of_a_file_is_refused_in_both(tmp_path: Path, again: str) -> None:
    path = tmp_path / "orders.csv"
    others = "".join(f"B{number},Pune,S\n" for number in range(200))
    path.write_text(f"{HEADER}A1,Pune,S\nA1,,T\n{others}{again}\n")

    first, *between, last = read_orders(path)

    assert (first.number, first.order, last.number, last.order) == (2, None, 204, None)
    assert "row 204 has the same reference number" in str(first.problems[0])
    assert "row 2 has the same reference number" in str(last.problems[0])
    assert all(row.problems == () for row in between)


def test_json_reference_in_two_places_of_a_file_is_refused_in_both(tmp_path: Path) -> None:
    path = tmp_path / "orders.jsonl"
    orders = [{"shipment_details": {"reference_number": "A1", "weight": n}} for n in (1, 2)]
    path.write_text(f"{json.dumps(orders[0])}\n{{}}\n{json.dumps(orders[1])}\n")

    rows = list(read_orders(path))

    assert [row.order is None for row in rows] == [True, False, True]


def test_repeated_json_order_is_the_same_order(tmp_path: Path) -> None:
    path = tmp_path / "orders.jsonl"
    line = json.dumps({"shipment_details": {"reference_number": "A1", "weight": 1}})
    path.write_text(f"{line}\n{{}}\n{line}\n")

    rows = list(read_orders(path))

    assert [row.problems for row in rows] == [(), (), ()]
    assert "row 1 has the same order" in str(rows[2].warnings[0])


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiter_is_detected_from_the_first_row(delimiter: str) -> None:
    (row,) = read((HEADER + "A1,Pune,S\n").replace(",", delimiter))

    assert row.order == {
        "shipment_details": {"reference_number": "A1", "items": [{"sku": "S"}]},
        "drop_info": {"drop_city": "Pune"},
    }


def test_foreign_column_names_are_translated() -> None:
    (row,) = read_orders(
        io.StringIO("Name,Shipping Zip,Lineitem SKU,Risk Level\n#1001,'110001,S1,Low\n"),
        columns={
            "name": "reference_number",
            "Shipping-Zip": "drop_pincode",
            "Lineitem sku": "item_sku",
            "Risk Level": "note",
        },
    )

    assert row.order == {
        "shipment_details": {"reference_number": "#1001", "items": [{"sku": "S1"}]},
        "drop_info": {"drop_pincode": "110001"},
    }


def test_translation_to_an_unknown_name_is_a_problem_of_the_first_row() -> None:
    rows = list(read_orders(io.StringIO("Name\nA1\n"), columns={"Name": "refrence_number"}))

    assert problems_of(rows) == [
        "row 1, Name: unknown column; did you mean reference_number?",
        "row 1, reference_number: this column is missing; the first row names the columns",
    ]


def test_nothing_is_read_below_a_first_row_that_cannot_be_trusted() -> None:
    rows = read("reference_number,cod_valu,note,note\nA1,5,,\nA2,5,,\n")

    assert references(rows) == [(1, None, False)]
    assert problems_of(rows) == [
        "row 1, cod_valu: unknown column; did you mean cod_value?",
        "row 1, note: columns 3 and 4 have the same name",
    ]


def test_empty_file_misses_its_first_row() -> None:
    assert problems_of(read("")) == [
        "row 1, reference_number: this column is missing; the first row names the columns"
    ]


def test_row_may_end_early_and_may_not_go_on_beyond_the_headings() -> None:
    rows = read(HEADER + "A1,Pune\nA2,Pune,S,\nA3,Pune,S,more\nA4,Pune,S\n")

    assert references(rows) == [
        (2, "A1", True),
        (3, "A2", True),
        (4, "A3", False),
        (5, "A4", True),
    ]
    assert problems_of(rows) == [
        "row 4, column 4: a value in a column without a name; is there a delimiter too many?",
    ]


def test_row_that_ends_early_has_a_note() -> None:
    (row,) = read(HEADER + "A1,Pune\n")

    assert [str(note) for note in row.notes] == [
        "row 2, (whole row): the row has 2 of 3 values; the others are empty"
    ]


def test_row_at_the_end_of_a_file_that_is_cut_off_is_refused() -> None:
    rows = read(HEADER + "A1,Pune,S\nA2,Pu")

    assert references(rows) == [(2, "A1", True), (3, None, False)]
    assert "the file ends in this row, after 2 of 3 values" in problems_of(rows)[0]


def test_row_without_its_empty_values_may_end_a_file_of_such_rows() -> None:
    rows = read(HEADER + "A1,Pune\nA2,Pune")

    assert references(rows) == [(2, "A1", True), (3, "A2", True)]


def test_complete_row_at_the_end_of_a_file_needs_no_line_end() -> None:
    rows = read(HEADER + "A1,Pune,S\nA2,Pune,S")

    assert references(rows) == [(2, "A1", True), (3, "A2", True)]


def test_value_under_a_column_without_a_name_is_a_problem() -> None:
    assert problems_of(read("reference_number,,note\nA1,x,\n")) == [
        "row 2, column 2: a value in a column without a name; is there a delimiter too many?"
    ]


def test_quotation_marks_that_do_not_fit_are_problems_and_the_next_order_is_read() -> None:
    rows = read(HEADER + 'A1,"Pune"x,S\nA2,Pune,S\nA3,"Pune,S\nA4,Pune,S\n')

    assert references(rows) == [(2, None, False), (3, "A2", True), (4, None, False)]
    assert problems_of(rows) == [
        (
            "row 2, (whole row): a quotation mark inside a quoted value has to be doubled; "
            "line 2 was skipped"
        ),
        (
            "row 4, (whole row): a quotation mark is opened and not closed, or a value is too "
            "long; lines 4 to 5 were skipped"
        ),
    ]


def test_open_quotation_mark_does_not_swallow_a_large_file() -> None:
    rows = read(HEADER + 'A1,"Pune,S\n' + "A2,Pune,S\n" * 20_000 + "A3,Pune,S\n")

    assert references(rows)[0] == (2, None, False)
    assert references(rows)[-1][1:] == ("A3", True)


def test_line_break_outside_quotation_marks_is_a_problem() -> None:
    rows = list(read_orders(io.StringIO(HEADER + "A1,Pu\rne,S\n", newline="\n")))

    assert problems_of(rows) == [
        "row 2, (whole row): a line break outside quotation marks; line 2 was skipped"
    ]


def test_order_is_refused_whole_when_a_row_within_it_cannot_be_read() -> None:
    rows = read(HEADER + 'A1,Pune,S\nA1,"x"y,S\nA1,,S\nA2,Pune,S\n')

    assert references(rows) == [(2, "A1", False), (5, "A2", True)]


def test_unreadable_row_between_two_orders_affects_neither() -> None:
    rows = read(HEADER + 'A1,Pune,S\nA1,"x"y,S\nA2,Pune,S\n')

    assert references(rows) == [(2, "A1", True), (3, None, False), (4, "A2", True)]


def test_further_item_without_a_reference_is_an_error_of_its_order() -> None:
    rows = read(HEADER + "A1,Pune,S\n,,T\nA2,Pune,S\n")

    assert references(rows) == [(2, "A1", False), (4, "A2", True)]
    assert problems_of(rows) == [
        "row 3, reference_number: missing; further items of an order repeat its reference"
    ]


def test_row_without_a_reference_is_one_problem() -> None:
    rows = read(HEADER + "A1,Pune,S\n,Surat,T\n")

    assert references(rows) == [(2, "A1", True), (3, None, False)]
    assert problems_of(rows) == [
        (
            "row 3, reference_number: missing; every order needs one, "
            "and totals and remarks have to be removed"
        )
    ]


def test_order_has_a_bounded_number_of_rows() -> None:
    (row,) = read(HEADER + "A1,Pune,S\n" * 1001)

    assert (row.number, row.last, row.order) == (2, 1002, None)
    assert [problem.message for problem in row.problems] == ["an order has at most 1000 rows"]


@pytest.mark.parametrize(
    ("plain", "damaged"), [("1", "1.0"), ("A1", "'A1"), ("A1", " A1\xa0"), ("9E+11", "9E+11")]
)
def test_damaged_references_still_belong_together(plain: str, damaged: str) -> None:
    (row,) = read(f"{HEADER}{plain},Pune,S\n{damaged},,T\n")

    assert (row.reference, row.last) == (plain, 3)


def test_json_lines_keep_the_order_as_it_is() -> None:
    india = {
        "pickup_info": {"pickup_pincode": "110001"},
        "shipment_details": {"reference_number": "A1", "items": [{"price": 1.5}]},
    }
    world = {"drop_info": {"country_code": "AE"}, "shipment_details": {"reference_number": []}}

    rows = read(f"{json.dumps(india)}\n\n{json.dumps(world)}\n")

    assert [(row.number, row.market, row.reference, row.order) for row in rows] == [
        (1, Market.INDIA, "A1", india),
        (3, Market.WORLD, None, world),
    ]


def test_json_numbers_are_read_as_text_where_codes_are_text() -> None:
    order = {
        "pickup_info": {"pickup_pincode": 110001, "pickup_lat": 12, "pickup_phone": 9000000011},
        "shipment_details": {"reference_number": 7, "weight": 500, "items": [{"sku": 9}]},
    }

    (row,) = read(json.dumps(order) + "\n")

    assert row.reference == "7"
    assert row.order == {
        "pickup_info": {
            "pickup_pincode": "110001",
            "pickup_lat": 12,
            "pickup_phone": "9000000011",
        },
        "shipment_details": {"reference_number": "7", "weight": 500, "items": [{"sku": 9}]},
    }
    assert [str(note) for note in row.notes] == [
        "row 1, pickup_info.pickup_pincode: the number 110001 read as text",
        "row 1, pickup_info.pickup_phone: the number 9000000011 read as text",
        "row 1, shipment_details.reference_number: the number 7 read as text",
    ]


def test_json_order_without_a_postcode_or_country_is_taken_for_indian() -> None:
    (row,) = read('{"pickup_info": {"pickup_name": "x"}, "drop_info": null}\n')

    assert row.market is Market.INDIA


def test_file_opened_with_the_wrong_encoding_ends_in_a_problem() -> None:
    file = io.TextIOWrapper(io.BytesIO(f"{HEADER}A1,Pune,S\nA2,Köln,S\n".encode()), "ascii")

    rows = list(read_orders(file))

    assert [row.order is None for row in rows][-1]
    assert "not ascii, reading stopped" in problems_of(rows)[-1]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"a": 1,}', "not JSON at character"),
        ("[]", "every line has to be one order: a JSON object in braces"),
        ('{"a": NaN}', "not JSON: NaN is not a number"),
        ('{"a": 1e999}', "not JSON: a number is too large"),
        ('{"a": ' + "9" * 5000 + "}", "not JSON: "),
        ('{"a":' * 100_000, "objects are nested too deeply"),
        ('{"a": 1, "b": 2, "a": 3}', "a is in it twice; remove one of the two"),
        ('{"s": {"weight": 1, "weight": 1}}', "weight is in it twice; remove one of the two"),
        ('{"a": 1},', "a comma after the object; JSON Lines has none between its lines"),
        ('{"a": 1}{"a": 2}', "two values on one line; write each order on a line of its own"),
        (
            '{"reference_number": "T-1", "drop_city": "Pune", "weight": 500}',
            (
                "columns of a table; write the table as CSV, or the fields in pickup_info,"
                " drop_info and shipment_details, as ClickPost documents them"
            ),
        ),
        ('[{"a": 1}]', "a list: write each order on a line of its own, as jq -c '.[]' does"),
    ],
)
def test_bad_json_is_a_problem_and_the_next_order_is_read(line: str, message: str) -> None:
    bad, good = read_orders(io.StringIO(f"{line}\n{{}}\n"), format="jsonl")

    assert (bad.number, bad.order, good.number, good.order) == (1, None, 2, {})
    assert bad.problems[0].message.startswith(message)


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("kind", [list, dict])
@pytest.mark.parametrize("name", ["orders.jsonl", "orders.json"])
def test_json_over_several_lines_is_refused_as_a_whole(
    name: str, kind: type, indent: int | None, tmp_path: Path
) -> None:
    orders = [{"shipment_details": {"reference_number": f"R-{n}"}} for n in range(3)]
    if kind is dict:
        text = json.dumps(orders[0], indent=1)
    elif indent:
        text = json.dumps(orders, indent=indent)
    else:
        text = "[\n{}\n]\n".format(",\n".join(map(json.dumps, orders)))
    path = tmp_path / name
    path.write_text(text)

    (row,) = read_orders(path)

    assert (row.order, row.is_heading) == (None, True)
    assert "jq -c" in str(row.problems[0])


@pytest.mark.parametrize("reference", [1001.5, 7, 7.0])
def test_json_reference_number_is_the_text_that_is_sent(reference: float) -> None:
    (row,) = read(json.dumps({"shipment_details": {"reference_number": reference}}) + "\n")

    sent = "1001.5" if reference == 1001.5 else "7"
    assert row.reference == sent
    assert row.order == {"shipment_details": {"reference_number": sent}}


@pytest.mark.parametrize("number", ["1.2345678901234567e17", "1e16", "9007199254740993.0"])
def test_json_code_with_rounded_digits_is_refused(number: str) -> None:
    (row,) = read(f'{{"shipment_details": {{"reference_number": {number}}}}}\n')

    assert row.order is None
    assert str(row.problems[0]).startswith(
        "row 1, shipment_details.reference_number: a number whose last digits are lost"
    )


def test_json_code_of_any_length_is_read_if_its_digits_are_written() -> None:
    (row,) = read('{"shipment_details": {"reference_number": 12345678901234567890}}\n')

    assert row.reference == "12345678901234567890"


@pytest.mark.parametrize("text", ["NULL", "nan", "#REF!", "undefined", "-", "???"])
def test_json_text_that_is_no_value_gets_a_warning(text: str) -> None:
    order = {"drop_info": {"drop_name": text}, "shipment_details": {"reference_number": "A1"}}

    (row,) = read(json.dumps(order) + "\n")

    assert row.order == order
    (warning,) = map(str, row.warnings)
    assert warning.startswith("row 1, drop_info.drop_name: ")


@pytest.mark.parametrize("name", ["orders.jsonl", "ORDERS.NDJSON"])
def test_file_name_decides_its_format(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text("reference_number\n")

    (row,) = read_orders(path)

    assert row.problems[0].message.startswith("not JSON at character 1")


def test_unknown_format_is_refused_at_once() -> None:
    kind: Any = "xml"

    with pytest.raises(ValueError, match="format must be one of csv, jsonl, xlsx; got 'xml'"):
        read_orders("orders.xml", format=kind)


def test_reading_may_end_early_after_the_file_was_closed(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    path.write_text(HEADER + "A1,Pune,S\nA2,Pune,S\n")
    with path.open("rb") as file:
        rows = read_orders(file)
        next(rows)

    rows.close()

    assert not list(rows)


def test_path_may_be_text_and_the_file_is_closed_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    path.write_bytes((HEADER + "A1,Köln,S\n").encode("cp1252"))

    (row,) = read_orders(str(path))

    assert row.order is not None
    assert row.order["drop_info"] == {"drop_city": "Köln"}


def test_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        next(read_orders(tmp_path / "none.csv"))


NAMES = st.sampled_from([*COLUMNS, "additional.x", "shipment_details.items.x", "", "nonsense"])
CELLS = st.one_of(
    st.sampled_from(["", "A1", "A2", "1.0", "9.1E+11", "IN", "AE", "yes", '"', "\x00", "\r"]),
    st.text(max_size=8),
)


def sound(rows: Iterator[OrderRow]) -> None:
    last = 0
    for row in rows:
        assert last < row.number <= row.last
        assert (row.order is None) == bool(row.problems)
        for problem in row.problems:
            assert row.number <= problem.row <= row.last
            assert problem.column
            assert problem.message
        last = row.number


@given(content=st.binary(max_size=400))
@settings(deadline=None)
def test_any_bytes_yield_rows_and_problems(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(content)

    sound(read_orders(path))


@given(text=st.text(max_size=400), kind=st.sampled_from(["csv", "jsonl", None]))
def test_any_text_yields_rows_and_problems(text: str, kind: Literal["csv", "jsonl"] | None) -> None:
    sound(read_orders(io.StringIO(text, newline=""), format=kind))


@given(text=st.text(alphabet='A1,"\n\r;x\x00', max_size=80))
def test_any_rows_below_a_good_header_yield_rows_and_problems(text: str) -> None:
    sound(read_orders(io.StringIO(HEADER + text, newline="")))


@given(
    names=st.lists(NAMES, max_size=8),
    table=st.lists(st.lists(CELLS, max_size=9), max_size=6),
)
def test_any_table_yields_rows_and_problems(names: list[str], table: list[list[str]]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([["reference_number", *names], *table])
    text.seek(0)

    sound(read_orders(text))


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "sku": st.text(alphabet="abc ÄÖ,;\"\n'", min_size=1).map(lambda text: f"x{text}x"),
                "price": st.integers(0, 10**6),
            }
        ),
        min_size=1,
        max_size=5,
    )
)
def test_items_survive_being_written_and_read(items: list[dict[str, object]]) -> None:
    text = io.StringIO(newline="")
    table = csv.writer(text)
    table.writerow(["reference_number", "item_sku", "item_price"])
    table.writerows(["A1", item["sku"], item["price"]] for item in items)
    text.seek(0)

    (row,) = read_orders(text)

    assert row.order == {"shipment_details": {"reference_number": "A1", "items": items}}
