"""Serviceability and delivery predictions, beyond the golden samples."""

import json
from typing import Any

import httpx
import pytest

from clickpost_async import (
    ClickPost,
    InvalidRequestError,
    RetryPolicy,
    structure,
    unstructure,
)
from clickpost_async._codec.request import encode
from clickpost_async.endpoints import CATALOG
from clickpost_async.structures import (
    PincodePair,
    PincodeServiceability,
    Prediction,
    ServiceOptionsQuery,
    WorldRoute,
)

PAIR = {"pickup_pincode": "600040", "drop_pincode": "421504"}


def client(requests: list[httpx.Request], body: Any) -> ClickPost:
    def respond(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, json=body)

    return ClickPost(
        "acme",
        "not-a-real-key",
        transport=httpx.MockTransport(respond),
        retry=RetryPolicy.never(),
    )


@pytest.mark.parametrize(
    ("result", "serviceable"),
    [
        ({"serviceable": True}, True),
        ({"serviceable": "true"}, True),
        ({"serviceable": False}, False),
        ({"serviceable": None}, False),
        ({}, False),
        (None, False),
        ([{"serviceable": True}], True),
        ([], False),
    ],
)
@pytest.mark.asyncio
async def test_check_is_as_true_as_its_pincode_is_serviceable(
    result: Any, serviceable: bool
) -> None:
    async with client([], {"meta": {"status": 200}, "result": result}) as clickpost:
        response = await clickpost.serviceability.check("560034")

    assert response.serviceable is serviceable
    assert bool(response) is serviceable
    assert response.response.status == 200


def test_check_without_a_response_fails() -> None:
    assert not PincodeServiceability()


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ({"drop_pincode": "56003"}, "drop_pincode"),
        ({"drop_pincode": "560034", "pickup_pincode": "0"}, "pickup_pincode"),
        ({"drop_pincode": "560034", "order_type": "CASH"}, "order_type"),
        ({"drop_pincode": "560034", "service_type": "BACK"}, "service_type"),
    ],
)
@pytest.mark.asyncio
async def test_check_refuses_a_wrong_argument_before_anything_is_sent(
    arguments: dict[str, Any], path: str
) -> None:
    requests: list[httpx.Request] = []
    async with client(requests, {}) as clickpost:
        with pytest.raises(InvalidRequestError) as caught:
            await clickpost.serviceability.check(**arguments)

    assert [problem.path for problem in caught.value.problems] == [path]
    assert requests == []


@pytest.mark.asyncio
async def test_weight_of_options_is_sent_in_kilograms() -> None:
    requests: list[httpx.Request] = []
    async with client(requests, {"meta": {"status": 200}, "result": []}) as clickpost:
        await clickpost.serviceability.options("411045", "560034", weight_kg=0.5)

    assert json.loads(requests[0].content) == [
        {"pickup_pincode": "411045", "drop_pincode": "560034", "optional": {"weight": 0.5}}
    ]


@pytest.mark.asyncio
async def test_large_list_of_pincodes_is_read_whole() -> None:
    many = [str(110_000 + number) for number in range(19_000)]
    lists = dict.fromkeys(("PREPAID", "COD", "EXCHANGE"), many)
    body = {"meta": {"status": 200}, "result": {"pickup_pincodes": lists, "drop_pincodes": lists}}
    async with client([], body) as clickpost:
        found = await clickpost.serviceability.pincodes(4, account_code="main")

    assert [len(found.drop[name]) for name in lists] == [19_000] * 3
    assert found.pickup["COD"][-1] == "128999"


def test_days_with_one_courier_are_read_from_the_map() -> None:
    prediction = Prediction(predicted_sla_max=5, all_map={"6": (2, 3), "55": (4,), "9": ()})

    assert prediction.available
    assert prediction.days_with(6) == (2, 3)
    assert prediction.days_with(55) == (4, 4)
    assert prediction.days_with(9) is None
    assert prediction.days_with(1) is None


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        (PAIR | {"optional": {"cp_id": 5, "awb": "A1", "account_code": "main"}}, PincodePair),
        (PAIR | {"optional": {"cp_id": "5"}, "new": [1]}, PincodePair),
        (
            PAIR | {"optional": {"weight": 10, "length": "10", "service_type": "RVP", "x": None}},
            ServiceOptionsQuery,
        ),
        (
            {
                "pickup_details": {"city": "", "state": "", "pincode": "122413", "country": "IN"},
                "drop_details": {"pincode": "328158", "country": "SG"},
                "optional": {"is_pudo": "true", "cp_id": 145},
            },
            WorldRoute,
        ),
    ],
)
def test_request_survives_the_round_trip(payload: dict[str, Any], kind: Any) -> None:
    assert unstructure(structure(payload, kind)) == payload


def test_pair_is_sent_alike_as_a_structure_and_as_a_mapping() -> None:
    payload = PAIR | {"optional": {"cp_id": "5"}}
    endpoint = CATALOG["delivery.predict"]

    as_mapping = encode(endpoint, body=[payload])
    as_structure = encode(endpoint, body=[structure(payload, PincodePair)])

    assert as_mapping == as_structure
    assert json.loads(as_mapping.body or b"") == [PAIR | {"optional": {"cp_id": 5}}]


@pytest.mark.asyncio
async def test_mistakes_name_the_pair_that_they_are_in() -> None:
    async with client([], {}) as clickpost:
        with pytest.raises(InvalidRequestError) as caught:
            await clickpost.delivery.predict([PAIR, PAIR | {"drop_pincode": "1"}])

    assert [problem.path for problem in caught.value.problems] == ["[1].drop_pincode"]
