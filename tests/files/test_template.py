"""The template of an order file."""

import datetime as dt
import io

import pytest

from clickpost_async.bulk import COLUMNS, check, read_orders
from clickpost_async.files.columns import Market
from clickpost_async.files.template import (
    GUIDES,
    template_columns,
    write_csv_template,
    write_xlsx_template,
)

TODAY = dt.date(2027, 1, 3)


def test_every_column_of_a_template_is_known() -> None:
    assert [guide.name for guide in GUIDES if guide.name not in COLUMNS] == []


@pytest.mark.parametrize("market", list(Market))
def test_example_of_a_template_is_an_order_without_mistakes(market: Market) -> None:
    file = io.StringIO()
    write_csv_template(file, market, TODAY)
    [(row, problems)] = check(read_orders(io.StringIO(file.getvalue())))

    assert problems == ()
    assert row.market is market
    assert row.order is not None
    assert "2027-01-04T11:00:00" in str(row.order["pickup_info"])


@pytest.mark.parametrize("market", list(Market))
def test_workbook_has_the_same_example_and_explains_each_column(market: Market) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    file = io.BytesIO()
    write_xlsx_template(file, market, TODAY)

    [(_, problems)] = check(read_orders(io.BytesIO(file.getvalue()), format="xlsx"))
    orders, explanations = openpyxl.load_workbook(file).worksheets
    names = [guide.name for guide in template_columns(market)]
    assert problems == ()
    assert [row[0].value for row in explanations.iter_rows(min_row=2)] == names
    place = names.index("pickup_pincode") + 1
    assert orders.cell(row=2, column=place).data_type == "s"
    assert orders.cell(row=3, column=place).number_format == "@"
