"""The latest calls with their responses, for the page and for samples."""

import json
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence

from attrs import define, field, frozen

from clickpost_async.sandbox.operation import Reply

# The number of calls, and of bytes of each body, that are kept.
KEPT = 500
_LONGEST = 64 * 1024
_SECONDS = 60


@frozen(kw_only=True)
class LoggedCall:
    """One call and its response, without credentials; `seconds` is how long the sandbox took.

    `about` is the reference number or waybill, `attempt` counts the calls of that operation about
    it. With a fault there may be no response: then `http_status` is 0 and `answer` is empty. Bodies
    of more than 64 KiB are not kept.
    """

    id: int
    operation: str
    about: str
    attempt: int
    method: str
    path: str
    query: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    http_status: int
    answer: bytes = field(repr=False)
    fault: str | None
    seconds: float
    moment: float

    @property
    def sent(self) -> object:
        """The request body as JSON; a string if it is not JSON."""
        return _read(self.body)

    @property
    def answered(self) -> object:
        """The response body as JSON; a string if it is not JSON."""
        return _read(self.answer)

    @property
    def code(self) -> int:
        """ClickPost's own status if the response has one, else the HTTP status; 0 without any."""
        answered = self.answered
        status = Reply(answered).status if isinstance(answered, dict) else None
        return self.http_status if status is None else status


@define
class CallLog:
    """The latest calls, and their number; thread-safe."""

    total: int = field(default=0, init=False)
    misbehaved: int = field(default=0, init=False)
    _latest: deque[LoggedCall] = field(factory=lambda: deque(maxlen=KEPT), init=False)
    _attempts: Counter[tuple[str, str]] = field(factory=Counter, init=False)
    _pulse: deque[list[int]] = field(factory=lambda: deque(maxlen=_SECONDS), init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False, repr=False, eq=False)

    def note(
        self,
        operation: str,
        about: str,
        *,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: bytes,
        http_status: int,
        answer: bytes,
        fault: str | None,
        seconds: float,
        moment: float,
    ) -> None:
        """Record a call, and drop the oldest."""
        with self._lock:
            self.total += 1
            self.misbehaved += fault is not None
            attempt = 1
            if about:
                self._attempts[operation, about] += 1
                attempt = self._attempts[operation, about]
            self._beat(fault is not None)
            exchange = LoggedCall(
                id=self.total,
                operation=operation,
                about=about,
                attempt=attempt,
                method=method,
                path=path,
                query=query,
                body=body if len(body) <= _LONGEST else b"",
                http_status=http_status,
                answer=answer if len(answer) <= _LONGEST else b"",
                fault=fault,
                seconds=seconds,
                moment=moment,
            )
            self._latest.append(exchange)

    def latest(self, limit: int = KEPT, search: str = "") -> Sequence[LoggedCall]:
        """Return the latest calls that contain a text, the newest first."""
        with self._lock:
            kept = list(self._latest)
        wanted = search.casefold()
        found = (exchange for exchange in reversed(kept) if wanted in _searchable(exchange))
        return [exchange for exchange, _ in zip(found, range(limit), strict=False)]

    def numbered(self, number: int) -> LoggedCall | None:
        """Return a call that is still kept, by its id."""
        with self._lock:
            return next((kept for kept in self._latest if kept.id == number), None)

    def pulse(self) -> Sequence[tuple[int, int]]:
        """Return, for each of the last 60 seconds, the number of calls and of injected faults."""
        now = int(time.monotonic())
        with self._lock:
            counts = {second: (calls, bad) for second, calls, bad in self._pulse}
        return [counts.get(second, (0, 0)) for second in range(now - _SECONDS + 1, now + 1)]

    def clear(self) -> None:
        """Delete all of them."""
        with self._lock:
            self.total = self.misbehaved = 0
            for kept in (self._latest, self._attempts, self._pulse):
                kept.clear()

    def _beat(self, misbehaved: bool) -> None:  # noqa: FBT001 - counted
        second = int(time.monotonic())
        if not self._pulse or self._pulse[-1][0] != second:
            self._pulse.append([second, 0, 0])
        self._pulse[-1][1] += 1
        self._pulse[-1][2] += misbehaved


def _searchable(exchange: LoggedCall) -> str:
    fault = exchange.fault or ""
    return f"{exchange.operation} {exchange.about} {exchange.http_status} {fault}".casefold()


def _read(body: bytes) -> object:
    try:
        return json.loads(body) if body else None
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace")
