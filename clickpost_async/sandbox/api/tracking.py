"""Register parcels for tracking, and track them."""

from collections.abc import Sequence
from hashlib import blake2b
from urllib.parse import quote

from attrs import frozen

from clickpost_async.sandbox.api import order_summary, params
from clickpost_async.sandbox.api.validation import section
from clickpost_async.sandbox.operation import (
    AUTH_ERROR,
    JSON,
    Auth,
    Operation,
    ReceivedCall,
    RefusalError,
    Reply,
    message_of,
    meta,
    refusal,
    success,
)
from clickpost_async.sandbox.store.parcels import Parcel, ParcelStore, Scan, place
from clickpost_async.sandbox.world import couriers, scenarios, tracking_codes
from clickpost_async.sandbox.world.clock import ist, utc
from clickpost_async.sandbox.world.tracking_codes import BUCKETS, ShipmentKind

_MOST_WAYBILLS = 5
_LONGEST_WAYBILLS = 100
# As live, it does not fit into 32 bits.
_FIRST_CHECKPOINT_ID = 9_600_000_000
_FIRST_CONSUMER_ID = 475_000_000
_FIRST_SHIPMENT_ID = 456_000_000


@frozen(kw_only=True)
class Tracking:
    """The chapter of tracking."""

    parcels: ParcelStore
    seed: int

    def operations(self) -> tuple[Operation, ...]:
        """Return this chapter's rows of the table."""
        v2, v3 = "/v2/tracking/awb-register/", "/v3/tracking/awb-register/"
        unregister = "/v1/tracking/awb-unregister/"
        proof = "/v1/pod/pod_from_shipment_details/"
        whatsapp, key = "/v1/enable_shipment_notification/", "/v1/shipment-security-key"
        # ClickPost's example of an error of this one has HTTP 400.
        bad: dict[int, int] = dict.fromkeys((AUTH_ERROR[0], 321, 400), 400)
        internal = (500, "Ops! Internal server error in Clickpost")
        return (
            Operation("tracking.register", "POST", v3, self.register, Auth.KEY),
            Operation(
                "tracking.register_v2", "POST", v2, self.register_v2, Auth.IN_BODY, {}, internal
            ),
            Operation("tracking.set_whatsapp", "POST", whatsapp, self.set_whatsapp, Auth.KEY, bad),
            Operation("tracking.security_key", "GET", key, self.security_key, Auth.KEY),
            Operation("tracking.track", "GET", "/v2/track-order/", self.track),
            Operation("tracking.unregister", "POST", unregister, self.unregister, Auth.IN_BODY),
            Operation("tracking.proof_of_delivery", "GET", proof, self.proof_of_delivery, Auth.KEY),
        )

    async def register(self, call: ReceivedCall) -> Reply:
        """Register a parcel; the response to a second registration has no result."""
        parcel, new = self._registered(call, "courier_partner")
        if not new:
            return refusal(303)
        return success(
            {
                "consumer_details": {"id": _FIRST_CONSUMER_ID + parcel.id},
                "shipment_info": {"id": _FIRST_SHIPMENT_ID + parcel.id},
                "tracking_id": parcel.tracking_id,
                "security_key": parcel.security_key,
            }
        )

    async def register_v2(self, call: ReceivedCall) -> Reply:
        """Register a parcel; the response to a second registration has the same result."""
        parcel, new = self._registered(call, "cp_id")
        result = {"tracking_id": parcel.tracking_id, "security_key": parcel.security_key}
        if not new:
            return Reply({"meta": meta(303, message_of(303)), "result": result})
        return success(result, message="Success")

    async def set_whatsapp(self, call: ReceivedCall) -> Reply:
        """Switch the messages about a parcel on or off."""
        wish = params.body(call)
        waybill, disabled = params.text(wish, "awb"), wish.get("whatsapp_disable")
        if not isinstance(disabled, bool):
            raise RefusalError(400, "whatsapp_disable must be a boolean")
        try:
            parcel = self.parcels.named(waybill)
        except LookupError:
            raise RefusalError(321) from None
        self.parcels.change(parcel, whatsapp=not disabled)
        return success()

    async def security_key(self, call: ReceivedCall) -> Reply:
        """Return the key of a parcel's tracking page, by its waybill or its reference number."""
        reference = call.query.get("reference_number")
        parcel = self.parcels.referenced(reference) if reference else self._parcel(call)
        if parcel is None:
            raise RefusalError(321)
        return success(
            {
                "waybill": parcel.waybill,
                "cp_id": parcel.courier_partner,
                "security_key": parcel.security_key,
                "reference_number": parcel.reference_number,
            },
            message="Success",
        )

    async def track(self, call: ReceivedCall) -> Reply:
        """Return the scans of up to five parcels of one courier; unknown ones are missing."""
        params.required(call.query, "waybill", "cp_id")
        courier_partner = params.courier(call.query["cp_id"])
        waybills = [waybill.strip() for waybill in call.query["waybill"].split(",")]
        if len(waybills) > _MOST_WAYBILLS or len(call.query["waybill"]) > _LONGEST_WAYBILLS:
            raise RefusalError(400, f"At most {_MOST_WAYBILLS} waybills can be tracked at once")
        result: dict[str, object] = {}
        for waybill in waybills:
            parcel = self.parcels.find(waybill, courier_partner)
            if parcel is not None:
                result[waybill] = self._track(parcel)
            elif self.parcels.exists(waybill):
                result[waybill] = {"valid": False}
        return Reply({"meta": meta(200, "SUCCESS"), "result": result or None})

    def _registered(self, call: ReceivedCall, courier: str) -> tuple[Parcel, bool]:
        payload = params.body(call)
        waybill = params.text(payload, "waybill", status=328)
        courier_partner = params.courier_in_body(payload.get(courier))
        account_code = params.text(payload, "account_code", status=328)
        scenarios.check_account(account_code, vendor_code=True)
        shipment = section(payload, "shipment_info")
        value = shipment.get("cod_amount", shipment.get("cod_value", 0))
        kind = shipment.get("delivery_type")
        return self.parcels.open(
            first_scan=tracking_codes.REGISTERED,
            waybill=waybill,
            courier_partner=courier_partner,
            account_code=account_code,
            reference_number=_message(shipment.get("reference_number")),
            security_key=self._secret(f"{courier_partner}/{waybill}"),
            kind=ShipmentKind.RVP if kind == "RVP" else ShipmentKind.FORWARD,
            ordered=False,
            order_type=_message(shipment.get("order_type")) or "PREPAID",
            cod_value=params.number(value) or 0.0,
            details=order_summary.of_registration(payload),
        )

    async def unregister(self, call: ReceivedCall) -> Reply:
        """Stop tracking a parcel: it is expired, and moves no more."""
        wish = params.body(call)
        waybill = params.text(wish, "waybill")
        parcel = self.parcels.find(waybill, params.courier_in_body(wish.get("cp_id")))
        if parcel is None:
            raise RefusalError(400, "Bad Request")
        if parcel.upcoming is not None:
            self.parcels.scan(parcel, tracking_codes.EXPIRED)
        return success({"awb": parcel.waybill})

    async def proof_of_delivery(self, call: ReceivedCall) -> Reply:
        """Return the URL of the proof of delivery, once a parcel is delivered."""
        parcel = self._parcel(call)
        if parcel is None or parcel.code not in tracking_codes.HANDED_OVER:
            raise RefusalError(400, "no shipment found")
        scenarios.check_account(parcel.account_code, vendor_code=True)
        name = quote(parcel.waybill, safe="")
        return success({"pod_url": f"{call.origin}/proofs/{name}.pdf"}, message="Success")

    def proof_file(self, waybill: str) -> bytes | None:
        """Return the proof of delivery of a parcel as PDF, if there is one."""
        # reportlab takes longer to import than a sandbox to start.
        from clickpost_async.sandbox.api.label_pdf import draw_proof

        try:
            parcel = self.parcels.named(waybill)
        except LookupError:
            return None
        if parcel.code not in tracking_codes.HANDED_OVER:
            return None
        return draw_proof(parcel, self.parcels.scans(parcel)[0])

    def _parcel(self, call: ReceivedCall) -> Parcel | None:
        params.required(call.query, "waybill", "cp_id")
        return self.parcels.find(call.query["waybill"], params.courier(call.query["cp_id"]))

    def _track(self, parcel: Parcel) -> JSON:
        scans = self.parcels.scans(parcel)
        return {
            "latest_status": _status(parcel, scans[0]),
            "scans": [
                {
                    **_status(parcel, scan),
                    "checkpoint_id": _FIRST_CHECKPOINT_ID + scan.id,
                    "tracking_id": parcel.tracking_id,
                }
                for scan in scans
            ],
            "valid": True,
            "additional": {
                "is_stuck": False,
                "order_id": parcel.details.get("order_id"),
                "sku": [item["sku"] for item in _items(parcel) if "sku" in item],
                "edd": {
                    "min_sla": parcel.details.get("min_edd"),
                    "max_sla": parcel.details.get("max_edd"),
                    "exact_sla": None,
                },
                "invoice_number": parcel.details.get("invoice_number"),
                "pickup_city": parcel.details.get("pickup_city"),
                "drop_city": parcel.details.get("drop_city"),
                "cod_value": parcel.cod_value,
                "currency_code": parcel.details.get("currency_code"),
                "courier_partner_edd": None,
                "channel_name": parcel.details.get("channel_name"),
                "qc_images": [],
                "ndr": _ndr(scans),
                "courier_partner_id": parcel.courier_partner,
                "courier_partner_name": couriers.name_of(parcel.courier_partner),
            },
        }

    def _secret(self, purpose: str) -> str:
        digits = blake2b(f"{self.seed}/{purpose}".encode(), digest_size=16).hexdigest()
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _status(parcel: Parcel, scan: Scan) -> JSON:
    return {
        "timestamp": ist(scan.moment),
        "location": place(parcel, scan)[0],
        "remark": scan.remark,
        "status": scan.station.status,
        "clickpost_status_code": scan.code,
        "clickpost_status_description": scan.station.description,
        "clickpost_status_bucket": scan.station.bucket,
        "clickpost_status_bucket_description": BUCKETS[scan.station.bucket],
        "created_at": utc(scan.moment),
    }


def _ndr(scans: Sequence[Scan]) -> JSON | None:
    failed = next((scan for scan in scans if scan.ndr_code is not None), None)
    if failed is None:
        return None
    return {"ndr_bucket_code": failed.ndr_code, "ndr_description": failed.remark}


def _items(parcel: Parcel) -> list[JSON]:
    items = parcel.details.get("items")
    return items if isinstance(items, list) else []


def _message(value: object) -> str:
    return "" if value is None else str(value).encode("utf-8", "replace").decode()
