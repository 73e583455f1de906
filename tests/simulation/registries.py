"""The process-wide state of the package's modules: each simulated process has its own.

Found by looking: containers that are empty when their module has been imported, and objects of the
package's own classes that are not frozen.
"""

import collections
import copy
import enum
import sys
import types
import weakref
from functools import cache
from typing import Any

_PACKAGE = "clickpost_async."
_CONTAINERS = (
    dict,
    list,
    set,
    collections.deque,
    weakref.WeakKeyDictionary,
    weakref.WeakValueDictionary,
    weakref.WeakSet,
)
# Caches of what never changes.
_LEFT_ALONE = ("_codec", "structures", "endpoints", "sandbox", "cli", "integrations")


def _is_registry(value: object) -> bool:
    if isinstance(value, _CONTAINERS):
        return not value
    kind = type(value)
    if isinstance(value, type | enum.Enum | types.ModuleType | types.FunctionType):
        return False
    if not kind.__module__.startswith(_PACKAGE):
        return False
    return hasattr(value, "__dict__") and kind.__setattr__ is object.__setattr__


@cache
def found() -> tuple[tuple[types.ModuleType, str, Any], ...]:
    """Return every place of a module where such a thing is, with what it was at first."""
    places = []
    for name, module in sorted(sys.modules.items()):
        if not name.startswith(_PACKAGE) or name.split(".")[1] in _LEFT_ALONE:
            continue
        for attribute, value in sorted(vars(module).items()):
            if not attribute.startswith("__") and _is_registry(value):
                places.append((module, attribute, value))
    return tuple(places)


class Globals:
    """The registries of one process, which are the code's while that process runs.

    An object stays the same one, since others may have kept it, and gets what it holds exchanged;
    a bare container is exchanged itself.
    """

    def __init__(self) -> None:
        self._containers: list[tuple[types.ModuleType, str, Any, Any]] = []
        objects: dict[int, tuple[Any, dict[str, Any], dict[str, Any]]] = {}
        copies: dict[int, Any] = {}
        for module, attribute, value in found():
            if isinstance(value, _CONTAINERS):
                own = copies.setdefault(id(value), copy.copy(value))
                self._containers.append((module, attribute, own, value))
            elif id(value) not in objects:
                # As it is made for a new process.
                objects[id(value)] = (value, vars(type(value)()), vars(value))
        self._objects = list(objects.values())

    def enter(self) -> None:
        """Put them in place."""
        for module, attribute, own, _ in self._containers:
            setattr(module, attribute, own)
        for value, own, _ in self._objects:
            value.__dict__ = own

    def leave(self) -> None:
        """Put back what was there."""
        for module, attribute, _, original in self._containers:
            setattr(module, attribute, original)
        for value, _, original in self._objects:
            value.__dict__ = original

    def clear(self) -> None:
        """Let go of them."""
        self._containers.clear()
        self._objects.clear()
