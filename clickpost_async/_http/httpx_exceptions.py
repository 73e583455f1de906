"""Classifies exceptions of httpx, httpx2 and what they stand on by class name; imports none."""

from typing import Any

from clickpost_async._http.adapter import TransportFailure

_FAMILY = frozenset({"httpx", "httpx2", "httpcore", "httpcore2"})
_FAILURES = {
    "ConnectError": TransportFailure.UNSENT,
    "ConnectTimeout": TransportFailure.UNSENT,
    "ProxyError": TransportFailure.UNSENT,
    "PoolTimeout": TransportFailure.CROWDED,
    "UnsupportedProtocol": TransportFailure.HOPELESS,
    "InvalidURL": TransportFailure.HOPELESS,
    "LocalProtocolError": TransportFailure.HOPELESS,
}
# httpx-aiohttp raises httpx's ConnectTimeout also where a connection breaks after the request was
# sent, so aiohttp's own exception decides: these two are raised before.
_AIOHTTP_UNSENT = frozenset({"ClientConnectorError", "ConnectionTimeoutError"})


def failure_of(error: Exception) -> TransportFailure:
    """Classify an exception of any library of httpx's family."""
    is_family = False
    for kind in type(error).__mro__:
        if _library_of(kind) in _FAMILY:
            is_family = True
            failure = _FAILURES.get(kind.__name__)
            if failure is TransportFailure.UNSENT and _was_sent_by_aiohttp(error.__cause__):
                return TransportFailure.LOST
            if failure is not None:
                return failure
    return TransportFailure.LOST if is_family else TransportFailure.UNFORESEEN


def _was_sent_by_aiohttp(cause: BaseException | None) -> bool:
    kinds = type(cause).__mro__
    names = {kind.__name__ for kind in kinds}
    return any(_library_of(kind) == "aiohttp" for kind in kinds) and not names & _AIOHTTP_UNSENT


def _library_of(kind: type) -> str:
    return kind.__module__.partition(".")[0]


def drop_quoted_payload(info: dict[str, Any]) -> None:
    """Take out of httpcore's trace event of a step what quotes the response.

    httpcore writes `info` to its DEBUG log next. A response's headers may repeat the query
    (Location), and so may the message of an error about them.
    """
    info.pop("return_value", None)
    if "exception" in info:
        info["exception"] = type(info["exception"]).__name__
