"""Returns of customers: requested, polled, approved, and shipped back."""

import math

from clickpost_async.sandbox import params
from clickpost_async.sandbox.operation import JSON, Operation, RefusalError, SandboxRequest
from clickpost_async.sandbox.responses import render
from clickpost_async.sandbox.state import RETURN, SandboxState
from clickpost_async.sandbox.store.records import Note, Order, Parcel
from clickpost_async.sandbox.world import couriers
from clickpost_async.sandbox.world.clock import HOUR, exact, read_utc, stamped
from clickpost_async.sandbox.world.tracking_codes import ShipmentKind
from clickpost_async.structures import TrackingCode

_REQUESTED, _APPROVED = 11, 22
_FORM = "%Y-%m-%dT%H:%M:%S"
# The events of a return, with their codes. Their bucket is the one that means lost elsewhere.
_EVENTS = {_REQUESTED: (101, "Return Request Placed"), _APPROVED: (102, "Return Request Approved")}
_BUCKET = 8


# The only endpoint whose rejections have the envelope's status as HTTP status.
@Operation("returns.poll", http={301: 301, 400: 400})
def poll(state: SandboxState, call: SandboxRequest) -> list[JSON]:
    """List the returns that were requested within an hour at most."""
    start, end = (_moment(call, name) for name in ("start_time", "end_time"))
    if end - start > HOUR:
        text = "start_time is ahead of end_time by more than 60 minutes"
        raise RefusalError(400, {"Time Difference": [text]})
    return [_row(note) for note in state.store.notes(RETURN, start, end)]


def _moment(call: SandboxRequest, name: str) -> float:
    try:
        return read_utc(call.query.get(name, ""), _FORM)
    except ValueError:
        raise RefusalError(400, {name: ["YYYY-MM-DDThh:mm:ss is needed"]}) from None


def request(state: SandboxState, parcel: Parcel, *, reason: str, refund_mode: str) -> str:
    """Request the return of a parcel as its customer; returns the return's reference number."""
    earlier = len(state.store.notes(RETURN, 0, math.inf))
    reference = f"RE{_number(state, f'return/{earlier}')}"
    order = state.store.one(Order, waybill=parcel.waybill, courier_partner=parcel.courier_partner)
    payload = order.payload if order else {}
    content = {
        "status": "NEW_CASE",
        "forward_waybill": parcel.waybill,
        "forward_parcel": parcel.id,
        "forward_reference": parcel.reference_number,
        "forward_order_id": parcel.details.get("order_id"),
        "reason": reason,
        "refund_mode": refund_mode,
        "items": parcel.details.get("items"),
        "customer": parcel.details.get("customer") or {},
        "seller": {**params.address(payload, "pickup"), **params.address(payload, "return")},
    }
    note = state.add_note(RETURN, reference, content)
    payload = _webhook(note, _REQUESTED)
    state.webhooks.queue(_REQUESTED, lambda _: payload)
    return reference


def approve(state: SandboxState, reference: str) -> str:
    """Book a courier for a return; returns the waybill of that parcel."""
    note = state.store.one(Note, kind=RETURN, about=reference)
    if note is None:
        raise LookupError(f"the sandbox has no return {reference}")
    if note.content["status"] != "NEW_CASE":
        raise ValueError(f"return {reference} is approved already")
    forward = state.store.get(Parcel, id=note.content["forward_parcel"])
    cities = {
        "pickup_city": forward.details.get("drop_city"),
        "drop_city": forward.details.get("pickup_city"),
    }
    back, _ = state.open_parcel(
        first_scan=TrackingCode.ORDER_PLACED,
        waybill=_number(state, f"waybill/{reference}"),
        courier_partner=couriers.REVERSE.get(forward.courier_partner, forward.courier_partner),
        account_code=forward.account_code,
        reference_number=reference,
        security_key=forward.security_key[::-1],
        kind=ShipmentKind.RVP,
        ordered=True,
        order_type="PREPAID",
        cod_value=0.0,
        details={**forward.details, **cities},
    )
    timestamp = stamped(state.now())
    booked = render(
        "returns.booked", parcel=back, tracking_id=str(back.tracking_id), timestamp=timestamp
    )
    state.store.update(note, content={**note.content, "status": "APPROVED", "booked": booked})
    # As documented: wrapped, and with a number for the bucket's description.
    event = {
        **_webhook(note, _APPROVED),
        "clickpost_status_bucket_description": _BUCKET,
        "timestamp": timestamp,
    }
    payload = {"payload": event, "internal": {"event": _APPROVED}}
    state.webhooks.queue(_APPROVED, lambda _: payload)
    return back.waybill


def _number(state: SandboxState, purpose: str) -> str:
    return f"{int.from_bytes(state.noise(purpose, 8)) % 10**17:017}"


def _row(note: Note) -> JSON:
    return render(
        "returns.polled",
        reference=note.about,
        content=note.content,
        requested_at=exact(note.moment),
        booked=note.content.get("booked") or render("returns.not_booked"),
        webhook=_webhook(note, _REQUESTED),
    )


def _webhook(note: Note, event: int) -> JSON:
    code, description = _EVENTS[event]
    content = note.content
    return render(
        "returns.webhook",
        event=event,
        code=code,
        description=description,
        timestamp=stamped(note.moment),
        reference=note.about,
        content=content,
        customer_name=content["customer"].get("customer_name"),
        items=[
            render("returns.item", id=f"{note.id}{number:03}", item=item, content=content)
            for number, item in enumerate(content["items"] or (), 1)
        ],
    )
