"""Request reports, wait for them, and download them."""

import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clickpost_async._codec.endpoint import Auth, Get, Idempotency, Post
from clickpost_async._codec.envelope import only_row
from clickpost_async._codec.file_types import Download, FileType
from clickpost_async.endpoints._namespace import Namespace
from clickpost_async.errors import DeadlineError, InvalidRequestError, Problem, RefusedError
from clickpost_async.structures.reports import ReportRequest, ReportStatus, RequestedReport

Reference = RequestedReport | int | str


def _requested(body: Mapping[str, Any]) -> Any:
    """Read the report that was requested, without which the response is unreadable."""
    return only_row(body) or None


def _only_or_none_yet(body: Mapping[str, Any]) -> Any:
    """Read the report, if there is one: the response before that is not documented."""
    return only_row(body) if body.get("result") else {}


REQUEST = Post(
    "/v1/reports/enterprise_dashboard_report/",
    name="reports.request",
    takes=ReportRequest,
    returns=RequestedReport,
    extract=_requested,
    auth=Auth.KEY,
    idempotency=Idempotency.UNSAFE,
)
STATUS = Get(
    "/v1/reports/enterprise_dashboard_report/",
    name="reports.status",
    returns=ReportStatus,
    extract=_only_or_none_yet,
    auth=Auth.KEY,
    idempotency=Idempotency.SAFE,
)

ENDPOINTS = (REQUEST, STATUS)

REPORT = Download("reports.download", {FileType.CSV, FileType.ZIP})

_FIRST_PAUSE = 2.0
_GROWTH = 1.5
_MAX_PAUSE = 30.0

_is_number = re.compile(r"\d{1,19}", re.ASCII).fullmatch


class Reports(Namespace):
    """`clickpost.reports`."""

    async def request(self, report: ReportRequest | Mapping[str, Any]) -> RequestedReport:
        """Request a report on the shipments updated within at most 24 hours.

        `ReportRequest.between(start, end)` takes times with a zone; a plain mapping has UTC text.
        Two requests make two reports, so it is never resent.

        Args:
            report: Its type, and the span of time.

        Returns:
            The report's number, for `status` and `wait`.

        Raises:
            InvalidRequestError: A field is invalid; found before anything is sent, or by ClickPost.
            CredentialsError: The key is wrong.
            NotSentError: Nothing was processed.
            NoReplyError, UnreadableReplyError, ServerError: outcome unknown; requesting another
                report does no harm.

        """
        return await self._caller.post(REQUEST, report)

    async def status(self, reference: Reference) -> ReportStatus:
        """Fetch the status of a report; it can be downloaded when `ready` is true.

        Args:
            reference: The report: what `request` returned, or its number.

        Returns:
            `ready`, `failed`, and the URL of a report that is ready.

        Raises:
            InvalidRequestError: There is no such report (422).
            CredentialsError: The key is wrong.

        """
        query = {"report_reference_number": _number(reference)}
        return await self._caller.get(STATUS, query)

    async def wait(self, reference: Reference, *, max_wait: float = 600.0) -> ReportStatus:
        """Poll the status of a report until it is ready, with pauses that grow from 2 s to 30 s.

        Args:
            reference: The report: what `request` returned, or its number.
            max_wait: The total of the pauses in seconds, at most; 0 polls once.

        Returns:
            The status of the report, which can be downloaded.

        Raises:
            DeadlineError: It is not ready yet; nothing is lost, wait for it again.
            RefusedError: ClickPost failed to make it.
            InvalidRequestError, CredentialsError: as `status` does.

        """
        if not (isinstance(max_wait, int | float) and 0 <= max_wait < math.inf):
            problem = Problem("max_wait", "must be a finite number of seconds, 0 or more")
            raise InvalidRequestError.of([problem])
        number = _number(reference)
        pause, left = _FIRST_PAUSE, max_wait
        while True:
            report = await self.status(number)
            if report.ready:
                return report
            if report.failed:
                message = f"report {number} could not be made; request it again"
                raise RefusedError(message, endpoint="reports.wait", status=report.response.status)
            if left <= 0:
                message = (
                    f"report {number} is not ready after {max_wait:g} s of waiting;"
                    " wait for it again later"
                )
                raise DeadlineError(message, endpoint="reports.wait")
            pause = min(pause, left)
            await self._caller.pause(pause)
            left -= pause
            pause = min(pause * _GROWTH, _MAX_PAUSE)

    async def download(
        self,
        report: ReportStatus | str,
        path: str | os.PathLike[str],
        *,
        overwrite: bool = False,
    ) -> Path:
        """Download a report, CSV or ZIP, into a file, and return its path.

        The file appears only when it is complete, and is readable by its owner only.

        Args:
            report: What `wait` or `status` returned, or a URL.
            path: Where the file is written.
            overwrite: Whether an existing file at `path` is replaced.

        Returns:
            The path of the file.

        Raises:
            InvalidRequestError: The report is not ready, its URL is not a safe one, or there is a
                file at `path` and `overwrite` is false.
            RefusedError: The report does not exist any more (HTTP 403, 404): request it again.
            UnreadableReplyError: The downloaded file is not a CSV or ZIP.
            NotSentError, NoReplyError, ServerError: temporary failure; retry later.
            OSError: The file cannot be written.

        """
        ready = not isinstance(report, ReportStatus) or report.ready
        url = report.url if isinstance(report, ReportStatus) else report
        if not (ready and isinstance(url, str) and url):
            problem = Problem("report", "it is not ready; wait for it with reports.wait")
            raise InvalidRequestError.of([problem])
        return await self._caller.download(REPORT, url, Path(path), overwrite=overwrite)


def _number(reference: Reference) -> str:
    found = reference.reference if isinstance(reference, RequestedReport) else reference
    if found is None or not _is_number(str(found)):
        problem = Problem("reference", "expected the number that reports.request returned")
        raise InvalidRequestError.of([problem])
    return str(found)
