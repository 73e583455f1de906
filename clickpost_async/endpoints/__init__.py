"""Every endpoint by its dotted name, as declared in its module."""

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from clickpost_async._codec.endpoint import Get as Get
from clickpost_async._codec.endpoint import Post as Post

if TYPE_CHECKING:
    from clickpost_async.structures import ResponseModel

    CATALOG: Mapping[str, Get[ResponseModel] | Post[ResponseModel]]

_MODULES = (
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
    # Imported lazily: the whole catalogue needs all modules, a call only one.
    if name == "CATALOG":
        modules = [import_module(f"{__name__}.{module}") for module in _MODULES]
        catalog = {endpoint.name: endpoint for module in modules for endpoint in module.ENDPOINTS}
        globals()[name] = found = MappingProxyType(catalog)
        return found
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
