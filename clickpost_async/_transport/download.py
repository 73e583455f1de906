"""Downloads labels and reports, from wherever an answer says they are.

Such a URL is somebody else's word, so it is held to a short list of hosts, every address of the
host has to be a public one, and the connection goes to the very address that was checked while the
certificate is checked against the name. There is no key here, no cookie, and nothing of the client
that calls ClickPost. Errors name the host and never the rest of a URL, which carries a signature.
"""

import ipaddress
import os
import re
import secrets
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Never
from urllib.parse import quote, urljoin, urlsplit

import anyio
import httpcore
from anyio import to_thread
from attrs import field, frozen

from clickpost_async._transport.pool import _verified
from clickpost_async._wire.files import HEAD, Download, Kind, kind_of
from clickpost_async.errors import (
    ClickPostError,
    InvalidRequestError,
    NoReplyError,
    NotSentError,
    Problem,
    RefusedError,
    ServerError,
    ThrottledError,
    UnreadableReplyError,
)

# Where labels and reports have been seen to lie: S3, and ClickPost's own hosts.
HOSTS = ("amazonaws.com", "clickpost.in")

_LARGEST = 20 * 2**20
_REDIRECTS = 2
_TIMEOUTS = {"connect": 10.0, "write": 10.0, "read": 30.0}
_PORTS = {"http": 80, "https": 443}

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


async def resolved(host: str, port: int) -> Sequence[str]:
    """Look up all addresses of a host."""
    found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


@frozen
class _Link:
    """A URL that may be followed; only its host is ever shown."""

    host: str
    port: int
    secure: bool
    local: bool
    target: str = field(repr=False)

    @property
    def scheme(self) -> str:
        return "https" if self.secure else "http"

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


@frozen(kw_only=True)
class Downloader:
    """Downloads files from the hosts it is told, and from nowhere else.

    `hosts` are names whose sub-domains count too. `loopback` lets a sandbox on this machine be
    asked, also in plain http. `seconds` bounds a whole download, `largest` its bytes.
    """

    hosts: Sequence[str] = HOSTS
    loopback: bool = False
    largest: int = _LARGEST
    seconds: float = 120.0
    verify: ssl.SSLContext = field(factory=_verified)
    resolve: Resolve = resolved
    # pyright reads httpcore's stand-in for a missing anyio.
    network: httpcore.AsyncNetworkBackend = field(
        factory=httpcore.AnyIOBackend  # pyright: ignore[reportAssignmentType]
    )

    async def download(
        self, download: Download, url: str, path: Path, *, overwrite: bool = False
    ) -> Path:
        """Download a file whole, or not at all, and return its path."""
        failure: ClickPostError
        try:
            with anyio.move_on_after(self.seconds):
                await to_thread.run_sync(partial(_check_place, path, overwrite=overwrite))
                await self._follow(download, url, path, overwrite=overwrite)
                return path
            failure = NoReplyError(f"the file did not come whole within {self.seconds:g} s")
        except ClickPostError as error:
            failure = error
        except _CONNECTING as error:
            failure = _unreached(error)
        except _EXCHANGING as error:
            failure = NoReplyError(f"the file did not come whole: {type(error).__name__}")
        failure.endpoint = download.name
        raise failure

    async def _follow(self, download: Download, url: str, path: Path, *, overwrite: bool) -> None:
        local = self.loopback
        for hop in range(_REDIRECTS + 1):
            link = self._link(url, "redirect" if hop else "url", local=local)
            async with self._asked(link) as response:
                location = _redirect(response)
                if location is None:
                    _check_answer(link, response, self.largest)
                    return await self._save(download, response, path, overwrite=overwrite)
            url = urljoin(f"{link.scheme}://{link.authority}{link.target}", location)
            local = link.local
        message = f"redirected more than {_REDIRECTS} times"
        raise RefusedError(message)

    def _link(self, url: str, name: str, *, local: bool) -> _Link:
        """Check a URL; `local` is whether it may lead to this machine."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            _refuse(name, "cannot be read as a URL")
        if _CONTROL(url) or not _HOST(host) or parts.username is not None:
            _refuse(name, "a plain https URL is needed, with a host and without a user name")
        local = local and _is_loopback(host)
        if parts.scheme != "https" and not (parts.scheme == "http" and local):
            _refuse(name, "https is needed")
        if not local and port not in (None, 443):
            _refuse(name, "only the usual port of https is asked")
        if not local and not any(host == one or host.endswith(f".{one}") for one in self.hosts):
            known = ", ".join(self.hosts)
            _refuse(name, f"files are downloaded from {known} only, not from {host[:99]}")
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        return _Link(
            host=host,
            port=port or _PORTS[parts.scheme],
            secure=parts.scheme == "https",
            local=local,
            target=quote(target if target.startswith("/") else f"/{target}", safe=_PLAIN),
        )

    async def _addresses(self, link: _Link) -> Sequence[str]:
        """Resolve a host once, and check all that it resolves to."""
        try:
            addresses = await self.resolve(link.host, link.port)
        except (OSError, UnicodeError):
            addresses = ()
        if not addresses:
            message = f"{link.host} cannot be found"
            raise NotSentError(message)
        for address in addresses:
            if not (_is_loopback(address) if link.local else _is_public(address)):
                _refuse("url", f"{link.host} leads to an address that is not public")
        return addresses

    @asynccontextmanager
    async def _asked(self, link: _Link) -> AsyncGenerator[httpcore.Response, None]:
        scheme, host = link.scheme.encode("ascii"), link.host.encode("ascii")
        addresses = await self._addresses(link)
        connection = httpcore.AsyncHTTPConnection(
            origin=httpcore.Origin(scheme, host, link.port),
            ssl_context=self.verify if link.secure else None,
            network_backend=_Pinned(addresses, self.network),
        )
        request = httpcore.Request(
            method=b"GET",
            url=httpcore.URL(scheme=scheme, host=host, port=link.port, target=link.target),
            headers=[
                (b"Host", link.authority.encode("ascii")),
                (b"Accept", b"*/*"),
                (b"Accept-Encoding", b"identity"),
                (b"Connection", b"close"),
                (b"User-Agent", b"clickpost_async"),
            ],
            extensions={"timeout": _TIMEOUTS},
        )
        try:
            yield await connection.handle_async_request(request)
        finally:
            with anyio.CancelScope(shield=True):
                await connection.aclose()

    async def _save(
        self, download: Download, response: httpcore.Response, path: Path, *, overwrite: bool
    ) -> None:
        assert isinstance(response.stream, AsyncIterable)  # noqa: S101 - narrows httpcore's type
        chunks = aiter(response.stream)
        head = b""
        async for chunk in chunks:
            head += chunk
            _check_size(len(head), self.largest)
            if len(head) >= HEAD:
                break
        _check_kind(download, kind_of(head[:HEAD]))
        part = path.with_name(f".{secrets.token_hex(16)}.part")
        try:
            async with await anyio.open_file(part, "xb", opener=_private) as file:
                size = await file.write(head)
                async for chunk in chunks:
                    size += len(chunk)
                    _check_size(size, self.largest)
                    await file.write(chunk)
            await to_thread.run_sync(partial(_put, part, path, overwrite=overwrite))
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.Path(part).unlink(missing_ok=True)


class _Pinned(httpcore.AsyncNetworkBackend):
    """Connects to the addresses that were checked, whatever the name resolves to by now."""

    def __init__(self, addresses: Sequence[str], network: httpcore.AsyncNetworkBackend) -> None:
        self._addresses = addresses
        self._network = network

    async def connect_tcp(
        self,
        host: str,  # noqa: ARG002 - the name is for the certificate only
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        *others, last = self._addresses
        for address in others:
            try:
                return await self._network.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._network.connect_tcp(last, port, timeout, local_address, socket_options)


# --- where ----------------------------------------------------------------------------------------

# What a URL may have besides letters and digits; the rest is percent-encoded.
_PLAIN = "%/?:@!$&'()*+,;=~[]"
_CONTROL = re.compile(r"[\x00-\x1f\x7f\\]").search
_HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+", re.ASCII).fullmatch

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def _refuse(name: str, message: str) -> Never:
    raise InvalidRequestError.of([Problem(name, message)])


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_public(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        # An IPv4 address may be written in several kinds of IPv6; it is the one that counts.
        inner = found.ipv4_mapped or found.sixtofour
        if found in _NAT64:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is not None:
            return _is_public(str(inner))
    return found.is_global and not found.is_multicast


# --- what came ------------------------------------------------------------------------------------

_CONNECTING = (httpcore.ConnectError, httpcore.ConnectTimeout)
_EXCHANGING = (
    httpcore.NetworkError,
    httpcore.TimeoutException,
    httpcore.ProtocolError,
    ssl.SSLError,
)


def _unreached(error: Exception) -> ClickPostError:
    cause = error.__cause__
    if isinstance(cause, ssl.SSLCertVerificationError):
        message = f"the server's certificate was refused: {cause.verify_message}"
        return NotSentError(message, transient=False)
    return NotSentError(f"the server was not reached: {type(error).__name__}")


def _header(response: httpcore.Response, name: bytes) -> str | None:
    found = (value for key, value in response.headers if key.lower() == name)
    value = next(found, None)
    return None if value is None else value.decode(errors="replace").strip()


def _redirect(response: httpcore.Response) -> str | None:
    if response.status not in (301, 302, 303, 307, 308):
        return None
    location = _header(response, b"location")
    if location is None:
        message = "redirected without saying where to"
        raise UnreadableReplyError(message, http_status=response.status)
    return location


def _check_answer(link: _Link, response: httpcore.Response, largest: int) -> None:
    status = response.status
    if status == 200:
        packed = _header(response, b"content-encoding")
        if packed is not None and packed.lower() != "identity":
            message = "the file is packed in a way that was not asked for"
            raise UnreadableReplyError(message, http_status=status, transient=False)
        length = _header(response, b"content-length") or ""
        _check_size(int(length) if length.isascii() and length.isdigit() else 0, largest)
        return
    facts: dict[str, Any] = {"http_status": status}
    if status == 429:
        message = f"{link.host} gets too many calls (HTTP 429)"
        raise ThrottledError(message, **facts)
    if status >= 500:
        message = f"{link.host} failed (HTTP {status})"
        raise ServerError(message, **facts)
    message = (
        f"{link.host} does not give the file out (HTTP {status});"
        " its URL may have expired, ask ClickPost for a new one"
    )
    raise RefusedError(message, **facts)


def _check_size(size: int, largest: int) -> None:
    if size > largest:
        message = f"the file is larger than {largest} bytes"
        raise UnreadableReplyError(message, transient=False)


def _check_kind(download: Download, kind: Kind | None) -> None:
    if kind not in download.kinds:
        wanted = " or ".join(sorted(one.value for one in download.kinds))
        came = kind.value if kind else "something else, such as a page that tells an error"
        message = f"{wanted} was expected, and {came} came"
        raise UnreadableReplyError(message, transient=False)


# --- here -----------------------------------------------------------------------------------------


def _check_place(path: Path, *, overwrite: bool) -> None:
    if not path.parent.is_dir():
        _refuse("path", "there is no such directory; make it first")
    if path.is_dir():
        _refuse("path", "is a directory; give the name of the file to be made")
    if not overwrite and os.path.lexists(path):
        _refuse("path", _TAKEN)


_TAKEN = "there is a file already; choose another name, or say overwrite=True"


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o600)


def _put(part: Path, path: Path, *, overwrite: bool) -> None:
    """Give a whole file its name; a link of that name is replaced, never followed."""
    if overwrite:
        part.replace(path)
        return
    try:
        os.close(_private(str(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        _refuse("path", _TAKEN)
    part.replace(path)
