"""Whether an idle connection is still one: the last question before a call is written into it."""

import select
from collections.abc import Callable


def is_readable(number: int) -> Callable[[], bool]:
    """Return what asks the system whether a socket has something to say, without waiting.

    An idle one that has was closed by the server, or says what was not asked. The event loop would
    tell so a turn later, when a call has already been written into it that nobody knows about.
    """
    if not hasattr(select, "poll"):
        return lambda: bool(select.select([number], [], [], 0)[0])
    poll = select.poll()
    poll.register(number, select.POLLIN)
    return lambda: bool(poll.poll(0))
