"""From what a client is given as `transport` to the wire that sends its calls."""

import importlib
from types import ModuleType
from typing import Any

from clickpost_async._http.adapter import KEEP_ALIVE, Fetcher, HTTPAdapter, LoopAdapter
from clickpost_async._http.per_loop_adapter import PerLoopAdapter
from clickpost_async._util.arguments import got

# What is imported here is imported by those who use it.


def adapter_for(transport: object) -> HTTPAdapter:
    """Return the wire for a client's `transport`; opens nothing.

    Raises `ValueError` for a name that is none, and `ImportError` where its library is missing.
    """
    match transport:
        case None:
            from clickpost_async._http.httpcore_pool import HTTPCorePool

            return PerLoopAdapter(HTTPCorePool)
        case "aiohttp":
            from clickpost_async._http.aiohttp_adapter import AiohttpAdapter

            return PerLoopAdapter(AiohttpAdapter)
        case "httpx2":
            return _over_httpx2()
        case str():
            message = "transport: give 'aiohttp', 'httpx2', or one of httpx's"
            raise ValueError(message)
        case _:
            from clickpost_async._http.httpx_adapter import HttpxAdapter

            given: Any = transport
            if isinstance(given, type) or not callable(
                getattr(given, "handle_async_request", None)
            ):
                raise TypeError(
                    "transport must be an asynchronous transport of httpx or httpx2, such as"
                    f" httpx.AsyncHTTPTransport(); {got(given)}"
                )
            return HttpxAdapter(given, _library_of(transport))


def fetcher_of(wire: HTTPAdapter) -> Fetcher | None:
    """Return what asks for files too: a transport that was given, for its proxy or certificates."""
    if isinstance(wire, PerLoopAdapter):
        return None
    from clickpost_async._http.httpx_adapter import HttpxAdapter

    return wire if isinstance(wire, HttpxAdapter) else None


def _over_httpx2() -> HTTPAdapter:
    try:
        import httpx2
    except ImportError as error:
        message = "transport='httpx2' needs its extra: pip install 'clickpost_async[httpx2]'"
        raise ImportError(message) from error
    from clickpost_async._http import tls
    from clickpost_async._http.httpx_adapter import HttpxAdapter

    def opened() -> LoopAdapter:
        transport = httpx2.AsyncHTTPTransport(
            verify=tls.verifying_context(),
            trust_env=False,
            # How many there are at once is the gate's business.
            limits=httpx2.Limits(
                max_connections=None, max_keepalive_connections=None, keepalive_expiry=KEEP_ALIVE
            ),
        )
        return HttpxAdapter(transport, httpx2)

    return PerLoopAdapter(opened)


def _library_of(transport: object) -> ModuleType:
    """Return the module that a transport is made for: its base class is httpx's, or httpx2's."""
    for kind in type(transport).__mro__:
        name = kind.__module__.partition(".")[0]
        if kind.__name__ == "AsyncBaseTransport" and name in ("httpx", "httpx2"):
            return importlib.import_module(name)
    return importlib.import_module("httpx")
