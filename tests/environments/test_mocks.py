"""Libraries that stand in for a server in tests of applications: pytest-httpx and respx.

Each needs a transport of httpx's to stand in for: the default one is not made of httpx.
"""

import httpx
import pytest
import respx
from pytest_httpx import HTTPXMock

from clickpost_async import ClickPost, Credentials
from tests.sandbox.samples import india_order
from tests.transport.server import PLACED


def client() -> ClickPost:
    return ClickPost(
        Credentials("acme", "not-a-real-key"), transport=httpx.AsyncHTTPTransport(trust_env=False)
    )


@pytest.mark.asyncio
async def test_pytest_httpx_answers_calls_through_httpx_transport(httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(method="POST", content=PLACED)
    async with client() as clickpost:
        assert (await clickpost.orders.create(india_order("R-1"))).waybill == "W-1"

    (request,) = httpx_mock.get_requests()
    assert request.url.path == "/api/v3/create-order/"
    assert request.url.params["key"] == "REDACTED"


@pytest.mark.asyncio
async def test_respx_answers_calls_through_httpx_transport() -> None:
    with respx.mock() as router:
        route = router.post(
            path="/api/v3/create-order/", params__contains={"key": "REDACTED"}
        ).respond(content=PLACED)
        async with client() as clickpost:
            assert (await clickpost.orders.create(india_order("R-1"))).waybill == "W-1"

    assert route.call_count == 1
