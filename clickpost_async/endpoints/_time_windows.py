"""Lists that ClickPost serves by time window only: check one window, or iterate over any span.

Every row of a span is yielded once, oldest window first. Windows overlap, because rows appear late:
ClickPost's clock may differ from ours, and new rows are not visible at once. A row is deduplicated
by its identity, which is remembered for as long as a later window can contain it. A checkpoint
contains only the newest identities, so that its size does not grow with the number of rows: after a
restart no row is missing, and rows are yielded twice where a window contains more than that.
"""

import hashlib
import json
import re
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Generic, Protocol, Self, TypeVar

from attrs import field, frozen

from clickpost_async._codec.converter import unstructure
from clickpost_async._codec.endpoint import Caller, Query, QueryValue
from clickpost_async.endpoints._namespace import Namespace
from clickpost_async.errors import (
    ClickPostError,
    InvalidRequestError,
    Problem,
    ServerError,
    UnreadableReplyError,
)
from clickpost_async.structures import ResponseModel

T = TypeVar("T", bound=ResponseModel)
T_co = TypeVar("T_co", bound=ResponseModel, covariant=True)

Page = Mapping[str, str]

OVERLAP = timedelta(minutes=5)
_MAX_PAGES = 10_000
_MAX_READINGS = 10
# The number of rows that are recognised after a restart, and the characters that each takes in a
# checkpoint.
_MAX_SEEN = 256
_DIGEST_LENGTH = 16
_are_digests = re.compile(f"([0-9a-f]{{{_DIGEST_LENGTH}}})*", re.ASCII).fullmatch
_ALL_BUT_A_SECOND = timedelta(microseconds=999_999)


def utc_now() -> datetime:
    """Return the current time."""
    return datetime.now(UTC)


def unix_seconds(time: datetime) -> int:
    """Return a time in seconds since 1970, truncated."""
    return int(time.timestamp())


def window_error(message: str, **context: Any) -> ClickPostError:
    """Return the error for a 500, which has two meanings that only its message distinguishes.

    "(end_date-start_date) diff can not be more than 3600 seconds" is a mistake in the request, and
    a retry cannot help.
    """
    kind = InvalidRequestError if "can not be more than" in message else ServerError
    return kind(message, **context)


class WindowedNamespace(Namespace):
    """A namespace whose endpoints take time windows; `now` returns the current time."""

    __slots__ = ("_now",)

    def __init__(self, caller: Caller, now: Callable[[], datetime] = utc_now) -> None:
        super().__init__(caller)
        self._now = now


@frozen(kw_only=True)
class Checkpoint:
    """How far a span has been read: store it, and resume from it later, in any process.

    Everything before `start` has been yielded, and after it the rows in `seen`, of which only the
    newest 256 are stored. Its size is bounded, however many rows there are.

    Attributes:
        of: The list that was read.
        start: Everything before has been yielded.
        seen: Digests of the rows after `start` that have been yielded.

    """

    of: str
    start: datetime
    seen: Sequence[str] = field(default=(), repr=False)

    def to_json(self) -> str:
        """Return the checkpoint as JSON, at most 4.2 kB."""
        return json.dumps(
            {"of": self.of, "start": self.start.isoformat(), "seen": "".join(self.seen)}
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Parse the JSON of `to_json`.

        Args:
            text: The JSON.

        Returns:
            The checkpoint.

        Raises:
            InvalidRequestError: The text is anything else.

        """
        try:
            found = json.loads(text)
            of, start, seen = found["of"], found["start"], found["seen"]
            checkpoint = cls(of=of, start=datetime.fromisoformat(start), seen=_split(seen))
        except (ValueError, TypeError, KeyError, RecursionError):
            checkpoint = None
        if (
            checkpoint is None
            or checkpoint.start.utcoffset() is None
            or not isinstance(checkpoint.of, str)
        ):
            message = "invalid checkpoint; pass a string produced by Checkpoint.to_json()"
            problem = Problem("checkpoint", message)
            raise InvalidRequestError.of([problem])
        return checkpoint


def _split(seen: str) -> Sequence[str]:
    if not _are_digests(seen):
        raise ValueError("not a sequence of digests")
    return [seen[at : at + _DIGEST_LENGTH] for at in range(0, len(seen), _DIGEST_LENGTH)]


class Listing(Protocol[T_co]):
    """One page of rows."""

    @property
    def rows(self) -> Sequence[T_co]: ...

    @property
    def next_page(self) -> Page | None: ...


class FetchPage(Protocol[T_co]):
    """Fetches one page of a window."""

    def __call__(
        self, start: datetime, end: datetime, *, page: Page | None
    ) -> Awaitable[Listing[T_co]]: ...


@frozen(kw_only=True)
class WindowedList(Generic[T]):
    """A list served by time window: its name, the maximum window, and a row's identity.

    `start` and `end` are the query's parameters for the window, `write` how a time is written.
    """

    name: str
    max_window: timedelta
    identity: Callable[[T], Sequence[object]]
    start: str = "start_date"
    end: str = "end_date"
    write: Callable[[datetime], QueryValue] = unix_seconds

    def query(self, start: datetime, end: datetime, page: Page | None) -> Query:
        """Return the query for a page of a window.

        Raises `InvalidRequestError` for a window that ClickPost would reject.
        """
        problems = _wrong_times(start, end)
        if not problems and end - start > self.max_window:
            advice = (
                f"must be at most {self.max_window.total_seconds():.0f} s after start;"
                " for a longer span use the method that begins with iter_"
            )
            problems.append(Problem("end", advice))
        if problems:
            raise InvalidRequestError.of(problems)
        return {self.start: self.write(start), self.end: self.write(end), **(page or {})}

    def check_span(
        self,
        start: datetime,
        end: datetime | None,
        checkpoint: Checkpoint | None,
        overlap: timedelta,
    ) -> None:
        """Raise `InvalidRequestError` for a span that cannot be read."""
        problems = _wrong_times(start, end)
        if not timedelta(0) <= overlap < self.max_window:
            advice = f"must be at least 0 and less than {self.max_window.total_seconds():.0f} s"
            problems.append(Problem("overlap", advice))
        if checkpoint is not None and checkpoint.of != self.name:
            advice = f"is a checkpoint of {checkpoint.of}; pass one of {self.name}"
            problems.append(Problem("checkpoint", advice))
        if problems:
            raise InvalidRequestError.of(problems)


def _wrong_times(start: datetime, end: datetime | None) -> list[Problem]:
    times = {"start": start} if end is None else {"start": start, "end": end}
    problems = [
        Problem(name, "expected a datetime with a time zone, such as datetime.now(UTC)")
        for name, time in times.items()
        if not isinstance(time, datetime) or time.utcoffset() is None
    ]
    if not problems and end is not None and end <= start:
        problems.append(Problem("end", "must be after start"))
    return problems


class Windows(Generic[T]):
    """The rows of a span, for `async for`.

    `checkpoint` is up to date after every row. An error does not end the iteration: the next step
    requests the failed page again, and no row is missed or yielded twice.
    """

    def __init__(
        self,
        source: WindowedList[T],
        fetch: FetchPage[T],
        *,
        start: datetime,
        end: datetime | None,
        checkpoint: Checkpoint | None,
        overlap: timedelta,
        now: Callable[[], datetime],
    ) -> None:
        source.check_span(start, end, checkpoint, overlap)
        self._source = source
        self._fetch = fetch
        self._overlap = overlap
        self._end = _last_second(end, now())
        self._start = _whole(start if checkpoint is None else checkpoint.start)
        self._stop = self._window_end()
        self._done = self._start >= self._end
        # Every row that was yielded and may appear again, with the end of the last window that it
        # was in; the latest rows are last. A row's own times are not used: in the example of
        # ClickPost's OpenAPI export, `updated_at` is hours outside of the requested window.
        self._seen = dict.fromkeys(checkpoint.seen if checkpoint else (), self._stop)
        self._rows: deque[T] = deque()
        self._begin_reading()
        self._readings = 0

    @property
    def checkpoint(self) -> Checkpoint:
        """The current position; every row yielded so far counts as done. Cheap after any row."""
        newest = tuple(islice(reversed(self._seen), _MAX_SEEN))[::-1]
        return Checkpoint(of=self._source.name, start=self._start, seen=newest)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        while not self._done:
            while self._rows:
                row = self._rows.popleft()
                if self._is_new(row):
                    return row
            if self._pages and self._page is None:
                self._finish_reading()
            else:
                await self._turn_page()
        raise StopAsyncIteration

    def _is_new(self, row: T) -> bool:
        digest = self._digest(row)
        is_new = self._seen.pop(digest, None) is None
        self._seen[digest] = self._stop
        return is_new

    def _digest(self, row: T) -> str:
        parts = self._source.identity(row)
        written = json.dumps(unstructure(row) if None in parts else parts, sort_keys=True)
        return hashlib.blake2b(written.encode(), digest_size=8).hexdigest()

    # --- pages of a window ---

    def _begin_reading(self) -> None:
        self._page: Page | None = None
        self._pages: list[Page | None] = []
        self._is_shifted = False

    async def _turn_page(self) -> None:
        listing = await self._fetch(self._start, self._stop, page=self._page)
        following = listing.next_page
        pages = [*self._pages, self._page]
        if following is not None and (following in pages or len(pages) >= _MAX_PAGES):
            message = (
                "pagination loop detected; results may be incomplete:"
                " iterate again from the last checkpoint"
            )
            raise UnreadableReplyError(message, endpoint=self._source.name)
        # A page that was linked to and is empty: rows have moved to the pages before it.
        self._is_shifted |= bool(self._pages) and not listing.rows
        self._rows.extend(listing.rows)
        self._pages = pages
        self._page = following

    def _finish_reading(self) -> None:
        """Advance to the next window, or read this one again.

        An order that is updated while the pages of its window are read drops out of the window, and
        the rows after it move up: one may move to a page that was already read. If the last page is
        empty for that reason, the window is read again.
        """
        self._readings += 1
        again = self._is_shifted and self._readings < _MAX_READINGS
        self._begin_reading()
        if not again:
            self._readings = 0
            self._advance()

    # --- windows of the span ---

    def _window_end(self) -> datetime:
        return min(self._start + self._source.max_window, self._end)

    def _advance(self) -> None:
        self._done = self._stop >= self._end
        self._start = max(self._start, self._stop - self._overlap)
        self._seen = {row: last for row, last in self._seen.items() if last >= self._start}
        self._stop = self._window_end()


def _whole(time: datetime) -> datetime:
    """Truncate a time to the second, the resolution of ClickPost's windows."""
    return time.astimezone(UTC).replace(microsecond=0)


def _last_second(end: datetime | None, now: datetime) -> datetime:
    """Return the end of a span: never in the future, whose rows the checkpoint would skip."""
    if end is None or end > now:
        return _whole(now)
    return _whole(end + _ALL_BUT_A_SECOND)
