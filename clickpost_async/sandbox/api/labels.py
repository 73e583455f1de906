"""Labels and proofs of delivery: their URLs, and the files."""

from clickpost_async.sandbox import params
from clickpost_async.sandbox.api.orders import label_url
from clickpost_async.sandbox.operation import JSON, Operation, RefusalError, SandboxRequest
from clickpost_async.sandbox.state import SandboxState
from clickpost_async.sandbox.store.records import Order, Parcel
from clickpost_async.sandbox.world import tracking_codes
from clickpost_async.sandbox.world.scenarios import INTERNAL_ERROR
from clickpost_async.sandbox.world.tracking_codes import ShipmentKind


@Operation("labels.fetch", needs_username=False)
def fetch(state: SandboxState, call: SandboxRequest) -> JSON:
    """Return the URL of a label; the status is 500 if there is none."""
    parcel = params.parcel(state, call)
    params.flag(call, "regenerate", "false")
    if parcel is None or not _has_label(parcel):
        raise RefusalError(500, INTERNAL_ERROR)
    return {"shipping_label": label_url(call.origin, parcel.waybill)}


def _has_label(parcel: Parcel) -> bool:
    # Only ClickPost's own forward orders have one.
    return parcel.ordered and parcel.kind is not ShipmentKind.RVP


def label_file(state: SandboxState, waybill: str) -> bytes | None:
    """Return the label of a parcel as PDF, if there is one."""
    # reportlab takes longer to import than a sandbox to start.
    from clickpost_async.sandbox.api.label_pdf import draw

    parcel = state.store.one(Parcel, waybill=waybill)
    if parcel is None or not _has_label(parcel):
        return None
    order = state.store.one(Order, waybill=waybill, courier_partner=parcel.courier_partner)
    return draw(parcel, order) if order else None


def proof_file(state: SandboxState, waybill: str) -> bytes | None:
    """Return the proof of delivery of a parcel as PDF, if there is one."""
    from clickpost_async.sandbox.api.label_pdf import draw_proof

    parcel = state.store.one(Parcel, waybill=waybill)
    if parcel is None or parcel.code not in tracking_codes.HANDED_OVER:
        return None
    return draw_proof(parcel, state.scans_of(parcel)[0])
