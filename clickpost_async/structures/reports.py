"""Reports that ClickPost generates in the background."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, ClassVar, Self

from attrs import frozen

from clickpost_async.errors import InvalidRequestError, Problem
from clickpost_async.structures._base import RequestModel, ResponseModel
from clickpost_async.structures._constraints import Code, Moment, NotBlank, Pattern
from clickpost_async.structures._marks import Personal, WireName
from clickpost_async.structures._rules import Rules, cross_rule
from clickpost_async.structures._timestamps import parse_timestamp

_WRITTEN = "%Y-%m-%d %H:%M:%S"
_MAX_SPAN = timedelta(hours=24)
_DONE = "SUCCESS"
# ClickPost documents SUCCESS only; any of these counts as a final failure.
_FAILED = frozenset({"FAILED", "FAILURE", "ERROR"})


_DATA = "a time that is read differently, or a window that is cut, leaves shipments out"

_UtcTime = Annotated[
    str,
    Pattern.of(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d",
        "a time in UTC is written YYYY-MM-DD HH:MM:SS, like 2026-01-31 18:30:00",
        source=_DATA,
    ),
    Moment(source=_DATA),
]


@cross_rule("updated_at_end_time", "at most 24 hours after updated_at_start_time", source=_DATA)
def _is_one_day_at_most(filters: "ReportFilters") -> Iterable[Problem]:
    start, end = (
        parse_timestamp(filters.updated_at_start_time),
        parse_timestamp(filters.updated_at_end_time),
    )
    if start is None or end is None:
        return
    if end <= start:
        yield Problem("updated_at_end_time", "must be after updated_at_start_time")
    elif end - start > _MAX_SPAN:
        yield Problem(
            "updated_at_end_time",
            "at most 24 hours after updated_at_start_time; ask for more in several reports",
        )


@frozen(kw_only=True, repr=False)
class ReportFilters(RequestModel):
    """Which shipments are in a report: those updated between two times in UTC."""

    updated_at_start_time: _UtcTime
    updated_at_end_time: _UtcTime

    rules: ClassVar[Rules] = (_is_one_day_at_most,)


@frozen(kw_only=True, repr=False)
class ReportRequest(RequestModel):
    """A request for a report; `ReportRequest.between(start, end)` makes one from two datetimes.

    Without `fields` it has every column. There is one kind of report only.
    """

    filters: ReportFilters
    report_name: Annotated[Code, NotBlank()] = "TRACK_ORDER_DASHBOARD_REPORT"
    fields: Sequence[str] = ()

    @classmethod
    def between(cls, start: datetime, end: datetime, *, fields: Sequence[str] = ()) -> Self:
        """Make a request for a report on the shipments updated between two times.

        Args:
            start: The first, with a time zone.
            end: The last, likewise.
            fields: The columns; all by default.

        Returns:
            The request.

        Raises:
            InvalidRequestError: A time has no zone.

        """
        problems = [
            Problem(name, "expected a datetime with a time zone, such as datetime.now(UTC)")
            for name, time in (("start", start), ("end", end))
            if not isinstance(time, datetime) or time.utcoffset() is None
        ]
        if problems:
            raise InvalidRequestError.of(problems)
        filters = ReportFilters(
            updated_at_start_time=start.astimezone(UTC).strftime(_WRITTEN),
            updated_at_end_time=end.astimezone(UTC).strftime(_WRITTEN),
        )
        return cls(filters=filters, fields=fields)


@frozen(kw_only=True, repr=False)
class RequestedReport(ResponseModel):
    """A report that is being generated; `reference` identifies it."""

    reference: Annotated[int | None, WireName("report_reference_number")] = None
    name: Annotated[str | None, WireName("report_name")] = None
    created_at: Annotated[str | None, WireName("report_created_at")] = None

    @property
    def created(self) -> datetime | None:
        """When the report was requested."""
        return parse_timestamp(self.created_at)


@frozen(kw_only=True, repr=False)
class ReportStatus(ResponseModel):
    """The status of a report; `url` is a CSV file for some 24 hours, open to anyone who has it."""

    name: Annotated[str | None, WireName("report_name")] = None
    state: Annotated[str | None, WireName("report_status")] = None
    url: Annotated[str | None, WireName("s3_link", also=("s_link",)), Personal()] = None
    created_at: Annotated[str | None, WireName("report_created_at")] = None

    @property
    def created(self) -> datetime | None:
        """When the report was requested."""
        return parse_timestamp(self.created_at)

    @property
    def ready(self) -> bool:
        """Whether it can be downloaded."""
        return bool(self.url) and (self.state or "").upper() == _DONE

    @property
    def failed(self) -> bool:
        """Whether ClickPost failed to make it, so that waiting is useless."""
        return (self.state or "").upper() in _FAILED
