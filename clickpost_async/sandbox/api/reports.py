"""Reports: requested, generated later, and downloaded as CSV."""

import csv
import io
import re
from collections.abc import Mapping, Sequence

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
    success,
)
from clickpost_async.sandbox.store import notes
from clickpost_async.sandbox.store.notes import Note, NoteStore
from clickpost_async.sandbox.store.parcels import Parcel, ParcelStore, place
from clickpost_async.sandbox.world.clock import DAY, Clock, read_utc, utc

_NAME = "TRACK_ORDER_DASHBOARD_REPORT"
_FORM = "%Y-%m-%d %H:%M:%S"
_FIRST_NUMBER = 1_324_000


@frozen(kw_only=True)
class Reports:
    """The chapter of reports; each is ready after its status was polled `polls` times."""

    parcels: ParcelStore
    notes: NoteStore
    clock: Clock
    polls: int

    def operations(self) -> tuple[Operation, ...]:
        """Return this chapter's rows of the table."""
        path = "/v1/reports/enterprise_dashboard_report/"
        return (
            Operation("reports.request", "POST", path, self.request, Auth.KEY),
            Operation("reports.status", "GET", path, self.status, Auth.KEY),
        )

    async def request(self, call: ReceivedCall) -> Reply:
        """Request a report on the parcels scanned within a day at most."""
        wish = params.body(call)
        start, end = _window(section(wish, "filters"))
        fields = wish.get("fields")
        if wish.get("report_name") != _NAME:
            raise _invalid("report_name", "is not a valid choice", "invalid_choice")
        if not isinstance(fields, list) or not all(isinstance(name, str) for name in fields):
            raise _invalid("fields", "This field is required", "required")
        now = self.clock.now()
        said = {"start": start, "end": end, "fields": fields, "looks": 0}
        report = self.notes.add(notes.REPORT, "", now, said)
        audit = {"service_type": "Dashboard Report: Request", "payload": {"report_name": _NAME}}
        self.notes.add(notes.AUDIT, "", now, audit)
        created = {
            "report_name": _NAME,
            "report_reference_number": _FIRST_NUMBER + report.id,
            "report_created_at": utc(now)[:16],
        }
        return success([created], message="Success")

    async def status(self, call: ReceivedCall) -> Reply:
        """Return the status of a report."""
        reference = call.query.get("report_reference_number")
        if not reference:
            raise _invalid("report_reference_number", "This field may not be null", "null")
        report = self._report(reference)
        if report is None:
            raise _invalid("report_reference_number", "does not exist", "does_not_exist")
        ready = report.said["looks"] >= self.polls
        self.notes.rewrite(report, looks=report.said["looks"] + 1)
        state = {
            "report_name": _NAME,
            "s3_link": f"{call.origin}/reports/{reference}.csv" if ready else None,
            "report_created_at": utc(report.moment)[:16],
            "report_status": "SUCCESS" if ready else "PENDING",
        }
        return success([state], message="Success")

    def file(self, reference: str) -> bytes | None:
        """Return a report as CSV, if it is ready."""
        report = self._report(reference)
        if report is None or report.said["looks"] <= self.polls:
            return None
        found = self.parcels.scanned(report.said["start"], report.said["end"])
        rows = [self._row(parcel) for parcel in found]
        text = io.StringIO()
        names = report.said["fields"] or list(_COLUMNS)
        table = csv.DictWriter(text, names, restval="", extrasaction="ignore")
        table.writeheader()
        table.writerows(rows)
        return text.getvalue().encode()

    def _report(self, reference: str) -> Note | None:
        if not re.fullmatch(r"[0-9]{1,15}", reference):
            return None
        return self.notes.numbered(notes.REPORT, int(reference) - _FIRST_NUMBER)

    def _row(self, parcel: Parcel) -> JSON:
        scan = self.parcels.scans(parcel)[0]
        values = (
            parcel.waybill,
            parcel.courier_partner,
            parcel.account_code,
            parcel.reference_number,
            parcel.text("order_id"),
            parcel.order_type,
            parcel.cod_value,
            scan.code,
            scan.station.description,
            place(parcel, scan)[0],
            scan.remark,
            utc(parcel.created_at),
            utc(scan.moment),
        )
        return dict(zip(_COLUMNS, values, strict=True))


_COLUMNS: Sequence[str] = (
    "waybill",
    "courier_partner",
    "account_code",
    "reference_number",
    "order_id",
    "order_type",
    "cod_value",
    "clickpost_status_code",
    "clickpost_status_description",
    "location",
    "remark",
    "created_at",
    "updated_at",
)


def _window(filters: Mapping[str, object]) -> tuple[float, float]:
    moments = []
    for name in ("updated_at_start_time", "updated_at_end_time"):
        try:
            moments.append(read_utc(str(filters.get(name)), _FORM))
        except ValueError:
            raise _invalid(name, "Datetime has wrong format", "invalid") from None
    start, end = moments
    if end - start > DAY:
        raise _invalid("filters", "can not be more than 24 hours apart", "invalid")
    return start, end


def _invalid(name: str, text: str, code: str) -> RefusalError:
    # A message that embeds the repr of Django REST framework's errors.
    detail = f"{{'{name}': [ErrorDetail(string='{text}.', code='{code}')]}}"
    return RefusalError(422, f"Invalid entity{detail}")
