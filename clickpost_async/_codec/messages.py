"""What is sent and what arrives, as plain values that never hold the key."""

from attrs import field, frozen

from clickpost_async._codec.endpoint import Auth
from clickpost_async.settings import Host


@frozen(kw_only=True)
class APIRequest:
    """A call as it is written, before it is signed."""

    label: str
    method: str
    host: Host
    target: str
    body: bytes | None = field(repr=False)
    auth: Auth
    is_create: bool
    reference_number: str | None = None


@frozen(kw_only=True)
class APIResponse:
    """An answer as it arrived, unpacked."""

    http_status: int
    body: bytes = field(repr=False)
    retry_after: float | None = None
