"""Read the dashboard's audit log, and get access tokens."""

from datetime import datetime

from clickpost_async._codec.endpoint import Auth, Get, Idempotency, Post
from clickpost_async._codec.envelope import rows_from_result, whole_body
from clickpost_async.endpoints._namespace import Namespace
from clickpost_async.errors import InvalidRequestError, Problem
from clickpost_async.structures.account import AuditLog, Login, Token

AUDIT_LOG = Get(
    "/v1/audit-log-data/",
    name="account.audit_log",
    returns=AuditLog,
    extract=rows_from_result,
    auth=Auth.KEY,
    idempotency=Idempotency.SAFE,
)
TOKEN = Post(
    "/v1/user/token/",
    name="account.token",
    takes=Login,
    returns=Token,
    extract=whole_body,
    auth=Auth.NONE,
    idempotency=Idempotency.UNSAFE,
)

ENDPOINTS = (AUDIT_LOG, TOKEN)


class Account(Namespace):
    """`clickpost.account`."""

    async def audit_log(self, hour: datetime) -> AuditLog:
        """Fetch what was done on the dashboard within the hour that begins at `hour`.

        `hour` is truncated to the second. It need not be a full hour: ClickPost's own example
        begins at twenty past, and India's hours begin at half past in UTC. The log has to be
        enabled by ClickPost.

        Args:
            hour: When the hour begins, with a time zone; truncated to the second.

        Returns:
            The entries of that hour.

        Raises:
            InvalidRequestError: `hour` has no time zone.
            CredentialsError: The key is wrong.

        """
        return await self._caller.get(AUDIT_LOG, {"log_epoch_time": _start_of_hour(hour)})

    async def token(self, username: str, password: str) -> Token:
        """Get an access token for a dashboard user; needs no key, and is never retried.

        ClickPost does not document where the token is accepted, nor the time zone of its expiry.

        Args:
            username: The dashboard user's name.
            password: The user's password; sent in the body, and never logged.

        Returns:
            The token, and when it expires.

        Raises:
            InvalidRequestError: The username or password is blank; nothing is sent.
            RefusedError: They are wrong (HTTP 400, without a message).

        """
        call = self._caller.post(TOKEN, {"username": username, "password": password})
        del username, password  # error trackers export the variables of frames that fail
        return await call


def _start_of_hour(hour: datetime) -> int:
    if isinstance(hour, datetime) and hour.utcoffset() is not None:
        return int(hour.timestamp())
    message = "expected a datetime with a time zone, such as datetime(2026, 1, 31, 18, tzinfo=UTC)"
    raise InvalidRequestError.of([Problem("hour", message)])
