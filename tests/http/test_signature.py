"""The key is added as a request is written: libraries and their hooks never see it."""

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import h2.config
import h2.connection
import h2.events
import httpcore
import httpcore2
import httpx
import httpx2
import pytest
import trustme
from httpx_aiohttp import AiohttpTransport
from hypothesis import given
from hypothesis import strategies as st

from clickpost_async import Auth, ClickPost, Idempotency, Post, RetryPolicy
from clickpost_async._core.auth import Authenticator, Secret, resolve_credentials
from clickpost_async._http.httpcore_connection import HTTPCoreConnection
from clickpost_async._http.httptools_connection import HTTPToolsConnection
from clickpost_async._http.pool import ConnectionPool
from clickpost_async._http.signature import PLACEHOLDER
from clickpost_async.structures import ResponseModel
from tests.helpers.http_server import PLACED, Peer, http, serving, until
from tests.http.test_every_adapter import ADAPTERS
from tests.sandbox.samples import india_order

CANARY = "canary+4f2a/9c=e1d8"
KEYS = ["k", "plain-key-0123456789abcdef0123456789", CANARY, 'quo"te\\', "ключ & clé"]
SIGNED_AUTH = [auth for auth in Auth if auth is not Auth.NONE]
# The transports whose connections the key can be put into.
SIGNING = tuple(ADAPTERS)
TRANSPORTS = {**ADAPTERS, "httpx-aiohttp": lambda: AiohttpTransport(trust_env=False)}


def posting(auth: Auth) -> Post[ResponseModel]:
    return Post("/v9/own/", returns=ResponseModel, idempotency=Idempotency.UNSAFE, auth=auth)


# --- the bytes --------------------------------------------------------------------------------


def written(target: str, body: bytes) -> bytes:
    head = f"POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def key_in(request: bytes, auth: Auth) -> object:
    head, _, body = request.partition(b"\r\n\r\n")
    length = int(head.rpartition(b"Content-Length: ")[2])
    assert length == len(body)
    if auth is Auth.KEY_IN_BODY:
        return json.loads(body)["key"]
    return parse_qs(urlsplit(head.split(b" ")[1].decode()).query)["key"][-1]


@pytest.mark.parametrize("auth", SIGNED_AUTH)
@pytest.mark.parametrize("key", KEYS)
def test_key_is_put_into_a_request_however_it_is_cut(key: str, auth: Auth) -> None:
    target, body, signature = Authenticator(resolve_credentials("acme", key)).sign(
        "/x?q=1", b'{"a":"b"}', auth, Secret(key)
    )
    assert body is not None
    assert signature is not None
    request = written(target, body)
    assert key_in(request, auth) == PLACEHOLDER
    assert len(key) == 1 or key not in repr(signature)

    for cut in range(len(request)):
        # What has come so far is enough, or more is waited for.
        signed = signature.sign_bytes(request[:cut])
        signed = signature.sign_bytes(request) if signed is None else signed + request[cut:]
        assert signed is not None
        assert key_in(signed, auth) == key
        assert signed.count(PLACEHOLDER.encode()) == 0


LOOKALIKES = st.lists(
    st.sampled_from(["key=REDACTED", "REDACTED", " HTTP/1.1", '"', "{", "&", "\r\n\r\n", '{"key":'])
).map("".join)


@given(LOOKALIKES, LOOKALIKES)
def test_text_like_the_placeholder_is_unchanged(asked: str, value: str) -> None:
    from clickpost_async._codec.request import encode

    ring, key = Authenticator(resolve_credentials("acme", CANARY)), Secret(CANARY)
    for auth in SIGNED_AUTH:
        request = encode(posting(auth), {"q": asked}, {"text": value})
        target, body, signature = ring.sign(request.target, request.body, auth, key)
        assert body is not None
        assert signature is not None
        signed = signature.sign_bytes(written(target, body))
        assert signed is not None
        head, _, sent = signed.partition(b"\r\n\r\n")
        assert parse_qs(urlsplit(head.split(b" ")[1].decode()).query).get("q", [""])[0] == asked
        assert json.loads(sent)["text"] == value
        assert signed.count(CANARY.encode()) + signed.count(b"canary%2B4f2a%2F9c%3De1d8") == 1


def test_request_without_the_key_placeholder_is_sent_without_the_key() -> None:
    ring, key = Authenticator(resolve_credentials("acme", CANARY)), Secret(CANARY)
    for auth in SIGNED_AUTH:
        _, _, signature = ring.sign("/x", b"{}", auth, key)
        assert signature is not None
        other = written("/x?key=other", b'{"key":"other", "and": "more of it than was there"}')
        assert signature.sign_bytes(other) == other


# --- what hooks see ---------------------------------------------------------------------------

Handler = Callable[..., Awaitable[Any]]
HOOKED: dict[str, list[tuple[Any, str]]] = {
    "default": [(httpcore.AsyncHTTPConnection, "handle_async_request")],
    "httpx": [
        (httpx.AsyncHTTPTransport, "handle_async_request"),
        (httpcore.AsyncConnectionPool, "handle_async_request"),
        (httpcore.AsyncHTTPConnection, "handle_async_request"),
    ],
    "httpx2": [
        (httpx2.AsyncHTTPTransport, "handle_async_request"),
        (httpcore2.AsyncConnectionPool, "handle_async_request"),
        (httpcore2.AsyncHTTPConnection, "handle_async_request"),
    ],
    "httptools": [(HTTPToolsConnection, "send")],
    "httpx-aiohttp": [(aiohttp.ClientSession, "_request")],
}


def hook(monkeypatch: pytest.MonkeyPatch, wire: str) -> list[str]:
    """Do what tracers do: note what a library is given, before and after it has done its work."""
    seen: list[str] = []

    def note(arguments: tuple[Any, ...]) -> None:
        for one in arguments:
            seen.append(str(one))
            for name in ("url", "headers", "extensions", "stream"):
                found = getattr(one, name, None)
                seen.append(f"{found!r} {found}" + repr(getattr(found, "__dict__", "")))
                if name == "url" and hasattr(found, "target"):
                    seen.append(repr(found.target))

    for owner, name in HOOKED[wire]:
        original: Handler = getattr(owner, name)

        async def hooked(*arguments: Any, original: Handler = original, **more: Any) -> Any:
            note(arguments[1:])
            try:
                return await original(*arguments, **more)
            finally:
                note(arguments[1:])

        monkeypatch.setattr(owner, name, hooked)
    return seen


def client(wire: str, url: str, key: Any = CANARY, **settings: Any) -> ClickPost:
    settings = {"retry": RetryPolicy.never(), "transport": TRANSPORTS[wire]()} | settings
    return ClickPost("acme", key, base_url=url, **settings)


def has_canary(text: str) -> bool:
    return any(part in text for part in (CANARY, "canary%2B4f2a%2F9c%3De1d8"))


async def asked_of_server(
    wire: str, auth: Auth, talk: Callable[[Peer], Awaitable[None]] | None = None
) -> list[bytes]:
    calls: list[bytes] = []

    async def respond(peer: Peer) -> None:
        calls.append(await peer.read())
        await peer.send(http(PLACED))
        await peer.until_gone()

    async with serving(talk or respond) as server, client(wire, server.url) as clickpost:
        if talk is None:
            await clickpost.post(posting(auth), {"a": "b"})
        else:
            await asyncio.gather(clickpost.post(posting(auth), {"a": "b"}), return_exceptions=True)
    return calls


@pytest.mark.parametrize("wire", SIGNING)
@pytest.mark.parametrize("auth", SIGNED_AUTH)
@pytest.mark.asyncio
async def test_hooks_see_a_placeholder_and_the_server_sees_the_key(
    wire: str, auth: Auth, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = hook(monkeypatch, wire)
    calls = await asked_of_server(wire, auth)

    assert [text for text in seen if has_canary(text)] == []
    if auth is not Auth.KEY_IN_BODY:
        assert any(f"key={PLACEHOLDER}" in text for text in seen)
    assert [has_canary(call.decode()) for call in calls] == [True]
    assert PLACEHOLDER.encode() not in calls[0]


@pytest.mark.parametrize("wire", SIGNING)
@pytest.mark.parametrize("auth", [Auth.KEY, Auth.KEY_IN_BODY])
@pytest.mark.asyncio
async def test_hooks_see_no_key_of_a_call_that_fails(
    wire: str, auth: Auth, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def resets(peer: Peer) -> None:
        peer.reset()

    seen = hook(monkeypatch, wire)
    await asked_of_server(wire, auth, resets)

    assert seen
    assert [text for text in seen if has_canary(text)] == []


@pytest.mark.parametrize("auth", [Auth.KEY, Auth.USERNAME_AND_KEY])
@pytest.mark.asyncio
async def test_hooks_of_these_tests_find_a_key_that_is_there(
    auth: Auth, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The control: below httpx-aiohttp the key is in the URL that hooks are given.
    seen = hook(monkeypatch, "httpx-aiohttp")
    await asked_of_server("httpx-aiohttp", auth)

    assert any(map(has_canary, seen))


# --- connections ------------------------------------------------------------------------------


@pytest.mark.parametrize("wire", SIGNING)
@pytest.mark.asyncio
async def test_each_call_of_a_connection_has_its_own_key(wire: str) -> None:
    keys = iter(["first", "second", "not sent", "a fourth"])
    calls: list[bytes] = []

    async def talk(peer: Peer) -> None:
        while True:
            calls.append(await peer.read())
            await peer.send(http(PLACED))

    async with (
        serving(talk) as server,
        client(wire, server.url, key=lambda: next(keys)) as clickpost,
    ):
        await clickpost.post(posting(Auth.KEY), {})
        await clickpost.post(posting(Auth.KEY_IN_BODY), {})
        await clickpost.post(posting(Auth.NONE), {"key": PLACEHOLDER})
        await clickpost.post(posting(Auth.KEY), {})
        assert server.connections == 1

    assert [b"key=first" in calls[0], b'"key":"second"' in calls[1]] == [True, True]
    assert json.loads(calls[2].partition(b"\r\n\r\n")[2]) == {"key": PLACEHOLDER}
    assert b"key=a%20fourth" in calls[3]


@pytest.mark.asyncio
async def test_call_that_moves_to_another_connection_is_signed_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[bytes] = []

    async def talk(peer: Peer) -> None:
        while True:
            calls.append(await peer.read())
            await peer.send(http(PLACED))

    async with serving(talk) as server, client("default", server.url) as clickpost:
        await clickpost.post(posting(Auth.KEY), {})
        handle = httpcore.AsyncHTTPConnection.handle_async_request

        async def late(self: Any, request: httpcore.Request) -> httpcore.Response:
            # What other tasks do between the look at the connection and the first byte.
            server.hang_up()
            await until(lambda: not server.open)
            return await handle(self, request)

        monkeypatch.setattr(httpcore.AsyncHTTPConnection, "handle_async_request", late)
        await clickpost.post(posting(Auth.KEY), {})
        assert server.connections == 2

    assert [has_canary(call.decode()) for call in calls] == [True, True]


@pytest.mark.parametrize("library", [httpx, httpx2])
@pytest.mark.parametrize("auth", [Auth.KEY, Auth.KEY_IN_BODY])
@pytest.mark.asyncio
async def test_key_is_put_into_http2_as_well(
    auth: Auth, library: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    serving_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trusting = ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(serving_context)
    authority.configure_trust(trusting)
    serving_context.set_alpn_protocols(["h2"])
    asked: list[str] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        connection.initiate_connection()
        writer.write(connection.data_to_send())
        text = ""
        while data := await reader.read(65536):
            for event in connection.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    text += repr(event.headers)
                elif isinstance(event, h2.events.DataReceived):
                    text += event.data.decode()
                elif isinstance(event, h2.events.StreamEnded):
                    asked.append(text)
                    connection.send_headers(event.stream_id, [(":status", "200")])
                    connection.send_data(event.stream_id, PLACED, end_stream=True)
            writer.write(connection.data_to_send())
        writer.close()

    seen = hook(monkeypatch, "httpx" if library is httpx else "httpx2")
    server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=serving_context)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/api"
    transport = library.AsyncHTTPTransport(http2=True, verify=trusting)
    async with server, client("default", url, transport=transport) as clickpost:
        await clickpost.post(posting(auth), {"a": "b"})

    assert [has_canary(text) for text in asked] == [True]
    assert [text for text in seen if has_canary(text)] == []


# --- transports that are no wire of ours ------------------------------------------------------


@pytest.fixture(params=[httpx, httpx2])
def library(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.mark.parametrize("auth", SIGNED_AUTH)
@pytest.mark.asyncio
async def test_mock_and_an_application_get_the_key_itself(auth: Auth, library: Any) -> None:
    """They check it, and the wire behind a transport of one's own cannot be reached."""
    found: list[str] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        body = (await receive())["body"]
        found.append(scope["query_string"].decode() + body.decode())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": PLACED})

    def mock(request: Any) -> Any:
        found.append(str(request.url) + request.content.decode())
        return library.Response(200, content=PLACED)

    for transport in (library.ASGITransport(application), library.MockTransport(mock)):
        async with client("default", "https://acme.example/api", transport=transport) as clickpost:
            await clickpost.post(posting(auth), {"a": "b"})

    assert [has_canary(text) for text in found] == [True, True]


@pytest.mark.asyncio
async def test_mock_in_front_of_the_connections_sees_the_placeholder() -> None:
    import respx

    with respx.mock:
        route = respx.post(
            "https://www.clickpost.in/api/v3/create-order/", params__contains={"key": PLACEHOLDER}
        ).respond(200, content=PLACED)
        async with ClickPost("acme", CANARY) as clickpost:
            await clickpost.orders.create(india_order("R-1"))

    assert route.call_count == 1


def test_pool_is_not_left_with_the_key_of_its_last_call() -> None:
    async def main() -> None:
        async with serving() as server, client("default", server.url) as clickpost:
            await clickpost.orders.create(india_order("R-1"))
            (wire,) = clickpost._transport._adapters._made.values()
            assert isinstance(wire, ConnectionPool)
            ((_, connection),) = wire._idle.popitem()[1]
            assert isinstance(connection, HTTPCoreConnection)
            assert connection.backend.unsigned is None
            await connection.aclose()

    asyncio.run(main())
