"""The dashboard's audit log, and access tokens."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

from attrs import frozen

from clickpost_async.structures._base import ListResponse, RequestModel, ResponseModel
from clickpost_async.structures._constraints import MaxLength, NotBlank
from clickpost_async.structures._marks import Personal, WireName
from clickpost_async.structures._timestamps import parse_timestamp


@frozen(kw_only=True, repr=False)
class AuditEntry(ResponseModel):
    """One action of a dashboard user.

    `payload` is the input of the action, sometimes as a string.
    """

    service_type: str | None = None
    uuid: Annotated[str | None, WireName("log_uuid")] = None
    username: Annotated[str | None, Personal()] = None
    user_email: Annotated[str | None, Personal()] = None
    ip_address: Annotated[str | None, Personal()] = None
    payload: Annotated[Mapping[str, Any] | str | None, Personal()] = None
    created_at: str | None = None

    @property
    def created(self) -> datetime | None:
        """When it was done; ClickPost writes it in UTC."""
        return parse_timestamp(self.created_at)


@frozen(kw_only=True, repr=False)
class AuditLog(ResponseModel, ListResponse[AuditEntry]):
    """What was done on the dashboard within one hour."""

    rows: Sequence[AuditEntry] = ()


@frozen(kw_only=True, repr=False)
class Login(RequestModel):
    """A dashboard user's name and password; neither is shown by a repr."""

    username: Annotated[str, NotBlank(), MaxLength(100), Personal()]
    password: Annotated[str, NotBlank(), Personal()]


@frozen(kw_only=True, repr=False)
class Token(ResponseModel):
    """An access token, which no repr shows; `expires_at` is written without its zone."""

    essential = "token"

    token: Annotated[str | None, Personal()] = None
    expires_at: str | None = None

    @property
    def incomplete(self) -> bool:
        """Whether the response reports success but contains no token."""
        return not self.token
