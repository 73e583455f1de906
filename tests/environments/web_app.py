"""An application that reports what serves it, for uvicorn to load."""

import asyncio
import os

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from clickpost_async import ClickPost, ClickPostError
from clickpost_async.integrations.starlette import (
    get_clickpost,
    handle_error,
    health,
    lifespan,
)


async def place(request: Request) -> JSONResponse:
    clickpost = await get_clickpost(request)
    created = await clickpost.orders.create(await request.json())
    return JSONResponse(
        {
            "waybill": created.waybill,
            "worker": os.getpid(),
            "loop": type(asyncio.get_running_loop()).__module__,
        }
    )


app = Starlette(
    lifespan=lifespan(ClickPost),
    exception_handlers={ClickPostError: handle_error},
    routes=[Route("/orders", place, methods=["POST"]), Route("/health", health)],
)
