"""Labels: their URLs, and the files."""

from urllib.parse import quote

from attrs import frozen

from clickpost_async.sandbox.api import params
from clickpost_async.sandbox.operation import (
    Auth,
    Operation,
    ReceivedCall,
    RefusalError,
    Reply,
    success,
)
from clickpost_async.sandbox.store.orders import OrderStore
from clickpost_async.sandbox.store.parcels import Parcel, ParcelStore
from clickpost_async.sandbox.world.scenarios import INTERNAL_ERROR
from clickpost_async.sandbox.world.tracking_codes import ShipmentKind


@frozen(kw_only=True)
class Labels:
    """The chapter of labels."""

    book: OrderStore
    parcels: ParcelStore

    def operations(self) -> tuple[Operation, ...]:
        """Return this chapter's rows of the table."""
        path = "/v1/fetch/shippinglabel/"
        return (Operation("labels.fetch", "GET", path, self.fetch, Auth.KEY_AT_LEAST),)

    async def fetch(self, call: ReceivedCall) -> Reply:
        """Return the URL of a label; the status is 500 if there is none."""
        params.required(call.query, "waybill", "cp_id")
        if call.query.get("regenerate", "false") not in ("true", "false"):
            raise RefusalError(400, "regenerate must be true or false")
        parcel = self.parcels.find(call.query["waybill"], params.courier(call.query["cp_id"]))
        if parcel is None or not has_label(parcel):
            raise RefusalError(500, INTERNAL_ERROR)
        return success({"shipping_label": address(call.origin, parcel.waybill)})

    def file(self, waybill: str) -> bytes | None:
        """Return the label of a parcel as PDF, if there is one."""
        # reportlab takes longer to import than a sandbox to start.
        from clickpost_async.sandbox.api.label_pdf import draw

        try:
            parcel = self.parcels.named(waybill)
        except LookupError:
            return None
        order = self.book.find_waybill(waybill, parcel.courier_partner)
        return draw(parcel, order) if has_label(parcel) and order else None


def has_label(parcel: Parcel) -> bool:
    """Return whether there is a label: only ClickPost's own forward orders have one."""
    return parcel.ordered and parcel.kind is not ShipmentKind.RVP


def address(origin: str, waybill: str) -> str:
    """Return the URL of a waybill's label."""
    return f"{origin}/labels/{quote(waybill, safe='')}.pdf"
