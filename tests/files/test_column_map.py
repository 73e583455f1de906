"""Files with other people's column names."""

import io
from pathlib import Path

import pytest

from clickpost_async import structure
from clickpost_async.bulk import ColumnMap, ColumnMapError, check, read_orders
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

SHOPIFY = """\
Name,Email,Financial Status,Paid at,Fulfillment Status,Currency,Subtotal,Total,Created at,\
Lineitem quantity,Lineitem name,Lineitem price,Lineitem SKU,Shipping Name,Shipping Street,\
Shipping City,Shipping Zip,Shipping Province,Shipping Country,Shipping Phone,Notes,Vendor,\
Outstanding Balance,Id,Tags,Shipping Province Name
#1001,meera@example.com,pending,,unfulfilled,INR,900.00,950.00,2026-11-20 10:22:11 +0530,\
2,Fountain pen,300.00,PEN-1,Meera Reader,7 Banyan Road,Pune,'411001,MH,IN,+91 90000 00012,,Lotus,\
950.00,5551001,,Maharashtra
#1001,meera@example.com,,,,,,,2026-11-20 10:22:11 +0530,1,Ink,300.00,INK-1,,,,,,,,,Lotus,,,,
#1002,ravi@example.com,paid,2026-11-20,unfulfilled,INR,80.00,80.00,2026-11-20 11:00:00 +0530,\
1,Notebook,80.00,NB-1,Ravi Writer,9 Quill Street,Delhi,'110001,DL,IN,9000000013,,Lotus,0.00,\
5551002,,Delhi
"""


def saved(tmp_path: Path, text: str, name: str = "map.toml") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def test_a_shopify_export_becomes_orders_that_can_be_sent(tmp_path: Path) -> None:
    columns = ColumnMap.load(saved(tmp_path, WAREHOUSE))
    rows = list(read_orders(io.StringIO(SHOPIFY), columns=columns))

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
Sale Order Item Code,Display Order Code,Sale Order Code,COD,Shipping Address Name,\
Shipping Address Line 1,Shipping Address Line 2,Shipping Address City,Shipping Address State,\
Shipping Address Country,Shipping Address Pincode,Shipping Address Phone,Item SKU Code,SKU Name,\
Selling Price,Channel Name
I-1,U-1,SO-1,1,Meera Reader,7 Banyan Road,near the well,Pune,Maharashtra,India,411001,9000000012,\
PEN-1,Fountain pen,300,SHOP
I-2,U-1,SO-1,1,Meera Reader,7 Banyan Road,near the well,Pune,Maharashtra,India,411001,9000000012,\
INK-1,Ink,300,SHOP
"""


def test_a_unicommerce_export_has_a_row_for_every_unit() -> None:
    [row] = read_orders(io.StringIO(UNICOMMERCE), columns=ColumnMap.load("unicommerce"))

    assert row.order is not None
    assert row.order["shipment_details"] == {
        "reference_number": "U-1",
        "order_id": "SO-1",
        "order_type": "COD",
        "delivery_type": "FORWARD",
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
        ("[first]\nweight = 'two'\n", "its entries are extends"),
        ('columns = "shopify"\n', "its entries are extends"),
        ('extends = "map.toml"\n', "extend each other"),
        ('extends = "nowhere.toml"\n', "nowhere.toml: No such file"),
    ],
)
def test_a_map_that_cannot_be_used_says_why(text: str, advice: str, tmp_path: Path) -> None:
    with pytest.raises(ColumnMapError, match=advice):
        ColumnMap.load(saved(tmp_path, text))
