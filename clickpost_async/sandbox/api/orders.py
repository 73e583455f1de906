"""Create orders, and fetch them."""

from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from urllib.parse import quote

import anyio

from clickpost_async.sandbox import params
from clickpost_async.sandbox.api import booking, checks
from clickpost_async.sandbox.api.checks import B2B, INDIA, WORLD
from clickpost_async.sandbox.operation import JSON, Operation, RefusalError, Reply, SandboxRequest
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
    version, payload = checks.checked(call)
    reference = str(booking.shipment(version, payload, "reference_number"))
    # One call at a time decides about a reference: the check and the courier are one step.
    async with nullcontext() if state.racy else state.creating(reference):
        return await _create(state, call, version, payload, reference)


async def _create(
    state: SandboxState, call: SandboxRequest, version: str, payload: JSON, reference: str
) -> Reply:
    courier_partner = booking.shipment(version, payload, "courier_partner")
    known = state.store.one(Order, reference_number=reference)
    if known is not None and known.state in _EXISTING:
        return _create_again(state, known, version, call.origin)
    waybill = _given_waybill(payload)
    if waybill and state.parcel(waybill, courier_partner):
        raise RefusalError(303)
    order = state.store.attempt_order(
        reference,
        version=version,
        body=call.body,
        courier_partner=courier_partner,
        account_code=str(booking.shipment(version, payload, "account_code") or ""),
    )
    if booking.is_asynchronous(order):
        state.store.update(order, state=State.QUEUED, polls=0)
        return _pending(state, order) if version == B2B else _reply(state, "accepted", order, 202)
    if not state.racy:
        await anyio.sleep(state.courier_seconds)
        _ask_courier(state, order)
        return _placed(state, _buy_and_place(state, order, call.origin), version)
    _ask_courier(state, order)
    waybill = _buy_label(state, order)
    await anyio.sleep(state.courier_seconds)
    return _placed(state, _place(state, order, waybill, call.origin), version)


def _create_again(state: SandboxState, known: Order, version: str, origin: str) -> Reply:
    """Respond to a create of an order that is queued or placed."""
    if known.state is State.PLACED:
        return _duplicate(state, known, version)
    if version == B2B:
        # It is polled with the look-up.
        return _pending(state, known)
    return _placed(state, _finished(state, known, origin), version)


def _finished(state: SandboxState, order: Order, origin: str) -> Order:
    """Return an order that is placed, now or before; reject one that is pending, or fails."""
    if order.state is State.PLACED:
        return order
    if order.polls < state.async_polls:
        state.store.update(order, polls=order.polls + 1)
        raise RefusalError(102, "pending", reply=_pending(state, order))
    try:
        _ask_courier(state, order)
    except RefusalError:
        state.store.update(order, attempts=order.attempts + 1)
        raise
    return _buy_and_place(state, order, origin)


def _ask_courier(state: SandboxState, order: Order) -> None:
    """Reject an order that the courier rejects; the reply has the order's ids."""
    drop = params.address(order.payload, "drop")
    pincode = str(drop.get("pincode", drop.get("postal_code")))
    try:
        scenarios.ask_courier(order.reference_number, pincode, order.attempts)
    except RefusalError as error:
        if error.status not in scenarios.PASSING:
            state.store.update(order, state=State.REFUSED)
        # A B2B order fails with another code after it was accepted.
        late = order.version == B2B and booking.is_asynchronous(order) and error.status == 319
        code = 420 if late else error.status
        error.reply = _reply(state, "failed", order, code, error.message)
        raise


def _buy_and_place(state: SandboxState, order: Order, origin: str) -> Order:
    with state.store.together():
        return _place(state, order, _buy_label(state, order), origin)


def _buy_label(state: SandboxState, order: Order) -> str:
    bought = len(state.store.bought(order.reference_number))
    noise = state.noise(f"{order.reference_number}/waybill/{bought}")
    made = str(10**13 + int.from_bytes(noise) % (9 * 10**13))
    waybill = _given_waybill(order.payload) or made
    state.store.buy_label(order.reference_number, waybill)
    return waybill


def _given_waybill(payload: JSON) -> str:
    """Return the waybill that a merchant was allotted before; empty for most orders."""
    return str(params.get(payload, "shipment_details|additional.awb_number") or "")


def _place(state: SandboxState, order: Order, waybill: str, origin: str) -> Order:
    find = partial(booking.shipment, order.version, order.payload)
    state.open_parcel(
        first_scan=TrackingCode.ORDER_PLACED,
        waybill=waybill,
        courier_partner=order.courier_partner,
        account_code=order.account_code,
        reference_number=order.reference_number,
        tracking_id=_FIRST_TRACKING_ID + order.id,
        security_key=state.secret(f"{order.reference_number}/security key"),
        kind=booking.kind_of(order),
        ordered=True,
        order_type=str(find("order_type")),
        cod_value=params.number(find("cod_value") or 0) or 0.0,
        details=booking.details_of(order.payload),
    )
    label = label_url(origin, waybill) if booking.wants_label(order) else None
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
        _ask_courier(state, order)
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
    template = "fetched_pieces" if found.courier_partner in couriers.MULTI_PIECE else "fetched"
    return _reply(state, template, found, version=INDIA if found.version == INDIA else WORLD)


# --- responses of creates and fetches -------------------------------------------------------------


def _reply(
    state: SandboxState,
    template: str,
    order: Order,
    status: int = 200,
    message: object = _PLACED,
    *,
    version: str = "",
) -> Reply:
    """Return an order in the form of its own version, or of that of the call."""
    version, reference = version or order.version, order.reference_number
    shown_courier = couriers.name_of if version == INDIA else couriers.code_of
    letters = "".join(chr(ord("A") + byte % 26) for byte in state.noise(f"{reference}/sort code"))
    sort_code = f"{letters[:2]}/{letters[2:5]}/{letters[5:8]}"
    body = render(
        f"orders.{template}",
        order=order,
        meta=Reply.of(status, message).meta,
        username=state.username,
        order_id=_FIRST_ORDER_ID + order.id,
        tracking_id=_FIRST_TRACKING_ID + order.id,
        merchant_order_id=params.get(order.payload, "shipment_details|additional.order_id"),
        account_code=order.account_code or None,
        courier_name=couriers.name_of(order.courier_partner),
        shown_courier=shown_courier(order.courier_partner),
        sort_code=sort_code if order.version == INDIA else None,
        security_key=state.secret(f"{reference}/security key"),
        children=_pieces(order, version, "duplicate_piece" if template == "duplicate" else "piece"),
        invoice_url=_invoice_url(order),
    )
    return Reply(body)


def _placed(state: SandboxState, order: Order, version: str) -> Reply:
    return _reply(state, f"placed_{version}", order, version=version)


def _duplicate(state: SandboxState, order: Order, version: str) -> Reply:
    template = "placed_b2b" if version == B2B else "duplicate"
    message = "You have already placed this order"
    return _reply(state, template, order, 323, message, version=version)


def _pending(state: SandboxState, order: Order) -> Reply:
    return _reply(state, "pending", order, 102, "We are processing your order")


def _pieces(order: Order, version: str, template: str) -> Sequence[JSON]:
    """Return every box of a B2B order, every piece of another with a multi-piece courier."""
    if version == B2B:
        return [
            render("orders.piece_b2b", waybill=f"{order.waybill}-{number:04}", box=reference)
            for number, reference in enumerate(booking.box_references(order.payload), 1)
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
        for number, item in enumerate(booking.items_of(order.payload), 1)
    ]


def _with_image_urls(item: JSON) -> JSON:
    images = item.get("images")
    return {**item, "image_urls": images.split(",")} if isinstance(images, str) else item


def _invoice_url(order: Order) -> str | None:
    sides = [params.section(order.payload, f"{side}_info") for side in ("pickup", "drop")]
    code = couriers.code_of(order.courier_partner)
    url = f"https://labels.clickpost.example/{code}/INVOICE_DATA/{order.waybill}.pdf"
    return url if sides[0].get("country_code") != sides[1].get("country_code") else None
