"""One attempt: a call out, its answer in, and an honest word on how far it got.

The key is put in here and nowhere above. Exceptions are made anew outside the `except` block, so
that neither their chain nor their tracebacks lead to a frame that has seen it.
"""

import asyncio

import anyio

from clickpost_async._codec.messages import APIRequest, APIResponse
from clickpost_async._codec.response import retry_after
from clickpost_async._core.auth import Authenticator
from clickpost_async._http.adapter import (
    BaseURL,
    HTTPAdapter,
    HTTPRequest,
    SendProgress,
    StepTimeouts,
    TransportFailure,
)
from clickpost_async._http.connection_errors import (
    failure_kind_of,
    not_sent,
    proxy_reason,
    reason_of,
)
from clickpost_async._http.response_reader import ResponseReader
from clickpost_async.errors import ClickPostError, NoReplyError, NotSentError
from clickpost_async.settings import Host, Hosts, Timeouts


class AttemptSender:
    """Sends signed calls over any wire."""

    def __init__(
        self, wire: HTTPAdapter, keyring: Authenticator, hosts: Hosts, timeouts: Timeouts
    ) -> None:
        bases = {url: BaseURL.parse(url) for url in map(hosts.base, Host)}
        self._adapter = wire
        self._keyring = keyring
        self._bases = {host: bases[hosts.base(host)] for host in Host}
        self._limit(timeouts)

    def _limit(self, timeouts: Timeouts) -> None:
        self._total = timeouts.total
        self._limits = StepTimeouts(timeouts.connect, timeouts.write, timeouts.read)
        self._patient_limits = self._limits._replace(read=timeouts.create)

    def with_timeouts(self, timeouts: Timeouts) -> "AttemptSender":
        """Return a sender over the same connections with other timeouts."""
        sender = object.__new__(AttemptSender)
        sender._adapter = self._adapter
        sender._keyring = self._keyring
        sender._bases = self._bases
        sender._limit(timeouts)
        return sender

    async def send(self, request: APIRequest, progress: SendProgress) -> APIResponse:
        """Send one attempt; raises `NotSentError`, `NoReplyError` or `UnreadableReplyError`."""
        failure: ClickPostError
        try:
            response = await self._in_time(request, progress)
            if response is not None:
                return response
            failure = self._total_timeout(request, progress)
        except ClickPostError as error:
            failure = error
        except Exception as error:  # noqa: BLE001 - transports have leaked OSError, ssl and others
            failure = self._translate(request, progress, error)
        except BaseException as error:  # noqa: BLE001 - it is raised again
            # A cancellation passes, but not with the frames it has passed through.
            error.__context__ = None
            raise error.with_traceback(None) from None
        failure.endpoint = request.label
        failure.reference_number = request.reference_number
        # What damaged gzip was raised in has seen the answer as it came.
        failure.__context__ = None
        raise failure.with_traceback(None)

    async def _in_time(self, request: APIRequest, progress: SendProgress) -> APIResponse | None:
        """Return the answer, or nothing if the time for the whole attempt is over."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            with anyio.move_on_after(self._total):
                return await self._send_and_decode(request, progress)
            return None
        # As anyio's, at a third of its cost.
        limit = asyncio.timeout(self._total)
        try:
            async with limit:
                return await self._send_and_decode(request, progress)
        except TimeoutError:
            if not limit.expired():
                raise
        return None

    async def _send_and_decode(self, request: APIRequest, progress: SendProgress) -> APIResponse:
        keyring = self._keyring
        key = await keyring.key()
        target, body, signature = keyring.sign(request.target, request.body, request.auth, key)
        limits = self._patient_limits if request.is_create else self._limits
        answer = ResponseReader()
        base = self._bases[request.host]
        call = HTTPRequest(request.method, base, target, body, limits, signature)
        await self._adapter.send(call, progress, answer)
        if answer.status == _PROXY_REFUSED:
            reason = proxy_reason(answer.status)
            raise not_sent(reason, base.address, via=progress.via)
        headers = answer.headers
        return APIResponse(
            http_status=answer.status,
            body=keyring.redact_key(answer.body(), key),
            retry_after=retry_after(headers.get("retry-after"), headers.get("date")),
        )

    def _total_timeout(self, request: APIRequest, progress: SendProgress) -> ClickPostError:
        within = f"within {self._total:g} s"
        if progress.may_have_been_sent:
            return NoReplyError(f"no complete response from {self._where(request)} {within}")
        return NotSentError(f"the request was not sent {within}")

    def _translate(
        self, request: APIRequest, progress: SendProgress, error: Exception
    ) -> ClickPostError:
        where = self._where(request)
        fault = self._adapter.failure_of(error)
        reason = reason_of(error, where)
        unconnected = reason.final or fault in _UNSENT
        failure: ClickPostError
        if progress.may_have_been_sent and (progress.is_reliable or not unconnected):
            failure = NoReplyError(f"no complete response from {where}: {reason.text}")
            failure.__cause__ = reason.cause
        elif fault is TransportFailure.HOPELESS:
            failure = NotSentError(f"the request cannot be sent: {reason.text}", transient=False)
        elif unconnected or reason.cause is not None:
            failure = not_sent(reason, where, via=progress.via)
        else:
            failure = NotSentError(f"the request was not sent: {reason.text}")
        failure.kind = failure_kind_of(error, fault)
        return failure

    def _where(self, request: APIRequest) -> str:
        return self._bases[request.host].address


# What proves that nothing left, of a wire that tells nothing of its progress.
_UNSENT = frozenset({TransportFailure.UNSENT, TransportFailure.HOPELESS, TransportFailure.CROWDED})

# Proxies alone answer this (RFC 9110, section 15.5.8), and pass nothing on before.
_PROXY_REFUSED = 407
