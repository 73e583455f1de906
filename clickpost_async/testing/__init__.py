"""Test support: virtual time, an offline guard, and in `fixtures` a sandbox for pytest.

`offline` keeps clients without a base URL from calling the real ClickPost.

A process stores which orders are in flight or in doubt, by account, base URL and reference number.
Tests that reuse a reference number begin with `reset`.
"""

from clickpost_async._concurrency import single_flight
from clickpost_async.structures import _rules
from clickpost_async.testing.clock import VirtualLoop as VirtualLoop
from clickpost_async.testing.clock import run_virtual as run_virtual
from clickpost_async.testing.clock import virtual_time as virtual_time
from clickpost_async.testing.offline import offline as offline


def reset() -> None:
    """Forget the orders that are in flight or in doubt, and which warnings were logged.

    For tests only: an application that calls it may buy a second label.
    """
    single_flight.reset()
    _rules.forget_logged_warnings()


__all__ = ["VirtualLoop", "offline", "reset", "run_virtual", "virtual_time"]
