"""Failed deliveries (NDR): feedback, and instructions to the courier."""

import re

from attrs import frozen

from clickpost_async.sandbox.api import params
from clickpost_async.sandbox.operation import (
    JSON,
    Operation,
    ReceivedCall,
    RefusalError,
    Reply,
    meta,
    success,
)
from clickpost_async.sandbox.store import notes
from clickpost_async.sandbox.store.notes import Note, NoteStore
from clickpost_async.sandbox.store.parcels import Parcel, ParcelStore
from clickpost_async.sandbox.world import tracking_codes
from clickpost_async.sandbox.world.clock import HOUR, Clock, exact
from clickpost_async.sandbox.world.tracking_codes import ShipmentKind

_NEEDED_FOR_A_REATTEMPT = ("address", "drop_pincode", "phone_number", "preferred_date")


@frozen(kw_only=True)
class Ndr:
    """The chapter of non-delivery reports."""

    parcels: ParcelStore
    notes: NoteStore
    clock: Clock
    username: str

    def operations(self) -> tuple[Operation, ...]:
        """Return this chapter's rows of the table."""
        return (
            Operation("ndr.feedback", "GET", "/v1/ndr_user_feedback/", self.feedback),
            Operation("ndr.act", "POST", "/v2/ndr-update-api", self.act),
        )

    async def feedback(self, call: ReceivedCall) -> Reply:
        """List the feedback in a time window; a success has its meta nested twice."""
        start, end = params.window(call, HOUR)
        rows = [_row(note) for note in self.notes.between(notes.FEEDBACK, start, end)]
        return Reply({"result": rows, "meta": {"meta": meta(200, "Success")}})

    async def act(self, call: ReceivedCall) -> Reply:
        """Accept an instruction about a parcel that was not delivered."""
        wish = params.body(call)
        if wish.get("action") not in ("REATTEMPT", "INITIATE_RTO"):
            raise RefusalError(400, "Bad Request , Invalid Action")
        again = wish["action"] == "REATTEMPT"
        waybill, account_code = params.text(wish, "waybill"), params.text(wish, "account_code")
        if again:
            _check_reattempt(wish)
        parcel = self.parcels.find(waybill, params.courier_in_body(wish.get("cp_id")))
        if parcel is None:
            raise RefusalError(321)
        if parcel.account_code not in ("", account_code):
            raise RefusalError(351)
        if parcel.code not in tracking_codes.UNDELIVERED or parcel.kind is ShipmentKind.RVP:
            raise RefusalError(400, "Bad Request , the shipment has no failed delivery")
        upcoming = tracking_codes.OUT_FOR_DELIVERY if again else tracking_codes.RTO_REQUESTED
        self.parcels.change(parcel, upcoming=upcoming)
        internal = {
            "internal_username": self.username,
            "internal_cst_responded": False,
            "internal_comment": "re-attempt" if again else "return to origin",
        }
        said = {name: wish.get(name) for name in ("address", "landmark", "drop_pincode")}
        self.note(
            parcel,
            "CLIENT_OPS_FEED",
            **said,
            preferred_date=wish.get("preferred_date"),
            phone=wish.get("phone_number"),
            api_data_push=True,
            additional=internal,
        )
        return success()

    def note(self, parcel: Parcel, kind: str, **said: object) -> None:
        """Record feedback on a parcel."""
        row = {"type": kind, "reference_number": parcel.reference_number, **said}
        self.notes.add(notes.FEEDBACK, parcel.waybill, self.clock.now(), row)


def _check_reattempt(wish: JSON) -> None:
    params.required(wish, *_NEEDED_FOR_A_REATTEMPT)
    if wish.get("landmark") is None:
        raise RefusalError(400, "landmark: mandatory")
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", str(wish["preferred_date"])):
        raise RefusalError(400, "preferred_date must be a date, YYYY-MM-DD")


def _row(note: Note) -> JSON:
    said = note.said
    unknown = dict.fromkeys(("internal_username", "internal_cst_responded", "internal_comment"))
    return {
        "type": said["type"],
        "awb": note.about,
        "address": said.get("address"),
        "landmark": said.get("landmark"),
        "drop_pincode": said.get("drop_pincode"),
        "preferred_date": said.get("preferred_date"),
        "preferred_time": said.get("preferred_time"),
        "phone": said.get("phone"),
        "comment": said.get("comment"),
        "created_at": exact(note.moment),
        "clickpost_status_code": tracking_codes.FAILED,
        # Here, and nowhere else, with a space and the other way round.
        "clickpost_status_description": "Delivery Failed",
        "api_data_push": said.get("api_data_push"),
        "is_rejected": said.get("is_rejected"),
        "reference_number": said["reference_number"],
        "additional": said.get("additional", unknown),
    }
