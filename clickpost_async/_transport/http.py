"""One attempt: a call out, its answer in, and an honest word on how far it got.

The key is put in here and nowhere above. Exceptions are made anew outside the `except` block, so
that neither their chain nor their tracebacks lead to a frame that has seen it.
"""

import errno
import ssl
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import httpx

from clickpost_async._transport.keyring import Keyring
from clickpost_async._wire.decode import retry_after
from clickpost_async._wire.messages import Request, Response
from clickpost_async.errors import (
    ClickPostError,
    NoReplyError,
    NotSentError,
    Trouble,
    UnreadableReplyError,
)
from clickpost_async.settings import Hosts, Timeouts

_LARGEST = 2 * 2**20
_HEADERS = {
    "Accept": "application/json",
    # The only encoding that can be unpacked in bounded steps with the standard library; a brotli
    # bomb of 1.5 kB is 1 GB in its first step.
    "Accept-Encoding": "gzip",
    "User-Agent": "clickpost_async",
}


class Progress:
    """How far an attempt got, told by httpcore's trace: `left` once its first byte may have.

    A transport that tells nothing may have sent everything once the call was handed to it.
    """

    __slots__ = ("_sending", "handed_over", "traced")

    def __init__(self) -> None:
        self.handed_over = False
        self.traced = False
        self._sending = False

    @property
    def left(self) -> bool:
        return self._sending if self.traced else self.handed_over

    async def trace(self, name: str, info: dict[str, Any]) -> None:
        self.traced = True
        if name.endswith("send_request_headers.started"):
            self._sending = True
        # httpcore writes `info` to its DEBUG log next. An answer's headers may repeat the query
        # (Location), and so may the words of an error about them.
        info.pop("return_value", None)
        if "exception" in info:
            info["exception"] = type(info["exception"]).__name__


class Sender:
    """Sends signed calls over any httpx transport."""

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport,
        keyring: Keyring,
        hosts: Hosts,
        timeouts: Timeouts,
    ) -> None:
        self._transport = transport
        self._keyring = keyring
        self._hosts = hosts
        self._timeouts = timeouts

    def with_timeouts(self, timeouts: Timeouts) -> "Sender":
        """Return a sender over the same connections with other timeouts."""
        return Sender(self._transport, self._keyring, self._hosts, timeouts)

    async def send(self, request: Request, progress: Progress) -> Response:
        """Send one attempt; raises `NotSentError`, `NoReplyError` or `UnreadableReplyError`."""
        failure: ClickPostError
        try:
            with anyio.move_on_after(self._timeouts.total):
                return await self._exchange(request, progress)
            failure = self._lost(
                request, progress, f"no whole answer within {self._timeouts.total:g} s"
            )
        except ClickPostError as error:
            failure = error
        except Exception as error:  # noqa: BLE001 - transports have leaked OSError, ssl and others
            failure = self._translated(request, progress, error)
        except BaseException as error:  # noqa: BLE001 - it is raised again
            # A cancellation passes, but not with the frames it has passed through.
            error.__context__ = None
            raise error.with_traceback(None) from None
        # What damaged gzip was raised in has seen the answer as it came.
        failure.__context__ = None
        raise failure.with_traceback(None)

    async def _exchange(self, request: Request, progress: Progress) -> Response:
        key = await self._keyring.key()
        target, body = self._keyring.sign(request.target, request.body, request.auth, key)
        timeouts = self._timeouts
        sent = httpx.Request(
            request.method,
            self._hosts.base(request.host) + target,
            headers=_HEADERS if body is None else _HEADERS | {"Content-Type": "application/json"},
            content=body,
            extensions={
                "timeout": {
                    "connect": timeouts.connect,
                    "write": timeouts.write,
                    "read": timeouts.create if request.patient else timeouts.read,
                    "pool": timeouts.connect,
                },
                "trace": progress.trace,
            },
        )
        progress.handed_over = True
        response = await self._transport.handle_async_request(sent)
        try:
            unpacked = await _unpacked(response)
        finally:
            with anyio.CancelScope(shield=True):
                await _close(response)
        return Response(
            http_status=response.status_code,
            body=self._keyring.scrub(unpacked, key),
            retry_after=retry_after(
                response.headers.get("retry-after"), response.headers.get("date")
            ),
        )

    def _translated(self, request: Request, progress: Progress, error: Exception) -> ClickPostError:
        kind = type(error).__name__
        certificate = _certificate_fault(error)
        if certificate:
            return NotSentError(
                f"the server's certificate was refused: {certificate}",
                transient=False,
                endpoint=request.label,
                reference_number=request.reference_number,
            )
        failure: ClickPostError
        if not progress.left or (not progress.traced and isinstance(error, _UNSENT)):
            failure = NotSentError(
                f"the call did not leave: {kind}",
                transient=not isinstance(error, _HOPELESS),
                endpoint=request.label,
                reference_number=request.reference_number,
            )
        else:
            failure = self._lost(request, progress, f"no answer came: {kind}")
        failure.trouble = _trouble(error)
        return failure

    def _lost(self, request: Request, progress: Progress, message: str) -> ClickPostError:
        kind = NoReplyError if progress.left else NotSentError
        return kind(message, endpoint=request.label, reference_number=request.reference_number)


# What httpx raises before the first byte, for transports that tell nothing of their progress.
_UNSENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
    httpx.LocalProtocolError,
)


# What cannot be sent now cannot be sent later.
_HOPELESS = (httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.LocalProtocolError)

# What an operating system answers when it has no socket, port or memory left to give.
_NO_ROOM = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL, errno.EAGAIN}
)


def _trouble(error: Exception) -> Trouble | None:
    if isinstance(error, httpx.PoolTimeout) or any(
        isinstance(one, OSError) and one.errno in _NO_ROOM for one in _chain(error)
    ):
        return Trouble.CROWDED
    return None if isinstance(error, httpx.HTTPError) else Trouble.UNFORESEEN


def _certificate_fault(error: BaseException) -> str | None:
    return next(
        (
            one.verify_message
            for one in _chain(error)
            if isinstance(one, ssl.SSLCertVerificationError)
        ),
        None,
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Go through an error and what was behind it; a ring ends after a few rounds."""
    found: BaseException | None = error
    for _ in range(8):
        if found is None:
            return
        yield found
        found = found.__cause__ or found.__context__


async def _unpacked(response: httpx.Response) -> bytes:
    """Read a body that may be packed, never holding more than it may unpack to."""
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip", ""):
        message = "the answer is packed in a way that was not asked for"
        raise UnreadableReplyError(message, http_status=response.status_code)
    unpacker = zlib.decompressobj(31) if "gzip" in encoding else None
    pieces: list[bytes] = []
    size = 0
    assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101 - narrows httpx's type
    with _bad_gzip_is_unreadable(response):
        async for chunk in response.stream:
            piece = chunk if unpacker is None else unpacker.decompress(chunk, _LARGEST + 1 - size)
            size += len(piece)
            if size > _LARGEST or (unpacker is not None and unpacker.unconsumed_tail):
                message = f"the answer is larger than {_LARGEST} bytes"
                raise UnreadableReplyError(message, http_status=response.status_code)
            pieces.append(piece)
        if unpacker is not None and size and not unpacker.eof:
            message = "cut off"
            raise zlib.error(message)
    return b"".join(pieces)


@contextmanager
def _bad_gzip_is_unreadable(response: httpx.Response) -> Generator[None]:
    try:
        yield
    except zlib.error:
        message = "the answer's gzip is damaged"
        raise UnreadableReplyError(message, http_status=response.status_code) from None


async def _close(response: httpx.Response) -> None:
    if isinstance(response.stream, httpx.AsyncByteStream):
        await response.stream.aclose()
