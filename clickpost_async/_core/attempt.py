"""Sends one attempt and reports whether the request may have reached the server.

The API key is added here and nowhere above. Exceptions are made anew outside the `except` block, so
that neither their chain nor their tracebacks refer to a frame that holds it.
"""

from clickpost_async._codec.messages import APIRequest, APIResponse
from clickpost_async._codec.response import retry_after
from clickpost_async._concurrency.event_loops import time_limit
from clickpost_async._core.auth import Authenticator, Secret
from clickpost_async._core.outcome import attempt_kind, may_have_been_sent
from clickpost_async._http.adapter import (
    BaseURL,
    HTTPAdapter,
    HTTPRequest,
    SendProgress,
    StepTimeouts,
)
from clickpost_async._http.connection_errors import (
    is_local_shortage,
    not_sent,
    proxy_reason,
    reason_of,
    through,
)
from clickpost_async._http.response_reader import ResponseReader
from clickpost_async.errors import ClickPostError, FailureKind, NoReplyError, NotSentError
from clickpost_async.settings import Host, Hosts, Timeouts

# Only proxies respond with this (RFC 9110, section 15.5.8), and forward nothing before.
_PROXY_AUTHENTICATION_REQUIRED = 407


class AttemptSender:
    """Signs requests and sends them with any HTTP adapter."""

    def __init__(
        self, adapter: HTTPAdapter, authenticator: Authenticator, hosts: Hosts, timeouts: Timeouts
    ) -> None:
        bases = {url: BaseURL.parse(url) for url in map(hosts.base, Host)}
        self._adapter = adapter
        self._authenticator = authenticator
        self._bases = {host: bases[hosts.base(host)] for host in Host}
        self._set_timeouts(timeouts)

    def _set_timeouts(self, timeouts: Timeouts) -> None:
        self._total = timeouts.total
        self._timeouts = StepTimeouts(timeouts.connect, timeouts.write, timeouts.read)
        self._create_timeouts = self._timeouts._replace(read=timeouts.create)

    def with_timeouts(self, timeouts: Timeouts) -> "AttemptSender":
        """Return a sender over the same connections with other timeouts."""
        sender = object.__new__(AttemptSender)
        sender._adapter = self._adapter
        sender._authenticator = self._authenticator
        sender._bases = self._bases
        sender._set_timeouts(timeouts)
        return sender

    async def send(self, request: APIRequest, progress: SendProgress) -> APIResponse:
        """Send one attempt; raises `NotSentError`, `NoReplyError` or `UnreadableReplyError`."""
        # One coroutine for all of it: each frame costs memory for every call that waits here.
        failure: ClickPostError
        key = reader = None
        address = self._bases[request.host].address
        limit = time_limit(self._total)
        try:
            async with limit:
                key = await self._authenticator.key()
                reader = ResponseReader()
                await self._adapter.send(self._sign(request, key), progress, reader)
                return self._read(reader, key, progress, address)
        except ClickPostError as error:
            failure = error
        except Exception as error:  # noqa: BLE001 - transports have leaked OSError, ssl and others
            if _is_being_closed(error):
                raise GeneratorExit from None
            if limit.expired() and isinstance(error, TimeoutError):
                failure = self._timeout_error(address, progress)
            else:
                failure = self._translate(address, progress, error)
        except BaseException as error:  # noqa: BLE001 - it is raised again
            # A cancellation passes, but not with the frames it has passed through.
            del key, reader, limit
            error.__context__ = None
            raise error.with_traceback(None) from None
        failure.endpoint = request.label
        failure.reference_number = request.reference_number
        # This frame, and those of a decompression error, hold the response before it is redacted;
        # and the time limit refers to the task, which the error would keep alive.
        del key, reader, limit
        failure.__context__ = None
        raise failure.with_traceback(None)

    def _sign(self, request: APIRequest, key: Secret) -> HTTPRequest:
        target, body, signature = self._authenticator.sign(
            request.target, request.body, request.auth, key
        )
        timeouts = self._create_timeouts if request.is_create else self._timeouts
        base = self._bases[request.host]
        return HTTPRequest(request.method, base, target, body, timeouts, signature)

    def _read(
        self, reader: ResponseReader, key: Secret, progress: SendProgress, address: str
    ) -> APIResponse:
        if reader.status == _PROXY_AUTHENTICATION_REQUIRED:
            raise not_sent(proxy_reason(reader.status), address, via=progress.via)
        headers = reader.headers
        return APIResponse(
            reader.status,
            self._authenticator.redact_key(reader.body(), key),
            retry_after(headers.get("retry-after"), headers.get("date")),
        )

    def _timeout_error(self, address: str, progress: SendProgress) -> ClickPostError:
        within = f"within {self._total:g} s"
        if progress.may_have_been_sent:
            return NoReplyError(f"no complete response from {address} {within}")
        return NotSentError(
            f"the request was not sent to {address}{through(progress.via)} {within}"
        )

    def _translate(self, address: str, progress: SendProgress, error: Exception) -> ClickPostError:
        kind = self._adapter.failure_of(error)
        reason = reason_of(error, address)
        if reason.final:
            kind = FailureKind.NOT_SENDABLE
        is_sent = may_have_been_sent(kind, progress)
        failure: ClickPostError
        if is_sent:
            failure = NoReplyError(f"no complete response from {address}: {reason.text}")
            failure.__cause__ = reason.cause
        elif kind is FailureKind.NOT_SENDABLE and not reason.final:
            failure = NotSentError(f"the request cannot be sent: {reason.text}", transient=False)
        elif reason.cause is not None or kind not in _AFTER_CONNECTING:
            failure = not_sent(reason, address, via=progress.via)
        else:
            where = f"{address}{through(progress.via)}"
            failure = NotSentError(f"the request was not sent to {where}: {reason.text}")
        if is_local_shortage(error):
            kind = FailureKind.LOCAL_RESOURCES
        failure.kind = attempt_kind(kind, sent=is_sent)
        return failure


def _is_being_closed(error: BaseException | None) -> bool:
    """Return whether an error was raised while this coroutine was closed, unfinished.

    Its event loop was closed before, and a library could not clean up without it. That says nothing
    about the server.
    """
    while error is not None:
        # The text is that of Python's own error for a coroutine that awaits while it is closed.
        if isinstance(error, GeneratorExit) or str(error) == "coroutine ignored GeneratorExit":
            return True
        error = error.__context__
    return False


# Failures that need not be about a connection.
_AFTER_CONNECTING = frozenset({FailureKind.NO_RESPONSE, FailureKind.UNEXPECTED})
