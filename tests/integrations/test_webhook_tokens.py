"""Tokens beyond ASCII, as ClickPost's dashboard may send them, in each framework."""

from collections.abc import Callable
from typing import Any

import pytest
from litestar import Litestar
from starlette.applications import Starlette
from starlette.routing import Route

from clickpost_async.integrations import litestar, starlette
from tests.integrations.asgi import running

TOKEN = "\u00e9t\u00e9-not-a-secret"
PUSH = {"waybill": "W-1", "clickpost_status_code": 8, "timestamp": "2026-03-04T12:40:00Z"}


async def handle(event: Any, request: Any) -> None:
    assert event.subject == "W-1"


def on_starlette() -> Any:
    return Starlette(
        routes=[Route("/hook", starlette.webhook(handle, token=TOKEN), methods=["POST"])]
    )


def on_litestar() -> Any:
    return Litestar([litestar.webhook("/hook", handle, token=TOKEN)])


@pytest.mark.parametrize("make", [on_starlette, on_litestar])
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
@pytest.mark.asyncio
async def test_token_that_is_not_ascii_is_recognised(
    make: Callable[[], Any], encoding: str
) -> None:
    async with running(make()) as http:
        right, wrong = [
            await http.post("/hook", json=PUSH, headers=[(b"webhook_key", word.encode(encoding))])
            for word in (TOKEN, TOKEN.replace("\u00e9", "\u00e8"))
        ]

    assert (right.status_code, wrong.status_code) == (200, 401)


@pytest.mark.parametrize("make", [on_starlette, on_litestar])
@pytest.mark.asyncio
async def test_token_in_the_url_is_recognised(make: Callable[[], Any]) -> None:
    async with running(make()) as http:
        right, wrong = [
            await http.post("/hook", json=PUSH, params={"secret": word})
            for word in (TOKEN, TOKEN.replace("\u00e9", "\u00e8"))
        ]

    assert (right.status_code, wrong.status_code) == (200, 401)
