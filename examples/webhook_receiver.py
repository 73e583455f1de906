"""Receive ClickPost's webhooks, each event once: `uvicorn webhook_receiver:app`."""

import os

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from clickpost_async.integrations.starlette import webhook
from clickpost_async.webhooks import ReturnEvent, TrackingEvent


async def handle(event: TrackingEvent | ReturnEvent, request: Request) -> None:
    print(event.subject, event.clickpost_status_code, flush=True)


TOKEN = os.environ.get("CLICKPOST_WEBHOOK_TOKEN", "typed-on-dashboard")
app = Starlette(routes=[Route("/webhook", webhook(handle, token=TOKEN), methods=["POST"])])
