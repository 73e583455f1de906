"""Draw a label of 4 by 6 inches: a barcode that scans, and what a courier has to read."""

import io
from collections.abc import Mapping, Sequence

from reportlab.graphics.barcode.code128 import Code128
from reportlab.lib.colors import black, white
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.utils import simpleSplit
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, HRFlowable, KeepInFrame, Preformatted, Spacer, Table

from clickpost_async.sandbox import params
from clickpost_async.sandbox.api.booking import items_of
from clickpost_async.sandbox.redaction import people_in
from clickpost_async.sandbox.store.records import Order, Parcel, Scan
from clickpost_async.sandbox.world.clock import ist

_WIDTH, _HEIGHT = 288, 432
_EDGE = 14
_INSIDE = _WIDTH - 2 * _EDGE
_PLAIN, _BOLD = "Helvetica", "Helvetica-Bold"
_MAX_ITEMS = 4


def draw(parcel: Parcel, order: Order) -> bytes:
    """Return the label of a parcel as PDF: the same bytes every time."""
    payload = order.payload
    shipment, people = params.section(payload, "shipment_details"), people_in(payload)
    sender = people.get("back to") or people["from"]
    sizes = [str(shipment.get(name, "?")) for name in ("length", "breadth", "height")]
    items = [
        f"{item.get('quantity')} x {item.get('description') or item.get('sku')}"
        for item in items_of(payload)
    ]
    more = [f"and {len(items) - _MAX_ITEMS} more"] if items[_MAX_ITEMS:] else []
    return _pdf(
        f"Label {parcel.waybill}",
        _head(parcel, str(shipment.get("currency_code") or "INR")),
        _barcode(parcel.waybill),
        Spacer(0, 14),
        _rule(),
        *_party("DELIVER TO", people["to"], size=12),
        _rule(),
        _text(f"Order {parcel.reference_number}", font=_BOLD, size=10),
        _text(f"{shipment.get('weight', '?')} g, {' x '.join(sizes)} cm, 1 of 1"),
        *(_text(line, max_lines=1) for line in (*items[:_MAX_ITEMS], *more)),
        _rule(),
        *_party("FROM, AND BACK TO IF NOT DELIVERED", sender, size=9),
    )


def draw_proof(parcel: Parcel, scan: Scan) -> bytes:
    """Return the proof of delivery of a parcel as PDF: the same bytes every time."""
    return _pdf(
        f"Proof of delivery {parcel.waybill}",
        _text("PROOF OF DELIVERY", font=_BOLD, size=14),
        _text(f"Waybill {parcel.waybill}", size=10),
        _text(f"Order {parcel.reference_number}", size=10),
        _text(f"{parcel.courier_name}: {scan.remark}", size=10),
        _text(f"{ist(scan.moment)} (India)", size=10),
    )


def _pdf(title: str, *parts: Flowable) -> bytes:
    """Return a PDF of one page: parts that do not fit are shrunk."""
    file = io.BytesIO()
    canvas = Canvas(file, pagesize=(_WIDTH, _HEIGHT), invariant=True)
    canvas.setTitle(title)
    canvas.setAuthor("the ClickPost sandbox")
    frame = KeepInFrame(_INSIDE, _HEIGHT - 2 * _EDGE, list(parts), mode="shrink")
    _, height = frame.wrapOn(canvas, _INSIDE, _HEIGHT - 2 * _EDGE)
    frame.drawOn(canvas, _EDGE, _HEIGHT - _EDGE - height)
    canvas.setFont(_PLAIN, 6)
    canvas.setFillGray(0.45)
    text = "Made by the clickpost_async sandbox: no courier has this parcel."
    canvas.drawCentredString(_WIDTH / 2, 8, text)
    canvas.save()
    return file.getvalue()


def _head(parcel: Parcel, currency: str) -> Flowable:
    is_cod = parcel.order_type == "COD"
    payment = "COD" if is_cod else "PREPAID"
    collect = f"Collect {currency} {parcel.cod_value:,.2f}" if is_cod else "Collect nothing"
    cells = (
        (_text(parcel.courier_name, font=_BOLD, size=16, max_lines=1), payment),
        (_text(parcel.account_code, max_lines=1), collect),
    )
    style = (
        *(("LEFTPADDING", (0, 0), (0, -1), 0), ("RIGHTPADDING", (1, 1), (1, 1), 0)),
        *(("ALIGN", (1, 0), (1, 0), "CENTER"), ("ALIGN", (1, 1), (1, 1), "RIGHT")),
        *(("FONT", (1, 0), (1, 0), _BOLD, 12), ("FONT", (1, 1), (1, 1), _BOLD, 10)),
        *(("BOX", (1, 0), (1, 0), 1, black), ("VALIGN", (0, 0), (-1, -1), "MIDDLE")),
        ("BACKGROUND", (1, 0), (1, 0), black if is_cod else white),
        ("TEXTCOLOR", (1, 0), (1, 0), white if is_cod else black),
    )
    return Table(cells, colWidths=(_INSIDE - 80, 80), style=style)


def _barcode(waybill: str) -> Flowable:
    # Some waybills are long: the bars are as wide as the paper allows, up to what scans best.
    width = min(1.6, _INSIDE / Code128(waybill, barWidth=1, quiet=False).width)
    text = {"humanReadable": True, "fontName": "Courier-Bold", "fontSize": 12}
    return Code128(waybill, barWidth=width, barHeight=56, quiet=False, hAlign="CENTER", **text)


def _party(title: str, party: Mapping[str, str], *, size: int) -> Sequence[Flowable]:
    return (
        _text(title, size=6),
        _text(party.get("name", ""), font=_BOLD, size=size),
        _text(party.get("address", ""), size=size, max_lines=3),
        _text(party.get("place", ""), size=size),
        _text(f"Phone {party.get('phone', '')}", size=size),
    )


def _text(text: str, *, font: str = _PLAIN, size: int = 9, max_lines: int = 2) -> Flowable:
    # The fonts that every reader of PDF has can show no other letters.
    shown = text.encode("cp1252", "replace").decode("cp1252")
    lines = simpleSplit(shown, font, size, _INSIDE)[:max_lines]
    style = ParagraphStyle(font, fontName=font, fontSize=size, leading=size + 2.5)
    return Preformatted("\n".join(lines), style)


def _rule() -> Flowable:
    return HRFlowable("100%", thickness=0.8, color=black, spaceBefore=5, spaceAfter=5)
