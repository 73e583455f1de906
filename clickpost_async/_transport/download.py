"""Downloads labels and reports, from wherever an answer says they are.

There is no key here, no cookie, and nothing of the client that calls ClickPost. Errors name the
host and never the rest of a URL, which carries a signature. A file appears whole or not at all.
"""

import os
import secrets
import ssl
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpcore
from anyio import to_thread
from attrs import field, frozen

from clickpost_async._transport.links import (
    Link,
    Pinned,
    Resolve,
    addresses_of,
    link_of,
    refuse,
    resolved,
)
from clickpost_async._transport.tls import verified
from clickpost_async._wire.files import HEAD, Download, Kind, kind_of
from clickpost_async.errors import (
    ClickPostError,
    NoReplyError,
    NotSentError,
    RefusedError,
    ServerError,
    ThrottledError,
    UnreadableReplyError,
)
from clickpost_async.settings import FILE_HOSTS

_LARGEST = 20 * 2**20
_REDIRECTS = 2
_TIMEOUTS = {"connect": 10.0, "write": 10.0, "read": 30.0}


@frozen(kw_only=True)
class Downloader:
    """Downloads files from the hosts it is told, and from nowhere else.

    `hosts` are names whose sub-domains count too. `loopback` lets a sandbox on this machine be
    asked, also in plain http. `seconds` bounds a whole download, `largest` its bytes.
    """

    hosts: Sequence[str] = FILE_HOSTS
    loopback: bool = False
    largest: int = _LARGEST
    seconds: float = 120.0
    verify: ssl.SSLContext | None = None
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
        link: Link | None = None
        for _ in range(_REDIRECTS + 1):
            link = link_of(url, hosts=self.hosts, loopback=self.loopback, before=link)
            async with self._asked(link) as response:
                location = _redirect(response)
                if location is None:
                    _check_answer(link, response, self.largest)
                    return await self._save(download, response, path, overwrite=overwrite)
            url = location
        message = f"redirected more than {_REDIRECTS} times"
        raise RefusedError(message)

    @asynccontextmanager
    async def _asked(self, link: Link) -> AsyncGenerator[httpcore.Response, None]:
        scheme, host = link.scheme.encode("ascii"), link.host.encode("ascii")
        addresses = await addresses_of(link, self.resolve)
        connection = httpcore.AsyncHTTPConnection(
            origin=httpcore.Origin(scheme, host, link.port),
            ssl_context=(self.verify or verified()) if link.scheme == "https" else None,
            network_backend=Pinned(addresses, self.network),
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
        async with _body(response) as chunks:
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


@asynccontextmanager
async def _body(
    response: httpcore.Response,
) -> AsyncGenerator[AsyncIterator[bytes], None]:
    """Read an answer's body, which may be left early."""
    assert isinstance(response.stream, AsyncIterable)  # noqa: S101 - narrows httpcore's type
    chunks = aiter(response.stream)
    try:
        yield chunks
    finally:
        # httpcore's generators cannot all be closed from here, and trio warns of those that are
        # left standing; over a closed connection they come to their end by themselves.
        with anyio.CancelScope(shield=True), suppress(*_EXCHANGING):
            await response.aclose()
            async for _ in chunks:
                pass


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


def _check_answer(link: Link, response: httpcore.Response, largest: int) -> None:
    status = response.status
    if status == 200:
        packed = _header(response, b"content-encoding")
        if packed is not None and packed.lower() != "identity":
            message = "the file is packed in a way that was not asked for"
            raise UnreadableReplyError(message, http_status=status, transient=False)
        length = _header(response, b"content-length") or ""
        _check_size(int(length) if length.isdecimal() else 0, largest)
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
        refuse("path", "there is no such directory; make it first")
    if path.is_dir():
        refuse("path", "is a directory; give the name of the file to be made")
    if not overwrite and os.path.lexists(path):
        refuse("path", _TAKEN)


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
        refuse("path", _TAKEN)
    part.replace(path)
