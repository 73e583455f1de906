"""Register parcels for tracking, and track them."""

from urllib.parse import quote

from clickpost_async.sandbox import params
from clickpost_async.sandbox.api.booking import details_of
from clickpost_async.sandbox.operation import JSON, Operation, RefusalError, Reply, SandboxRequest
from clickpost_async.sandbox.responses import render
from clickpost_async.sandbox.state import SandboxState
from clickpost_async.sandbox.store.records import Parcel, Scan, scan_values
from clickpost_async.sandbox.world import scenarios, tracking_codes
from clickpost_async.sandbox.world.tracking_codes import ShipmentKind
from clickpost_async.structures import TrackingCode

_MAX_WAYBILLS = 5
_MAX_WAYBILLS_LENGTH = 100
# As live, it does not fit into 32 bits.
_FIRST_CHECKPOINT_ID = 9_600_000_000
_FIRST_CONSUMER_ID = 475_000_000
_FIRST_SHIPMENT_ID = 456_000_000


@Operation("tracking.register")
def register(state: SandboxState, call: SandboxRequest) -> JSON:
    """Register a parcel; the response to a second registration has no result."""
    parcel, is_new = _registered(state, call, "courier_partner")
    if not is_new:
        raise RefusalError(303)
    consumer, shipment = _FIRST_CONSUMER_ID + parcel.id, _FIRST_SHIPMENT_ID + parcel.id
    return render("tracking.registered", parcel=parcel, consumer_id=consumer, shipment_id=shipment)


@Operation(
    "tracking.register_v2",
    message="Success",
    auth_error=(500, "Ops! Internal server error in Clickpost"),
)
def register_v2(state: SandboxState, call: SandboxRequest) -> JSON:
    """Register a parcel; the response to a second registration has the same result."""
    parcel, is_new = _registered(state, call, "cp_id")
    result = {"tracking_id": parcel.tracking_id, "security_key": parcel.security_key}
    if not is_new:
        raise RefusalError(303, result=result)
    return result


def _registered(state: SandboxState, call: SandboxRequest, courier: str) -> tuple[Parcel, bool]:
    payload = params.body(call, status=328)
    waybill, account_code = str(payload["waybill"]), str(payload["account_code"])
    courier_partner = params.courier_in_body(payload.get(courier))
    scenarios.check_account(account_code)
    shipment = params.section(payload, "shipment_info")
    kind = shipment.get("delivery_type")
    return state.open_parcel(
        first_scan=TrackingCode.AWB_REGISTERED,
        waybill=waybill,
        courier_partner=courier_partner,
        account_code=account_code,
        reference_number=params.printable(shipment.get("reference_number")),
        security_key=state.secret(f"{courier_partner}/{waybill}"),
        kind=ShipmentKind.RVP if kind == "RVP" else ShipmentKind.FORWARD,
        ordered=False,
        order_type=params.printable(shipment.get("order_type")) or "PREPAID",
        cod_value=params.number(shipment.get("cod_amount", shipment.get("cod_value"))) or 0.0,
        details=details_of(payload),
    )


# ClickPost's example of an error of this one has HTTP 400.
@Operation("tracking.set_whatsapp", http={301: 400, 321: 400, 400: 400})
def set_whatsapp(state: SandboxState, call: SandboxRequest) -> None:
    """Switch the messages about a parcel on or off."""
    wanted = params.body(call)
    waybill, disabled = str(wanted["awb"]), wanted.get("whatsapp_disable")
    if not isinstance(disabled, bool):
        raise RefusalError(400, "whatsapp_disable must be a boolean")
    parcel = state.store.one(Parcel, waybill=waybill)
    if parcel is None:
        raise RefusalError(321)
    state.store.update(parcel, whatsapp=not disabled)


@Operation("tracking.security_key", message="Success")
def security_key(state: SandboxState, call: SandboxRequest) -> JSON:
    """Return the key of a parcel's tracking page, by its waybill or its reference number."""
    reference = call.query.get("reference_number")
    if reference:
        parcel = state.store.one(Parcel, reference_number=reference)
    else:
        parcel = params.parcel(state, call)
    if parcel is None:
        raise RefusalError(321)
    return render("tracking.security_key", parcel=parcel)


@Operation("tracking.track")
def track(state: SandboxState, call: SandboxRequest) -> Reply:
    """Return the scans of up to five parcels of one courier; unknown ones are missing."""
    params.required(call.query, "waybill", "cp_id")
    courier_partner = params.courier(call.query["cp_id"])
    waybills = [waybill.strip() for waybill in call.query["waybill"].split(",")]
    if len(waybills) > _MAX_WAYBILLS or len(call.query["waybill"]) > _MAX_WAYBILLS_LENGTH:
        raise RefusalError(400, f"At most {_MAX_WAYBILLS} waybills can be tracked at once")
    result: dict[str, object] = {}
    for waybill in waybills:
        parcel = state.parcel(waybill, courier_partner)
        if parcel is not None:
            result[waybill] = _tracked(state, parcel)
        elif state.store.one(Parcel, waybill=waybill):
            result[waybill] = {"valid": False}
    return Reply.of(200, "SUCCESS", result=result or None)


def _tracked(state: SandboxState, parcel: Parcel) -> JSON:
    scans = state.scans_of(parcel)
    failed = next((scan for scan in scans if scan.ndr_code is not None), None)
    return render(
        "tracking.tracked",
        parcel=parcel,
        latest=_scan("status", parcel, scans[0]),
        scans=[_scan("checkpoint", parcel, scan) for scan in scans],
        skus=[item["sku"] for item in params.members(parcel.details.get("items")) if "sku" in item],
        ndr=render("tracking.ndr", scan=failed) if failed else None,
    )


def _scan(template: str, parcel: Parcel, scan: Scan) -> JSON:
    number = _FIRST_CHECKPOINT_ID + scan.id
    return render(f"tracking.{template}", checkpoint_id=number, **scan_values(parcel, scan))


@Operation("tracking.unregister")
def unregister(state: SandboxState, call: SandboxRequest) -> JSON:
    """Stop tracking a parcel: it is expired, and moves no more."""
    wanted = params.body(call)
    waybill = str(wanted["waybill"])
    parcel = state.parcel(waybill, params.courier_in_body(wanted.get("cp_id")))
    if parcel is None:
        raise RefusalError(400, "Bad Request")
    if parcel.upcoming is not None:
        state.scan_parcel(parcel, TrackingCode.EXPIRED)
    return {"awb": parcel.waybill}


@Operation("tracking.proof_of_delivery", message="Success")
def proof_of_delivery(state: SandboxState, call: SandboxRequest) -> JSON:
    """Return the URL of the proof of delivery, once a parcel is delivered."""
    parcel = params.parcel(state, call)
    if parcel is None or parcel.code not in tracking_codes.HANDED_OVER:
        raise RefusalError(400, "no shipment found")
    scenarios.check_account(parcel.account_code)
    name = quote(parcel.waybill, safe="")
    return {"pod_url": f"{call.origin}/proofs/{name}.pdf"}
