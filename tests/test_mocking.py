"""How libraries that mock HTTP work with a client: each claim of the page on testing.

Every client calls a closed port, so a call that a mocking library does not intercept fails.
"""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
import respx
import vcr
from aioresponses import aioresponses
from pytest_httpx import HTTPXMock

from clickpost_async import ClickPost, Hosts, NotSentError, RetryPolicy
from clickpost_async.sandbox import Sandbox
from clickpost_async.structures import CreatedOrder
from clickpost_async.testing import offline
from tests.helpers.http_server import PLACED
from tests.helpers.pytest_run import run_pytest
from tests.helpers.scripted_transport import KEY
from tests.sandbox.samples import india_order

PATH = "/offline/v3/create-order/"
REFUSED = "connection refused"


@pytest.fixture(autouse=True)
def refused_url() -> Iterator[str]:
    with offline() as base_url:
        yield base_url


def over_httpx() -> httpx.AsyncHTTPTransport:
    return httpx.AsyncHTTPTransport(trust_env=False)


def over_httpx2() -> Any:
    return httpx2.AsyncHTTPTransport(trust_env=False)


async def place(transport: Any = None, number: str = "R-1") -> CreatedOrder:
    async with ClickPost("acme", KEY, transport=transport, retry=RetryPolicy.never()) as clickpost:
        return await clickpost.orders.create(india_order(number))


# --- each library ---------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_mock_transport_gets_the_request_with_the_key() -> None:
    requests: list[httpx.Request] = []

    def respond(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, content=PLACED)

    assert (await place(httpx.MockTransport(respond))).waybill == "W-1"
    assert requests[0].url.params["key"] == KEY
    assert json.loads(requests[0].content)["shipment_details"]["reference_number"] == "R-1"


@pytest.mark.parametrize("transport", [lambda: None, over_httpx], ids=["default", "httpx"])
@pytest.mark.asyncio
async def test_respx_intercepts_the_default_and_the_httpx_transport(transport: Any) -> None:
    with respx.mock() as router:
        route = router.post(path=PATH, params__contains={"key": "REDACTED"}).respond(content=PLACED)
        assert (await place(transport())).waybill == "W-1"

    assert route.call_count == 1


@pytest.mark.parametrize("transport", [lambda: "httptools", over_httpx2])
@pytest.mark.asyncio
async def test_respx_does_not_respond_to_httptools_or_httpx2(transport: Any) -> None:
    with respx.mock(assert_all_called=False) as router:
        router.post(path=PATH).respond(content=PLACED)
        with pytest.raises(NotSentError, match=REFUSED):
            await place(transport())


@pytest.mark.asyncio
async def test_pytest_httpx_intercepts_the_httpx_transport(httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(method="POST", content=PLACED)

    assert (await place(over_httpx())).waybill == "W-1"
    [request] = httpx_mock.get_requests()
    assert request.url.params["key"] == "REDACTED"


@pytest.mark.httpx_mock(assert_all_responses_were_requested=False)
@pytest.mark.parametrize("transport", [lambda: None, lambda: "httptools", over_httpx2])
@pytest.mark.asyncio
async def test_pytest_httpx_intercepts_no_other_transport(
    httpx_mock: HTTPXMock, transport: Any
) -> None:
    httpx_mock.add_response(method="POST", content=PLACED)

    with pytest.raises(NotSentError, match=REFUSED):
        await place(transport())
    assert httpx_mock.get_requests() == []


@pytest.mark.parametrize("transport", [over_httpx, over_httpx2])
@pytest.mark.asyncio
async def test_vcrpy_records_and_plays_what_passes_httpx_without_the_key(
    clickpost_sandbox: Sandbox, transport: Any, tmp_path: Path
) -> None:
    cassette = tmp_path / "cassette.yaml"
    waybills = set()
    for mode in ("once", "none"):
        with vcr.use_cassette(str(cassette), record_mode=mode):
            async with ClickPost(transport=transport()) as clickpost:
                waybills.add((await clickpost.orders.create(india_order("R-1"))).waybill)
        clickpost_sandbox.stop()

    assert len(waybills) == 1
    assert "REDACTED" in cassette.read_text()
    assert clickpost_sandbox.api_key not in cassette.read_text()


@pytest.mark.parametrize("transport", [None, "httptools"])
@pytest.mark.asyncio
async def test_vcrpy_neither_records_nor_blocks_own_transports(
    clickpost_sandbox: Sandbox, transport: Any, tmp_path: Path
) -> None:
    cassette = tmp_path / "cassette.yaml"
    with vcr.use_cassette(str(cassette), record_mode="none"):
        async with ClickPost(transport=transport) as clickpost:
            await clickpost.orders.create(india_order("R-1"))

    assert list(clickpost_sandbox.ledger()) == ["R-1"]
    assert not cassette.exists()


@pytest.mark.parametrize("transport", [lambda: None, lambda: "httptools", over_httpx])
@pytest.mark.asyncio
async def test_aioresponses_intercepts_nothing(transport: Any) -> None:
    with aioresponses() as mocked:
        mocked.post(re.compile(".*create-order.*"), body=PLACED)
        with pytest.raises(NotSentError, match=REFUSED):
            await place(transport())

    assert mocked.requests == {}


# --- the guard ------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_offline_keeps_clients_without_a_base_url_from_clickpost(
    refused_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = refused_url.removeprefix("http://127.0.0.1:").removesuffix("/offline")
    monkeypatch.setenv("CLICKPOST_USERNAME", "acme")
    monkeypatch.setenv("CLICKPOST_API_KEY", KEY)

    for client in (ClickPost("acme", KEY), ClickPost()):
        async with client.with_options(retry=RetryPolicy.never()) as clickpost:
            with pytest.raises(NotSentError, match=f"127.0.0.1:{port}: {REFUSED}"):
                await clickpost.orders.create(india_order("R-1"))
        await client.aclose()


@pytest.mark.asyncio
async def test_offline_leaves_clients_with_a_base_url_alone(
    clickpost_sandbox: Sandbox,
) -> None:
    with offline() as base_url:
        assert base_url == clickpost_sandbox.base_url
        async with ClickPost() as clickpost:
            await clickpost.orders.create(india_order("R-1"))
    asked: list[str] = []

    def respond(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        return httpx.Response(200, json={"meta": {"status": 200, "success": True}})

    async with ClickPost(
        "acme", KEY, hosts=Hosts(), transport=httpx.MockTransport(respond)
    ) as clickpost:
        await clickpost.health()

    assert list(clickpost_sandbox.ledger()) == ["R-1"]
    assert asked == ["www.clickpost.in"]


@pytest.mark.parametrize("before", [None, "https://www.clickpost.in/api"])
def test_offline_gives_the_environment_back(
    before: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CLICKPOST_BASE_URL")
    if before is not None:
        monkeypatch.setenv("CLICKPOST_BASE_URL", before)

    with offline() as base_url:
        assert os.environ["CLICKPOST_BASE_URL"] == base_url != before
    assert os.environ.get("CLICKPOST_BASE_URL") == before


def test_offline_fixture_applies_to_every_test_where_it_is_imported(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(
        "from clickpost_async.testing.fixtures import clickpost_offline as clickpost_offline\n"
    )
    (tmp_path / "test_shop.py").write_text(
        "from clickpost_async import ClickPost\n\n\n"
        "def test_no_address_but_this_machine():\n"
        "    address = ClickPost('acme', 'not-a-real-key').address\n"
        "    assert address.startswith('127.0.0.1:')\n"
    )
    assert "1 passed" in run_pytest(tmp_path)
