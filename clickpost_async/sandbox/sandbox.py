"""The sandbox that users make: an application that can put itself on a port."""

from typing import Self

from clickpost_async.sandbox.app import Application
from clickpost_async.sandbox.server import Served


class Sandbox(Application):
    """A ClickPost that answers, refuses, remembers and misbehaves like the real one.

    `path` is a SQLite file that keeps what it knows; without one that is kept in memory. `seed` is
    what waybills and chances are made of: the same calls at the same seed are answered alike.
    `rate` and `burst` limit the calls per second (429); `faults` go wrong from the start on.

    `courier_seconds` is how long a courier takes; `async_polls` how often an order with
    `additional.async` answers 102, and a report PENDING, before it is done. `clock` tells the
    seconds since the epoch, `scan_every` is how many of them a parcel stays at a station; without
    it parcels move by `advance` alone. A page of updated orders has `page_size` rows. `password` is
    that of the user who asks for a token. With `racy` a label is bought before its reference is
    recorded: overlapping creates buy two.

    `async with Sandbox() as sandbox:` serves it on a free port while the block runs, with its page
    at `sandbox.page`; what it remembers can still be asked for afterwards.
    """

    _server: Served | None = None

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.stop()

    def start(self, port: int = 0) -> None:
        """Serve from a thread of its own until `stop`; port 0 takes any free one."""
        if self._server is not None:
            raise RuntimeError(f"this sandbox is served already, at {self.base_url}")
        self._server = Served(self, port=port)

    def stop(self) -> None:
        """Close the port, and cut every connection; may be repeated."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    @property
    def base_url(self) -> str:
        """The base URL of the API, which a client takes as `base_url`."""
        if self._server is None:
            raise RuntimeError("this sandbox has no address: use `async with`, or `start()`")
        return self._server.url

    @property
    def page(self) -> str:
        """Where a browser shows what happens."""
        return self.base_url.removesuffix("api")
