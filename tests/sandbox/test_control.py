"""Operations without a journey: pickups, labels, couriers, pincodes, the account, reports."""

import csv
import io
from copy import deepcopy
from typing import Any

import httpx
import pypdf
import pytest

from clickpost_async.sandbox import Sandbox
from tests.sandbox.rows_of_services import REPORTS, ROWS
from tests.sandbox.samples import (
    INDIA,
    MIDNIGHT,
    at_midnight,
    client,
    india_order,
    placed,
    registered,
)
from tests.sandbox.samples import status_of as status

BODIES: dict[str, Any] = {row.name: row.body for row in ROWS}
PARCEL = BODIES["couriers.recommend_india"][0]
REPORT = BODIES["reports.request"]


# --- pickups ------------------------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "changes",
    [
        {"courier_partner": 6},
        {"pickup_date": "2026-03-03"},
        {"pickup_pincode": "38000"},
        {"pickup_phone": None},
    ],
)
async def test_pickup_in_india_that_cannot_be_is_400_without_a_result(
    changes: dict[str, Any],
) -> None:
    async with client(Sandbox()) as http:
        pickup = {**BODIES["pickups.create_india"], **changes}
        reply = await http.post("/v1/create-pickup/", json=pickup)

    assert (reply.status_code, status(reply), list(reply.json())) == (200, 400, ["meta"])


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"account_code": "8"}, {"non_field_errors": [": invalid Account Code 8"]}),
        ({"awb_number": "W9"}, {"non_field_errors": [": invalid Waybill W9"]}),
        ({"courier_partner_id": 4}, {"non_field_errors": [": invalid Courier Partner 4"]}),
        ({"awb_number": ""}, {"awb_number": ["This field is required."]}),
    ],
)
async def test_invalid_pickup_address_is_reported_for_a_mapping(
    changes: dict[str, Any], message: dict[str, Any]
) -> None:
    pickup = deepcopy(BODIES["pickups.create_world"])
    pickup["shipment_details"] |= changes
    async with client(Sandbox()) as http:
        await registered(http, "DHL-1", courier_partner=145, account_code="dune-air")
        reply = await http.post("/v2/create-pickup/", json=pickup)

    assert (reply.status_code, reply.json()) == (
        200,
        {"meta": {"status": 400, "message": message, "success": False}},
    )


# --- labels -------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_label_is_a_page_of_pdf_that_needs_no_key() -> None:
    sandbox = Sandbox()
    async with client(sandbox) as http, client(sandbox, credentials={}) as anonymous:
        order = india_order("PEN-1", shipment_details__awb_number="AWB/7 (a)")
        created = (await http.post(INDIA, json=order)).json()["result"]["label"]
        query: dict[str, Any] = {"waybill": "AWB/7 (a)", "cp_id": 4, "regenerate": "true"}
        fetched = (await http.get("/v1/fetch/shippinglabel/", params=query)).json()["result"]
        page = await anonymous.get(fetched["shipping_label"])

    assert fetched == {"shipping_label": created}
    assert page.headers["content-type"] == "application/pdf"
    (sheet,) = pypdf.PdfReader(io.BytesIO(page.content), strict=True).pages
    assert "AWB/7 (a)" in sheet.extract_text()


@pytest.mark.asyncio
async def test_missing_label_is_a_500() -> None:
    sandbox = Sandbox()
    async with client(sandbox) as http:
        await registered(http, "EXT-1")
        replies = [
            await http.get("/v1/fetch/shippinglabel/", params={"cp_id": 4, **query})
            for query in (
                {"waybill": "EXT-1"},
                {"waybill": "W9"},
                {"waybill": "W9", "regenerate": "True"},
                {},
            )
        ]
        files = [
            await http.get(f"http://sandbox.test/labels/{name}.pdf") for name in ("EXT-1", "W")
        ]

    assert [status(reply) for reply in replies] == [500, 500, 400, 400]
    assert [file.status_code for file in files] == [404, 404]


# --- couriers -----------------------------------------------------------------------------------


async def recommended(http: httpx.AsyncClient, *changes: dict[str, Any]) -> Any:
    parcels = [{**PARCEL, **change} for change in changes]
    return (await http.post("/v1/recommendation_api/", json=parcels)).json()


@pytest.mark.asyncio
async def test_parcels_are_recommended_couriers_for_one_by_one() -> None:
    async with client(Sandbox()) as http:
        body = await recommended(http, {}, {"drop_pincode": "999999"}, {"delivery_type": "RVP"})

    result = body["result"]
    assert [row["pincode_serviceable"] for row in result] == [True, False, True]
    assert [[one["cp_id"] for one in row["preference_array"]] for row in result] == [
        [5, 4, 6, 3],
        [],
        [25, 41],
    ]


@pytest.mark.asyncio
async def test_unserved_route_is_a_success_without_a_result() -> None:
    expected = {"meta": {"status": 200, "message": "Pin code not serviceable", "success": True}}
    world = deepcopy(BODIES["couriers.recommend_world"])
    world["drop_info"]["postal_code"] = "999999"
    async with client(Sandbox()) as http:
        india = await recommended(http, {"drop_pincode": "999999"})
        reply = await http.post("/v2/recommendation/", json=world)

    assert [india, reply.json()] == [expected, expected]


@pytest.mark.asyncio
@pytest.mark.parametrize("body", [[], {}, [1], [{}], [{**PARCEL, "delivery_type": "UP"}]])
async def test_recommendation_for_nothing_is_refused(body: Any) -> None:
    async with client(Sandbox()) as http:
        reply = await http.post("/v1/recommendation_api/", json=body)

    assert status(reply) in (309, 400)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("active", "seen"),
    [
        ("True", {True}),
        ("t", {True}),
        ("1", {True}),
        ("False", {False}),
        ("f", {False}),
        ("0", {False}),
        (None, {True, False}),
    ],
)
async def test_accounts_are_listed_by_djangos_booleans(active: str | None, seen: set[bool]) -> None:
    query = {} if active is None else {"active": active}
    async with client(Sandbox()) as http:
        result = (await http.get("/v1/fetch-accounts", params=query)).json()["result"]

    assert {account["account_active"] for account in result["accounts"]} == seen


@pytest.mark.asyncio
@pytest.mark.parametrize("active", ["Tru", "true", "false", ""])
async def test_other_booleans_are_refused_in_a_list_that_is_a_string(active: str) -> None:
    async with client(Sandbox()) as http:
        reply = await http.get("/v1/fetch-accounts", params={"active": active})

    assert (reply.status_code, reply.json()["meta"]) == (
        200,
        {
            "status": 400,
            "message": f"['“{active}” value must be either True or False.']",
            "success": False,
        },
    )


@pytest.mark.asyncio
async def test_pincode_has_a_city_and_a_state_in_upper_case_or_an_empty_result() -> None:
    async with client(Sandbox()) as http:
        found = await http.get("/v2/pincode_details/", params={"pincode": "560034"})
        unknown = await http.get("/v2/pincode_details/", params={"pincode": "3800115"})

    assert found.json()["result"] == {
        "pincode": "560034",
        "city": "BENGALURU",
        "state": "KARNATAKA",
    }
    assert (unknown.status_code, unknown.json()) == (
        200,
        {
            "meta": {"status": 404, "message": "Not found: 3800115", "success": False},
            "result": {},
        },
    )


# --- account ------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_hour_of_the_audit_log_has_what_was_done_in_it() -> None:
    sandbox = at_midnight()
    login = BODIES["account.token"]
    async with client(sandbox) as http:
        await http.post("/v1/user/token/", json=login)
        sandbox.tick(3600)
        await http.post(REPORTS, json=REPORT)
        hours = [
            (await http.get("/v1/audit-log-data/", params={"log_epoch_time": start})).json()
            for start in (MIDNIGHT, MIDNIGHT + 3600, MIDNIGHT + 7200)
        ]
        wrong = await http.get("/v1/audit-log-data/", params={"epoch": MIDNIGHT})

    services = [[entry["service_type"] for entry in hour["result"]] for hour in hours]
    assert services == [["User Login: via API"], ["Dashboard Report: Request"], []]
    assert hours[0]["result"][0]["payload"] is None
    assert hours[1]["result"][0]["created_at"] == "2026-03-02T01:00:00"
    assert status(wrong) == 400


@pytest.mark.asyncio
async def test_token_lasts_a_day_and_a_wrong_password_gets_none() -> None:
    login = BODIES["account.token"]
    async with client(at_midnight(), credentials={}) as http:
        right = await http.post("/v1/user/token/", json=login)
        wrong = await http.post("/v1/user/token/", json={**login, "password": "a guess"})

    assert right.json()["expires_at"] == "2026-03-03T00:00:00"
    assert (wrong.status_code, wrong.json()) == (400, {})


# --- reports ------------------------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize("fields", [[], ["waybill", "zone"]])
async def test_report_is_pending_and_then_a_table(fields: list[str]) -> None:
    sandbox = at_midnight(async_polls=2)
    async with client(sandbox) as http, client(sandbox, credentials={}) as anonymous:
        await placed(http, "W1")
        report = (await http.post(REPORTS, json={**REPORT, "fields": fields})).json()
        (made,) = report["result"]
        number = made["report_reference_number"]
        file = f"http://sandbox.test/reports/{number}.csv"
        early = await anonymous.get(file)
        looks = [
            (await http.get(REPORTS, params={"report_reference_number": number})).json()
            for _ in range(3)
        ]
        table = await anonymous.get(looks[-1]["result"][0]["s3_link"])

    states = [look["result"][0]["report_status"] for look in looks]
    links = [look["result"][0]["s3_link"] for look in looks]
    assert (states, links) == (["PENDING", "PENDING", "SUCCESS"], [None, None, file])
    assert made["report_created_at"] == "2026-03-02 00:00"
    assert (early.status_code, table.headers["content-type"].partition(";")[0]) == (404, "text/csv")
    (row,) = csv.DictReader(io.StringIO(table.text))
    assert row["waybill"] == "W1"
    if fields:
        assert row == {"waybill": "W1", "zone": ""}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "changes",
    [
        {"report_name": "EVERYTHING"},
        {"fields": None},
        {"filters": {}},
        {
            "filters": {
                "updated_at_start_time": "2026-03-01 00:00:00",
                "updated_at_end_time": "2026-03-02 00:00:01",
            }
        },
    ],
)
async def test_report_that_cannot_be_made_is_refused(changes: dict[str, Any]) -> None:
    async with client(Sandbox()) as http:
        assert status(await http.post(REPORTS, json={**REPORT, **changes})) == 422


@pytest.mark.asyncio
@pytest.mark.parametrize("query", [{}, {"report_reference_number": "1324001"}])
async def test_unknown_report_is_422_under_http_200(query: dict[str, str]) -> None:
    async with client(Sandbox()) as http:
        reply = await http.get(REPORTS, params=query)

    assert (reply.status_code, status(reply)) == (200, 422)
    assert reply.json()["meta"]["message"].startswith("Invalid entity{'report_reference_number'")
