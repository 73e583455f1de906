"""Calls through a proxy: a refused call was not sent, a forwarded one arrives unchanged."""

import asyncio
import ssl
import subprocess
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
import trustme

from clickpost_async import (
    ClickPost,
    ClickPostError,
    InvalidRequestError,
    NoReplyError,
    NotSentError,
    Outcome,
    RetryPolicy,
    Timeouts,
)
from clickpost_async._download.downloader import Downloader
from clickpost_async._http import tls
from clickpost_async._http.httpcore_stream import TrackingBackend
from tests.helpers.http_server import Peer, Server, closed_port, http, serving
from tests.helpers.proxy_server import Proxy, proxying
from tests.http.test_downloader import LABEL
from tests.http.test_every_adapter import ADAPTERS, serving_tls
from tests.http.test_signature import CANARY, has_canary
from tests.sandbox.samples import india_order

QUICK = Timeouts(connect=0.5, read=0.3, create=0.3, total=2)
LIBRARIES = {"httpx": httpx, "httpx2": httpx2}
every_library = pytest.mark.parametrize("library", LIBRARIES.values(), ids=LIBRARIES)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def through(
    library: Any, proxy: Proxy | int, trusting: ssl.SSLContext, *, scheme: str = "http", **more: Any
) -> Any:
    port = proxy if isinstance(proxy, int) else proxy.port
    return library.AsyncHTTPTransport(
        proxy=library.Proxy(f"{scheme}://127.0.0.1:{port}", **more), verify=trusting
    )


def client(transport: Any, url: str, **settings: Any) -> ClickPost:
    settings = {"retry": RetryPolicy.never(), "timeouts": QUICK} | settings
    return ClickPost("acme", CANARY, base_url=url, transport=transport, **settings)


REFUSALS: dict[str, dict[str, Any]] = {
    "407": {"status": 407},
    "wrong password": {"credentials": "acme:right"},
    "403": {"status": 403},
    "302": {"status": 302},
    "502": {"status": 502},
    "503": {"status": 503},
    "hangs": {"hangs": True},
    "resets": {"resets": True},
}
FINAL = {"407", "wrong password", "403"}


@every_library
@pytest.mark.parametrize("refusal", REFUSALS)
@pytest.mark.asyncio
async def test_refused_tunnel_has_sent_nothing_of_an_order(
    refusal: str, library: Any, authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    async with (
        serving_tls(authority.issue_cert("127.0.0.1")) as origin,
        proxying(**REFUSALS[refusal]) as proxy,
        client(
            through(library, proxy, trusting, auth=("acme", "wrong")),
            f"https://127.0.0.1:{origin.port}/api",
        ) as clickpost,
    ):
        with pytest.raises(NotSentError) as caught:
            await clickpost.orders.create(india_order("R-1"))

    error = caught.value
    assert (error.outcome, error.transient) == (Outcome.NOT_SENT, refusal not in FINAL)
    assert origin.heads == []
    assert [line.split(" ")[:2] for line in proxy.asked] == [
        ["CONNECT", f"127.0.0.1:{origin.port}"]
    ]
    assert f" through 127.0.0.1:{proxy.port}" in error.message
    if "status" in REFUSALS[refusal]:
        assert f"the proxy refused (HTTP {REFUSALS[refusal]['status']})" in error.message
    if refusal in ("407", "wrong password"):
        assert "password" in error.message


@every_library
@pytest.mark.asyncio
async def test_failed_tls_to_a_proxy_has_sent_nothing(
    library: Any, authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(server_context)  # an unknown authority's
    async with (
        serving_tls(authority.issue_cert("127.0.0.1")) as origin,
        proxying(tls=server_context) as unknown,
        proxying() as plain,
    ):
        url = f"https://127.0.0.1:{origin.port}/api"
        for proxy in (unknown, plain):
            transport = through(library, proxy, trusting, scheme="https", ssl_context=trusting)
            async with client(transport, url) as clickpost:
                with pytest.raises(NotSentError):
                    await clickpost.orders.create(india_order("R-1"))
        async with client(through(library, closed_port(), trusting), url) as clickpost:
            with pytest.raises(NotSentError):
                await clickpost.orders.create(india_order("R-1"))
    assert (origin.heads, unknown.asked, plain.asked) == ([], [], [])


@every_library
@pytest.mark.asyncio
async def test_request_through_a_proxy_has_the_key_and_hides_it_from_the_proxy(
    library: Any, authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    async with (
        serving_tls(authority.issue_cert("127.0.0.1")) as origin,
        proxying(credentials="acme:right") as proxy,
        client(
            through(library, proxy, trusting, auth=("acme", "right")),
            f"https://127.0.0.1:{origin.port}/api",
        ) as clickpost,
    ):
        for _ in range(2):
            created = await clickpost.orders.create(india_order("R-1"))

    assert created.waybill == "W-1"
    assert proxy.asked == [f"CONNECT 127.0.0.1:{origin.port} HTTP/1.1"]
    assert [has_canary(head.decode()) for head in origin.heads] == [True, True]


@every_library
@pytest.mark.asyncio
async def test_response_lost_inside_a_tunnel_leaves_the_order_in_doubt(
    library: Any, authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    # The control: what has left through a tunnel that was made is not taken for unsent.
    async with (
        serving_tls(authority.issue_cert("127.0.0.1")) as origin,
        proxying() as proxy,
        client(
            through(library, proxy, trusting), f"https://127.0.0.1:{origin.port}/api"
        ) as clickpost,
    ):

        async def breaks(peer: Any) -> None:
            await peer.read()

        origin.talk = breaks
        with pytest.raises(ClickPostError) as caught:
            await clickpost.orders.create(india_order("R-1"))

    assert (caught.value.outcome, len(origin.heads)) == (Outcome.UNKNOWN, 1)


@every_library
@pytest.mark.parametrize(
    ("refusal", "outcome", "transient"),
    [
        ("407", Outcome.NOT_SENT, False),
        ("wrong password", Outcome.NOT_SENT, False),
        # Proxy or server: which of them responded is not known.
        ("502", Outcome.UNKNOWN, True),
        ("503", Outcome.UNKNOWN, True),
        ("hangs", Outcome.UNKNOWN, True),
        ("resets", Outcome.UNKNOWN, True),
    ],
)
@pytest.mark.asyncio
async def test_plain_http_is_handed_to_the_proxy_itself(
    refusal: str, outcome: Outcome, transient: bool, library: Any, trusting: ssl.SSLContext
) -> None:
    async with (
        serving() as origin,
        proxying(**REFUSALS[refusal]) as proxy,
        client(
            through(library, proxy, trusting, auth=("acme", "wrong")),
            origin.url,
            # The second create waits for it.
            retry=RetryPolicy(attempts=1, settle_delay=0.05, reconcile=False),
        ) as clickpost,
    ):
        with pytest.raises(ClickPostError) as caught:
            await clickpost.orders.create(india_order("R-1"))
        assert (caught.value.outcome, caught.value.transient) == (outcome, transient)
        assert origin.heads == []

        proxy.status = proxy.credentials = None
        proxy.hangs = proxy.resets = False
        assert (await clickpost.orders.create(india_order("R-1"))).waybill == "W-1"

    assert [has_canary(head.decode()) for head in origin.heads] == [True]


# --- downloads --------------------------------------------------------------------------------

NAME = "nila-labels.s3.amazonaws.com"
SIGNED = f"https://{NAME}/DL1.pdf?X-Amz-Signature=a%2Fb%3D&X-Amz-Date=20261127T000000Z"
PDF = b"%PDF-1.4\n" + b"a label, line by line\n" * 200 + b"%%EOF\n"


@asynccontextmanager
async def serving_labels(
    authority: trustme.CA, response: bytes | None = None
) -> AsyncIterator[tuple[Server, list[bytes]]]:
    asked: list[bytes] = []

    async def talk(peer: Peer) -> None:
        asked.append(await peer.read())
        await peer.send(http(PDF) if response is None else response)

    async with serving_tls(authority.issue_cert(NAME)) as server:
        server.talk = talk
        yield server, asked


@every_library
@pytest.mark.asyncio
async def test_labels_are_downloaded_through_the_transport_that_calls_are_made_through(
    library: Any, authority: trustme.CA, trusting: ssl.SSLContext, tmp_path: Path
) -> None:
    async with (
        serving_labels(authority) as (server, asked),
        proxying(credentials="acme:right", routes={f"{NAME}:443": server.port}) as proxy,
        client(
            through(library, proxy, trusting, auth=("acme", "right")), "https://acme.example/api"
        ) as clickpost,
    ):
        path = await clickpost.labels.download(SIGNED, tmp_path / "label.pdf")

    assert path.read_bytes() == PDF
    assert proxy.asked == [f"CONNECT {NAME}:443 HTTP/1.1"]
    (head,) = asked
    assert head.startswith(b"GET " + SIGNED.partition(NAME)[2].encode() + b" HTTP/1.1\r\n")
    assert not has_canary(head.decode())
    assert b"acme" not in head


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://evil.example/DL1.pdf", "not from evil.example"),
        (f"http://{NAME}/DL1.pdf", "must be an https URL"),
        (f"https://{NAME}:8443/DL1.pdf", "default port"),
        ("https://169.254.169.254/latest", "not from 169.254.169.254"),
    ],
)
@pytest.mark.asyncio
async def test_transport_gets_no_url_that_the_guard_refuses(
    url: str, words: str, authority: trustme.CA, trusting: ssl.SSLContext, tmp_path: Path
) -> None:
    moved = http(b"", "302 Found", location=url)
    async with (
        serving_labels(authority, moved) as (server, asked),
        proxying(routes={f"{NAME}:443": server.port}) as proxy,
        client(through(httpx, proxy, trusting), "https://acme.example/api") as clickpost,
    ):
        for start in (url, SIGNED):  # at once, and after a redirect
            with pytest.raises(InvalidRequestError, match=words):
                await clickpost.labels.download(start, tmp_path / "label.pdf")

    assert (len(proxy.asked), len(asked)) == (1, 1)
    assert list(tmp_path.iterdir()) == []


@every_library
@pytest.mark.asyncio
async def test_download_that_a_proxy_refuses_or_cuts_leaves_no_file(
    library: Any, authority: trustme.CA, trusting: ssl.SSLContext, tmp_path: Path
) -> None:
    cut = http(PDF[:100], length=len(PDF))
    async with (
        serving_labels(authority, cut) as (server, _),
        proxying(credentials="acme:right", routes={f"{NAME}:443": server.port}) as proxy,
    ):
        for auth, kind, words in (
            (("acme", "wrong"), NotSentError, "password"),
            (("acme", "right"), NoReplyError, "was not complete"),
        ):
            transport = through(library, proxy, trusting, auth=auth)
            async with client(transport, "https://acme.example/api") as clickpost:
                with pytest.raises(kind, match=words) as caught:
                    await clickpost.labels.download(SIGNED, tmp_path / "label.pdf")
            text = "".join(traceback.format_exception(caught.value))
            assert "X-Amz-Signature" not in text

    assert list(tmp_path.iterdir()) == []


@pytest.mark.asyncio
async def test_mock_transport_serves_labels_too(tmp_path: Path) -> None:
    asked: list[str] = []

    def mock(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(200, content=PDF)

    async with client(httpx.MockTransport(mock), "https://acme.example/api") as clickpost:
        await clickpost.labels.download(SIGNED, tmp_path / "label.pdf")

    assert asked == [SIGNED]
    assert (tmp_path / "label.pdf").read_bytes() == PDF


# --- certificates of the environment ----------------------------------------------------------


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    tls.verifying_context.cache_clear()
    yield monkeypatch
    tls.verifying_context.cache_clear()


@pytest.mark.parametrize("wire", ["default", "httptools"])
@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
@pytest.mark.asyncio
async def test_authority_of_the_environment_is_trusted(
    name: str, wire: str, environment: pytest.MonkeyPatch, authority: trustme.CA, tmp_path: Path
) -> None:
    file = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(file)
    # OpenSSL finds certificates in a directory by a hash of their subject.
    hashed = await asyncio.to_thread(
        subprocess.run,
        ["openssl", "x509", "-hash", "-noout", "-in", file],
        capture_output=True,
        text=True,
        check=True,
    )
    file.with_name(f"{hashed.stdout.strip()}.0").write_bytes(file.read_bytes())
    async with serving_tls(authority.issue_cert("127.0.0.1")) as server:
        url = f"https://127.0.0.1:{server.port}/api"
        async with client(ADAPTERS[wire](), url) as clickpost:
            with pytest.raises(NotSentError, match="certificate was refused"):
                await clickpost.orders.create(india_order("R-1"))

        environment.setenv(name, str(file if name == "SSL_CERT_FILE" else tmp_path))
        tls.verifying_context.cache_clear()
        async with client(ADAPTERS[wire](), url) as clickpost:
            assert (await clickpost.orders.create(india_order("R-1"))).waybill == "W-1"


@pytest.mark.asyncio
async def test_authority_of_the_environment_is_trusted_for_downloads(
    environment: pytest.MonkeyPatch, authority: trustme.CA, tmp_path: Path
) -> None:
    file = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(file)
    environment.setenv("SSL_CERT_FILE", str(file))

    async with serving_labels(authority) as (server, _):

        async def resolve(host: str, port: int) -> list[str]:
            return ["52.219.64.10"]

        class Network(TrackingBackend):
            async def connect_tcp(self, host: str, port: int, *rest: Any, **more: Any) -> Any:
                return await super().connect_tcp("127.0.0.1", server.port)

        downloader = Downloader(resolve=resolve, network=Network)
        await downloader.download(LABEL, SIGNED, tmp_path / "label.pdf")
    assert (tmp_path / "label.pdf").read_bytes() == PDF


UNREADABLE: dict[str, Callable[[Path], object]] = {
    "missing": lambda file: file,
    "no certificate": lambda file: file.write_bytes(b"no certificate"),
    "a folder": lambda file: file.mkdir(),
    "below a file": lambda file: file.parent.write_bytes(b""),
}


@pytest.mark.parametrize("problem", UNREADABLE)
@pytest.mark.asyncio
async def test_file_of_authorities_that_cannot_be_read_is_named(
    problem: str, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "folder" / "authority.pem"
    if problem != "below a file":
        file.parent.mkdir()
    UNREADABLE[problem](file)
    environment.setenv("SSL_CERT_FILE", str(file))
    async with client(None, "https://127.0.0.1:9/api") as clickpost:
        with pytest.raises(NotSentError, match=f"{file} cannot be read.*SSL_CERT_FILE") as caught:
            await clickpost.orders.create(india_order("R-1"))

    assert not caught.value.transient
