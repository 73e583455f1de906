"""Spans and metrics of every call: `pip install 'clickpost_async[opentelemetry]'`.

    clickpost = ClickPost(observers=[OpenTelemetry()])

Each call has a span of kind INTERNAL (`orders.create_india`), a child of the span that is current
where it is made, with a child of kind CLIENT for each attempt (`POST /v3/create-order/`), by
OpenTelemetry's conventions for HTTP clients. The look-up of an order whose create got no response
has the same spans. The call's span begins with the first attempt, and `clickpost.waited` is how
many seconds it waited before; an attempt's span ends when its response has been read.

    http.client.request.duration           s           attempts, by method, template, server, status
    clickpost.client.call.duration         s           calls, by endpoint and outcome
    clickpost.client.call.wait             s           waits before the first attempt, by endpoint
    clickpost.client.pause                 s           pauses that a call imposed on all calls
    clickpost.client.retries               {retry}     retries; without `error.type`: order pending
    clickpost.client.suspicious_responses  {response}  inconsistent responses, by endpoint

`clickpost.outcome` is `succeeded`, `not_sent`, `rejected` or `unknown`. `error.type` is the class
of the error, such as `clickpost_async.errors.NoReplyError`, or `cancelled` if the caller or a
deadline ended the call, or `_OTHER` if its end was not observed. Error messages are not exported,
nor is `url.full`: the query contains the key.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from importlib import metadata
from typing import TypeVar
from urllib.parse import urlsplit

from attrs import define, frozen

from clickpost_async._codec.endpoint import Get, Post
from clickpost_async._http.adapter import DEFAULT_PORTS
from clickpost_async._util.extras import require
from clickpost_async.client import _HEALTH
from clickpost_async.endpoints import CATALOG
from clickpost_async.errors import ClickPostError
from clickpost_async.events import (
    AttemptFailed,
    AttemptStarted,
    AttemptSucceeded,
    CallFinished,
    Event,
    RateLimitPaused,
    RetryScheduled,
    SuspiciousResponse,
)
from clickpost_async.settings import Host, Hosts
from clickpost_async.structures import ResponseModel

with require("spans and metrics need opentelemetry-api", "clickpost_async[opentelemetry]"):
    from opentelemetry.context import Context
    from opentelemetry.metrics import Histogram, MeterProvider, get_meter
    from opentelemetry.trace import (
        Span,
        SpanKind,
        StatusCode,
        TracerProvider,
        get_tracer,
        set_span_in_context,
    )

T = TypeVar("T")

# The release of the conventions that the names below were taken from.
_SCHEMA = "https://opentelemetry.io/schemas/1.44.0"

# As the conventions advise.
_REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
# A courier takes some ten seconds; a settle delay takes half a minute and longer.
_CALL_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 90, 120, 300, 600)

_CANCELLED = "cancelled"
_OTHER = "_OTHER"

# A task has one call in flight, or two during a look-up; tasks may share a context.
_MAX_CALLS = 100


class OpenTelemetry:
    """An observer that records spans and metrics; any number of clients may share one.

    Args:
        tracer_provider: Where spans go; `None` is the global provider.
        meter_provider: Where metrics go; `None` is the global provider.
        hosts: The base URLs of the client; `None` is `Hosts()`.
        endpoints: Endpoints that you declared with a name or a host of their own; others are
            identified by their label.

    """

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        hosts: Hosts | None = None,
        endpoints: Iterable[Get[ResponseModel] | Post[ResponseModel]] = (),
    ) -> None:
        hosts = Hosts() if hosts is None else hosts
        self._servers = {host: _server(hosts.base(host)) for host in Host}
        self._requests_by_label = {
            endpoint.label: _request(endpoint.method, endpoint.path, self._servers[endpoint.host])
            for endpoint in (*CATALOG.values(), _HEALTH, *endpoints)
        }
        name, version = "clickpost_async", _version()
        self._tracer = get_tracer(name, version, tracer_provider, _SCHEMA)
        meter = get_meter(name, version or "", meter_provider, _SCHEMA)

        def histogram(
            name: str, description: str, buckets: Sequence[float] = _CALL_BUCKETS
        ) -> Histogram:
            return meter.create_histogram(
                name, "s", description, explicit_bucket_boundaries_advisory=buckets
            )

        self._attempts = histogram(
            "http.client.request.duration", "Duration of HTTP client requests.", _REQUEST_BUCKETS
        )
        self._calls = histogram(
            "clickpost.client.call.duration", "Calls, with all their waiting, attempts and pauses."
        )
        self._waits = histogram(
            "clickpost.client.call.wait", "How long calls waited before their first attempt."
        )
        self._pauses = histogram(
            "clickpost.client.pause", "Pauses of all calls after HTTP 429 or too many failures."
        )
        self._suspicious = meter.create_counter(
            "clickpost.client.suspicious_responses", "{response}", "Inconsistent responses."
        )
        self._retries = meter.create_counter(
            "clickpost.client.retries", "{retry}", "Retries of calls."
        )

    def __call__(self, event: Event) -> None:
        """Record spans and metrics for an event."""
        match event:
            case AttemptStarted():
                self._start(event)
            case AttemptSucceeded():
                if call := self._find_call(event):
                    call.error = None
                    self._close(call, http_status=event.http_status, status=event.status)
            case AttemptFailed(error=error):
                if call := self._find_call(event):
                    call.error = _type_of(error)
                    self._close(call, call.error, error.http_status, error.status)
            case RateLimitPaused():
                self._pauses.record(event.seconds, self._reason(event))
            case RetryScheduled():
                self._retries.add(1, self._reason(event))
            case SuspiciousResponse():
                self._suspicious.add(1, {"clickpost.endpoint": event.endpoint})
            case CallFinished():
                self._end(event)

    def _find_call(self, event: Event) -> "_Call | None":
        # Clients that share an observer number their calls separately: take the innermost call.
        for call in reversed(_IN_FLIGHT.get()):
            if call.observer is self and call.number == event.call:
                return call
        return None

    def _reason(self, event: Event) -> dict[str, str]:
        call = self._find_call(event)
        error = None if call is None else call.error
        return {"clickpost.endpoint": event.endpoint, **_known_value({"error.type": error})}

    # --- spans ----------------------------------------------------------------------------------

    def _start(self, event: AttemptStarted) -> None:
        call = (self._find_call(event) if event.attempt > 1 else None) or self._begin_call(event)
        about = self._request(event.endpoint)
        again = {"http.request.resend_count": event.attempt - 1} if event.attempt > 1 else {}
        span = self._tracer.start_span(
            _name_of(about),
            set_span_in_context(call.span),
            SpanKind.CLIENT,
            {**about, **again},
        )
        call.attempt = _Attempt(span, time.perf_counter(), about)

    def _begin_call(self, event: AttemptStarted) -> "_Call":
        call = _Call(self, event.call, self._call_span(event), time.perf_counter())
        calls = (*_IN_FLIGHT.get(), call)
        for lost in calls[:-_MAX_CALLS]:
            lost.give_up()
        _IN_FLIGHT.set(calls[-_MAX_CALLS:])
        return call

    def _call_span(
        self, event: AttemptStarted | CallFinished, start_time: int | None = None
    ) -> Span:
        about = _known_value(
            {
                "clickpost.endpoint": event.endpoint,
                "clickpost.reference_number": _exportable(event.reference_number),
            }
        )
        return self._tracer.start_span(
            event.endpoint, self._parent(), SpanKind.INTERNAL, about, start_time=start_time
        )

    def _parent(self) -> Context | None:
        outer = [call.span for call in _IN_FLIGHT.get() if call.observer is self]
        return set_span_in_context(outer[-1]) if outer else None

    def _close(
        self,
        call: "_Call",
        error: str | None = None,
        http_status: int | None = None,
        status: int | None = None,
    ) -> None:
        attempt, call.attempt = call.attempt, None
        if attempt is None:
            return
        received = _known_value({"http.response.status_code": http_status})
        attempt.span.set_attributes({**received, **_known_value({"clickpost.status_code": status})})
        _end_with(attempt.span, error)
        about = {**attempt.about, **received, **_known_value({"error.type": error})}
        self._attempts.record(time.perf_counter() - attempt.began, about)

    def _end(self, event: CallFinished) -> None:
        outcome = "succeeded" if event.outcome is None else event.outcome.name.lower()
        error = _type_of(event.error) if event.error else _CANCELLED if event.outcome else None
        endpoint = {"clickpost.endpoint": event.endpoint}
        if call := self._find_call(event):
            _IN_FLIGHT.set(tuple(other for other in _IN_FLIGHT.get() if other is not call))
            self._close(call, _CANCELLED)
            span = call.span
            waited = max(0.0, event.seconds - (time.perf_counter() - call.began))
            span.set_attribute("clickpost.waited", waited)
            self._waits.record(waited, endpoint)
        else:
            # No attempt: invalid request, shared response, or its wait ended with an error.
            span = self._call_span(event, time.time_ns() - int(event.seconds * 1e9))
        status = None if event.error is None else event.error.status
        span.set_attributes(
            {
                "clickpost.attempts": event.attempts,
                "clickpost.outcome": outcome,
                **_known_value({"clickpost.status_code": status}),
            }
        )
        _end_with(span, error)
        about = {**endpoint, "clickpost.outcome": outcome, **_known_value({"error.type": error})}
        self._calls.record(event.seconds, about)

    # --- attributes of an endpoint --------------------------------------------------------------

    def _request(self, label: str) -> Mapping[str, str | int]:
        about = self._requests_by_label.get(label)
        if about is None:
            # Not stored: the number of labels is not bounded.
            method, _, path = label.partition(" ")
            known = method in ("GET", "POST") and path.startswith("/")
            about = _request(
                method if known else _OTHER, path if known else None, self._servers[Host.MAIN]
            )
        return about


@frozen
class _Attempt:
    span: Span
    began: float
    about: Mapping[str, str | int]


@define(eq=False)
class _Call:
    observer: OpenTelemetry
    number: int
    span: Span
    began: float
    attempt: _Attempt | None = None
    error: str | None = None

    def give_up(self) -> None:
        if self.attempt is not None:
            _end_with(self.attempt.span, _OTHER)
        _end_with(self.span, _OTHER)


# Events are emitted in the caller's task: a call without a last event is dropped with the task's
# context, and calls of several clients are not mixed up.
_IN_FLIGHT: ContextVar[tuple[_Call, ...]] = ContextVar("clickpost_async.opentelemetry", default=())


def _request(
    method: str, path: str | None, server: Mapping[str, str | int]
) -> Mapping[str, str | int]:
    return {"http.request.method": method, **_known_value({"url.template": path}), **server}


def _server(base: str) -> Mapping[str, str | int]:
    parts = urlsplit(base)
    port = parts.port or DEFAULT_PORTS[parts.scheme]
    return {"server.address": parts.hostname or "", "server.port": port}


def _name_of(about: Mapping[str, str | int]) -> str:
    template = about.get("url.template")
    return "HTTP" if template is None else f"{about['http.request.method']} {template}"


def _type_of(error: ClickPostError) -> str:
    kind = type(error)
    return f"{kind.__module__}.{kind.__qualname__}"


def _end_with(span: Span, error: str | None) -> None:
    if error is not None:
        span.set_attribute("error.type", error)
        span.set_status(StatusCode.ERROR)
    span.end()


def _exportable(reference: str | None) -> str | None:
    # An invalid reference number may contain unpaired surrogates, and an exporter that cannot
    # encode one attribute loses its whole batch.
    return None if reference is None else reference[:100].encode(errors="replace").decode()


def _known_value(about: Mapping[str, T | None]) -> dict[str, T]:
    return {name: value for name, value in about.items() if value is not None}


def _version() -> str | None:
    try:
        return metadata.version("clickpost_async")
    except metadata.PackageNotFoundError:
        # Imported from a checkout that is not installed.
        return None
