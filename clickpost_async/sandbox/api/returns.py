"""Returns of customers: requested, polled, approved, and shipped back."""

import math
from collections.abc import Callable, Sequence
from hashlib import blake2b

from attrs import frozen

from clickpost_async.sandbox.operation import (
    JSON,
    Auth,
    Operation,
    ReceivedCall,
    RefusalError,
    Reply,
    success,
)
from clickpost_async.sandbox.store import notes
from clickpost_async.sandbox.store.notes import Note, NoteStore
from clickpost_async.sandbox.store.parcels import Parcel, ParcelStore
from clickpost_async.sandbox.world import couriers, tracking_codes
from clickpost_async.sandbox.world.clock import HOUR, Clock, exact, read_utc, stamped
from clickpost_async.sandbox.world.tracking_codes import ShipmentKind

REQUESTED = 11
APPROVED = 22

_FORM = "%Y-%m-%dT%H:%M:%S"
# Of returns, "Return Request Placed" has the bucket that means lost elsewhere.
_BUCKET = 8
_CODES = {REQUESTED: (101, "Return Request Placed"), APPROVED: (102, "Return Request Approved")}


@frozen(kw_only=True)
class Returns:
    """The chapter of returns; `on_change` is called with each event and its webhook payload."""

    parcels: ParcelStore
    notes: NoteStore
    clock: Clock
    seed: int
    on_change: Callable[[int, JSON], None]

    def operations(self) -> tuple[Operation, ...]:
        """Return this chapter's rows of the table."""
        path = "/v1/return_order_poll/"
        # Its refusals are the only ones whose HTTP statuses are those of the envelope.
        http = {301: 301, 400: 400}
        return (Operation("returns.poll", "GET", path, self.poll, Auth.USER_NAME, http),)

    async def poll(self, call: ReceivedCall) -> Reply:
        """List the returns that were requested within an hour at most."""
        start, end = (_moment(call, name) for name in ("start_time", "end_time"))
        if end - start > HOUR:
            text = "start_time is ahead of end_time by more than 60 minutes"
            raise RefusalError(400, {"Time Difference": [text]})
        return success([_row(note) for note in self.notes.between(notes.RETURN, start, end)])

    def everything(self) -> Sequence[Note]:
        """Return every return that was requested, the oldest first."""
        return self.notes.between(notes.RETURN, 0, math.inf)

    def request(self, parcel: Parcel, *, reason: str, refund_mode: str) -> str:
        """Request the return of a parcel as its customer; returns the return's reference."""
        earlier = len(self.everything())
        reference = f"RE{self._noise(f'return/{earlier}')}"
        now = self.clock.now()
        said = {
            "status": "NEW_CASE",
            "forward_waybill": parcel.waybill,
            "forward_parcel": parcel.id,
            "forward_reference": parcel.reference_number,
            "forward_order_id": parcel.details.get("order_id"),
            "reason": reason,
            "refund_mode": refund_mode,
            "items": parcel.details.get("items"),
            "customer": parcel.details.get("customer"),
        }
        note = self.notes.add(notes.RETURN, reference, now, said)
        self.on_change(REQUESTED, _payload(note, REQUESTED))
        return reference

    def approve(self, reference: str) -> str:
        """Book a courier for a return; returns the waybill of that parcel."""
        found = self.notes.about(notes.RETURN, reference)
        if not found:
            raise LookupError(f"the sandbox has no return {reference}")
        note = found[-1]
        if note.said["status"] != "NEW_CASE":
            raise ValueError(f"return {reference} is approved already")
        forward = self.parcels.known(note.said["forward_parcel"])
        courier_partner = couriers.REVERSE.get(forward.courier_partner, forward.courier_partner)
        back, _ = self.parcels.open(
            first_scan=tracking_codes.PLACED,
            waybill=self._noise(f"waybill/{reference}"),
            courier_partner=courier_partner,
            account_code=forward.account_code,
            reference_number=reference,
            security_key=forward.security_key[::-1],
            kind=ShipmentKind.RVP,
            ordered=True,
            order_type="PREPAID",
            cod_value=0.0,
            details={
                **forward.details,
                "pickup_city": forward.details.get("drop_city"),
                "drop_city": forward.details.get("pickup_city"),
            },
        )
        booked = {
            "cp_id": courier_partner,
            "cp_name": couriers.name_of(courier_partner),
            "account_code": back.account_code,
            "return_tracking_id": str(back.tracking_id),
            "awb": back.waybill,
            "timestamp": stamped(self.clock.now()),
        }
        self.notes.rewrite(note, status="APPROVED", booked=booked)
        # As documented: wrapped, and with a number for the bucket's description.
        payload = {
            **_payload(note, APPROVED),
            "clickpost_status_bucket_description": _BUCKET,
            "timestamp": stamped(self.clock.now()),
        }
        self.on_change(APPROVED, {"payload": payload, "internal": {"event": APPROVED}})
        return back.waybill

    def _noise(self, purpose: str) -> str:
        digest = blake2b(f"{self.seed}/{purpose}".encode(), digest_size=8).digest()
        return f"{int.from_bytes(digest) % 10**17:017}"


def _row(note: Note) -> JSON:
    unknown = ("cp_id", "cp_name", "account_code", "return_tracking_id", "awb", "timestamp")
    return {
        "return_reference_number": note.about,
        "status": note.said["status"],
        "Return Request Timestamp": exact(note.moment),
        **note.said.get("booked", dict.fromkeys(unknown)),
        "refund_mode": note.said["refund_mode"],
        "source": "API",
        "webhook_payload": _payload(note, REQUESTED),
    }


def _payload(note: Note, event: int) -> JSON:
    code, words = _CODES[event]
    said, moment = note.said, stamped(note.moment)
    status = {
        "location": "",
        "remark": words,
        "clickpost_status_code": code,
        "clickpost_status_description": words,
        "clickpost_status_bucket": _BUCKET,
        "clickpost_status_bucket_description": words,
        "status": words,
        "timestamp": moment,
    }
    return {
        "waybill": "",
        "cp_id": -1,
        **status,
        "notification_event": event,
        "account_code": "",
        "additional": {
            "latest_status": status,
            "source": "API",
            "forward_order_id": said["forward_order_id"],
            "is_rvp": True,
            "forward_awb": said["forward_waybill"],
            "forward_reference_number": said["forward_reference"],
            "notification_event_id": event,
            "self_shipped": False,
            "item_info": [_item(item, said) for item in said["items"] or []],
            "return_reference_number": note.about,
        },
        "return_reference_number": note.about,
        "customer_name": (said["customer"] or {}).get("customer_name"),
        "request_placed_time": moment,
        "pickup_info": said["customer"],
    }


def _item(item: JSON, said: JSON) -> JSON:
    return {
        "sku": item.get("sku"),
        "quantity": item.get("quantity"),
        "description": item.get("description"),
        "images": item.get("images"),
        "return_reason": said["reason"],
        "refund_mode": said["refund_mode"],
        "return_mode": "REFUND",
        "customer_comment": "",
        "return_sub_reason": None,
    }


def _moment(call: ReceivedCall, name: str) -> float:
    try:
        return read_utc(call.query.get(name, ""), _FORM)
    except ValueError:
        raise RefusalError(400, {name: ["YYYY-MM-DDThh:mm:ss is needed"]}) from None
