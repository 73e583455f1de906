"""Through a proxy: what it refuses has not left, and what it passes on arrives as it was."""

import ssl
from typing import Any

import httpx
import httpx2
import pytest
import trustme

from clickpost_async import (
    ClickPost,
    ClickPostError,
    Credentials,
    Hosts,
    NotSentError,
    Outcome,
    RetryPolicy,
    Timeouts,
)
from tests.sandbox.samples import india_order

from .proxies import Proxy, proxying
from .server import closed_port, serving
from .test_signature import CANARY, has_canary
from .test_wires import serving_tls

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
    return ClickPost(
        Credentials("acme", CANARY), hosts=Hosts.at(url), transport=transport, **settings
    )


REFUSALS: dict[str, dict[str, Any]] = {
    "407": {"status": 407},
    "wrong password": {"credentials": "acme:right"},
    "403": {"status": 403},
    "502": {"status": 502},
    "503": {"status": 503},
    "hangs": {"hangs": True},
    "resets": {"resets": True},
}
FINAL = {"407", "wrong password", "403"}


@every_library
@pytest.mark.parametrize("refusal", REFUSALS)
@pytest.mark.asyncio
async def test_a_tunnel_that_is_refused_has_let_nothing_of_an_order_out(
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
    if refusal in ("407", "wrong password"):
        assert "proxy" in error.message
        assert "password" in error.message


@every_library
@pytest.mark.asyncio
async def test_tls_to_a_proxy_that_fails_has_let_nothing_out(
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
async def test_what_a_proxy_lets_through_arrives_with_the_key_that_the_proxy_has_not_seen(
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
async def test_an_answer_lost_inside_a_tunnel_leaves_the_order_in_doubt(
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
        # Proxy or server: who has said so cannot be told.
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
        client(through(library, proxy, trusting, auth=("acme", "wrong")), origin.url) as clickpost,
    ):
        with pytest.raises(ClickPostError) as caught:
            await clickpost.orders.create(india_order("R-1"))
        assert (caught.value.outcome, caught.value.transient) == (outcome, transient)
        assert origin.heads == []

        proxy.status = proxy.credentials = None
        proxy.hangs = proxy.resets = False
        assert (await clickpost.orders.create(india_order("R-1"))).waybill == "W-1"

    assert [has_canary(head.decode()) for head in origin.heads] == [True]
