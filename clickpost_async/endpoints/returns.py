"""Returns that customers have asked for."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from clickpost_async._codec.endpoint import Auth, Get, Idempotency
from clickpost_async._codec.pages import page_of
from clickpost_async.endpoints._time_windows import (
    OVERLAP,
    Checkpoint,
    Feed,
    Page,
    Timed,
    Windows,
)
from clickpost_async.structures.returns import RaisedReturn, RaisedReturns

POLL = Get(
    "/v1/return_order_poll/",
    name="returns.poll",
    returns=RaisedReturns,
    accepts_meta=page_of,
    auth=Auth.USER_NAME_AND_KEY,
    idempotency=Idempotency.SAFE,
)

ENDPOINTS = (POLL,)


def _identity(row: RaisedReturn) -> Sequence[object]:
    return (row.return_reference_number, row.status, row.requested_at)


_RETURNS = Feed(name=POLL.name, longest=timedelta(minutes=60), identity=_identity)


class Returns(Timed):
    """`clickpost.returns`."""

    async def poll(
        self, start: datetime, end: datetime, *, page: Page | None = None
    ) -> RaisedReturns:
        """Fetch the returns that were asked for in a window of at most 60 minutes.

        Both ends are sent in UTC, cut to the second. `page` is the `next_page` of the page before,
        if there is one; `iter_requests` turns the pages by itself.

        Raises `InvalidRequestError` for a longer window, before anything is sent.
        """
        _RETURNS.check_window(start, end)
        return await self._caller.get(
            POLL,
            {"start_time": _written(start), "end_time": _written(end), **(page or {})},
        )

    def iter_requests(
        self,
        start: datetime,
        end: datetime | None = None,
        *,
        checkpoint: Checkpoint | None = None,
        overlap: timedelta = OVERLAP,
    ) -> Windows[RaisedReturn]:
        """Iterate over all returns of a span of any length, oldest window first.

        Each is given out once for every status that it is found in. `end` is now unless it is
        earlier. To go on where an earlier run stopped, give its `checkpoint`; `start` does not
        count then. `overlap` is how far clocks may differ, and how late ClickPost may be, without
        a loss.
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


def _written(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
