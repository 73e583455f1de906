"""A guard for tests: clients without a base URL call a port that refuses connections."""

import os
import socket
from collections.abc import Generator
from contextlib import contextmanager
from urllib.parse import urlsplit

from clickpost_async.settings import BASE_URL_VARIABLE, is_loopback


@contextmanager
def offline() -> Generator[str]:
    """Send the calls of clients without `hosts` to a loopback port that refuses connections.

    Sets `CLICKPOST_BASE_URL` while the block runs, so processes that are started in it are guarded
    too. A loopback address that is set already, such as a sandbox's, is not replaced. Calls raise
    `NotSentError`; clients with a mock transport, or with `hosts`, are not affected.

    Yields:
        The base URL.

    """
    before = os.environ.get(BASE_URL_VARIABLE)
    if before and is_loopback(urlsplit(before).hostname or ""):
        yield before
        return
    with socket.socket() as closed:
        # Bound without listening: it refuses connections, and the port is not given to others.
        closed.bind(("127.0.0.1", 0))
        os.environ[BASE_URL_VARIABLE] = base = f"http://127.0.0.1:{closed.getsockname()[1]}/offline"
        try:
            yield base
        finally:
            if before is None:
                del os.environ[BASE_URL_VARIABLE]
            else:
                os.environ[BASE_URL_VARIABLE] = before
