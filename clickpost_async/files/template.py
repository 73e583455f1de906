"""A template of a file of orders: the columns, one example order, and explanations."""

import csv
import datetime as dt
from collections.abc import Sequence
from typing import BinaryIO, TextIO

from attrs import frozen

from clickpost_async._util.extras import require
from clickpost_async.files.columns import Market


@frozen
class ColumnGuide:
    """A column of a template: its example for each market, and its explanation."""

    name: str
    is_required: bool
    india: str
    world: str
    text: str

    def example(self, market: Market) -> str:
        """Return the example's cell for a market, blank if it has no such field."""
        return self.india if market is Market.INDIA else self.world


# Name, required (!), example for India, example for the world (= is the same), explanation.
_GUIDE = """
reference_number !|SHOP-1001|=|Your number of the order. Rows with the same number are one order.
courier_partner !|4|145|ClickPost's number of the courier.
account_code|shop-delhivery|shop-dhl|The courier account in ClickPost, if there are several.
order_type !|PREPAID|=|PREPAID or COD.
delivery_type !|FORWARD|=|FORWARD, or RVP for a return.
cod_value !|0|=|The amount to collect; 0 for PREPAID.
currency_code||USD|Three letters; empty means rupees.
invoice_number|INV/1001|=|At most 50 characters.
invoice_date !|2027-01-03|=|Year-month-day.
invoice_value !|499|24.50|The value of the goods, taxes included.
length !|20|=|Centimetres.
breadth !|15|=|Centimetres.
height !|10|=|Centimetres.
weight !|500|=|Grams, of the whole parcel.
pickup_name !|Main Warehouse|=|Who hands the parcel over.
pickup_address !|Unit 7, M G Road|=|
pickup_city !|Mumbai|=|
pickup_state !|Maharashtra|=|
pickup_pincode !|400077|=|Six digits in India; the postal code elsewhere.
pickup_country !|IN|=|Two letters.
pickup_email !|warehouse@example.com|=|
pickup_phone !|9000000000|=|Digits, without the code of the country.
pickup_time !|2027-01-04T11:00:00|=|When the courier may come: year-month-dayThour:minute:second.
drop_name !|Asha Example|Maria Example|Who receives the parcel.
drop_address !|12, 4th Cross, Jayanagar|Sendlinger Strasse 72|
drop_landmark|near the temple||
drop_city !|Bengaluru|Munich|
drop_state !|Karnataka|Bavaria|
drop_pincode !|560041|80331|Six digits in India; the postal code elsewhere.
drop_country !|IN|DE|Two letters; another country than IN makes it an order for the world.
drop_email|asha@example.com|maria@example.com|
drop_phone !|9000000021|8999998070|Digits, without the code of the country.
drop_phone_code||+49|The code of the country.
item_description !|Table lamp|=|One row for each item; its other columns may be left empty.
item_sku !|LAMP-1|=|
item_quantity !|1|=|
item_price !|499|24.50|The price of one.
item_weight !|500|=|Grams, of one.
item_hs_code||9405.21|The code of the goods for customs.
item_manufacture_country_code||IN|
duty_fee_paid_by||S|Who pays duties: S for the shipper, R for the receiver.
shipper_tax_id||27AAAAA0000A1Z5|
note|an example: overwrite it|=|For yourselves; it is not sent.
"""


def _guides() -> Sequence[ColumnGuide]:
    guides: list[ColumnGuide] = []
    for line in _GUIDE.strip().splitlines():
        name, india, world, text = line.split("|")
        guides.append(
            ColumnGuide(
                name.removesuffix(" !"),
                is_required=name.endswith(" !"),
                india=india,
                world=india if world == "=" else world,
                text=text,
            )
        )
    return guides


GUIDES: Sequence[ColumnGuide] = _guides()


def template_columns(market: Market) -> Sequence[ColumnGuide]:
    """Return the columns of a template: those that a market needs, and common ones."""
    return [guide for guide in GUIDES if guide.is_required or guide.example(market)]


def example_row(market: Market, today: dt.date) -> Sequence[str]:
    """Return the example's cells, with an invoice of today and a pickup tomorrow."""
    tomorrow = today + dt.timedelta(days=1)
    dates = {"invoice_date": today.isoformat(), "pickup_time": f"{tomorrow.isoformat()}T11:00:00"}
    return [dates.get(guide.name, guide.example(market)) for guide in template_columns(market)]


def write_csv_template(file: TextIO, market: Market, today: dt.date) -> None:
    """Write headings and an example as CSV."""
    table = csv.writer(file)
    table.writerow(guide.name for guide in template_columns(market))
    table.writerow(example_row(market, today))


def write_xlsx_template(file: BinaryIO, market: Market, today: dt.date) -> None:
    """Write a workbook with a sheet of orders, whose cells are text, and one of explanations.

    Raises:
        ImportError: openpyxl is not installed.

    """
    with require("writing .xlsx needs openpyxl", "clickpost_async[xlsx]", "or choose --format csv"):
        from openpyxl import Workbook
        from openpyxl.styles import Font
        from openpyxl.utils import get_column_letter
    book = Workbook()
    orders = book.worksheets[0]
    orders.title = "orders"
    explanations = book.create_sheet("columns")
    guides = template_columns(market)
    orders.append([guide.name for guide in guides])
    orders.append(list(example_row(market, today)))
    orders.freeze_panes = "A2"
    for number, guide in enumerate(guides, 1):
        letter = get_column_letter(number)
        orders[f"{letter}1"].font = Font(bold=guide.is_required)
        orders.column_dimensions[letter].width = max(len(guide.name), 12) + 2
        # Cells are formatted as text: pincodes and phones stay as they are typed.
        orders.column_dimensions[letter].number_format = "@"
        for row in range(2, 202):
            orders[f"{letter}{row}"].number_format = "@"
    explanations.append(["column", "required", "example", "what it is"])
    for guide, example in zip(guides, example_row(market, today), strict=True):
        required = "yes" if guide.is_required else "no"
        explanations.append([guide.name, required, example, guide.text])
    for letter, width in zip("ABCD", (32, 10, 28, 80), strict=True):
        explanations.column_dimensions[letter].width = width
        explanations[f"{letter}1"].font = Font(bold=True)
    explanations.freeze_panes = "A2"
    book.save(file)
