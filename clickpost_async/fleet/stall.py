"""Warns why queued orders make no progress: no workers, silent workers, or failing ones."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from attrs import define, field

from clickpost_async.errors import InvalidRequestError, Outcome

_log = logging.getLogger("clickpost_async")

# All in seconds. Workers report every 3; a courier may be slower than the first of these.
_WITHOUT_WORKERS = 5.0
_WITHOUT_REPLY = 15.0
_INTERVAL = 5.0
# So many failures in a row are not due to single orders.
_FAILURES = 3


@define
class StallMonitor:
    """Warns every few seconds while there is no progress; its times are the event loop's.

    `account` is the one that the workers have to be started for.
    """

    account: str
    _replied_at: float | None = field(default=None, init=False)
    _warned_at: float | None = field(default=None, init=False)
    _failures: int = field(default=0, init=False)
    _latest: str | None = field(default=None, init=False)

    def note(self, reply: Mapping[str, Any], now: float) -> None:
        """Record a worker's reply."""
        self._replied_at = now
        if _is_failure(reply):
            self._failures += 1
            self._latest = _describe(reply)
            return
        self._failures, self._latest = 0, None
        if self._warned_at is not None:
            self._warned_at = None
            _log.warning("the workers of %s create orders again", self.account)

    async def check(
        self, waiting: int, now: float, count_workers: Callable[[], Awaitable[int]]
    ) -> None:
        """Warn if the workers' replies are failures, or if `waiting` orders get no reply."""
        if not waiting or self._replied_at is None:
            self._replied_at = now
        if self._warned_at is not None and now - self._warned_at < _INTERVAL:
            return
        silent = now - self._replied_at
        workers = await count_workers() if silent >= _WITHOUT_WORKERS else None
        if self._latest is not None and self._failures >= _FAILURES:
            _log.warning(
                "the last %d replies of the workers of %s were failures, the latest %s;"
                " %d orders wait",
                self._failures,
                self.account,
                self._latest,
                waiting,
            )
            self._latest = None
        elif workers == 0:
            _log.warning(
                "%d orders wait, and no worker of %s is connected to this Redis: start workers",
                waiting,
                self.account,
            )
        elif workers is not None and silent >= _WITHOUT_REPLY:
            _log.warning(
                "%d orders wait, and %d workers of %s have sent no reply for %.0f s",
                waiting,
                workers,
                self.account,
                silent,
            )
        else:
            return
        self._warned_at = now


def _is_failure(reply: Mapping[str, Any]) -> bool:
    """Return whether an order could not be decided about, which may be the workers' fault."""
    if "error" not in reply or reply["error"] == InvalidRequestError.__name__:
        return False
    return bool(reply["outcome"] != Outcome.REJECTED.name)


def _describe(reply: Mapping[str, Any]) -> str:
    kind, status = str(reply["error"]), reply["http_status"]
    if status is not None:
        # ClickPost's message may name a person.
        return f"{kind} (HTTP {status})"
    return f"{kind}: {reply['message']}"
