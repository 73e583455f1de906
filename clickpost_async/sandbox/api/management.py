"""Edit and cancel orders, follow them, and count them."""

import re
from datetime import UTC, date, datetime, timedelta
from urllib.parse import parse_qsl, urlencode, urlsplit

from attrs import frozen

from clickpost_async.sandbox.api import params
from clickpost_async.sandbox.api.validation import section
from clickpost_async.sandbox.operation import (
    JSON,
    Auth,
    Operation,
    ReceivedCall,
    RefusalError,
    Reply,
    meta,
    refusal,
    success,
)
from clickpost_async.sandbox.store import notes
from clickpost_async.sandbox.store.notes import NoteStore
from clickpost_async.sandbox.store.parcels import Parcel, ParcelStore, place
from clickpost_async.sandbox.world import scenarios, tracking_codes
from clickpost_async.sandbox.world.clock import DAY, Clock, exact, ist

_LONGEST_WINDOW = 1800
_DAYS_UNTIL_COUNTED = 2
_MOST_DAYS = 366


@frozen(kw_only=True)
class Management:
    """The chapter of orders that exist; `page_size` rows of updates make a page."""

    parcels: ParcelStore
    notes: NoteStore
    clock: Clock
    page_size: int

    def operations(self) -> tuple[Operation, ...]:
        """Return this chapter's rows of the table."""
        counts = "/v1/fetch-shipment-count/"
        return (
            Operation("orders.edit", "POST", "/v1/edit-order/", self.edit),
            Operation("orders.cancel", "GET", "/v1/cancel-order/", self.cancel, http={350: 400}),
            Operation("orders.updated", "GET", "/v1/updated-order", self.updated),
            Operation("orders.daily_counts", "GET", counts, self.daily_counts, Auth.KEY),
        )

    async def edit(self, call: ReceivedCall) -> Reply:
        """Change an order that is not out for delivery yet."""
        edit = params.body(call)
        waybill = params.text(edit, "awb_number")
        # ClickPost's page of 2020 has it in a section.
        nested = section(edit, "shipment_details").get("courier_partner")
        courier_partner = params.courier_in_body(edit.get("courier_partner", nested))
        parcel = self.parcels.find(waybill, courier_partner)
        if parcel is None:
            raise RefusalError(321)
        if parcel.upcoming is None or parcel.cancelling or self.parcels.was_out(parcel):
            raise RefusalError(400, "The order can not be edited any more")
        self.parcels.change(parcel, **_money(edit, parcel))
        self._audit("Order: Edit", edit)
        return success(message="ACCEPTED")

    async def cancel(self, call: ReceivedCall) -> Reply:
        """Cancel an order, or have the courier decide about it later."""
        query = call.query
        params.required(query, "waybill", "cp_id")
        account_code = query.get("account_code", "")
        is_immediate = params.boolean(query.get("manually_update_status"))
        scenarios.check_account(account_code, vendor_code=True)
        parcel = self.parcels.find(query["waybill"], params.courier(query["cp_id"]))
        if parcel is None or not self._may_be_cancelled(parcel):
            raise RefusalError(350, "Invalid Waybill/ Waybill cannot be cancelled")
        # Without an account code ClickPost finds the account by the parcel.
        if account_code and parcel.account_code not in ("", account_code):
            raise RefusalError(351)
        later = scenarios.decides_later(parcel.reference_number)
        if parcel.cancelling:
            undecided = later and parcel.code != tracking_codes.CANCELLED
            return _accepted() if undecided else refusal(600, "ORDER ALREADY CANCELLED")
        scenarios.ask_to_cancel(parcel.reference_number)
        self.parcels.change(parcel, cancelling=True, upcoming=tracking_codes.CANCELLED)
        self._audit("Order: Cancel", {"waybill": parcel.waybill})
        if later:
            return _accepted()
        if is_immediate:
            self.parcels.scan(parcel, tracking_codes.CANCELLED)
        return success()

    async def updated(self, call: ReceivedCall) -> Reply:
        """List the parcels whose newest scan is in a window, page by page."""
        start, end = params.window(call, _LONGEST_WINDOW)
        after = _cursor(call.query.get("cursor", "0-0"))
        found = self.parcels.scanned(start, end, after=after, limit=self.page_size + 1)
        page = found[: self.page_size]
        following = _following(call.url, page[-1]) if len(found) > self.page_size else None
        return Reply(
            {
                "meta": {**meta(200, "SUCCESS"), "next": following},
                "result": [self._row(parcel) for parcel in page],
            }
        )

    async def daily_counts(self, call: ReceivedCall) -> Reply:
        """Count shipments by day; the last two days are not counted yet."""
        start, end = (_day(call, name) for name in ("start-date", "end-date"))
        if (end - start).days >= _MOST_DAYS:
            raise RefusalError(400, f"At most {_MOST_DAYS} days can be asked for")
        today = datetime.fromtimestamp(self.clock.now(), UTC).date()
        counted = today - timedelta(days=_DAYS_UNTIL_COUNTED)
        days = (start + timedelta(days=number) for number in range((end - start).days + 1))
        result = {day.isoformat(): self._count(day) if day <= counted else {} for day in days}
        return success(result, message="Success")

    def _may_be_cancelled(self, parcel: Parcel) -> bool:
        if parcel.cancelling:
            return True
        return parcel.upcoming is not None and not self.parcels.was_out(parcel)

    def _row(self, parcel: Parcel) -> JSON:
        scan = self.parcels.scans(parcel)[0]
        location, city = place(parcel, scan)
        return {
            "waybill": parcel.waybill,
            "courier_partner": parcel.courier_partner,
            "created_at": exact(parcel.created_at),
            "updated_at": exact(scan.moment),
            "clickpost_status_code": scan.code,
            "timestamp": ist(scan.moment),
            "clickpost_status_description": scan.station.description,
            "reference_number": parcel.reference_number,
            "account_code": parcel.account_code,
            "location": location,
            "remark": scan.remark,
            "status": scan.station.status,
            "customer_feedback_present": bool(self.notes.about(notes.FEEDBACK, parcel.waybill)),
            "clickpost_city": city,
            "order_id": parcel.details.get("order_id"),
            "channel_name": parcel.details.get("channel_name"),
        }

    def _count(self, day: date) -> JSON:
        midnight = datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
        parcels = self.parcels.opened(midnight, midnight + DAY)
        if not parcels:
            return {}
        created = sum(parcel.ordered for parcel in parcels)
        return {"manifestation": created, "tracking": len(parcels)}

    def _audit(self, service: str, payload: JSON) -> None:
        said = {"service_type": service, "payload": dict(payload)}
        self.notes.add(notes.AUDIT, "", self.clock.now(), said)


def _money(edit: JSON, parcel: Parcel) -> dict[str, object]:
    order_type = edit.get("order_type", parcel.order_type)
    if order_type not in ("COD", "PREPAID", "EXCHANGE"):
        raise RefusalError(307)
    value = edit.get("cod_value", parcel.cod_value if order_type == parcel.order_type else 0)
    value = params.number(value)
    if value is None:
        raise RefusalError(400, "cod_value must be a number")
    if order_type != "EXCHANGE" and (order_type == "COD") != (value > 0):
        raise RefusalError(315)
    return {"order_type": order_type, "cod_value": value}


def _accepted() -> Reply:
    return refusal(202, "Cancellation request accepted", http_status=202)


def _following(url: str, last: Parcel) -> str:
    # Like the real one it is absolute, and carries the key.
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    query["cursor"] = f"{last.scanned_at!r}-{last.last_scan}"
    return parts._replace(query=urlencode(query)).geturl()


def _cursor(text: str) -> tuple[float, int]:
    """Read where a page begins: after a scan's moment and number."""
    moment, _, number = text.partition("-")
    found = params.number(moment)
    if found is None or not re.fullmatch(r"[0-9]{1,18}", number):
        raise RefusalError(400, "Invalid cursor")
    return found, int(number)


def _day(call: ReceivedCall, name: str) -> date:
    try:
        return datetime.strptime(call.query.get(name, ""), "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise RefusalError(400, f"{name} must be a date, YYYY-MM-DD") from None
