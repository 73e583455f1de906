"""Feedback and instructions on failed deliveries, beyond the golden samples."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from clickpost_async import (
    ClickPost,
    Idempotency,
    InvalidRequestError,
    RetryPolicy,
    ServerError,
    structure,
)
from clickpost_async.endpoints.ndr import ACT, FEEDBACK, Ndr
from clickpost_async.structures import NdrAction

TEN = datetime(2026, 3, 1, 10, tzinfo=UTC)


class Wire:
    """Answers every call with one body, and counts them."""

    def __init__(self, body: Any, http_status: int = 200) -> None:
        self.body = body
        self.http_status = http_status
        self.calls = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.calls += 1
        return httpx.Response(self.http_status, json=self.body)


def ndr(wire: Wire, retry: RetryPolicy | None = None) -> Ndr:
    client = ClickPost(
        "acme",
        "not-a-real-key",
        transport=httpx.MockTransport(wire),
        retry=retry or RetryPolicy(backoff=0, settle_delay=0),
    )
    return Ndr(client._caller)


def refused(status: int, message: str) -> dict[str, Any]:
    return {"meta": {"status": status, "success": False, "message": message}}


def test_instruction_is_never_sent_twice_by_itself_but_feedback_is_read_freely() -> None:
    assert (ACT.idempotency, FEEDBACK.idempotency) == (Idempotency.UNSAFE, Idempotency.SAFE)


@pytest.mark.asyncio
async def test_instruction_that_failed_inside_clickpost_is_sent_once() -> None:
    wire = Wire(refused(500, "Ops! Something went wrong"))
    action = {"action": "INITIATE_RTO", "waybill": "W1", "cp_id": 4, "account_code": "main"}

    with pytest.raises(ServerError):
        await ndr(wire).act(action)

    assert wire.calls == 1


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("message", "kind", "calls"),
    [
        ("Ops! Something went wrong", ServerError, 4),
        ("(end_date-start_date) diff can not be more than 3600 seconds", InvalidRequestError, 1),
    ],
)
async def test_500_is_clickposts_fault_or_a_window_that_no_waiting_makes_smaller(
    message: str, kind: type[Exception], calls: int
) -> None:
    wire = Wire(refused(500, message))

    with pytest.raises(kind):
        await ndr(wire).feedback(TEN, TEN + timedelta(hours=1))

    assert wire.calls == calls


@pytest.mark.asyncio
async def test_window_of_more_than_an_hour_is_not_sent() -> None:
    wire = Wire({})

    with pytest.raises(InvalidRequestError, match="at most 3600 s after start"):
        await ndr(wire).feedback(TEN, TEN + timedelta(seconds=3601))

    assert wire.calls == 0


@pytest.mark.asyncio
async def test_incomplete_reattempt_is_sent_with_warnings() -> None:
    body = {"action": "REATTEMPT", "waybill": "W1", "cp_id": 4, "account_code": "main"}
    wire = Wire({"meta": {"status": 200, "message": "SUCCESS", "success": True}})

    await ndr(wire).act(body)

    assert wire.calls == 1
    assert [problem.path for problem in structure(body, NdrAction).warnings] == [
        "address",
        "landmark",
        "drop_pincode",
        "phone_number",
        "preferred_date",
    ]
