from typing import Any

import httpx
import pytest

from clickpost_async import (
    ClickPost,
    InvalidRequestError,
    NoReplyError,
    Outcome,
    ServerError,
)
from clickpost_async.endpoints.pickups import Pickups
from clickpost_async.structures.pickups import IndiaPickupOrder, WorldPickupOrder
from tests.structures.test_pickups import india, world


class Courier:
    """Counts how often it is asked to come."""

    def __init__(self, response: httpx.Response | None) -> None:
        self.response = response
        self.asked = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        if self.response is None:
            message = "hung up"
            raise httpx.ReadError(message)
        return self.response


def client(courier: Courier) -> ClickPost:
    return ClickPost("acme", "not-a-real-key", transport=httpx.MockTransport(courier))


def meta(status: int) -> httpx.Response:
    return httpx.Response(200, json={"meta": {"status": status, "message": "text"}})


@pytest.mark.parametrize(
    ("response", "kind"),
    [(meta(500), ServerError), (httpx.Response(502), ServerError), (None, NoReplyError)],
)
@pytest.mark.asyncio
async def test_pickup_with_an_unknown_outcome_is_not_requested_twice(
    response: httpx.Response | None, kind: type[Exception]
) -> None:
    courier = Courier(response)
    async with client(courier) as clickpost:
        with pytest.raises(kind) as caught:
            await Pickups(clickpost._caller).create_india(india())
    assert courier.asked == 1
    assert getattr(caught.value, "outcome", None) is Outcome.UNKNOWN


@pytest.mark.asyncio
async def test_mistake_is_reported_before_the_courier_is_called() -> None:
    courier = Courier(meta(200))
    async with client(courier) as clickpost:
        pickups = Pickups(clickpost._caller)
        with pytest.raises(InvalidRequestError, match="pickup_pincode"):
            await pickups.create_india(india(pickup_pincode="1"))
        with pytest.raises(InvalidRequestError, match="pickup_info"):
            await pickups.create_world({})
    assert courier.asked == 0


@pytest.mark.asyncio
async def test_structure_is_sent_like_its_mapping() -> None:
    sent: list[Any] = []

    def courier(request: httpx.Request) -> httpx.Response:
        sent.append((request.url.path, request.content))
        return httpx.Response(200, json={"meta": {"status": 200}, "result": {}})

    from clickpost_async import structure

    async with ClickPost(
        "acme", "not-a-real-key", transport=httpx.MockTransport(courier)
    ) as clickpost:
        pickups = Pickups(clickpost._caller)
        await pickups.create_india(india())
        await pickups.create_india(structure(india(), IndiaPickupOrder))
        await pickups.create_world(world())
        await pickups.create_world(structure(world(), WorldPickupOrder))
    assert sent[0] == sent[1]
    assert sent[2] == sent[3]
