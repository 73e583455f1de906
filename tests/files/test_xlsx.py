"""Orders of a workbook."""

import datetime as dt
import io
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook

from clickpost_async.bulk import OrderRow, read_orders
from clickpost_async.files.xlsx import sheet_rows

# A workbook knows no time zones.
DAY = dt.datetime(2026, 11, 23)  # noqa: DTZ001


def workbook(*rows: list[Any], hidden: bool = False) -> io.BytesIO:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for row in rows:
        sheet.append(row)
    if hidden:
        shown = book.create_sheet("shown")
        shown.append(["reference_number"])
        shown.append(["SHOWN-1"])
        sheet.sheet_state = "hidden"
    file = io.BytesIO()
    book.save(file)
    file.seek(0)
    return file


@pytest.fixture(params=["python_calamine", "openpyxl"], autouse=True)
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "openpyxl":
        # None makes the import fail, as where it is not installed.
        monkeypatch.setitem(sys.modules, "python_calamine", None)
    else:
        pytest.importorskip(request.param)
    return str(request.param)


def edited(file: io.BytesIO, old: str, new: str) -> io.BytesIO:
    """Change the XML of the first sheet, as another program would have written it."""
    changed = io.BytesIO()
    with zipfile.ZipFile(file) as packed, zipfile.ZipFile(changed, "w") as target:
        for name in packed.namelist():
            content = packed.read(name)
            if name == "xl/worksheets/sheet1.xml":
                assert old.encode() in content
                content = content.replace(old.encode(), new.encode())
            target.writestr(name, content)
    changed.seek(0)
    return changed


def problems(*rows: OrderRow) -> list[str]:
    return [str(problem) for row in rows for problem in row.problems]


@pytest.mark.parametrize("dimension", ["A1", "A1:A2", "B2:C2", "A1:XFD1048576", ""])
def test_sheet_is_read_whole_whatever_dimension_it_claims(dimension: str) -> None:
    file = workbook(
        ["reference_number", "note", "weight"], *([f"X-{n}", "", 500] for n in range(5))
    )
    claim = f'<dimension ref="{dimension}"/>' if dimension else ""

    rows = list(read_orders(edited(file, '<dimension ref="A1:C6" />', claim)))

    assert [(row.number, row.reference) for row in rows] == [(n + 2, f"X-{n}") for n in range(5)]
    assert {str(row.order) for row in rows} == {
        str({"shipment_details": {"reference_number": f"X-{n}", "weight": 500}}) for n in range(5)
    }


def test_cells_with_errors_are_refused_with_row_and_column() -> None:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["reference_number", "drop_city", "weight"])
    sheet.append(["X-1", "#REF!", 500])
    sheet.append(["X-2", "Pune", "#DIV/0!"])
    for place in ("B2", "C3"):
        sheet[place].data_type = "e"
    file = io.BytesIO()
    book.save(file)
    file.seek(0)

    assert [text.partition(";")[0] for text in problems(*read_orders(file))] == [
        "row 2, drop_city: holds the spreadsheet error #REF!",
        "row 3, weight: holds the spreadsheet error #DIV/0!",
    ]


def test_formula_that_was_never_calculated_is_refused() -> None:
    file = workbook(["reference_number", "drop_landmark"], ["X-1", '=CONCATENATE("a","b")'])

    assert [text.partition(";")[0] for text in problems(*read_orders(file))] == [
        "row 2, drop_landmark: a formula without a value"
    ]


def test_rows_of_formulas_that_were_never_calculated_do_not_vanish() -> None:
    formulas = [["=Data!A2", "=Data!B2"], ["=Data!A3", "=Data!B3"]]
    rows = list(read_orders(workbook(["reference_number", "drop_landmark"], *formulas)))

    assert [row.number for row in rows] == [2, 3]
    assert all("a formula without a value" in problem for problem in problems(*rows))


def test_formula_of_a_total_that_was_never_calculated_is_accounted_for() -> None:
    file = workbook(["reference_number", "weight"], ["X-1", 500], [None, "=SUM(B2:B2)"])
    reader = read_orders(file)
    rows = list(reader)

    assert [(row.number, row.order is None) for row in rows] == [(2, False), (3, True)]
    assert str(reader.counts) == "2 rows: 1 order, 1 rejected"


def test_formula_with_a_value_is_read_as_its_value() -> None:
    file = workbook(["reference_number", "drop_landmark", "weight"], ["X-1", '=""', "=250*2"])
    file = edited(file, '<c r="B2"><f>""</f><v /></c>', '<c r="B2" t="str"><f>""</f><v></v></c>')
    file = edited(file, "<f>250*2</f><v />", "<f>250*2</f><v>500</v>")

    (row,) = read_orders(file)

    assert row.order == {"shipment_details": {"reference_number": "X-1", "weight": 500}}


@pytest.mark.parametrize("number", [10**15, 123456789012345678, 1.234567890123457e17])
def test_number_of_16_digits_is_refused(number: float) -> None:
    rows = list(read_orders(workbook(["reference_number", "note"], [number], [number])))

    assert [text.partition(",")[0] for text in problems(*rows)] == ["row 2", "row 3"]
    assert "16 digits and more" in problems(*rows)[0]


def test_number_of_15_digits_is_read() -> None:
    (row,) = read_orders(workbook(["reference_number"], [123456789012345]))

    assert row.reference == "123456789012345"


def test_escaped_characters_are_restored() -> None:
    file = workbook(["reference_number", "drop_address"], ["X-1", "4th Cross_x000D_\nJayanagar"])

    (row,) = read_orders(file)

    assert row.order is not None
    assert row.order["drop_info"] == {"drop_address": "4th Cross\r\nJayanagar"}


def test_rows_that_are_hidden_are_read_with_a_warning() -> None:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (["reference_number"], ["X-1"], ["X-2"]):
        sheet.append(row)
    sheet.row_dimensions[3].hidden = True
    file = io.BytesIO()
    book.save(file)
    file.seek(0)

    shown, hidden = read_orders(file)

    assert (shown.warnings, hidden.reference) == ((), "X-2")
    assert [str(warning) for warning in hidden.warnings] == [
        "row 3, (whole row): hidden in the spreadsheet, as by a filter, but read as well"
    ]


def two_sheets(heading: str = "reference_number") -> io.BytesIO:
    book = Workbook()
    first = book.active
    assert first is not None
    first.title = "Instructions"
    first.append(["How to fill"])
    second = book.create_sheet("Orders 1")
    second.append([heading])
    second.append(["X-1"])
    file = io.BytesIO()
    book.save(file)
    file.seek(0)
    return file


@pytest.mark.parametrize("sheet", ["Orders 1", "orders 1 ", 2])
def test_sheet_is_chosen_by_its_name_or_number(sheet: str | int) -> None:
    (row,) = read_orders(two_sheets(), sheet=sheet)

    assert row.reference == "X-1"


@pytest.mark.parametrize("sheet", ["Order", 3, 0])
def test_missing_sheet_is_refused_listing_the_existing_ones(sheet: str | int) -> None:
    (row,) = read_orders(two_sheets(), sheet=sheet)

    assert row.is_heading
    assert f"no sheet {sheet}; its sheets are: Instructions, Orders 1" in problems(row)[0]


@pytest.mark.parametrize(
    ("heading", "message"),
    [
        ("reference_number", "the sheet Orders 1 seems to hold the orders: pass sheet=…"),
        ("Order", "the workbook has the sheets Instructions, Orders 1: pass sheet=…"),
    ],
)
def test_invalid_headings_are_refused_naming_the_other_sheets(heading: str, message: str) -> None:
    (row,) = read_orders(two_sheets(heading))

    assert row.is_heading
    assert message in problems(row)[-1]


def test_headings_may_stand_below_a_title() -> None:
    file = workbook(["Bulk orders"], [], ["reference_number"], ["X-1"])

    (refused,) = read_orders(file)
    file.seek(0)
    (row,) = read_orders(file, header_row=3)

    assert "row 3 seems to hold the headings: pass header_row=3" in problems(refused)[-1]
    assert (row.number, row.reference) == (4, "X-1")


def test_namespace_prefixes_of_a_sheet_are_read() -> None:
    file = workbook(["reference_number", "drop_city"], ["X-1", "=A1"])
    with zipfile.ZipFile(file) as packed:
        sheet = packed.read("xl/worksheets/sheet1.xml").decode()
    prefixed = re.sub(r"<(/?)(\w)", r"<\1x:\2", sheet).replace("xmlns=", "xmlns:x=")

    (row,) = read_orders(edited(file, sheet, prefixed))

    assert "a formula without a value" in problems(row)[0]


def test_cells_are_texts_as_in_a_csv_file() -> None:
    file = workbook(
        ["text", 110001, 12.5, 560001.0, True, None],
        [DAY, DAY.replace(hour=9, minute=30), dt.time(9, 30)],
    )

    assert [(row.number, row.cells[:6]) for row in sheet_rows(file)] == [
        (1, ["text", "110001", "12.5", "560001", "true"]),
        (2, ["2026-11-23", "2026-11-23T09:30:00", "09:30:00"]),
    ]


def test_rows_have_the_numbers_that_a_spreadsheet_shows() -> None:
    rows = list(
        read_orders(workbook(["reference_number", "weight"], [], [], ["X-1", 500], ["X-2", "much"]))
    )

    assert [(row.number, row.reference) for row in rows] == [(4, "X-1"), (5, "X-2")]
    assert rows[0].order == {"shipment_details": {"reference_number": "X-1", "weight": 500}}
    assert str(rows[1].problems[0]).startswith("row 5, weight: not a number")


@pytest.mark.parametrize("number", [2, 1, 3])
def test_rows_out_of_order_are_refused_since_the_libraries_lose_them(number: int) -> None:
    file = workbook(["reference_number"], ["X-1"], ["X-2"], ["X-3"])

    rows = list(read_orders(edited(file, '<row r="4"', f'<row r="{number}"')))

    assert rows[-1].order is None
    assert f"row {number} of the sheet comes after row 3" in problems(rows[-1])[0]


def test_strict_workbook_is_read_or_refused(library: str) -> None:
    strict = io.BytesIO()
    main = b"http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    with (
        zipfile.ZipFile(workbook(["reference_number"], ["X-1"])) as packed,
        zipfile.ZipFile(strict, "w") as target,
    ):
        for name in packed.namelist():
            content = packed.read(name)
            if name == "xl/worksheets/sheet1.xml":
                content = content.replace(main, b"http://purl.oclc.org/ooxml/spreadsheetml/main")
            target.writestr(name, content)
    strict.seek(0)

    (row,) = read_orders(strict)

    if library == "openpyxl":
        assert "openpyxl finds none of the sheet's rows" in problems(row)[0]
    else:
        assert row.reference == "X-1"


def test_row_may_end_early() -> None:
    [row] = read_orders(workbook(["reference_number", "weight", "note"], ["X-1"]))

    assert row.order == {"shipment_details": {"reference_number": "X-1"}}


def test_first_sheet_that_is_shown_is_read() -> None:
    [row] = read_orders(workbook(["reference_number"], ["HIDDEN-1"], hidden=True))

    assert row.reference == "SHOWN-1"


def test_workbook_is_recognised_by_its_name_or_first_bytes(tmp_path: Path) -> None:
    content = workbook(["reference_number"], ["X-1"]).getvalue()
    for name in ("orders.xlsx", "orders.bin"):
        path = tmp_path / name
        path.write_bytes(content)
        [row] = read_orders(path)
        assert row.reference == "X-1"


def test_file_that_was_opened_stays_open() -> None:
    file = workbook(["reference_number"], ["X-1"])

    assert len(list(read_orders(file))) == 1
    assert not file.closed


def test_workbook_may_come_through_a_pipe() -> None:
    script = (
        "import sys; from clickpost_async.bulk import OrderRow, read_orders;"
        "print([row.reference for row in read_orders(sys.stdin.buffer)])"
    )
    run = subprocess.run(
        [sys.executable, "-c", script],
        input=workbook(["reference_number"], ["X-1"]).getvalue(),
        capture_output=True,
        check=True,
        timeout=60,
    )

    assert run.stdout.decode().strip() == "['X-1']"


def _of_another_kind() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr("hello.txt", "hello")
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"PK\x03\x04 and nothing more",
        _of_another_kind(),
        workbook(["reference_number"], ["X-1"]).getvalue()[:-400],
        b"",
    ],
    ids=["no zip", "another zip", "cut off", "empty"],
)
def test_file_that_is_no_workbook_is_one_problem(content: bytes) -> None:
    [row] = read_orders(io.BytesIO(content), format="xlsx")

    assert re.search("save it as CSV UTF-8|unpack it first|is empty", str(row.problems[0]))


def test_zip_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    file = workbook(["reference_number"], ["X-1"])
    monkeypatch.setattr("clickpost_async.files.xlsx._MAX_SIZE", 1000)

    [row] = read_orders(file)

    assert "unpacks to more than" in str(row.problems[0])


@pytest.mark.parametrize(
    ("value", "number_format", "read"),
    [
        (1234, "00000", "01234"),
        (1234, "00000;@", "01234"),
        (123456, "00000", "123456"),
        (1234, "0", "1234"),
        ("1234", "00000", "1234"),
        (1234, "General", "1234"),
        (1234, '"ORD-"0', "ORD-1234"),
        (1234, '"ORD-"000000;@', "ORD-001234"),
        (1234, '"#"0', "#1234"),
        (1234, '"ORD"0', "ORD1234"),
        (1234, '"INR "0', "1234"),
        (1234, '"Rs. "0', "1234"),
        (1234, '"₹"0', "1234"),
        (1234, '0" kg"', "1234"),
    ],
)
def test_code_that_a_format_shows_is_read(value: object, number_format: str, read: str) -> None:
    book = Workbook()
    sheet = book.worksheets[0]
    sheet.append(["reference_number", "drop_postal_code", "drop_country"])
    sheet.append(["A1", value, "US"])
    sheet["B2"].number_format = number_format
    file = io.BytesIO()
    book.save(file)
    file.seek(0)

    (row,) = read_orders(file)

    assert row.order is not None
    assert row.order["drop_info"] == {"postal_code": read, "country_code": "US"}
