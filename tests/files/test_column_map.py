"""Files with other people's column names."""

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from clickpost_async import structure
from clickpost_async.bulk import ColumnMap, ColumnMapError, check, read_orders
from clickpost_async.files.counts import FileCounts
from clickpost_async.structures import IndiaOrder

WAREHOUSE = """
extends = "shopify"

[fixed]
courier_partner = 4
account_code = "Delhivery"
pickup_name = "Lotus Stationers"
pickup_address = "14 Ink Lane"
pickup_city = "Ahmedabad"
pickup_state = "Gujarat"
pickup_pincode = "380009"
pickup_country = "IN"
pickup_phone = "9000000011"
pickup_email = "desk@lotus.example"
pickup_time = "2026-11-24T11:00:00"
invoice_number = "INV"
length = 10
breadth = 12
height = 8
weight = 500
item_weight = 100
"""

# The columns of an export, in its order.
SHOPIFY = (
    *("Name,Email,Financial Status,Paid at,Fulfillment Status,Fulfilled at,Accepts Marketing",),
    *("Currency,Subtotal,Shipping,Taxes,Total,Discount Code,Discount Amount,Shipping Method",),
    *("Created at,Lineitem quantity,Lineitem name,Lineitem price,Lineitem compare at price",),
    *("Lineitem sku,Lineitem requires shipping,Lineitem taxable,Lineitem fulfillment status",),
    *("Billing Name,Billing Street,Billing Address1,Billing Address2,Billing Company",),
    *("Billing City,Billing Zip,Billing Province,Billing Country,Billing Phone,Shipping Name",),
    *("Shipping Street,Shipping Address1,Shipping Address2,Shipping Company,Shipping City",),
    *("Shipping Zip,Shipping Province,Shipping Country,Shipping Phone,Notes,Note Attributes",),
    *("Cancelled at,Payment Method,Payment Reference,Refunded Amount,Vendor",),
    *("Outstanding Balance,Employee,Location,Device ID,Id,Tags,Risk Level,Source",),
    *("Lineitem discount,Phone,Receipt Number,Duties,Billing Province Name",),
    *("Shipping Province Name,Payment ID,Payment Terms Name",),
)


def table(columns: Iterable[str], *rows: Mapping[str, str], delimiter: str = ",") -> io.StringIO:
    """Write rows as an export has them: most of their cells are blank."""
    names = [name for line in columns for name in line.split(",")]
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="", delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return io.StringIO(text.getvalue())


def shopify_order(name: str, **changes: str) -> dict[str, str]:
    row = {
        "Name": name,
        "Email": "meera@example.com",
        "Financial Status": "paid",
        "Fulfillment Status": "unfulfilled",
        "Currency": "INR",
        "Subtotal": "900.00",
        "Total": "950.00",
        "Shipping Method": "Standard",
        "Lineitem name": "Fountain pen",
        "Created at": "2026-11-20 10:22:11 +0530",
        "Lineitem quantity": "2",
        "Lineitem price": "300.00",
        "Lineitem sku": "PEN-1",
        "Lineitem requires shipping": "true",
        "Lineitem fulfillment status": "pending",
        "Shipping Name": "Meera Reader",
        "Shipping Street": "7 Banyan Road",
        "Shipping City": "Pune",
        "Shipping Zip": "'411001",
        "Shipping Province": "MH",
        "Shipping Country": "IN",
        "Shipping Phone": "+91 90000 00012",
        "Id": "5551001",
        "Outstanding Balance": "0.00",
        "Shipping Province Name": "Maharashtra",
    }
    return row | {name.replace("_", " "): value for name, value in changes.items()}


def shopify_item(name: str, **changes: str) -> dict[str, str]:
    row = {
        "Name": name,
        "Email": "meera@example.com",
        "Lineitem quantity": "1",
        "Created at": "2026-11-20 10:22:11 +0530",
        "Lineitem name": "Ink",
        "Lineitem price": "300.00",
        "Lineitem sku": "INK-1",
        "Vendor": "Lotus",
        "Lineitem requires shipping": "true",
        "Lineitem fulfillment status": "pending",
    }
    return row | {name.replace("_", " "): value for name, value in changes.items()}


def saved(tmp_path: Path, text: str, name: str = "map.toml") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def test_a_shopify_export_becomes_orders_that_can_be_sent(tmp_path: Path) -> None:
    columns = ColumnMap.load(saved(tmp_path, WAREHOUSE))
    export = table(
        SHOPIFY,
        shopify_order("#1001", Financial_Status="pending", Outstanding_Balance="950.00"),
        shopify_item("#1001"),
        shopify_order("#1002"),
    )
    rows = list(read_orders(export, columns=columns))

    assert [problems for _, problems in check(rows)] == [(), ()]
    first, second = (structure(row.order, IndiaOrder) for row in rows)
    details = first.shipment_details
    assert details.reference_number == "#1001"
    assert (details.order_type, details.cod_value, details.invoice_value) == ("COD", 950, 950)
    assert [(item.sku, item.quantity, item.price) for item in details.items] == [
        ("PEN-1", 2, 300),
        ("INK-1", 1, 300),
    ]
    assert (first.drop_info.drop_pincode, first.drop_info.drop_state) == ("411001", "Maharashtra")
    assert first.drop_info.drop_phone == "9000000012"
    assert first.pickup_info.pickup_city == "Ahmedabad"
    assert str(details.invoice_date) == "2026-11-20"
    assert second.shipment_details.order_type == "PREPAID"
    assert second.shipment_details.cod_value == 0


UNICOMMERCE = """\
Sale Order Item Status,Sale Order Item Code,Display Order Code,Sale Order Code,COD,\
Shipping Address Name,Shipping Address Line 1,Shipping Address Line 2,Shipping Address City,Shipping Address State,\
Shipping Address Country,Shipping Address Pincode,Shipping Address Phone,Item SKU Code,SKU Name,\
Selling Price,Total Price,Channel Name
CREATED,I-1,U-1,SO-1,1,Meera Reader,7 Banyan Road,near the well,Pune,Maharashtra,India,\
411001,9000000012,PEN-1,Fountain pen,300,350,SHOP
CREATED,I-2,U-1,SO-1,1,Meera Reader,7 Banyan Road,near the well,Pune,Maharashtra,India,\
411001,9000000012,INK-1,Ink,300,300,SHOP
"""


def test_a_unicommerce_export_has_a_row_for_every_unit() -> None:
    [row] = read_orders(io.StringIO(UNICOMMERCE), columns=ColumnMap.load("unicommerce"))

    assert row.order is not None
    assert row.order["shipment_details"] == {
        "reference_number": "U-1",
        "order_id": "SO-1",
        "order_type": "COD",
        "delivery_type": "FORWARD",
        "invoice_value": 650,
        "cod_value": 650,
        "items": [
            {"sku": "PEN-1", "description": "Fountain pen", "price": 300, "quantity": 1},
            {"sku": "INK-1", "description": "Ink", "price": 300, "quantity": 1},
        ],
    }


def test_what_the_file_says_goes_before_what_is_fixed() -> None:
    columns = ColumnMap(fixed={"weight": "500", "note": "x"})
    rows = read_orders(
        io.StringIO("reference_number,weight\nM-1,20\nM-2,\n"),
        columns=columns,
    )

    assert [row.order["shipment_details"]["weight"] for row in rows] == [20, 500]  # type: ignore[index]


def test_a_fixed_country_makes_an_order_one_for_the_world() -> None:
    columns = ColumnMap(fixed={"drop_country": "US"})
    [row] = read_orders(io.StringIO("reference_number\nM-1\n"), columns=columns)

    assert row.market == "world"


def test_a_value_of_theirs_is_found_whatever_its_capitals_and_others_by_the_star() -> None:
    columns = ColumnMap().extend(values={"order_type": {"Cash on Delivery": "COD", "*": "PREPAID"}})
    rows = read_orders(
        io.StringIO("reference_number,order_type\nM-1,CASH ON delivery\nM-2,card\nM-3,\n"),
        columns=columns,
    )

    found = [row.order["shipment_details"].get("order_type") for row in rows]  # type: ignore[index]
    assert found == ["COD", "PREPAID", None]


def test_a_fixed_value_that_cannot_be_read_is_named() -> None:
    [row] = read_orders(
        io.StringIO("reference_number\nM-1\n"), columns=ColumnMap(fixed={"weight": "heavy"})
    )

    assert str(row.problems[0]).startswith("row 2, weight: fixed: not a number")


def test_unknown_columns_are_refused_unless_others_are_ignored() -> None:
    text = "reference_number,Mood\nM-1,sunny\n"
    [refused] = read_orders(io.StringIO(text))
    [taken] = read_orders(io.StringIO(text), columns=ColumnMap(ignore_others=True))

    assert "unknown column" in str(refused.problems[0])
    assert taken.order == {"shipment_details": {"reference_number": "M-1"}}


def test_a_map_extends_a_file_beside_it(tmp_path: Path) -> None:
    saved(tmp_path, '[columns]\n"Ship To PIN" = "drop_pincode"\n', "parent.toml")
    child = saved(tmp_path, 'extends = "parent.toml"\n[columns]\n"PIN" = "pickup_pincode"\n')

    assert ColumnMap.load(child).columns == {
        "Ship To PIN": "drop_pincode",
        "PIN": "pickup_pincode",
    }


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("[columns\n", "not TOML"),
        ('[columns]\n"PIN" = "drop_pincod"\n', "drop_pincod: unknown column; did you mean"),
        ("[fixd]\nweight = 1\n", "its entries are extends"),
        ("[first]\nweight = 'two'\n", "weight: a number of characters is needed"),
        ('columns = "shopify"\n', "its entries are extends"),
        ('extends = "map.toml"\n', "extend each other"),
        ('extends = "nowhere.toml"\n', "nowhere.toml: No such file"),
    ],
)
def test_a_map_that_cannot_be_used_says_why(text: str, advice: str, tmp_path: Path) -> None:
    with pytest.raises(ColumnMapError, match=advice):
        ColumnMap.load(saved(tmp_path, text))


# --- what is skipped -----------------------------------------------------------------------------


def read(
    export: io.StringIO, columns: ColumnMap
) -> tuple[list[tuple[str | None, Any]], FileCounts]:
    reader = read_orders(export, columns=columns)
    rows = list(reader)
    assert [problem for row in rows for problem in row.problems] == []
    return [(row.reference, row.order) for row in rows], reader.counts


def adds_up(counts: FileCounts) -> bool:
    parts = counts.order_rows + counts.refused_rows + counts.skipped.total()
    return counts.rows == parts


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"Cancelled_at": "2026-11-20 14:08:49 +0530"}, "cancelled"),
        ({"Financial_Status": "refunded"}, "refunded"),
        ({"Financial_Status": "voided"}, "refunded"),
        ({"Fulfillment_Status": "fulfilled"}, "fulfilled"),
        ({"Fulfillment_Status": "restocked"}, "fulfilled"),
        ({"Shipping_Method": "Collect from Greenpoint Store"}, "collected in store"),
        ({"Shipping_Method": "Local Pickup"}, "collected in store"),
        ({"Lineitem_requires_shipping": "false"}, "needs no shipping"),
        ({"Lineitem_fulfillment_status": "fulfilled"}, "item fulfilled"),
        ({"Financial_Status": "pending", "Payment_Method": "Bank Deposit"}, "awaiting payment"),
    ],
)
def test_shopify_orders_that_are_not_to_be_shipped_are_skipped_and_counted(
    changes: dict[str, str], reason: str
) -> None:
    export = table(SHOPIFY, shopify_order("#1", **changes), shopify_order("#2"))

    orders, counts = read(export, ColumnMap.load("shopify"))

    assert [reference for reference, _ in orders] == ["#2"]
    assert str(counts) == f"2 rows: 1 order, 1 skipped ({reason} 1), 0 refused"


def test_a_skipped_order_takes_its_further_rows_with_it() -> None:
    export = table(
        SHOPIFY,
        shopify_order("#1", Cancelled_at="2026-11-20"),
        shopify_item("#1"),
        shopify_item("#1"),
        shopify_order("#2"),
        shopify_item("#2"),
    )

    orders, counts = read(export, ColumnMap.load("shopify"))

    assert [reference for reference, _ in orders] == ["#2"]
    assert str(counts) == "5 rows: 1 order in 2 rows, 3 skipped (cancelled 3), 0 refused"
    assert adds_up(counts)


def test_a_skipped_item_leaves_the_fields_of_its_order() -> None:
    export = table(
        SHOPIFY,
        shopify_order("#1", Lineitem_requires_shipping="false", Lineitem_name="Gift card"),
        shopify_item("#1"),
    )

    [(_, order)], counts = read(export, ColumnMap.load("shopify"))

    assert [item["description"] for item in order["shipment_details"]["items"]] == ["Ink"]
    assert order["drop_info"]["drop_name"] == "Meera Reader"
    assert counts.skipped == {"needs no shipping": 1}
    assert adds_up(counts)


def test_an_order_of_which_every_item_is_skipped_is_skipped() -> None:
    rows = [shopify_order("#1"), shopify_item("#1")]
    export = table(SHOPIFY, *(row | {"Lineitem requires shipping": "false"} for row in rows))

    orders, counts = read(export, ColumnMap.load("shopify"))

    assert orders == []
    assert counts.skipped == {"needs no shipping": 2}


def test_a_skip_rule_is_overridden_or_switched_off_by_its_reason() -> None:
    text = "Order,Status\n1,DONE\n2,void\n3,open\n4,\n"
    columns = ColumnMap().extend(
        columns={"Order": "reference_number"},
        skip={"done": {"Status": ["done", "void"]}},
        ignore_others=True,
    )

    def left(columns: ColumnMap) -> list[str | None]:
        return [reference for reference, _ in read(io.StringIO(text), columns)[0]]

    assert left(columns) == ["3", "4"]
    assert left(columns.extend(skip={"done": {"Status": "void"}})) == ["1", "3", "4"]
    assert left(columns.extend(skip={"done": False})) == ["1", "2", "3", "4"]
    assert left(columns.extend(skip={"other": {"Status": {"not": ["open"]}}})) == ["3"]
    assert left(columns.extend(skip={"any": {"Status": "*"}})) == ["4"]
    assert left(columns.extend(skip={"both": {"Status": "open", "Order": "9"}})) == ["3", "4"]


def test_a_skip_rule_without_its_column_is_a_mistake_unless_it_is_optional() -> None:
    text = "reference_number,Cancel\n1,\n"
    strict = ColumnMap(ignore_others=True).extend(skip={"cancelled": {"Cancelled": "*"}})
    optional = ColumnMap(ignore_others=True).extend(skip={"cancelled": {"Cancelled?": "*"}})

    [row] = read_orders(io.StringIO(text), columns=strict)

    assert row.is_heading
    assert str(row.problems[0]) == (
        'row 1, Cancelled: the file has no such column: [skip] "cancelled" needs it, or '
        '"cancelled" = false in the map'
    )
    assert read(io.StringIO(text), optional)[1].orders == 1


def test_a_refuse_rule_names_the_row_and_its_reason() -> None:
    columns = ColumnMap(ignore_others=True).extend(
        refuse={"has a discount": {"Discount": {"not": ["", "0"]}}}
    )
    rows = list(read_orders(io.StringIO("reference_number,Discount\n1,0\n2,5\n"), columns=columns))

    assert [list(map(str, row.problems)) for row in rows] == [
        [],
        ["row 3, Discount: has a discount"],
    ]
