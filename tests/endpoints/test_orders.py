"""Editing, cancelling, following and counting orders, beyond the golden samples."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest

from clickpost_async import ClickPost, Idempotency, InvalidRequestError, RetryPolicy
from clickpost_async.endpoints.orders import CANCEL, DAILY_COUNTS, EDIT, UPDATED, Orders

TEN = datetime(2026, 3, 1, 10, tzinfo=UTC)
KEY = "not-a-real-key"


class Wire:
    """Answers every call alike, and remembers where each one went."""

    def __init__(self, *bodies: Any) -> None:
        self.bodies = list(bodies)
        self.urls: list[httpx.URL] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.urls.append(request.url)
        return httpx.Response(200, json=self.bodies.pop(0))


def management(wire: Wire, now: Callable[[], datetime] = lambda: TEN) -> Orders:
    client = ClickPost(
        "acme",
        KEY,
        transport=httpx.MockTransport(wire),
        retry=RetryPolicy.never(),
    )
    return Orders(client._caller, now)


def done(**more: Any) -> dict[str, Any]:
    return {"meta": {"status": 200, "success": True, "message": "SUCCESS"}, **more}


def paths(error: pytest.ExceptionInfo[InvalidRequestError]) -> list[str]:
    return [problem.path for problem in error.value.problems]


def test_effect_of_a_second_send_is_declared() -> None:
    assert [endpoint.idempotency for endpoint in (EDIT, CANCEL, UPDATED, DAILY_COUNTS)] == [
        Idempotency.IDEMPOTENT,
        Idempotency.IDEMPOTENT,
        Idempotency.SAFE,
        Idempotency.SAFE,
    ]


@pytest.mark.asyncio
@pytest.mark.parametrize("result", [[], "OK", {"note": 1}, None, 7])
async def test_order_is_cancelled_whatever_else_the_response_contains(result: object) -> None:
    response = await management(Wire(done(result=result))).cancel(
        "W1", courier_partner=4, account_code="main"
    )

    assert response.cancelled
    assert response.extra == {"result": result}


@pytest.mark.asyncio
async def test_cancellation_without_a_waybill_is_not_sent() -> None:
    wire = Wire()

    with pytest.raises(InvalidRequestError) as caught:
        await management(wire).cancel(" ", courier_partner=4, account_code="")

    assert paths(caught) == ["waybill", "account_code"]
    assert wire.urls == []


@pytest.mark.asyncio
async def test_edit_with_mistakes_is_not_sent() -> None:
    wire = Wire()

    with pytest.raises(InvalidRequestError) as caught:
        await management(wire).edit({"awb_number": "W1", "order_type": "COD"})

    assert paths(caught) == ["courier_partner", "cod_value"]
    assert wire.urls == []


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("start", "end", "fields"),
    [
        (TEN, TEN + timedelta(seconds=1800.000001), ["end"]),
        (TEN, TEN, ["end"]),
        (TEN.replace(tzinfo=None), TEN, ["start"]),
        (TEN, "2026-03-01", ["end"]),
        (TEN.date(), TEN.date(), ["start", "end"]),
    ],
)
async def test_window_that_clickpost_would_refuse_is_not_sent(
    start: Any, end: Any, fields: list[str]
) -> None:
    wire = Wire()

    with pytest.raises(InvalidRequestError) as caught:
        await management(wire).updated(start, end)

    assert paths(caught) == fields
    assert wire.urls == []


@pytest.mark.asyncio
async def test_window_that_is_cut_to_the_second_stays_legal() -> None:
    wire = Wire(done(result=[]))

    await management(wire).updated(TEN, TEN + timedelta(seconds=1799.9))
    sent = wire.urls[0].params

    assert int(sent["end_date"]) - int(sent["start_date"]) == 1799


@pytest.mark.asyncio
async def test_next_page_is_requested_from_our_host_whatever_its_url() -> None:
    address = f"https://evil.example/steal?username=acme&key={KEY}&user_name=x&page=2"
    first = done(result=[{"waybill": "W1", "updated_at": "2026-03-01T10:00:01Z"}])
    first["meta"]["next"] = address
    second = done(result=[{"waybill": "W2", "updated_at": "2026-03-01T10:00:02Z"}])
    wire = Wire(first, second)
    orders = management(wire, lambda: TEN + timedelta(days=1))

    found = [row async for row in orders.iter_updated(TEN, TEN + timedelta(minutes=1))]

    assert [row.waybill for row in found] == ["W1", "W2"]
    assert {(url.host, url.path) for url in wire.urls} == {
        ("api.clickpost.in", "/api/v1/updated-order")
    }
    assert [url.params.get_list("key") for url in wire.urls] == [[KEY]] * 2
    assert [url.params.get("page") for url in wire.urls] == [None, "2"]
    assert "user_name" not in wire.urls[1].params


@pytest.mark.asyncio
async def test_days_are_counted_up_to_the_day_before_yesterday() -> None:
    wire = Wire(done(result={"2026-02-27": {}}))

    counts = await management(wire).daily_counts(date(2026, 2, 27), date(2026, 2, 27))

    assert [(day, counts[day].tracking) for day in counts] == [(date(2026, 2, 27), 0)]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("start", "end", "fields"),
    [
        (date(2026, 2, 27), date(2026, 2, 28), ["end"]),
        (date(2026, 2, 27), date(2026, 2, 26), ["end"]),
        (datetime(2026, 2, 1, tzinfo=UTC), "2026-02-02", ["start", "end"]),
    ],
)
async def test_days_without_counts_yet_are_not_requested(
    start: Any, end: Any, fields: list[str]
) -> None:
    wire = Wire()

    with pytest.raises(InvalidRequestError) as caught:
        await management(wire).daily_counts(start, end)

    assert paths(caught) == fields
    assert wire.urls == []
