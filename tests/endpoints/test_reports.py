from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from clickpost_async import (
    ClickPost,
    DeadlineError,
    InvalidRequestError,
    RefusedError,
    RetryPolicy,
    UnreadableReplyError,
)
from clickpost_async.endpoints.reports import Reports
from clickpost_async.structures.reports import ReportStatus, RequestedReport

READY = ReportStatus(state="SUCCESS", url="https://nila.s3.amazonaws.com/1.csv")
PENDING = ReportStatus(state="PENDING")


class Patient:
    """A caller whose reports are ready after so many polls; pauses take no time."""

    def __init__(self, responses: Sequence[ReportStatus]) -> None:
        self.responses = list(responses)
        self.asked: list[Any] = []
        self.pauses: list[float] = []

    async def get(self, endpoint: Any, query: Any) -> Any:
        self.asked.append(query["report_reference_number"])
        return self.responses.pop(0) if len(self.responses) > 1 else self.responses[0]

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def download(
        self, download: Any, url: str, path: Path, *, overwrite: bool = False
    ) -> Path:
        self.asked.append((download.name, url, path, overwrite))
        return path


def reports(*responses: ReportStatus) -> tuple[Patient, Reports]:
    caller: Any = Patient(responses)
    return caller, Reports(caller)


@pytest.mark.asyncio
async def test_report_that_is_ready_is_not_waited_for() -> None:
    caller, namespace = reports(READY)
    assert await namespace.wait(17) is READY
    assert caller.pauses == []


@pytest.mark.asyncio
async def test_pauses_grow_until_the_report_is_ready() -> None:
    caller, namespace = reports(PENDING, ReportStatus(), PENDING, READY)
    assert await namespace.wait(RequestedReport(reference=17)) is READY
    assert caller.pauses == [2.0, 3.0, 4.5]
    assert caller.asked == ["17"] * 4


@pytest.mark.asyncio
async def test_no_pause_is_longer_than_half_a_minute() -> None:
    caller, namespace = reports(*[PENDING] * 12, READY)
    await namespace.wait(17)
    assert max(caller.pauses) == 30.0


@pytest.mark.parametrize(("max_wait", "pauses"), [(0, []), (1, [1]), (5, [2, 3]), (6, [2, 3, 1])])
@pytest.mark.asyncio
async def test_max_wait_bounds_the_pauses_together(max_wait: float, pauses: list[float]) -> None:
    caller, namespace = reports(PENDING)
    with pytest.raises(DeadlineError, match=f"report 17 is not ready after {max_wait} s") as caught:
        await namespace.wait("17", max_wait=max_wait)
    assert caller.pauses == pauses
    assert len(caller.asked) == len(pauses) + 1
    assert caught.value.endpoint == "reports.wait"


@pytest.mark.asyncio
async def test_report_that_was_given_up_is_not_waited_for() -> None:
    caller, namespace = reports(PENDING, ReportStatus(state="FAILED"))
    with pytest.raises(RefusedError, match="could not be made"):
        await namespace.wait(17)
    assert caller.pauses == [2.0]


@pytest.mark.parametrize("max_wait", [-1, float("nan"), float("inf")])
@pytest.mark.asyncio
async def test_max_wait_must_be_finite(max_wait: float) -> None:
    caller, namespace = reports(READY)
    with pytest.raises(InvalidRequestError, match="max_wait"):
        await namespace.wait(17, max_wait=max_wait)
    assert caller.asked == []


@pytest.mark.parametrize("reference", ["", "seventeen", "-1", "1" * 20, RequestedReport()])
@pytest.mark.asyncio
async def test_reference_is_a_number(reference: Any) -> None:
    caller, namespace = reports(READY)
    for ask in (namespace.status, namespace.wait):
        with pytest.raises(InvalidRequestError, match="reference"):
            await ask(reference)
    assert caller.asked == []


@pytest.mark.asyncio
async def test_report_is_downloaded_once_it_is_ready() -> None:
    caller, namespace = reports()
    await namespace.download(READY, "1.csv")
    await namespace.download("https://nila.s3.amazonaws.com/2.csv", "2.csv", overwrite=True)
    assert caller.asked == [
        ("reports.download", READY.url, Path("1.csv"), False),
        ("reports.download", "https://nila.s3.amazonaws.com/2.csv", Path("2.csv"), True),
    ]
    for report in (PENDING, ReportStatus(url="https://nila.s3.amazonaws.com/1.csv"), ""):
        with pytest.raises(InvalidRequestError, match=r"reports\.wait"):
            await namespace.download(report, "3.csv")


async def asked(body: Any, method: str) -> Any:
    def server(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"meta": {"status": 200}} | body)

    async with ClickPost(
        "acme",
        "not-a-real-key",
        transport=httpx.MockTransport(server),
        retry=RetryPolicy.never(),
    ) as clickpost:
        namespace = Reports(clickpost._caller)
        if method == "status":
            return await namespace.status(17)
        filters = {
            "updated_at_start_time": "2026-03-01 00:00:00",
            "updated_at_end_time": "2026-03-01 10:00:00",
        }
        return await namespace.request({"filters": filters})


@pytest.mark.parametrize("body", [{}, {"result": None}, {"result": []}, {"result": {}}])
@pytest.mark.asyncio
async def test_status_without_anything_in_it_is_not_ready(body: Any) -> None:
    assert (await asked(body, "status")).ready is False


@pytest.mark.parametrize("body", [{}, {"result": []}, {"result": "17"}, {"result": [17]}])
@pytest.mark.asyncio
async def test_response_without_a_report_is_unreadable(body: Any) -> None:
    with pytest.raises(UnreadableReplyError):
        await asked(body, "request")


@pytest.mark.parametrize("wrap", [list, next])
@pytest.mark.asyncio
async def test_report_is_read_in_a_list_of_one_or_by_itself(wrap: Any) -> None:
    result = wrap(iter([{"report_reference_number": "17"}]))
    assert (await asked({"result": result}, "request")).reference == 17
