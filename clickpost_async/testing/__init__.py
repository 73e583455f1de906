"""Test support: virtual time, an offline guard, and in `fixtures` a sandbox for pytest.

`offline` keeps clients without a base URL from calling the real ClickPost.

A process stores which orders are in flight or in doubt, by account, base URL and reference number.
Tests that reuse a reference number begin with `reset`.

pytest imports this package for its plugin in every project, so a name is loaded when it is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clickpost_async.testing.clock import VirtualLoop as VirtualLoop
    from clickpost_async.testing.clock import run_virtual as run_virtual
    from clickpost_async.testing.clock import virtual_time as virtual_time
    from clickpost_async.testing.offline_guard import offline as offline

_MODULE_OF = {
    "VirtualLoop": "clock",
    "offline": "offline_guard",
    "run_virtual": "clock",
    "virtual_time": "clock",
}


def reset() -> None:
    """Forget the orders that are in flight or in doubt, and which warnings were logged.

    For tests only: an application that calls it may buy a second label.
    """
    from clickpost_async._concurrency import single_flight
    from clickpost_async.structures import _rules

    single_flight.reset()
    _rules.forget_logged_warnings()


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        found = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
        globals()[name] = found
        return found
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)


__all__ = ["VirtualLoop", "offline", "reset", "run_virtual", "virtual_time"]
