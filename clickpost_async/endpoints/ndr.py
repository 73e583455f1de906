"""Failed deliveries (NDR): read the customers' feedback, and instruct the courier."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from clickpost_async._codec.endpoint import Get, Idempotency, Post
from clickpost_async._codec.envelope import without_meta
from clickpost_async._codec.pages import page_of
from clickpost_async.endpoints._time_windows import (
    OVERLAP,
    Checkpoint,
    Page,
    WindowedList,
    WindowedNamespace,
    Windows,
    window_error,
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
    extract=page_of,
    means={500: window_error},
    idempotency=Idempotency.SAFE,
)
ACT = Post(
    "/v2/ndr-update-api",
    name="ndr.act",
    takes=NdrAction,
    returns=AcceptedNdrAction,
    extract=without_meta,
    # Each request is passed on to the courier.
    idempotency=Idempotency.UNSAFE,
)

ENDPOINTS = (FEEDBACK, ACT)


def _identity(feedback: NdrFeedback) -> Sequence[object]:
    return (feedback.waybill, feedback.kind, feedback.created_at)


_FEEDBACK = WindowedList(name=FEEDBACK.name, max_window=timedelta(seconds=3600), identity=_identity)


class Ndr(WindowedNamespace):
    """`clickpost.ndr`."""

    async def feedback(
        self, start: datetime, end: datetime, *, page: Page | None = None
    ) -> NdrFeedbacks:
        """Fetch one page of the feedback on failed deliveries in a window of at most 3,600 seconds.

        Args:
            start: The window's start, with a time zone; truncated to the second.
            end: Its end, likewise.
            page: The `next_page` of the page before; `iter_feedback` fetches all pages by itself.

        Returns:
            The feedback, and `next_page` if there is another one.

        Raises:
            InvalidRequestError: The window is too long, or a time has no zone; nothing is sent.

        """
        return await self._caller.get(FEEDBACK, _FEEDBACK.query(start, end, page))

    def iter_feedback(
        self,
        start: datetime,
        end: datetime | None = None,
        *,
        checkpoint: Checkpoint | None = None,
        overlap: timedelta = OVERLAP,
    ) -> Windows[NdrFeedback]:
        """Iterate over all feedback of a span of any length, oldest window first, each once.

        Args:
            start: The span's start, with a time zone.
            end: Its end; now by default, and at the latest.
            checkpoint: That of an earlier run, to resume it; `start` is ignored then.
            overlap: How far clocks may differ, and how late ClickPost may be, without a loss.

        Returns:
            The feedback, for `async for`; its `checkpoint` is up to date after every row.

        Raises:
            InvalidRequestError: A time has no zone, `overlap` is too long, or `checkpoint` belongs
                to another list; nothing is sent.

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
        """Instruct the courier what to do with a parcel in India that it could not deliver.

        The response means that ClickPost has accepted the instruction; it is passed on to the
        courier later, in up to three attempts. It is never resent, since the courier would get it
        twice.

        Args:
            action: The parcel, and what the courier shall do.

        Returns:
            ClickPost's acknowledgement.

        Raises:
            InvalidRequestError: A field is invalid; found before anything is sent, or by ClickPost.
            NoReplyError, UnreadableReplyError, ServerError: outcome unknown; check the dashboard
                before you send it again.

        """
        call = self._caller.post(ACT, action)
        del action  # error trackers export the variables of frames that fail
        return await call
