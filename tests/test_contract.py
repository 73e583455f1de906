"""Every endpoint against golden samples: the request, and the response.

A sample is `tests/samples/<namespace>/<method>--<what>.json`, and belongs to the declaration that
`CATALOG` holds under `<namespace>.<method>`.
"""

import copy
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import attrs
import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clickpost_async import (
    BodyStyle,
    ClickPost,
    ClickPostError,
    Hosts,
    RetryPolicy,
    structure,
    unstructure,
)
from clickpost_async._codec.messages import APIResponse
from clickpost_async._codec.request import encode
from clickpost_async._codec.response import decode
from clickpost_async.endpoints import CATALOG
from clickpost_async.structures import ResponseModel
from clickpost_async.testing import reset

_KEY = "not-a-real-key"
_FOLDER = Path(__file__).parent / "samples"

# ClickPost documents no error of these, nor a code table.
_WITHOUT_DOCUMENTED_ERRORS = frozenset(
    {
        "account.audit_log",
        "orders.daily_counts",
        "orders.updated",
        "tracking.security_key",
        "tracking.track",
    }
)


@attrs.frozen
class Sample:
    """One call and its response."""

    name: str
    recorded: Mapping[str, Any]

    @property
    def endpoint(self) -> Any:
        return CATALOG[self.name.partition("--")[0]]

    @property
    def body(self) -> bytes:
        """The response's bytes; a text is a response that is not JSON."""
        body = self.recorded["response"]["body"]
        return body.encode() if isinstance(body, str) else json.dumps(body).encode()


def _samples() -> list[Sample]:
    return [
        Sample(f"{path.parent.name}.{path.stem}", json.loads(path.read_text("utf-8")))
        for path in sorted(_FOLDER.glob("*/*.json"))
    ]


SAMPLES = [sample for sample in _samples() if sample.name.partition("--")[0] in CATALOG]
SENT = [sample for sample in SAMPLES if sample.recorded["request"] is not None]

samples = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
sent_samples = pytest.mark.parametrize("sample", SENT, ids=lambda sample: sample.name)


def test_every_sample_belongs_to_a_declaration() -> None:
    strays = [sample.name for sample in _samples() if sample not in SAMPLES]

    assert strays == [], "these samples belong to no declaration in CATALOG"


@pytest.mark.parametrize("name", sorted(CATALOG))
def test_every_endpoint_has_a_sample_of_success(name: str) -> None:
    mine = [sample for sample in SAMPLES if sample.name.partition("--")[0] == name]
    namespace, method = name.split(".")

    assert any("expect" in sample.recorded for sample in mine), (
        f"{name} has no sample of a success; add tests/samples/{namespace}/{method}--<what>.json"
        ' with "expect"'
    )


@pytest.mark.parametrize("name", sorted(CATALOG.keys() - _WITHOUT_DOCUMENTED_ERRORS))
def test_every_endpoint_with_documented_errors_has_a_sample_of_one(name: str) -> None:
    mine = [sample for sample in SAMPLES if sample.name.partition("--")[0] == name]
    namespace, method = name.split(".")

    assert any("raises" in sample.recorded for sample in mine), (
        f"{name} has no sample of an error; add tests/samples/{namespace}/{method}--<what>.json"
        ' with "raises"'
    )


@pytest.mark.parametrize("name", sorted(CATALOG))
def test_endpoint_declaration_is_complete(name: str) -> None:
    endpoint = CATALOG[name]

    assert endpoint.name == name
    assert issubclass(endpoint.returns, ResponseModel)
    assert endpoint.accepts
    assert not endpoint.accepts & endpoint.means.keys()
    assert (endpoint.takes is not None) <= (endpoint.method == "POST")


# --- both directions ----------------------------------------------------------------------------


async def called(sample: Sample, **more: Any) -> tuple[Any, list[httpx.Request]]:
    """Make a sample's call; returns the response or the error, and the requests."""
    requests: list[httpx.Request] = []

    def respond(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(sample.recorded["response"]["http_status"], content=sample.body)

    async with ClickPost(
        "acme",
        _KEY,
        retry=RetryPolicy.never(),
        transport=httpx.MockTransport(respond),
        **more,
    ) as clickpost:
        namespace, method = sample.recorded["call"].split(".")
        coroutine: Callable[..., Any] = getattr(getattr(clickpost, namespace), method)
        args = _timed(sample.recorded.get("args", []))
        kwargs = _timed(sample.recorded.get("kwargs", {}))
        try:
            return await coroutine(*args, **kwargs), requests
        except ClickPostError as error:
            return error, requests


def _timed(recorded: Any) -> Any:
    """Read `{"$datetime": …}` and `{"$date": …}`, wherever they are."""
    if isinstance(recorded, list):
        return [_timed(member) for member in recorded]
    if isinstance(recorded, dict):
        if recorded.keys() == {"$datetime"}:
            return datetime.fromisoformat(recorded["$datetime"])
        if recorded.keys() == {"$date"}:
            return date.fromisoformat(recorded["$date"])
        return {key: _timed(value) for key, value in recorded.items()}
    return recorded


@sent_samples
@pytest.mark.asyncio
async def test_documented_request_is_sent(sample: Sample) -> None:
    sent = sample.recorded["request"]

    _, requests = await called(sample)

    (request,) = requests
    query = parse_qsl(
        request.url.query.decode(), keep_blank_values=True, strict_parsing=bool(sent["query"])
    )
    assert request.method == sent["method"] == sample.endpoint.method
    assert request.url.path == sent["path"]
    assert str(request.url).startswith(
        f"{Hosts().base(sample.endpoint.host)}{sample.endpoint.path}"
    )
    assert dict(query) == sent["query"]
    assert len(query) == len(sent["query"])
    if sent["body"] is None:
        assert request.content == b""
        assert "content-type" not in request.headers
    else:
        assert json.loads(request.content) == sent["body"]
        assert request.content == _compact(json.loads(request.content))
        assert request.headers["content-type"] == "application/json"


def _compact(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


@samples
@pytest.mark.asyncio
async def test_documented_response_is_returned(sample: Sample) -> None:
    result, requests = await called(sample)

    assert len(requests) == (sample.recorded["request"] is not None)
    if "raises" in sample.recorded:
        _check_error(result, sample.recorded["raises"])
        return
    assert isinstance(result, sample.endpoint.returns), result
    assert result.response.attempts == 1
    found = {path: _at(result, path) for path in sample.recorded["expect"]}
    assert found == _timed(sample.recorded["expect"])


@samples
@pytest.mark.asyncio
async def test_response_models_cover_every_documented_field(sample: Sample) -> None:
    result, _ = await called(sample)

    assert isinstance(result, ClickPostError) or dict(_left_over(result)) == {}


def _left_over(part: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield what a response has no field for, at any depth."""
    if isinstance(part, ResponseModel):
        yield from ((f"{path}.{name}", value) for name, value in part.extra.items())
        for attribute in attrs.fields(type(part)):
            yield from _left_over(getattr(part, attribute.name), f"{path}.{attribute.name}")
    elif isinstance(part, Mapping | tuple):
        members = part.items() if isinstance(part, Mapping) else enumerate(part)
        for name, member in members:
            yield from _left_over(member, f"{path}.{name}")


def _check_error(error: Any, raises: Mapping[str, Any]) -> None:
    assert isinstance(error, ClickPostError), error
    recorded = {"kind": type(error).__name__} | {
        name: error.outcome.value if name == "outcome" else getattr(error, name)
        for name in raises
        if name != "kind"
    }
    assert recorded == raises
    assert _KEY not in str(error) + repr(error)


def _at(value: Any, path: str) -> Any:
    """Follow a dotted path through attributes, keys and positions; `len` is a length."""
    if path == "len":
        return len(value)
    for part in path.split("."):
        if isinstance(value, Mapping):
            value = value[part]
        elif part.isdigit():
            value = value[int(part)]
        elif part == "len" and not hasattr(value, "len"):
            value = len(value)
        else:
            value = getattr(value, part)
    return _plain(value)


def _plain(value: Any) -> Any:
    return [_plain(member) for member in value] if isinstance(value, tuple) else value


@pytest.mark.parametrize(
    "sample",
    [
        sample
        for sample in SENT
        if isinstance(sample.endpoint.takes, type)
        and sample.recorded.get("args")
        and isinstance(sample.recorded["args"][0], dict)
    ],
    ids=lambda sample: sample.name,
)
def test_request_survives_the_round_trip_and_is_sent_alike(sample: Sample) -> None:
    payload, endpoint = sample.recorded["args"][0], sample.endpoint

    read = structure(payload, endpoint.takes)

    assert unstructure(read) == payload
    assert encode(endpoint, body=read) == encode(endpoint, body=payload)


@pytest.mark.parametrize(
    "sample",
    [sample for sample in SENT if sample.name.startswith("orders.create_")],
    ids=lambda sample: sample.name,
)
@pytest.mark.asyncio
async def test_gateway_may_be_sent_the_body_as_a_string(sample: Sample) -> None:
    result, (request,) = await called(sample, body_style=BodyStyle.RAW_BODY)

    (name, text), *others = json.loads(request.content).items()
    assert (name, others) == ("RAW_BODY", [])
    assert json.loads(text) == sample.recorded["request"]["body"]
    assert text == _compact(json.loads(text)).decode()
    assert request.content == _compact({"RAW_BODY": text})
    reset()
    plain, _ = await called(sample)
    assert type(result) is type(plain)


# --- undocumented responses --------------------------------------------------------------------

_JUNK = st.sampled_from(
    [
        *(None, True, False, 0, -1, 1.5, 10**25, 1e300, "", "W1", "12", "true", "\ud800", [], {}),
        *([None], [[]], [{}], ["a"], {"a": None}, {"": {"a": []}}, [{"waybill": 1}, 5]),
    ]
).map(copy.deepcopy)


# All that ClickPost's pages name, and what a gateway may say.
_HTTP_STATUSES = (200, 202, 204, 301, 400, 401, 403, 404, 405, 406, 429, 500, 502, 503, 504)


@st.composite
def mutated(draw: st.DrawFn, body: Any) -> Any:
    """Change a response: keys dropped, added, nulled, retyped, anywhere inside."""
    copied = copy.deepcopy(body)
    for _ in range(draw(st.integers(1, 4))):
        copied = _changed_somewhere(draw, copied)
    return copied


def _changed_somewhere(draw: st.DrawFn, value: Any) -> Any:
    keys: Sequence[Any] = ()
    if isinstance(value, dict):
        keys = sorted(value)
    elif isinstance(value, list):
        keys = range(len(value))
    if not keys or draw(st.integers(0, 5)) == 0:
        if isinstance(value, dict) and draw(st.booleans()):
            return {**value, draw(st.text(max_size=4)): draw(_JUNK)}
        return draw(_JUNK)
    key = draw(st.sampled_from(keys))
    if draw(st.integers(0, 3)) == 0:
        del value[key]
    elif draw(st.booleans()) or not isinstance(value[key], dict | list):
        value[key] = draw(_JUNK)
    else:
        value[key] = _changed_somewhere(draw, value[key])
    return value


@samples
@given(data=st.data())
@settings(max_examples=8)
def test_mutated_response_ends_in_a_response_or_a_clickpost_error(
    sample: Sample, data: st.DataObject
) -> None:
    body = data.draw(mutated(sample.recorded["response"]["body"]))
    http_status = data.draw(
        st.sampled_from([sample.recorded["response"]["http_status"], *_HTTP_STATUSES])
    )
    response = APIResponse(http_status=http_status, body=json.dumps(body).encode())

    try:
        result = decode(sample.endpoint, response)
    except ClickPostError:
        return

    assert isinstance(result, sample.endpoint.returns)
    _use(result)


def _use(result: Any) -> None:
    """Use a response in every way that a caller could: none may raise."""
    assert repr(result).startswith(type(result).__name__)
    assert isinstance(unstructure(result), dict)
    for kind in type(result).__mro__:
        for name, member in vars(kind).items():
            if isinstance(member, property) and not name.startswith("_"):
                getattr(result, name)
    for attribute in attrs.fields(type(result)):
        part = getattr(result, attribute.name)
        members = part.values() if isinstance(part, Mapping) else part
        for member in members if isinstance(part, Mapping | tuple) else [part]:
            if isinstance(member, ResponseModel):
                _use(member)
