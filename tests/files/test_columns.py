import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import get_args, get_origin

import attrs
import pytest

from clickpost_async.files.cells import Kind
from clickpost_async.files.columns import COLUMNS, ITEMS, Column, Market
from clickpost_async.files.reader import read_orders
from clickpost_async.structures import IndiaOrder, WorldOrder
from clickpost_async.structures._schema import specs

CELLS: Mapping[Kind, tuple[str, object]] = {
    Kind.TEXT: ("a text", "a text"),
    Kind.CODE: ("0042.0", "0042"),
    Kind.NUMBER: ("10.5", 10.5),
    Kind.WHOLE: ("3", 3),
    Kind.FLAG: ("yes", True),
    Kind.LIST: ("a, b", ["a", "b"]),
}

ORDERS = [(Market.INDIA, IndiaOrder), (Market.WORLD, WorldOrder)]

# What ClickPost takes in two places has its column in the other one; lists of objects have none.
WITHOUT_COLUMN = (
    "pickup_info.pickup_email",
    "additional.account_code",
    "additional.delivery_type",
    "additional.awb_number",
    "additional.rvp_reason",
    "additional.order_id",
    "additional.vendor_code",
    "shipment_details.vendor_code",
    "additional.return_info",
    "additional.user_defined_field_array",
    "additional.custom_fields",
    f"{ITEMS}.additional",
)


def sendable(market: Market) -> list[Column]:
    return [column for column in COLUMNS.values() if column.path(market)]


def value_at(order: object, path: str) -> object:
    for name in path.split("."):
        if isinstance(order, list):
            order = order[0]
        assert isinstance(order, Mapping)
        order = order[name]
    return order


def fields(kind: type, prefix: str = "") -> Iterator[str]:
    """Name every field of a structure that holds a value, by its path on the wire."""
    for spec in specs(kind):
        inner = get_args(spec.kind)[0] if get_origin(spec.kind) is Sequence else spec.kind
        if isinstance(inner, type) and attrs.has(inner):
            yield from fields(inner, f"{prefix}{spec.wire}.")
        else:
            yield f"{prefix}{spec.wire}"


@pytest.mark.parametrize(
    ("market", "column"),
    [(market, column) for market in Market for column in sendable(market)],
    ids=lambda value: getattr(value, "name", value),
)
def test_every_column_reaches_its_path(market: Market, column: Column) -> None:
    cell, value = CELLS[column.kind]
    names = dict.fromkeys(["reference_number", "market", column.name])
    cells = {"reference_number": "A1", "market": market.value, column.name: cell}
    text = io.StringIO()
    table = csv.DictWriter(text, list(names))
    table.writeheader()
    table.writerow(cells)
    text.seek(0)

    (row,) = read_orders(text)

    path = column.path(market)
    assert path is not None
    assert row.problems == ()
    assert row.order is not None
    assert value_at(row.order, path) == value


@pytest.mark.parametrize(("market", "kind"), ORDERS)
def test_every_field_of_an_order_has_a_column(market: Market, kind: type) -> None:
    reached = {column.path(market) for column in COLUMNS.values()}
    missing = [path for path in fields(kind) if path not in reached]

    assert [path for path in missing if not path.startswith(WITHOUT_COLUMN)] == []


@pytest.mark.parametrize(("market", "kind"), ORDERS)
def test_every_column_leads_to_a_field_that_exists(market: Market, kind: type) -> None:
    known = set(fields(kind))

    assert [column.name for column in sendable(market) if column.path(market) not in known] == []


def test_columns_for_people_and_for_the_reader_are_not_sent() -> None:
    assert {name for name, column in COLUMNS.items() if not column.paths} == {
        *("market", "note", "reason", "advice"),
    }
