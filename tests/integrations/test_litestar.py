"""Applications on Litestar, in process."""

import asyncio
from typing import Any

import pytest
from litestar import Litestar, Request, post
from litestar.di import NamedDependency, Provide
from litestar.params import JSONBody

from clickpost_async import ClickPost, ClickPostError, NotSentError, RetryPolicy
from clickpost_async.integrations.litestar import (
    PushedEvent,
    get_clickpost,
    handle_error,
    lifespan,
    webhook,
)
from clickpost_async.sandbox import Sandbox
from tests.helpers.scripted_transport import api_response, playing
from tests.integrations.asgi import running
from tests.sandbox.samples import india_order

TOKEN = "a-word-typed-on-the-dashboard"
PUSH = {"waybill": "W-1", "clickpost_status_code": 8, "timestamp": "2026-03-04T12:40:00Z"}
ONCE = RetryPolicy(attempts=1, reconcile=False, settle_delay=7)


@post("/orders", status_code=200)
async def place(
    data: JSONBody[dict[str, Any]], clickpost: NamedDependency[ClickPost]
) -> dict[str, Any]:
    created = await clickpost.orders.create(data)
    return {"waybill": created.waybill}


def shop(client: Any, *routes: Any, **more: Any) -> Litestar:
    return Litestar(
        [place, *routes],
        lifespan=[lifespan(client)] if client else [],
        dependencies={"clickpost": Provide(get_clickpost)},
        exception_handlers={ClickPostError: handle_error},
        openapi_config=None,
        **more,
    )


@pytest.mark.asyncio
async def test_requests_share_a_client_that_lives_as_long_as_the_application() -> None:
    opened: list[ClickPost] = []

    def client() -> ClickPost:
        opened.append(ClickPost(sandbox.username, sandbox.api_key, base_url=sandbox.base_url))
        return opened[-1]

    async with Sandbox() as sandbox, running(shop(client)) as http:
        responses = await asyncio.gather(
            *(http.post("/orders", json=india_order(f"PEN-{number}")) for number in range(20))
        )
        (clickpost,) = opened
        assert clickpost.stats().calls == 20

    assert {response.status_code for response in responses} == {200}
    assert {(response.json()["waybill"],) for response in responses} == set(
        sandbox.ledger().values()
    )
    with pytest.raises(NotSentError, match="closed"):
        await clickpost.health()


@pytest.mark.asyncio
async def test_application_without_the_lifespan_is_an_error_with_advice() -> None:
    app = shop(None, debug=True)
    async with running(app) as http:
        response = await http.post("/orders", json=india_order("R-1"))

    assert response.status_code == 500
    assert "give it lifespan=[lifespan(" in response.text


@pytest.mark.asyncio
async def test_error_response_states_the_outcome() -> None:
    words = "the courier's own words"
    play = [api_response(319, words), api_response(353, words), api_response(322, words)]
    async with running(shop(lambda: playing(play, retry=ONCE))) as http:
        wrong = await http.post(
            "/orders", json=india_order("R-0", shipment_details__order_type="CASH")
        )
        responses = [await http.post("/orders", json=india_order(f"R-{n}")) for n in (1, 2, 3)]

    assert wrong.status_code == 422
    (problem,) = wrong.json()["problems"]
    assert problem["path"] == "shipment_details.order_type"
    assert [
        (response.status_code, response.headers.get("Retry-After")) for response in responses
    ] == [
        (409, None),
        (500, None),
        (504, "7"),
    ]
    assert responses[2].json() == {"outcome": "unknown", "reference_number": "R-3"}
    assert words not in "".join(response.text for response in responses)


@pytest.mark.asyncio
async def test_push_is_handed_over_until_it_was_handled_once() -> None:
    handled: list[str] = []
    fails = True

    async def handle(event: PushedEvent, request: Request[Any, Any, Any]) -> None:
        assert request.url.path == "/hook"
        if fails:
            raise LookupError("set to fail")
        handled.append(event.subject)

    hook = webhook("/hook", handle, token=["old-word", TOKEN])
    key = {"webhook_key": TOKEN}
    async with running(shop(lambda: playing([api_response(200)]), hook)) as http:
        assert (await http.post("/hook", json=PUSH)).status_code == 401
        assert (await http.post("/hook", json=PUSH, headers=key)).status_code == 500
        fails = False
        assert (await http.post("/hook", json=PUSH, headers=key)).status_code == 200
        assert (await http.post("/hook", json=PUSH, headers=key)).status_code == 200
        assert (await http.post("/hook", content=b"x" * 2**21, headers=key)).status_code == 413

    assert handled == ["W-1"]
