"""The catalogue is complete: every fault has a test or a reason, and the table matches."""

from pathlib import Path

from tests.faults.catalogue import FAULTS, NOT_PLAYED, played

TABLE = Path(__file__).parent / "README.md"


def test_every_fault_is_played_or_has_a_reason() -> None:
    faults = {one.fault for one in played() if not one.control}
    assert faults <= set(FAULTS)
    assert set(FAULTS) - faults == set(NOT_PLAYED)


def test_no_control_stands_alone() -> None:
    tests = {one.fault for one in played() if not one.control}
    assert {one.fault for one in played() if one.control} <= tests


def test_table_shows_every_test_and_that_all_were_survived() -> None:
    rows = {
        line.split(" | ")[0].removeprefix("| "): line
        for line in TABLE.read_text().splitlines()
        if line.startswith("| ") and line[2:5] in FAULTS
    }
    assert list(rows) == list(FAULTS)
    for fault, row in rows.items():
        shown = {part.partition("`]")[0] for part in row.split("[`")[1:]}
        assert shown == {one.test.partition("::")[2] for one in played() if one.fault == fault}
        assert row.endswith("| yes |") == (fault not in NOT_PLAYED)
