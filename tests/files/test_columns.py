import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import get_args, get_origin

import attrs
import pytest

from clickpost_async.files.cells import CellKind
from clickpost_async.files.columns import COLUMNS, ITEMS, Column, Market
from clickpost_async.files.reader import read_orders
from clickpost_async.structures import IndiaOrder, WorldOrder
from clickpost_async.structures._schema import specs

CELLS: Mapping[CellKind, tuple[str, object]] = {
    CellKind.TEXT: ("a text", "a text"),
    CellKind.CODE: ("0042.0", "0042"),
    CellKind.NUMBER: ("10.5", 10.5),
    CellKind.WHOLE: ("3", 3),
    CellKind.FLAG: ("yes", True),
    CellKind.LIST: ("a, b", ["a", "b"]),
    CellKind.PHONE: ("9876543210", "9876543210"),
    CellKind.POSTCODE: ("560041", "560041"),
    CellKind.COUNTRY: ("IN", "IN"),
    CellKind.STATE: ("Kerala", "Kerala"),
    CellKind.EMAIL: ("asha@example.com", "asha@example.com"),
    CellKind.GSTIN: ("29ABCDE1234F1Z5", "29ABCDE1234F1Z5"),
    CellKind.AMOUNT: ("10.5", 10.5),
    CellKind.WEIGHT: ("10.5", 10.5),
    CellKind.DATE: ("2026-11-27", "2026-11-27"),
    CellKind.TIME: ("2026-11-27 18:30:00", "2026-11-27T18:30:00"),
    CellKind.DATE_OR_TIME: ("2026-11-27", "2026-11-27"),
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
    "shipment_details.reseller_name",
    "shipment_details.is_fragile",
    "shipment_details.is_dangerous",
    "additional.return_info",
    "additional.multi_modal",
    "shipment_details.reseller_name",
    "shipment_details.is_fragile",
    "shipment_details.is_dangerous",
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
def test_column_reaches_its_path(market: Market, column: Column) -> None:
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
def test_fields_of_orders_have_columns(market: Market, kind: type) -> None:
    reached = {column.path(market) for column in COLUMNS.values()}
    missing = [path for path in fields(kind) if path not in reached]

    assert [path for path in missing if not path.startswith(WITHOUT_COLUMN)] == []


@pytest.mark.parametrize(("market", "kind"), ORDERS)
def test_columns_lead_to_fields_that_exist(market: Market, kind: type) -> None:
    known = set(fields(kind))

    assert [column.name for column in sendable(market) if column.path(market) not in known] == []


@pytest.mark.parametrize(
    ("name", "kind", "india", "world"),
    [
        ("reference_number", CellKind.CODE, "shipment_details.reference_number", "="),
        ("weight", CellKind.WEIGHT, "shipment_details.weight", "="),
        ("invoice_date", CellKind.DATE, "shipment_details.invoice_date", "="),
        ("waybill", CellKind.CODE, "shipment_details.awb_number", "="),
        ("items_in_shipment", CellKind.LIST, "shipment_details.items_in_shipment", "="),
        ("drop_pincode", CellKind.POSTCODE, "drop_info.drop_pincode", "drop_info.postal_code"),
        ("drop_postal_code", CellKind.POSTCODE, "drop_info.drop_pincode", "drop_info.postal_code"),
        (
            "pickup_country",
            CellKind.COUNTRY,
            "pickup_info.pickup_country",
            "pickup_info.country_code",
        ),
        ("pickup_email", CellKind.EMAIL, "pickup_info.email", "="),
        ("pickup_time", CellKind.TIME, "pickup_info.pickup_time", "pickup_info.time"),
        ("drop_alternate_phone", CellKind.PHONE, "drop_info.drop_alternate_phone", None),
        ("tin", CellKind.CODE, "pickup_info.tin", None),
        ("return_phone", CellKind.PHONE, "additional.return_info.phone", "return_info.phone"),
        ("vendor_code", CellKind.CODE, "additional.vendor_code", "shipment_details.vendor_code"),
        ("order_date", CellKind.DATE_OR_TIME, "additional.order_date", "="),
        ("async", CellKind.FLAG, "additional.async", "="),
        ("item_category", CellKind.TEXT, "shipment_details.items.cat", "="),
        ("item_hs_code", CellKind.TEXT, "shipment_details.items.hs_code", "="),
        ("item_gst_discount", CellKind.NUMBER, "shipment_details.items.gst_info.gst_discount", "="),
        ("gst_hsn_code", CellKind.TEXT, "gst_info.hsn_code", "="),
        (
            "item_carta_bienes_transp",
            CellKind.CODE,
            "shipment_details.items.carta_porte.bienesTransp",
            "=",
        ),
        ("shipper_tax_id", CellKind.CODE, None, "tax_info.shipper_tax_id"),
    ],
)
def test_columns_follow_from_the_structures(
    name: str, kind: CellKind, india: str | None, world: str | None
) -> None:
    column = COLUMNS[name]

    assert (column.kind, column.india) == (kind, india)
    assert column.world == (india if world == "=" else world)


def test_columns_of_enumerations_have_their_choices() -> None:
    assert COLUMNS["order_type"].choices["prepaid"] == "PREPAID"
    assert COLUMNS["duty_fee_paid_by"].choices["sender"] == "S"
    assert COLUMNS["drop_city"].choices == {}


def test_columns_market_and_note_are_not_sent() -> None:
    assert [name for name, column in COLUMNS.items() if not column.paths] == [
        "market",
        "note",
        "reason",
        "advice",
    ]
