"""Classifies exceptions of httpx, httpx2, httpcore and aiohttp by class name, without imports."""

from typing import Any

from clickpost_async.errors import FailureKind

_FAMILY = frozenset({"httpx", "httpx2", "httpcore", "httpcore2"})
_KINDS = {
    "ConnectError": FailureKind.NOT_SENT,
    "ConnectTimeout": FailureKind.NOT_SENT,
    "ProxyError": FailureKind.NOT_SENT,
    "PoolTimeout": FailureKind.LOCAL_RESOURCES,
    "UnsupportedProtocol": FailureKind.NOT_SENDABLE,
    "InvalidURL": FailureKind.NOT_SENDABLE,
    "LocalProtocolError": FailureKind.NOT_SENDABLE,
}
# httpx-aiohttp raises ConnectTimeout also if a connection breaks after the request was sent, so
# aiohttp's own exception decides: these two are raised before.
_AIOHTTP_UNSENT = frozenset({"ClientConnectorError", "ConnectionTimeoutError"})


def failure_of(error: Exception) -> FailureKind:
    """Classify an exception of httpx, httpx2, httpcore or httpx-aiohttp."""
    is_family = False
    for kind in type(error).__mro__:
        if _library_of(kind) in _FAMILY:
            is_family = True
            failure = _KINDS.get(kind.__name__)
            if failure is FailureKind.NOT_SENT and _was_sent_by_aiohttp(error.__cause__):
                return FailureKind.NO_RESPONSE
            if failure is not None:
                return failure
    return FailureKind.NO_RESPONSE if is_family else FailureKind.UNEXPECTED


def _was_sent_by_aiohttp(cause: BaseException | None) -> bool:
    kinds = type(cause).__mro__
    names = {kind.__name__ for kind in kinds}
    return any(_library_of(kind) == "aiohttp" for kind in kinds) and not names & _AIOHTTP_UNSENT


def _library_of(kind: type) -> str:
    return kind.__module__.partition(".")[0]


def drop_quoted_payload(info: dict[str, Any]) -> None:
    """Remove response data from the `info` of a httpcore trace event.

    httpcore logs `info` at DEBUG next. Response headers may quote the query (Location), and so may
    an error message about them.
    """
    info.pop("return_value", None)
    if "exception" in info:
        info["exception"] = type(info["exception"]).__name__
