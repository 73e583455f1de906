"""Recognising exports of shop systems, and starter maps."""

import csv
from collections.abc import Sequence
from pathlib import Path

import pytest

from clickpost_async.bulk import ColumnMap, ColumnMapError, check, read_orders
from clickpost_async.files.column_map import FILL_IN, ready_made
from clickpost_async.files.recognise import exports, recognise, recognise_rows, write_map
from clickpost_async.files.template import GUIDES

TITLES = {
    "shopify": ["Name", "Email", "Financial Status", "Lineitem name", "Cancelled at"],
    "woocommerce": ["Order Number", "Order Status", "First Name (Shipping)"],
    "amazon": ["order-id", "order-item-id", "purchase-date", "ship-service-level"],
    "unicommerce": ["Sale Order Item Code", "Display Order Code", "COD"],
    "shiprocket": ["*Order Id", "*Buyer's Mobile No.", "*Master SKU"],
}


def test_every_ready_made_map_can_be_recognised_and_loaded() -> None:
    assert {export.name for export in exports()} == set(ready_made()) == set(TITLES)
    for name in TITLES:
        assert ColumnMap.load(name).columns


@pytest.mark.parametrize("name", TITLES)
def test_export_is_recognised_by_its_columns(name: str) -> None:
    found = recognise(TITLES[name])

    assert found is not None
    assert found.name == name


def test_no_export_is_seen_in_our_own_columns_or_in_others() -> None:
    assert recognise([guide.name for guide in GUIDES]) is None
    assert recognise(["Order No", "Ship To PIN"]) is None


def test_row_that_names_the_columns_may_come_below_others() -> None:
    rows = [(1, ["Order details", ""]), (2, TITLES["shiprocket"]), (3, ["1", "9", "S"])]

    found = recognise_rows(rows)

    assert found is not None
    assert found.header_row == 2
    assert found.export is not None


def test_own_columns_are_recognised() -> None:
    found = recognise_rows([(1, ["Reference Number", "weight"])])

    assert found is not None
    assert (found.is_own, found.export) == (True, None)


def filled_in(text: str) -> str:
    """Fill in a map with the examples of the template."""
    examples = {guide.name: guide.india for guide in GUIDES}
    lines = []
    for line in text.splitlines():
        name, _, value = line.partition(" = ")
        is_open = value.startswith(f'"{FILL_IN}"')
        lines.append(f'{name} = "{examples[name]}"' if is_open else line)
    return "\n".join(lines)


def write(path: Path, titles: Sequence[str], *rows: Sequence[str]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([titles, *rows])
    return path


def test_map_that_is_not_filled_in_is_refused_and_a_filled_one_makes_orders(
    tmp_path: Path,
) -> None:
    titles = ["Name", "Financial Status", "Lineitem name", "Cancelled at", "Fulfillment Status"]
    titles += ["Created at", "Total", "Outstanding Balance", "Shipping Name", "Shipping Street"]
    titles += ["Shipping City", "Shipping Province Name", "Shipping Zip", "Shipping Country"]
    titles += ["Shipping Phone", "Lineitem quantity", "Lineitem price", "Lineitem sku"]
    row = ["#1", "paid", "Lamp", "", "", "2026-11-20 10:22", "499", "0", "Asha", "12 Cross"]
    row += ["Pune", "Maharashtra", "411001", "IN", "9000000021", "1", "499", "LAMP-1"]
    found = recognise_rows([(1, titles)])
    assert found is not None
    path = tmp_path / "shop.toml"
    path.write_text(write_map(found))

    with pytest.raises(ColumnMapError, match="still to be filled in: courier_partner, length,"):
        ColumnMap.load(path)
    path.write_text(filled_in(path.read_text()))
    rows = check(read_orders(write(tmp_path / "e.csv", titles, row), columns=ColumnMap.load(path)))

    assert [problems for _, problems in rows] == [()]


def test_map_for_an_unknown_file_suggests_what_is_alike_and_marks_the_rest(
    tmp_path: Path,
) -> None:
    found = recognise_rows(
        [(1, ["Order No", "Ship To PIN", "Sender City", "Email", "weight", 'Mood "x"'])]
    )
    assert found is not None
    text = write_map(found)
    path = tmp_path / "map.toml"
    path.write_text(filled_in(text))

    assert ColumnMap.load(path).columns == {
        "Order No": "reference_number",
        "Ship To PIN": "drop_pincode",
        "Sender City": "pickup_city",
    }
    assert '# "Email" = ""' in text
    assert '# "Mood \\"x\\"" = ""' in text


def test_file_without_a_number_of_the_order_cannot_be_pushed_by_its_map(tmp_path: Path) -> None:
    found = recognise_rows([(1, ["Mood"])])
    assert found is not None
    path = tmp_path / "map.toml"
    path.write_text(filled_in(write_map(found)))

    with pytest.raises(ColumnMapError, match="the column with the number of the order"):
        ColumnMap.load(path)
