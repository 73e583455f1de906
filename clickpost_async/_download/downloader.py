"""Downloads labels and reports from the URLs in responses.

Requests carry no key and no cookie. Errors name the host and never the rest of a URL, which carries
a signature. A file appears complete or not at all.

Connections go to addresses that were checked before. A transport of the user, for its proxy or its
certificates, resolves the names itself; the hosts are checked all the same.
"""

import os
import secrets
import ssl
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Generator,
    Sequence,
)
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Self

import anyio
import httpcore
from anyio import to_thread
from attrs import frozen

from clickpost_async._codec.file_types import HEAD, Download, FileType, kind_of
from clickpost_async._download.url_guard import (
    CheckedURL,
    PinnedAddressBackend,
    Resolve,
    check_url,
    refuse,
    resolve,
    resolve_public,
)
from clickpost_async._http.adapter import Fetched, Fetcher, StepTimeouts, address
from clickpost_async._http.connection_errors import not_sent, reason_of
from clickpost_async._http.httpcore_stream import TrackingBackend
from clickpost_async._http.httpx_exceptions import failure_of
from clickpost_async._http.response_reader import codings_of
from clickpost_async._http.tls import verifying_context
from clickpost_async._util.private_files import open_private
from clickpost_async.errors import (
    ClickPostError,
    FailureKind,
    NoReplyError,
    RefusedError,
    ServerError,
    ThrottledError,
    UnreadableReplyError,
)
from clickpost_async.settings import FILE_HOSTS

_MAX_SIZE = 20 * 2**20
_REDIRECTS = 2
_HEADERS = (
    ("Accept", "*/*"),
    ("Accept-Encoding", "identity"),
    ("Connection", "close"),
    ("User-Agent", "clickpost_async"),
)
_TIMEOUTS = StepTimeouts(connect=10.0, write=10.0, read=30.0)


@frozen(kw_only=True)
class Downloader:
    """Downloads files from allowed hosts only.

    `hosts` are domains, whose sub-domains are allowed too. `loopback` allows a sandbox on this
    machine, also in plain http; `plain_http` is the host and port of one elsewhere. `through`
    requests files instead of the network. `seconds` bounds a whole download, `max_size` its bytes.
    `network` makes the network backend of one connection.
    """

    hosts: Sequence[str] = FILE_HOSTS
    loopback: bool = False
    plain_http: str | None = None
    through: Fetcher | None = None
    max_size: int = _MAX_SIZE
    seconds: float = 120.0
    verify: ssl.SSLContext | None = None
    resolve: Resolve = resolve
    network: Callable[[], httpcore.AsyncNetworkBackend] = TrackingBackend

    async def download(
        self, download: Download, url: str, path: Path, *, overwrite: bool = False
    ) -> Path:
        """Download a file to `path`, completely or not at all, and return the path.

        Raises:
            InvalidRequestError: The URL is not allowed, or the path cannot be written.
            ClickPostError: The download failed.

        """
        failure: ClickPostError
        try:
            with anyio.move_on_after(self.seconds):
                await to_thread.run_sync(partial(_check_place, path, overwrite=overwrite))
                await self._follow(download, url, path, overwrite=overwrite)
                return path
            failure = NoReplyError(f"the download was not complete within {self.seconds:g} s")
        except ClickPostError as error:
            failure = error
        except _NetworkError as error:
            failure = error.failure()
        failure.endpoint = download.name
        raise failure

    async def _follow(self, download: Download, url: str, path: Path, *, overwrite: bool) -> None:
        link: CheckedURL | None = None
        for _ in range(_REDIRECTS + 1):
            link = check_url(
                url,
                hosts=self.hosts,
                loopback=self.loopback,
                plain_http=self.plain_http,
                before=link,
            )
            async with self._request(link) as response:
                location = _redirect(response)
                if location is None:
                    _check_response(link, response, self.max_size)
                    return await self._save(download, link, response, path, overwrite=overwrite)
            url = location
        message = f"redirected more than {_REDIRECTS} times"
        raise RefusedError(message)

    @asynccontextmanager
    async def _request(self, link: CheckedURL) -> AsyncGenerator[Fetched, None]:
        if self.through is not None:
            with _network(link):
                response = await self.through.fetch(link.url, _HEADERS, _TIMEOUTS)
        else:
            response = await self._connect_pinned(link)
        try:
            yield response
        finally:
            with anyio.CancelScope(shield=True):
                await response.aclose()

    async def _connect_pinned(self, link: CheckedURL) -> Fetched:
        """Send the request to one of the host's addresses, after all were checked."""
        scheme, host = link.scheme.encode("ascii"), link.host.encode("ascii")
        addresses = await resolve_public(link, self.resolve)
        connection = httpcore.AsyncHTTPConnection(
            origin=httpcore.Origin(scheme, host, link.port),
            ssl_context=(self.verify or verifying_context()) if link.scheme == "https" else None,
            network_backend=PinnedAddressBackend(addresses, self.network()),
        )
        headers = (("Host", link.authority), *_HEADERS)
        request = httpcore.Request(
            method=b"GET",
            url=httpcore.URL(scheme=scheme, host=host, port=link.port, target=link.target),
            headers=[(name.encode("ascii"), value.encode("ascii")) for name, value in headers],
            extensions={"timeout": _TIMEOUTS.as_extension()},
        )
        try:
            with _network(link):
                response = await connection.handle_async_request(request)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await connection.aclose()
            raise
        stream = response.stream
        assert isinstance(stream, AsyncIterable)  # noqa: S101 - narrows httpcore's type
        return Fetched(response.status, response.headers, stream, connection.aclose)

    async def _save(
        self,
        download: Download,
        link: CheckedURL,
        response: Fetched,
        path: Path,
        *,
        overwrite: bool,
    ) -> None:
        async with _body(link, response) as chunks:
            head = b""
            async for chunk in chunks:
                head += chunk
                _check_size(len(head), self.max_size)
                if len(head) >= HEAD:
                    break
            _check_kind(download, kind_of(head[:HEAD]))
            part = path.with_name(f".{secrets.token_hex(16)}.part")
            try:
                async with await anyio.open_file(part, "xb", opener=open_private) as file:
                    size = await file.write(head)
                    async for chunk in chunks:
                        size += len(chunk)
                        _check_size(size, self.max_size)
                        await file.write(chunk)
                await to_thread.run_sync(partial(_put, part, path, overwrite=overwrite))
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.Path(part).unlink(missing_ok=True)


@asynccontextmanager
async def _body(link: CheckedURL, response: Fetched) -> AsyncGenerator[AsyncIterator[bytes], None]:
    """Yield the pieces of a response's body; the block may end before the last one."""
    chunks = aiter(response.stream)
    try:
        yield _ResponseFile(link, chunks)
    finally:
        # Generators of HTTP libraries cannot all be closed from here, and trio warns of unfinished
        # ones; on a closed connection they finish by themselves.
        with anyio.CancelScope(shield=True), suppress(Exception):
            await response.aclose()
            for _ in range(_LEFT_OVER):
                await anext(chunks)


# Pieces that may still be read after a connection was closed.
_LEFT_OVER = 8


class _ResponseFile:
    """The pieces of a body; not a generator, since trio warns of one that is not finished."""

    def __init__(self, link: CheckedURL, chunks: AsyncIterator[bytes]) -> None:
        self._link = link
        self._chunks = chunks

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        with _network(self._link):
            return await anext(self._chunks)


# --- checks of the response -----------------------------------------------------------------------


class _NetworkError(Exception):
    """A failure of the network or the HTTP library, as opposed to one of our own checks."""

    def __init__(self, link: CheckedURL, error: Exception) -> None:
        super().__init__()
        self._where = address(link.host, link.port)
        self._error = error

    def failure(self) -> ClickPostError:
        """Return the error to raise, whose traceback has no frame with the URL."""
        reason = reason_of(self._error, self._where)
        if reason.final or failure_of(self._error) in _UNCONNECTED:
            return not_sent(reason, self._where)
        failure = NoReplyError(f"the download was not complete: {reason.text}")
        failure.__cause__ = reason.cause
        return failure


_UNCONNECTED = (FailureKind.NOT_SENT, FailureKind.NOT_SENDABLE, FailureKind.LOCAL_RESOURCES)


@contextmanager
def _network(link: CheckedURL) -> Generator[None]:
    try:
        yield
    except (ClickPostError, StopAsyncIteration):
        raise
    except Exception as error:  # transports have leaked OSError, ssl and others
        raise _NetworkError(link, error) from error


def _header(response: Fetched, name: bytes) -> str | None:
    found = (value for key, value in response.headers if key.lower() == name)
    value = next(found, None)
    return None if value is None else value.decode(errors="replace").strip()


def _redirect(response: Fetched) -> str | None:
    if response.status not in (301, 302, 303, 307, 308):
        return None
    location = _header(response, b"location")
    if location is None:
        message = "redirect without a Location header"
        raise UnreadableReplyError(message, http_status=response.status)
    return location


def _check_response(link: CheckedURL, response: Fetched, max_size: int) -> None:
    status = response.status
    if status == 200:
        if codings := codings_of(_header(response, b"content-encoding") or ""):
            message = f"unexpected Content-Encoding of the file: {', '.join(codings)}"
            raise UnreadableReplyError(message, http_status=status, transient=False)
        length = _header(response, b"content-length") or ""
        _check_size(int(length) if length.isdecimal() else 0, max_size)
        return
    context: dict[str, Any] = {"http_status": status}
    if status == 429:
        message = f"{link.host} received too many requests (HTTP 429)"
        raise ThrottledError(message, **context)
    if status >= 500:
        message = f"{link.host} failed (HTTP {status})"
        raise ServerError(message, **context)
    message = (
        f"{link.host} rejected the download (HTTP {status});"
        " the URL may have expired, request a new one from ClickPost"
    )
    raise RefusedError(message, **context)


def _check_size(size: int, max_size: int) -> None:
    if size > max_size:
        message = f"the file is larger than {max_size} bytes"
        raise UnreadableReplyError(message, transient=False)


def _check_kind(download: Download, kind: FileType | None) -> None:
    if kind not in download.kinds:
        wanted = " or ".join(sorted(one.value for one in download.kinds))
        received = kind.value if kind else "something else, such as an error page"
        message = f"expected {wanted}, received {received}"
        raise UnreadableReplyError(message, transient=False)


# --- local files ----------------------------------------------------------------------------------


def _check_place(path: Path, *, overwrite: bool) -> None:
    if not path.parent.is_dir():
        refuse("path", "the directory does not exist; create it first")
    if path.is_dir():
        refuse("path", "is a directory; pass the path of a file")
    if not overwrite and os.path.lexists(path):
        refuse("path", _ALREADY_EXISTS)


_ALREADY_EXISTS = "the file already exists; choose another name, or pass overwrite=True"


def _put(part: Path, path: Path, *, overwrite: bool) -> None:
    """Rename a complete file; a link with its name is replaced, never followed."""
    if overwrite:
        part.replace(path)
        return
    try:
        os.close(open_private(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        refuse("path", _ALREADY_EXISTS)
    part.replace(path)
