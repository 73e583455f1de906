"""Failed deliveries (NDR): feedback, and instructions to the courier."""

import re

from clickpost_async.sandbox import params
from clickpost_async.sandbox.operation import JSON, Operation, RefusalError, Reply, SandboxRequest
from clickpost_async.sandbox.responses import render
from clickpost_async.sandbox.state import FEEDBACK, SandboxState
from clickpost_async.sandbox.store.records import Parcel
from clickpost_async.sandbox.world import tracking_codes
from clickpost_async.sandbox.world.clock import HOUR, exact
from clickpost_async.sandbox.world.tracking_codes import ShipmentKind
from clickpost_async.structures import TrackingCode

_NEEDED_FOR_A_REATTEMPT = ("address", "drop_pincode", "phone_number", "preferred_date")


@Operation("ndr.feedback")
def feedback(state: SandboxState, call: SandboxRequest) -> Reply:
    """List the feedback in a time window; a success has its meta nested twice."""
    start, end = params.window(call, HOUR)
    rows = [
        render(
            "ndr.feedback",
            note=note,
            content=note.content,
            internal=note.content.get("additional", {}),
            created_at=exact(note.moment),
        )
        for note in state.store.notes(FEEDBACK, start, end)
    ]
    return Reply({"meta": Reply.of(200, "Success").body, "result": rows})


@Operation("ndr.act")
def act(state: SandboxState, call: SandboxRequest) -> None:
    """Accept an instruction about a parcel that was not delivered."""
    wanted = params.body(call)
    if wanted.get("action") not in ("REATTEMPT", "INITIATE_RTO"):
        raise RefusalError(400, "Bad Request , Invalid Action")
    is_reattempt = wanted["action"] == "REATTEMPT"
    waybill, account_code = str(wanted["waybill"]), str(wanted["account_code"])
    if is_reattempt:
        _check_reattempt(wanted)
    parcel = state.parcel(waybill, params.courier_in_body(wanted.get("cp_id")))
    if parcel is None:
        raise RefusalError(321)
    if parcel.account_code not in ("", account_code):
        raise RefusalError(351)
    if parcel.code not in tracking_codes.UNDELIVERED or parcel.kind is ShipmentKind.RVP:
        raise RefusalError(400, "Bad Request , the shipment has no failed delivery")
    upcoming = TrackingCode.OUT_FOR_DELIVERY if is_reattempt else TrackingCode.RTO_REQUESTED
    state.store.update(parcel, upcoming=upcoming)
    names = ("address", "landmark", "drop_pincode", "preferred_date")
    add_feedback(
        state,
        parcel,
        "CLIENT_OPS_FEED",
        **{name: wanted.get(name) for name in names},
        phone=wanted.get("phone_number"),
        api_data_push=True,
        additional={
            "internal_username": state.username,
            "internal_cst_responded": False,
            "internal_comment": "re-attempt" if is_reattempt else "return to origin",
        },
    )


def add_feedback(state: SandboxState, parcel: Parcel, kind: str, **content: object) -> None:
    """Record feedback on a parcel."""
    content |= {"type": kind, "reference_number": parcel.reference_number}
    state.add_note(FEEDBACK, parcel.waybill, content)


def _check_reattempt(wanted: JSON) -> None:
    params.required(wanted, *_NEEDED_FOR_A_REATTEMPT)
    if wanted.get("landmark") is None:
        raise RefusalError(400, "landmark: mandatory")
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", str(wanted["preferred_date"])):
        raise RefusalError(400, "preferred_date must be a date, YYYY-MM-DD")
