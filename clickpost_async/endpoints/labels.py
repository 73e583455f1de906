"""Fetch labels, and download them.

The address of a label is open to whoever has it, and expires; it is downloaded by a client that
never carries the key.
"""

import os
from pathlib import Path

from clickpost_async._codec.endpoint import Get, Idempotency, Query
from clickpost_async._codec.file_types import Download, Kind
from clickpost_async._codec.spelling import lower
from clickpost_async.endpoints._base import check
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
# The same address, but it makes ClickPost ask the courier for another label.
REGENERATE = Get(
    "/v1/fetch/shippinglabel/",
    name="labels.regenerate",
    returns=Label,
    idempotency=Idempotency.UNSAFE,
)

ENDPOINTS = (FETCH, REGENERATE)

LABEL = Download("labels.download", {Kind.PDF, Kind.PNG, Kind.ZPL})


class Labels(Namespace):
    """`clickpost.labels`."""

    async def fetch(self, waybill: str, *, courier_partner: int) -> Label:
        """Fetch the URL of a parcel's label.

        Raises:
            ServerError: also when there is no label to be had (500).
            CredentialsError: the key is wrong.

        """
        return await self._caller.get(FETCH, _query(waybill, courier_partner, regenerate=False))

    async def regenerate(self, waybill: str, *, courier_partner: int) -> Label:
        """Have ClickPost ask the courier for a parcel's label again, and return its URL.

        ClickPost wants this done on its own advice only. The call is never repeated; otherwise as
        `fetch`.
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

        `label` is what `fetch` or a create call answered, or a URL. The file appears only when it
        is whole, readable by its owner only; PDF, PNG and ZPL are taken, by their first bytes.

        Raises:
            InvalidRequestError: there is no label yet, its URL is not one to be followed, or there
                is a file at `path` already and `overwrite` was not said.
            RefusedError: the label is not there any more (HTTP 403, 404): fetch it again.
            UnreadableReplyError: what came is no label.
            NotSentError, NoReplyError, ServerError: it may work later.
            OSError: the file cannot be written here.

        """
        match label:
            case Label():
                url = label.url
            case Order():
                url = label.label
            case _:
                url = label
        if not (isinstance(url, str) and url):
            problem = Problem(
                "label", "there is none yet; fetch it with labels.fetch a little later"
            )
            raise InvalidRequestError.of([problem])
        return await self._caller.download(LABEL, url, Path(path), overwrite=overwrite)


def _query(waybill: str, courier_partner: int, *, regenerate: bool) -> Query:
    check(waybill=waybill, courier_partner=courier_partner)
    return {"waybill": waybill, "cp_id": courier_partner, "regenerate": lower(regenerate)}
