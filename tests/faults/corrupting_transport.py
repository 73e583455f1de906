"""A working sandbox whose responses are corrupted on their way back.

The order has arrived, and its label is bought, whatever the response looks like: the worst case for
finding out its outcome.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest
from attrs import define, field

from clickpost_async import ClickPost, ClickPostError, Outcome
from clickpost_async.sandbox import Sandbox
from clickpost_async.structures import CreatedOrder
from tests.sandbox.samples import india_order

Spoil = Callable[[httpx.Response], httpx.Response]

FOREVER = 10_000


@define
class Spoiling(httpx.AsyncBaseTransport):
    """Passes calls to a sandbox, and corrupts its first responses."""

    spoil: Spoil
    times: int = 1
    sandbox: Sandbox = field(factory=Sandbox)
    requests: list[httpx.Request] = field(factory=list)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        response = await httpx.ASGITransport(app=self.sandbox).handle_async_request(request)
        await response.aread()
        if len(self.requests) > self.times:
            return raw(response.content, response.status_code)
        return self.spoil(response)

    def client(self, **settings: Any) -> ClickPost:
        return ClickPost(self.sandbox.username, self.sandbox.api_key, transport=self, **settings)

    @property
    def bodies(self) -> list[bytes]:
        """What the orders' calls carried."""
        return [request.content for request in self.requests if request.method == "POST"]


def raw(body: bytes, http_status: int = 200, **headers: str) -> httpx.Response:
    """Answer with these bytes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(http_status, content=body, headers=named)


def instead(body: bytes, http_status: int = 200, **headers: str) -> Spoil:
    """Answer something else."""
    return lambda _: raw(body, http_status, **headers)


def rewritten(change: Callable[[bytes], bytes]) -> Spoil:
    """Answer the same bytes, changed."""
    return lambda response: raw(change(response.content))


def with_meta(**meta: Any) -> Spoil:
    """Answer the same with another `meta`; `...` leaves a field of it out."""

    def change(response: dict[str, Any]) -> Any:
        with_json = {**response["meta"], **meta}
        kept = {name: value for name, value in with_json.items() if value is not ...}
        return {**response, "meta": kept}

    return with_json(change)


def with_result(**result: Any) -> Spoil:
    """Answer the same with another `result`; `...` leaves a field of it out."""

    def change(response: dict[str, Any]) -> Any:
        with_json = {**response["result"], **result}
        kept = {name: value for name, value in with_json.items() if value is not ...}
        return {**response, "result": kept}

    return with_json(change)


def with_json(change: Callable[[dict[str, Any]], Any]) -> Spoil:
    """Answer the same JSON, changed."""
    return lambda response: raw(json.dumps(change(json.loads(response.content))).encode())


def beside(response: Mapping[str, Any], **others: Any) -> dict[str, Any]:
    """Return a response with other fields; `...` leaves one out."""
    return {name: value for name, value in {**response, **others}.items() if value is not ...}


async def outcome_of(clickpost: ClickPost, reference_number: str) -> CreatedOrder | ClickPostError:
    """Place an order, and return its outcome."""
    try:
        return await clickpost.orders.create(india_order(reference_number))
    except ClickPostError as error:
        return error


async def survives(spoil: Spoil, times: int) -> CreatedOrder:
    """Place an order whose first responses are corrupted, and check it against the ledger."""
    transport = Spoiling(spoil, times)
    async with transport.client() as clickpost:
        order = await clickpost.orders.create(india_order("R-1"))

    assert transport.sandbox.ledger() == {"R-1": (order.waybill,)}
    assert len(set(transport.bodies)) == 1
    return order


async def stays_unknown(spoil: Spoil) -> ClickPostError:
    """Place an order whose responses are all corrupted, and check that it is never rejected."""
    transport = Spoiling(spoil, FOREVER)
    async with transport.client() as clickpost:
        with pytest.raises(ClickPostError) as caught:
            await clickpost.orders.create(india_order("R-1"))

    assert len(transport.sandbox.ledger()["R-1"]) == 1
    assert len(set(transport.bodies)) == 1
    assert caught.value.outcome is Outcome.UNKNOWN
    assert caught.value.reference_number == "R-1"
    return caught.value


def variants(spoilt: Mapping[str, Spoil]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "spoil", [pytest.param(spoilt[name], id=name) for name in spoilt]
    )


# Spoilt once, the look-up finds the order; twice, its second sending does.
once_and_twice = pytest.mark.parametrize("times", [1, 2])
