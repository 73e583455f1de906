"""Returns: requested, polled, approved, in transit."""

from typing import Any

import httpx
import pytest

from clickpost_async.sandbox import Sandbox, ShipmentKind
from tests.sandbox.samples import at_midnight, client, placed

POLL = "/v1/return_order_poll/"


def anonymous(sandbox: Sandbox) -> httpx.AsyncClient:
    return client(sandbox, credentials={"user_name": sandbox.username, "key": sandbox.api_key})


async def polled(http: httpx.AsyncClient, start: str, end: str) -> httpx.Response:
    return await http.get(POLL, params={"start_time": start, "end_time": end})


@pytest.mark.asyncio
async def test_return_is_polled_in_the_hour_of_its_request() -> None:
    sandbox = at_midnight()
    async with client(sandbox) as http, anonymous(sandbox) as poller:
        await placed(http, "W1")
        sandbox.tick(1800)
        reference = sandbox.request_return("W1", reason="Leaks", refund_mode="Bank")
        hits = (await polled(poller, "2026-03-02T00:00:00", "2026-03-02T01:00:00")).json()
        miss = (await polled(poller, "2026-03-02T01:00:00", "2026-03-02T02:00:00")).json()

    (row,) = hits["result"]
    assert (row["return_reference_number"], row["status"], row["refund_mode"]) == (
        reference,
        "NEW_CASE",
        "Bank",
    )
    assert row["Return Request Timestamp"] == "2026-03-02T00:30:00.000000Z"
    additional = row["webhook_payload"]["additional"]
    first, second = additional["item_info"]
    assert (first["sku"], first["return_reason"]) == ("PEN-1", "Leaks")
    assert first["id"] != second["id"]
    assert additional["return_address"] == "14 Ink Lane"
    assert additional["return_pickup_address"] == "7 Banyan Road"
    assert miss["result"] == []


@pytest.mark.asyncio
async def test_approved_return_has_a_courier_and_is_delivered() -> None:
    sandbox = at_midnight()
    async with client(sandbox) as http, anonymous(sandbox) as poller:
        await placed(http, "W1")
        waybill = sandbox.approve_return(sandbox.request_return("W1"))
        reply = await polled(poller, "2026-03-02T00:00:00", "2026-03-02T01:00:00")

    (row,) = reply.json()["result"]
    forward, back = sandbox.parcels()
    assert (row["status"], row["cp_id"], row["cp_name"], row["awb"]) == (
        "APPROVED",
        25,
        "Delhivery",
        waybill,
    )
    assert row["return_tracking_id"] == str(back.tracking_id)
    assert (back.waybill, back.kind, back.courier_partner) == (waybill, ShipmentKind.RVP, 25)
    assert back.details["pickup_city"] == forward.details["drop_city"]
    assert sandbox.advance(waybill, steps=9) == 8


@pytest.mark.asyncio
async def test_return_is_decided_once() -> None:
    sandbox = at_midnight()
    async with client(sandbox) as http:
        await placed(http, "W1")
    reference = sandbox.request_return("W1")
    sandbox.approve_return(reference)

    with pytest.raises(ValueError, match="approved already"):
        sandbox.approve_return(reference)
    with pytest.raises(LookupError, match="no return RE0"):
        sandbox.approve_return("RE0")
    with pytest.raises(LookupError, match="no parcel"):
        sandbox.request_return("W9")


@pytest.mark.asyncio
async def test_two_returns_of_one_parcel_have_two_references() -> None:
    sandbox = at_midnight()
    async with client(sandbox) as http:
        await placed(http, "W1")

    assert sandbox.request_return("W1") != sandbox.request_return("W1")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        (
            "2026-03-02T00:00:00",
            "2026-03-02T01:00:01",
            {"Time Difference": ["start_time is ahead of end_time by more than 60 minutes"]},
        ),
        ("2026-03-02", "2026-03-02T01:00:00", {"start_time": ["YYYY-MM-DDThh:mm:ss is needed"]}),
    ],
)
async def test_invalid_window_is_400_under_http_400_in_a_dict(
    start: str, end: str, message: dict[str, Any]
) -> None:
    async with anonymous(Sandbox()) as poller:
        reply = await polled(poller, start, end)

    assert (reply.status_code, reply.json()) == (
        400,
        {"meta": {"status": 400, "message": message, "success": False}},
    )
