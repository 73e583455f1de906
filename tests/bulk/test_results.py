"""What became of every order, in a file that a spreadsheet may open."""

import csv
import json
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from clickpost_async.bulk import OrderOutcome, Pending, Placed, Rejected, Unknown
from clickpost_async.bulk.results import COLUMNS, ResultsFile, escape_formula
from clickpost_async.errors import NoReplyError, NotSentError
from clickpost_async.files.cells import Kind, read_cell
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
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_csv_has_a_row_for_every_outcome(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    with ResultsFile(path) as table:
        for outcome in OUTCOMES:
            table.add(outcome)
            # As outcomes come: whoever looks now finds it.
            assert rows(path)[-1]["reference_number"] == outcome.reference_number

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


def test_order_that_was_placed_before_is_told_as_such(tmp_path: Path) -> None:
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
def test_a_table_is_its_owners_alone(before: int | None, tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    if before is not None:
        path.write_text("an older and longer table\n" * 100)
        path.chmod(before)
    with ResultsFile(path) as table:
        assert path.stat().st_mode & 0o777 == 0o600
        table.add(OUTCOMES[0])
    assert [row["reference_number"] for row in rows(path)] == ["T-1"]


def test_a_table_may_go_to_a_device() -> None:
    with ResultsFile("/dev/null") as table:
        table.add(OUTCOMES[0])


def test_an_order_whose_row_has_changed_shows_its_waybill_and_says_so(tmp_path: Path) -> None:
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


def test_a_row_that_repeats_an_earlier_one_names_it(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    with ResultsFile(path) as table:
        table.add(evolve(OUTCOMES[0], duplicate_of="row 2"))
        table.add(evolve(OUTCOMES[2], duplicate_of="row 4"))
    written = rows(path)
    assert [row["outcome"] for row in written] == ["already placed", "rejected"]
    assert written[0]["reasons"] == "the same order as row 2"
    assert written[1]["reasons"] == "the same order as row 4\nrow 4, weight: missing"


def test_a_link_is_not_followed(tmp_path: Path) -> None:
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
def test_s08_a_cell_that_a_spreadsheet_would_run_is_written_as_text(
    formula: str, tmp_path: Path
) -> None:
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


@given(st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1))
def test_what_was_neutralised_is_itself_again_when_it_is_read_as_an_order(text: str) -> None:
    written = escape_formula(text)

    assert not written.startswith(("=", "+", "-", "@"))
    assert read_cell(written, Kind.TEXT) == read_cell(text, Kind.TEXT) or text[0] == "'"
