"""Downloads go to the checked address of an allowed host, and end in a whole file or none."""

import gc
import pickle
import ssl
import stat
import traceback
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpcore
import pytest
import trustme
from anyio.abc import ByteStream
from anyio.lowlevel import checkpoint

from clickpost_async import (
    ClickPostError,
    InvalidRequestError,
    NoReplyError,
    NotSentError,
    Outcome,
    RefusedError,
    ServerError,
    ThrottledError,
    UnreadableReplyError,
)
from clickpost_async._codec.file_types import Download, FileType
from clickpost_async._download.downloader import Downloader
from clickpost_async._download.url_guard import check_url
from clickpost_async._http.httpcore_stream import TrackingBackend
from tests.helpers.http_server import listening

LABEL = Download("labels.download", {FileType.PDF, FileType.PNG, FileType.ZPL})
REPORT = Download("reports.download", {FileType.CSV, FileType.ZIP})
PDF = b"%PDF-1.4\n" + b"a label, line by line\n" * 200 + b"%%EOF\n"
NAME = "nila-labels.s3.amazonaws.com"
SIGNED = f"https://{NAME}/DL1.pdf?X-Amz-Signature=not-to-be-seen"
PUBLIC = "52.219.64.10"

Response = bytes | Callable[[ByteStream], Any]


def http(body: bytes = PDF, status: int = 200, **headers: str) -> bytes:
    all_headers = {"content-length": str(len(body)), "connection": "close"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in all_headers.items() if value)
    return f"HTTP/1.1 {status} Status\r\n{lines}\r\n".encode() + body


def moved(location: str, status: int = 302) -> bytes:
    return http(b"", status, location=location)


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


class Server:
    """A server on this machine that sends a scripted response, and records the requests."""

    def __init__(self, responses: Mapping[str, Response]) -> None:
        self.responses = responses
        self.asked: list[str] = []
        self.port = 0

    async def response(self, stream: ByteStream) -> None:
        try:
            async with stream:
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    head += await stream.receive()
                self.asked.append(head.decode())
                response = self.responses[head.split(b" ")[1].decode().partition("?")[0]]
                if isinstance(response, bytes):
                    await stream.send(response)
                else:
                    await response(stream)
        except (anyio.BrokenResourceError, anyio.EndOfStream, ssl.SSLError):
            return


@asynccontextmanager
async def served(
    responses: Mapping[str, Response] | Response, tls: ssl.SSLContext | None = None
) -> AsyncGenerator[Server, None]:
    server = Server(responses if isinstance(responses, Mapping) else {"/DL1.pdf": responses})
    async with listening(server.response, tls) as server.port:
        yield server


class Network(httpcore.AsyncNetworkBackend):
    """Stands for the internet: whatever address is called, a server on this machine responds."""

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self.called: list[str] = []

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface
        *rest: Any,
        **more: Any,
    ) -> httpcore.AsyncNetworkStream:
        self.called.append(f"{host} {port}")
        if not self.port:
            message = "no server"
            raise httpcore.ConnectError(message)
        return await TrackingBackend().connect_tcp("127.0.0.1", self.port, timeout)


class Names:
    """Stands for the name service: each look-up of a name takes its next addresses."""

    def __init__(self, **responses: Sequence[Sequence[str]]) -> None:
        self.responses = {name.replace("_", "."): list(rows) for name, rows in responses.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        rows = self.responses.get(host, [[PUBLIC]])
        return rows.pop(0) if len(rows) > 1 else rows[0]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def certified(authority: trustme.CA, name: str = NAME) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


local = partial(Downloader, loopback=True)


async def fetched(server: Server, path: Path, **more: Any) -> Path:
    return await local().download(LABEL, f"http://127.0.0.1:{server.port}/DL1.pdf", path, **more)


def in_turn(run: Callable[[], Any], backend: str) -> None:
    async def to_the_end() -> None:
        await run()
        gc.collect()  # trio warns of generators that are left standing, once they are found

    anyio.run(to_the_end, backend=backend)


on_both = pytest.mark.parametrize("backend", ["asyncio", "trio"])


@pytest.mark.fault("S04")
@on_both
def test_label_is_written_whole_to_a_private_file(tmp_path: Path, backend: str) -> None:
    async def run() -> None:
        async with served(http(PDF)) as server:
            path = await fetched(server, tmp_path / "label.pdf")
        assert path == tmp_path / "label.pdf"
        assert path.read_bytes() == PDF
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert names_in(tmp_path) == ["label.pdf"]

    in_turn(run, backend)


@pytest.mark.fault("S04")
@on_both
def test_page_is_no_label_and_leaves_no_file(tmp_path: Path, backend: str) -> None:
    async def run() -> None:
        page = b"<!DOCTYPE html><title>Sorry</title>" + b" " * 200_000
        async with served(http(page, content_type="application/pdf")) as server:
            with pytest.raises(UnreadableReplyError, match="expected PDF or PNG or ZPL"):
                await fetched(server, tmp_path / "label.pdf")
        assert names_in(tmp_path) == []

    in_turn(run, backend)


@pytest.mark.fault("S04")
@pytest.mark.parametrize(
    ("download", "body", "comes"),
    [
        (LABEL, b"\x89PNG\r\n\x1a\n" + b"\0" * 20, True),
        (LABEL, b"^XA^FO50,50^FDDL1^FS^XZ", True),
        (LABEL, b"awb,status\r\nDL1,Delivered\r\n", False),
        (LABEL, b"", False),
        (REPORT, b"awb,status\r\nDL1,Delivered\r\n", True),
        (REPORT, b"PK\x03\x04" + b"\0" * 20, True),
        (REPORT, PDF, False),
        (REPORT, b"MZ\x90\0\x03\0\0\0", False),
        (REPORT, b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', False),
        (REPORT, b"\n <html>", False),
    ],
)
@pytest.mark.asyncio
async def test_file_is_taken_by_what_it_is(
    tmp_path: Path, download: Download, body: bytes, comes: bool
) -> None:
    async with served(http(body)) as server:
        url = f"http://127.0.0.1:{server.port}/DL1.pdf"
        if comes:
            path = await local().download(download, url, tmp_path / "file")
            assert path.read_bytes() == body
        else:
            with pytest.raises(UnreadableReplyError):
                await local().download(download, url, tmp_path / "file")
            assert names_in(tmp_path) == []


@pytest.mark.asyncio
async def test_file_name_in_a_response_is_ignored(tmp_path: Path) -> None:
    proposed = 'attachment; filename="../../proposed.pdf"'
    async with served(http(PDF, content_disposition=proposed)) as server:
        await fetched(server, tmp_path / "label.pdf")
    assert names_in(tmp_path) == ["label.pdf"]


# --- where ----------------------------------------------------------------------------------------


@pytest.mark.fault("S03")
@on_both
def test_download_connects_to_the_checked_address_and_verifies_the_host_name(
    tmp_path: Path, authority: trustme.CA, trusting: ssl.SSLContext, backend: str
) -> None:
    async def run() -> None:
        names = Names(**{NAME.replace(".", "_"): [[PUBLIC], ["127.0.0.1"]]})
        async with served(http(PDF), certified(authority)) as server:
            network = Network(server.port)
            downloader = Downloader(verify=trusting, resolve=names, network=lambda: network)
            path = await downloader.download(LABEL, SIGNED, tmp_path / "label.pdf")
        assert path.read_bytes() == PDF
        assert names.asked == [NAME]
        assert network.called == [f"{PUBLIC} 443"]
        line, *headers = server.asked[0].strip().split("\r\n")
        assert line == "GET /DL1.pdf?X-Amz-Signature=not-to-be-seen HTTP/1.1"
        assert sorted(headers) == [
            "Accept-Encoding: identity",
            "Accept: */*",
            "Connection: close",
            f"Host: {NAME}",
            "User-Agent: clickpost_async",
        ]

    in_turn(run, backend)


@pytest.mark.asyncio
async def test_certificate_for_another_name_is_refused(
    tmp_path: Path, authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    async with served(http(PDF), certified(authority, "other.s3.amazonaws.com")) as server:
        downloader = Downloader(
            verify=trusting, resolve=Names(), network=lambda: Network(server.port)
        )
        with pytest.raises(NotSentError, match="certificate was refused") as caught:
            await downloader.download(LABEL, SIGNED, tmp_path / "label.pdf")
    assert caught.value.transient is False
    assert server.asked == []


@pytest.mark.asyncio
async def test_certificate_of_an_unknown_authority_is_refused(
    tmp_path: Path, authority: trustme.CA
) -> None:
    async with served(http(PDF), certified(authority)) as server:
        downloader = Downloader(resolve=Names(), network=lambda: Network(server.port))
        with pytest.raises(NotSentError, match="certificate was refused"):
            await downloader.download(LABEL, SIGNED, tmp_path / "label.pdf")


@pytest.mark.fault("S03")
@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "192.168.1.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fd00::1",
        "fe80::1",
        "fe80::1%2",
        "ff02::1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a00:1::",
        "2002:34db:400a::",
        "64:ff9b:1::a9fe:a9fe",
        "::10.0.0.1",
        "fec0::1",
        "not an address",
    ],
)
@pytest.mark.parametrize("beside", [[], [PUBLIC]])
@pytest.mark.asyncio
async def test_host_that_leads_inside_is_refused(
    tmp_path: Path, address: str, beside: list[str]
) -> None:
    network = Network()
    names = Names(**{NAME.replace(".", "_"): [[*beside, address]]})
    with pytest.raises(InvalidRequestError, match="an address that is not public") as caught:
        await Downloader(resolve=names, network=lambda: network).download(
            LABEL, SIGNED, tmp_path / "label.pdf"
        )
    assert caught.value.outcome is Outcome.NOT_SENT
    assert network.called == []


@pytest.mark.parametrize("address", [PUBLIC, "2600:1fa0::1", "64:ff9b::34db:400a"])
@pytest.mark.asyncio
async def test_host_that_leads_outside_is_called(tmp_path: Path, address: str) -> None:
    network = Network()
    names = Names(**{NAME.replace(".", "_"): [[address, PUBLIC]]})
    with pytest.raises(NotSentError, match=r"cannot connect to .*:443: ConnectError") as caught:
        await Downloader(resolve=names, network=lambda: network).download(
            LABEL, SIGNED, tmp_path / "label.pdf"
        )
    assert network.called == [f"{address} 443", f"{PUBLIC} 443"]
    assert caught.value.transient is True


@pytest.mark.parametrize("error", [OSError("no such host"), UnicodeError("label too long")])
@pytest.mark.asyncio
async def test_host_that_cannot_be_found_is_not_sent(tmp_path: Path, error: Exception) -> None:
    async def nowhere(host: str, port: int) -> Sequence[str]:
        raise error

    reason = type(error).__name__
    with pytest.raises(NotSentError, match=f"cannot connect to {NAME}:443: {reason}"):
        await Downloader(resolve=nowhere).download(LABEL, SIGNED, tmp_path / "label.pdf")


@pytest.mark.fault("S03")
@pytest.mark.parametrize(
    "url",
    [
        f"http://{NAME}/DL1.pdf",
        f"ftp://{NAME}/DL1.pdf",
        "file:///etc/passwd",
        f"//{NAME}/DL1.pdf",
        "DL1.pdf",
        "",
        "https://",
        "https://labels.example/DL1.pdf",
        "https://evilamazonaws.com/DL1.pdf",
        "https://s3.amazonaws.com.labels.example/DL1.pdf",
        f"https://{NAME}@labels.example/DL1.pdf",
        f"https://someone@{NAME}/DL1.pdf",
        f"https://{NAME}:8443/DL1.pdf",
        f"https://{NAME}:x/DL1.pdf",
        f"https://{NAME}./DL1.pdf",
        f"https://labels.example\\.{NAME}/DL1.pdf",
        f"https://labels.example\n.{NAME}/DL1.pdf",
        "https://läbels.amazonaws.com/DL1.pdf",
        "https://[::1/DL1.pdf",
        "https://[::1]/DL1.pdf",
        "https://127.0.0.1/DL1.pdf",
        "https://169.254.169.254/latest/meta-data/",
        "https://2852039166/latest/meta-data/",
    ],
)
@pytest.mark.asyncio
async def test_forbidden_url_is_refused_before_any_request(tmp_path: Path, url: str) -> None:
    names, network = Names(), Network()
    with pytest.raises(InvalidRequestError) as caught:
        await Downloader(resolve=names, network=lambda: network).download(
            LABEL, url, tmp_path / "file"
        )
    assert [problem.path for problem in caught.value.problems] == ["url"]
    assert (names.asked, network.called) == ([], [])


@pytest.mark.asyncio
async def test_loopback_is_called_only_where_allowed(tmp_path: Path) -> None:
    async with served(http(PDF)) as server:
        url = f"http://127.0.0.1:{server.port}/DL1.pdf"
        with pytest.raises(InvalidRequestError, match="must be an https URL"):
            await Downloader().download(LABEL, url, tmp_path / "label.pdf")
        assert server.asked == []
        await Downloader(loopback=True).download(LABEL, url, tmp_path / "label.pdf")
    assert len(server.asked) == 1


@pytest.mark.asyncio
async def test_sandbox_on_another_port_is_called_over_plain_http(
    tmp_path: Path,
) -> None:
    async with served(http(PDF)) as server:
        where = f"sandbox:{server.port}"
        for refused in ("http://sandbox:1/DL1.pdf", f"http://other:{server.port}/DL1.pdf"):
            with pytest.raises(InvalidRequestError, match="must be an https URL"):
                await Downloader(plain_http=where).download(LABEL, refused, tmp_path / "label.pdf")
        downloader = Downloader(plain_http=where, resolve=Names(sandbox=[["127.0.0.1"]]))
        await downloader.download(LABEL, f"http://{where}/DL1.pdf", tmp_path / "label.pdf")
    assert (tmp_path / "label.pdf").read_bytes() == PDF


def test_redirect_of_another_host_to_a_sandbox_elsewhere_is_refused() -> None:
    allowed = partial(check_url, hosts=(NAME,), loopback=False, plain_http="sandbox:8000")
    signed = allowed(SIGNED, before=None)
    sandbox = allowed("http://sandbox:8000/DL1.pdf", before=None)

    with pytest.raises(InvalidRequestError, match="redirect: must be an https URL"):
        allowed("http://sandbox:8000/DL1.pdf", before=signed)
    assert allowed("/DL2.pdf", before=sandbox).url == "http://sandbox:8000/DL2.pdf"


@pytest.mark.asyncio
async def test_loopback_name_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    network = Network()
    downloader = local(resolve=Names(localhost=[["10.0.0.1"]]), network=lambda: network)
    with pytest.raises(InvalidRequestError, match="not public"):
        await downloader.download(LABEL, "http://localhost:8000/DL1.pdf", tmp_path / "label.pdf")
    assert network.called == []


@pytest.mark.asyncio
async def test_other_hosts_can_be_allowed(
    tmp_path: Path, authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    async with served(http(PDF), certified(authority, "labels.example")) as server:
        downloader = Downloader(
            hosts=("labels.example",),
            verify=trusting,
            resolve=Names(),
            network=lambda: Network(server.port),
        )
        await downloader.download(LABEL, "https://labels.example/DL1.pdf", tmp_path / "label.pdf")
        with pytest.raises(InvalidRequestError, match=r"from labels\.example only"):
            await downloader.download(LABEL, SIGNED, tmp_path / "other.pdf")


@pytest.mark.asyncio
async def test_letters_that_a_url_may_not_have_are_encoded(tmp_path: Path) -> None:
    async with served({"/la%20bel%C3%A9.pdf": http(PDF)}) as server:
        url = f"http://127.0.0.1:{server.port}/la belé.pdf?a=%2F&b=1#page"
        await local().download(LABEL, url, tmp_path / "label.pdf")
    assert server.asked[0].split(" ")[1] == "/la%20bel%C3%A9.pdf?a=%2F&b=1"


# --- redirects ------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_two_redirects_are_followed_and_each_host_is_checked_again(
    tmp_path: Path, authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    other = "www.clickpost.in"
    responses = {
        "/DL1.pdf": moved("/here.pdf", 307),
        "/here.pdf": moved(f"https://{other}/there.pdf", 301),
        "/there.pdf": http(PDF),
    }
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(NAME, other).configure_cert(tls)
    names = Names(www_clickpost_in=[["13.234.10.20"]])
    async with served(responses, tls) as server:
        network = Network(server.port)
        downloader = Downloader(verify=trusting, resolve=names, network=lambda: network)
        path = await downloader.download(LABEL, SIGNED, tmp_path / "label.pdf")
    assert path.read_bytes() == PDF
    assert names.asked == [NAME, NAME, other]
    assert network.called == [f"{PUBLIC} 443", f"{PUBLIC} 443", "13.234.10.20 443"]


@pytest.mark.asyncio
async def test_third_redirect_is_not_followed(tmp_path: Path) -> None:
    async with served(moved("/DL1.pdf")) as server:
        with pytest.raises(RefusedError, match="redirected more than 2 times"):
            await fetched(server, tmp_path / "label.pdf")
    assert len(server.asked) == 3


@pytest.mark.fault("S03")
@pytest.mark.parametrize(
    "location",
    [
        "https://169.254.169.254/latest/meta-data/",
        "http://169.254.169.254/latest/meta-data/",
        f"http://{NAME}/DL1.pdf",
        "http://127.0.0.1:8000/DL1.pdf",
        "https://localhost/DL1.pdf",
        "https://labels.example/DL1.pdf",
        "file:///etc/passwd",
        "https://[::1",
        "//169.254.169.254/latest",
        "https://someone@/DL1.pdf",
    ],
)
@pytest.mark.asyncio
async def test_redirect_out_of_what_is_allowed_is_refused(
    tmp_path: Path, authority: trustme.CA, trusting: ssl.SSLContext, location: str
) -> None:
    async with served(moved(location), certified(authority)) as server:
        network = Network(server.port)
        downloader = local(verify=trusting, resolve=Names(), network=lambda: network)
        with pytest.raises(InvalidRequestError) as caught:
            await downloader.download(LABEL, SIGNED, tmp_path / "label.pdf")
    assert [problem.path for problem in caught.value.problems] == ["redirect"]
    assert network.called == [f"{PUBLIC} 443"]


@pytest.mark.fault("S03")
@pytest.mark.asyncio
async def test_redirect_to_a_name_that_leads_inside_is_refused(
    tmp_path: Path, authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    names = Names(inside_amazonaws_com=[["169.254.169.254"]])
    response = moved("https://inside.amazonaws.com/DL1.pdf")
    async with served(response, certified(authority)) as server:
        network = Network(server.port)
        downloader = Downloader(verify=trusting, resolve=names, network=lambda: network)
        with pytest.raises(InvalidRequestError, match="not public"):
            await downloader.download(LABEL, SIGNED, tmp_path / "label.pdf")
    assert network.called == [f"{PUBLIC} 443"]


@pytest.mark.asyncio
async def test_redirect_to_nowhere_is_unreadable(tmp_path: Path) -> None:
    async with served(moved("")) as server:
        with pytest.raises(UnreadableReplyError, match="redirect without a Location header"):
            await fetched(server, tmp_path / "label.pdf")


# --- how much, and how long -----------------------------------------------------------------------


# Without a length the end of the response is the end of the connection.
@pytest.mark.parametrize("length", [str(len(PDF)), ""])
@pytest.mark.asyncio
async def test_file_may_be_as_large_as_the_bound_and_no_larger(tmp_path: Path, length: str) -> None:
    async with served(http(PDF, content_length=length)) as server:
        url = f"http://127.0.0.1:{server.port}/DL1.pdf"
        with pytest.raises(UnreadableReplyError, match=f"larger than {len(PDF) - 1} bytes"):
            await local(max_size=len(PDF) - 1).download(LABEL, url, tmp_path / "label.pdf")
        assert names_in(tmp_path) == []
        path = await local(max_size=len(PDF)).download(LABEL, url, tmp_path / "label.pdf")
    assert path.read_bytes() == PDF


@pytest.mark.fault("S04")
@on_both
def test_file_that_grows_over_the_bound_is_given_up(tmp_path: Path, backend: str) -> None:
    async def endless(stream: ByteStream) -> None:
        await stream.send(b"HTTP/1.1 200 Told\r\nconnection: close\r\n\r\n" + PDF)
        for _ in range(1000):
            await stream.send(b"x" * 65_536)

    async def run() -> None:
        async with served(endless) as server:
            url = f"http://127.0.0.1:{server.port}/DL1.pdf"
            with pytest.raises(UnreadableReplyError, match="larger than"):
                await local(max_size=300_000).download(LABEL, url, tmp_path / "label.pdf")
        assert names_in(tmp_path) == []

    in_turn(run, backend)


@on_both
def test_file_that_is_cut_off_leaves_nothing(tmp_path: Path, backend: str) -> None:
    async def run() -> None:
        async with served(http(PDF, content_length=str(len(PDF) + 1))) as server:
            with pytest.raises(NoReplyError, match="was not complete") as caught:
                await fetched(server, tmp_path / "label.pdf")
        assert caught.value.transient is True
        assert names_in(tmp_path) == []

    in_turn(run, backend)


async def _stalled(stream: ByteStream) -> None:
    await stream.send(http(PDF, content_length="100000"))
    await anyio.sleep(60)


@on_both
def test_file_that_takes_too_long_is_given_up(tmp_path: Path, backend: str) -> None:
    async def run() -> None:
        async with served(_stalled) as server:
            url = f"http://127.0.0.1:{server.port}/DL1.pdf"
            with pytest.raises(NoReplyError, match=r"within 0\.2 s"):
                await local(seconds=0.2).download(LABEL, url, tmp_path / "label.pdf")
        assert names_in(tmp_path) == []

    in_turn(run, backend)


@on_both
def test_download_that_is_cancelled_leaves_nothing(tmp_path: Path, backend: str) -> None:
    async def run() -> None:
        async with served(_stalled) as server, anyio.create_task_group() as group:
            group.start_soon(fetched, server, tmp_path / "label.pdf")
            for _ in range(1000):
                if names_in(tmp_path):
                    break
                await anyio.sleep(0.005)
            assert [name.endswith(".part") for name in names_in(tmp_path)] == [True]
            group.cancel_scope.cancel()
        assert names_in(tmp_path) == []

    in_turn(run, backend)


class CancellingNetwork(httpcore.AsyncMockBackend):
    """Cancels a scope at the moment a connection is made, and notes whether that is closed."""

    def __init__(self, scope: anyio.CancelScope) -> None:
        self.scope = scope
        self.is_open = False

    async def connect_tcp(self, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
        network = self

        class Stream(httpcore.AsyncMockStream):
            async def aclose(self) -> None:
                await checkpoint()
                network.is_open = False

        self.is_open = True
        self.scope.cancel()
        return Stream([])


@on_both
def test_connection_made_as_its_download_is_cancelled_is_closed(
    tmp_path: Path, backend: str
) -> None:
    async def run() -> None:
        scope = anyio.CancelScope()
        network = CancellingNetwork(scope)
        with scope:
            url = "http://127.0.0.1:8080/DL1.pdf"
            await local(network=lambda: network).download(LABEL, url, tmp_path / "label.pdf")
        assert (scope.cancelled_caught, network.is_open) == (True, False)

    in_turn(run, backend)


@pytest.mark.fault("S04")
@pytest.mark.asyncio
async def test_file_that_is_packed_is_refused(tmp_path: Path) -> None:
    async with served(http(PDF, content_encoding="gzip")) as server:
        with pytest.raises(UnreadableReplyError, match="unexpected Content-Encoding"):
            await fetched(server, tmp_path / "label.pdf")


@pytest.mark.parametrize(
    ("status", "kind", "outcome", "transient"),
    [
        (403, RefusedError, Outcome.REJECTED, False),
        (404, RefusedError, Outcome.REJECTED, False),
        (206, RefusedError, Outcome.REJECTED, False),
        (429, ThrottledError, Outcome.NOT_SENT, True),
        (503, ServerError, Outcome.UNKNOWN, True),
    ],
)
@pytest.mark.asyncio
async def test_response_that_is_no_file_has_advice(
    tmp_path: Path,
    status: int,
    kind: type[ClickPostError],
    outcome: Outcome,
    transient: bool,
) -> None:
    async with served(http(PDF, status)) as server:
        with pytest.raises(kind, match=f"HTTP {status}") as caught:
            await fetched(server, tmp_path / "label.pdf")
    assert type(caught.value) is kind
    assert (caught.value.outcome, caught.value.transient) == (outcome, transient)
    assert caught.value.endpoint == "labels.download"
    assert names_in(tmp_path) == []


# --- the file -------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_existing_file_is_kept_unless_overwrite_is_set(tmp_path: Path) -> None:
    path = tmp_path / "label.pdf"
    path.write_text("kept")
    async with served(http(PDF)) as server:
        with pytest.raises(InvalidRequestError, match="overwrite=True"):
            await fetched(server, path)
        assert (path.read_text(), server.asked) == ("kept", [])
        await fetched(server, path, overwrite=True)
    assert path.read_bytes() == PDF
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.asyncio
async def test_file_that_turns_up_meanwhile_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "label.pdf"

    async def meanwhile(stream: ByteStream) -> None:
        path.write_text("kept")
        await stream.send(http(PDF))

    async with served(meanwhile) as server:
        with pytest.raises(InvalidRequestError, match="overwrite=True"):
            await fetched(server, path)
    assert path.read_text() == "kept"
    assert names_in(tmp_path) == ["label.pdf"]


@pytest.mark.fault("S04")
@pytest.mark.parametrize("there", [True, False])
@pytest.mark.asyncio
async def test_link_is_never_followed(tmp_path: Path, there: bool) -> None:
    victim, path = tmp_path / "victim", tmp_path / "label.pdf"
    if there:
        victim.write_text("kept")
    path.symlink_to(victim)
    async with served(http(PDF)) as server:
        with pytest.raises(InvalidRequestError, match="overwrite=True"):
            await fetched(server, path)
        await fetched(server, path, overwrite=True)
    assert not path.is_symlink()
    assert path.read_bytes() == PDF
    assert victim.exists() is there
    assert not there or victim.read_text() == "kept"


@pytest.mark.asyncio
async def test_unwritable_path_is_refused_before_any_request(
    tmp_path: Path,
) -> None:
    async with served(http(PDF)) as server:
        with pytest.raises(InvalidRequestError, match="is a directory"):
            await fetched(server, tmp_path, overwrite=True)
        with pytest.raises(InvalidRequestError, match="directory does not exist"):
            await fetched(server, tmp_path / "none" / "label.pdf")
    assert server.asked == []


# --- secrets --------------------------------------------------------------------------------------


def _text_of(error: BaseException) -> str:
    return "".join([*traceback.format_exception(error), repr(error), repr(pickle.dumps(error))])


@pytest.mark.parametrize(
    "response",
    [
        http(PDF, 403),
        http(PDF, 503),
        http(b"<html>"),
        http(PDF, content_length="9999999"),
        http(PDF, content_length="9" * 5000),
        moved("https://labels.example/?X-Amz-Signature=not-to-be-seen"),
        b"nonsense\r\n\r\n",
    ],
)
@pytest.mark.asyncio
async def test_no_error_shows_the_signature_of_a_url(tmp_path: Path, response: bytes) -> None:
    async with served(response) as server:
        url = f"http://127.0.0.1:{server.port}/DL1.pdf?X-Amz-Signature=not-to-be-seen"
        with pytest.raises(ClickPostError) as caught:
            await local().download(LABEL, url, tmp_path / "label.pdf")
    assert "not-to-be-seen" in server.asked[0]
    assert "not-to-be-seen" not in _text_of(caught.value)
    assert caught.value.__context__ is None
