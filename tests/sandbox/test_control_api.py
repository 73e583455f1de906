"""The control API over HTTP: each command does what its method does, from loopback only."""

from typing import Any

import httpx
import pytest

from clickpost_async.sandbox import Fault, Sandbox
from tests.sandbox.samples import INDIA, at_midnight, client, india_order, placed


def control_client(sandbox: Sandbox, **headers: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url="http://127.0.0.1/control",
        headers=headers,
        transport=httpx.ASGITransport(app=sandbox),
    )


async def parcel(sandbox: Sandbox, waybill: str = "W/1") -> None:
    async with client(sandbox) as http:
        await placed(http, waybill, reference="PEN-1")


@pytest.mark.asyncio
async def test_parcel_is_moved_not_delivered_and_returned() -> None:
    sandbox = at_midnight()
    await parcel(sandbox)
    async with control_client(sandbox) as http:
        moved = await http.post("/parcels/W%2F1/advance", json={"steps": 2})
        failed = await http.post("/parcels/W%2F1/fail", json={"ndr_code": 5})
        all_moved = await http.post("/parcels")
        journey = (await http.get("/parcels/W%2F1")).json()
        asked = (await http.post("/parcels/W%2F1/return", json={"reason": "too small"})).json()
        reference = asked["return_reference_number"]
        back = (await http.post(f"/returns/{reference}/approve")).json()["waybill"]

    assert (moved.json(), failed.json(), all_moved.json()) == ({"code": 5}, {}, {"moved": 1})
    assert [scan["code"] for scan in journey["scans"]] == [1, 4, 5, 6, 9, 20]
    assert journey["scans"][4]["ndr_code"] == 5
    assert journey["ahead"][0] == "RTO-Marked"
    assert sandbox.scans(back)[0].code == 1


@pytest.mark.asyncio
async def test_sandbox_clock_moves_forward_only() -> None:
    sandbox = at_midnight(scan_every=60)
    await parcel(sandbox)
    async with control_client(sandbox) as http:
        now = (await http.post("/clock", json={"seconds": 90})).json()["now"]
        back = await http.post("/clock", json={"seconds": -1})

    assert now == sandbox.now()
    assert sandbox.scans("W/1")[0].code == 4
    assert (back.status_code, back.json()) == (
        400,
        {"error": "the sandbox's clock only goes forward"},
    )


@pytest.mark.asyncio
async def test_faults_are_set_by_chance_and_by_script() -> None:
    sandbox = Sandbox()
    async with control_client(sandbox) as http:
        reply = (await http.post("/faults", json={"too_many": 0.25, "latency": 1.5})).json()
        await http.post("/faults/next", json={"fault": "oops", "reference_number": "PEN-1"})
        state = (await http.get("/state")).json()

    assert (reply["too_many"], reply["latency"], reply["hang"]) == (0.25, 1.5, 0.0)
    assert state["faults"] == reply
    assert sandbox.faults.draw("PEN-1") is Fault.OOPS


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("/faults", {"rain": 1}, 400, "'rain' is none of latency, too_many"),
        ("/faults", {"too_many": 2}, 400, "'too_many' must be <= 1"),
        ("/faults", {"too_many": "1"}, 400, "too_many: expected a number, got a string"),
        ("/faults/next", {"fault": "rain"}, 400, "fault: expected one of too_many, busy, "),
        ("/clock", {}, 400, "seconds: expected a number, got null"),
        ("/clock", [], 400, "body is not a JSON object"),
        ("/parcels/W9/advance", {}, 404, "no parcel with waybill W9"),
        ("/parcels/W9/advance", {"steps": 1.5}, 400, "steps: expected an integer, got a number"),
        ("/parcels/W9/advance", {"steps": 1001}, 400, "steps: must be from 1 to 1000"),
        ("/returns/RE9/approve", {}, 404, "no return RE9"),
        ("/webhooks", {"url": "http://example.com/"}, 400, "to this machine only"),
        ("/webhooks", {"url": 5}, 400, "url: expected a string, got an integer"),
        ("/webhooks", {"url": "x" * 1001}, 400, "url: must be at most 1000 characters"),
        ("/webhooks/9/push", {}, 404, "no webhook 9"),
    ],
)
async def test_impossible_action_is_refused_with_the_reason(
    path: str, body: Any, status: int, words: str
) -> None:
    async with control_client(Sandbox()) as http:
        response = await http.post(path, json=body)

    assert response.status_code == status
    assert words in response.json()["error"]


@pytest.mark.asyncio
async def test_every_record_can_be_read_without_personal_data() -> None:
    sandbox = at_midnight()
    await parcel(sandbox)
    async with control_client(sandbox) as http:
        looks = {
            path: (await http.get(path)).json()
            for path in ("/state", "/orders", "/parcels/W%2F1", "/requests", "/ledger", "/webhooks")
        }
        few = (await http.get("/requests", params={"limit": 1, "search": "nothing"})).json()
        too_many = await http.get("/orders", params={"limit": "99999"})

    assert looks["/state"]["totals"] == {"placed": 1, "queued": 0, "labels": 1, "twice": 0}
    assert [order["status"] for order in looks["/orders"]] == ["OrderPlaced"]
    assert [call["code"] for call in looks["/requests"]] == [200]
    assert looks["/ledger"] == {"PEN-1": ["W/1"]}
    assert few == []
    assert too_many.status_code == 400
    assert not any(word in str(looks) for word in ("Meera", "9000000012", sandbox.api_key))


@pytest.mark.asyncio
async def test_reset_forgets_everything_and_starts_again_alike() -> None:
    sandbox = at_midnight()
    await parcel(sandbox)
    before = sandbox.parcels()
    sandbox.faults.too_many = 1.0
    async with control_client(sandbox) as http:
        await http.post("/reset")

    assert (sandbox.ledger(), sandbox.orders(), sandbox.requests()) == ({}, {}, [])
    assert (sandbox.latest_calls(), sandbox.parcels()) == ([], [])
    await parcel(sandbox)
    assert sandbox.parcels() == before


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "127.0.0.1.evil.example"},
        {"origin": "http://evil.example"},
        {"origin": "http://127.0.0.1:1"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
async def test_another_site_changes_no_setting(headers: dict[str, str]) -> None:
    sandbox = Sandbox()
    async with control_client(sandbox, **headers) as http:
        response = await http.post("/faults", json={"too_many": 1})

    assert response.status_code == 403
    assert sandbox.faults.too_many == 0


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "http://127.0.0.1"},
        {"origin": "http://localhost:8000", "host": "localhost:8000"},
        {"sec-fetch-site": "same-origin", "host": "[::1]:8000"},
    ],
)
async def test_page_and_programs_change_settings(headers: dict[str, str]) -> None:
    sandbox = Sandbox()
    async with control_client(sandbox, **headers) as http:
        response = await http.post("/faults", json={"too_many": 1})

    assert response.status_code == 200
    assert sandbox.faults.too_many == 1


@pytest.mark.asyncio
async def test_foreign_host_header_is_refused() -> None:
    async with control_client(Sandbox(), host="evil.example") as http:
        responses = [
            await http.get(path) for path in ("/state", "/samples", "http://evil.example/")
        ]

    assert [response.status_code for response in responses] == [403, 403, 403]


@pytest.mark.asyncio
async def test_reading_a_setting_does_not_change_it() -> None:
    async with control_client(Sandbox()) as http:
        responses = [await http.get(path) for path in ("/clock", "/reset", "/parcels/W1/advance")]

    assert {response.status_code for response in responses} <= {404, 405}


@pytest.mark.asyncio
async def test_control_panel_requests_are_not_logged_as_api_calls() -> None:
    sandbox = Sandbox()
    async with control_client(sandbox) as http, client(sandbox) as clickpost:
        for path in ("/state", "/orders", "http://127.0.0.1/", "http://127.0.0.1/page/page.css"):
            assert (await http.get(path)).status_code == 200
        await clickpost.post(INDIA, json=india_order("PEN-1"))

    assert sandbox.traffic.calls == 1
