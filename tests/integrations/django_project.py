"""A Django project in one file, for real servers to load.

Events that were handled are noted in the file that `NOTES` names.
"""

import json
import os
from pathlib import Path
from typing import Any

from asgiref.sync import async_to_sync
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from clickpost_async import RetryPolicy
from clickpost_async.integrations.django import (
    CacheEventStore,
    PushedEvent,
    clickpost_health,
    get_clickpost,
    health,
    webhook,
)

if not settings.configured:
    settings.configure(
        SECRET_KEY="not-a-real-secret",
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF="tests.integrations.django_project",
        USE_TZ=True,
        MIDDLEWARE=[
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "clickpost_async.integrations.django.ErrorMiddleware",
        ],
        CACHES={
            "default": {
                "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
                "LOCATION": os.environ.get("CACHE", "/nonexistent"),
            }
        },
        CLICKPOST={
            "WEBHOOK_TOKEN": ["old-word", "new-word"],
            "OPTIONS": {"retry": RetryPolicy(attempts=1, reconcile=False, settle_delay=7)},
        },
    )


@csrf_exempt
async def place(request: HttpRequest) -> HttpResponse:
    created = await get_clickpost().orders.create(json.loads(request.body))
    return JsonResponse({"waybill": created.waybill})


@csrf_exempt
def place_from_a_thread(request: HttpRequest) -> HttpResponse:
    created = async_to_sync(get_clickpost().orders.create)(json.loads(request.body))
    return JsonResponse({"waybill": created.waybill})


@csrf_exempt
def fail(request: HttpRequest) -> HttpResponse:
    raise LookupError("an error of the project's own")


def note(text: str) -> None:
    with Path(os.environ["NOTES"]).open("a") as notes:
        notes.write(f"{text}\n")


async def handle(event: PushedEvent, request: HttpRequest) -> None:
    assert request.method == "POST"
    note(f"async {event.subject}")


def handle_in_a_thread(event: PushedEvent, request: HttpRequest) -> Any:
    if event.subject == "W-FAILS" and "sync W-FAILS" not in Path(os.environ["NOTES"]).read_text():
        note("sync W-FAILS")
        raise LookupError("set to fail")
    note(f"sync {event.subject}")


urlpatterns = [
    path("health", health),
    path("clickpost-health", clickpost_health),
    path("orders", place),
    path("thread-orders", place_from_a_thread),
    path("fail", fail),
    path("hook", webhook(handle)),
    path("thread-hook", webhook(handle_in_a_thread, seen=CacheEventStore())),
]

asgi = get_asgi_application()
wsgi = get_wsgi_application()
