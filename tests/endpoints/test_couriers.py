import json
from typing import Any

import httpx
import pytest

from clickpost_async import (
    ClickPost,
    InvalidRequestError,
    RetryPolicy,
    UnreadableReplyError,
    structure,
)
from clickpost_async.endpoints.couriers import Couriers
from clickpost_async.structures.couriers import IndiaParcel

PARCEL = {
    "pickup_pincode": "682011",
    "drop_pincode": "600017",
    "order_type": "PREPAID",
    "delivery_type": "FORWARD",
    "reference_number": "NILA-1",
    "item": "Shirt",
    "invoice_value": 1299,
}


class Server:
    def __init__(self, result: Any = None, **more: Any) -> None:
        self.body = {"meta": {"status": 200, "message": "Success"}, "result": result} | more
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        return httpx.Response(200, json=self.body)


def client(server: Server) -> ClickPost:
    return ClickPost(
        "acme",
        "not-a-real-key",
        transport=httpx.MockTransport(server),
        retry=RetryPolicy.never(),
    )


async def recommended(server: Server, shipments: Any) -> Any:
    async with client(server) as clickpost:
        return await Couriers(clickpost._caller).recommend_india(shipments)


def to(courier: int) -> dict[str, Any]:
    return {"preference_array": [{"cp_id": courier}], "pincode_serviceable": True}


@pytest.mark.asyncio
async def test_structures_and_mappings_go_out_together_as_one_array() -> None:
    server = Server([to(4), to(5)])
    rows = await recommended(server, (structure(PARCEL, IndiaParcel), PARCEL))
    assert json.loads(server.asked[0].content) == [PARCEL, PARCEL]
    assert [row.best.courier_partner for row in rows] == [4, 5]


@pytest.mark.parametrize("result", [None, []])
@pytest.mark.asyncio
async def test_every_parcel_has_a_row_where_no_courier_serves_the_pincode(result: Any) -> None:
    rows = await recommended(Server(result), [PARCEL, PARCEL, PARCEL])
    assert [row.serviceable for row in rows] == [False, False, False]
    assert rows.response.status == 200
    assert rows.serviceable is False


@pytest.mark.asyncio
async def test_empty_row_is_a_parcel_without_a_courier() -> None:
    rows = await recommended(Server([None, to(5)]), [PARCEL, PARCEL])
    assert [row.serviceable for row in rows] == [False, True]


@pytest.mark.parametrize("rows", [[to(4)], [to(4), to(5), to(6)]])
@pytest.mark.asyncio
async def test_responses_that_match_no_parcel_are_refused(rows: Any) -> None:
    with pytest.raises(UnreadableReplyError, match="response to 2 shipments") as caught:
        await recommended(Server(rows), [PARCEL, PARCEL])
    assert caught.value.endpoint == "couriers.recommend_india"
    assert caught.value.status == 200


@pytest.mark.parametrize(
    "result",
    [
        "no list",
        {"preference_array": []},
        [1],
        [{"preference_array": "no list"}],
        [{"preference_array": [4]}],
    ],
)
@pytest.mark.asyncio
async def test_malformed_response_is_not_taken_for_not_serviceable(result: Any) -> None:
    with pytest.raises(UnreadableReplyError):
        await recommended(Server(result), [PARCEL])


@pytest.mark.asyncio
async def test_mistakes_name_the_parcel_that_they_are_in() -> None:
    server = Server()
    with pytest.raises(InvalidRequestError) as caught:
        await recommended(server, [PARCEL, PARCEL | {"drop_pincode": "1"}])
    assert [problem.path for problem in caught.value.problems] == ["[1].drop_pincode"]
    with pytest.raises(InvalidRequestError, match="at least one is needed"):
        await recommended(server, [])
    with pytest.raises(InvalidRequestError, match="expected a list"):
        await recommended(server, PARCEL)
    assert server.asked == []


@pytest.mark.parametrize("result", ["none", [4], {"accounts": {"a": 1}}, {"accounts": [4]}])
@pytest.mark.asyncio
async def test_damaged_list_of_accounts_does_not_pass_for_an_empty_one(result: Any) -> None:
    async with client(Server(result)) as clickpost:
        with pytest.raises(UnreadableReplyError):
            await Couriers(clickpost._caller).accounts()


@pytest.mark.parametrize("nothing", [None, False, "", [], {}])
@pytest.mark.asyncio
async def test_no_accounts_are_an_empty_list_in_whatever_type_they_are_written(
    nothing: Any,
) -> None:
    for result in (nothing, {"accounts": nothing}):
        async with client(Server(result)) as clickpost:
            assert len(await Couriers(clickpost._caller).accounts()) == 0


@pytest.mark.asyncio
async def test_no_accounts_are_an_empty_list() -> None:
    async with client(Server({"enterprise_name": "Nila", "accounts": []})) as clickpost:
        accounts = await Couriers(clickpost._caller).accounts(active=False)
    assert (len(accounts), accounts.enterprise_name) == (0, "Nila")


@pytest.mark.parametrize(
    "pincode", ["", "38005", "3800551", "038005", "38005x", "३८००५५", "380055\n"]
)
@pytest.mark.asyncio
async def test_invalid_pincode_is_refused_before_any_request(pincode: str) -> None:
    server = Server({})
    async with client(server) as clickpost:
        with pytest.raises(InvalidRequestError, match="six digits"):
            await Couriers(clickpost._caller).pincode(pincode)
    assert server.asked == []
