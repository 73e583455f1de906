"""Edit and cancel orders, list what changed, and count by day."""

import re

from starlette.datastructures import URL

from clickpost_async.sandbox import params
from clickpost_async.sandbox.operation import JSON, Operation, RefusalError, Reply, SandboxRequest
from clickpost_async.sandbox.responses import render
from clickpost_async.sandbox.state import FEEDBACK, SandboxState
from clickpost_async.sandbox.store.records import Note, Parcel, scan_values
from clickpost_async.sandbox.world import scenarios
from clickpost_async.sandbox.world.clock import DAY, day, exact, read_utc
from clickpost_async.structures import TrackingCode

_MAX_WINDOW = 1800
_DAYS_UNTIL_COUNTED = 2
_MAX_DAYS = 366


@Operation("orders.edit", empty="ACCEPTED")
def edit(state: SandboxState, call: SandboxRequest) -> None:
    """Change an order that is not out for delivery yet."""
    changes = params.body(call)
    waybill = str(changes["awb_number"])
    # ClickPost's page of 2020 has the courier in a section.
    nested = params.get(changes, "shipment_details.courier_partner")
    courier_partner = params.courier_in_body(changes.get("courier_partner", nested))
    parcel = state.parcel(waybill, courier_partner)
    if parcel is None:
        raise RefusalError(321)
    if parcel.upcoming is None or parcel.cancelling or state.was_out(parcel):
        raise RefusalError(400, "The order can not be edited any more")
    state.store.update(parcel, **_payment(changes, parcel))
    state.audit("Order: Edit", changes)


def _payment(changes: JSON, parcel: Parcel) -> dict[str, object]:
    order_type = changes.get("order_type", parcel.order_type)
    if order_type not in ("COD", "PREPAID", "EXCHANGE"):
        raise RefusalError(307)
    unchanged = parcel.cod_value if order_type == parcel.order_type else 0
    value = params.number(changes.get("cod_value", unchanged))
    if value is None:
        raise RefusalError(400, "cod_value must be a number")
    if order_type != "EXCHANGE" and (order_type == "COD") != (value > 0):
        raise RefusalError(315)
    return {"order_type": order_type, "cod_value": value}


@Operation("orders.cancel", http={350: 400})
def cancel(state: SandboxState, call: SandboxRequest) -> Reply | None:
    """Cancel an order, or have the courier decide about it later."""
    account_code = call.query.get("account_code", "")
    is_immediate = params.boolean(call.query.get("manually_update_status"))
    scenarios.check_account(account_code)
    parcel = params.parcel(state, call)
    if parcel is None or not (
        parcel.cancelling or (parcel.upcoming is not None and not state.was_out(parcel))
    ):
        raise RefusalError(350, "Invalid Waybill/ Waybill cannot be cancelled")
    # Without an account code ClickPost finds the account by the parcel.
    if account_code and parcel.account_code not in ("", account_code):
        raise RefusalError(351)
    accepted = Reply.of(202, "Cancellation request accepted", 202)
    later = scenarios.decides_later(parcel.reference_number)
    if parcel.cancelling:
        undecided = later and parcel.code != TrackingCode.CANCELLED
        return accepted if undecided else Reply.of(600, "ORDER ALREADY CANCELLED")
    scenarios.ask_to_cancel(parcel.reference_number)
    state.store.update(parcel, cancelling=True, upcoming=TrackingCode.CANCELLED)
    state.audit("Order: Cancel", {"waybill": parcel.waybill})
    if later:
        return accepted
    if is_immediate:
        state.scan_parcel(parcel, TrackingCode.CANCELLED)
    return None


@Operation("orders.updated")
def updated(state: SandboxState, call: SandboxRequest) -> Reply:
    """List the parcels whose newest scan is in a window, page by page."""
    start, end = params.window(call, _MAX_WINDOW)
    after, size = _cursor(call.query.get("cursor", "0-0")), state.page_size
    found = state.store.parcels_scanned(start, end, after=after, limit=size + 1)
    following = None
    if len(found) > size:
        cursor = f"{found[size - 1].scanned_at!r}-{found[size - 1].last_scan}"
        # Like the real one it is absolute, and contains the key.
        following = str(URL(call.url).include_query_params(cursor=cursor))
    rows = [_update(state, parcel) for parcel in found[:size]]
    meta = {**Reply.of(200, "SUCCESS").meta, "next": following}
    return Reply({"meta": meta, "result": rows})


def _update(state: SandboxState, parcel: Parcel) -> JSON:
    scan = state.scans_of(parcel)[0]
    return render(
        "orders.updated",
        **scan_values(parcel, scan),
        created_at=exact(parcel.created_at),
        updated_at=exact(scan.moment),
        has_feedback=bool(state.store.all(Note, kind=FEEDBACK, about=parcel.waybill)),
    )


def _cursor(text: str) -> tuple[float, int]:
    """Read where a page begins: after a scan's moment and number."""
    moment, _, number = text.partition("-")
    found = params.number(moment)
    if found is None or not re.fullmatch(r"[0-9]{1,18}", number):
        raise RefusalError(400, "Invalid cursor")
    return found, int(number)


@Operation("orders.daily_counts", message="Success")
def daily_counts(state: SandboxState, call: SandboxRequest) -> JSON:
    """Count shipments by day; the last two days are not counted yet."""
    start, end = (_midnight(call, name) for name in ("start-date", "end-date"))
    if end - start >= _MAX_DAYS * DAY:
        raise RefusalError(400, f"At most {_MAX_DAYS} days can be requested")
    uncounted = state.now() - (_DAYS_UNTIL_COUNTED * DAY)
    days = range(start, end + DAY, DAY)
    return {day(at): _count(state, at) if at <= uncounted else {} for at in days}


def _count(state: SandboxState, midnight: int) -> JSON:
    parcels = state.store.parcels_created(midnight, midnight + DAY)
    ordered = sum(parcel.ordered for parcel in parcels)
    return {"manifestation": ordered, "tracking": len(parcels)} if parcels else {}


def _midnight(call: SandboxRequest, name: str) -> int:
    try:
        return int(read_utc(call.query.get(name, ""), "%Y-%m-%d"))
    except ValueError:
        raise RefusalError(400, f"{name} must be a date, YYYY-MM-DD") from None
