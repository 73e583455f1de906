"""Warns while an outage keeps a run waiting, and halts the run when it lasts too long."""

import logging
import math
from collections.abc import Callable

import anyio

from clickpost_async._core.retry import UNHEALTHY
from clickpost_async.errors import ClickPostError, NotSentError, ThrottledError
from clickpost_async.events import AttemptFailed, AttemptSucceeded, Event, RateLimitPaused

_log = logging.getLogger("clickpost_async.bulk")

# All in seconds.
_REPORT_INTERVAL = 5.0
# Where there were responses before: one lost connection among many is no outage.
_MIN_OUTAGE = 2.0
# Timers may fire a little early, and floats are rounded.
_TICK = 0.001
# A shorter pause, such as after a 429, is over before a warning is read.
_LONG_PAUSE = 5.0


class OutageMonitor:
    """Follows the attempts of a run: since when nothing has responded, until when all are paused.

    Any HTTP response counts, a proxy's 502 too. Requests are paused by the circuit
    breaker after many failures, and by a 429. Its probes come at longer and longer intervals, and
    the host may have come back since the last one: so a run halts at the first attempt that fails
    after `max_outage` seconds, which are counted from the first one.
    """

    def __init__(self, address: str, max_outage: float) -> None:
        self._address = address
        self._max_outage = max_outage
        self._has_responded = False
        self._no_response_since: float | None = None
        self._failed_at = -math.inf
        self._paused_until = -math.inf
        self._error: ClickPostError | None = None
        self._is_reported = False
        self._changed = anyio.Event()

    def observe(self, event: Event) -> None:
        """Record how an attempt ended, and pauses."""
        match event:
            case AttemptSucceeded():
                self._record_health()
            case AttemptFailed(error=error) if error.kind in UNHEALTHY:
                self._error = error
                if error.http_status is None and error.status is None:
                    self._record_no_response()
                else:
                    self._record_response()
            case AttemptFailed(error=ThrottledError() as error):
                self._error = error
                self._record_response()
            case AttemptFailed(error=error) if error.http_status is not None:
                self._record_health()
            case RateLimitPaused(seconds=seconds):
                self._paused_until = anyio.current_time() + seconds
                self._changed.set()
            case _:
                pass

    def _record_no_response(self) -> None:
        self._failed_at = anyio.current_time()
        if self._no_response_since is None:
            self._no_response_since = self._failed_at
            self._changed.set()
        elif self._is_too_long:
            self._changed.set()

    def _record_response(self) -> None:
        self._has_responded = True
        self._no_response_since = None

    def _record_health(self) -> None:
        self._record_response()
        if self._error is not None:
            self._error = None
            self._paused_until = -math.inf
            self._changed.set()

    async def watch(self, halt: Callable[[ClickPostError], None]) -> None:
        """Log what keeps the run waiting; call `halt` when nothing responded for too long."""
        while True:
            self._changed = anyio.Event()
            if self._is_too_long:
                halt(self._halt_error())
                return
            wait = self._report(self._outage())
            with anyio.move_on_after(max(wait, _TICK)):
                await self._changed.wait()

    @property
    def _is_too_long(self) -> bool:
        since = self._no_response_since
        return since is not None and self._failed_at - since > self._max_outage - _TICK

    def _outage(self) -> float | None:
        since = self._no_response_since
        return None if since is None else anyio.current_time() - since

    def _report(self, outage: float | None) -> float:
        """Log it if it is worth that, and return in how many seconds to look again."""
        pause = self._paused_until - anyio.current_time()
        if self._error is None:
            if self._is_reported:
                self._is_reported = False
                _log.warning("%s responds again", self._address)
            return math.inf
        is_short = outage is None or (self._has_responded and outage < _MIN_OUTAGE)
        if is_short and pause < _LONG_PAUSE and not self._is_reported:
            return math.inf if outage is None else _MIN_OUTAGE - outage
        self._is_reported = True
        halts_in = None if outage is None else self._max_outage - outage
        _log.warning("%s", describe(self._address, self._error, outage, pause, halts_in))
        return _REPORT_INTERVAL

    def _halt_error(self) -> ClickPostError:
        reason = "" if self._error is None else f": {self._error.message}"
        return NotSentError(f"no response from {self._address} for {self._max_outage:g} s{reason}")


def describe(
    address: str,
    error: ClickPostError,
    outage: float | None,
    pause: float,
    halts_in: float | None,
) -> str:
    """Return one line: what keeps a run waiting, why, and what comes next; times in seconds.

    `outage`: nothing has responded for so long; `pause`: nothing is tried for so long.
    """
    what = f"requests to {address} fail"
    if outage is not None:
        what = f"no response from {address}" + (f" for {outage:.0f} s" if outage >= 1 else "")
    tries = f"next attempt in {pause:.0f} s" if pause >= 1 else "trying again"
    ends = ""
    if halts_in is not None and halts_in <= pause:
        ends = ", the run halts if that fails"
    elif halts_in is not None and math.isfinite(halts_in):
        ends = f", the run halts in {halts_in:.0f} s"
    return f"{what}: {error.message}; {tries}{ends}"
