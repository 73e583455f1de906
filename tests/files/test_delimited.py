"""Quotation marks, delimiters and settings of delimited files."""

import csv
import io
import os
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from clickpost_async.files.order_rows import OrderRow
from clickpost_async.files.reader import read_orders

NAMES = ["reference_number", "drop_name", "drop_address", "drop_city", "item_description"]


def read(text: str) -> list[OrderRow]:
    return list(read_orders(io.StringIO(text, newline="")))


def table(delimiter: str, *rows: list[str]) -> str:
    return "".join(delimiter.join(row) + "\r\n" for row in [NAMES, *rows])


def description(row: OrderRow) -> object:
    assert row.order is not None
    shipment = row.order["shipment_details"]
    assert isinstance(shipment, dict)
    return shipment["items"][0]["description"]


def problems_of(rows: list[OrderRow]) -> list[str]:
    return [str(problem) for row in rows for problem in row.problems]


@pytest.mark.parametrize("item", ['"Sale! lamp', '"Om" sticker', '24" monitor', '"Om"', '5" x 7"'])
def test_tab_separated_file_without_quoting_keeps_its_quotation_marks(item: str) -> None:
    rows = read(
        table(
            "\t",
            ["A1", "Anu", "7 Road", "Pune", item],
            ["A2", "Dev", "99 Lake", "Nagpur", 'Monitor 24"'],
            ["A3", "Esha", "7 Road", "Pune", "Pen"],
        )
    )

    assert [(row.reference, row.problems) for row in rows] == [("A1", ()), ("A2", ()), ("A3", ())]
    assert [description(row) for row in rows] == [item, 'Monitor 24"', "Pen"]


@pytest.mark.parametrize(
    "quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC], ids=str
)
@pytest.mark.parametrize("value", ['a "b"', "a\tb", "Hill Road\r\nPune", '"a"', "a, b"])
def test_tab_separated_file_with_quoting_is_read_as_it_was_written(
    quoting: int, value: str
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter="\t", quoting=quoting)  # type: ignore[arg-type]
    writer.writerows([NAMES, ["A1", "Anu", value, "Pune", value], ["A2", "B", "C", "D", "E"]])

    rows = read(text.getvalue())

    assert [row.problems for row in rows] == [(), ()]
    assert description(rows[0]) == value


@pytest.mark.parametrize("value", ["x\ny", 'say\n"x"', "x\n\ny"])
def test_value_with_line_breaks_at_the_end_of_a_tab_separated_row_is_read(value: str) -> None:
    text = io.StringIO(newline="")
    row = ["A1", "Anu", "7 Road", "Pune", value]
    csv.writer(text, delimiter="\t").writerows([NAMES, row, ["A2", *row[1:]]])

    first, second = read(text.getvalue())

    assert (description(first), description(second)) == (value, value)


def test_value_that_opens_a_quotation_mark_at_the_end_of_a_row_is_read() -> None:
    row = ["Anu", "7 Road", "Pune", '"Sale! lamp']

    first, second = read(table("\t", ["A1", *row], ["A2", *row]))

    assert (description(first), description(second)) == ('"Sale! lamp', '"Sale! lamp')


def test_quotation_mark_that_swallows_a_row_of_a_csv_file_is_refused() -> None:
    rows = read(
        table(
            ",",
            ["A1", "Anu", "7 Road", "Pune", "Pen"],
            ["A2", "Bala", '"7 Road', "Pune", "Lamp"],
            ["A3", "Dev", '99 Lake"', "Nagpur", "Fan"],
            ["A4", "Esha", "7 Road", "Pune", "Pen"],
        )
    )

    assert [(row.reference, row.order is not None) for row in rows] == [
        ("A1", True),
        (None, False),
        ("A4", True),
    ]
    assert rows[1].row_count == 2
    assert "a quoted value has a line break and as many delimiters as a row" in problems_of(rows)[0]
    assert "lines 3 to 4 were skipped" in problems_of(rows)[0]


def test_quotation_mark_that_is_not_closed_before_the_next_row_is_refused() -> None:
    text = table("\t", ["A2", "Dev", "99 Lake", "Nagpur", "Fan"], ["A3", "E", "7", "P", "Pen"])
    text = text.replace("A2", 'A1\tAnu\t"7 Road\r\nA2')

    rows = read(text)

    assert [(row.reference, row.row_count, bool(row.problems)) for row in rows] == [
        (None, 2, True),
        ("A3", 1, False),
    ]


def test_quoted_value_with_line_breaks_and_commas_is_read() -> None:
    (row,) = read(table(",", ["A1", "Anu", '"12, Hill Road,\r\nJayanagar, Pune"', "Pune", "Pen"]))

    assert row.problems == ()


@pytest.mark.parametrize("line", ["sep=;\r\n", '"sep=;"\r\n', "SEP=;\n"])
def test_line_that_names_the_delimiter_is_a_setting_and_no_row(line: str) -> None:
    (row,) = read(line + "reference_number;weight\nA1;1,5\n")

    assert row.order == {"shipment_details": {"reference_number": "A1", "weight": 1.5}}
    assert row.number == 2


def test_delimiter_is_that_of_the_headings_whatever_their_names_contain() -> None:
    columns = {"Name, Shipping, City": "drop_city"}
    text = 'reference_number;"Name, Shipping, City"\nA1;Pune\n'

    (row,) = read_orders(io.StringIO(text), columns=columns)

    assert row.order is not None
    assert row.order["drop_info"] == {"drop_city": "Pune"}


def test_headings_of_a_csv_file_may_stand_below_a_title() -> None:
    text = "Orders of today\n\nreference_number,drop_city\nA1,Pune\n"

    (refused,) = read(text)
    (row,) = read_orders(io.StringIO(text), header_row=3)

    assert refused.is_heading
    assert "row 3 seems to hold the headings: pass header_row=3" in problems_of([refused])[-1]
    assert (row.number, row.reference) == (4, "A1")


def test_missing_header_row_is_refused() -> None:
    (row,) = read_orders(io.StringIO("reference_number\nA1\n"), header_row=9)

    assert row.is_heading
    with pytest.raises(ValueError, match="rows are counted from 1"):
        read_orders(io.StringIO(""), header_row=0)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500), "an old .xls workbook"),
        (b"\x1f\x8b\x08\x00abc", "compressed; unpack it first"),
        (b"%PDF-1.7\n", "a PDF"),
        (b"\n<html><table>", "HTML or XML"),
        (b"reference\x00number\n", "not text"),
    ],
)
@pytest.mark.parametrize("name", ["orders.csv", "orders.xlsx", "orders"])
def test_file_of_another_kind_is_refused_in_a_sentence(
    content: bytes, what: str, name: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(content)

    (row,) = read_orders(path)

    assert row.is_heading
    assert what in problems_of([row])[0]
    assert problems_of([row])[0].isprintable()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("is_opened", [False, True])
def test_pipe_is_read_to_its_end_before_its_first_order(is_opened: bool, tmp_path: Path) -> None:
    pipe = tmp_path / "orders"
    os.mkfifo(pipe)
    text = "reference_number,drop_city\nA1,Pune\nA2,Pune\nA1,Surat\n"
    writer = threading.Thread(target=pipe.write_text, args=(text,))
    writer.start()
    try:
        with ExitStack() as opened:
            source = opened.enter_context(pipe.open("rb")) if is_opened else pipe
            reader = read_orders(source)
            rows = list(reader)
    finally:
        writer.join()

    # The first of two orders with one reference number is refused, as in a file.
    assert [(row.reference, row.order is None) for row in rows] == [
        *(("A1", True), ("A2", False), ("A1", True)),
    ]
    assert reader.total == 3
