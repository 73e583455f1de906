"""Failed deliveries: feedback and instructions."""

from typing import Any

import httpx
import pytest

from clickpost_async.sandbox import Sandbox
from tests.sandbox.samples import MIDNIGHT, at_midnight, client, placed
from tests.sandbox.samples import status_of as status

ACT = "/v2/ndr-update-api"
FEEDBACK = "/v1/ndr_user_feedback/"

RTO: dict[str, Any] = {
    "action": "INITIATE_RTO",
    "waybill": "W1",
    "cp_id": 4,
    "account_code": "lotus-surface",
}
REATTEMPT: dict[str, Any] = {
    **RTO,
    "action": "REATTEMPT",
    "address": "9 Banyan Road",
    "landmark": "",
    "drop_pincode": "411001",
    "phone_number": "9000000013",
    "preferred_date": "2026-03-04",
}


async def failed_parcel(sandbox: Sandbox, http: httpx.AsyncClient) -> None:
    await placed(http, "W1")
    sandbox.fail_delivery("W1")


async def feedback(http: httpx.AsyncClient, start: int, end: int) -> Any:
    return (await http.get(FEEDBACK, params={"start_date": start, "end_date": end})).json()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("action", "way"), [(REATTEMPT, [6, 8]), (RTO, [11, 21, 13, 14])], ids=["again", "back"]
)
async def test_ndr_instruction_changes_the_destination(
    action: dict[str, Any], way: list[int]
) -> None:
    sandbox = at_midnight()
    async with client(sandbox) as http:
        await failed_parcel(sandbox, http)
        response = (await http.post(ACT, json=action)).json()

    assert response == {"meta": {"status": 200, "message": "SUCCESS", "success": True}}
    assert [sandbox.advance("W1") for _ in way] == way


@pytest.mark.asyncio
async def test_parcel_that_is_held_can_still_be_acted_upon() -> None:
    sandbox = at_midnight()
    async with client(sandbox) as http:
        await failed_parcel(sandbox, http)
        assert sandbox.advance("W1") == 20
        await http.post(ACT, json=REATTEMPT)

    assert sandbox.advance("W1") == 6


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"action": "WAIT"}, 400),
        ({"waybill": "W9"}, 321),
        ({"cp_id": 5}, 321),
        ({"cp_id": "4"}, 302),
        ({"account_code": "another-account"}, 351),
        ({"landmark": None}, 400),
        ({"preferred_date": "tomorrow"}, 400),
        ({"phone_number": ""}, 400),
    ],
)
async def test_instruction_that_cannot_be_is_refused(changes: dict[str, Any], refused: int) -> None:
    sandbox = at_midnight()
    async with client(sandbox) as http:
        await failed_parcel(sandbox, http)

        assert status(await http.post(ACT, json={**REATTEMPT, **changes})) == refused
    assert sandbox.advance("W1") == 20


@pytest.mark.asyncio
async def test_without_a_failed_delivery_there_is_nothing_to_act_upon() -> None:
    async with client(Sandbox()) as http:
        await placed(http, "W1")

        assert status(await http.post(ACT, json=REATTEMPT)) == 400


@pytest.mark.asyncio
async def test_feedback_is_in_the_window_it_was_left_in() -> None:
    sandbox = at_midnight()
    async with client(sandbox) as http:
        await failed_parcel(sandbox, http)
        sandbox.leave_feedback("W1", comment="Please ring twice", preferred_date="2026-03-03")
        sandbox.tick(3600)
        await http.post(ACT, json=REATTEMPT)
        first = await feedback(http, MIDNIGHT, MIDNIGHT + 3599)
        second = await feedback(http, MIDNIGHT + 3600, MIDNIGHT + 7200)
        params = {"start_date": MIDNIGHT, "end_date": MIDNIGHT + 1800}
        (row,) = (await http.get("/v1/updated-order", params=params)).json()["result"]

    (customer,), (staff,) = first["result"], second["result"]
    assert (customer["type"], customer["comment"]) == ("CUSTOMER_FEED", "Please ring twice")
    assert (staff["type"], staff["address"], staff["phone"]) == (
        "CLIENT_OPS_FEED",
        "9 Banyan Road",
        "9000000013",
    )
    assert staff["additional"]["internal_comment"] == "re-attempt"
    assert row["customer_feedback_present"] is True


@pytest.mark.asyncio
async def test_window_that_is_too_wide_is_500_with_one_meta_only() -> None:
    async with client(Sandbox()) as http:
        assert await feedback(http, MIDNIGHT, MIDNIGHT + 3601) == {
            "meta": {
                "status": 500,
                "message": "(end_date-start_date) diff can not be more than 3600 seconds",
                "success": False,
            }
        }
