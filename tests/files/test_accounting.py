"""Every row of a file is accounted for: read as it was written, or refused."""

import csv
import datetime as dt
import io
import json
import random
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pandas as pd
import pytest
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl import Workbook
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

from clickpost_async.bulk import check, read_orders
from clickpost_async.files.cells import strip_blanks
from clickpost_async.files.order_rows import OrderRow

NAMES = ["reference_number", "drop_name", "drop_address", "drop_city", "item_description"]

# What is drawn often is what goes wrong: delimiters, quotation marks, line breaks, other scripts.
TEXTS = st.text(
    st.one_of(
        st.sampled_from(list("aB1 ,;\t|\"'\n-_?#=.")),
        st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\u2028\u2029"),
    ),
    max_size=12,
)
TABLES = st.lists(st.lists(TEXTS, min_size=4, max_size=4), min_size=1, max_size=6)


def as_csv(rows: Sequence[Sequence[str]], delimiter: str, quoting: Any, encoding: str) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, quoting=quoting).writerows(rows)
    return text.getvalue().encode(encoding)


def as_openpyxl(rows: Sequence[Sequence[str]]) -> bytes:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for number, row in enumerate(rows, 1):
        for column, value in enumerate(row, 1):
            if value:
                sheet.cell(number, column, value).data_type = "s"
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def as_xlsxwriter(rows: Sequence[Sequence[str]]) -> bytes:
    file = io.BytesIO()
    book = xlsxwriter.Workbook(file, {"in_memory": True})
    sheet = book.add_worksheet()
    for number, row in enumerate(rows):
        for column, value in enumerate(row):
            sheet.write_string(number, column, value)
    book.close()
    return file.getvalue()


def as_raw_xml(rows: Sequence[Sequence[str]]) -> bytes:
    """Write a workbook as a small exporter does: inline texts, no positions, no dimension."""
    sheet = "".join(
        "<row>"
        + "".join(
            f'<c t="inlineStr"><is><t xml:space="preserve">{escape(cell)}</t></is></c>'
            for cell in row
        )
        + "</row>"
        for row in rows
    )
    kinds = "http://schemas.openxmlformats.org/package/2006"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    word = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{kinds}/content-types">'
        '<Default Extension="rels"'
        ' ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{word}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/s.xml" ContentType="{word}.worksheet+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{kinds}/relationships"><Relationship Id="r1"'
        f' Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>'
        '<sheet name="s" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{kinds}/relationships">'
        f'<Relationship Id="r1" Type="{office}/worksheet" Target="worksheets/s.xml"/>'
        "</Relationships>",
        "xl/worksheets/s.xml": f'<worksheet xmlns="{main}"><sheetData>{sheet}</sheetData>'
        "</worksheet>",
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        for name, text in parts.items():
            packed.writestr(name, f'<?xml version="1.0" encoding="UTF-8"?>{text}')
    return file.getvalue()


def as_pandas(rows: Sequence[Sequence[str]]) -> bytes:
    file = io.BytesIO()
    frame = pd.DataFrame(rows[1:], columns=rows[0])
    with pd.ExcelWriter(file, engine="openpyxl") as writer:
        frame.to_excel(writer, index=False)
    return file.getvalue()


def written(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    return [NAMES, *([f"R-{number}", *row] for number, row in enumerate(rows))]


def values(row: OrderRow) -> list[str]:
    assert row.order is not None
    drop: Any = row.order.get("drop_info", {})
    shipment: Any = row.order["shipment_details"]
    items = shipment.get("items", [{}])
    return [
        *(drop.get(name, "") for name in NAMES[1:4]),
        items[0].get("description", ""),
    ]


def meant(cell: str) -> str:
    """Return the value of a cell by the rules that are documented for text."""
    text = strip_blanks(cell)
    if text.startswith('="') and text.endswith('"') and len(text) > 2:
        return strip_blanks(text[2:-1].replace('""', '"'))
    if text[:1] == "'" and text[1:2] in tuple("=+-@'"):
        return text[1:]
    return text


def compare(content: bytes, table: Sequence[Sequence[str]], name: str, folder: Path) -> None:
    path = folder / name
    path.write_bytes(content)
    reader = read_orders(path)
    found = {row.reference: row for row in reader}
    for number, cells in enumerate(table):
        row = found.get(f"R-{number}")
        if row is not None and row.order is not None:
            assert values(row) == [meant(cell) for cell in cells]
    if found:
        assert reader.counts.rows >= 1
    assert not any(row.is_heading for row in found.values())
    # Rows that were swallowed by others would be missing here.
    refused = sum(row.row_count for row in found.values() if row.order is None)
    assert len([row for row in found.values() if row.order is not None]) + refused >= len(table)


@given(
    table=TABLES,
    delimiter=st.sampled_from(",;\t|"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_delimited_file_is_read_as_written_or_refused(
    table: list[list[str]],
    delimiter: str,
    quoting: int,
    encoding: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    content = as_csv(written(table), delimiter, quoting, encoding)

    compare(content, table, "any.csv", tmp_path_factory.getbasetemp())


@pytest.mark.parametrize("write", [as_openpyxl, as_xlsxwriter, as_raw_xml, as_pandas])
@given(table=TABLES)
@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
def test_workbook_is_read_as_written_or_refused(
    write: Callable[[Sequence[Sequence[str]]], bytes],
    table: list[list[str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    # openpyxl writes `_x0041_` as it stands, which a workbook reads as A; formulas have no value.
    table = [
        [ILLEGAL_CHARACTERS_RE.sub("", cell).replace("_x", "x").replace("=", "") for cell in row]
        for row in table
    ]
    content = write(written(table))

    compare(content, table, "any.xlsx", tmp_path_factory.getbasetemp())


@pytest.mark.parametrize("write", [as_openpyxl, as_xlsxwriter, as_raw_xml])
@given(table=TABLES)
@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.too_slow])
def test_workbook_is_read_alike_by_both_libraries(
    write: Callable[[Sequence[Sequence[str]]], bytes], table: list[list[str]]
) -> None:
    # openpyxl writes a cell of blanks without `xml:space`: whether it is empty is open.
    legal = [[ILLEGAL_CHARACTERS_RE.sub("", cell) for cell in row] for row in table]
    table = [[cell if cell.strip() else "" for cell in row] for row in legal]
    content = write(written(table))
    with pytest.MonkeyPatch.context() as patch:
        by_calamine = list(read_orders(io.BytesIO(content)))
        patch.setitem(__import__("sys").modules, "python_calamine", None)
        by_openpyxl = list(read_orders(io.BytesIO(content)))

    assert by_calamine == by_openpyxl


MIXED = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**17), 10**17),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.dates(dt.date(1950, 1, 1), dt.date(2100, 1, 1)),
    st.datetimes(dt.datetime(1950, 1, 1), dt.datetime(2100, 1, 1)).map(  # noqa: DTZ001
        lambda moment: moment.replace(microsecond=0)
    ),
    st.sampled_from(["#N/A", "text", "_x0041_", "_x000D_\n", " ", "=1+1"]),
)


@given(st.lists(st.lists(MIXED, min_size=3, max_size=3), min_size=1, max_size=5))
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_cells_of_any_type_are_read_alike_by_both_libraries(table: list[list[object]]) -> None:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["reference_number", "drop_name", "weight", "invoice_date"])
    for number, row in enumerate(table):
        sheet.append([f"R-{number}", *row])
    file = io.BytesIO()
    book.save(file)
    content = file.getvalue()
    with pytest.MonkeyPatch.context() as patch:
        by_calamine = list(read_orders(io.BytesIO(content)))
        patch.setitem(__import__("sys").modules, "python_calamine", None)
        by_openpyxl = list(read_orders(io.BytesIO(content)))

    assert [(row.order, row.problems) for row in by_calamine] == [
        (row.order, row.problems) for row in by_openpyxl
    ]


# --- rows in are rows accounted for ---------------------------------------------------------------

CELLS = [
    "",
    "A1",
    "A2",
    "Asha",
    "12",
    "1,5",
    "9.1E+11",
    "#N/A",
    "-",
    '"',
    "x\ny",
    "IN",
    "27/11/2026",
]


def random_file(random_: random.Random) -> tuple[bytes, str, int]:
    """Return a file, its name, and how many rows of it are not blank."""
    names = ["reference_number", *random_.sample([*NAMES[1:], "weight", "invoice_date"], 4)]
    references = [f"R-{number}" for number in range(12)]
    rows = []
    for _ in range(random_.randrange(12)):
        row = [random_.choice([*references, "", "#REF!"])]
        row += [random_.choice(CELLS) for _ in names[1:]]
        rows.append([] if random_.random() < 0.1 else row[: random_.choice([5, 5, 5, 3, 1])])
    filled = sum(any(map(strip_blanks, row)) for row in rows)
    kind = random_.choice(["csv", "tsv", "jsonl", "xlsx"])
    if kind == "jsonl":
        lines = [json.dumps(dict(zip(names, row, strict=False))) for row in rows]
        broken = [line[: random_.choice([len(line), 3])] for line in lines]
        return "\n".join([*broken, ""]).encode(), "any.jsonl", len(rows)
    if kind == "xlsx":
        return as_openpyxl([names, *rows]), "any.xlsx", filled
    delimiter = random_.choice(",;|") if kind == "csv" else "\t"
    encoding = random_.choice(["utf-8", "utf-8-sig", "utf-16", "cp1252"])
    quoting = random_.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
    return as_csv([names, *rows], delimiter, quoting, encoding), "any.csv", filled


def account_for(seed: int, folder: Path) -> int:
    """Read and check a random file, and return how many rows it has."""
    content, name, rows = random_file(random.Random(seed))
    path = folder / name
    path.write_bytes(content)
    reader = read_orders(path)

    found = list(reader)
    numbers = reader.counts
    checked = read_orders(path)
    problems = [mistakes for _, mistakes in check(checked)]

    assert numbers.rows == rows
    assert checked.counts.rows == rows
    assert numbers.rejected == sum(bool(row.problems) for row in found)
    assert checked.counts.rejected == sum(map(bool, problems))
    assert all(problem.row and problem.column for row in found for problem in row.problems)
    return rows


@pytest.mark.parametrize("seed", range(150))
def test_rows_of_a_file_are_all_accounted_for(
    seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    account_for(seed, tmp_path_factory.getbasetemp())


def test_rows_below_headings_that_cannot_be_used_are_counted_as_refused() -> None:
    reader = read_orders(io.StringIO("reference_number,nonsense\nA1,x\n\nA2,y\n"))

    (row,) = reader

    assert row.is_heading
    assert str(reader.counts) == "2 rows: 0 orders, 2 rejected"


def test_counts_distinguish_orders_from_rows() -> None:
    text = "reference_number,item_sku,weight\nA1,S,1\nA1,T,\nA2,S,heavy\nA3,S,1\n"
    reader = read_orders(io.StringIO(text))
    list(reader)
    reader.counts.skip("fulfilled", 2)
    reader.counts.skip("cancelled")

    assert reader.counts.rows == 7
    assert str(reader.counts) == (
        "7 rows: 2 orders (3 rows), 3 skipped (fulfilled 2, cancelled 1), 1 rejected"
    )


def test_check_counts_orders_with_mistakes_as_refused() -> None:
    reader = read_orders(io.StringIO("reference_number,drop_city\nA1,Pune\n"))
    ((_, problems),) = check(reader)

    assert problems
    assert str(reader.counts) == "1 row: 0 orders, 1 rejected"


def main(files: int) -> None:
    """Account for many files at once: python -m tests.files.test_accounting 10000."""
    with tempfile.TemporaryDirectory() as folder:
        rows = sum(account_for(seed, Path(folder)) for seed in range(files))
    print(f"{files:,} files, {rows:,} rows, all accounted for")  # noqa: T201


if __name__ == "__main__":
    main(int(sys.argv[1]))
