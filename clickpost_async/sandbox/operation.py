"""One operation of the sandbox: what is asked of it, what it answers, and where it is found."""

import enum
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

from attrs import Factory, field, frozen

JSON = Mapping[str, object]

SUCCESSFUL = frozenset({200, 202, 323, 600})


@frozen(kw_only=True)
class Call:
    """What a client asks, without its credentials; they still stand in its `url`."""

    query: Mapping[str, str]
    body: bytes
    payload: object
    url: str = field(default="", repr=False)

    @property
    def origin(self) -> str:
        """Where the sandbox was called, up to the path: `http://127.0.0.1:8000`."""
        return "/".join(self.url.split("/", 3)[:3])


@frozen
class Reply:
    """What is answered; `status` is ClickPost's own, None where there is no envelope."""

    body: JSON
    http_status: int = 200
    headers: Mapping[str, str] = Factory(dict)

    @property
    def status(self) -> int | None:
        """The code in `meta.status`."""
        meta = self.body.get("meta")
        inner = meta.get("meta", meta) if isinstance(meta, Mapping) else None
        status = inner.get("status") if isinstance(inner, Mapping) else None
        return status if isinstance(status, int) else None


class Auth(enum.Enum):
    """Which credentials an operation looks at; the others may come along, and are ignored.

    Some that are documented with both have been seen to work with the key alone.
    """

    BOTH = "username and key"
    KEY_AT_LEAST = "key, and the username if there is one"
    KEY = "key"
    USER_NAME = "user_name and key"
    IN_BODY = "key in the body"
    NONE = "none"


class RefusalError(Exception):
    """A call that ends here, with a code of ClickPost's table; the message may be of any type."""

    def __init__(self, status: int, message: object) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


STRANGER = (301, "Authentication Failed: Invalid Token or API Key")


@frozen
class Operation:
    """A row of the sandbox's table: `name` is the client's, `path` starts below `/api`.

    `http` tells which refusals do not travel under HTTP 200, `stranger` how a wrong key is refused.
    """

    name: str
    method: str
    path: str
    handle: Callable[[Call], Awaitable[Reply]]
    auth: Auth = Auth.BOTH
    http: Mapping[int, int] = MappingProxyType({})
    auth_error: tuple[int, str] = STRANGER

    async def answer(self, call: Call, credentials: JSON, *, username: str, key: str) -> Reply:
        """Play, or refuse."""
        try:
            self._check(credentials, call.payload, username=username, key=key)
            return await self.handle(call)
        except RefusalError as no:
            return refusal(no.status, no.message, http_status=self.http.get(no.status, 200))

    def _check(self, given: JSON, payload: object, *, username: str, key: str) -> None:
        if not self._admits(given, payload, username=username, key=key):
            raise RefusalError(*self.auth_error)

    def _admits(self, given: JSON, payload: object, *, username: str, key: str) -> bool:
        if self.auth is Auth.NONE:
            return True
        if self.auth is Auth.IN_BODY:
            return isinstance(payload, Mapping) and payload.get("key") == key
        if given.get("key") != key:
            return False
        if self.auth is Auth.KEY:
            return True
        if self.auth is Auth.KEY_AT_LEAST:
            return given.get("username") in (None, "", username)
        name = "user_name" if self.auth is Auth.USER_NAME else "username"
        return given.get(name) == username


def meta(status: int, message: object) -> JSON:
    """Return the `meta` of an envelope."""
    return {"status": status, "message": message, "success": status in SUCCESSFUL}


def refusal(status: int, message: object, *, http_status: int = 200) -> Reply:
    """Return an envelope without a result."""
    return Reply({"meta": meta(status, message)}, http_status)


def success(result: object = None, *, message: str = "SUCCESS") -> Reply:
    """Return an envelope with status 200; a result of None is left out."""
    body: dict[str, object] = {"meta": meta(200, message)}
    if result is not None:
        body["result"] = result
    return Reply(body)
