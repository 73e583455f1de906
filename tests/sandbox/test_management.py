"""Existing orders: edited, cancelled, followed, counted."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from clickpost_async.sandbox import Sandbox
from tests.sandbox.samples import (
    CREDENTIALS,
    MIDNIGHT,
    at_midnight,
    client,
    placed,
    registered,
    status_of,
)

EDIT = "/v1/edit-order/"
CANCEL = "/v1/cancel-order/"
UPDATED = "/v1/updated-order"
COUNTS = "/v1/fetch-shipment-count/"


async def edited(http: httpx.AsyncClient, **edit: Any) -> int:
    body = {"awb_number": "W1", "courier_partner": 4, **edit}
    return status_of(await http.post(EDIT, json=body))


async def cancelled(http: httpx.AsyncClient, waybill: str = "W1", **query: Any) -> tuple[int, int]:
    params = {"waybill": waybill, "cp_id": 4, "account_code": "lotus-surface", **query}
    reply = await http.get(CANCEL, params=params)
    return reply.status_code, status_of(reply)


async def updates(http: httpx.AsyncClient, start: int, end: int) -> Any:
    return (await http.get(UPDATED, params={"start_date": start, "end_date": end})).json()


@pytest.mark.asyncio
async def test_edit_changes_what_is_collected_until_the_parcel_is_out_for_delivery() -> None:
    sandbox = at_midnight()
    async with client(sandbox) as http:
        await placed(http, "W1")
        statuses = [
            await edited(http, order_type="PREPAID"),
            await edited(http, order_type="COD", cod_value=99.5),
            await edited(http, order_type="COD", cod_value=0),
            await edited(http, order_type="GOLD"),
            await edited(http, order_type="COD", cod_value="much"),
            await edited(http, qc_type=None),
            await edited(http, courier_partner="4"),
            await edited(http, awb_number="W9"),
        ]
        (parcel,) = sandbox.parcels()
        sandbox.advance("W1", steps=3)
        late = await http.post(EDIT, json={"awb_number": "W1", "courier_partner": 4})

    assert statuses == [200, 200, 315, 307, 400, 200, 302, 321]
    assert (parcel.order_type, parcel.cod_value) == ("COD", 99.5)
    assert (late.status_code, status_of(late)) == (200, 400)


@pytest.mark.asyncio
async def test_cancelling_a_cancelled_order_returns_600() -> None:
    sandbox = at_midnight()
    async with client(sandbox) as http:
        await placed(http, "W1")
        results = [await cancelled(http) for _ in range(2)]
        before = sandbox.scans("W1")[0].code

    assert results == [(200, 200), (200, 600)]
    assert before == 1
    assert sandbox.advance("W1") == sandbox.advance("W1") == 10


@pytest.mark.asyncio
async def test_tracking_reports_cancelled_at_once_where_set() -> None:
    sandbox = at_midnight()
    async with client(sandbox) as http:
        await placed(http, "W1")
        wrong = await cancelled(http, manually_update_status="true")
        right = await cancelled(http, manually_update_status="True")

    assert (wrong, right) == ((200, 400), (200, 200))
    assert sandbox.scans("W1")[0].code == 10


@pytest.mark.asyncio
async def test_courier_may_decide_later_or_refuse() -> None:
    sandbox = at_midnight()
    async with client(sandbox) as http:
        await placed(http, "W1", reference="CANCEL-LATER-1")
        await placed(http, "W2", reference="CANCEL-REFUSED-1")
        asked = [await cancelled(http), await cancelled(http), await cancelled(http, "W2")]
        sandbox.advance("W1")
        decided = await cancelled(http)

    assert asked == [(202, 202), (202, 202), (200, 400)]
    assert decided == (200, 600)


@pytest.mark.asyncio
async def test_impossible_cancellation_is_350_under_http_400() -> None:
    sandbox = at_midnight()
    async with client(sandbox) as http:
        await placed(http, "W1")
        sandbox.advance("W1", steps=3)
        await placed(http, "W2")
        results = [
            await cancelled(http),
            await cancelled(http, "W9"),
            await cancelled(http, "W2", cp_id=5),
            await cancelled(http, "W2", account_code="unknown-account"),
            await cancelled(http, "W2", account_code="another-account"),
            await cancelled(http, "W2", cp_id="four"),
            await cancelled(http, ""),
        ]

    assert results == [
        (400, 350),
        (400, 350),
        (400, 350),
        (200, 351),
        (200, 351),
        (200, 302),
        (200, 400),
    ]


@pytest.mark.asyncio
async def test_updated_order_has_indian_time_and_utc() -> None:
    sandbox = at_midnight()
    async with client(sandbox) as http:
        await placed(http, "W1")
        sandbox.tick(60.5)
        sandbox.advance("W1")
        body = await updates(http, MIDNIGHT, MIDNIGHT + 1800)

    (row,) = body["result"]
    assert {name: row[name] for name in ("created_at", "updated_at", "timestamp")} == {
        "created_at": "2026-03-02T00:00:00.000000Z",
        "updated_at": "2026-03-02T00:01:00.500000Z",
        "timestamp": "2026-03-02 05:31:00",
    }
    assert (row["clickpost_status_code"], row["clickpost_status_description"]) == (4, "PickedUp")


@pytest.mark.asyncio
async def test_only_the_newest_scan_counts_for_a_window() -> None:
    sandbox = at_midnight()
    async with client(sandbox) as http:
        await placed(http, "W1")
        sandbox.tick(100)
        sandbox.advance("W1")
        windows = [
            await updates(http, MIDNIGHT, MIDNIGHT + 99),
            await updates(http, MIDNIGHT + 100, MIDNIGHT + 100),
        ]

    assert [len(body["result"]) for body in windows] == [0, 1]


@pytest.mark.asyncio
async def test_updates_come_in_pages_whose_next_is_a_url_with_the_key() -> None:
    sandbox = at_midnight(page_size=2)
    async with client(sandbox) as http:
        for number in range(5):
            await placed(http, f"W{number}")
        pages = [await updates(http, MIDNIGHT, MIDNIGHT + 60)]
        async with client(sandbox, credentials={}) as anonymous:
            while pages[-1]["meta"]["next"] and len(pages) < 9:
                pages.append((await anonymous.get(pages[-1]["meta"]["next"])).json())

    address = urlsplit(pages[0]["meta"]["next"])
    asked = {name: value for name, (value,) in parse_qs(address.query).items()}
    assert f"{address.scheme}://{address.netloc}{address.path}" == (
        "http://sandbox.test/api/v1/updated-order"
    )
    assert {**CREDENTIALS, "start_date": str(MIDNIGHT)}.items() <= asked.items()
    assert [[row["waybill"] for row in page["result"]] for page in pages] == [
        ["W0", "W1"],
        ["W2", "W3"],
        ["W4"],
    ]


@pytest.mark.asyncio
async def test_nothing_is_lost_from_a_page_when_parcels_move_between_pages() -> None:
    sandbox = at_midnight(page_size=2)
    async with client(sandbox) as http:
        for number in range(4):
            await placed(http, f"W{number}")
        first = await updates(http, MIDNIGHT, MIDNIGHT + 60)
        sandbox.tick(600)
        sandbox.advance("W0")
        async with client(sandbox, credentials={}) as anonymous:
            second = (await anonymous.get(first["meta"]["next"])).json()

    assert [row["waybill"] for row in second["result"]] == ["W2", "W3"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"start_date": MIDNIGHT, "end_date": MIDNIGHT + 1801}, 500),
        ({"start_date": MIDNIGHT}, 400),
        ({"start_date": "yesterday", "end_date": MIDNIGHT}, 400),
        ({"start_date": MIDNIGHT, "end_date": MIDNIGHT, "cursor": "next"}, 400),
    ],
)
async def test_invalid_window_is_refused(query: dict[str, Any], status: int) -> None:
    async with client(Sandbox()) as http:
        assert status_of(await http.get(UPDATED, params=query)) == status


@pytest.mark.asyncio
async def test_days_are_counted_two_days_later() -> None:
    sandbox = at_midnight()
    days = {"start-date": "2026-03-01", "end-date": "2026-03-03"}
    async with client(sandbox) as http:
        await placed(http, "W1")
        await registered(http, "EXT-1")
        today = (await http.get(COUNTS, params=days)).json()["result"]
        sandbox.tick(2 * 86_400)
        later = (await http.get(COUNTS, params=days)).json()["result"]

    assert today == {"2026-03-01": {}, "2026-03-02": {}, "2026-03-03": {}}
    assert later == {**today, "2026-03-02": {"manifestation": 1, "tracking": 2}}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "days",
    [
        {"start-date": "2026-03-01"},
        {"start_date": "2026-03-01", "end_date": "2026-03-01"},
        {"start-date": "01-03-2026", "end-date": "2026-03-03"},
        {"start-date": "0001-01-01", "end-date": "9999-12-31"},
    ],
)
async def test_invalid_days_are_refused(days: dict[str, str]) -> None:
    async with client(Sandbox()) as http:
        assert status_of(await http.get(COUNTS, params=days)) == 400
