"""Labels: where one lies, and the page itself."""

from urllib.parse import quote

from attrs import frozen

from clickpost_async.sandbox import asked
from clickpost_async.sandbox.journey import Kind
from clickpost_async.sandbox.operation import Auth, Call, Operation, RefusalError, Reply, success
from clickpost_async.sandbox.parcels import Parcels
from clickpost_async.sandbox.scenarios import INTERNAL_ERROR


@frozen(kw_only=True)
class Labels:
    """The chapter of labels."""

    parcels: Parcels

    def operations(self) -> tuple[Operation, ...]:
        """Return this chapter's rows of the table."""
        path = "/v1/fetch/shippinglabel/"
        return (Operation("labels.fetch", "GET", path, self.fetch, Auth.KEY_AT_LEAST),)

    async def fetch(self, call: Call) -> Reply:
        """Tell where a label lies; ClickPost says 500 where there is none."""
        asked.needed(call.query, "waybill", "cp_id")
        if call.query.get("regenerate", "false") not in ("true", "false"):
            raise RefusalError(400, "regenerate must be true or false")
        parcel = self.parcels.find(call.query["waybill"], asked.courier(call.query["cp_id"]))
        if parcel is None or not parcel.ordered or parcel.kind is Kind.RVP:
            raise RefusalError(500, INTERNAL_ERROR)
        return success({"shipping_label": address(call.origin, parcel.waybill)})

    def file(self, waybill: str) -> bytes | None:
        """Return the label of a parcel as PDF, if there is one."""
        try:
            parcel = self.parcels.named(waybill)
        except LookupError:
            return None
        if not parcel.ordered or parcel.kind is Kind.RVP:
            return None
        return _page(f"{parcel.waybill}  {parcel.reference_number}")


def address(origin: str, waybill: str) -> str:
    """Return where the label of a waybill lies."""
    return f"{origin}/labels/{quote(waybill, safe='')}.pdf"


def _page(text: str) -> bytes:
    """Write one page of PDF."""
    line = text.encode("cp1252", "replace").translate(bytes.maketrans(b"()\\", b"[]/"))
    drawing = b"BT /F1 12 Tf 24 400 Td (" + line + b") Tj ET"
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 288 432] /Resources 6 0 R /Contents 4 0 R >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(drawing), drawing),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        b"<< /Font << /F1 5 0 R >> >>",
    )
    page, offsets = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        offsets.append(len(page))
        page += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    return (
        page
        + b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R >>\n"
        % (
            size,
            table,
            size,
        )
        + b"startxref\n%d\n%%%%EOF\n" % len(page)
    )
