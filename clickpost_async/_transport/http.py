"""One attempt: a call out, its answer in, and an honest word on how far it got.

The key is put in here and nowhere above. Exceptions are made anew outside the `except` block, so
that neither their chain nor their tracebacks lead to a frame that has seen it.
"""

import asyncio
import errno
import ssl
from collections.abc import Iterator

import anyio

from clickpost_async._transport.incoming import Incoming
from clickpost_async._transport.keyring import Keyring
from clickpost_async._transport.wire import Base, Fault, Limits, Outgoing, Progress, Wire
from clickpost_async._wire.decode import retry_after
from clickpost_async._wire.messages import Request, Response
from clickpost_async.errors import ClickPostError, NoReplyError, NotSentError, Trouble
from clickpost_async.settings import Host, Hosts, Timeouts


class Sender:
    """Sends signed calls over any wire."""

    def __init__(self, wire: Wire, keyring: Keyring, hosts: Hosts, timeouts: Timeouts) -> None:
        bases = {url: Base.parse(url) for url in map(hosts.base, Host)}
        self._wire = wire
        self._keyring = keyring
        self._bases = {host: bases[hosts.base(host)] for host in Host}
        self._limit(timeouts)

    def _limit(self, timeouts: Timeouts) -> None:
        self._total = timeouts.total
        self._limits = Limits(timeouts.connect, timeouts.write, timeouts.read)
        self._patient_limits = self._limits._replace(read=timeouts.create)

    def with_timeouts(self, timeouts: Timeouts) -> "Sender":
        """Return a sender over the same connections with other timeouts."""
        sender = object.__new__(Sender)
        sender._wire = self._wire
        sender._keyring = self._keyring
        sender._bases = self._bases
        sender._limit(timeouts)
        return sender

    async def send(self, request: Request, progress: Progress) -> Response:
        """Send one attempt; raises `NotSentError`, `NoReplyError` or `UnreadableReplyError`."""
        failure: ClickPostError
        try:
            response = await self._in_time(request, progress)
            if response is not None:
                return response
            failure = self._lost(request, progress, f"no whole answer within {self._total:g} s")
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

    async def _in_time(self, request: Request, progress: Progress) -> Response | None:
        """Return the answer, or nothing if the time for the whole attempt is over."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            with anyio.move_on_after(self._total):
                return await self._exchange(request, progress)
            return None
        # As anyio's, at a third of its cost.
        limit = asyncio.timeout(self._total)
        try:
            async with limit:
                return await self._exchange(request, progress)
        except TimeoutError:
            if not limit.expired():
                raise
        return None

    async def _exchange(self, request: Request, progress: Progress) -> Response:
        keyring = self._keyring
        key = await keyring.key()
        target, body, signature = keyring.sign(request.target, request.body, request.auth, key)
        limits = self._patient_limits if request.patient else self._limits
        answer = Incoming()
        base = self._bases[request.host]
        call = Outgoing(request.method, base, target, body, limits, signature)
        await self._wire.send(call, progress, answer)
        headers = answer.headers
        return Response(
            http_status=answer.status,
            body=keyring.scrub(answer.whole(), key),
            retry_after=retry_after(headers.get("retry-after"), headers.get("date")),
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
        fault = self._wire.fault(error)
        failure: ClickPostError
        if not progress.left or (not progress.proven and fault in _UNSENT):
            failure = NotSentError(
                f"the call did not leave: {kind}",
                transient=fault is not Fault.HOPELESS,
                endpoint=request.label,
                reference_number=request.reference_number,
            )
        else:
            failure = self._lost(request, progress, f"no answer came: {kind}")
        failure.trouble = _trouble(error, fault)
        return failure

    def _lost(self, request: Request, progress: Progress, message: str) -> ClickPostError:
        kind = NoReplyError if progress.left else NotSentError
        return kind(message, endpoint=request.label, reference_number=request.reference_number)


# What proves that nothing left, of a wire that tells nothing of its progress.
_UNSENT = frozenset({Fault.UNSENT, Fault.HOPELESS, Fault.CROWDED})

# What an operating system answers when it has no socket, port or memory left to give.
_NO_ROOM = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL, errno.EAGAIN}
)


def _trouble(error: Exception, fault: Fault) -> Trouble | None:
    if fault is Fault.CROWDED or any(
        isinstance(one, OSError) and one.errno in _NO_ROOM for one in _chain(error)
    ):
        return Trouble.CROWDED
    return Trouble.UNFORESEEN if fault is Fault.UNFORESEEN else None


def _certificate_fault(error: BaseException) -> str | None:
    for one in _chain(error):
        # aiohttp wraps them in one of the same kind, which says nothing.
        if isinstance(one, ssl.SSLCertVerificationError) and hasattr(one, "verify_message"):
            return one.verify_message
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Go through an error and what was behind it; a ring ends after a few rounds."""
    found: BaseException | None = error
    for _ in range(8):
        if found is None:
            return
        yield found
        found = found.__cause__ or found.__context__
