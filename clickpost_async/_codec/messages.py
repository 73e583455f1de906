"""Requests and responses as plain values that never contain the key.

Nothing changes them; they are not frozen only because there are two for each call, and a frozen
class takes twice the time to make. So does one whose arguments are given by keyword.
"""

from attrs import define, field

from clickpost_async._codec.endpoint import Auth
from clickpost_async.settings import Host
from clickpost_async.structures._base import RequestModel


@define
class EncodedOrder:
    """An order with its JSON, which a journal and the request share."""

    order: RequestModel = field(repr=False)
    json: bytes = field(repr=False)


@define
class APIRequest:
    """An encoded request, before credentials are added."""

    label: str
    method: str
    host: Host
    target: str
    body: bytes | None = field(repr=False)
    auth: Auth
    is_create: bool
    reference_number: str | None = None


@define
class APIResponse:
    """A response as received, decompressed."""

    http_status: int
    body: bytes = field(repr=False)
    retry_after: float | None = None
