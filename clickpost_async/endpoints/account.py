"""Read the dashboard's audit log, and get access tokens."""

from datetime import UTC, datetime

from clickpost_async._wire.endpoint import Auth, Get, Post, Repeat
from clickpost_async._wire.envelope import bare, rows_of
from clickpost_async.endpoints._namespace import Namespace
from clickpost_async.errors import InvalidRequestError, Problem
from clickpost_async.structures.account import AuditLog, Login, Token

AUDIT_LOG = Get(
    "/v1/audit-log-data/",
    name="account.audit_log",
    returns=AuditLog,
    reads=rows_of,
    auth=Auth.KEY,
    repeat=Repeat.FREELY,
)
TOKEN = Post(
    "/v1/user/token/",
    name="account.token",
    takes=Login,
    returns=Token,
    reads=bare,
    auth=Auth.NONE,
    repeat=Repeat.NEVER,
)

ENDPOINTS = (AUDIT_LOG, TOKEN)


class Account(Namespace):
    """`clickpost.account`."""

    async def audit_log(self, hour: datetime) -> AuditLog:
        """Read what was done on the dashboard within the hour that begins at `hour`.

        `hour` is the start of a full hour in UTC: ClickPost does not say how it cuts other hours,
        and India's own begin at half past. The log has to be switched on by ClickPost.

        Raises:
            InvalidRequestError: `hour` has no time zone, or is not the start of an hour.
            CredentialsError: the key is wrong.

        """
        return await self._caller.get(AUDIT_LOG, {"log_epoch_time": _start_of_hour(hour)})

    async def token(self, username: str, password: str) -> Token:
        """Get an access token for a dashboard user; needs no key, and is never repeated.

        ClickPost's pages do not say where the token is taken, nor in which zone it expires.

        Raises:
            InvalidRequestError: the username or password is blank; nothing is sent.
            RefusedError: they are wrong (HTTP 400, without a word).

        """
        return await self._caller.post(TOKEN, Login(username=username, password=password))


def _start_of_hour(hour: datetime) -> int:
    if hour.utcoffset() is None:
        message = "a datetime with a zone is needed, like datetime(2026, 1, 31, 18, tzinfo=UTC)"
    else:
        start = hour.astimezone(UTC)
        if start == start.replace(minute=0, second=0, microsecond=0):
            return int(start.timestamp())
        message = (
            "must be the start of a full hour in UTC, like 18:00; in India those are at half past"
        )
    raise InvalidRequestError.of([Problem("hour", message)])
