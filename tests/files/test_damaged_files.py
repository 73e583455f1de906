"""Files as spreadsheets and shops export them: read, or refused with advice."""

import datetime as dt
import io
import zipfile
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook

from clickpost_async.bulk import OrderReader, read_orders
from clickpost_async.files.cells import BadCellError, CellContext, CellKind, read_cell
from clickpost_async.files.references import ReferenceIndex
from clickpost_async.files.xlsx import sheet_rows

TABLE = "reference_number,drop_name,weight\nA1,Asha,500\nA2,Ravi,500\n"


def all_lines(reader: OrderReader) -> list[str]:
    found: list[str] = []
    for row in reader:
        found += map(str, (*row.problems, *row.warnings, *row.notes))
    return found


def book(**sheets: list[list[Any]]) -> io.BytesIO:
    whole = Workbook()
    whole.remove(whole.worksheets[0])
    for name, rows in sheets.items():
        sheet = whole.create_sheet(name)
        for row in rows:
            sheet.append(row)
    file = io.BytesIO()
    whole.save(file)
    file.seek(0)
    return file


def archive(**members: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        for name, text in members.items():
            packed.writestr(name.replace("__", "/"), text)
    return file.getvalue()


# --- the file as a whole --------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16", "utf-8-sig"])
def test_encoding_is_detected_with_and_without_byte_order_mark(encoding: str) -> None:
    reader = read_orders(io.BytesIO(TABLE.replace("Asha", "आशा").encode(encoding)))

    assert all_lines(reader) == []
    assert str(reader.counts) == "2 rows: 2 orders"


def test_line_read_as_windows_1252_has_a_note() -> None:
    reader = read_orders(io.BytesIO(TABLE.replace("Ravi", "José").encode("cp1252")))

    assert all_lines(reader) == [
        "row 3, (whole row): not UTF-8, decoded as Windows-1252; check its letters"
    ]


def test_damaged_utf8_is_refused_and_not_read_as_windows_1252() -> None:
    content = TABLE.replace("Ravi", "आशा").encode().replace("शा".encode(), "शा".encode()[:-1])
    reader = read_orders(io.BytesIO(content))

    assert [line.partition(";")[0] for line in all_lines(reader)] == [
        "row 3, drop_name: holds a character that could not be decoded"
    ]


@pytest.mark.parametrize("name", ["orders.csv", "orders.xlsx", "orders"])
def test_contents_count_and_not_the_name(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    for content in (TABLE.encode(), book(orders=[["reference_number"], ["A1"]]).getvalue()):
        path.write_bytes(content)

        assert next(iter(read_orders(path))).reference == "A1"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "the file is empty; export it again"),
        (b"\xef\xbb\xbf<table border=1>", "HTML or XML"),
        (archive(mimetype="application/vnd.oasis.opendocument.spreadsheet"), "OpenDocument"),
        (archive(orders=TABLE), "a zip archive, not a workbook; unpack it first"),
        (archive(xl__workbook_bin="").replace(b"k_b", b"k.b"), "an .xlsb workbook"),
    ],
)
@pytest.mark.parametrize("name", ["orders.csv", "orders.xlsx"])
def test_file_without_a_table_is_refused_in_one_sentence(
    content: bytes, what: str, name: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(content)

    (row,) = read_orders(path)

    assert row.is_heading
    assert what in str(row.problems[0])


def test_empty_json_lines_have_no_orders(tmp_path: Path) -> None:
    path = tmp_path / "orders.jsonl"
    path.touch()

    assert list(read_orders(path)) == []


@pytest.mark.parametrize("is_changed", [True, False])
def test_file_that_is_written_to_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_changed: bool
) -> None:
    path = tmp_path / "orders.csv"
    path.write_text(TABLE, "utf-8")
    add = ReferenceIndex.add

    def write(index: ReferenceIndex, *row: Any) -> None:
        add(index, *row)
        if is_changed:
            with path.open("a", encoding="utf-8") as file:
                file.write("A3,Sita,500\n")

    monkeypatch.setattr(ReferenceIndex, "add", write)

    rows = list(islice(read_orders(path), 3))

    assert rows[0].is_heading is is_changed
    assert [problem.message for problem in rows[0].problems] == (
        ["the file was written to while it was read; run it when complete"] if is_changed else []
    )


# --- sheets and headings --------------------------------------------------------------------------

ORDERS = [["reference_number", "drop_name"], ["A1", "Asha"]]


def test_two_sheets_with_orders_are_refused_until_one_is_chosen() -> None:
    (row,) = read_orders(book(today=ORDERS, archive=ORDERS))
    (chosen,) = read_orders(book(today=ORDERS, archive=ORDERS), sheet="archive")

    assert str(row.problems[0]) == (
        "row 1, (whole row): the sheets today, archive hold orders: pass sheet=… for one of them"
    )
    assert chosen.reference == "A1"


def test_two_sheets_with_orders_are_refused_by_path_too(tmp_path: Path) -> None:
    path = tmp_path / "orders.xlsx"
    path.write_bytes(book(today=ORDERS, archive=ORDERS).getvalue())

    (row,) = read_orders(path)

    assert row.is_heading


def test_other_sheets_without_orders_are_ignored() -> None:
    columns = [["column", "required"], ["reference_number", "yes"]]
    reader = read_orders(book(orders=ORDERS, columns=columns, empty=ORDERS[:1]))

    assert [row.reference for row in reader] == ["A1"]


def test_headings_again_are_skipped_and_counted() -> None:
    reader = read_orders(io.StringIO(TABLE + TABLE.replace("A", "B")))

    assert [row.reference for row in reader] == ["A1", "A2", "B1", "B2"]
    assert str(reader.counts) == "5 rows: 4 orders, 1 skipped (names of the columns again 1)"


def test_file_without_headings_is_one_sentence() -> None:
    (row,) = read_orders(io.StringIO("A1,Asha,500\nA2,Ravi,500\n"))

    assert [problem.message for problem in row.problems] == [
        (
            "no cell of it is the name of a known column (A1, Asha, 500); "
            "the row above the orders has to name the columns"
        )
    ]


def test_unknown_delimiter_is_named() -> None:
    (row,) = read_orders(io.StringIO(TABLE.replace(",", "~").replace("~weight", "~weight~note")))

    assert str(row.problems[-1]).endswith(
        "the columns seem to be separated by ~: add a first line sep=~"
    )


# --- rows -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("total", ["Total,,1000", "grand total,,1000", ",,1000", ",Total,1000"])
def test_row_of_totals_is_one_problem(total: str) -> None:
    reader = read_orders(io.StringIO(f"{TABLE}{total}\n"))

    (line,) = all_lines(reader)

    assert "row 4" in line
    assert "totals" in line
    assert str(reader.counts) == "3 rows: 2 orders, 1 rejected"


def test_identical_rows_of_an_order_are_a_warning() -> None:
    reader = read_orders(io.StringIO("reference_number,item_sku\nA1,S\nA1,S\nA1,T\n"))

    assert all_lines(reader) == [
        "row 3, (whole row): the same as row 2; both are read as rows of this order"
    ]


# --- cells ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "kind", "value"),
    [
        ("\u202a9876543210\u202c", CellKind.PHONE, "9876543210"),
        ("SHOP\u200b-1", CellKind.CODE, "SHOP-1"),
        ("A\u00a01", CellKind.CODE, "A 1"),
        ("५६००४१", CellKind.POSTCODE, "560041"),
        ("５６００４１", CellKind.POSTCODE, "560041"),
        ("1 499", CellKind.NUMBER, 1499),
        ("1\u00a0499.50", CellKind.NUMBER, 1499.5),
        ("20261127", CellKind.DATE, "2026-11-27"),
    ],
)
def test_value_with_one_meaning_is_read_with_a_note(
    cell: str, kind: CellKind, value: object
) -> None:
    context = CellContext(today=dt.date(2026, 11, 27))

    assert read_cell(cell, kind, context) == value
    assert context.notes


def test_line_break_inside_a_code_is_kept() -> None:
    assert read_cell("x\nÄ", CellKind.CODE) == "x\nÄ"


def test_code_of_invisible_characters_is_empty() -> None:
    assert read_cell("\u2066\u2069", CellKind.CODE) is None


@pytest.mark.parametrize(
    ("cell", "warning"),
    [
        ("JosÃ© PeÃ±a", "looks like José Peña saved in a wrong encoding"),
        ("Rao &amp; Sons", "holds HTML (&amp;)"),
        ("12 A Road<br>Jayanagar", "holds HTML (<br>)"),
    ],
)
def test_text_that_is_likely_wrong_has_a_warning(cell: str, warning: str) -> None:
    context = CellContext()

    assert read_cell(cell, CellKind.TEXT, context) == cell
    assert warning in context.warnings[0]


@pytest.mark.parametrize("cell", ["José Peña", "Rao & Sons", "a < b", "आशा", "R&D; Labs"])
def test_text_that_is_fine_has_no_warning(cell: str) -> None:
    context = CellContext()

    assert read_cell(cell, CellKind.TEXT, context) == cell
    assert context.warnings == []


def test_value_of_a_column_that_was_too_narrow_is_refused() -> None:
    with pytest.raises(BadCellError, match="too narrow"):
        read_cell("########", CellKind.TEXT)


# --- passes ---------------------------------------------------------------------------------------


def test_total_is_known_with_the_first_order(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    path.write_text(f"{TABLE}A3,Sita,heavy\n", "utf-8")
    reader = read_orders(path)
    before = reader.total

    next(reader)

    assert (before, reader.total) == (None, 3)
    assert len(list(reader)) == 2


def test_total_counts_the_chosen_orders(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    path.write_text(TABLE, "utf-8")
    reader = read_orders(path)
    reader.is_counted = lambda order: order.reference == "A2"

    assert len(list(reader)) == 2
    assert reader.total == 1


def test_total_of_a_stream_is_not_known() -> None:
    reader = read_orders(io.StringIO(TABLE))

    assert len(list(reader)) == 2
    assert reader.total is None


def test_workbook_is_parsed_once_for_both_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "orders.xlsx"
    path.write_bytes(book(orders=[*ORDERS, ["A2", "आशा\x85\n"], [], ["A3"]]).getvalue())
    parsed: list[object] = []

    def parse(file: Any, sheet: Any = None) -> Any:
        parsed.append(sheet)
        return sheet_rows(file, sheet)

    monkeypatch.setattr("clickpost_async.files.file_pass.sheet_rows", parse)
    with path.open("rb") as file:
        by_stream = list(read_orders(file))
    by_path = list(read_orders(path))

    assert by_path == by_stream
    assert [row.number for row in by_path] == [2, 3, 5]
    assert len(parsed) == 2


def test_damaged_sheet_is_refused_in_both_passes(tmp_path: Path) -> None:
    path = tmp_path / "orders.xlsx"
    whole = io.BytesIO(book(orders=[*ORDERS, ["A2"]]).getvalue())
    with zipfile.ZipFile(whole) as read, zipfile.ZipFile(path, "w") as written:
        for part in read.namelist():
            content = read.read(part)
            if part.endswith("sheet1.xml"):
                content = content.replace(b"</sheetData>", b"<row><c></row>")
            written.writestr(part, content)

    rows = list(read_orders(path))

    assert "damaged" in str(rows[-1].problems[0])
