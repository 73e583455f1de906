"""Selects the adapter for a client's `transport`."""

import importlib
from functools import partial
from types import ModuleType
from typing import Any

from clickpost_async._http.adapter import Fetcher, HTTPAdapter
from clickpost_async._http.per_loop_adapter import PerLoopAdapter
from clickpost_async._http.pool import ConnectionPool
from clickpost_async._util.arguments import got

# Imported lazily: httptools and httpx2 are optional.


def adapter_for(transport: object) -> HTTPAdapter:
    """Return the adapter for a client's `transport`; opens nothing.

    Raises `ValueError` for an unknown name, and `ImportError` where a library is missing.
    """
    match transport:
        case None:
            from clickpost_async._http.httpcore_connection import HTTPCoreConnection

            return PerLoopAdapter(partial(ConnectionPool, HTTPCoreConnection))
        case "httptools":
            from clickpost_async._http.httptools_connection import HTTPToolsConnection

            return PerLoopAdapter(partial(ConnectionPool, HTTPToolsConnection))
        case str():
            message = "transport: pass 'httptools', or a transport object of httpx or httpx2"
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


def fetcher_of(adapter: HTTPAdapter) -> Fetcher | None:
    """Return the adapter for downloads: a user's transport, for its proxy and certificates."""
    if isinstance(adapter, PerLoopAdapter):
        return None
    from clickpost_async._http.httpx_adapter import HttpxAdapter

    return adapter if isinstance(adapter, HttpxAdapter) else None


def _library_of(transport: object) -> ModuleType:
    """Return the module whose base class a transport has: httpx or httpx2."""
    for kind in type(transport).__mro__:
        name = kind.__module__.partition(".")[0]
        if kind.__name__ == "AsyncBaseTransport" and name in ("httpx", "httpx2"):
            return importlib.import_module(name)
    return importlib.import_module("httpx")
