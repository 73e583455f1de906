"""What the code keeps for a whole process, in its modules: each simulated process has its own.

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
_LEFT_ALONE = ("_wire", "structures", "endpoints", "sandbox", "cli", "_codec", "integrations")


def _is_registry(value: object) -> bool:
    if isinstance(value, _CONTAINERS):
        return not value
    kind = type(value)
    if isinstance(value, type | enum.Enum | types.ModuleType | types.FunctionType):
        return False
    if not kind.__module__.startswith(_PACKAGE):
        return False
    frozen = getattr(kind, "__setattr__", None) is not object.__setattr__
    return not frozen


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


def _copied(value: Any) -> Any:
    try:
        return copy.deepcopy(value)
    except TypeError:
        # A lock, or something else that belongs to one process.
        return type(value)()


class Globals:
    """The registries of one process, which are the code's while that process runs."""

    def __init__(self) -> None:
        copies: dict[int, Any] = {}
        self._own: list[tuple[types.ModuleType, str, Any, Any]] = []
        for module, attribute, value in found():
            own = copies.setdefault(id(value), _copied(value))
            self._own.append((module, attribute, own, value))

    def enter(self) -> None:
        """Put them in place."""
        for module, attribute, own, _ in self._own:
            setattr(module, attribute, own)

    def leave(self) -> None:
        """Put back what was there."""
        for module, attribute, _, original in self._own:
            setattr(module, attribute, original)

    def clear(self) -> None:
        """Let go of them."""
        self._own.clear()
