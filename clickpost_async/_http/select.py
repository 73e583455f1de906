"""From what a client is given as `transport` to the wire that sends its calls."""

import importlib
from types import ModuleType
from typing import Any

from clickpost_async._http.adapter import KEEP_ALIVE, Fetcher, LoopWire, Wire
from clickpost_async._http.per_loop_adapter import Connections

# What is imported here is imported by those who use it.


def wire_of(transport: object) -> Wire:
    """Return the wire for a client's `transport`; opens nothing.

    Raises `ValueError` for a name that is none, and `ImportError` where its library is missing.
    """
    match transport:
        case None:
            from clickpost_async._http.httpcore_pool import Pool

            return Connections(Pool)
        case "aiohttp":
            from clickpost_async._http.aiohttp_adapter import AiohttpWire

            return Connections(AiohttpWire)
        case "httpx2":
            return _over_httpx2()
        case str():
            message = "transport: give 'aiohttp', 'httpx2', or one of httpx's"
            raise ValueError(message)
        case _:
            from clickpost_async._http.httpx_adapter import HttpxWire

            given: Any = transport
            return HttpxWire(given, _library_of(transport))


def fetcher_of(wire: Wire) -> Fetcher | None:
    """Return what asks for files too: a transport that was given, for its proxy or certificates."""
    if isinstance(wire, Connections):
        return None
    from clickpost_async._http.httpx_adapter import HttpxWire

    return wire if isinstance(wire, HttpxWire) else None


def _over_httpx2() -> Wire:
    try:
        import httpx2
    except ImportError as error:
        message = "transport='httpx2' needs its extra: pip install 'clickpost_async[httpx2]'"
        raise ImportError(message) from error
    from clickpost_async._http import tls
    from clickpost_async._http.httpx_adapter import HttpxWire

    def opened() -> LoopWire:
        transport = httpx2.AsyncHTTPTransport(
            verify=tls.verified(),
            trust_env=False,
            # How many there are at once is the gate's business.
            limits=httpx2.Limits(
                max_connections=None, max_keepalive_connections=None, keepalive_expiry=KEEP_ALIVE
            ),
        )
        return HttpxWire(transport, httpx2)

    return Connections(opened)


def _library_of(transport: object) -> ModuleType:
    """Return the module that a transport is made for: its base class is httpx's, or httpx2's."""
    for kind in type(transport).__mro__:
        name = kind.__module__.partition(".")[0]
        if kind.__name__ == "AsyncBaseTransport" and name in ("httpx", "httpx2"):
            return importlib.import_module(name)
    return importlib.import_module("httpx")
