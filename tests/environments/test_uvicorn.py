"""An application on uvicorn as `uvicorn[standard]` has it: uvloop, httptools, two workers."""

import asyncio
from collections.abc import Mapping

import httpx
import pytest

from clickpost_async.sandbox import Sandbox
from tests.integrations.servers import http_client, serving
from tests.sandbox.samples import india_order

pytest.importorskip("uvloop", reason="there are no wheels of uvloop for Windows")
APP = "tests.environments.web_app:app"
STANDARD = ("--workers", "2", "--loop", "uvloop", "--http", "httptools")


def environ(sandbox: Sandbox) -> Mapping[str, str]:
    return {
        "CLICKPOST_USERNAME": sandbox.username,
        "CLICKPOST_API_KEY": sandbox.api_key,
        "CLICKPOST_BASE_URL": sandbox.base_url,
    }


@pytest.mark.asyncio
async def test_uvloop_workers_finish_requests_in_flight_before_they_stop() -> None:
    async with Sandbox() as sandbox:
        responses: list[httpx.Response] = []
        workers: set[int] = set()
        with serving(environ(sandbox), *STANDARD, app=APP) as server:
            async with http_client(server) as http:

                async def place(count: int) -> list[httpx.Response]:
                    first = len(sandbox.ledger())
                    orders = (india_order(f"R-{first + number}") for number in range(count))
                    return await asyncio.gather(
                        *(http.post("/orders", json=order) for order in orders)
                    )

                while len(workers) < 2 and len(responses) < 200:
                    responses += await place(10)
                    workers = {response.json()["worker"] for response in responses}
                # Long enough that all of the last orders are in flight when the server is stopped.
                sandbox.faults.latency = 5.0
                last = asyncio.create_task(place(4))
                async with asyncio.timeout(60):
                    while sandbox.traffic.in_flight < 4:  # noqa: ASYNC110 - it lives on a thread
                        await asyncio.sleep(0.01)
                code = await asyncio.to_thread(server.stop)
                responses += await last
            output_text = server.output_text

        assert {response.status_code for response in responses} == {200}, output_text
        assert {response.json()["loop"] for response in responses} == {"uvloop"}
        assert len(workers) == 2
        assert code == 0, output_text
        assert "Traceback" not in output_text
        assert len(sandbox.ledger()) == len(responses)
        assert set(sandbox.ledger().values()) == {
            (response.json()["waybill"],) for response in responses
        }
        async with asyncio.timeout(60):
            while sandbox.traffic.open_connections:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)
