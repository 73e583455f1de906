"""Files with other people's column names."""

import csv
import io
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from freezegun import freeze_time

from clickpost_async import structure
from clickpost_async.bulk import ColumnMap, ColumnMapError, check, read_orders
from clickpost_async.files.counts import FileCounts
from clickpost_async.files.template import GUIDES
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


def test_shopify_export_becomes_orders_that_can_be_sent(tmp_path: Path) -> None:
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
Shipping Address Name,Shipping Address Line 1,Shipping Address Line 2,Shipping Address City,\
Shipping Address State,\
Shipping Address Country,Shipping Address Pincode,Shipping Address Phone,Item SKU Code,SKU Name,\
Selling Price,Total Price,Channel Name
CREATED,I-1,U-1,SO-1,1,Meera Reader,7 Banyan Road,near the well,Pune,Maharashtra,India,\
411001,9000000012,PEN-1,Fountain pen,300,350,SHOP
CREATED,I-2,U-1,SO-1,1,Meera Reader,7 Banyan Road,near the well,Pune,Maharashtra,India,\
411001,9000000012,INK-1,Ink,300,300,SHOP
"""


def test_unicommerce_export_has_a_row_for_every_unit() -> None:
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


def test_value_of_the_file_precedes_a_fixed_one() -> None:
    columns = ColumnMap(fixed={"weight": "500", "note": "x"})
    rows = read_orders(
        io.StringIO("reference_number,weight\nM-1,20\nM-2,\n"),
        columns=columns,
    )

    assert [row.order["shipment_details"]["weight"] for row in rows] == [20, 500]  # type: ignore[index]


def test_fixed_country_makes_an_order_one_for_the_world() -> None:
    columns = ColumnMap(fixed={"drop_country": "US"})
    [row] = read_orders(io.StringIO("reference_number\nM-1\n"), columns=columns)

    assert row.market == "world"


def test_foreign_value_is_matched_ignoring_case_and_others_by_the_star() -> None:
    columns = ColumnMap().extend(values={"order_type": {"Cash on Delivery": "COD", "*": "PREPAID"}})
    rows = read_orders(
        io.StringIO("reference_number,order_type\nM-1,CASH ON delivery\nM-2,card\nM-3,\n"),
        columns=columns,
    )

    found = [row.order["shipment_details"].get("order_type") for row in rows]  # type: ignore[index]
    assert found == ["COD", "PREPAID", None]


def test_equal_value_goes_before_one_with_a_star_and_the_star_alone_is_last() -> None:
    columns = ColumnMap().extend(
        values={"order_type": {"*": "EXCHANGE", "*cod*": "COD", "qr code": "PREPAID"}}
    )
    text = "reference_number,order_type\nM-1,Cod fee\nM-2,QR code\nM-3,card\n"

    rows = read_orders(io.StringIO(text), columns=columns)

    found = [row.order["shipment_details"]["order_type"] for row in rows if row.order]
    assert found == ["COD", "PREPAID", "EXCHANGE"]


@pytest.mark.parametrize(
    ("title", "order_type"),
    [
        ("Cash on delivery", "COD"),
        ("Cash on Delivery (COD)", "COD"),
        ("Pay on Delivery", "COD"),
        ("COD", "COD"),
        ("COD (₹50 extra)", "COD"),
        ("Partial COD", "COD"),
        ("Pay by card (COD)", "COD"),
        ("Cashfree Payments", "PREPAID"),
        ("UPI QR code", "PREPAID"),
        ("Razorpay", "PREPAID"),
    ],
)
def test_woocommerce_payment_methods_are_recognised(title: str, order_type: str) -> None:
    assert ColumnMap.load("woocommerce").translate("order_type", title) == order_type


def test_fixed_value_that_cannot_be_read_is_named() -> None:
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


def test_map_extends_a_file_beside_it(tmp_path: Path) -> None:
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
def test_unusable_map_is_refused_with_the_reason(text: str, advice: str, tmp_path: Path) -> None:
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
    parts = counts.order_rows + counts.rejected_rows + counts.skipped.total()
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
    assert str(counts) == f"2 rows: 1 order, 1 skipped ({reason} 1)"


def test_skipped_order_takes_its_further_rows_with_it() -> None:
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
    assert str(counts) == "5 rows: 1 order (2 rows), 3 skipped (cancelled 3)"
    assert adds_up(counts)


def test_skipped_item_leaves_the_fields_of_its_order() -> None:
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


def test_order_of_which_every_item_is_skipped_is_skipped() -> None:
    rows = [shopify_order("#1"), shopify_item("#1")]
    export = table(SHOPIFY, *(row | {"Lineitem requires shipping": "false"} for row in rows))

    orders, counts = read(export, ColumnMap.load("shopify"))

    assert orders == []
    assert counts.skipped == {"needs no shipping": 2}


def test_skip_rule_is_overridden_or_switched_off_by_its_reason() -> None:
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


def test_skip_rule_without_its_column_is_a_mistake_unless_it_is_optional() -> None:
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


def test_refuse_rule_names_the_row_and_its_reason() -> None:
    columns = ColumnMap(ignore_others=True).extend(
        refuse={"has a discount": {"Discount": {"not": ["", "0"]}}}
    )
    rows = list(read_orders(io.StringIO("reference_number,Discount\n1,0\n2,5\n"), columns=columns))

    assert [list(map(str, row.problems)) for row in rows] == [
        [],
        ["row 3, Discount: has a discount"],
    ]


# --- what a map makes of several columns, and of values ------------------------------------------


def orders_of(text: str, **entries: Any) -> list[Any]:
    """Return the orders of a table, read with a map of these entries."""
    columns = ColumnMap(ignore_others=True).extend(**entries)
    rows = list(read_orders(io.StringIO(text), columns=columns))
    assert [str(problem) for row in rows for problem in row.problems] == []
    return [row.order for row in rows]


def shipments_of(text: str, **entries: Any) -> list[Any]:
    return [order["shipment_details"] for order in orders_of(text, **entries)]


def problems_of(text: str, **entries: Any) -> list[str]:
    columns = ColumnMap(ignore_others=True).extend(**entries)
    rows = read_orders(io.StringIO(text), columns=columns)
    return [str(problem) for row in rows for problem in row.problems]


def test_columns_are_joined_without_blanks_and_repetitions() -> None:
    text = (
        "reference_number,First,Last,Line 1,Line 2,Line 3\n"
        "1,Asha,Rao,12 A Road,,Jayanagar\n2,Asha,,12 A Road,12 A Road,\n"
    )
    first, second = orders_of(
        text,
        join={
            "drop_name": ["First", "Last"],
            "drop_address": ["Line 1", "Line 2", "Line 3"],
            "drop_landmark": {"columns": ["Line 3", "Last"], "glue": " / "},
        },
    )

    assert first["drop_info"] == {
        "drop_name": "Asha Rao",
        "drop_address": "12 A Road, Jayanagar",
        "drop_landmark": "Jayanagar / Rao",
    }
    assert second["drop_info"] == {"drop_name": "Asha", "drop_address": "12 A Road"}


def test_two_columns_that_become_one_are_named_with_the_way_to_join_them() -> None:
    entries = {"columns": {"First": "drop_name", "Last": "drop_name"}}

    assert problems_of("reference_number,First,Last\n1,A,B\n", **entries) == [
        (
            'row 1, Last: columns 2 "First" and 3 "Last" both become drop_name; '
            "join them with [join] in a map, or leave one out"
        )
    ]


@pytest.mark.parametrize(
    "entries",
    [
        {"columns": {"Typo Cool": "drop_email"}},
        {"join": {"drop_name": ["Typo Cool"]}},
        {"compute": {"invoice_value": "sum of Typo Cool"}},
    ],
)
def test_name_that_the_file_does_not_have_is_a_mistake(entries: dict[str, Any]) -> None:
    [problem] = problems_of("reference_number,Typo Col\n1,a\n", **entries)

    assert problem == (
        "row 1, Typo Cool: the file has no such column: the map names it; did you mean Typo Col?"
    )


def test_names_of_a_ready_made_map_may_be_missing_unless_a_map_names_them_too(
    tmp_path: Path,
) -> None:
    text = "Order Number,Order Status\n1,processing\n"
    own = '[columns]\n"SKU" = "item_sku"\n'
    columns = ColumnMap.load(saved(tmp_path, f'extends = "woocommerce"\n{own}'))

    [row] = read_orders(io.StringIO(text), columns=ColumnMap.load("woocommerce"))
    [refused] = read_orders(io.StringIO(text), columns=columns)

    assert row.problems == ()
    assert [problem.column for problem in refused.problems] == ["SKU"]


def test_names_are_compared_without_the_marks_of_templates() -> None:
    [shipment] = shipments_of(
        "*Order Id,Weight of shipment(KG)\n7,0.5\n",
        columns={"Order ID": "reference_number", "*Weight Of Shipment (kg) (Optional)": "weight"},
        scale={"weight": 1000},
    )

    assert shipment == {"reference_number": "7", "weight": 500}


@pytest.mark.parametrize(
    ("form", "cell", "expected"),
    [
        ("DD/MM/YYYY", "03/04/2027", "2027-04-03"),
        ("MM/DD/YYYY", "03/04/2027", "2027-03-04"),
        ("DD-MMM-YYYY", "03-Apr-2027", "2027-04-03"),
        ("DD.MM.YY", "03.04.27", "2027-04-03"),
        ("%d %B %Y", "3 April 2027", "2027-04-03"),
        ("DD/MM/YYYY", "2027-04-03", "2027-04-03"),
        (["DD-MM-YYYY", "DD/MM/YYYY"], "03/04/2027", "2027-04-03"),
    ],
)
def test_dates_are_read_in_the_format_of_the_file(form: Any, cell: str, expected: str) -> None:
    [shipment] = shipments_of(f"reference_number,invoice_date\n1,{cell}\n", dates={"format": form})

    assert shipment["invoice_date"] == expected


def test_times_are_read_in_the_format_of_the_file() -> None:
    [order] = orders_of(
        "reference_number,pickup_time\n1,03/04/2027 16:30\n",
        dates={"format": "DD/MM/YYYY"},
    )

    assert order["pickup_info"]["pickup_time"] == "2027-04-03T16:30:00"


# Half past ten on a Wednesday in Kolkata, and still Tuesday in New York.
NOW = "2027-02-03 05:00:00"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("today 17:00", "2027-02-03T17:00:00"),
        ("tomorrow 11:00", "2027-02-04T11:00:00"),
        ("Tomorrow 9:30", "2027-02-04T09:30:00"),
        ("wednesday 11:00", "2027-02-10T11:00:00"),
        ("monday 11:00", "2027-02-08T11:00:00"),
        ("in 2 days 11:00", "2027-02-05T11:00:00"),
        ("tomorrow 11:00 America/New_York", "2027-02-04T11:00:00"),
        ("2027-02-09T11:00:00", "2027-02-09T11:00:00"),
    ],
)
@freeze_time(NOW)
def test_textual_pickup_time_is_read_in_its_time_zone(text: str, expected: str) -> None:
    [order] = orders_of(
        "reference_number\n1\n", fixed={"pickup_time": text}, timezone="Asia/Kolkata"
    )

    assert order["pickup_info"]["pickup_time"] == expected


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"fixed": {"pickup_time": "tomorrow 11:00"}}, "needs a time zone"),
        (
            {"fixed": {"pickup_time": "today 10:00"}, "timezone": "Asia/Kolkata"},
            "'today 10:00' has passed: it is 10:30 in Asia/Kolkata",
        ),
        (
            {"fixed": {"pickup_time": "tomorrow 11:00"}, "timezone": "Asia/Atlantis"},
            "'Asia/Atlantis' is not a known time zone",
        ),
        (
            {"fixed": {"pickup_time": "tomorrow 25:00"}, "timezone": "Asia/Kolkata"},
            "'tomorrow 25:00' has no such time of day",
        ),
    ],
)
@freeze_time(NOW)
def test_unreadable_pickup_time_ends_the_reading(entries: dict[str, Any], message: str) -> None:
    [problem] = problems_of("reference_number\n1\n", **entries)

    assert problem.startswith("row 1, pickup_time: [fixed]: ")
    assert message in problem


def test_textual_invoice_date_is_a_day() -> None:
    with freeze_time(NOW):
        [shipment] = shipments_of(
            "reference_number\n1\n", fixed={"invoice_date": "today"}, timezone="Asia/Kolkata"
        )

    assert shipment["invoice_date"] == "2027-02-03"


# --- a second table ------------------------------------------------------------------------------


def test_sizes_are_looked_up_by_sku_and_weights_summed(tmp_path: Path) -> None:
    (tmp_path / "products.csv").write_text(
        "SKU;item_weight;item_length;item_gst_hsn_code\nLAMP-1;400;20;9405\nbulb-9;90;5;8539\n"
    )
    first, second = shipments_of(
        "reference_number,item_sku,item_quantity,item_weight\n"
        "1,LAMP-1,1,\n1,Bulb-9,3,\n2,LAMP-1,2,450\n",
        by={"item_sku": {"table": "products.csv"}},
        compute={"weight": "sum of item_weight", "length": "max of item_length"},
        folder=tmp_path,
    )

    assert [item["weight"] for item in first["items"]] == [400, 90]
    assert first["items"][1]["gst_info"] == {"hsn_code": "8539"}
    assert (first["weight"], first["length"]) == (670, 20)
    # What the file says goes before the table.
    assert second["weight"] == 900


def test_unknown_sku_is_named_where_a_sum_needs_it() -> None:
    problems = problems_of(
        "reference_number,item_sku\n1,LAMP-1\n1,PEN-9\n",
        by={"item_sku": {"LAMP-1": {"item_weight": 400}}},
        compute={"weight": "sum of item_weight"},
    )

    assert problems == ["row 3, item_weight: weight cannot be computed: it is missing here"]


def test_courier_is_chosen_by_weight_class() -> None:
    rows = [f"{number},{weight}" for number, weight in enumerate((500, 500.5, 2000, 9000), 1)]
    shipments = shipments_of(
        "\n".join(["reference_number,weight", *rows, ""]),
        by={
            "weight": {
                "0-500": {"courier_partner": 4},
                "500-2000": {"courier_partner": 5, "account_code": "heavy"},
                "*": {"courier_partner": 6},
            }
        },
    )

    assert [shipment["courier_partner"] for shipment in shipments] == [4, 5, 5, 6]
    assert shipments[1]["account_code"] == "heavy"


def test_numbers_that_look_like_classes_are_skus_elsewhere() -> None:
    [shipment] = shipments_of(
        "reference_number,item_sku\n1,20\n",
        by={"item_sku": {"12-34": {"item_weight": 1}, "*": {"item_weight": 2}}},
    )

    assert shipment["items"][0]["weight"] == 2


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("sku,item_weight\nA,1\na,2\n", "line 3: a is there twice"),
        ("sku,item_wieght\n", "item_wieght: unknown column"),
        ("sku\nA\n", "its first row names a key"),
    ],
)
def test_unusable_table_is_refused_with_the_reason(rows: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(rows)
    path = saved(tmp_path, '[by.item_sku]\ntable = "t.csv"\n')

    with pytest.raises(ColumnMapError, match=re.escape(message)):
        ColumnMap.load(path)


def test_missing_table_is_named(tmp_path: Path) -> None:
    path = saved(tmp_path, '[by.item_sku]\ntable = "t.csv"\n')

    with pytest.raises(ColumnMapError, match=r"t\.csv: No such file"):
        ColumnMap.load(path)


# --- computed values -----------------------------------------------------------------------------

COD = (
    "reference_number,order_type,Price,Tax,Due,item_quantity,item_price\n"
    "1,COD,10.10,0.20,9,2,5\n1,COD,20,,9,1,1.5\n2,PREPAID,7,1,0,1,7\n"
)


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("sum of Price", [30.1, 7]),
        ("sum of Price + Tax", [30.3, 8]),
        ("sum of Price - Tax", [29.9, 6]),
        ("max of Price", [20, 7]),
        ("Due", [9, 0]),
        ("sum of item_price", [11.5, 7]),
        ("sum of Price when COD", [30.1, 0]),
        ("Due when COD", [9, 0]),
    ],
)
def test_value_is_computed_over_the_rows_of_an_order(formula: str, expected: list[float]) -> None:
    shipments = shipments_of(COD, compute={"cod_value": formula})

    assert [shipment["cod_value"] for shipment in shipments] == expected


def test_value_of_an_item_is_computed_in_its_row() -> None:
    shipments = shipments_of(
        "reference_number,Amount,item_quantity\n1,10,4\n1,10,3\n",
        compute={"item_price": "Amount / item_quantity"},
    )

    assert [item["price"] for item in shipments[0]["items"]] == [2.5, 3.33]


def test_cod_is_computed_of_a_value_that_is_computed_or_fixed() -> None:
    text = "reference_number,order_type,Price\n1,COD,10\n1,COD,20\n2,PREPAID,5\n3,,5\n"
    computed = shipments_of(
        text, compute={"invoice_value": "sum of Price", "cod_value": "invoice_value when COD"}
    )
    fixed = shipments_of(
        text, fixed={"invoice_value": 99}, compute={"cod_value": "invoice_value when COD"}
    )

    assert [shipment.get("cod_value") for shipment in computed] == [30, 0, None]
    assert [shipment.get("cod_value") for shipment in fixed] == [99, 0, None]


@pytest.mark.parametrize(
    ("rows", "formula", "message"),
    [
        ("1,ten\n", "sum of Price", "row 2, Price: cod_value cannot be computed: not a number"),
        ("1,1\n1,2\n", "Price", "row 3, Price: cod_value cannot be computed: it differs between"),
        ("1,0\n", "Price / Price", "row 2, Price: cod_value cannot be computed: it is 0"),
    ],
)
def test_value_that_cannot_be_computed_names_row_and_column(
    rows: str, formula: str, message: str
) -> None:
    [problem] = problems_of(f"reference_number,Price\n{rows}", compute={"cod_value": formula})

    assert problem.startswith(message)


def test_value_of_the_file_precedes_a_computed_one() -> None:
    [shipment] = shipments_of(
        "reference_number,invoice_value,Price\n1,50,10\n",
        compute={"invoice_value": "sum of Price"},
    )

    assert shipment["invoice_value"] == 50


# --- files of the shapes that shops export -------------------------------------------------------

FIXED = {guide.name: guide.india for guide in GUIDES if guide.is_required and guide.india}


def shop(name: str, **fixed: str) -> ColumnMap:
    """Return a ready-made map with all that its export does not say."""
    return ColumnMap.load(name).extend(fixed=FIXED | ColumnMap.load(name).fixed | fixed)


def checked(export: io.StringIO, columns: ColumnMap) -> tuple[list[IndiaOrder], FileCounts]:
    reader = read_orders(export, columns=columns)
    rows = list(check(reader))
    assert [str(problem) for _, problems in rows for problem in problems] == []
    return [structure(row.order, IndiaOrder) for row, _ in rows], reader.counts


def test_woocommerce_export_becomes_orders_with_cod_by_payment_method() -> None:
    columns = (
        "Order Number,Order Status,Order Date,First Name (Billing),Email (Billing),"
        "Phone (Billing),First Name (Shipping),Last Name (Shipping),Address 1&2 (Shipping),"
        "City (Shipping),State Code (Shipping),Postcode (Shipping),Country Code (Shipping),"
        "Payment Method Title,Order Total Amount,SKU,Item #,Item Name,Quantity (- Refund),Item Cost"
    )
    order = {
        "Order Number": "501",
        "Order Status": "Processing",
        "Order Date": "2026-11-20 10:22",
        "Email (Billing)": "asha@example.com",
        "Phone (Billing)": "90000 00021",
        "First Name (Shipping)": "Asha",
        "Last Name (Shipping)": "Rao",
        "Address 1&2 (Shipping)": "12 A Road Jayanagar",
        "City (Shipping)": "Bengaluru",
        "State Code (Shipping)": "KA",
        "Postcode (Shipping)": "560041",
        "Country Code (Shipping)": "IN",
        "Payment Method Title": "Cash on delivery",
        "Order Total Amount": "598",
        "SKU": "LAMP-1",
        "Item Name": "Lamp",
        "Item Cost": "499",
        "Quantity (- Refund)": "1",
    }
    export = table(
        [columns],
        order,
        order | {"SKU": "BULB-9", "Item Name": "Bulb", "Item Cost": "99"},
        order | {"Order Number": "502", "Payment Method Title": "UPI"},
        order | {"Order Number": "503", "Order Status": "Cancelled"},
        order | {"Order Number": "504", "Order Status": "On hold"},
    )
    (first, second), counts = checked(export, shop("woocommerce"))

    assert first.drop_info.drop_name == "Asha Rao"
    assert (first.drop_info.drop_state, first.drop_info.drop_phone) == ("Karnataka", "9000000021")
    details = first.shipment_details
    assert (details.order_type, details.cod_value, len(details.items)) == ("COD", 598, 2)
    assert (second.shipment_details.order_type, second.shipment_details.cod_value) == (
        *("PREPAID", 0),
    )
    assert counts.skipped == {"cancelled": 1, "awaiting payment": 1}


AMAZON = (
    "order-id,order-item-id,purchase-date,payments-date,buyer-email,buyer-name,"
    "buyer-phone-number,sku,product-name,quantity-purchased,quantity-to-ship,currency,item-price,"
    "item-tax,shipping-price,shipping-tax,ship-service-level,recipient-name,ship-address-1,"
    "ship-address-2,ship-address-3,ship-city,ship-state,ship-postal-code,ship-country,"
    "ship-phone-number,payment-method,cod-collectible-amount"
)


def test_amazon_report_becomes_orders() -> None:
    row = {
        "order-id": "403-0000001-0000001",
        "order-item-id": "1111",
        "sku": "LAMP-1",
        "purchase-date": "2026-11-20T10:22:11+05:30",
        "buyer-email": "b@example.com",
        "buyer-phone-number": "9000000012",
        "product-name": 'Lamp 24"',
        "currency": "INR",
        "quantity-purchased": "2",
        "quantity-to-ship": "2",
        "item-price": "998.00",
        "shipping-price": "40.00",
        "ship-service-level": "Standard",
        "recipient-name": "Anu",
        "ship-address-1": "7 Banyan Road",
        "ship-address-3": "Near bank",
        "ship-city": "Pune",
        "ship-state": "Maharashtra",
        "ship-postal-code": "411001",
        "ship-country": "IN",
    }
    cod = {"payment-method": "COD", "cod-collectible-amount": "1038.00"}
    export = table(
        [AMAZON],
        row,
        row | {"order-item-id": "1112", "item-price": "100", "quantity-purchased": "1"},
        row | {"order-id": "403-0000002-0000002", **cod},
        row | {"order-id": "403-0000003-0000003", "quantity-to-ship": "0"},
        delimiter="\t",
    )
    (first, second), counts = checked(export, shop("amazon"))

    details = first.shipment_details
    assert (details.order_type, details.invoice_value) == ("PREPAID", 1178)
    assert [(item.quantity, item.price) for item in details.items] == [(2, 499), (1, 100)]
    assert first.drop_info.drop_address == "7 Banyan Road, Near bank"
    assert first.drop_info.drop_phone == "9000000012"
    assert (second.shipment_details.order_type, second.shipment_details.cod_value) == (
        *("COD", 1038),
    )
    assert counts.skipped == {"nothing left to ship": 1}


def test_unicommerce_export_may_mix_cod_and_prepaid_orders() -> None:
    columns = (
        "Sale Order Item Code,Display Order Code,Sale Order Code,COD,Channel Name,"
        "Order Date as dd/mm/yyyy hh:MM:ss,Shipping Address Name,Shipping Address Line 1,"
        "Shipping Address Line 2,Shipping Address City,Shipping Address State,"
        "Shipping Address Country,Shipping Address Pincode,Shipping Address Phone,"
        "Notification Email,Item SKU Code,SKU Name,Selling Price,Total Price,Sale Order Item Status"
    )
    row = {
        "Sale Order Item Code": "IT1",
        "Display Order Code": "UC-1",
        "COD": "1",
        "Order Date as dd/mm/yyyy hh:MM:ss": "20/11/2026 10:22:11",
        "Sale Order Code": "SO-1",
        "Shipping Address Name": "Asha Rao",
        "Shipping Address Line 1": "12 A Road",
        "Shipping Address City": "Bengaluru",
        "Shipping Address State": "Karnataka",
        "Shipping Address Country": "IN",
        "Shipping Address Pincode": "560041",
        "Shipping Address Phone": "9000000021",
        "Item SKU Code": "LAMP-1",
        "SKU Name": "Lamp",
        "Selling Price": "1499",
        "Total Price": "1599",
        "Sale Order Item Status": "CREATED",
    }
    export = table(
        [columns],
        row,
        row | {"Sale Order Item Code": "IT2", "Item SKU Code": "FAN-1", "Total Price": "1000"},
        row | {"Sale Order Item Code": "IT3", "Sale Order Item Status": "CANCELLED"},
        row | {"Display Order Code": "UC-2", "COD": "0", "Total Price": "999"},
        row | {"Display Order Code": "UC-3", "Sale Order Item Status": "DISPATCHED"},
        row | {"Display Order Code": "UC-4", "Sale Order Item Status": "UNFULFILLABLE"},
    )
    (first, second), counts = checked(export, shop("unicommerce"))

    details = first.shipment_details
    assert (details.order_type, details.cod_value, details.invoice_value) == ("COD", 2599, 2599)
    assert str(details.invoice_date) == "2026-11-20"
    assert len(details.items) == 2
    prepaid = second.shipment_details
    assert (prepaid.order_type, prepaid.cod_value, prepaid.invoice_value) == ("PREPAID", 0, 999)
    assert counts.skipped == {"cancelled": 1, "shipped already": 1, "cannot be fulfilled": 1}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"Financial_Status": "partially_refunded"}, "partly refunded: check what is left to ship"),
        ({"Fulfillment_Status": "on_hold"}, "fulfillment status is not known"),
        ({"Fulfillment_Status": "partial"}, None),
        ({"Fulfillment_Status": ""}, None),
    ],
)
def test_shopify_order_of_unclear_state_is_refused(
    changes: dict[str, str], reason: str | None
) -> None:
    export = table(SHOPIFY, shopify_order("#1", **changes))

    (row,) = read_orders(export, columns=ColumnMap.load("shopify"))

    assert [problem.message for problem in row.problems] == ([] if reason is None else [reason])


@pytest.mark.parametrize(
    ("name", "changes", "outcome"),
    [
        ("woocommerce", {"Order Status": "Shipped"}, "order status is not known"),
        (
            *("woocommerce", {"Order Refund Amount": "100"}),
            "partly refunded: check what is left to ship",
        ),
        ("woocommerce", {"Quantity (- Refund)": "0"}, "1 skipped (refunded item 1)"),
        ("woocommerce", {}, "1 row: 1 order"),
        (
            *("amazon", {"quantity-shipped": "1"}),
            "partly shipped: check quantity and amounts",
        ),
        ("amazon", {}, "1 row: 1 order"),
    ],
)
def test_order_that_is_partly_shipped_or_refunded_is_not_sent(
    name: str, changes: dict[str, str], outcome: str
) -> None:
    rows = {
        "woocommerce": {
            "Order Number": "77",
            "Order Status": "Processing",
            "Order Refund Amount": "0",
            "City (Shipping)": "Bengaluru",
            "Quantity (- Refund)": "1",
        },
        "amazon": {
            "order-id": "404-1",
            "order-item-id": "11",
            "ship-service-level": "Standard",
            "quantity-purchased": "2",
            "quantity-shipped": "0",
        },
    }
    row = rows[name] | changes
    reader = read_orders(table([",".join(row)], row), columns=ColumnMap.load(name))

    problems = [problem.message for found in reader for problem in found.problems]

    assert outcome in (*problems, *str(reader.counts).split(", "), str(reader.counts))


SHIPROCKET = {
    "short": (
        "*Order Id,Pickup Address Id (Optional),*Buyer's Mobile No.,*Buyer's First Name,"
        "Buyer's Last Name (Optional),Email (Optional),*Shipping Complete Address,"
        "Shipping Address Landmark (Optional),*Shipping Address Pincode,*Shipping Address City,"
        "*Shipping Address State,*Shipping Address Country,*Product Name,"
        "*Per Unit Price in INR (Inclusive of Tax),*Product Quantity,*Master SKU,"
        "*Payment Method (COD/Prepaid),*Partial COD (Yes/No),Paid Amount (Rs.),"
        "*Weight Of Shipment (kg),*Length (cm),*Breadth (cm),*Height (cm),Courier ID (Optional)"
    ),
    "old": (
        "*Order Id,Order Date as dd-mm-yyyy hh:MM,*Channel,*Payment Method(COD/Prepaid),"
        "*Customer First Name,Customer Last Name,Email (Optional),*Customer Mobile,"
        "*Shipping Address Line 1,Shipping Address Line 2,*Shipping Address Country,"
        "*Shipping Address State,*Shipping Address City,*Shipping Address Postcode,*Master SKU,"
        "*Product Name,*Product Quantity,*Selling Price(Per Unit Item; Inclusive of Tax),"
        "Total Discount (Per Order),*Partial COD (Yes/No),*Length (cm),*Breadth (cm),*Height (cm),"
        "*Weight Of Shipment(kg)"
    ),
}


@pytest.mark.parametrize("kind", SHIPROCKET)
def test_shiprockets_template_becomes_orders_in_grams(kind: str) -> None:
    titles = SHIPROCKET[kind].split(",")
    values = {
        "order id": "SR1",
        "mobile": "9000000001",
        "first name": "Anu",
        "last name": "Rao",
        "complete address": "12 A Road",
        "address line 1": "12 A Road",
        "pincode": "560041",
        "postcode": "560041",
        "city": "Bengaluru",
        "state": "Karnataka",
        "country": "India",
        "product name": "Lamp",
        "price": "499",
        "quantity": "2",
        "sku": "LAMP-1",
        "method": "COD",
        "partial": "No",
        "weight": "0.5",
        "length": "20",
        "breadth": "15",
        "height": "10",
        "order date": "20-11-2026 10:22",
    }
    row = {
        title: next((cell for word, cell in values.items() if word in title.lower()), "")
        for title in titles
    }
    (order,), _ = checked(table([SHIPROCKET[kind]], row), shop("shiprocket"))

    details = order.shipment_details
    assert (details.weight, details.order_type) == (500, "COD")
    assert (details.invoice_value, details.cod_value) == (998, 998)
    assert order.drop_info.drop_name == "Anu Rao"
    if kind == "old":
        assert str(details.invoice_date) == "2026-11-20"


@pytest.mark.parametrize(
    ("column", "value"),
    [("*Partial COD (Yes/No)", "Yes"), ("Paid Amount (Rs.)", "100")],
)
def test_partly_paid_order_needs_review(column: str, value: str) -> None:
    export = table([SHIPROCKET["short"]], {"*Order Id": "SR1", column: value})
    [row] = read_orders(export, columns=ColumnMap.load("shiprocket"))

    assert [problem.column for problem in row.problems] == [column]


def test_known_column_name_may_mean_another_column() -> None:
    text = "reference_number,item-price,Item Quantity\n1,998,2\n"
    computed = {"item_price": "item-price / item_quantity"}

    assert shipments_of(text)[0]["items"] == [{"price": 998, "quantity": 2}]
    assert shipments_of(text, compute=computed)[0]["items"] == [{"price": 499, "quantity": 2}]


def test_known_column_is_ignored_by_an_empty_name() -> None:
    [shipment] = shipments_of("reference_number,weight\n1,heavy\n", columns={"weight": ""})

    assert shipment == {"reference_number": "1"}


def test_cod_of_a_prepaid_order_is_zero_whatever_its_column() -> None:
    shipments = shipments_of(
        "reference_number,order_type,Total\n1,COD,9\n2,PREPAID,9\n2,PREPAID,9\n",
        columns={"Total": "cod_value"},
        compute={"cod_value": "Total when COD"},
    )

    assert [shipment["cod_value"] for shipment in shipments] == [9, 0]


def test_id_shortened_by_excel_is_accepted_where_it_is_not_needed() -> None:
    export = table(SHOPIFY, shopify_order("#1", Id="6.79E+12"))

    orders, _ = read(export, ColumnMap.load("shopify"))

    assert [reference for reference, _ in orders] == ["#1"]
