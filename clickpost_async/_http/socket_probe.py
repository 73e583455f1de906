"""Checks that the peer has not closed an idle socket, before a request is written to it."""

import select
from collections.abc import Callable


def is_readable(number: int) -> Callable[[], bool]:
    """Return a function that polls whether a socket is readable, without waiting.

    A readable idle socket was closed by the server, or has unexpected data. The event loop would
    report that one iteration later, when a request may have been written to it, whose outcome would
    be unknown.
    """
    if not hasattr(select, "poll"):
        return lambda: bool(select.select([number], [], [], 0)[0])
    poll = select.poll()
    poll.register(number, select.POLLIN)
    return lambda: bool(poll.poll(0))
