"""The base class of the namespaces (`clickpost.orders`, …), and their lazy import."""

import copy
import inspect
import sys
from importlib import import_module
from typing import Any, Generic, TypeVar, overload

from clickpost_async._codec.endpoint import Caller


class Namespace:
    """A group of endpoints, called through a `Caller`."""

    __slots__ = ("_caller",)

    def __init__(self, caller: Caller) -> None:
        self._caller = caller


N = TypeVar("N", bound=Namespace)


def bound_to(caller: Caller, namespace: N) -> N:
    """Return a copy of a namespace that uses another caller."""
    bound = copy.copy(namespace)
    bound._caller = caller  # noqa: SLF001 - set on a fresh copy, which keeps a subclass's own state
    return bound


class LazyNamespace(Generic[N]):
    """A namespace of a client, under its module's name: imported and made when it is first used.

    On the class it is the namespace's class, so that `create_autospec` and `help` find its methods.
    """

    def __init__(self) -> None:
        if sys.version_info >= (3, 12):
            # So that AsyncMock(spec=ClickPost) has an AsyncMock here, with awaitable methods.
            inspect.markcoroutinefunction(self)

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, client: None, owner: type) -> type[N]: ...
    @overload
    def __get__(self, client: object, owner: type) -> N: ...
    def __get__(self, client: Any, owner: type) -> N | type[N]:
        module = import_module(f"clickpost_async.endpoints.{self._name}")
        kind: type[N] = getattr(module, self._name.capitalize())
        if client is None:
            return kind
        # An instance attribute takes precedence over this descriptor from now on.
        namespace = client.__dict__[self._name] = kind(client._caller)  # noqa: SLF001 - the client is its owner
        return namespace
