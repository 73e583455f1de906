"""A guard for tests: clients that are told no address call one where nobody listens."""

import os
import socket
from collections.abc import Generator
from contextlib import contextmanager
from urllib.parse import urlsplit

from clickpost_async.settings import is_loopback

_BASE_URL = "CLICKPOST_BASE_URL"


@contextmanager
def offline() -> Generator[str]:
    """Let every client that is given no `hosts` call this machine, at a port that refuses.

    It sets `CLICKPOST_BASE_URL` while the block runs, so it holds for processes that are started
    there, too. A loopback address that stands there already, such as a sandbox's, stays. Calls end
    in `NotSentError`; clients with a mock transport, or with `hosts`, are not concerned.

    Yields:
        The base URL.

    """
    before = os.environ.get(_BASE_URL)
    if before and is_loopback(urlsplit(before).hostname or ""):
        yield before
        return
    with socket.socket() as closed:
        # Bound and not listened at: it refuses, and nobody else is given the port meanwhile.
        closed.bind(("127.0.0.1", 0))
        os.environ[_BASE_URL] = base = f"http://127.0.0.1:{closed.getsockname()[1]}/offline"
        try:
            yield base
        finally:
            if before is None:
                del os.environ[_BASE_URL]
            else:
                os.environ[_BASE_URL] = before
