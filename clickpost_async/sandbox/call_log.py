"""The latest calls with their answers: what the page shows, and what samples are made of."""

import json
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence

from attrs import define, field, frozen

from clickpost_async.sandbox.operation import Reply

# So many calls, and so many bytes of each body, are kept for people to look at.
KEPT = 500
_LONGEST = 64 * 1024
_SECONDS = 60


@frozen(kw_only=True)
class LoggedCall:
    """One call and its answer, without credentials; `seconds` is what the sandbox took for it.

    `about` is the reference number or waybill, `attempt` counts the calls of that operation about
    it. A fault may leave no answer: then `http_status` is 0 and `answer` empty. Bodies of more than
    64 KiB are not kept.
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
        """The JSON that was sent; text if it is none."""
        return _read(self.body)

    @property
    def answered(self) -> object:
        """The JSON that was answered; text if it is none."""
        return _read(self.answer)

    @property
    def code(self) -> int:
        """ClickPost's own status where the answer has one, else that of HTTP; 0 without any."""
        answered = self.answered
        status = Reply(answered).status if isinstance(answered, dict) else None
        return self.http_status if status is None else status


@define
class CallLog:
    """The latest exchanges, and how many there were; any thread may ask."""

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
        """Keep one more, and forget the oldest."""
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
        """Return the latest exchanges that have a text in them, the newest first."""
        with self._lock:
            kept = list(self._latest)
        wanted = search.casefold()
        found = (exchange for exchange in reversed(kept) if wanted in _words(exchange))
        return [exchange for exchange, _ in zip(found, range(limit), strict=False)]

    def numbered(self, number: int) -> LoggedCall | None:
        """Return an exchange that is still kept."""
        with self._lock:
            return next((kept for kept in self._latest if kept.id == number), None)

    def pulse(self) -> Sequence[tuple[int, int]]:
        """Return how many calls each of the last 60 seconds had, and how many misbehaved."""
        now = int(time.monotonic())
        with self._lock:
            counts = {second: (calls, bad) for second, calls, bad in self._pulse}
        return [counts.get(second, (0, 0)) for second in range(now - _SECONDS + 1, now + 1)]

    def clear(self) -> None:
        """Forget all of them."""
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


def _words(exchange: LoggedCall) -> str:
    fault = exchange.fault or ""
    return f"{exchange.operation} {exchange.about} {exchange.http_status} {fault}".casefold()


def _read(body: bytes) -> object:
    try:
        return json.loads(body) if body else None
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace")
