"""Trace calls with one tool, and print everything that it exports, for each transport.

`python -m tests.environments.canary TOOL [MODULE]` prints a JSON object. MODULE has the lines with
which a page of the documentation configures the tool. `CLICKPOST_BASE_URL` and `CLICKPOST_API_KEY`
say where to call. Each tool has a process of its own, for they patch libraries, and nothing leaves
it: what is exported is kept.
"""

import argparse
import asyncio
import contextlib
import importlib
import json
import logging
import os
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import httpx2
from httpx_aiohttp import AiohttpTransport

from clickpost_async import ClickPost, ClickPostError, RetryPolicy
from tests.test_personal_data import order

Texts = list[str]


class Tool:
    """A tool that is installed in this process: watches calls, and keeps what it would export."""

    def __init__(self) -> None:
        self.exported: Texts = []

    def watch(self) -> AbstractContextManager[object]:
        """Watch what is done in the block as one transaction, request or recording."""
        return contextlib.nullcontext()

    def report(self, error: Exception) -> None:
        """Report an error that is being handled, as an application would."""

    def flush(self) -> Texts:
        """Return what was exported since the last time."""
        exported, self.exported = self.exported, []
        return exported


class Sentry(Tool):
    def __init__(self, module: str | None) -> None:
        super().__init__()
        import sentry_sdk
        from sentry_sdk.envelope import Envelope
        from sentry_sdk.transport import Transport

        exported = self.exported

        class Sink(Transport):
            def capture_envelope(self, envelope: Envelope) -> None:
                exported.append(envelope.serialize().decode())

        configure = sentry_sdk.init

        def init(**settings: Any) -> None:
            configure(
                dsn="http://public@127.0.0.1:9/1",
                transport=Sink,
                traces_sample_rate=1.0,
                enable_logs=True,
                **settings,
            )

        if module is None:
            init()
        else:
            sentry_sdk.init = init
            importlib.import_module(module)
        self._sentry = sentry_sdk

    def watch(self) -> AbstractContextManager[object]:
        return self._sentry.start_transaction(name="canary")

    def report(self, error: Exception) -> None:
        self._sentry.capture_exception(error)

    def flush(self) -> Texts:
        self._sentry.flush()
        exported = list(self.exported)
        self.exported.clear()
        return exported


class OpenTelemetry(Tool):
    def __init__(self, module: str | None) -> None:
        super().__init__()
        from opentelemetry import trace
        from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
        from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        self._memory = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self._memory))
        trace.set_tracer_provider(provider)
        self._tracer = trace.get_tracer("canary")
        self._trace = trace
        if module is None:
            HTTPXClientInstrumentor().instrument()
            AioHttpClientInstrumentor().instrument()
        else:
            importlib.import_module(module)

    def watch(self) -> AbstractContextManager[object]:
        return self._tracer.start_as_current_span("canary")

    def report(self, error: Exception) -> None:
        self._trace.get_current_span().record_exception(error)

    def flush(self) -> Texts:
        spans = self._memory.get_finished_spans()
        self._memory.clear()
        return [span.to_json() for span in spans]


class Logfire(Tool):
    def __init__(self, module: str | None) -> None:
        super().__init__()
        import logfire
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        self._memory = InMemorySpanExporter()
        logfire.configure(
            send_to_logfire=False,
            console=False,
            inspect_arguments=False,
            additional_span_processors=[SimpleSpanProcessor(self._memory)],
        )
        self._logfire = logfire
        if module is None:
            logfire.instrument_httpx()
            logfire.instrument_aiohttp_client()
        else:
            importlib.import_module(module)

    def watch(self) -> AbstractContextManager[object]:
        return self._logfire.span("canary")

    def report(self, error: Exception) -> None:
        self._logfire.exception("it failed")

    def flush(self) -> Texts:
        spans = self._memory.get_finished_spans()
        self._memory.clear()
        return [span.to_json() for span in spans]


class ElasticAPM(Tool):
    def __init__(self, module: str | None) -> None:
        super().__init__()
        import elasticapm
        from elasticapm.conf import Config
        from elasticapm.transport.base import Transport

        exported = self.exported

        class Sink(Transport):
            def queue(self, event_type: str, data: Any, flush: bool = False) -> None:
                exported.append(json.dumps(self._process_event(event_type, data), default=str))

            def start_thread(self, pid: int | None = None) -> None: ...
            def stop_thread(self) -> None: ...
            def close(self) -> None: ...

        sys.modules[__name__].ElasticSink = Sink  # type: ignore[attr-defined]
        processors = [] if module is None else [f"{module}.remove_query"]
        self._client = elasticapm.Client(
            service_name="canary",
            transport_class=f"{__name__}.ElasticSink",
            processors=[*Config().processors, *processors],
            cloud_provider=False,
            central_config=False,
            metrics_interval="0s",
            transaction_sample_rate=1.0,
            span_compression_enabled=False,
        )
        elasticapm.instrument()

    @contextmanager
    def watch(self) -> Iterator[None]:
        self._client.begin_transaction("canary")
        try:
            yield
        finally:
            self._client.end_transaction("canary", "done")

    def report(self, error: Exception) -> None:
        self._client.capture_exception(exc_info=(type(error), error, error.__traceback__))

    def flush(self) -> Texts:
        exported = list(self.exported)
        self.exported.clear()
        return exported


class Datadog(Tool):
    def __init__(self, module: str | None) -> None:
        super().__init__()
        import ddtrace
        from ddtrace.trace import TraceFilter, tracer

        exported = self.exported

        class Sink(TraceFilter):
            def process_trace(self, trace: Any) -> None:
                for span in trace:
                    facts = [span.name, span.resource, span.get_tags(), span.get_metrics()]
                    exported.append(json.dumps(facts, default=str))

        tracer.configure(trace_processors=[Sink()])
        ddtrace.patch(httpx=True, aiohttp=True, logging=True)
        self._tracer = tracer

    def watch(self) -> AbstractContextManager[object]:
        return self._tracer.trace("canary")

    def report(self, error: Exception) -> None:
        span = self._tracer.current_span()
        assert span is not None
        span.set_exc_info(type(error), error, error.__traceback__)

    def flush(self) -> Texts:
        exported = list(self.exported)
        self.exported.clear()
        return exported


class Vcr(Tool):
    def __init__(self, module: str | None) -> None:
        super().__init__()
        import vcr

        recorder = vcr.VCR() if module is None else importlib.import_module(module).recorder
        self._recorder = recorder

    @contextmanager
    def watch(self) -> Iterator[None]:
        with tempfile.TemporaryDirectory() as folder:
            cassette = Path(folder) / "cassette.yaml"
            with self._recorder.use_cassette(str(cassette), record_mode="all"):
                yield
            if cassette.exists():
                self.exported.append(cassette.read_text("utf-8"))


TOOLS: Mapping[str, Callable[[str | None], Tool]] = {
    "sentry": Sentry,
    "opentelemetry": OpenTelemetry,
    "logfire": Logfire,
    "elastic-apm": ElasticAPM,
    "ddtrace": Datadog,
    "vcrpy": Vcr,
}


# --- what is watched --------------------------------------------------------------------------


def _transports() -> Mapping[str, Callable[[], Any]]:
    return {
        "default": lambda: None,
        "httpx": lambda: httpx.AsyncHTTPTransport(trust_env=False),
        "httptools": lambda: "httptools",
        "httpx2": lambda: httpx2.AsyncHTTPTransport(trust_env=False),
        "httpx-aiohttp": lambda: AiohttpTransport(trust_env=False),
    }


TRANSPORTS = tuple(_transports())
CONTROLS = ("a plain httpx client", "a plain aiohttp client")


class _Log(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.texts: Texts = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(f"{record.name}: {record.getMessage()} {record.args!r}")


@contextmanager
def _listening() -> Iterator[Texts]:
    log = _Log()
    root = logging.getLogger()
    root.addHandler(log)
    root.setLevel(logging.DEBUG)
    try:
        yield log.texts
    finally:
        root.removeHandler(log)


class _Key:
    """The key, out of sight: the variables of this file are not what is looked at."""

    def __call__(self) -> str:
        return os.environ["CLICKPOST_API_KEY"]


class _WrongKey(_Key):
    def __call__(self) -> str:
        return f"{super().__call__()}-wrong"


async def use(tool: Tool, name: str, transport: Callable[[], Any]) -> None:
    """Make calls that succeed, that are refused, that get no response and that cannot be made."""
    url = os.environ["CLICKPOST_BASE_URL"]
    for at, key, make in (
        (url, _Key(), lambda: order(f"R-PLACED-{name}")),
        (url, _Key(), lambda: order(f"R-COURIER-REFUSES-{name}")),
        (url, _Key(), lambda: order(f"R-LOST-{name}")),
        (url, _Key(), lambda: order(f"R-WRONG-{name}", drop_info__drop_pincode="no pincode")),
        (url, _Key(), lambda: order(f"R-NEITHER-{name}") | {"pickup_info": {}}),
        (url, _WrongKey(), lambda: order(f"R-NOT-ALLOWED-{name}")),
        (f"http://127.0.0.1:{_closed_port()}/api", _Key(), lambda: order(f"R-NOT-SENT-{name}")),
    ):
        async with ClickPost(
            "sandbox",
            key,
            base_url=at,
            transport=transport(),
            retry=RetryPolicy.never(),
        ) as clickpost:
            try:
                await clickpost.orders.create(make())
            except ClickPostError as error:
                tool.report(error)
            with contextlib.suppress(ClickPostError):
                await clickpost.health()


def _closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


async def leak(control: str) -> None:
    """Call with the key in the query, without protection."""
    url = f"{os.environ['CLICKPOST_BASE_URL']}/v3/create-order/"
    params = {"username": "sandbox", "key": _Key()()}
    if "httpx" in control:
        async with httpx.AsyncClient(trust_env=False) as client:
            await client.post(url, params=params, json=order("R-1"))
    else:
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, params=params, json=order("R-1")) as response,
        ):
            await response.read()


def fail(tool: Tool) -> None:
    """Fail with an order at hand, as a careless application does."""
    try:
        _fail(order("R-1"))
    except LookupError as error:
        tool.report(error)


def _fail(careless: object) -> None:
    raise LookupError


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("tool", choices=TOOLS)
    parser.add_argument("module", nargs="?")
    given = parser.parse_args()
    tool = TOOLS[given.tool](given.module)
    found: dict[str, dict[str, Texts]] = {}
    for name, transport in _transports().items():
        with _listening() as log:
            with tool.watch():
                asyncio.run(use(tool, name, transport))
            found[name] = {"exported": tool.flush(), "log": log}
    for control in CONTROLS:
        with tool.watch():
            asyncio.run(leak(control))
            fail(tool)
        found[control] = {"exported": tool.flush(), "log": []}
    print(json.dumps(found))  # noqa: T201 - what it was started for


if __name__ == "__main__":
    main()
