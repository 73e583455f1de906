"""Every endpoint by its dotted name, as declared in its chapter."""

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from clickpost_async._codec.endpoint import Get as Get
from clickpost_async._codec.endpoint import Post as Post

if TYPE_CHECKING:
    from clickpost_async.structures import ResponseModel

    CATALOG: Mapping[str, Get[ResponseModel] | Post[ResponseModel]]

_CHAPTERS = (
    "orders",
    "tracking",
    "ndr",
    "pickups",
    "labels",
    "couriers",
    "serviceability",
    "delivery",
    "reports",
    "returns",
    "account",
)


def __getattr__(name: str) -> Any:
    # All chapters are loaded for whoever wants the whole catalogue; a call needs one.
    if name == "CATALOG":
        chapters = [import_module(f"{__name__}.{chapter}") for chapter in _CHAPTERS]
        catalog = {endpoint.name: endpoint for each in chapters for endpoint in each.ENDPOINTS}
        globals()[name] = found = MappingProxyType(catalog)
        return found
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
