"""Reports: requested, generated later, and downloaded as CSV."""

import csv
import io
import re
from collections.abc import Callable, Mapping

from clickpost_async.sandbox import params
from clickpost_async.sandbox.operation import JSON, Operation, RefusalError, SandboxRequest
from clickpost_async.sandbox.state import REPORT, SandboxState
from clickpost_async.sandbox.store.records import Note, Parcel, Scan, scan_values
from clickpost_async.sandbox.world.clock import DAY, read_utc, utc

_NAME = "TRACK_ORDER_DASHBOARD_REPORT"
_FORM = "%Y-%m-%d %H:%M:%S"
_FIRST_NUMBER = 1_324_000

_COLUMNS: Mapping[str, Callable[[Parcel, Scan], object]] = {
    "waybill": lambda parcel, _: parcel.waybill,
    "courier_partner": lambda parcel, _: parcel.courier_partner,
    "account_code": lambda parcel, _: parcel.account_code,
    "reference_number": lambda parcel, _: parcel.reference_number,
    "order_id": lambda parcel, _: parcel.text("order_id"),
    "order_type": lambda parcel, _: parcel.order_type,
    "cod_value": lambda parcel, _: parcel.cod_value,
    "clickpost_status_code": lambda _, scan: scan.code,
    "clickpost_status_description": lambda _, scan: scan.station.description,
    "location": lambda parcel, scan: scan_values(parcel, scan)["location"],
    "remark": lambda _, scan: scan.remark,
    "created_at": lambda parcel, _: utc(parcel.created_at),
    "updated_at": lambda _, scan: utc(scan.moment),
}


@Operation("reports.request", message="Success")
def request(state: SandboxState, call: SandboxRequest) -> list[JSON]:
    """Request a report on the parcels scanned within a day at most."""
    wanted = params.body(call)
    start, end = _window(params.section(wanted, "filters"))
    fields = wanted.get("fields")
    if wanted.get("report_name") != _NAME:
        raise _invalid("report_name", "is not a valid choice", "invalid_choice")
    if not isinstance(fields, list) or not all(isinstance(name, str) for name in fields):
        raise _invalid("fields", "This field is required", "required")
    now = state.now()
    content = {"start": start, "end": end, "fields": fields, "polls": 0}
    report = state.add_note(REPORT, "", content)
    state.audit("Dashboard Report: Request", {"report_name": _NAME})
    created = {
        "report_name": _NAME,
        "report_reference_number": _FIRST_NUMBER + report.id,
        "report_created_at": utc(now)[:16],
    }
    return [created]


# Its document has an internal error under HTTP 500, unlike that of the request.
@Operation("reports.status", message="Success", http={500: 500})
def status(state: SandboxState, call: SandboxRequest) -> list[JSON]:
    """Return the status of a report, which is ready after `async_polls` polls."""
    reference = call.query.get("report_reference_number")
    if not reference:
        raise _invalid("report_reference_number", "This field may not be null", "null")
    report = _report(state, reference)
    if report is None:
        raise _invalid("report_reference_number", "does not exist", "does_not_exist")
    is_ready = report.content["polls"] >= state.async_polls
    content = {**report.content, "polls": report.content["polls"] + 1}
    state.store.update(report, content=content)
    row = {
        "report_name": _NAME,
        "s3_link": f"{call.origin}/reports/{reference}.csv" if is_ready else None,
        "report_created_at": utc(report.moment)[:16],
        "report_status": "SUCCESS" if is_ready else "PENDING",
    }
    return [row]


def report_file(state: SandboxState, reference: str) -> bytes | None:
    """Return a report as CSV, if it is ready."""
    report = _report(state, reference)
    if report is None or report.content["polls"] <= state.async_polls:
        return None
    text = io.StringIO()
    names = report.content["fields"] or list(_COLUMNS)
    table = csv.DictWriter(text, names, restval="", extrasaction="ignore")
    table.writeheader()
    for parcel in state.store.parcels_scanned(report.content["start"], report.content["end"]):
        scan = state.scans_of(parcel)[0]
        table.writerow({name: value(parcel, scan) for name, value in _COLUMNS.items()})
    return text.getvalue().encode()


def _report(state: SandboxState, reference: str) -> Note | None:
    if not re.fullmatch(r"[0-9]{1,15}", reference):
        return None
    return state.store.one(Note, kind=REPORT, id=int(reference) - _FIRST_NUMBER)


def _window(filters: JSON) -> tuple[float, float]:
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
