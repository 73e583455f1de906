"""A failed connection is reported with host, reason and advice."""

import asyncio
import errno
import pickle
import socket
import ssl
import subprocess
import sys
import traceback
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import trustme

from clickpost_async import ClickPostError, NotSentError, Outcome, RetryPolicy
from clickpost_async._http.adapter import address
from clickpost_async._http.connection_errors import reason_of
from clickpost_async.errors import FailureKind
from tests.helpers.http_server import Peer, closed_port, serving
from tests.helpers.scripted_transport import KEY, playing
from tests.helpers.server_behaviours import resets_after_the_call
from tests.http.test_every_adapter import (
    ADAPTERS,
    client,
    every_adapter,
    every_adapter_of_ours,
    serving_tls,
)
from tests.sandbox.samples import india_order


async def failure_of(clickpost: Any) -> ClickPostError:
    with pytest.raises(ClickPostError) as caught:
        await clickpost.orders.create(india_order("R-1"))
    error = caught.value
    text = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert KEY not in text
    assert error.__cause__ is None or error.__cause__.__traceback__ is None
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    return error


@every_adapter
@pytest.mark.asyncio
async def test_refused_connection_names_host_port_and_reason(wire: str) -> None:
    port = closed_port()
    async with client(wire, f"http://127.0.0.1:{port}/api") as clickpost:
        error = await failure_of(clickpost)

    assert error.message == (
        f"cannot connect to 127.0.0.1:{port}: connection refused (errno {errno.ECONNREFUSED})"
    )
    cause = error.__cause__
    assert isinstance(cause, ConnectionRefusedError)
    assert (cause.errno, cause.filename) == (errno.ECONNREFUSED, f"127.0.0.1:{port}")
    assert (error.outcome, error.transient, error.kind) == (
        Outcome.NOT_SENT,
        True,
        FailureKind.NOT_SENT,
    )


SYSTEM_ERRORS: dict[str, tuple[Callable[[], OSError], str]] = {
    "unreachable": (
        lambda: OSError(errno.ENETUNREACH, "x"),
        f"network is unreachable (errno {errno.ENETUNREACH})",
    ),
    "no route": (
        lambda: OSError(errno.EHOSTUNREACH, "x"),
        f"no route to host (errno {errno.EHOSTUNREACH})",
    ),
    "timed out": (
        lambda: OSError(errno.ETIMEDOUT, "x"),
        f"connection timed out (errno {errno.ETIMEDOUT})",
    ),
}


@every_adapter
@pytest.mark.parametrize("kind", SYSTEM_ERRORS)
@pytest.mark.asyncio
async def test_system_error_is_named_in_the_message(
    kind: str, wire: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, reason = SYSTEM_ERRORS[kind]

    async def refuses(*_: Any, **__: Any) -> Any:
        raise make()

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "sock_connect", refuses)
    monkeypatch.setattr(loop, "create_connection", refuses)
    async with client(wire, "http://127.0.0.1:9/api") as clickpost:
        error = await failure_of(clickpost)

    assert error.message == f"cannot connect to 127.0.0.1:9: {reason}"


@every_adapter
@pytest.mark.parametrize("number", [socket.EAI_NONAME, socket.EAI_AGAIN])
@pytest.mark.asyncio
async def test_unresolvable_host_name_is_reported_as_such(
    number: int, wire: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(number, "the resolver's words")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    async with client(wire, "https://api.example/api") as clickpost:
        error = await failure_of(clickpost)

    assert error.message == (
        "cannot connect to api.example:443: the name cannot be resolved: the resolver's words"
    )
    assert isinstance(error.__cause__, socket.gaierror)
    assert error.transient


FULL = """
import asyncio, os, resource, sys
from clickpost_async import ClickPostError
from tests.http.test_connection_errors import client, india_order

async def main(wire):
    async with client(wire, "http://127.0.0.1:9/api") as clickpost:
        create = clickpost.orders.create  # a module is read here
        taken = [os.open("/dev/null", os.O_RDONLY)]
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (taken[0] + 8, before[1]))
        try:
            while True:
                taken.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            pass
        try:
            await create(india_order("R-1"))
        except ClickPostError as error:
            failure = error
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for number in taken:
            os.close(number)
        print(wire, failure.message, failure.kind, failure.transient, sep="|")

for wire in sys.argv[1:]:
    asyncio.run(main(wire))
"""


def test_too_many_open_files_are_named() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, *ADAPTERS],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert not done.stderr
    advice = "raise the limit on open files (ulimit -n), or lower max_concurrency"
    assert [line.split("|") for line in done.stdout.splitlines()] == [
        [
            wire,
            f"cannot connect to 127.0.0.1:9: too many open files (errno {errno.EMFILE}); {advice}",
            str(FailureKind.LOCAL_RESOURCES),
            "True",
        ]
        for wire in ADAPTERS
    ]


@every_adapter
@pytest.mark.asyncio
async def test_certificate_error_names_the_settings_for_an_authority(wire: str) -> None:
    async with (
        serving_tls(trustme.CA().issue_cert("127.0.0.1")) as server,
        client(wire, f"https://127.0.0.1:{server.port}/api") as clickpost,
    ):
        error = await failure_of(clickpost)

    assert f"cannot connect to 127.0.0.1:{server.port}: the certificate was refused: " in str(error)
    assert "SSL_CERT_FILE" in error.message
    assert "verify=" in error.message
    assert isinstance(error.__cause__, ssl.SSLCertVerificationError)
    assert not error.transient


@every_adapter
@pytest.mark.asyncio
async def test_server_without_tls_is_reported_as_a_tls_failure(wire: str) -> None:
    async def speaks_first(peer: Any) -> None:
        await peer.send(b"220 ready\r\n")
        await peer.until_gone()

    async with (
        serving(speaks_first) as server,
        client(wire, f"https://127.0.0.1:{server.port}/api") as clickpost,
    ):
        error = await failure_of(clickpost)

    assert f"cannot connect to 127.0.0.1:{server.port}: TLS failed: " in error.message


@every_adapter
@pytest.mark.asyncio
async def test_connection_reset_after_the_request_names_host_and_reason(wire: str) -> None:
    async with (
        serving(resets_after_the_call) as server,
        client(wire, server.url) as clickpost,
    ):
        error = await failure_of(clickpost)

    assert error.message.startswith(f"no complete response from 127.0.0.1:{server.port}: ")
    assert error.outcome is Outcome.UNKNOWN
    assert "connection reset by peer" in error.message


# --- advice -------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_advice_to_call_again_is_given_only_where_it_helps() -> None:
    for error, transient in ((httpx.ConnectError("x"), True), (httpx.InvalidURL("x"), False)):
        async with playing([error], retry=RetryPolicy.never()) as clickpost:
            with pytest.raises(NotSentError) as caught:
                await clickpost.orders.create(india_order("R-1"))
        failure = caught.value
        assert failure.transient is transient
        assert failure.safe_to_retry_in == (0 if transient else None)
        assert ("correct what" in failure.advice) is not transient


CLOSED = "the connection was closed before the end of the response"


async def closes_at_once(peer: Peer) -> None:
    await peer.read()


async def closes_in_the_body(peer: Peer) -> None:
    await peer.read()
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{")


async def speaks_another_protocol(peer: Peer) -> None:
    await peer.read()
    await peer.send(b"220 mail.example ready\r\n\r\n")


BROKEN = {
    closes_at_once: CLOSED,
    closes_in_the_body: CLOSED,
    speaks_another_protocol: "the response is not valid HTTP",
}


@every_adapter
@pytest.mark.parametrize("talk", BROKEN)
@pytest.mark.asyncio
async def test_lost_response_is_explained_in_words(talk: Any, wire: str) -> None:
    async with serving(talk) as server, client(wire, server.url) as clickpost:
        error = await failure_of(clickpost)

    assert f"no complete response from 127.0.0.1:{server.port}: {BROKEN[talk]}" in error.message


@every_adapter_of_ours
@pytest.mark.asyncio
async def test_server_that_closes_in_the_handshake_is_named_with_the_reason(wire: str) -> None:
    async def closes(_: Peer) -> None: ...

    async with serving(closes) as server:
        url = f"https://127.0.0.1:{server.port}/api"
        async with client(wire, url) as clickpost:
            error = await failure_of(clickpost)

    assert error.outcome is Outcome.NOT_SENT
    assert "ConnectError" not in error.message
    assert isinstance(error.__cause__, ssl.SSLError | ConnectionError)


# --- the reason itself ------------------------------------------------------------------------


def test_reason_is_found_among_several_and_in_a_ring() -> None:
    group = OSError("All connection attempts failed")
    group.__cause__ = ExceptionGroup(
        "several", [OSError(errno.ECONNREFUSED, "x"), OSError(errno.ENETUNREACH, "y")]
    )
    assert "connection refused" in reason_of(group, "x:1").text

    ring, other = RuntimeError("a"), RuntimeError("b")
    ring.__cause__, other.__cause__ = other, ring
    assert reason_of(ring, "x:1").text == "RuntimeError"


def test_message_of_a_foreign_error_is_not_repeated() -> None:
    for error in (
        OSError(f"cannot reach ?key={KEY}"),
        OSError(errno.ECONNRESET, f"reset ?key={KEY}", f"?key={KEY}"),
        RuntimeError(KEY),
        httpx.ProxyError(f"999 {KEY}"),
    ):
        reason = reason_of(error, "x:1")
        assert KEY not in f"{reason} {reason.cause!r}"


@pytest.mark.parametrize(
    ("message", "text", "final"),
    [
        ("Proxy Server could not connect: Host unreachable.", "cannot connect: host un", False),
        ("Invalid username/password", "user name or password", True),
        (
            "Requested USERNAME/PASSWORD from proxy server, but got NO ACCEPTABLE METHODS.",
            "user name or password",
            True,
        ),
    ],
)
def test_reason_of_a_socks_proxy_is_repeated(message: str, text: str, final: bool) -> None:
    reason = reason_of(httpx.ProxyError(message), "x:1")
    assert text in reason.text
    assert reason.final is final


@pytest.mark.parametrize(
    ("host", "expected"), [("api.example", "api.example:443"), ("::1", "[::1]:443")]
)
def test_address_is_written_as_a_url_has_it(host: str, expected: str) -> None:
    assert address(host, 443) == expected
