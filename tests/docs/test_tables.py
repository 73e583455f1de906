"""The tables of the documentation are those of the code."""

import pytest

from tests.make_tables import TABLES, written


@pytest.mark.parametrize("table", TABLES)
def test_table_matches_the_code(table: str) -> None:
    path, made = TABLES[table]
    page = path.read_text(encoding="utf-8")

    assert made() in page
    assert written(table, page) == page, "run python -m tests.make_tables"
