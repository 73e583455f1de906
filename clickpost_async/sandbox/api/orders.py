"""Create orders, and fetch them."""

from collections.abc import Sequence
from urllib.parse import quote

import anyio

from clickpost_async.sandbox.api import params
from clickpost_async.sandbox.api.booking import (
    Booking,
    booking_of,
    box_references,
    checked,
    details_of,
    items_of,
    merchant_order_id,
)
from clickpost_async.sandbox.api.checks import B2B, INDIA, WORLD
from clickpost_async.sandbox.operation import JSON, Operation, RefusalError, Reply, SandboxRequest
from clickpost_async.sandbox.payload import get
from clickpost_async.sandbox.responses import render
from clickpost_async.sandbox.state import SandboxState
from clickpost_async.sandbox.store.records import Order, State
from clickpost_async.sandbox.world import couriers, scenarios
from clickpost_async.structures import TrackingCode

_PLACED = "Order Placed Successfully"
_FIRST_ORDER_ID = 154_000_000
# Live tracking ids do not fit into 32 bits.
_FIRST_TRACKING_ID = 6_790_000_000
_EXISTING = (State.QUEUED, State.PLACED)
# ClickPost's example of a rejected v4 order has HTTP 400, all others have 200.
_WORLD_ERRORS = {400: 400}

# --- create ---------------------------------------------------------------------------------------


@Operation("orders.create_india")
@Operation("orders.create_world", http=_WORLD_ERRORS)
@Operation("orders.create_b2b")
async def create(state: SandboxState, call: SandboxRequest) -> Reply:
    """Create an order; a B2B one is placed later unless its `is_async` is false."""
    booking = checked(call)
    if state.racy:
        return await _book(state, booking)
    # One call at a time decides about a reference: the check and the courier are one step.
    async with state.creating(booking.reference_number):
        return await _book(state, booking)


async def _book(state: SandboxState, booking: Booking) -> Reply:
    reference, awb_number = booking.reference_number, booking.awb_number
    known = state.store.one(Order, reference_number=reference)
    if known is not None and known.state in _EXISTING:
        return _create_again(state, known, booking)
    if awb_number is not None and state.parcel(awb_number, booking.courier_partner):
        raise RefusalError(303)
    order = state.store.attempt_order(
        reference,
        version=booking.version,
        body=booking.body,
        courier_partner=booking.courier_partner,
        account_code=booking.account_code,
    )
    if booking.asynchronous:
        state.store.update(order, state=State.QUEUED, polls=0)
        is_b2b = order.version == B2B
        return _pending(state, order) if is_b2b else _reply(state, "accepted", order, 202)
    if not state.racy:
        await anyio.sleep(state.courier_seconds)
    _ask_courier(state, order, booking)
    if not state.racy:
        return _placed(state, _buy_and_place(state, order, booking), booking.version)
    waybill = _buy_label(state, order, booking)
    await anyio.sleep(state.courier_seconds)
    return _placed(state, _place(state, order, booking, waybill), booking.version)


def _create_again(state: SandboxState, known: Order, booking: Booking) -> Reply:
    """Respond to a create of an order that is queued or placed."""
    if known.state is State.PLACED:
        return _duplicate(state, known, booking.version)
    if booking.version == B2B:
        # It is polled with the look-up.
        return _pending(state, known)
    return _placed(state, _finished(state, known, booking.origin), booking.version)


def _finished(state: SandboxState, order: Order, origin: str) -> Order:
    """Return an order that is placed, now or before; reject one that is pending, or fails."""
    if order.state is State.PLACED:
        return order
    if order.polls < state.async_polls:
        state.store.update(order, polls=order.polls + 1)
        raise RefusalError(102, "pending", reply=_pending(state, order))
    booking = _booked(order, origin)
    try:
        _ask_courier(state, order, booking)
    except RefusalError:
        state.store.update(order, attempts=order.attempts + 1)
        raise
    return _buy_and_place(state, order, booking)


def _booked(order: Order, origin: str) -> Booking:
    return booking_of(order.version, order.body, order.payload, origin)


def _ask_courier(state: SandboxState, order: Order, booking: Booking) -> None:
    """Reject an order that the courier rejects; the reply has the order's ids."""
    try:
        scenarios.ask_courier(booking.reference_number, booking.drop_pincode, order.attempts)
    except RefusalError as error:
        if error.status not in scenarios.PASSING:
            state.store.update(order, state=State.REFUSED)
        # A B2B order fails with another code after it was accepted.
        late = order.version == B2B and booking.asynchronous and error.status == 319
        code = 420 if late else error.status
        error.reply = _reply(state, "failed", order, code, error.message)
        raise


def _buy_and_place(state: SandboxState, order: Order, booking: Booking) -> Order:
    with state.store.together():
        return _place(state, order, booking, _buy_label(state, order, booking))


def _buy_label(state: SandboxState, order: Order, booking: Booking) -> str:
    bought = len(state.store.bought(order.reference_number))
    noise = state.noise(f"{order.reference_number}/waybill/{bought}")
    waybill = booking.awb_number or str(10**13 + int.from_bytes(noise) % (9 * 10**13))
    state.store.buy_label(order.reference_number, waybill)
    return waybill


def _place(state: SandboxState, order: Order, booking: Booking, waybill: str) -> Order:
    state.open_parcel(
        first_scan=TrackingCode.ORDER_PLACED,
        waybill=waybill,
        courier_partner=order.courier_partner,
        account_code=order.account_code,
        reference_number=order.reference_number,
        tracking_id=_FIRST_TRACKING_ID + order.id,
        security_key=state.secret(f"{order.reference_number}/security key"),
        kind=booking.kind,
        ordered=True,
        order_type=booking.order_type,
        cod_value=booking.cod_value,
        details=details_of(order.payload),
    )
    label = label_url(booking.origin, waybill) if booking.wants_label else None
    return state.store.update(order, state=State.PLACED, waybill=waybill, label=label)


def label_url(origin: str, waybill: str) -> str:
    """Return the URL of a waybill's label."""
    return f"{origin}/labels/{quote(waybill, safe='')}.pdf"


# --- fetch ----------------------------------------------------------------------------------------


@Operation("orders.find_b2b")
def find_b2b(state: SandboxState, call: SandboxRequest) -> Reply:
    """Return a B2B order by its reference number; this is how it is polled."""
    params.required(call.query, "reference_number")
    order = state.store.one(Order, reference_number=call.query["reference_number"])
    if order is None or order.version != B2B:
        raise RefusalError(321)
    if order.state not in _EXISTING:
        _ask_courier(state, order, _booked(order, call.origin))
        raise RefusalError(321)
    return _placed(state, _finished(state, order, call.origin), B2B)


@Operation("orders.fetch_world", needs_username=False, http=_WORLD_ERRORS)
@Operation("orders.fetch_india", needs_username=False)
def fetch(state: SandboxState, call: SandboxRequest) -> Reply:
    """Return an order by its waybill and courier, or by its reference number."""
    reference = call.query.get("reference_number")
    waybill, courier_partner = call.query.get("awb"), call.query.get("cp_id")
    if reference:
        order = state.store.one(Order, reference_number=reference)
    elif waybill and courier_partner:
        if not courier_partner.isdecimal():
            raise RefusalError(302)
        order = state.store.one(Order, waybill=waybill, courier_partner=int(courier_partner))
    else:
        raise RefusalError(400, "awb and cp_id, or reference_number, are mandatory")
    if order is None or order.state not in _EXISTING:
        raise RefusalError(321)
    found = _finished(state, order, call.origin)
    if reference:
        # The oldest form, without ids.
        return _reply(state, "found", found, 200, "Success")
    pieces = _pieces(found, INDIA if found.version == INDIA else WORLD)
    return _reply(state, "fetched_pieces" if pieces else "fetched", found, children=pieces)


# --- responses of creates and fetches -------------------------------------------------------------


def _reply(
    state: SandboxState,
    template: str,
    order: Order,
    status: int = 200,
    message: object = _PLACED,
    **values: object,
) -> Reply:
    reference = order.reference_number
    letters = "".join(chr(ord("A") + byte % 26) for byte in state.noise(f"{reference}/sort code"))
    body = render(
        f"orders.{template}",
        order=order,
        meta=Reply.of(status, message).meta,
        username=state.username,
        order_id=_FIRST_ORDER_ID + order.id,
        tracking_id=_FIRST_TRACKING_ID + order.id,
        merchant_order_id=merchant_order_id(order.payload),
        account_code=order.account_code or None,
        courier_name=couriers.name_of(order.courier_partner),
        sort_code=f"{letters[:2]}/{letters[2:5]}/{letters[5:8]}"
        if order.version == INDIA
        else None,
        security_key=state.secret(f"{reference}/security key"),
        **values,
    )
    return Reply(body)


def _placed(
    state: SandboxState, order: Order, version: str, status: int = 200, message: str = _PLACED
) -> Reply:
    pieces, invoice_url = _pieces(order, version), _invoice_url(order)
    values = {"children": pieces, "invoice_url": invoice_url}
    return _reply(state, f"placed_{version}", order, status, message, **values)


def _duplicate(state: SandboxState, order: Order, version: str) -> Reply:
    message = "You have already placed this order"
    if version == B2B:
        return _placed(state, order, version, 323, message)
    name = couriers.name_of if version == INDIA else couriers.code_of
    return _reply(
        state,
        "duplicate",
        order,
        323,
        message,
        shown_courier=name(order.courier_partner),
        children=_pieces(order, version, "duplicate_piece"),
    )


def _pending(state: SandboxState, order: Order) -> Reply:
    return _reply(state, "pending", order, 102, "We are processing your order")


def _pieces(order: Order, version: str, template: str = "piece") -> Sequence[JSON]:
    """Return every box of a B2B order, every piece of another with a multi-piece courier."""
    if version == B2B:
        return [
            render("orders.piece_b2b", waybill=f"{order.waybill}-{number:04}", box=reference)
            for number, reference in enumerate(box_references(order.payload), 1)
        ]
    if order.courier_partner not in couriers.MULTI_PIECE:
        return ()
    form = "{}-{:04}" if version == INDIA else "{}{:05}"
    return [
        render(
            f"orders.{template}_{version}",
            order=order,
            item=_with_image_urls(item),
            waybill=form.format(order.waybill, number),
        )
        for number, item in enumerate(items_of(order.payload), 1)
    ]


def _with_image_urls(item: JSON) -> JSON:
    images = item.get("images")
    return {**item, "image_urls": images.split(",")} if isinstance(images, str) else item


def _invoice_url(order: Order) -> str | None:
    countries = [get(order.payload, f"{side}_info.country_code") for side in ("pickup", "drop")]
    code = couriers.code_of(order.courier_partner)
    url = f"https://labels.clickpost.example/{code}/INVOICE_DATA/{order.waybill}.pdf"
    return url if countries[0] != countries[1] else None
