"""The results file of a run, safe to open in a spreadsheet."""

import csv
import errno
import io
import json
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import openpyxl
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from clickpost_async.bulk import (
    OrderOutcome,
    OrderRow,
    Pending,
    Placed,
    Rejected,
    Unknown,
    read_orders,
)
from clickpost_async.bulk.results import COLUMNS, ErrorsFile, ResultsFile, escape_formula
from clickpost_async.errors import NoReplyError, NotSentError
from clickpost_async.files.cells import BadCellError, CellKind, read_cell
from clickpost_async.structures import CreatedOrder, ResponseInfo

PLACED = CreatedOrder(
    waybill="7700000001", courier_partner=4, label="https://labels.example/7700000001.pdf"
)
OUTCOMES: list[OrderOutcome] = [
    Placed(position=0, reference_number="T-1", row=2, attempts=1, order=PLACED),
    Placed(position=1, reference_number="T-2", row=3, recorded=True, order=PLACED),
    Rejected(position=2, reference_number="T-3", row=4, reasons=("row 4, weight: missing",)),
    Unknown(position=3, reference_number="T-4", row=5, attempts=3, error=NoReplyError("cut off")),
    Pending(position=4, reference_number="T-5", row=6, order=CreatedOrder()),
    Pending(position=5, reference_number="T-6", row=7, error=NotSentError("no connection")),
]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_csv_has_a_row_for_every_outcome(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    with ResultsFile(path) as table:
        for outcome in OUTCOMES:
            table.add(outcome)
            # As outcomes come: they are on the disk before the run has ended.
            [part] = tmp_path.glob("results.csv.*.part")
            assert rows(part)[-1]["reference_number"] == outcome.reference_number

    written = rows(path)
    assert list(written[0]) == list(COLUMNS)
    assert [row["outcome"] for row in written] == [
        *("placed", "placed", "rejected", "unknown", "pending", "pending"),
    ]
    assert [row["known_from_journal"] for row in written] == [
        *("False", "True", "False", "False", "False", "False"),
    ]
    assert [row["waybill"] for row in written] == ["7700000001"] * 2 + [""] * 4
    assert written[2]["reasons"] == "row 4, weight: missing"
    # Whatever has no waybill says what to do about it.
    assert all(row["advice"] for row in written[2:])


def test_order_placed_before_is_reported_as_such(tmp_path: Path) -> None:
    order = CreatedOrder(waybill="7700000001", response=ResponseInfo(status=323))
    path = tmp_path / "results.csv"
    with ResultsFile(path) as table:
        table.add(Placed(position=0, reference_number="T-1", order=order))

    assert first_cell(path, "outcome") == "already placed"


def test_json_lines_hold_the_same(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with ResultsFile(path) as table:
        for outcome in OUTCOMES:
            table.add(outcome)

    written = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [row["row"] for row in written] == [2, 3, 4, 5, 6, 7]
    assert written[0]["label"] == "https://labels.example/7700000001.pdf"


@pytest.mark.parametrize("before", [None, 0o644, 0o666])
def test_table_is_its_owners_alone(before: int | None, tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    if before is not None:
        path.write_text("an older and longer table\n" * 100)
        path.chmod(before)
    with ResultsFile(path) as table:
        [part] = tmp_path.glob("*.part")
        assert part.stat().st_mode & 0o777 == 0o600
        table.add(OUTCOMES[0])
    assert path.stat().st_mode & 0o777 == 0o600
    assert [row["reference_number"] for row in rows(path)] == ["T-1"]


def test_device_is_written_to_and_not_replaced() -> None:
    with ResultsFile("/dev/null") as table:
        table.add(OUTCOMES[0])

    assert Path("/dev/null").is_char_device()
    assert list(Path("/dev").glob("null.*")) == []


def test_placed_order_with_a_changed_row_shows_waybill_and_change(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    with ResultsFile(path) as table:
        for outcome in OUTCOMES:
            if not isinstance(outcome, Rejected):
                table.add(evolve(outcome, differs=True))
    written = rows(path)
    assert [row["waybill"] for row in written] == ["7700000001"] * 2 + [""] * 3
    assert all("the row has changed" in row["reasons"] for row in written)
    assert "cut off" in written[2]["reasons"]
    assert {row["advice"] for row in written[:2]} == {
        "edit or cancel the placed order if the change matters"
    }
    assert all("bulk resolve" in row["advice"] for row in written[2:])


def test_row_that_repeats_an_earlier_one_names_it(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    with ResultsFile(path) as table:
        table.add(evolve(OUTCOMES[0], duplicate_of="row 2"))
        table.add(evolve(OUTCOMES[2], duplicate_of="row 4"))
    written = rows(path)
    assert [row["outcome"] for row in written] == ["already placed", "rejected"]
    assert written[0]["reasons"] == "the same order as row 2"
    assert written[1]["reasons"] == "the same order as row 4\nrow 4, weight: missing"


def test_link_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    link = tmp_path / "results.csv"
    link.symlink_to(victim)

    with pytest.raises(OSError, match="symbolic link"):
        ResultsFile(link)
    assert victim.read_text() == "precious"


FORMULAS = [
    *("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"),
    *("=cmd|' /C calc'!A0", "\uff1d1+1", "\uff0b1", "\uff0d1", "\uff20A1"),
]


def first_cell(path: Path, name: str) -> str:
    return rows(path)[0][name]


@pytest.mark.fault("S08")
@pytest.mark.parametrize("formula", FORMULAS)
def test_s08_cell_that_would_be_a_formula_is_written_as_text(formula: str, tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    with ResultsFile(path) as table:
        table.add(Rejected(position=0, reference_number=formula, reasons=(formula,)))

    for name in ("reference_number", "reasons"):
        assert first_cell(path, name) == f"'{formula}"


@pytest.mark.fault("S08", control=True)
def test_s08_plain_csv_would_hand_the_formula_over(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    with path.open("w", newline="") as file:
        csv.DictWriter(file, COLUMNS).writerows([{name: name for name in COLUMNS}])
        csv.DictWriter(file, COLUMNS).writerow({"reference_number": "=1+1"})

    assert first_cell(path, "reference_number") == "=1+1"


def read_text(cell: str) -> object:
    """Read a cell of an order, as text or as one that is refused."""
    try:
        return read_cell(cell, CellKind.TEXT)
    except BadCellError:
        return BadCellError


@given(st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1))
def test_escaped_formula_is_restored_when_read_as_an_order(text: str) -> None:
    written = escape_formula(text)

    assert not written.startswith(("=", "+", "-", "@"))
    # What is refused alone, as a dash, may be text behind an apostrophe.
    assert read_text(text) in (read_text(written), BadCellError) or text[0] == "'"


# --- written beside, and renamed -----------------------------------------------------------------


def test_run_that_fails_before_its_first_outcome_leaves_an_older_file_alone(
    tmp_path: Path,
) -> None:
    path = tmp_path / "results.csv"
    path.write_text("of yesterday")

    with pytest.raises(RuntimeError), ResultsFile(path):
        raise RuntimeError("no key")

    assert path.read_text() == "of yesterday"
    assert list(tmp_path.iterdir()) == [path]


def test_outcomes_of_a_run_that_fails_later_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"

    def fail_after_one() -> None:
        with ResultsFile(path) as table:
            table.add(OUTCOMES[0])
            raise RuntimeError("the disk of the journal is full")

    with pytest.raises(RuntimeError):
        fail_after_one()
    assert first_cell(path, "waybill") == "7700000001"
    assert list(tmp_path.iterdir()) == [path]


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_rows_before_the_disk_was_full_are_kept_whole(kind: str, tmp_path: Path) -> None:
    path, added = tmp_path / f"results.{kind}", 0

    def fill() -> None:
        nonlocal added
        with ResultsFile(path) as table, files_of_at_most(500):
            for outcome in OUTCOMES * 100:
                table.add(outcome)
                added += 1

    with pytest.raises(OSError, match=str(path)):
        fill()

    assert 0 < added < len(OUTCOMES)
    written = (
        [json.loads(line) for line in path.read_text().splitlines()]
        if kind == "jsonl"
        else rows(path)
    )
    assert [row["reference_number"] for row in written] == ["T-1", "T-2", "T-3", "T-4"][:added]
    assert list(written[-1]) == list(written[0]) == list(COLUMNS) or kind == "jsonl"
    assert list(tmp_path.iterdir()) == [path]


def test_workbook_that_does_not_fit_on_the_disk_leaves_an_older_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "results.xlsx"
    path.write_text("of yesterday")

    save = openpyxl.Workbook.save

    def fail(book: openpyxl.Workbook, file: IO[bytes]) -> None:
        save(book, io.BytesIO())
        file.write(b"PK")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(openpyxl.Workbook, "save", fail)

    with pytest.raises(OSError, match=str(path)), ResultsFile(path) as table:
        table.add(OUTCOMES[0])

    assert path.read_text() == "of yesterday"
    assert list(tmp_path.iterdir()) == [path]


def test_run_without_outcomes_leaves_a_file_of_names_only(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    with ResultsFile(path):
        pass

    assert path.read_text(encoding="utf-8-sig").strip() == ",".join(COLUMNS)


# --- opened by Excel -----------------------------------------------------------------------------


def placed(**changes: Any) -> Placed:
    names = {"reference_number": "T-1", "row": 2, "position": 0}
    order = CreatedOrder(waybill=changes.pop("waybill", "7700000001"))
    return Placed(**(names | changes), order=order)


def test_csv_begins_with_the_byte_order_mark_that_excel_needs(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    with ResultsFile(path) as table:
        table.add(placed(reference_number="पेन"))

    assert path.read_bytes().startswith(b"\xef\xbb\xbfrow,")
    assert first_cell(path, "reference_number") == "पेन"


@pytest.mark.parametrize(
    "text",
    [
        *("77000000000001", "0012345", "12E10", "1-2", "2026-11-20", "3/4", "MAR1", "1-mar"),
        *("12 jan", "0", "123456789012", "1,234", "1,23,456.5", "10%", "TRUE", "1.10", "9:30"),
        *("2026-11-20 09:30", "2026-11-20T09:30:00", "12-Nov-2026"),
    ],
)
def test_csv_cell_that_excel_would_change_is_protected_and_read_as_it_was(
    text: str, tmp_path: Path
) -> None:
    path = tmp_path / "results.csv"
    with ResultsFile(path) as table:
        table.add(placed(waybill=text, reference_number=text))

    is_changed = text != "0"
    expected = f'="{text}"' if is_changed else text
    assert (first_cell(path, "waybill"), first_cell(path, "reference_number")) == (expected,) * 2


@pytest.mark.parametrize("text", ["T-1", "#1001", "403-0000001-0000001", "7700000001", "SF123IN"])
def test_csv_cell_that_excel_leaves_alone_is_plain(text: str, tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    with ResultsFile(path) as table:
        table.add(placed(waybill=text))

    assert first_cell(path, "waybill") == text


def test_workbook_holds_waybills_and_formulas_as_text(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    path = tmp_path / "results.XLSX"
    with ResultsFile(path) as table:
        table.add(placed(waybill="77000000000001", reference_number="=1+1"))
        table.add(Rejected(position=1, reference_number="T\x00-2", reasons=("x" * 40_000,)))

    sheet = openpyxl.load_workbook(path).active
    header, first, second = sheet.iter_rows()
    assert [cell.value for cell in header] == list(COLUMNS)
    by_name = dict(zip(COLUMNS, first, strict=True))
    waybill, reference = by_name["waybill"], by_name["reference_number"]
    assert (waybill.value, waybill.data_type) == ("77000000000001", "s")
    assert (reference.value, reference.data_type) == ("=1+1", "s")
    assert by_name["row"].value == 2
    assert second[1].value == "T\ufffd-2"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


# --- the rows that are to be corrected -----------------------------------------------------------


def rejected(row: OrderRow, *reasons: str) -> Rejected:
    return Rejected(
        position=0, reference_number=row.reference, row=row.number, reasons=reasons or ("wrong",)
    )


TABLE = """\
reference_number,Ship To PIN,item_sku,reason
A1,41100,S1,of yesterday
A1,,S2,
A2,411001,S1,
"""
MAP = {"Ship To PIN": "drop_pincode"}


def test_errors_file_has_the_rows_of_the_input_with_reason_and_advice(tmp_path: Path) -> None:
    path = tmp_path / "errors.csv"
    first, _ = read_orders(io.StringIO(TABLE), columns=MAP)
    with ErrorsFile(path) as errors:
        errors.add(rejected(first, "row 2, Ship To PIN: a pincode is six digits"), first)

    advice = "correct it, then send it again"
    reason = "row 2, Ship To PIN: a pincode is six digits"
    assert rows(path) == [
        {"reference_number": "A1", "Ship To PIN": pin, "item_sku": sku}
        | {"reason": reason, "advice": advice}
        for pin, sku in (("41100", "S1"), ("", "S2"))
    ]


@pytest.mark.parametrize("name", ["errors.csv", "errors.xlsx"])
def test_corrected_errors_file_is_read_as_the_input_was(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    before = list(read_orders(io.StringIO(TABLE), columns=MAP))
    with ErrorsFile(path) as errors:
        for row in before:
            errors.add(rejected(row), row)
    after = list(read_orders(path, columns=MAP))

    assert [row.order for row in after] == [row.order for row in before]
    assert all(row.order is not None for row in after)


def test_errors_file_of_json_lines_can_be_pushed_again(tmp_path: Path) -> None:
    path = tmp_path / "errors.jsonl"
    before = list(
        read_orders(io.StringIO('{"drop_info": {"drop_city": "Pune"}}\nnot JSON\n'), format="jsonl")
    )
    with ErrorsFile(path) as errors:
        for row in before:
            errors.add(rejected(row), row)
    first, second = (json.loads(line) for line in path.read_text().splitlines())

    assert (first["reason"], second["line"]) == ("wrong", "not JSON")
    assert next(read_orders(path)).order == {"drop_info": {"drop_city": "Pune"}}


def test_errors_file_without_errors_has_the_names_of_the_input(tmp_path: Path) -> None:
    path = tmp_path / "errors.csv"
    with ErrorsFile(path) as errors:
        errors.header = ["reference_number", "weight"]

    assert path.read_text("utf-8-sig").strip() == "reference_number,weight,reason,advice"
