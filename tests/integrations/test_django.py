"""A Django project under uvicorn and under gunicorn's threads, at a sandbox on its port."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from django.core.exceptions import ImproperlyConfigured
from django.test import AsyncClient, Client, override_settings

from clickpost_async import ClickPost, Rate, RetryPolicy
from clickpost_async.integrations.django import CacheEventStore, Claim, get_clickpost, webhook
from clickpost_async.limits import NoRateLimit
from clickpost_async.sandbox import Sandbox
from tests.helpers.scripted_transport import KEY
from tests.integrations import django_project
from tests.integrations.servers import Server, free_port, http_client, running, serving
from tests.sandbox.samples import india_order

TOKEN = {"webhook_key": "new-word"}
PUSH = {"waybill": "W-1", "clickpost_status_code": 8, "timestamp": "2026-03-04T12:40:00Z"}


@contextmanager
def under_uvicorn(environ: dict[str, str]) -> Iterator[Server]:
    with serving(environ, app="tests.integrations.django_project:asgi") as server:
        yield server


@contextmanager
def under_gunicorn(environ: dict[str, str], headers: str = "dangerous") -> Iterator[Server]:
    port = free_port()
    with running(
        environ,
        port,
        "gunicorn",
        "tests.integrations.django_project:wsgi",
        f"--bind=127.0.0.1:{port}",
        "--workers=2",
        "--threads=4",
        f"--header-map={headers}",
        "--no-control-socket",
    ) as server:
        yield server


Serve = Callable[[dict[str, str]], AbstractContextManager[Server]]
servers = pytest.mark.parametrize("serve", [under_uvicorn, under_gunicorn])
views = pytest.mark.parametrize("view", ["/orders", "/thread-orders"])


@pytest_asyncio.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def environ(sandbox: Sandbox, tmp_path: Path) -> dict[str, str]:
    notes = tmp_path / "notes"
    notes.touch()
    return {
        "CLICKPOST_USERNAME": sandbox.username,
        "CLICKPOST_API_KEY": sandbox.api_key,
        "CLICKPOST_BASE_URL": sandbox.base_url,
        "CACHE": str(tmp_path / "cache"),
        "NOTES": str(notes),
    }


# --- on servers -----------------------------------------------------------------------------------


@servers
@pytest.mark.asyncio
async def test_views_of_both_kinds_place_orders_together(
    serve: Serve, sandbox: Sandbox, environ: dict[str, str]
) -> None:
    views = ("/orders", "/thread-orders")
    with serve(environ) as server:
        async with http_client(server) as http:
            responses = {
                f"R-{number}": http.post(views[number % 2], json=india_order(f"R-{number}"))
                for number in range(30)
            }
            placed = dict(zip(responses, await asyncio.gather(*responses.values()), strict=True))
            assert (await http.get("/clickpost-health")).json() == {"ready": True}
            assert (await http.get("/health")).json() == {"in_flight": 0, "queued": 0}
        assert server.stop() in (0, -signal.SIGTERM), server.output_text
        output_text = server.output_text

    assert {response.status_code for response in placed.values()} == {200}, output_text
    assert sandbox.ledger() == {
        name: (response.json()["waybill"],) for name, response in placed.items()
    }
    assert "Warning" not in output_text, output_text
    assert "Traceback" not in output_text, output_text
    async with asyncio.timeout(60):
        while sandbox.traffic.open_connections:  # noqa: ASYNC110 - it lives on a thread
            await asyncio.sleep(0.01)


@servers
@pytest.mark.asyncio
async def test_error_responses_state_the_outcome_of_the_order(
    serve: Serve, sandbox: Sandbox, environ: dict[str, str]
) -> None:
    wrong = india_order("R-WRONG", shipment_details__order_type="CASH")
    inactive = india_order("R-ACCOUNT", shipment_details__account_code="inactive-account")
    with serve(environ) as server:
        async with http_client(server) as http:
            for view in ("/orders", "/thread-orders"):
                response = await http.post(view, json=wrong)
                assert response.status_code == 422
                assert response.json()["problems"] == [
                    {
                        "path": "shipment_details.order_type",
                        "message": "expected one of COD, PREPAID, EXCHANGE",
                    }
                ]
                assert (await http.post(view, json=inactive)).status_code == 500
                lost = f"R-LOST{view.replace('/', '-')}"
                sandbox.faults.next("drop_after", reference_number=lost)
                response = await http.post(view, json=india_order(lost))
                assert (response.status_code, response.headers["Retry-After"]) == (504, "7")
                assert response.json() == {"outcome": "unknown", "reference_number": lost}
            assert (await http.post("/fail")).status_code == 500


async def push(http: httpx.AsyncClient, path: str, **headers: Any) -> int:
    return (await http.post(path, json=PUSH, **headers)).status_code


@servers
@pytest.mark.parametrize(("path", "kind"), [("/hook", "async"), ("/thread-hook", "sync")])
@pytest.mark.asyncio
async def test_push_is_handled_once_and_only_with_the_token(
    serve: Serve, environ: dict[str, str], path: str, kind: str
) -> None:
    with serve(environ) as server:
        async with http_client(server) as http:
            assert await push(http, path) == 401
            assert await push(http, path, headers={"webhook_key": "stolen"}) == 401
            assert await push(http, path, headers={"webhook_key": "old-word"}) == 200
            assert (await http.get(path, headers=TOKEN)).status_code == 405
            large = await http.post(path, content=b" " * 300_000, headers=TOKEN)
            assert large.status_code == 413
            # Workers that do not share what they remember may handle it once each.
            assert {await push(http, path, headers=TOKEN) for _ in range(4)} == {200}

    handled = Path(environ["NOTES"]).read_text().splitlines()
    assert set(handled) == {f"{kind} W-1"}
    assert len(handled) == 1 or (serve is under_gunicorn and path == "/hook")


@servers
@pytest.mark.asyncio
async def test_push_whose_handler_failed_is_handled_at_redelivery(
    serve: Serve, environ: dict[str, str]
) -> None:
    with serve(environ) as server:
        async with http_client(server) as http:
            failing = {**PUSH, "waybill": "W-FAILS"}
            statuses = [
                (await http.post("/thread-hook", json=failing, headers=TOKEN)).status_code
                for _ in range(3)
            ]

    assert statuses == [500, 200, 200]
    assert Path(environ["NOTES"]).read_text().splitlines() == ["sync W-FAILS"] * 2


@pytest.mark.asyncio
async def test_gunicorn_drops_the_token_unless_it_keeps_underscores(
    environ: dict[str, str],
) -> None:
    with under_gunicorn(environ, headers="drop") as server:
        async with http_client(server) as http:
            assert await push(http, "/hook", headers=TOKEN) == 401
            # As a proxy may name it.
            assert await push(http, "/hook", headers={"webhook-key": "new-word"}) == 200


# --- in this process ------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("CLICKPOST_")]:
        monkeypatch.delenv(name)
    notes = tmp_path / "notes"
    notes.touch()
    monkeypatch.setenv("NOTES", str(notes))


def configured(**settings: Any) -> Any:
    return override_settings(
        CLICKPOST={"WEBHOOK_TOKEN": "new-word", **settings},
        CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
    )


def test_process_has_one_client_until_the_settings_change() -> None:
    with configured(USERNAME="acme", API_KEY=KEY):
        first = get_clickpost()
        assert get_clickpost() is first
        assert first.account_label == "acme at https://www.clickpost.in/api"
    with configured(USERNAME="other", API_KEY=KEY):
        assert get_clickpost() is not first
        assert get_clickpost().account_label.startswith("other at ")


def test_settings_go_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLICKPOST_USERNAME", "from-the-environment")
    monkeypatch.setenv("CLICKPOST_API_KEY", KEY)
    monkeypatch.setenv("CLICKPOST_BASE_URL", "http://127.0.0.1:9/environment")
    with configured():
        assert get_clickpost().account_label == (
            "from-the-environment at http://127.0.0.1:9/environment"
        )
    with configured(USERNAME="acme", BASE_URL="http://sandbox:8000/api", ALLOW_HTTP=True):
        assert get_clickpost().account_label == "acme at http://sandbox:8000/api"


def test_client_is_closed_when_the_process_ends(clickpost_sandbox: Sandbox, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(CLOSED)
    order = json.dumps(india_order("R-1"))
    run = subprocess.run(
        [sys.executable, "-W", "error", str(script), order],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (run.stdout, run.stderr) == ("True\nclosed: True\n", "")
    assert list(clickpost_sandbox.ledger()) == ["R-1"]


CLOSED = """
import atexit, json, sys
from asgiref.sync import async_to_sync
from django.conf import settings
from clickpost_async.integrations.django import get_clickpost

settings.configure()
# What is registered first is called last.
atexit.register(lambda: print("closed:", get_clickpost()._runtime.counts.closed))
created = async_to_sync(get_clickpost().orders.create)(json.loads(sys.argv[1]))
print(bool(created.waybill))
"""


@pytest.mark.parametrize(
    "settings",
    [
        {"RATE": 10},
        {"RATE": "600/60s"},
        {"RATE": Rate(10)},
        {"OPTIONS": {"rate": Rate(10)}},
        {"OPTIONS": {"limiter": NoRateLimit(), "retry": RetryPolicy.never()}},
    ],
)
def test_rate_is_given_in_each_of_its_forms(settings: dict[str, Any]) -> None:
    with configured(USERNAME="acme", API_KEY=KEY, **settings):
        assert isinstance(get_clickpost(), ClickPost)


@pytest.mark.asyncio
async def test_rotating_key_is_a_callable(clickpost_sandbox: Sandbox) -> None:
    keys = iter([clickpost_sandbox.api_key] * 9)
    with configured(
        USERNAME=clickpost_sandbox.username,
        API_KEY=lambda: next(keys),
        BASE_URL=clickpost_sandbox.base_url,
    ):
        async with get_clickpost() as clickpost:
            assert (await clickpost.orders.create(india_order("R-1"))).waybill


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"API_KEY": KEY}, "CLICKPOST: username is missing"),
        ({"USERNAME": "acme", "API_KEY": f"{KEY}\n"}, "CLICKPOST: api_key ends with a line break"),
        ({"USERNAME": "acme", "API_KEY": KEY, "BASE_URL": "http://sandbox:1"}, "https is needed"),
        (
            {"USERNAME": "acme", "API_KEY": KEY, "RATE": "fast"},
            "rate must be a number of calls a second",
        ),
        (
            {"USERNAME": "acme", "API_KEY": KEY, "RATE": 1, "OPTIONS": {"limiter": NoRateLimit()}},
            "rate or limiter, not both",
        ),
        ({"USERNAME": "acme", "API_KEY": KEY, "OPTIONS": {"retries": 3}}, "retries"),
        ({"USER": "acme", "KEY": KEY}, "unknown settings KEY, USER; known: USERNAME, API_KEY"),
    ],
)
def test_invalid_settings_are_reported_without_the_key(
    settings: dict[str, Any], message: str
) -> None:
    with configured(**settings), pytest.raises(ImproperlyConfigured, match=message) as caught:
        get_clickpost()
    assert KEY not in str(caught.value)


def test_webhook_without_a_token_is_refused_when_it_is_made() -> None:
    with (
        override_settings(CLICKPOST={}),
        pytest.raises(ImproperlyConfigured, match="WEBHOOK_TOKEN"),
    ):
        webhook(django_project.handle)


@pytest.mark.asyncio
async def test_django_test_clients_reach_the_views(clickpost_sandbox: Sandbox) -> None:
    with configured(
        USERNAME=clickpost_sandbox.username,
        API_KEY=clickpost_sandbox.api_key,
        BASE_URL=clickpost_sandbox.base_url,
    ):
        asynchronous = await AsyncClient().post(
            "/orders", india_order("R-1"), content_type="application/json"
        )
        ordinary = await asyncio.to_thread(
            Client().post, "/thread-orders", india_order("R-2"), content_type="application/json"
        )
        pushed = await AsyncClient().post(
            "/hook", PUSH, content_type="application/json", headers={"webhook-key": "new-word"}
        )
        await get_clickpost().aclose()

    assert (asynchronous.status_code, ordinary.status_code, pushed.status_code) == (200, 200, 200)
    assert list(clickpost_sandbox.ledger()) == ["R-1", "R-2"]


@pytest.mark.asyncio
async def test_event_is_kept_in_the_cache_for_all_who_share_it() -> None:
    with configured():
        one, other = CacheEventStore(), CacheEventStore()
        assert [await one.begin("e1"), await other.begin("e1")] == [Claim.GRANTED, Claim.BUSY]
        await one.failed("e1")
        assert await other.begin("e1") is Claim.GRANTED
        await other.done("e1")
        assert await one.begin("e1") is Claim.DONE
