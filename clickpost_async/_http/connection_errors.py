"""Says why a connection failed: host, port, and the reason that the system, TLS or a proxy gives.

Exceptions of HTTP libraries hold requests, and their tracebacks frames, that have seen the key. So
a reason, and the exception that is chained to ours as its cause, are made anew from plain values.
"""

import errno
import os
import re
import socket
import ssl
from collections.abc import Iterator

from attrs import frozen

from clickpost_async.errors import FailureKind, NotSentError

# What an operating system answers when it has no socket, port or memory left to give.
_NO_ROOM = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL, errno.EAGAIN}
)
_TOO_MANY_FILES = frozenset({errno.EMFILE, errno.ENFILE})

_TRUST = (
    "to trust an authority of your own, name its file in SSL_CERT_FILE,"
    " or give verify= to the httpx transport you use"
)
_PROXY_LOGIN = (
    "its user name or password is missing or wrong; correct them in the transport's proxy="
)


@frozen
class Reason:
    """Why a connection failed; `cause` holds no secret. A reason that is `final` stays one."""

    text: str
    cause: OSError | None = None
    final: bool = False


def reason_of(error: BaseException, where: str) -> Reason:
    """Find out why the connection to `where` failed."""
    status = _refused_by_proxy(error)
    if status is not None:
        return proxy_reason(status)
    for one in _chain(error):
        if isinstance(one, ssl.SSLCertVerificationError):
            # httpx-aiohttp's are wrapped in one of the same kind that has no message, as the next.
            if said := getattr(one, "verify_message", ""):
                text = f"the certificate was refused: {said}; {_TRUST}"
                return Reason(text, ssl.SSLCertVerificationError(1, said), final=True)
        elif isinstance(one, ssl.SSLError):
            if said := getattr(one, "reason", None):
                return Reason(f"TLS failed: {said}", ssl.SSLError(1, said))
        elif isinstance(one, socket.gaierror):
            said = one.strerror or "unknown reason"
            cause = socket.gaierror(one.errno, said)
            return Reason(f"the name cannot be resolved: {said}", cause)
        elif isinstance(one, OSError) and isinstance(one.errno, int) and one.errno > 0:
            # Negative numbers are those of the resolver, which aiohttp repeats.
            return _of_system(one.errno, where)
    kind = type(error).__name__
    return Reason(f"timed out ({kind})" if "Timeout" in kind else kind)


def _of_system(number: int, where: str) -> Reason:
    said = os.strerror(number)
    text = f"{said[:1].lower()}{said[1:]} (errno {number})"
    if number in _TOO_MANY_FILES:
        text += "; raise the limit on open files (ulimit -n), or lower max_concurrency"
    return Reason(text, OSError(number, said, where))


def proxy_reason(status: int) -> Reason:
    """Say why a proxy has not passed on a call, which has then not been sent."""
    said = f": {_PROXY_LOGIN}" if status == 407 else ""
    # It is about this request or this client; the others may pass.
    final = 400 <= status < 500 and status not in (408, 429)
    return Reason(f"the proxy refused (HTTP {status}){said}", final=final)


def _refused_by_proxy(error: BaseException) -> int | None:
    for kind in type(error).__mro__:
        if kind.__name__ == "ProxyError":
            found = re.match(r"[45]\d\d\b", str(error))
            if found:
                return int(found.group())
            # Of SOCKS, which knows no such status.
            return 407 if "password" in str(error) else None
    return None


def is_local_shortage(error: BaseException) -> bool:
    """Return whether the operating system had no socket, port or memory left."""
    return any(isinstance(one, OSError) and one.errno in _NO_ROOM for one in _chain(error))


def not_sent(reason: Reason, where: str, *, via: str | None = None) -> NotSentError:
    """Make the error that says so, with its cause."""
    through = f" through {via}" if via else ""
    failure = NotSentError(
        f"cannot connect to {where}{through}: {reason.text}",
        transient=not reason.final,
        kind=FailureKind.NOT_SENDABLE if reason.final else None,
    )
    failure.__cause__ = reason.cause
    return failure


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Go through an error and what was behind it; a ring ends after a few rounds."""
    todo = [error]
    for _ in range(16):
        if not todo:
            return
        one = todo.pop(0)
        yield one
        behind = one.__cause__ or one.__context__
        todo += [] if behind is None else [behind]
        # What became of each address, where a name has several.
        todo += one.exceptions[:4] if isinstance(one, BaseExceptionGroup) else ()
