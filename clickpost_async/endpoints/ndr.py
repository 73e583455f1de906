"""Deliveries that failed: what customers say about them, and what the courier is told to do."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from clickpost_async._codec.endpoint import Get, Idempotency, Post
from clickpost_async._codec.management import without_meta
from clickpost_async._codec.pages import page_of
from clickpost_async.endpoints._time_windows import (
    OVERLAP,
    Checkpoint,
    Feed,
    Page,
    Timed,
    Windows,
    window_or_fault,
)
from clickpost_async.structures.ndr import (
    AcceptedNdrAction,
    NdrAction,
    NdrFeedback,
    NdrFeedbacks,
)

FEEDBACK = Get(
    "/v1/ndr_user_feedback/",
    name="ndr.feedback",
    returns=NdrFeedbacks,
    accepts_meta=page_of,
    means={500: window_or_fault},
    idempotency=Idempotency.SAFE,
)
ACT = Post(
    "/v2/ndr-update-api",
    name="ndr.act",
    takes=NdrAction,
    returns=AcceptedNdrAction,
    accepts_meta=without_meta,
    # Each one is passed on to the courier.
    idempotency=Idempotency.UNSAFE,
)

ENDPOINTS = (FEEDBACK, ACT)


def _identity(feedback: NdrFeedback) -> Sequence[object]:
    return (feedback.waybill, feedback.kind, feedback.created_at)


_FEEDBACK = Feed(name=FEEDBACK.name, longest=timedelta(seconds=3600), identity=_identity)


class Ndr(Timed):
    """`clickpost.ndr`."""

    async def feedback(
        self, start: datetime, end: datetime, *, page: Page | None = None
    ) -> NdrFeedbacks:
        """Fetch the feedback on failed deliveries of a window of at most 3,600 seconds.

        Both ends are cut to the second. `page` is the `next_page` of the page before, if there is
        one; `iter_feedback` turns the pages by itself.

        Raises `InvalidRequestError` for a longer window, before anything is sent.
        """
        _FEEDBACK.check_window(start, end)
        return await self._caller.get(
            FEEDBACK,
            {
                "start_date": int(start.timestamp()),
                "end_date": int(end.timestamp()),
                **(page or {}),
            },
        )

    def iter_feedback(
        self,
        start: datetime,
        end: datetime | None = None,
        *,
        checkpoint: Checkpoint | None = None,
        overlap: timedelta = OVERLAP,
    ) -> Windows[NdrFeedback]:
        """Iterate over all feedback of a span of any length, oldest window first, each once.

        `end` is now unless it is earlier. To go on where an earlier run stopped, give its
        `checkpoint`; `start` does not count then. `overlap` is how far clocks may differ, and how
        late ClickPost may be, without a loss.
        """
        return Windows(
            _FEEDBACK,
            self.feedback,
            start=start,
            end=end,
            checkpoint=checkpoint,
            overlap=overlap,
            now=self._now,
        )

    async def act(self, action: NdrAction | Mapping[str, Any]) -> AcceptedNdrAction:
        """Tell the courier what to do with a parcel in India that it could not deliver.

        The answer means that ClickPost has taken the instruction; it tells the courier later, with
        up to three tries. It is never sent twice by itself, since the courier would be told twice.

        Raises:
            InvalidRequestError: a field is wrong or missing, found here or there.
            NoReplyError, UnreadableReplyError, ServerError: nobody knows whether it was taken;
                look on the dashboard before it is sent again.

        """
        call = self._caller.post(ACT, action)
        del action  # error trackers export the variables of frames that fail
        return await call
