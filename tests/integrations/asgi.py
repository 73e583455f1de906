"""ASGI applications without a server: lifespan, and requests over HTTP."""

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import httpx

Message = MutableMapping[str, Any]


@asynccontextmanager
async def running(app: Any, *, raises: bool = False) -> AsyncIterator[httpx.AsyncClient]:
    """Run an application's lifespan around the block; with `raises` it may let errors through."""
    state: dict[str, Any] = {}
    to_app: asyncio.Queue[Message] = asyncio.Queue()
    from_app: asyncio.Queue[Message] = asyncio.Queue()

    async def asked(scope: Message, receive: Any, send: Any) -> None:
        await app({**scope, "state": state.copy()}, receive, send)

    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": state}
    life = asyncio.create_task(app(scope, to_app.get, from_app.put))
    await to_app.put({"type": "lifespan.startup"})
    started = await from_app.get()
    assert started["type"] == "lifespan.startup.complete", started
    transport = httpx.ASGITransport(app=asked, raise_app_exceptions=raises)
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://shop.test") as http:
            yield http
    finally:
        await to_app.put({"type": "lifespan.shutdown"})
        ended = await from_app.get()
        assert ended["type"] == "lifespan.shutdown.complete", ended
        await life
