"""Explains why a connection failed: host, port, and the reason of the system, TLS or a proxy.

Exceptions of HTTP libraries refer to requests, and their tracebacks to frames, that contain the
key. So the reason, and the exception chained as the cause, are rebuilt from plain values.
"""

import errno
import os
import re
import socket
import ssl
from collections.abc import Iterator

from attrs import frozen

from clickpost_async.errors import FailureKind, NotSentError

# Error numbers of an operating system that is out of sockets, ports or memory.
_NO_ROOM = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL, errno.EAGAIN}
)
_TOO_MANY_FILES = frozenset({errno.EMFILE, errno.ENFILE})

_TRUST = (
    "to trust an authority of your own, name its file in SSL_CERT_FILE,"
    " or give verify= to the httpx transport you use"
)
_CLOSED = "the connection was closed before the end of the response"
# How httpcore, h11 and this package begin the message of such an error.
_ENDED = ("Server disconnected", "peer closed connection", "the server closed the connection")
_SOCKS_REFUSAL = re.compile(r"Proxy Server could not connect: ([A-Za-z ]+)\.").fullmatch
_SOCKS_LOGIN = re.compile("password|from proxy server, but got", re.IGNORECASE).search
_PROXY_LOGIN = (
    "its user name or password is missing or wrong; correct them in the transport's proxy="
)


@frozen
class Reason:
    """Why a connection failed; `cause` contains no secret. `final`: a retry cannot help."""

    text: str
    cause: OSError | None = None
    final: bool = False


def reason_of(error: BaseException, where: str) -> Reason:
    """Return why the connection to `where` failed."""
    status = _refused_by_proxy(error)
    if status is not None:
        return proxy_reason(status)
    for one in _chain(error):
        if isinstance(one, ssl.SSLError):
            if reason := _of_tls(one):
                return reason
        elif isinstance(one, socket.gaierror):
            message = one.strerror or "unknown reason"
            cause = socket.gaierror(one.errno, message)
            return Reason(f"the name cannot be resolved: {message}", cause)
        elif isinstance(one, OSError) and isinstance(one.errno, int) and one.errno > 0:
            # Negative numbers are the resolver's, which aiohttp copies.
            return _of_system(one.errno, where)
        elif isinstance(one, ConnectionError):
            # asyncio's own, of a connection that ended during the TLS handshake.
            return Reason(_CLOSED, type(one)(_CLOSED))
    return Reason(_of_library(error))


def _of_library(error: BaseException) -> str:
    """Return why a request failed, for an exception of an HTTP library without an OS error.

    Its own message may quote the response, except where it is one of the known ones.
    """
    kind, message = type(error).__name__, str(error)
    if "Timeout" in kind:
        return f"timed out ({kind})"
    if kind == "RemoteProtocolError":
        return _CLOSED if message.startswith(_ENDED) else f"the response is not valid HTTP ({kind})"
    if refused := _SOCKS_REFUSAL(message):
        return f"the proxy cannot connect: {refused[1].lower()}"
    return kind


def _of_tls(error: ssl.SSLError) -> Reason | None:
    # httpx-aiohttp wraps TLS errors in one of the same class without a message.
    if message := getattr(error, "verify_message", ""):
        text = f"the certificate was refused: {message}; {_TRUST}"
        return Reason(text, ssl.SSLCertVerificationError(1, message), final=True)
    if message := getattr(error, "reason", None):
        return Reason(f"TLS failed: {message}", ssl.SSLError(1, message))
    return None


def _of_system(number: int, where: str) -> Reason:
    message = os.strerror(number)
    text = f"{message[:1].lower()}{message[1:]} (errno {number})"
    if number in _TOO_MANY_FILES:
        text += "; raise the limit on open files (ulimit -n), or lower max_concurrency"
    return Reason(text, OSError(number, message, where))


def proxy_reason(status: int) -> Reason:
    """Return why a proxy rejected a request, which was not sent then."""
    advice = f": {_PROXY_LOGIN}" if status == 407 else ""
    # A client error other than a timeout or throttling: a retry would get it again.
    final = 400 <= status < 500 and status not in (408, 429)
    return Reason(f"the proxy refused (HTTP {status}){advice}", final=final)


def _refused_by_proxy(error: BaseException) -> int | None:
    for kind in type(error).__mro__:
        if kind.__name__ == "ProxyError":
            found = re.match(r"[1-5]\d\d\b", str(error))
            if found:
                return int(found.group())
            # SOCKS has no status codes.
            return 407 if _SOCKS_LOGIN(str(error)) else None
    return None


def is_local_shortage(error: BaseException) -> bool:
    """Return whether the operating system had no socket, port or memory left."""
    return any(isinstance(one, OSError) and one.errno in _NO_ROOM for one in _chain(error))


def not_sent(reason: Reason, where: str, *, via: str | None = None) -> NotSentError:
    """Return the error for a connection that failed, with its cause."""
    failure = NotSentError(
        f"cannot connect to {where}{through(via)}: {reason.text}",
        transient=not reason.final,
        kind=FailureKind.NOT_SENDABLE if reason.final else None,
    )
    failure.__cause__ = reason.cause
    return failure


def through(via: str | None) -> str:
    """Name the proxy, if there is one, behind the server that it leads to."""
    return f" through {via}" if via else ""


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes and contexts, 16 at most, since they may form a cycle."""
    todo = [error]
    for _ in range(16):
        if not todo:
            return
        one = todo.pop(0)
        yield one
        behind = one.__cause__ or one.__context__
        todo += [] if behind is None else [behind]
        # One exception per address, if a name has several.
        todo += one.exceptions[:4] if isinstance(one, BaseExceptionGroup) else ()
