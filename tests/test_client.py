"""The public client: its parameters, light copies, counts and end."""

import asyncio
import copy
import logging
import math
import os
import pickle
import re
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, Never
from unittest.mock import AsyncMock, create_autospec

import anyio
import attrs
import httpx
import pandas as pd
import pydantic
import pytest

from clickpost_async import (
    Auth,
    BodyStyle,
    ClickPost,
    ClickPostError,
    CredentialsError,
    Get,
    Host,
    Hosts,
    Idempotency,
    InvalidRequestError,
    NoReplyError,
    NotSentError,
    Post,
    Priority,
    Rate,
    RetryPolicy,
    Stats,
    Timeouts,
    WorldOrder,
    structure,
)
from clickpost_async.endpoints.orders import Orders
from clickpost_async.events import Event
from clickpost_async.limits import NoRateLimit
from clickpost_async.sandbox import Sandbox
from clickpost_async.structures import CreatedOrder, IndiaOrder, ResponseModel
from clickpost_async.testing import virtual_time
from tests.helpers.http_server import serving, until
from tests.helpers.scripted_transport import (
    KEY,
    Listener,
    Play,
    api_response,
    never_responds,
    placed,
    playing,
)
from tests.helpers.server_behaviours import hangs
from tests.sandbox.samples import connected, india_order, world_order

LOCAL = "http://127.0.0.1:9/api"


def set_environment(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    account = {"CLICKPOST_USERNAME": "acme", "CLICKPOST_API_KEY": KEY}
    for name, value in {**account, **variables}.items():
        monkeypatch.setenv(name, value)


# --- made -------------------------------------------------------------------------------------


@virtual_time
async def test_constructor_reads_username_key_base_url_and_rate_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    play = Play([placed()])
    base_url = "http://127.0.0.1:9/mirror/"
    set_environment(monkeypatch, CLICKPOST_BASE_URL=base_url, CLICKPOST_RATE="1/10s")
    async with ClickPost(transport=httpx.MockTransport(play)) as clickpost:
        for number in range(3):
            await clickpost.orders.create(india_order(f"R-{number}"))

    url = play.requests[0].url
    assert (url.host, url.port, url.path) == ("127.0.0.1", 9, "/mirror/v3/create-order/")
    assert dict(url.params) == {"username": "acme", "key": KEY}
    assert play.times == [0, 10, 20]


@virtual_time
async def test_arguments_override_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    play = Play([placed()])
    set_environment(monkeypatch, CLICKPOST_BASE_URL="http://127.0.0.1:9/", CLICKPOST_RATE="1/10s")
    for pace in ({"rate": Rate(1, per=99)}, {"limiter": NoRateLimit()}):
        settings: dict[str, Any] = {"hosts": Hosts(), **pace}
        transport = httpx.MockTransport(play)
        async with ClickPost(transport=transport, **settings) as clickpost:
            for number in range(2):
                await clickpost.orders.create(india_order(f"R-{number}"))

    assert {request.url.host for request in play.requests} == {"www.clickpost.in"}
    assert play.pauses == [99, 0, 0]


RATE_FORMS = (
    "must be a number of calls a second above 0, text such as '10/1s' or '600/60s', or"
    " Rate(calls, per=seconds)"
)
LIMITER = (
    "limiter must be an object with the coroutines acquire and pause, such as"
    " limits.TokenBucket(10); for a rate pass rate=10"
)
TRANSPORT = (
    "transport must be an asynchronous transport of httpx or httpx2, such as"
    " httpx.AsyncHTTPTransport()"
)
OBSERVERS = "observers must be a list of functions that take an event, such as [print]"


def observe(event: Event) -> None:
    """Do nothing with an event."""


async def observe_async(event: Event) -> None:
    """Do nothing with an event."""


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"base_url": 5}, TypeError, "base_url must be a base URL, such as https://.*; got int"),
        ({"base_url": KEY}, ValueError, "base_url must be scheme, host and path only, such as"),
        ({"base_url": "http://sandbox:8000/api"}, ValueError, "https is needed.*sandbox:8000"),
        (
            {"hosts": "http://127.0.0.1:8000/api"},
            TypeError,
            'hosts must be a Hosts; for one base URL pass base_url="https://..."; got a string',
        ),
        ({"base_url": LOCAL, "hosts": Hosts()}, ValueError, "base_url and hosts are both given"),
        ({"rate": -1}, ValueError, f"{re.escape(f'rate {RATE_FORMS}; got -1')}$"),
        ({"rate": 0}, ValueError, f"{re.escape(f'rate {RATE_FORMS}; got 0')}$"),
        ({"rate": math.inf}, ValueError, f"{re.escape(f'rate {RATE_FORMS}; got inf')}$"),
        ({"rate": "fast"}, ValueError, f"{re.escape(RATE_FORMS)}; got 'fast'$"),
        ({"rate": ""}, ValueError, f"{re.escape(RATE_FORMS)}; got ''$"),
        ({"rate": True}, TypeError, f"{re.escape(RATE_FORMS)}; got True$"),
        ({"rate": [10]}, TypeError, f"{re.escape(RATE_FORMS)}; got list$"),
        ({"rate": Rate}, TypeError, f"{re.escape(RATE_FORMS)}; got the class Rate$"),
        ({"rate": 1, "limiter": NoRateLimit()}, ValueError, "pass rate or limiter, not both"),
        ({"limiter": Rate(10)}, TypeError, f"{re.escape(LIMITER)}; got Rate$"),
        ({"limiter": NoRateLimit}, TypeError, f"{re.escape(LIMITER)}; got the class NoRateLimit$"),
        (
            {"retry": 3},
            TypeError,
            r"retry must be a RetryPolicy, such as RetryPolicy\(attempts=3\); got 3$",
        ),
        ({"retry": RetryPolicy}, TypeError, "retry must be .*; got the class RetryPolicy$"),
        (
            {"timeouts": 5},
            TypeError,
            r"timeouts must be a Timeouts, such as Timeouts\(read=30\); got 5$",
        ),
        ({"timeouts": httpx.Timeout(5)}, TypeError, "timeouts must be .*; got Timeout$"),
        (
            {"max_concurrency": "x"},
            TypeError,
            "max_concurrency must be a whole number of calls, 1 or more; got 'x'$",
        ),
        ({"max_concurrency": 0}, ValueError, "max_concurrency must be .*, 1 or more; got 0$"),
        ({"max_concurrency": True}, TypeError, "max_concurrency must be .*; got True$"),
        ({"max_concurrency": 1.5}, TypeError, "max_concurrency must be .*; got 1.5$"),
        ({"max_concurrency": None}, TypeError, "max_concurrency must be .*; got None$"),
        (
            {"body_style": "x"},
            TypeError,
            "body_style must be BodyStyle.PLAIN or BodyStyle.RAW_BODY; got 'x'$",
        ),
        ({"transport": object()}, TypeError, f"{re.escape(TRANSPORT)}; got object$"),
        ({"transport": httpx.HTTPTransport()}, TypeError, f"{re.escape(TRANSPORT)}; got HTTPTra"),
        ({"transport": httpx.AsyncHTTPTransport}, TypeError, "transport must .*; got the class"),
        ({"observers": observe}, TypeError, f"{re.escape(OBSERVERS)}; got function$"),
        ({"observers": None}, TypeError, f"{re.escape(OBSERVERS)}; got None$"),
        (
            {"observers": [observe, "print"]},
            TypeError,
            r"observers\[1\] must be a function that takes an event; got 'print'$",
        ),
        (
            {"observers": [observe_async]},
            TypeError,
            r"observers\[0\] must be a plain function: an async one would not be awaited$",
        ),
        ({"api_kye": KEY}, TypeError, "unexpected keyword argument 'api_kye'"),
    ],
)
def test_constructor_parameter_that_cannot_be_used_is_named(
    settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        ClickPost(**{"username": "acme", "api_key": KEY} | settings)

    assert KEY not in str(caught.value)


@pytest.mark.skipif(sys.version_info < (3, 13), reason="Python suggests names since 3.13")
def test_constructor_suggests_the_parameter_that_is_misspelt() -> None:
    with pytest.raises(TypeError, match="Did you mean 'max_concurrency'"):
        ClickPost("acme", KEY, max_concurency=5)  # type: ignore[call-arg]


def test_constructor_needs_username_and_key_from_somewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("CLICKPOST_USERNAME", "CLICKPOST_API_KEY", "CLICKPOST_KEY"):
        monkeypatch.delenv(name, raising=False)

    with pytest.raises(
        ValueError, match=r"^username is missing: pass ClickPost\(username=\.\.\.\)"
    ):
        ClickPost(api_key=KEY)
    with pytest.raises(ValueError, match=r"^api_key is missing: .* or set CLICKPOST_API_KEY$"):
        ClickPost("acme")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("CLICKPOST_RATE", "fast", "CLICKPOST_RATE must be a number .*; got 'fast'$"),
        ("CLICKPOST_RATE", "-1", "CLICKPOST_RATE must be a number .*; got '-1'$"),
        ("CLICKPOST_BASE_URL", "sandbox", "CLICKPOST_BASE_URL must be scheme, host and path"),
        ("CLICKPOST_LOG", "loud", "CLICKPOST_LOG must be debug or info; got 'loud'$"),
    ],
)
def test_environment_variable_that_cannot_be_used_is_named(
    name: str, value: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(ValueError, match=message):
        ClickPost("acme", KEY)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"retry": 3}, r"retry must be a RetryPolicy, such as RetryPolicy\(attempts=3\); got 3$"),
        ({"timeouts": 5}, r"timeouts must be a Timeouts, such as Timeouts\(read=30\); got 5$"),
        ({"priority": "bulk"}, "priority must be Priority.NORMAL or Priority.BULK; got 'bulk'$"),
        ({"in_doubt": 1}, "in_doubt must be True or False; got 1$"),
        ({"before_create": 5}, "before_create must be a coroutine function; got 5$"),
        ({"observer": [observe]}, "observer must be a function that takes an event; got list$"),
        ({"observer": observe_async}, "observer must be a plain function: an async one would"),
    ],
)
def test_with_options_names_the_option_that_cannot_be_used(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        ClickPost("acme", KEY).with_options(**settings)


@virtual_time
async def test_constructor_takes_a_rate_as_a_number_or_as_text() -> None:
    for rate in (0.1, "0.1", "1/10s", "6/1m", Rate(1, per=10)):
        play = Play([placed()])
        async with playing(play, rate=rate) as clickpost:
            for number in range(2):
                await clickpost.orders.create(india_order(f"{rate}-{number}"))

        assert play.pauses == [10], rate


@virtual_time
async def test_base_url_sends_every_group_of_endpoints_to_one_host() -> None:
    play = Play([api_response(200, result=[])])
    async with playing(play, base_url=LOCAL, retry=RetryPolicy.never()) as clickpost:
        for call in (clickpost.health(), clickpost.tracking.track("W-1", courier_partner=4)):
            with suppress(ClickPostError):
                await call

    assert {request.url.netloc for request in play.requests} == {b"127.0.0.1:9"}
    assert len(play.requests) == 2


LOGGING = """
import asyncio, logging, sys
import clickpost_async
{before}
async def main():
    for _ in range(2):
        client = clickpost_async.ClickPost(
            "acme", "not-a-real-key", base_url="http://127.0.0.1:9/api",
            retry=clickpost_async.RetryPolicy.never(),
        )
    {after}
    async with client:
        try:
            await client.health()
        except clickpost_async.ClickPostError:
            pass
asyncio.run(main())
"""


def logged(level: str, *, before: str = "", after: str = "") -> list[str]:
    script = LOGGING.format(before=before, after=after)
    environ = {**os.environ, "CLICKPOST_LOG": level}
    run = subprocess.run(
        [sys.executable, "-c", script], env=environ, capture_output=True, text=True, check=True
    )
    assert "not-a-real-key" not in run.stderr
    return run.stderr.splitlines()


def test_clickpost_log_shows_each_line_once_on_stderr() -> None:
    lines = logged("debug")

    assert [line.count("AttemptStarted") for line in lines].count(1) == 1
    assert all(" DEBUG clickpost_async: " in line for line in lines if "AttemptStarted" in line)
    assert not any("AttemptStarted" in line for line in logged("INFO"))
    assert logged("") == []


@pytest.mark.parametrize(
    "set_up",
    [
        {"before": "logging.basicConfig(level='INFO', format='OURS %(message)s')"},
        {"after": "logging.basicConfig(level='INFO', format='OURS %(message)s')"},
        {"before": "logging.getLogger('clickpost_async').addHandler(logging.StreamHandler())"},
    ],
)
def test_clickpost_log_leaves_logging_that_the_application_set_up(set_up: dict[str, str]) -> None:
    assert not any(" clickpost_async: " in line for line in logged("debug", **set_up))


def test_repr_of_a_client_shows_its_concurrency_only() -> None:
    assert repr(ClickPost("acme", KEY, max_concurrency=7)) == "ClickPost(max_concurrency=7)"


@pytest.mark.parametrize("duplicate", [pickle.dumps, copy.copy, copy.deepcopy])
def test_client_that_is_pickled_or_copied_says_what_to_do_instead(
    duplicate: Callable[[ClickPost], object],
) -> None:
    with pytest.raises(TypeError, match=r"one in each process, or call with_options\(\)"):
        duplicate(ClickPost("acme", "not-a-real-key"))


def test_client_is_made_without_an_event_loop_and_opens_nothing() -> None:
    clickpost = ClickPost("acme", KEY)
    assert clickpost.stats() == Stats(
        calls=0,
        attempts=0,
        retries=0,
        reconciliations=0,
        rate_limited=0,
        in_flight=0,
        queued=0,
        connections=0,
    )


# --- orders of both kinds ---------------------------------------------------------------------


@virtual_time
async def test_order_finds_its_endpoint_by_its_type_or_its_names() -> None:
    play = Play([placed()])
    async with playing(play) as clickpost:
        await clickpost.orders.create(india_order("R-1"))
        await clickpost.orders.create(structure(india_order("R-1"), IndiaOrder))
        await clickpost.orders.create(world_order("R-1"))
        with pytest.raises(InvalidRequestError):
            await clickpost.orders.create({})

    assert [request.url.path[4:] for request in play.requests] == [
        "/v3/create-order/",
        "/v3/create-order/",
        "/v4/create-order/",
    ]


class ShopOrder(pydantic.BaseModel):
    reference_number: str = "R-1"


@attrs.frozen
class AttrsOrder:
    reference_number: str = "R-1"


@dataclass
class DataclassOrder:
    reference_number: str = "R-1"


class DjangoOrder:
    """What a Django model has: enough to be known as one."""

    _meta = object()
    pk = 1


async def later() -> dict[str, Any]:
    return india_order("R-1")


def database_row() -> sqlite3.Row:
    with closing(sqlite3.connect(":memory:")) as connection:
        return sqlite3.Row(connection.cursor(), ())


ORDERS_THAT_ARE_NONE: Mapping[str, tuple[Callable[[], Any], str]] = {
    "list": (
        lambda: [india_order("R-1")],
        "a list: pass one per call; asyncio.gather or bulk.create take many",
    ),
    "generator": (
        lambda: (order for order in ()),
        "generator: pass one per call; asyncio.gather or bulk.create take many",
    ),
    "text": (lambda: "{}", "a string: parse it first, as with json.loads"),
    "bytes": (lambda: b"{}", "bytes: parse it first, as with json.loads"),
    "number": (lambda: 5, "an integer"),
    "nothing": (lambda: None, "null"),
    "pydantic": (ShopOrder, "ShopOrder: give its model_dump()"),
    "attrs": (AttrsOrder, "AttrsOrder: give its fields as a mapping (asdict)"),
    "dataclass": (DataclassOrder, "DataclassOrder: give its fields as a mapping (asdict)"),
    "django": (
        DjangoOrder,
        "DjangoOrder: make a mapping of the model's fields, with ClickPost's names",
    ),
    "row": (lambda: pd.Series({"a": 1}), "Series: give its to_dict()"),
    "row of a database": (database_row, "Row: give dict(x)"),
    "a part": (lambda: structure(india_order("R-1"), IndiaOrder).drop_info, "IndiaDrop"),
}


@pytest.mark.parametrize("name", ORDERS_THAT_ARE_NONE)
@virtual_time
async def test_value_that_is_no_order_is_reported_with_its_type_and_advice(name: str) -> None:
    given, message = ORDERS_THAT_ARE_NONE[name]
    play = Play([placed()])
    async with playing(play) as clickpost:
        orders = clickpost.orders
        for create, wanted in (
            (orders.create, "IndiaOrder or WorldOrder"),
            (orders.create_india, "IndiaOrder"),
            (orders.create_world, "WorldOrder"),
        ):
            with pytest.raises(InvalidRequestError) as caught:
                await create(given())
            assert str(caught.value) == f"expected a mapping or {wanted}, got {message}"

    assert play.requests == []


@virtual_time
async def test_call_that_was_not_awaited_creates_no_order() -> None:
    coroutine: Any = later()
    async with playing(Play([placed()])) as clickpost:
        with pytest.raises(InvalidRequestError, match="got coroutine: await it first"):
            await clickpost.orders.create(coroutine)
    coroutine.close()


@virtual_time
async def test_order_of_the_other_market_is_refused_by_name() -> None:
    world: Any = structure(world_order("R-1"), WorldOrder)
    async with playing(Play([placed()])) as clickpost:
        with pytest.raises(InvalidRequestError, match="mapping or IndiaOrder, got WorldOrder"):
            await clickpost.orders.create_india(world)


@virtual_time
async def test_all_mistakes_of_an_order_are_reported_before_anything_is_sent() -> None:
    order = india_order("R-1")
    order["drop_info"]["drop_pincode"] = "1"
    order["drop_info"]["since"] = date(2026, 1, 31)
    order["shipment_details"]["weight"] = float("nan")
    play = Play([placed()])
    async with playing(play) as clickpost:
        with pytest.raises(InvalidRequestError) as caught:
            await clickpost.orders.create(order)

    assert {problem.path for problem in caught.value.problems} == {
        "drop_info.drop_pincode",
        "drop_info.since",
        "shipment_details.weight",
    }
    assert play.requests == []


@virtual_time
async def test_raw_body_is_a_setting() -> None:
    import json

    plain, raw = Play([placed()]), Play([placed()])
    async with playing(plain) as clickpost, playing(raw, body_style=BodyStyle.RAW_BODY) as other:
        for one in (clickpost, other):
            await one.orders.create(india_order("R-1"))

    inner = json.loads(raw.requests[0].content)
    assert json.loads(inner["RAW_BODY"]) == json.loads(plain.requests[0].content)


# --- ones own endpoints -----------------------------------------------------------------------


@virtual_time
async def test_custom_endpoint_is_called_like_any_other() -> None:
    get = Get("/v9/own/", returns=ResponseModel, idempotency=Idempotency.SAFE, auth=Auth.KEY)
    post = Post(
        "/v9/own/", returns=ResponseModel, idempotency=Idempotency.UNSAFE, accepts={200, 777}
    )
    play = Play(
        [
            api_response(200, result={"a": 1}),
            httpx.ConnectError(""),
            api_response(777, result={"b": [2]}),
        ]
    )
    async with playing(play) as clickpost:
        asked = await clickpost.get(get, {"x": 1, "left_out": None})
        sent = await clickpost.post(post, {"any": ["thing"]})

    assert (asked.extra, sent.extra, sent.response.status) == ({"a": 1}, {"b": [2]}, 777)
    assert sent.response.attempts == 2
    assert play.requests[0].url.raw_path == f"/api/v9/own/?x=1&key={KEY}".encode()
    assert play.requests[-1].content == b'{"any":["thing"]}'


_BEYOND: dict[str, tuple[Any, Any, str, Any, dict[str, Any]]] = {
    "an old registration, flat": (
        Post(
            "/v1/tracking/awb-register/", returns=ResponseModel, idempotency=Idempotency.IDEMPOTENT
        ),
        {"waybill": "W-9", "cp_id": 11},
        "https://www.clickpost.in/api/v1/tracking/awb-register/",
        {"message": "SUCCESS", "status_code": 200, "success": True, "tracking_id": 41},
        {"tracking_id": 41},
    ),
    "a webhook's registration, flat": (
        Post(
            "/v1/tracking/register-webhook/", returns=ResponseModel, idempotency=Idempotency.UNSAFE
        ),
        {"service_id": 2, "webhook_url": "https://shop.example.com/hook"},
        "https://www.clickpost.in/api/v1/tracking/register-webhook/",
        {"status_code": 200, "webhook_key": "wk-1", "message": "SUCCESS", "success": True},
        {"webhook_key": "wk-1"},
    ),
    "serviceability, a list": (
        Post(
            "/v1/serviceability_api/",
            returns=ResponseModel,
            idempotency=Idempotency.SAFE,
            host=Host.SERVICEABILITY,
        ),
        [{"pickup_pincode": "380015", "drop_pincode": "682001"}],
        "https://serviceability.clickpost.in/api/v1/serviceability_api/",
        {"meta": {"status": 200}, "result": [{"cp_id": 4, "comitted_sla": 2}]},
        {"rows": [{"cp_id": 4, "comitted_sla": 2}]},
    ),
    "serviceability, an object": (
        Post(
            "/v3/serviceability_api/",
            returns=ResponseModel,
            idempotency=Idempotency.SAFE,
            host=Host.SERVICEABILITY,
        ),
        [{"drop_pincode": "682001", "order_type": "COD"}],
        "https://serviceability.clickpost.in/api/v3/serviceability_api/",
        {"meta": {"status": 200}, "result": {"serviceable": True, "COD": False}},
        {"serviceable": True, "COD": False},
    ),
    "a prediction": (
        Post(
            "/v2/predicted_sla_api/",
            returns=ResponseModel,
            idempotency=Idempotency.SAFE,
            host=Host.PREDICTION,
        ),
        [{"pickup_pincode": "380015", "drop_pincode": "682001"}],
        "https://ds.clickpost.in/api/v2/predicted_sla_api/",
        {"meta": {"status": 200}, "result": [{"predicted_sla_min": 2}]},
        {"rows": [{"predicted_sla_min": 2}]},
    ),
    "a proof of delivery": (
        Get(
            "/v1/pod/pod_from_shipment_details/",
            returns=ResponseModel,
            idempotency=Idempotency.SAFE,
            host=Host.PROOF,
            auth=Auth.KEY,
        ),
        {"waybill": "W-9", "cp_id": 4},
        "https://api.clickpost.in/v1/pod/pod_from_shipment_details/",
        {"result": {"pod_url": "https://files.example.com/p.pdf"}, "meta": {"status": 200}},
        {"pod_url": "https://files.example.com/p.pdf"},
    ),
    "old NDR actions, of which one failed": (
        Post("/v1/ndr/update/", returns=ResponseModel, idempotency=Idempotency.UNSAFE),
        [{"waybill": "W-9", "act": "RE-ATTEMPT"}],
        "https://www.clickpost.in/api/v1/ndr/update/",
        {"meta": {"status": 200}, "result": {"ndr_update_status": [{"status": False}]}},
        {"ndr_update_status": [{"status": False}]},
    ),
}


@pytest.mark.parametrize("what", _BEYOND)
@virtual_time
async def test_own_endpoints_call_what_the_operations_lack(
    what: str,
) -> None:
    endpoint, asked, url, body, found = _BEYOND[what]
    play = Play([httpx.Response(200, json=body)])
    async with playing(play) as clickpost:
        ask = clickpost.get if endpoint.method == "GET" else clickpost.post
        response = await ask(endpoint, asked)

    assert str(play.requests[0].url).partition("?")[0] == url
    assert response.extra == found


@virtual_time
async def test_health_is_any_response_and_no_error() -> None:
    async with playing([api_response(404, "no such pincode")]) as clickpost:
        assert (await clickpost.health()).response.status == 404
    async with playing([api_response(301, "wrong key")]) as clickpost:
        with pytest.raises(CredentialsError, match="health: wrong key"):
            await clickpost.health()


# --- light copies -----------------------------------------------------------------------------


@virtual_time
async def test_copy_with_options_shares_counters_semaphore_limiter_and_closing() -> None:
    play = Play([placed()])
    async with playing(play, max_concurrency=1, rate=Rate(1, per=10)) as clickpost:
        copy = clickpost.with_options(
            timeouts=Timeouts(create=7), retry=RetryPolicy.never(), priority=Priority.BULK
        )
        assert type(copy) is ClickPost
        await asyncio.gather(
            clickpost.orders.create(india_order("R-1")), copy.orders.create(india_order("R-2"))
        )
        assert clickpost.stats() == copy.stats()
        assert copy.stats().calls == 2

    # One pace for both; only the copy has other timeouts.
    assert play.times == [0, 10]
    assert [request.extensions["timeout"]["read"] for request in play.requests] == [60, 7]
    with pytest.raises(NotSentError, match="closed"):
        await copy.orders.create(india_order("R-3"))


@virtual_time
async def test_options_add_up_and_what_is_not_named_stays() -> None:
    play = Play([httpx.ConnectError("")])
    async with playing(play) as clickpost:
        copy = clickpost.with_options(retry=RetryPolicy(attempts=2)).with_options(deadline=1000)
        with pytest.raises(NotSentError):
            await copy.orders.create(india_order("R-1"))
        assert len(play.times) == 2
        with pytest.raises(NotSentError):
            await clickpost.orders.create(india_order("R-1"))
        assert len(play.times) == 2 + 4


@virtual_time
async def test_light_copy_may_have_an_observer_of_its_own() -> None:
    shared, own = Listener(), Listener()
    async with playing([placed()], observers=[shared]) as clickpost:
        copy = clickpost.with_options(observer=own).with_options(deadline=10)
        await copy.orders.create(india_order("R-1"))
        await clickpost.orders.create(india_order("R-2"))
        assert clickpost.stats().calls == 2
    assert {event.reference_number for event in own.events} == {"R-1"}
    assert {event.reference_number for event in shared.events} == {"R-1", "R-2"}


@pytest.mark.parametrize(
    ("base", "address"),
    [
        (None, "www.clickpost.in:443"),
        ("https://api.example/v9", "api.example:443"),
        ("https://api.example:8443", "api.example:8443"),
        ("http://127.0.0.1:8000/api", "127.0.0.1:8000"),
        ("http://[::1]:80", "[::1]:80"),
    ],
)
def test_client_repr_names_its_host(base: str | None, address: str) -> None:
    hosts = Hosts() if base is None else Hosts.at(base)
    clickpost = ClickPost("acme", KEY, hosts=hosts)
    assert clickpost.address == clickpost.with_options(deadline=1).address == address


@pytest.mark.asyncio
async def test_light_copy_shares_connections() -> None:
    async with serving() as server:
        async with ClickPost("acme", KEY, base_url=server.url) as clickpost:
            copy = clickpost.with_options(timeouts=Timeouts(read=1))
            for one in (clickpost, copy, clickpost):
                await one.orders.create(india_order("R-1"))
            assert clickpost.stats().connections == copy.stats().connections == 1
        assert server.connections == 1


class Shop(ClickPost):
    """A client of a merchant's own: with a setting, a slot, a value that is cached, a namespace."""

    __slots__ = ("till",)

    def __init__(self, *args: Any, shop: str, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.shop = shop
        self.till = object()
        self.warehouse = Orders(self._caller)

    @cached_property
    def attempts(self) -> int:
        return self.retry.attempts

    def __reduce__(self) -> Never:
        raise TypeError("a shop is not pickled")


@virtual_time
async def test_light_copy_of_a_subclass_keeps_its_attributes() -> None:
    play = Play([api_response(503, http=503)])
    async with Shop("acme", KEY, shop="Lotus", transport=httpx.MockTransport(play)) as shop:
        assert shop.attempts == 4
        copy = shop.with_options(retry=RetryPolicy.never())

        assert (type(copy), copy.shop, copy.till) == (Shop, "Lotus", shop.till)
        assert copy.attempts == 1
        for orders in (copy.warehouse, copy.orders):
            with pytest.raises(ClickPostError):
                await orders.create(india_order("R-1"))
        assert len(play.times) == 2
        assert (shop.attempts, shop.warehouse is copy.warehouse) == (4, False)


@virtual_time
async def test_namespace_that_was_used_before_has_the_options_of_each_copy() -> None:
    play = Play([api_response(503, http=503)])
    async with playing(play) as clickpost:
        await asyncio.gather(clickpost.orders.create(india_order("R-1")), return_exceptions=True)
        before = len(play.times)
        once = clickpost.with_options(retry=RetryPolicy.never())
        await asyncio.gather(once.orders.create(india_order("R-2")), return_exceptions=True)

    assert before == 4
    assert len(play.times) == before + 1


@virtual_time
async def test_namespace_that_a_test_has_replaced_stays_replaced_in_a_light_copy() -> None:
    async with playing(Play([placed()])) as clickpost:
        fake: Any = object()
        clickpost.orders = fake

        assert clickpost.with_options(deadline=5).orders is fake


@pytest.mark.parametrize("close", ["async with", "aclose"])
@virtual_time
async def test_closing_a_light_copy_closes_nothing(close: str) -> None:
    async with playing(Play([placed()])) as clickpost:
        copy = clickpost.with_options(deadline=5)
        if close == "aclose":
            await copy.aclose()
        else:
            async with copy, copy.with_options(priority=Priority.BULK):
                await copy.orders.create(india_order("R-1"))

        await clickpost.orders.create(india_order("R-2"))
        await copy.orders.create(india_order("R-3"))

    with pytest.raises(NotSentError, match="closed"):
        await copy.orders.create(india_order("R-4"))


# --- as a spec --------------------------------------------------------------------------------

NAMESPACES = (
    *("orders", "tracking", "ndr", "pickups", "labels", "couriers", "account", "reports"),
    "returns",
)


@pytest.mark.parametrize("name", NAMESPACES)
def test_class_has_the_classes_of_its_namespaces(name: str) -> None:
    clickpost = ClickPost("acme", KEY)

    assert type(getattr(clickpost, name)) is getattr(ClickPost, name)
    assert getattr(clickpost, name) is getattr(clickpost, name)


@pytest.mark.parametrize(
    "mock",
    [
        create_autospec(ClickPost, instance=True),
        create_autospec(ClickPost)("acme", KEY),
        create_autospec(ClickPost("acme", KEY)),
    ],
)
@pytest.mark.asyncio
async def test_mock_that_is_made_by_autospec_has_the_namespaces_and_their_signatures(
    mock: Any,
) -> None:
    mock.orders.create.return_value = "placed"

    assert await mock.orders.create({"a": 1}) == "placed"
    mock.orders.create.assert_awaited_once_with({"a": 1})
    with pytest.raises(TypeError, match="courier_partner"):
        await mock.orders.fetch_india("W1")
    with pytest.raises(AttributeError):
        mock.orders.craete  # noqa: B018 - asking is the test
    for name in NAMESPACES:
        assert getattr(mock, name)


@pytest.mark.skipif(sys.version_info < (3, 13), reason="their AsyncMock asks the namespace's class")
@pytest.mark.asyncio
async def test_async_mock_of_the_client_has_namespaces_that_can_be_awaited() -> None:
    mock = AsyncMock(spec=ClickPost)
    mock.orders.create.return_value = "placed"

    assert await mock.orders.create({}) == "placed"
    with pytest.raises(AttributeError):
        mock.shipments  # noqa: B018 - asking is the test


def test_client_loads_no_namespace_that_is_not_used() -> None:
    script = """
import sys
from clickpost_async import ClickPost
clickpost = ClickPost("acme", "not-a-real-key")
clickpost.orders
print([name for name in sys.modules if name.endswith((".reports", ".returns", ".ndr"))])
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


# --- a sandbox in a container ---------------------------------------------------------------------


@pytest.mark.asyncio
async def test_sandbox_in_a_container_is_called_in_plain_http_and_gives_its_labels(
    clickpost_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    look_up = socket.getaddrinfo

    def as_the_containers_network(host: Any, *rest: Any, **more: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        return look_up("127.0.0.1" if name == "sandbox" else host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", as_the_containers_network)
    base_url = clickpost_sandbox.base_url.replace("127.0.0.1", "sandbox")
    monkeypatch.setenv("CLICKPOST_BASE_URL", base_url)
    monkeypatch.setenv("CLICKPOST_ALLOW_HTTP", "1")
    async with ClickPost() as clickpost:
        created = await clickpost.orders.create(india_order("R-1"))
        assert created.label is not None
        assert created.label.startswith("http://sandbox:")
        await clickpost.labels.download(created, tmp_path / "label.pdf")

    assert (tmp_path / "label.pdf").read_bytes().startswith(b"%PDF")


# --- counts -----------------------------------------------------------------------------------


@virtual_time
async def test_stats_count_calls_done_and_in_flight() -> None:
    lines = [httpx.Response(429), httpx.ReadError(""), placed(), never_responds]
    async with playing(lines, max_concurrency=2, limiter=NoRateLimit()) as clickpost:
        await clickpost.orders.create(india_order("R-1"))
        calls = [
            asyncio.create_task(clickpost.orders.create(india_order(f"R-{number}")))
            for number in range(5)
        ]
        await asyncio.sleep(1)
        assert clickpost.stats() == Stats(
            calls=6,
            attempts=6,
            retries=2,
            reconciliations=1,
            rate_limited=1,
            in_flight=2,
            queued=3,
            connections=0,
        )
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        assert (clickpost.stats().in_flight, clickpost.stats().queued) == (0, 0)


# --- closed -----------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_closing_twice_and_from_any_task_is_fine_and_final() -> None:
    async with serving() as server:
        clickpost = ClickPost("acme", KEY, base_url=server.url)
        await clickpost.orders.create(india_order("R-1"))
        await asyncio.gather(*(asyncio.create_task(clickpost.aclose()) for _ in range(3)))
        await clickpost.aclose()
        assert clickpost.stats().connections == 0

        for call in (
            lambda: clickpost.orders.create(india_order("R-1")),
            lambda: clickpost.orders.find_india("R-1"),
            clickpost.health,
        ):
            with pytest.raises(NotSentError, match="the client is closed; make a new one") as no:
                await call()
            assert (no.value.transient, no.value.attempts) == (False, 0)
        assert len(server.heads) == 1


@pytest.mark.fault("X07")
@pytest.mark.asyncio
async def test_calls_in_flight_when_the_client_closes_end_in_a_clear_error() -> None:
    async with serving(hangs) as server:
        clickpost = ClickPost(
            "acme", KEY, base_url=server.url, max_concurrency=2, timeouts=Timeouts(shutdown=0.1)
        )
        calls = [
            asyncio.create_task(clickpost.orders.create(india_order(f"R-{number}")))
            for number in range(4)
        ]
        await until(lambda: len(server.heads) == 2)
        with anyio.fail_after(10):
            await clickpost.aclose()
            errors = await asyncio.gather(*calls, return_exceptions=True)

    # Two were in flight, two queued.
    assert [type(error) for error in errors] == [NoReplyError] * 2 + [NotSentError] * 2
    assert [error.transient for error in errors] == [False] * 4  # type: ignore[union-attr]


@pytest.mark.asyncio
async def test_unused_client_can_be_closed_twice() -> None:
    async with ClickPost("acme", KEY) as clickpost:
        pass
    await clickpost.aclose()

    with pytest.raises(NotSentError, match="the client is closed"):
        await clickpost.health()


@virtual_time
async def test_custom_transport_is_closed_with_the_client() -> None:
    class Transport(httpx.MockTransport):
        closed = 0

        async def aclose(self) -> None:
            self.closed += 1

    transport = Transport(Play([placed()]))
    clickpost = ClickPost("acme", KEY, transport=transport)
    await clickpost.aclose()
    await clickpost.aclose()
    assert transport.closed == 1


# --- observed ---------------------------------------------------------------------------------


@virtual_time
async def test_observer_that_fails_breaks_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def fails(event: object) -> None:
        message = "observer"
        raise RuntimeError(message)

    listener = Listener()
    async with playing([placed()], observers=[fails, listener]) as clickpost:
        order = await clickpost.orders.create(india_order("R-1"))

    assert isinstance(order, CreatedOrder)
    assert len(listener.events) == 3
    failures = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert {record.getMessage() for record in failures} == {"an observer failed"}


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.asyncio
async def test_path_in_place_of_an_endpoint_is_refused(method: str) -> None:
    path: Any = "/v1/x/"
    async with connected(Sandbox()) as clickpost:
        with pytest.raises(TypeError, match=rf"{method.title()}\('/v1/x/', …\); got '/v1/x/'"):
            await getattr(clickpost, method)(path, {})


@pytest.mark.parametrize("name", ["RAW_BODY", "order", "payload"])
@pytest.mark.asyncio
async def test_order_inside_of_another_object_is_refused_naming_the_object(name: str) -> None:
    async with connected(Sandbox()) as clickpost:
        with pytest.raises(InvalidRequestError, match=rf"{name}: give the order itself"):
            await clickpost.orders.create({name: india_order("R-1")})


@pytest.mark.parametrize(
    ("waybills", "message"),
    [
        (41144869713534, "waybills: expected strings, .* got 41144869713534"),
        (None, "waybills: expected strings, .* got None"),
        ([41144869713534], r"waybills\[0\]: a waybill is a string .* got 41144869713534"),
    ],
)
@pytest.mark.asyncio
async def test_waybill_that_is_no_string_is_refused(waybills: Any, message: str) -> None:
    async with connected(Sandbox()) as clickpost:
        with pytest.raises(InvalidRequestError, match=message):
            await clickpost.tracking.track(waybills, courier_partner=4)
