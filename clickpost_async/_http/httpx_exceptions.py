"""What httpx, its successor, and what both stand on have in common; imports none of them."""

from typing import Any

from clickpost_async._http.adapter import Fault

# They name their exceptions alike.
_FAMILY = frozenset({"httpx", "httpx2", "httpcore", "httpcore2"})
_FAULTS = {
    "ConnectError": Fault.UNSENT,
    "ConnectTimeout": Fault.UNSENT,
    "ProxyError": Fault.UNSENT,
    "PoolTimeout": Fault.CROWDED,
    "UnsupportedProtocol": Fault.HOPELESS,
    "InvalidURL": Fault.HOPELESS,
    "LocalProtocolError": Fault.HOPELESS,
}


def fault_of(error: Exception) -> Fault:
    """Sort an exception of httpx and its kin by name, whichever of them is there."""
    kin = False
    for kind in type(error).__mro__:
        if kind.__module__.partition(".")[0] in _FAMILY:
            kin = True
            if kind.__name__ in _FAULTS:
                return _FAULTS[kind.__name__]
    return Fault.LOST if kin else Fault.UNFORESEEN


def unquoted(info: dict[str, Any]) -> None:
    """Take out of what httpcore tells of a step the words of the answer.

    It writes `info` to its DEBUG log next. An answer's headers may repeat the query (Location), and
    so may the words of an error about them.
    """
    info.pop("return_value", None)
    if "exception" in info:
        info["exception"] = type(info["exception"]).__name__
