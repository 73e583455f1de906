"""Make the file of orders that ships with the project: `python -m tests.make_demo_orders`.

The cities and their codes are real; the people, shops, numbers and mail addresses are invented.
The note of an order says what should become of it: `wrong` orders have a mistake, `refused` ones
are in order but ClickPost or the courier says no, `trouble` ones succeed after a repetition,
`again` ones repeat an earlier order.
"""

import csv
import io
import random
import re
import sys
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

FILE = Path(__file__).parent.parent / "clickpost_async" / "files" / "orders.csv"

COLUMNS = [
    "reference_number",
    "note",
    "courier_partner",
    "account_code",
    "order_type",
    "delivery_type",
    "cod_value",
    "currency_code",
    "invoice_number",
    "invoice_date",
    "invoice_value",
    "length",
    "breadth",
    "height",
    "weight",
    "rvp_reason",
    "async",
    "merchant_order_id",
    "pickup_name",
    "pickup_address",
    "pickup_city",
    "pickup_state",
    "pickup_pincode",
    "pickup_country",
    "pickup_email",
    "pickup_phone",
    "pickup_phone_code",
    "pickup_time",
    "tin",
    "drop_name",
    "drop_address",
    "drop_landmark",
    "drop_city",
    "drop_state",
    "drop_pincode",
    "drop_country",
    "drop_email",
    "drop_phone",
    "drop_phone_code",
    "drop_address_type",
    "item_description",
    "item_sku",
    "item_category",
    "item_quantity",
    "item_price",
    "item_weight",
    "item_length",
    "item_breadth",
    "item_height",
    "item_hs_code",
    "item_manufacture_country_code",
    "gst_seller_gstin",
    "gst_taxable_value",
    "gst_place_of_supply",
    "duty_fee_paid_by",
    "shipper_tax_id",
    "additional.channel_name",
]

Cells = dict[str, str]
Order = list[Cells]
Spoil = Callable[[Order], object]

GSTIN = "27AAAAA0000A1Z5"
DAY = "2027-01-04"

# city, state, pincode, street
INDIA = """
    New Delhi|Delhi|110001|Barakhamba Road
    New Delhi|Delhi|110019|Kalkaji Main Road
    Mumbai|Maharashtra|400001|Dr D N Road
    Mumbai|Maharashtra|400050|Hill Road, Bandra West
    Mumbai|Maharashtra|400077|M G Road, Ghatkopar East
    Pune|Maharashtra|411001|East Street, Camp
    Nagpur|Maharashtra|440010|Ambazari Road
    Bengaluru|Karnataka|560001|Church Street
    Bengaluru|Karnataka|560038|100 Feet Road, Indiranagar
    Mysuru|Karnataka|570001|Sayyaji Rao Road
    Chennai|Tamil Nadu|600001|Rajaji Salai
    Chennai|Tamil Nadu|600017|Pondy Bazaar, T Nagar
    Coimbatore|Tamil Nadu|641001|Oppanakara Street
    Hyderabad|Telangana|500001|Abids Road
    Hyderabad|Telangana|500034|Road No 12, Banjara Hills
    Kolkata|West Bengal|700001|B B D Bagh
    Kolkata|West Bengal|700016|Park Street
    Ahmedabad|Gujarat|380001|Relief Road
    Surat|Gujarat|395003|Ring Road
    Jaipur|Rajasthan|302001|M I Road
    Lucknow|Uttar Pradesh|226001|Hazratganj
    Kanpur|Uttar Pradesh|208001|The Mall
    Patna|Bihar|800001|Fraser Road
    Bhopal|Madhya Pradesh|462001|Hamidia Road
    Indore|Madhya Pradesh|452001|M G Road
    Kochi|Kerala|682001|Princess Street, Fort Kochi
    Thiruvananthapuram|Kerala|695001|Statue Road
    Guwahati|Assam|781001|Pan Bazaar
    Bhubaneswar|Odisha|751001|Janpath
    Chandigarh|Chandigarh|160017|Sector 17 Plaza
    Panaji|Goa|403001|18th June Road
    Shimla|Himachal Pradesh|171001|The Mall
"""

# city, state, postal code, street, country, dialling code, invented phone, currency, INR for one
WORLD = """
    Dubai|Dubai||Al Quoz Street 4|AE|+971|5000001%02d|AED|23
    Abu Dhabi|Abu Dhabi||Hamdan Street|AE|+971|5000002%02d|AED|23
    Sharjah|Sharjah||Al Wahda Street|AE|+971|5000003%02d|AED|23
    Riyadh|Riyadh|12211|Olaya Street|SA|+966|5000004%02d|SAR|22
    Jeddah|Makkah|23431|Palestine Street|SA|+966|5000005%02d|SAR|22
    Dammam|Eastern Province|32241|King Saud Street|SA|+966|5000006%02d|SAR|22
    Kuwait City|Al Asimah|13001|Fahad Al Salem Street|KW|+965|500007%02d|KWD|270
    Doha|Doha||C Ring Road|QA|+974|500008%02d|QAR|23
    Manama|Capital|317|Government Avenue|BH|+973|360009%02d|BHD|220
    Muscat|Muscat|112|Ruwi High Street|OM|+968|900010%02d|OMR|215
    New York|NY|10001|W 31st Street|US|+1|21255501%02d|USD|84
    Austin|TX|78701|Congress Avenue|US|+1|51255501%02d|USD|84
    Chicago|IL|60601|E Wacker Drive|US|+1|31255501%02d|USD|84
    San Francisco|CA|94103|Mission Street|US|+1|41555501%02d|USD|84
    Seattle|WA|98101|Pike Street|US|+1|20655501%02d|USD|84
    London|England|EC1A 1BB|Aldersgate Street|GB|+44|77009000%02d|GBP|107
    Berlin|Berlin|10115|Chausseestraße|DE|+49|30231250%02d|EUR|91
    München|Bayern|80331|Sendlinger Straße|DE|+49|89999980%02d|EUR|91
    Paris|Île-de-France|75001|Rue de Rivoli|FR|+33|1990001%02d|EUR|91
    Amsterdam|Noord-Holland|1012 JS|Damrak|NL|+31|201110%02d|EUR|91
    Madrid|Madrid|28013|Calle del Arenal|ES|+34|9100001%02d|EUR|91
    Milano|Lombardia|20121|Via Manzoni|IT|+39|0200001%02d|EUR|91
    Dublin|Leinster|D02 AF30|Dawson Street|IE|+353|152511%02d|EUR|91
    Singapore|Singapore|018956|Marina Boulevard|SG|+65|800001%02d|SGD|63
"""

# description, sku, category, price in INR, grams, length, breadth, height in cm, HS code
GOODS = """
    Cotton kurta, block printed|KUR|Apparel|1299|280|30|24|3|6211.42
    Banarasi silk saree|SAR|Apparel|6499|750|36|28|5|5007.20
    Leather sandals, size 42|SAN|Footwear|1899|640|31|20|12|6403.59
    Running shoes, size 9|RUN|Footwear|3499|820|33|21|12|6404.11
    Steel water bottle, 1 l|BOT|Kitchen|799|410|29|9|9|7323.93
    Pressure cooker, 3 l|COO|Kitchen|2199|2300|38|24|20|7615.10
    Masala gift box|MAS|Grocery|649|900|26|19|8|0910.91
    Darjeeling tea, 250 g|TEA|Grocery|575|290|18|10|7|0902.40
    Wireless earphones|EAR|Electronics|2499|120|12|10|5|8518.30
    Phone charger, 33 W|CHA|Electronics|1199|140|11|8|5|8504.40
    Table lamp, brass|LAM|Home|2899|1600|28|22|40|9405.21
    Jute rug, 120 × 180 cm|RUG|Home|3299|3800|124|18|18|5702.92
    Paperback novel|BOO|Books|399|320|21|14|3|4901.99
    Wooden puzzle, 100 pieces|PUZ|Toys|549|450|25|20|6|9503.00
    Sunscreen lotion, 100 ml|SUN|Beauty|499|150|16|6|5|3304.99
"""

FIRST = [
    "Aarav",
    "Aditi",
    "Anjali",
    "Arjun",
    "Deepa",
    "Farhan",
    "Fatima",
    "Gurpreet",
    "Ishaan",
    "Kabir",
    "Kavya",
    "Lakshmi",
    "Meera",
    "Mohammed",
    "Naina",
    "Nikhil",
    "Priya",
    "Rahul",
    "Riya",
    "Rohan",
    "Sana",
    "Sanjay",
    "Simran",
    "Tara",
    "Varun",
    "Zoya",
]
LAST = [
    "Agarwal",
    "Ahmed",
    "Banerjee",
    "Bose",
    "Chopra",
    "Das",
    "D'Souza",
    "Fernandes",
    "Gill",
    "Gupta",
    "Iyer",
    "Joshi",
    "Kapoor",
    "Khan",
    "Menon",
    "Mukherjee",
    "Naidu",
    "Nair",
    "Patel",
    "Rao",
    "Reddy",
    "Shah",
    "Sharma",
    "Singh",
    "Thomas",
    "Verma",
]
ABROAD = """
    Ahmad Al-Farsi|Layla Haddad|Omar Al-Sayed|Noor Rahman|Emily Carter|Daniel Nguyen|Sofia Rossi
    Lukas Weber|Chloé Martin|Jan de Vries|Lucía Fernández|Aoife Byrne|Grace Tan|James Wilson
"""
REASONS = (
    "size does not fit",
    "arrived damaged",
    "wrong item sent",
    "not as described",
    "changed my mind",
)

FORWARD = (4, 5, 6, 9, 3, 55, 212, 250)
REVERSE = (11, 25, 28, 41)
PIECES = (129, 201)
WORLD_FORWARD = (2, 138, 145, 218, 1)
WORLD_PIECES = (296, 301, 311, 164)
WORLD_REVERSE = (159, 325)
NAMES = {
    1: "fedex", 2: "aramex", 3: "ecom", 4: "delhivery", 5: "bluedart", 6: "xpressbees",
    9: "shadowfax", 11: "shadowfax-rvp", 25: "delhivery-rvp", 28: "bluedart-rvp",
    41: "xpressbees-rvp", 55: "ekart", 129: "bluedart-mps", 138: "naqel", 145: "dhl",
    159: "dhl-reverse", 164: "dhl-mps", 201: "self-mps", 212: "amazon", 218: "redbox",
    250: "smartr", 296: "naqel-mps", 301: "fodel-mps", 311: "skyexpress-mps",
    325: "skyexpress-rvp",
}  # fmt: skip


def _table(text: str) -> list[list[str]]:
    return [line.strip().split("|") for line in text.strip().splitlines()]


class Shop:
    """Invents orders, the same ones for the same seed."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.india = _table(INDIA)
        self.world = _table(WORLD)
        self.goods = _table(GOODS)
        self.abroad = [name for line in _table(ABROAD) for name in line]
        self.count = 0

    def home(self, courier: int, *, kind: str = "PREPAID", rvp: bool = False, n: int = 1) -> Order:
        """Invent an order within India."""
        order = self._order(f"IN-27-{self._next():05}", courier, rvp=rvp)
        customer, warehouse = ("pickup", "drop") if rvp else ("drop", "pickup")
        order |= self._indian(customer) | self._warehouse(warehouse)
        order |= {"tin": GSTIN, "pickup_time": f"{DAY}T{self.dice.randrange(9, 18):02}:00:00"}
        rows = self._rows(order, n, rate=1)
        total = float(order["invoice_value"])
        order |= {"order_type": kind, "cod_value": _money(total if kind == "COD" else 0)}
        if total > 5000:
            place = order["drop_state"].upper()
            order |= {"gst_seller_gstin": GSTIN, "gst_taxable_value": _money(total)}
            order |= {"gst_place_of_supply": place}
        return rows

    def away(self, courier: int, *, kind: str = "PREPAID", rvp: bool = False, n: int = 1) -> Order:
        """Invent an order outside India or across its border."""
        order = self._order(f"WW-27-{self._next():05}", courier, rvp=rvp)
        place = self.dice.choice(self.world)
        customer, shop = ("pickup", "drop") if rvp else ("drop", "pickup")
        order |= self._foreign(customer, place, self.dice.choice(self.abroad))
        crosses = not rvp and courier in (1, 145, 164)
        if crosses:
            order |= self._warehouse(shop) | {f"{shop}_phone_code": "+91"}
            order |= {"duty_fee_paid_by": self.dice.choice("SR"), "shipper_tax_id": GSTIN}
        else:
            order |= self._foreign(shop, self.world[0], "Bazaar Lane Gulf")
        order |= {"pickup_time": f"{DAY}T{self.dice.randrange(8, 17):02}:30:00"}
        rows = self._rows(order, n, rate=float(place[8]))
        total = order["invoice_value"]
        order |= {"order_type": kind, "cod_value": total if kind == "COD" else "0"}
        order |= {"currency_code": place[7]}
        return rows

    def _next(self) -> int:
        self.count += 1
        return self.count

    def _order(self, reference: str, courier: int, *, rvp: bool) -> Cells:
        return {
            "reference_number": reference,
            "courier_partner": str(courier),
            "account_code": f"bazaarlane-{NAMES[courier]}",
            "delivery_type": "RVP" if rvp else "FORWARD",
            "rvp_reason": self.dice.choice(REASONS) if rvp else "",
            "invoice_number": f"BL/27/{self.count:05}",
            "invoice_date": "2027-01-03",
            "merchant_order_id": f"#{1000 + self.count}",
            "additional.channel_name": self.dice.choice(("web", "app", "marketplace", "")),
        }

    def _indian(self, side: str) -> Cells:
        city, state, pincode, street = self.dice.choice(self.india)
        name = f"{self.dice.choice(FIRST)} {self.dice.choice(LAST)}"
        cells = {
            f"{side}_name": name,
            f"{side}_address": f"Flat {self.dice.randrange(1, 99)}, {street}",
            f"{side}_city": city,
            f"{side}_state": state,
            f"{side}_pincode": pincode,
            f"{side}_country": "IN",
            f"{side}_email": _mail(name),
            f"{side}_phone": f"90000{self.dice.randrange(100_000):05}",
        }
        if side == "drop":
            near = self.dice.choice(
                ("", "", "next to the post office", "opposite the metro station")
            )
            cells["drop_landmark"] = near
            cells["drop_address_type"] = self.dice.choice(("RESIDENTIAL", "OFFICE", ""))
        return cells

    def _warehouse(self, side: str) -> Cells:
        city, state, pincode, street = self.dice.choice((self.india[4], self.india[8]))
        return {
            f"{side}_name": "Bazaar Lane Warehouse",
            f"{side}_address": f"Unit 7, {street}",
            f"{side}_city": city,
            f"{side}_state": state,
            f"{side}_pincode": pincode,
            f"{side}_country": "IN",
            f"{side}_email": "warehouse@example.com",
            f"{side}_phone": "9000000000",
        }

    def _foreign(self, side: str, place: list[str], name: str) -> Cells:
        city, state, code, street, country, dialling, phone, *_ = place
        return {
            f"{side}_name": name,
            f"{side}_address": f"{street} {self.dice.randrange(1, 200)}",
            f"{side}_city": city,
            f"{side}_state": state,
            f"{side}_pincode": code,
            f"{side}_country": country,
            f"{side}_email": _mail(name),
            f"{side}_phone": phone % self.dice.randrange(100),
            f"{side}_phone_code": dialling,
        }

    def _rows(self, order: Cells, pieces: int, rate: float) -> Order:
        """Give an order its items; with several, each is a carton on a row of its own."""
        rows, total, grams = [order], 0.0, 0
        for piece in range(pieces):
            description, sku, category, price, weight, *size, code = self.dice.choice(self.goods)
            quantity = self.dice.choice((1, 1, 1, 2, 3))
            each = round(float(price) / rate, 2)
            row = order if piece == 0 else {"reference_number": order["reference_number"]}
            row |= {
                "item_description": description,
                "item_sku": f"{sku}-{self.dice.randrange(100, 1000)}",
                "item_category": category,
                "item_quantity": str(quantity),
                "item_price": _money(each),
                "item_weight": weight,
                "item_hs_code": code,
                "item_manufacture_country_code": "IN",
            }
            if pieces > 1:
                row |= dict(zip(("item_length", "item_breadth", "item_height"), size, strict=True))
            if piece == 0:
                order |= dict(zip(("length", "breadth", "height"), size, strict=True))
            else:
                rows.append(row)
            total += each * quantity
            grams += int(weight) * quantity
        order |= {"invoice_value": _money(total), "weight": str(grams)}
        return rows


def _money(amount: float) -> str:
    return f"{amount:.2f}".removesuffix(".00")


def _mail(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return ".".join(re.findall(r"[a-z]+", plain)) + "@example.com"


# What is wrong, and the cells that make it so; the file names every mistake in its note.
WRONG_AT_HOME: tuple[tuple[str, Cells], ...] = (
    ("pincode of four digits", {"drop_pincode": "5600"}),
    ("pincode begins with 0", {"drop_pincode": "011001"}),
    ("COD without an amount", {"order_type": "COD", "cod_value": "0"}),
    ("PREPAID with an amount to collect", {"cod_value": "499"}),
    ("RVP without a reason", {"delivery_type": "RVP", "courier_partner": "25"}),
    ("no phone of the customer", {"drop_phone": ""}),
    ("phone with words in it", {"drop_phone": "call the gate"}),
    ("phone shortened by a spreadsheet", {"drop_phone": "9.00001E+09"}),
    ("negative price", {"item_price": "-1299"}),
    ("pickup on the 45th", {"pickup_time": "2027-01-45T10:00:00"}),
    ("pickup time in words", {"pickup_time": "tomorrow morning"}),
    ("order type unknown", {"order_type": "CASH"}),
    ("delivery type unknown", {"delivery_type": "SIDEWAYS"}),
    ("weight with its unit", {"weight": "1.2 kg"}),
    ("amount with two readings", {"invoice_value": "1,29"}),
    ("quantity 0", {"item_quantity": "0"}),
    ("half an item", {"item_quantity": "1.5"}),
    ("courier by name", {"courier_partner": "Delhivery"}),
    ("name that a spreadsheet has lost", {"drop_name": "#REF!"}),
    ("date the other way round", {"invoice_date": "03-01-2027"}),
    ("height with its unit", {"height": "12 cm"}),
    ("three mistakes", {"drop_pincode": "4OOOO1", "item_price": "", "order_type": "cod"}),
)
WRONG_ABROAD: tuple[tuple[str, Cells], ...] = (
    ("two phones in one cell", {"drop_phone": "500000804 / 500000805"}),
    ("letters lost in saving", {"drop_city": "??? ?????"}),
    ("currency in words", {"currency_code": "euro"}),
)
REFUSED: tuple[tuple[str, Cells], ...] = (
    ("no such account", {"account_code": "unknown-account"}),
    ("account is inactive", {"account_code": "inactive-account"}),
    ("two accounts of this name", {"account_code": "shared-account"}),
    ("wrong credentials of the account", {"account_code": "wrong-credentials"}),
    ("vendor code needed", {"account_code": "needs-vendor-code"}),
    ("pincode not served", {"drop_pincode": "999999"}),
    ("courier refuses", {"reference_number": "IN-27-COURIER-REFUSES"}),
    (
        "courier refuses, asynchronously",
        {"reference_number": "IN-27-COURIER-REFUSES-B", "async": "true"},
    ),
    ("courier does not know why", {"reference_number": "IN-27-COURIER-ODD"}),
    ("no waybills left", {"reference_number": "IN-27-WAYBILLS-USED-UP"}),
    ("not an RVP courier", {"delivery_type": "RVP", "rvp_reason": "too late"}),
)
TROUBLE: tuple[tuple[str, Cells], ...] = (
    ("courier busy once", {"reference_number": "IN-27-COURIER-BUSY-1"}),
    ("courier busy twice", {"reference_number": "IN-27-COURIER-BUSY-2"}),
    ("courier slow once", {"reference_number": "IN-27-COURIER-SLOW-1"}),
)


def make() -> list[Order]:
    """Return all orders of the file, in its order."""
    shop = Shop(2027)
    dice = shop.dice
    orders = [
        *(
            shop.home(dice.choice(FORWARD), kind=dice.choice(("COD", "PREPAID")))
            for _ in range(138)
        ),
        *(shop.home(4, kind="EXCHANGE") for _ in range(10)),
        *(shop.home(dice.choice(REVERSE), rvp=True) for _ in range(18)),
        *(shop.home(dice.choice(PIECES), n=dice.randrange(2, 5)) for _ in range(10)),
        *(shop.away(dice.choice(WORLD_FORWARD)) for _ in range(42)),
        *(shop.away(dice.choice((2, 138)), kind="COD") for _ in range(18)),
        *(shop.away(dice.choice(WORLD_PIECES), n=dice.randrange(2, 4)) for _ in range(8)),
        *(shop.away(dice.choice(WORLD_REVERSE), rvp=True) for _ in range(6)),
    ]
    for order in orders[::12]:
        order[0]["async"] = "true"
    orders += _special(shop)
    dice.shuffle(orders)
    good = [order for order in orders if "note" not in order[0]]
    for order in good[:40:7]:
        orders.append([{**row} for row in order])
        orders[-1][0]["note"] = "again: this order stands further up as well"
    return orders


def _special(shop: Shop) -> Iterator[Order]:
    for message, spoiled, maker, courier in (
        ("wrong", WRONG_AT_HOME, shop.home, 4),
        ("wrong", WRONG_ABROAD, shop.away, 2),
        ("refused", REFUSED, shop.home, 4),
        ("trouble", TROUBLE, shop.home, 6),
    ):
        for why, cells in spoiled:
            order = maker(courier)
            order[0] |= {"note": f"{message}: {why}", **cells}
            yield order
    yield from _spoiled_otherwise(shop)


def _spoiled_otherwise(shop: Shop) -> Iterator[Order]:
    order = shop.home(5)
    order[0] |= {"note": "wrong: Bluedart takes 20 characters"}
    order[0] |= {"reference_number": "BAZAARLANE-2027-JANUARY-00001"}
    yield order
    order = shop.home(28, rvp=True)
    order[0] |= {"note": "wrong: reason too long", "rvp_reason": "not what I wanted; " * 30}
    yield order
    order = shop.home(4)
    item = [name for name in order[0] if name.startswith("item_")]
    order[0] |= {"note": "wrong: nothing in the box", **dict.fromkeys(item, "")}
    yield order
    order = shop.home(201, n=2)
    order[0]["note"] = "wrong: the two cartons go to different places"
    order[1]["drop_pincode"] = "411001" if order[0]["drop_pincode"] != "411001" else "400001"
    yield order


def written(orders: list[Order]) -> str:
    """Return orders as the text of a CSV file."""
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    table.writeheader()
    table.writerows(row for order in orders for row in order)
    return text.getvalue()


if __name__ == "__main__":
    FILE.write_text(written(make()), encoding="utf-8", newline="")
    sys.stdout.write(f"{FILE.name} written\n")
