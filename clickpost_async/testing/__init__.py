"""For tests: an event loop that does not wait, and in `fixtures` a sandbox for pytest."""

from clickpost_async.testing.virtual import VirtualLoop as VirtualLoop
from clickpost_async.testing.virtual import run_virtual as run_virtual
from clickpost_async.testing.virtual import virtual_time as virtual_time

__all__ = ["VirtualLoop", "run_virtual", "virtual_time"]
