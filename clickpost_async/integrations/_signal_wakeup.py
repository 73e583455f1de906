"""Wakes asyncio's event loop after a handler of `signal.signal` has run."""

import asyncio
import signal
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager

_NONE = -1


@contextmanager
def wake_on_signals() -> Generator[None]:
    """Have the running event loop notice at once what a handler of `signal.signal` has done.

    asyncio is woken by signals only where `loop.add_signal_handler` was used. taskiq's handlers set
    an event instead, which waits for the next timer or byte: seconds, in a worker that is full.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    reader, writer = socket.socketpair()
    with reader, writer:
        reader.settimeout(0)
        writer.settimeout(0)
        before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        if before != _NONE:
            # The loop has set one, as uvloop does.
            signal.set_wakeup_fd(before)
            yield
            return
        loop.add_reader(reader, reader.recv, 4096)
        try:
            yield
        finally:
            signal.set_wakeup_fd(_NONE)
            loop.remove_reader(reader)
