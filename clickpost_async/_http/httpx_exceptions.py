"""What httpx, its successor, and what both stand on have in common; imports none of them."""

from typing import Any

from clickpost_async.errors import FailureKind

# They name their exceptions alike.
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


def failure_of(error: Exception) -> FailureKind:
    """Sort an exception of httpx and its kin by name, whichever of them is there."""
    kin = False
    for kind in type(error).__mro__:
        if kind.__module__.partition(".")[0] in _FAMILY:
            kin = True
            if kind.__name__ in _KINDS:
                return _KINDS[kind.__name__]
    return FailureKind.NO_RESPONSE if kin else FailureKind.UNEXPECTED


def drop_quoted_payload(info: dict[str, Any]) -> None:
    """Take out of what httpcore tells of a step the words of the answer.

    It writes `info` to its DEBUG log next. An answer's headers may repeat the query (Location), and
    so may the words of an error about them.
    """
    info.pop("return_value", None)
    if "exception" in info:
        info["exception"] = type(info["exception"]).__name__
