"""Fetch labels, and download them.

The URL of a label can be opened by anyone who has it, and expires; it is downloaded with a separate
HTTP client that never sends the key.
"""

import os
from pathlib import Path

from clickpost_async._codec.endpoint import Get, Idempotency, Query
from clickpost_async._codec.file_types import Download, FileType
from clickpost_async.endpoints._base import check, lower_case
from clickpost_async.endpoints._namespace import Namespace
from clickpost_async.errors import InvalidRequestError, Problem
from clickpost_async.structures.labels import Label
from clickpost_async.structures.orders import Order

FETCH = Get(
    "/v1/fetch/shippinglabel/",
    name="labels.fetch",
    returns=Label,
    idempotency=Idempotency.SAFE,
)
# The same path, but it makes ClickPost request another label from the courier.
REGENERATE = Get(
    "/v1/fetch/shippinglabel/",
    name="labels.regenerate",
    returns=Label,
    idempotency=Idempotency.UNSAFE,
)

ENDPOINTS = (FETCH, REGENERATE)

LABEL = Download("labels.download", {FileType.PDF, FileType.PNG, FileType.ZPL})


class Labels(Namespace):
    """`clickpost.labels`."""

    async def fetch(self, waybill: str, *, courier_partner: int) -> Label:
        """Fetch the URL of a parcel's label.

        Args:
            waybill: The courier's number of the parcel.
            courier_partner: The courier's id in ClickPost.

        Returns:
            The URL, which `download` takes.

        Raises:
            ServerError: Also when there is no label (500).
            CredentialsError: The key is wrong.

        """
        return await self._caller.get(FETCH, _query(waybill, courier_partner, regenerate=False))

    async def regenerate(self, waybill: str, *, courier_partner: int) -> Label:
        """Have ClickPost request a parcel's label from the courier again, and return its URL.

        Use it only when ClickPost advises it. The call is never retried; otherwise as `fetch`.

        Args:
            waybill: The courier's number of the parcel.
            courier_partner: The courier's id in ClickPost.

        Returns:
            The URL of the new label.

        Raises:
            ClickPostError: The errors of `fetch`.

        """
        return await self._caller.get(REGENERATE, _query(waybill, courier_partner, regenerate=True))

    async def download(
        self,
        label: Label | Order | str,
        path: str | os.PathLike[str],
        *,
        overwrite: bool = False,
    ) -> Path:
        """Download a label into a file, and return its path.

        The file appears only when it is complete, and is readable by its owner only.

        Args:
            label: What `fetch` or a create call returned, or a URL.
            path: Where the file is written.
            overwrite: Whether an existing file at `path` is replaced.

        Returns:
            The path of the file.

        Raises:
            InvalidRequestError: There is no label yet, its URL is not a safe one, or there is a
                file at `path` and `overwrite` is false.
            RefusedError: The label does not exist any more (HTTP 403, 404): fetch it again.
            UnreadableReplyError: The downloaded file is not a PDF, PNG or ZPL.
            NotSentError, NoReplyError, ServerError: temporary failure; retry later.
            OSError: The file cannot be written.

        """
        match label:
            case Label():
                url = label.url
            case Order():
                url = label.label
            case _:
                url = label
        if not (isinstance(url, str) and url):
            problem = Problem("label", "there is no label yet; fetch it later with labels.fetch")
            raise InvalidRequestError.of([problem])
        return await self._caller.download(LABEL, url, Path(path), overwrite=overwrite)


def _query(waybill: str, courier_partner: int, *, regenerate: bool) -> Query:
    check(waybill=waybill, courier_partner=courier_partner)
    return {"waybill": waybill, "cp_id": courier_partner, "regenerate": lower_case(regenerate)}
