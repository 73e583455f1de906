"""Draw a label of 4 by 6 inches: a barcode that scans, and what a courier has to read."""

import io
from collections.abc import Iterable, Mapping

from reportlab.graphics.barcode.code128 import Code128
from reportlab.lib.utils import simpleSplit
from reportlab.pdfgen.canvas import Canvas

from clickpost_async.sandbox.api.booking import items_of
from clickpost_async.sandbox.payload import section
from clickpost_async.sandbox.redaction import people_in
from clickpost_async.sandbox.store.records import Order, Parcel, Scan
from clickpost_async.sandbox.world.clock import ist

_WIDTH, _HEIGHT = 288, 432
_EDGE = 14
_INSIDE = _WIDTH - 2 * _EDGE
_PLAIN, _BOLD = "Helvetica", "Helvetica-Bold"
_MOST_ITEMS = 4


def draw(parcel: Parcel, order: Order) -> bytes:
    """Return the label of a parcel as PDF: the same bytes every time."""
    sheet = _Sheet(f"Label {parcel.waybill}")
    sheet.write_label(parcel, order)
    return sheet.finish()


def draw_proof(parcel: Parcel, scan: Scan) -> bytes:
    """Return the proof of delivery of a parcel as PDF: the same bytes every time."""
    sheet = _Sheet(f"Proof of delivery {parcel.waybill}")
    sheet.write("PROOF OF DELIVERY", font=_BOLD, size=14, after=12)
    sheet.write(f"Waybill {parcel.waybill}", size=10)
    sheet.write(f"Order {parcel.reference_number}", size=10)
    sheet.write(f"{parcel.courier_name}: {scan.remark}", size=10)
    sheet.write(f"{ist(scan.moment)} (India)", size=10)
    return sheet.finish()


class _Sheet:
    """A page that is written from the top down; `_y` is the current height."""

    def __init__(self, title: str) -> None:
        self._file = io.BytesIO()
        self._canvas = Canvas(self._file, pagesize=(_WIDTH, _HEIGHT), invariant=True)
        self._canvas.setTitle(title)
        self._canvas.setAuthor("the ClickPost sandbox")
        self._y: float = _HEIGHT - _EDGE

    def finish(self) -> bytes:
        self._canvas.setFont(_PLAIN, 6)
        self._canvas.setFillGray(0.45)
        text = "Made by the clickpost_async sandbox: no courier has this parcel."
        self._canvas.drawCentredString(_WIDTH / 2, 10, text)
        self._canvas.showPage()
        self._canvas.save()
        return self._file.getvalue()

    def write_label(self, parcel: Parcel, order: Order) -> None:
        payload = order.payload
        shipment, people = section(payload, "shipment_details"), people_in(payload)
        self._head(parcel, str(shipment.get("currency_code") or "INR"))
        self._barcode(parcel.waybill)
        self._rule()
        self._party("DELIVER TO", people["to"], size=12)
        self._rule()
        sizes = [str(shipment.get(name, "?")) for name in ("length", "breadth", "height")]
        self.write(f"Order {parcel.reference_number}", font=_BOLD, size=10)
        self.write(f"{shipment.get('weight', '?')} g, {' x '.join(sizes)} cm, 1 of 1")
        self._items(
            f"{item.get('quantity')} x {item.get('description') or item.get('sku')}"
            for item in items_of(payload)
        )
        self._rule()
        back = people.get("back to") or people["from"]
        self._party("FROM, AND BACK TO IF NOT DELIVERED", back, size=9)

    def _head(self, parcel: Parcel, currency: str) -> None:
        canvas = self._canvas
        cod = parcel.order_type == "COD"
        self._y -= 16
        canvas.setFont(_BOLD, 16)
        canvas.drawString(_EDGE, self._y, parcel.courier_name)
        payment = "COD" if cod else "PREPAID"
        width = canvas.stringWidth(payment, _BOLD, 12) + 14
        canvas.roundRect(_WIDTH - _EDGE - width, self._y - 5, width, 20, 3, fill=int(cod))
        canvas.setFont(_BOLD, 12)
        canvas.setFillGray(1 if cod else 0)
        canvas.drawCentredString(_WIDTH - _EDGE - width / 2, self._y + 1, payment)
        canvas.setFillGray(0)
        self._y -= 20
        text = f"Collect {currency} {parcel.cod_value:,.2f}" if cod else "Collect nothing"
        canvas.setFont(_BOLD if cod else _PLAIN, 10)
        canvas.drawRightString(_WIDTH - _EDGE, self._y, text)
        self.write(parcel.account_code, after=0, down=False)

    def _barcode(self, waybill: str) -> None:
        self._y -= 66
        # Some waybills are long: the bars are as wide as the paper allows, up to what scans best.
        narrow = Code128(waybill, barWidth=1, quiet=False).width
        bars = Code128(waybill, barWidth=min(1.6, _INSIDE / narrow), barHeight=56, quiet=False)
        bars.drawOn(self._canvas, (_WIDTH - bars.width) / 2, self._y)
        self._y -= 14
        self._canvas.setFont("Courier-Bold", 12)
        self._canvas.drawCentredString(_WIDTH / 2, self._y, waybill)
        self._y -= 2

    def _party(self, title: str, party: Mapping[str, str], *, size: int) -> None:
        self.write(title, size=6, after=3)
        self.write(party.get("name", ""), font=_BOLD, size=size)
        self.write(party.get("address", ""), size=size, most=3)
        self.write(party.get("place", ""), size=size, most=2)
        self.write(f"Phone {party.get('phone', '')}", size=size)

    def _items(self, items: Iterable[str]) -> None:
        lines = list(items)
        for line in lines[:_MOST_ITEMS]:
            self.write(line, most=1)
        if lines[_MOST_ITEMS:]:
            self.write(f"and {len(lines) - _MOST_ITEMS} more")

    def write(
        self,
        text: str,
        *,
        font: str = _PLAIN,
        size: int = 9,
        after: float = 2.5,
        most: int = 2,
        down: bool = True,
    ) -> None:
        self._canvas.setFont(font, size)
        for line in simpleSplit(_printable(text), font, size, _INSIDE)[:most]:
            self._y -= size if down else 0
            self._canvas.drawString(_EDGE, self._y, line)
            self._y -= after

    def _rule(self) -> None:
        self._y -= 6
        self._canvas.setLineWidth(0.8)
        self._canvas.line(_EDGE, self._y, _WIDTH - _EDGE, self._y)
        self._y -= 6


def _printable(text: str) -> str:
    """Return what the fonts that every reader of PDF has can show."""
    return text.encode("cp1252", "replace").decode("cp1252")
