from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from clickpost_async import InvalidRequestError, structure, unstructure
from clickpost_async._codec.converter import structure_response
from clickpost_async.structures import ResponseInfo
from clickpost_async.structures.reports import ReportRequest, ReportStatus

IST = timezone(timedelta(hours=5, minutes=30))


def test_times_are_written_in_utc_whatever_their_zone() -> None:
    report = ReportRequest.between(
        datetime(2026, 3, 1, 5, 30, tzinfo=IST), datetime(2026, 3, 2, 5, 30, tzinfo=IST)
    )
    assert unstructure(report) == {
        "filters": {
            "updated_at_start_time": "2026-03-01 00:00:00",
            "updated_at_end_time": "2026-03-02 00:00:00",
        },
        "report_name": "TRACK_ORDER_DASHBOARD_REPORT",
        "fields": [],
    }


def test_times_without_a_zone_are_refused_together() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        ReportRequest.between(datetime(2026, 3, 1), datetime(2026, 3, 2))  # noqa: DTZ001 - refused
    assert [problem.path for problem in caught.value.problems] == ["start", "end"]


@pytest.mark.parametrize(
    ("seconds", "legal"), [(86_400, True), (86_401, False), (1, True), (0, False), (-1, False)]
)
def test_report_spans_a_day_at_most(seconds: int, legal: bool) -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    if legal:
        ReportRequest.between(start, start + timedelta(seconds=seconds))
    else:
        with pytest.raises(InvalidRequestError, match="updated_at_end_time"):
            ReportRequest.between(start, start + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    "text", ["2026-03-01T00:00:00", "2026-03-01", "2026-3-1 0:00:00", "2026-02-30 00:00:00", "now"]
)
def test_time_in_another_form_is_refused(text: str) -> None:
    filters = {"updated_at_start_time": text, "updated_at_end_time": "2026-03-02 00:00:00"}
    with pytest.raises(InvalidRequestError) as caught:
        structure({"filters": filters}, ReportRequest)
    assert [problem.path for problem in caught.value.problems] == ["filters.updated_at_start_time"]


def test_fields_are_a_list_of_names() -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    with pytest.raises(InvalidRequestError, match="fields: expected a list"):
        ReportRequest.between(start, start + timedelta(hours=1), fields="awb")


@pytest.mark.parametrize(
    ("body", "ready", "failed"),
    [
        ({"report_status": "SUCCESS", "s3_link": "https://x"}, True, False),
        ({"report_status": "success", "s_link": "https://x"}, True, False),
        ({"report_status": "SUCCESS", "s3_link": None}, False, False),
        ({"report_status": "SUCCESS", "s3_link": ""}, False, False),
        ({"report_status": "PENDING", "s3_link": "https://x"}, False, False),
        ({"report_status": "FAILED"}, False, True),
        ({}, False, False),
    ],
)
def test_report_is_ready_with_its_status_and_a_url(
    body: dict[str, Any], ready: bool, failed: bool
) -> None:
    status = structure_response(body, ReportStatus, ResponseInfo())
    assert status is not None
    assert (status.ready, status.failed) == (ready, failed)
    assert "https://x" not in repr(status)


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01 00:00"])
def test_unreadable_time_is_none(text: str) -> None:
    assert ReportStatus(created_at=text).created is None


def test_request_time_of_a_report_is_in_utc() -> None:
    status = ReportStatus(created_at="2026-03-02 00:05")
    assert status.created == datetime(2026, 3, 2, 0, 5, tzinfo=UTC)
