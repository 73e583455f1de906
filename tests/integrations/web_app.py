"""An application as users write it, for real servers to load.

`REDIS_URL` has its workers share which events they handled, and where these are noted. Without it
each worker has a memory of its own.
"""

import logging
import os
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from redis.asyncio import Redis

from clickpost_async import ClickPost, ClickPostError, RetryPolicy
from clickpost_async.integrations.starlette import (
    Claim,
    PushedEvent,
    clickpost_health,
    get_clickpost,
    handle_error,
    health,
    lifespan,
    webhook,
)

TOKENS = ("old-word", "new-word")
NOTES = os.environ["NOTES_URL"]

# All that there is to hear; a test looks through it.
logging.basicConfig(level=logging.DEBUG)


class SharedSeen:
    """Which events the workers have handled, in Redis."""

    def __init__(self, redis: "Redis") -> None:
        self._redis = redis

    async def begin(self, identity: str) -> Claim:
        if await self._redis.set(f"event:{identity}", "busy", nx=True, ex=60):
            return Claim.GRANTED
        found = await self._redis.get(f"event:{identity}")
        return Claim.DONE if found == b"done" else Claim.BUSY

    async def done(self, identity: str) -> None:
        await self._redis.set(f"event:{identity}", "done", ex=86_400)

    async def failed(self, identity: str) -> None:
        await self._redis.delete(f"event:{identity}")


redis = Redis.from_url(NOTES)
seen = SharedSeen(redis) if os.environ.get("SHARED") else None


async def handle(event: PushedEvent, request: Request) -> None:
    assert isinstance(await get_clickpost(request), ClickPost)
    code = event.clickpost_status_code
    note = f"{event.subject} {None if code is None else int(code)}"
    await redis.rpush("handled", note)
    if await redis.lrem("to fail", 1, event.subject):
        raise LookupError("set to fail")


def client() -> ClickPost:
    return ClickPost(retry=RetryPolicy(attempts=1, reconcile=False, settle_delay=7))


app = FastAPI(lifespan=lifespan(client), exception_handlers={ClickPostError: handle_error})
app.add_route("/health", health)
app.add_route("/clickpost-health", clickpost_health)
app.add_route("/hook", webhook(handle, token=TOKENS, seen=seen), methods=["POST"])

Shop = Annotated[ClickPost, Depends(get_clickpost)]


@app.post("/orders")
async def place(order: dict[str, Any], clickpost: Shop) -> dict[str, Any]:
    created = await clickpost.orders.create(order)
    return {"waybill": created.waybill, "worker": os.getpid()}


@app.post("/careless")
async def careless(order: dict[str, Any]) -> dict[str, Any]:
    """Leak a secret on purpose, for the control."""
    logging.getLogger("careless").info("placing %s with %s", order, os.environ["CLICKPOST_API_KEY"])
    return {"order": order}
