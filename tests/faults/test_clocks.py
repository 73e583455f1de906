"""Chapter C: clocks that jump, differ, or are wrong."""

import asyncio
import time
from typing import Any

import httpx
import pytest

from clickpost_async import Rate, RetryPolicy
from clickpost_async.testing import virtual_time
from tests.helpers.scripted_transport import Play, api_response, placed, playing
from tests.sandbox.samples import india_order


@pytest.mark.fault("C01")
@pytest.mark.parametrize("jump", [3600.0, -3600.0, 86_400.0, -86_400.0])
@virtual_time
async def test_c01_wall_clock_that_jumps_changes_no_pause_pace_or_deadline(
    jump: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    wall = time.time

    async def jumps(request: httpx.Request) -> httpx.Response:
        monkeypatch.setattr(time, "time", lambda: wall() + jump)
        raise httpx.ReadError("")

    play = Play([jumps, httpx.Response(429, headers={"retry-after": "7"}), placed()])
    async with playing(play, rate=Rate(1)) as clickpost:
        patient = clickpost.with_options(deadline=200)
        order = await patient.orders.create(india_order("R-1"))
    assert order.waybill == "W-1"
    settled, throttled = play.pauses
    assert 30 <= settled <= 61
    assert 7 <= throttled + 1e-9 <= 8.5


@pytest.mark.fault("C05")
@pytest.mark.parametrize("date", ["Mon, 01 Jan 2001 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT"])
@virtual_time
async def test_c05_date_counts_from_the_servers_own_clock(date: str) -> None:
    later = date.replace("00:00:00", "00:00:12")
    headers = {"date": date, "retry-after": later}
    for line in (httpx.Response(429, headers=headers), httpx.Response(503, headers=headers)):
        play = Play([line, placed()])
        began = asyncio.get_running_loop().time()
        async with playing(play, retry=RetryPolicy(settle_delay=0.1)) as clickpost:
            await clickpost.orders.create(india_order("R-1"))
        assert 12 <= play.times[1] - began <= 12.6


@pytest.mark.fault("C05")
@virtual_time
async def test_c05_http_date_without_a_date_header_is_ignored() -> None:
    for date in (None, "yesterday"):
        headers = {"retry-after": "Fri, 01 Jan 2100 00:00:12 GMT"}
        if date:
            headers["date"] = date
        play = Play([httpx.Response(429, headers=headers), placed()])
        began = asyncio.get_running_loop().time()
        async with playing(play) as clickpost:
            await clickpost.orders.create(india_order("R-1"))
        assert 1 <= play.times[1] - began <= 3


ODD_TIMES: list[Any] = [
    "2026-06-30T23:59:60",
    "2026-03-29T02:30:00+01:00",
    "9999-12-31T23:59:59",
    "31/12/2026",
    "0000-00-00",
    "",
    None,
    -1,
    1e18,
    {},
]


@pytest.mark.fault("C06")
@pytest.mark.parametrize("odd", ODD_TIMES, ids=repr)
@virtual_time
async def test_c06_unreadable_time_loses_no_order(odd: Any) -> None:
    result = {"waybill": "W-1", "reference_number": "R-1", "created_at": odd, "edd": odd}
    async with playing([api_response(200, result=result, timestamp=odd)]) as clickpost:
        order = await clickpost.orders.create(india_order("R-1"))
    assert order.waybill == "W-1"
    assert order.extra["created_at"] == odd


@pytest.mark.fault("C06")
@pytest.mark.parametrize("odd", ODD_TIMES, ids=repr)
@virtual_time
async def test_c06_unreadable_time_loses_no_scan(odd: Any) -> None:
    scan = {"clickpost_status_code": 4, "timestamp": odd, "location": "Pune"}
    tracked = {
        "W-1": {"valid": True, "scans": [scan], "latest_status": scan, "additional": {"edd": odd}}
    }
    async with playing([api_response(200, result=tracked)]) as clickpost:
        track = await clickpost.tracking.track(["W-1"], courier_partner=4)
    assert track.response.status == 200
