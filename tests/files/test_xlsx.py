"""Orders of a workbook."""

import datetime as dt
import io
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook

from clickpost_async.bulk import read_orders
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


def test_cells_are_read_as_a_csv_file_would_hold_them() -> None:
    file = workbook(
        ["text", 110001, 12.5, 560001.0, True, None],
        [DAY, DAY.replace(hour=9, minute=30), dt.time(9, 30)],
    )

    assert list(sheet_rows(file)) == [
        (1, ["text", "110001", "12.5", "560001", "true", ""]),
        (2, ["2026-11-23", "2026-11-23 09:30:00", "09:30:00", "", "", ""]),
    ]


def test_rows_are_counted_as_the_spreadsheet_shows_them() -> None:
    rows = list(
        read_orders(workbook(["reference_number", "weight"], [], [], ["X-1", 500], ["X-2", "much"]))
    )

    assert [(row.number, row.reference) for row in rows] == [(4, "X-1"), (5, "X-2")]
    assert rows[0].order == {"shipment_details": {"reference_number": "X-1", "weight": 500}}
    assert str(rows[1].problems[0]).startswith("row 5, weight: not a number")


def test_a_row_may_end_early() -> None:
    [row] = read_orders(workbook(["reference_number", "weight", "note"], ["X-1"]))

    assert row.order == {"shipment_details": {"reference_number": "X-1"}}


def test_the_first_sheet_that_is_shown_is_read() -> None:
    [row] = read_orders(workbook(["reference_number"], ["HIDDEN-1"], hidden=True))

    assert row.reference == "SHOWN-1"


def test_a_workbook_is_known_by_its_name_or_its_first_bytes(tmp_path: Path) -> None:
    content = workbook(["reference_number"], ["X-1"]).getvalue()
    for name in ("orders.xlsx", "orders.bin"):
        path = tmp_path / name
        path.write_bytes(content)
        [row] = read_orders(path)
        assert row.reference == "X-1"


def test_a_file_that_was_opened_stays_open() -> None:
    file = workbook(["reference_number"], ["X-1"])

    assert len(list(read_orders(file))) == 1
    assert not file.closed


def test_a_workbook_may_come_through_a_pipe() -> None:
    script = (
        "import sys; from clickpost_async.bulk import read_orders;"
        "print([row.reference for row in read_orders(sys.stdin.buffer)])"
    )
    said = subprocess.run(
        [sys.executable, "-c", script],
        input=workbook(["reference_number"], ["X-1"]).getvalue(),
        capture_output=True,
        check=True,
        timeout=60,
    )

    assert said.stdout.decode().strip() == "['X-1']"


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
def test_what_is_no_workbook_is_one_problem(content: bytes) -> None:
    [row] = read_orders(io.BytesIO(content), format="xlsx")

    assert "save it as CSV UTF-8" in str(row.problems[0])


def test_a_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    file = workbook(["reference_number"], ["X-1"])
    monkeypatch.setattr("clickpost_async.files.xlsx._LARGEST", 1000)

    [row] = read_orders(file)

    assert "unpacks to more than" in str(row.problems[0])
