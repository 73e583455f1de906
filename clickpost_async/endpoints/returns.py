"""List the returns that customers have requested."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from clickpost_async._codec.endpoint import Auth, Get, Idempotency
from clickpost_async._codec.pages import page_of
from clickpost_async.endpoints._time_windows import (
    OVERLAP,
    Checkpoint,
    Page,
    WindowedList,
    WindowedNamespace,
    Windows,
)
from clickpost_async.structures.returns import RaisedReturn, RaisedReturns

POLL = Get(
    "/v1/return_order_poll/",
    name="returns.poll",
    returns=RaisedReturns,
    extract=page_of,
    auth=Auth.USER_NAME_AND_KEY,
    idempotency=Idempotency.SAFE,
)

ENDPOINTS = (POLL,)


def _identity(row: RaisedReturn) -> Sequence[object]:
    return (row.return_reference_number, row.status, row.requested_at)


def _utc(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")


_RETURNS = WindowedList(
    name=POLL.name,
    max_window=timedelta(minutes=60),
    identity=_identity,
    start="start_time",
    end="end_time",
    write=_utc,
)


class Returns(WindowedNamespace):
    """`clickpost.returns`."""

    async def poll(
        self, start: datetime, end: datetime, *, page: Page | None = None
    ) -> RaisedReturns:
        """Fetch one page of the returns that were requested in a window of at most 60 minutes.

        Args:
            start: The window's start, with a time zone; sent in UTC, truncated to the second.
            end: Its end, likewise.
            page: The `next_page` of the page before; `iter_requests` fetches all pages by itself.

        Returns:
            The returns, and `next_page` if there is another one.

        Raises:
            InvalidRequestError: The window is too long, or a time has no zone; nothing is sent.

        """
        return await self._caller.get(POLL, _RETURNS.query(start, end, page))

    def iter_requests(
        self,
        start: datetime,
        end: datetime | None = None,
        *,
        checkpoint: Checkpoint | None = None,
        overlap: timedelta = OVERLAP,
    ) -> Windows[RaisedReturn]:
        """Iterate over all returns of a span of any length, oldest window first.

        Each is yielded once for every status that it is seen with.

        Args:
            start: The span's start, with a time zone.
            end: Its end; now by default, and at the latest.
            checkpoint: That of an earlier run, to resume it; `start` is ignored then.
            overlap: How far clocks may differ, and how late ClickPost may be, without a loss.

        Returns:
            The returns, for `async for`; its `checkpoint` is up to date after every row.

        Raises:
            InvalidRequestError: A time has no zone, `overlap` is too long, or `checkpoint` belongs
                to another list; nothing is sent.

        """
        return Windows(
            _RETURNS,
            self.poll,
            start=start,
            end=end,
            checkpoint=checkpoint,
            overlap=overlap,
            now=self._now,
        )
