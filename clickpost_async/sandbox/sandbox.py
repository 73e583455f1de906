"""The public `Sandbox`: the application, which can serve itself on a port."""

import os
import time
from contextlib import suppress
from typing import Self

from clickpost_async.sandbox.app import Application
from clickpost_async.sandbox.server import Server


class Sandbox(Application):
    """A local server with ClickPost's API: it responds, rejects, stores and fails like ClickPost.

    `async with Sandbox() as sandbox:` serves it on a free port while the block runs, with its page
    at `sandbox.page`; what it has stored can still be read afterwards.

    Args:
        path: A SQLite file for its data; by default they are kept in memory.
        username: The accepted username.
        api_key: The accepted API key.
        password: The password of the user, for `account.token`.
        rate: The rate limit in calls per second (429 above it); `None` is unlimited.
        burst: How many calls may exceed it at once.
        faults: The injected faults, from the start.
        courier_seconds: How long a courier takes to book an order, in seconds.
        async_polls: How often an order with `additional.async` gets 102, and a report PENDING,
            before it is done.
        racy: Buy a label before its reference is recorded, so that overlapping creates buy two.
        seed: The seed of waybills and faults: the same calls get the same responses.
        clock: Returns the seconds since the epoch.
        scan_every: The seconds that a parcel stays at a station; without it parcels move by
            `advance` alone.
        page_size: The rows in a page of updated orders.

    """

    _server: Server | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.stop()

    def start(self, port: int = 0) -> None:
        """Serve from a background thread until `stop`; port 0 takes any free one."""
        if self._server is not None:
            raise RuntimeError(f"this sandbox is already running at {self.base_url}")
        self._server = Server(self, port)

    def stop(self) -> None:
        """Close the port and every connection; idempotent."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def close(self) -> None:
        """Stop, and close the file; without this it is closed when the sandbox is collected."""
        self.stop()
        self.store.close()

    @property
    def base_url(self) -> str:
        """The base URL of the API, which a client takes as `base_url`."""
        if self._server is None:
            raise RuntimeError("this sandbox is not running: use `async with`, or call `start()`")
        return self._server.url

    @property
    def page(self) -> str:
        """The URL of the sandbox's page for browsers."""
        return self.base_url.removesuffix("api")


def main(
    sandbox: Sandbox,
    *,
    port: int = 8000,
    webhooks_to: str | None = None,
    webhook_token: str | None = None,
) -> None:
    """Print the address of a sandbox, then serve it until interrupted.

    With `webhooks_to` it pushes webhooks to that address of this machine.
    """
    if webhooks_to:
        sandbox.webhooks_to(webhooks_to, token=webhook_token)
    with sandbox, suppress(KeyboardInterrupt):
        try:
            sandbox.start(port)
        except OSError as error:
            reason = os.strerror(error.errno).lower() if error.errno else error
            raise SystemExit(f"port {port}: {reason}; 0 takes any free one") from None
        lines = (f"in a browser: {sandbox.page}", *sandbox.export_lines(sandbox.base_url))
        # The process that started this one waits for the first line.
        print(sandbox.base_url, *lines, sep="\n", flush=True)  # noqa: T201
        while True:
            time.sleep(3600)
