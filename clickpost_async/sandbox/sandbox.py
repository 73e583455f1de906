"""The public `Sandbox`: the application, which can serve itself on a port."""

from typing import Self

from clickpost_async.sandbox.app import Application
from clickpost_async.sandbox.server import Served


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

    _server: Served | None = None

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.stop()

    def start(self, port: int = 0) -> None:
        """Serve from a background thread until `stop`; port 0 takes any free one."""
        if self._server is not None:
            raise RuntimeError(f"this sandbox is already running at {self.base_url}")
        self._server = Served(self, port=port)

    def stop(self) -> None:
        """Close the port and every connection; idempotent."""
        if self._server is not None:
            self._server.stop()
            self._server = None

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
