"""Spans and metrics, collected by OpenTelemetry's own SDK."""

import asyncio
import builtins
import contextlib
import importlib
import logging
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from attrs import define, field
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv.attributes import error_attributes, http_attributes, server_attributes
from opentelemetry.semconv.metrics.http_metrics import HTTP_CLIENT_REQUEST_DURATION
from opentelemetry.trace import SpanKind, StatusCode

from clickpost_async import (
    ClickPost,
    ClickPostError,
    Get,
    Host,
    Hosts,
    Idempotency,
    Outcome,
    Post,
    RetryPolicy,
)
from clickpost_async.events import (
    AttemptStarted,
    AttemptSucceeded,
    CallFinished,
    Event,
    RateLimitPaused,
    RetryScheduled,
)
from clickpost_async.integrations.opentelemetry import OpenTelemetry
from clickpost_async.structures import ResponseModel
from clickpost_async.testing import virtual_time
from tests.helpers.scripted_transport import (
    Line,
    Play,
    api_response,
    never_responds,
    placed,
    playing,
    queued,
)
from tests.sandbox.samples import india_order
from tests.test_secrets import CANARY, leaks

CREATE, FIND = "orders.create_india", "orders.find_india"
CREATING, FINDING = "POST /v3/create-order/", "GET /v3/create-order/"
LOST = "clickpost_async.errors.NoReplyError"
REFUSED = "clickpost_async.errors.InvalidRequestError"
THROTTLED = "clickpost_async.errors.ThrottledError"
CLICKPOST = {"server.address": "www.clickpost.in", "server.port": 443}
MADE: dict[str, Any] = {"call": 1, "endpoint": CREATE, "reference_number": "R-1"}
_METHOD, _STATUS = "http.request.method", "http.response.status_code"


@define
class Collected:
    """What an observer has exported."""

    exporter: InMemorySpanExporter = field(factory=InMemorySpanExporter)
    reader: InMemoryMetricReader = field(factory=InMemoryMetricReader)
    provider: TracerProvider = field(factory=TracerProvider)
    settings: dict[str, Any] = field(factory=dict)
    observer: OpenTelemetry = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.observer = OpenTelemetry(
            tracer_provider=self.provider,
            meter_provider=MeterProvider([self.reader]),
            **self.settings,
        )

    @property
    def spans(self) -> list[ReadableSpan]:
        """All that have ended, in the order in which they began."""
        return sorted(self.exporter.get_finished_spans(), key=lambda span: span.start_time or 0)

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.spans if span.name == name]

    @property
    def tree(self) -> list[tuple[str, str | None, Any]]:
        """Names, names of the parents, and how they failed."""
        names = {span.context.span_id: span.name for span in self.spans}
        return [
            (span.name, span.parent and names[span.parent.span_id], failure(span))
            for span in self.spans
        ]

    @property
    def metrics(self) -> dict[str, Any]:
        data = self.reader.get_metrics_data()
        return {
            metric.name: metric
            for resource in (data.resource_metrics if data else [])
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def counted(self, name: str) -> list[tuple[dict[str, Any], int]]:
        """By attributes, how many were recorded."""
        metric = self.metrics.get(name)
        return [
            (dict(point.attributes), getattr(point, "count", None) or point.value)
            for point in (metric.data.data_points if metric else [])
        ]

    def texts(self) -> list[str]:
        data = self.reader.get_metrics_data()
        return [*(span.to_json() for span in self.spans), data.to_json() if data else ""]


def failure(span: ReadableSpan) -> Any:
    error = (span.attributes or {}).get("error.type")
    assert span.status.status_code is (StatusCode.ERROR if error else StatusCode.UNSET)
    # The message may contain personal data.
    assert (span.status.description, span.events) == (None, ())
    return error


async def collected_from(*lines: Line, play: Play | None = None, **settings: Any) -> Collected:
    collected = Collected()
    async with playing(
        play or Play(lines), observers=[collected.observer], **settings
    ) as clickpost:
        with contextlib.suppress(ClickPostError):
            await clickpost.orders.create(india_order("R-1"))
    return collected


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    """Tell the tests that an observer failed, which would otherwise only be logged."""
    failures: list[logging.LogRecord] = []
    handler = logging.Handler(logging.ERROR)
    handler.emit = failures.append  # type: ignore[method-assign]
    logger = logging.getLogger("clickpost_async")
    logger.addHandler(handler)
    yield
    logger.removeHandler(handler)
    assert [str(record.exc_info) for record in failures if "meant" not in str(record.exc_info)] == (
        []
    )


# --- spans ------------------------------------------------------------------------------------


@virtual_time
async def test_call_is_a_span_with_one_for_its_attempt_under_it() -> None:
    call, attempt = (await collected_from(placed())).spans

    assert (call.name, call.kind, call.parent) == (CREATE, SpanKind.INTERNAL, None)
    assert {**(call.attributes or {}), "clickpost.waited": 0} == {
        "clickpost.endpoint": CREATE,
        "clickpost.reference_number": "R-1",
        "clickpost.attempts": 1,
        "clickpost.outcome": "succeeded",
        "clickpost.waited": 0,
    }
    assert (attempt.name, attempt.kind) == (CREATING, SpanKind.CLIENT)
    assert attempt.parent
    assert attempt.parent.span_id == call.context.span_id
    assert attempt.attributes == {
        "http.request.method": "POST",
        "url.template": "/v3/create-order/",
        "http.response.status_code": 200,
        "clickpost.status_code": 200,
        **CLICKPOST,
    }
    assert [failure(span) for span in (call, attempt)] == [None, None]
    assert {span.instrumentation_scope.name for span in (call, attempt)} == {"clickpost_async"}


@virtual_time
async def test_spans_show_lost_response_look_up_429_and_poll() -> None:
    collected = await collected_from(
        httpx.ReadError(""),
        httpx.Response(429, headers={"retry-after": "9"}),
        queued(),
        placed(),
    )

    assert collected.tree == [
        (CREATE, None, None),
        (CREATING, CREATE, LOST),
        (FIND, CREATE, REFUSED),
        (FINDING, FIND, REFUSED),
        (CREATING, CREATE, THROTTLED),
        (CREATING, CREATE, None),
        (CREATING, CREATE, None),
    ]
    attempts = [dict(span.attributes or {}) for span in collected.named(CREATING)]
    assert [about.get("http.request.resend_count") for about in attempts] == [None, 1, 2, 3]
    assert [about.get("http.response.status_code") for about in attempts] == [None, 429, 200, 200]
    assert [about.get("clickpost.status_code") for about in attempts] == [None, None, 202, 200]
    call = collected.spans[0].attributes or {}
    assert (call["clickpost.attempts"], call["clickpost.outcome"]) == (4, "succeeded")


@virtual_time
async def test_refusal_event_has_clickposts_code_and_not_its_message() -> None:
    collected = await collected_from(api_response(307, "wrong order type"))

    assert collected.tree == [(CREATE, None, REFUSED), (CREATING, CREATE, REFUSED)]
    call, attempt = (dict(span.attributes or {}) for span in collected.spans)
    assert (attempt["http.response.status_code"], attempt["clickpost.status_code"]) == (200, 307)
    assert (call["clickpost.outcome"], call["clickpost.status_code"]) == ("rejected", 307)
    assert not any("wrong order type" in text for text in collected.texts())


@virtual_time
async def test_order_without_an_outcome_is_reported_unknown() -> None:
    collected = await collected_from(httpx.ReadError(""), retry=RetryPolicy.never())
    call = collected.named(CREATE)[0]
    assert (call.attributes or {})["clickpost.outcome"] == "unknown"
    assert failure(call) == LOST


@virtual_time
async def test_call_that_is_cancelled_ends_its_spans() -> None:
    collected = Collected()
    async with playing([never_responds], observers=[collected.observer]) as clickpost:
        call = asyncio.create_task(clickpost.orders.create(india_order("R-1")))
        await asyncio.sleep(1)
        assert collected.spans == []
        call.cancel()
        await asyncio.wait([call])

        with pytest.raises(ClickPostError):
            await clickpost.with_options(deadline=3).orders.create(india_order("R-2"))

    both = [(CREATE, None, "cancelled"), (CREATING, CREATE, "cancelled")]
    assert collected.tree == both * 2
    outcomes = {(span.attributes or {})["clickpost.outcome"] for span in collected.named(CREATE)}
    assert outcomes == {"unknown"}
    ((about, count),) = collected.counted(HTTP_CLIENT_REQUEST_DURATION)
    assert (about["error.type"], count) == ("cancelled", 2)


@virtual_time
async def test_call_cancelled_during_a_pause_has_no_cancelled_attempt() -> None:
    collected = Collected()
    async with playing([httpx.ReadError("")], observers=[collected.observer]) as clickpost:
        call = asyncio.create_task(clickpost.orders.create(india_order("R-1")))
        await asyncio.sleep(1)
        call.cancel()
        await asyncio.wait([call])

    assert collected.tree[:2] == [(CREATE, None, "cancelled"), (CREATING, CREATE, LOST)]
    assert len(collected.named(CREATING)) == 1


@virtual_time
async def test_call_without_an_attempt_has_a_span() -> None:
    collected = Collected()

    async def slowly(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(1)
        return placed()

    async with playing([slowly], observers=[collected.observer]) as clickpost:
        with pytest.raises(ClickPostError):
            await clickpost.orders.create(india_order("R-0", drop_info__drop_pincode="12"))
        await asyncio.gather(*(clickpost.orders.create(india_order("R-1")) for _ in range(2)))

    found = [dict(span.attributes or {}) for span in collected.named(CREATE)]
    outcomes = Counter((f["clickpost.attempts"], f["clickpost.outcome"]) for f in found)
    assert outcomes == Counter({(0, "not_sent"): 1, (1, "succeeded"): 1, (0, "succeeded"): 1})
    assert len(collected.named(CREATING)) == 1


def test_span_of_a_call_that_was_not_sent_starts_when_it_was_made() -> None:
    collected = Collected()
    collected.observer(CallFinished(outcome=Outcome.NOT_SENT, attempts=0, seconds=100.0, **MADE))
    (span,) = collected.spans
    assert span.start_time
    assert span.end_time
    assert (span.end_time - span.start_time) / 1e9 == pytest.approx(100, abs=10)


def test_wait_before_a_call_is_reported() -> None:
    collected = Collected()
    collected.observer(AttemptStarted(attempt=1, **MADE))
    collected.observer(
        AttemptSucceeded(attempt=1, status=200, http_status=200, seconds=100.0, **MADE)
    )
    collected.observer(CallFinished(outcome=None, attempts=1, seconds=100.0, **MADE))

    waited = (collected.named(CREATE)[0].attributes or {})["clickpost.waited"]
    assert waited == pytest.approx(100, abs=10)
    (point,) = collected.metrics["clickpost.client.call.wait"].data.data_points
    assert (point.sum, point.attributes) == (waited, {"clickpost.endpoint": CREATE})


# --- whose spans they are -----------------------------------------------------------------------


@virtual_time
async def test_calls_made_together_are_each_under_the_span_of_their_own_task() -> None:
    collected = Collected()
    tracer = collected.provider.get_tracer("shop")

    async def respond(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.1)
        return placed()

    async def check_out(number: int) -> None:
        with tracer.start_as_current_span(f"checkout {number}"):
            await clickpost.orders.create(india_order(f"R-{number}"))

    async with playing([respond], observers=[collected.observer], max_concurrency=7) as clickpost:
        await asyncio.gather(*(check_out(number) for number in range(50)))

    names = {span.context.span_id: span for span in collected.spans}
    calls = collected.named(CREATE)
    assert {
        (names[call.parent.span_id].name, (call.attributes or {})["clickpost.reference_number"])
        for call in calls
        if call.parent
    } == {(f"checkout {number}", f"R-{number}") for number in range(50)}
    attempts = collected.named(CREATING)
    assert {span.parent.span_id for span in attempts if span.parent} == {
        call.context.span_id for call in calls
    }
    assert len({span.context.trace_id for span in collected.spans}) == 50
    assert len(attempts) == 50


@virtual_time
async def test_one_call_after_another_in_a_task_are_not_under_each_other() -> None:
    collected = Collected()
    play = Play([placed(), httpx.ReadError(""), placed()])
    async with playing(play, observers=[collected.observer]) as clickpost:
        for number in range(2):
            await clickpost.orders.create(india_order(f"R-{number}"))
    assert [span.parent for span in collected.named(CREATE)] == [None, None]


@virtual_time
async def test_clients_may_share_an_observer_though_they_count_alike() -> None:
    collected = Collected()

    async def waits(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(1)
        return placed()

    async with (
        playing([waits], observers=[collected.observer]) as one,
        playing([httpx.ReadError("")], observers=[collected.observer]) as other,
    ):
        await asyncio.gather(
            one.orders.create(india_order("R-1")),
            other.with_options(retry=RetryPolicy.never()).orders.create(india_order("R-2")),
            return_exceptions=True,
        )

    assert {
        (span.attributes or {})["clickpost.reference_number"]: failure(span)
        for span in collected.named(CREATE)
    } == {"R-1": None, "R-2": LOST}
    assert Counter(failure(span) for span in collected.named(CREATING)) == {None: 1, LOST: 1}


@virtual_time
async def test_call_within_a_call_is_under_it_though_another_client_makes_it() -> None:
    collected = Collected()
    async with playing([api_response(200)], observers=[collected.observer]) as vault:

        async def key() -> str:
            await vault.health()
            return "not-a-real-key"

        transport = httpx.MockTransport(Play([api_response(307)]))
        async with ClickPost(
            "acme", key, transport=transport, observers=[collected.observer]
        ) as clickpost:
            with pytest.raises(ClickPostError):
                await clickpost.orders.create(india_order("R-1"))

    assert collected.tree == [
        (CREATE, None, REFUSED),
        (CREATING, CREATE, REFUSED),
        ("health", CREATE, None),
        ("GET /v2/pincode_details/", "health", None),
    ]


@virtual_time
async def test_client_may_have_two_observers() -> None:
    one, other = Collected(), Collected()
    async with playing(
        [httpx.ReadError(""), placed()], observers=[one.observer, other.observer]
    ) as client:
        await client.orders.create(india_order("R-1"))
    assert len(one.tree) == 5
    assert one.tree == other.tree


# --- endpoints ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("endpoint", "known", "name", "about"),
    [
        (
            Get("/v9/own/", returns=ResponseModel, idempotency=Idempotency.SAFE),
            False,
            "GET /v9/own/",
            {"http.request.method": "GET", "url.template": "/v9/own/", **CLICKPOST},
        ),
        (
            Post(
                "/v9/own/",
                returns=ResponseModel,
                idempotency=Idempotency.UNSAFE,
                host=Host.PREDICTION,
            ),
            True,
            "POST /v9/own/",
            {
                "http.request.method": "POST",
                "url.template": "/v9/own/",
                "server.address": "ds.clickpost.in",
                "server.port": 443,
            },
        ),
        (
            Get("/v9/own/", name="own", returns=ResponseModel, idempotency=Idempotency.SAFE),
            False,
            "HTTP",
            {"http.request.method": "_OTHER", **CLICKPOST},
        ),
        (
            Get("/v9/own/", name="own", returns=ResponseModel, idempotency=Idempotency.SAFE),
            True,
            "GET /v9/own/",
            {"http.request.method": "GET", "url.template": "/v9/own/", **CLICKPOST},
        ),
    ],
)
def test_errors_of_custom_endpoints_state_the_outcome(
    endpoint: Get[ResponseModel] | Post[ResponseModel],
    known: bool,
    name: str,
    about: dict[str, Any],
) -> None:
    collected = Collected(settings={"endpoints": [endpoint] if known else []})

    @virtual_time
    async def main() -> None:
        async with playing([api_response(200)], observers=[collected.observer]) as clickpost:
            if isinstance(endpoint, Get):
                await clickpost.get(endpoint, {"a": 1})
            else:
                await clickpost.post(endpoint, {"a": 1})

    main()
    call, attempt = collected.spans
    assert (call.name, attempt.name) == (endpoint.label, name)
    came = {"http.response.status_code": 200, "clickpost.status_code": 200}
    assert attempt.attributes == {**about, **came}


@virtual_time
async def test_health_check_is_a_span() -> None:
    collected = Collected()
    async with playing([api_response(200)], observers=[collected.observer]) as clickpost:
        await clickpost.health()
    assert [span.name for span in collected.spans] == ["health", "GET /v2/pincode_details/"]


@pytest.mark.parametrize(
    ("base", "address", "port"),
    [
        ("http://127.0.0.1:8123/api", "127.0.0.1", 8123),
        ("http://[::1]/api", "::1", 80),
        ("https://proxy.example/clickpost", "proxy.example", 443),
    ],
)
def test_server_is_the_one_that_is_called(base: str, address: str, port: int) -> None:
    hosts = Hosts.at(base)
    collected = Collected(settings={"hosts": hosts})

    @virtual_time
    async def main() -> None:
        async with playing([placed()], observers=[collected.observer], hosts=hosts) as clickpost:
            await clickpost.orders.create(india_order("R-1"))

    main()
    about = collected.named(CREATING)[0].attributes or {}
    assert (about["server.address"], about["server.port"]) == (address, port)
    assert about["url.template"] == "/v3/create-order/"


# --- metrics ------------------------------------------------------------------------------------


@virtual_time
async def test_attempts_calls_retries_and_pauses_are_counted() -> None:
    collected = await collected_from(
        httpx.ReadError(""),
        httpx.Response(429, headers={"retry-after": "9"}),
        queued(),
        placed(),
    )

    create, find = {"clickpost.endpoint": CREATE}, {"clickpost.endpoint": FIND}
    attempt = {_METHOD: "POST", "url.template": "/v3/create-order/", **CLICKPOST}
    look_up = {_METHOD: "GET", "url.template": "/v3/create-order/", **CLICKPOST}
    assert collected.counted(HTTP_CLIENT_REQUEST_DURATION) == [
        ({**attempt, "error.type": LOST}, 1),
        ({**look_up, _STATUS: 200, "error.type": REFUSED}, 1),
        ({**attempt, _STATUS: 429, "error.type": THROTTLED}, 1),
        ({**attempt, _STATUS: 200}, 2),
    ]
    assert collected.counted("clickpost.client.call.duration") == [
        ({**find, "clickpost.outcome": "rejected", "error.type": REFUSED}, 1),
        ({**create, "clickpost.outcome": "succeeded"}, 1),
    ]
    assert collected.counted("clickpost.client.call.wait") == [(find, 1), (create, 1)]
    assert collected.counted("clickpost.client.retries") == [
        ({**create, "error.type": LOST}, 1),
        ({**create, "error.type": THROTTLED}, 1),
        (create, 1),
    ]
    assert collected.counted("clickpost.client.pause") == [({**create, "error.type": THROTTLED}, 1)]
    (hold,) = collected.metrics["clickpost.client.pause"].data.data_points
    assert hold.sum == 9


@virtual_time
async def test_response_that_names_another_order_is_counted() -> None:
    collected = await collected_from(placed("W-1", "R-77"), placed())
    doubts = collected.counted("clickpost.client.suspicious_responses")
    assert doubts == [({"clickpost.endpoint": CREATE}, 1)]


@virtual_time
async def test_how_many_series_there_are_does_not_grow_with_the_orders() -> None:
    collected = Collected()
    async with playing([placed()], observers=[collected.observer]) as clickpost:
        await asyncio.gather(
            *(clickpost.orders.create(india_order(f"R-{number}")) for number in range(30))
        )
    assert {name: len(collected.counted(name)) for name in collected.metrics} == {
        "http.client.request.duration": 1,
        "clickpost.client.call.duration": 1,
        "clickpost.client.call.wait": 1,
    }


@virtual_time
async def test_names_units_and_buckets_are_those_of_the_conventions() -> None:
    collected = await collected_from(httpx.ReadError(""), placed())

    requests = collected.metrics[HTTP_CLIENT_REQUEST_DURATION]
    assert (requests.unit, requests.description) == ("s", "Duration of HTTP client requests.")
    assert list(requests.data.data_points[0].explicit_bounds) == [
        *(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
    ]
    assert {name: metric.unit for name, metric in collected.metrics.items()} == {
        "http.client.request.duration": "s",
        "clickpost.client.call.duration": "s",
        "clickpost.client.call.wait": "s",
        "clickpost.client.retries": "{retry}",
    }
    conventional = {
        error_attributes.ERROR_TYPE,
        http_attributes.HTTP_REQUEST_METHOD,
        http_attributes.HTTP_REQUEST_RESEND_COUNT,
        http_attributes.HTTP_RESPONSE_STATUS_CODE,
        server_attributes.SERVER_ADDRESS,
        server_attributes.SERVER_PORT,
        # Not stable yet, and not among them.
        "url.template",
    }
    names = {name for span in collected.named(CREATING) for name in span.attributes or {}}
    assert names == {*conventional, "clickpost.status_code"}


# --- what is never exported ---------------------------------------------------------------------

PERSONAL = ("Meera", "Reader", "Banyan", "9000000012", "9000000011", "Lotus", "desk@")


@pytest.mark.parametrize("fails", [True, False])
def test_neither_the_key_nor_a_person_is_in_what_is_exported(fails: bool) -> None:
    collected = Collected(settings={"hosts": Hosts.at("https://acme.example/api")})
    asked: list[str] = []

    async def echoes(request: httpx.Request) -> httpx.Response:
        words = f"{request.url} {request.content.decode()}"
        asked.append(words)
        if fails and len(asked) % 3 == 1:
            raise httpx.ReadError(words)
        if fails and len(asked) % 3 == 2:
            return httpx.Response(200, json={"meta": {"status": 307, "message": words}})
        result = {"waybill": CANARY, "reference_number": "R-1", "address": words}
        meta = {"status": 200, "message": words}
        return httpx.Response(200, json={"meta": meta, "result": result}, headers={"x": CANARY})

    @virtual_time
    async def main() -> None:
        async with ClickPost(
            "acme",
            CANARY,
            base_url="https://acme.example/api",
            transport=httpx.MockTransport(echoes),
            observers=[collected.observer],
        ) as clickpost:
            with contextlib.suppress(ClickPostError):
                await clickpost.orders.create(india_order("R-1"))
            with contextlib.suppress(ClickPostError):
                await clickpost.tracking.track(["W-1"], courier_partner=4)

    main()
    # They did travel.
    assert leaks(asked[0])
    assert any("Banyan" in words for words in asked)
    texts = collected.texts()
    assert len(texts) >= 5
    assert [text for text in texts if leaks(text)] == []
    assert [text for text in texts for word in (*PERSONAL, "?") if word in text] == []


def test_scanner_finds_what_is_planted() -> None:
    collected = Collected()
    collected.observer(
        CallFinished(outcome=None, attempts=0, seconds=0, call=1, endpoint=f"GET /{CANARY}")
    )
    assert [leaks(text) for text in collected.texts()] == [True, True]


@virtual_time
async def test_reference_number_no_exporter_can_write_is_made_one_it_can() -> None:
    collected = Collected()
    async with playing([placed()], observers=[collected.observer]) as clickpost:
        for reference in ("R-\ud800", "R" * 5000):
            with pytest.raises(ClickPostError):
                await clickpost.orders.create(india_order(reference))
    assert [(span.attributes or {})["clickpost.reference_number"] for span in collected.spans] == [
        "R-?",
        "R" * 100,
    ]


# --- what may go wrong --------------------------------------------------------------------------


class FailingExporter(SpanExporter):
    def __init__(self) -> None:
        self.asked = 0

    def export(self, spans: Any) -> Any:
        self.asked += 1
        message = "this is meant"
        raise OSError(message)


class FailingProcessor(SpanProcessor):
    def __init__(self) -> None:
        self.asked = 0

    def on_start(self, span: Span, parent_context: Any = None) -> None:
        self.asked += 1
        message = "this is meant"
        raise OSError(message)


class FailingAtTheEnd(SpanProcessor):
    def __init__(self) -> None:
        self.asked = 0

    def on_end(self, span: ReadableSpan) -> None:
        self.asked += 1
        message = "this is meant"
        raise OSError(message)


@pytest.mark.parametrize("kind", [FailingExporter, FailingProcessor, FailingAtTheEnd])
def test_exporter_that_fails_breaks_no_call(kind: Any) -> None:
    failing = kind()
    provider = TracerProvider()
    provider.add_span_processor(
        SimpleSpanProcessor(failing) if isinstance(failing, SpanExporter) else failing
    )

    @virtual_time
    async def main() -> list[str | None]:
        play = Play([httpx.ReadError(""), placed()])
        observer = OpenTelemetry(tracer_provider=provider)
        async with playing(play, observers=[observer]) as clickpost:
            orders = [india_order(f"R-{number}") for number in range(3)]
            return [(await clickpost.orders.create(order)).waybill for order in orders]

    assert main() == ["W-1"] * 3
    assert failing.asked >= 3


@virtual_time
async def test_without_an_sdk_nothing_is_collected_and_nothing_breaks() -> None:
    async with playing([placed()], observers=[OpenTelemetry()]) as clickpost:
        assert (await clickpost.orders.create(india_order("R-1"))).waybill == "W-1"


def test_calls_that_never_end_are_given_up_before_they_become_many() -> None:
    collected = Collected()
    for number in range(1000):
        collected.observer(AttemptStarted(attempt=1, **{**MADE, "call": number}))

    # So many are kept, and the others have ended: each a call with an attempt.
    assert len(collected.spans) == 2 * (1000 - 100)
    assert {failure(span) for span in collected.spans} == {"_OTHER"}
    for number in range(1000):
        collected.observer(
            CallFinished(outcome=None, attempts=1, seconds=0, **{**MADE, "call": number})
        )
    assert len(collected.named(CREATING)) == 1000
    # A call that was dropped is forgotten: only its end is exported.
    assert len(collected.named(CREATE)) == 1000 + 900


@pytest.mark.parametrize(
    "event",
    [
        AttemptSucceeded(attempt=1, status=200, http_status=200, seconds=0, **MADE),
        RateLimitPaused(seconds=1, **MADE),
        RetryScheduled(attempt=1, wait=1, **MADE),
    ],
)
def test_event_of_an_unknown_call_opens_no_span(event: Event) -> None:
    collected = Collected()
    collected.observer(event)
    assert collected.spans == []


def test_missing_opentelemetry_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__
    room = "clickpost_async.integrations.opentelemetry"

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith("opentelemetry"):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.delitem(sys.modules, room)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"pip install 'clickpost_async\[opentelemetry\]'"):
        importlib.import_module(room)
