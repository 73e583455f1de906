"""An operation of the sandbox: its path, credentials, requests and responses."""

import enum
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

from attrs import Factory, field, frozen

JSON = Mapping[str, object]

SUCCESSFUL = frozenset({200, 202, 323, 600})


@frozen(kw_only=True)
class ReceivedCall:
    """A client's request, without its credentials; `url` still contains them."""

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
    """A response; `status` is ClickPost's own, None where there is no envelope."""

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
    """The credentials that an operation checks; others may be sent, and are ignored.

    Some that are documented with both have been seen to work with the key alone.
    """

    BOTH = "username and key"
    KEY_AT_LEAST = "key, and the username if there is one"
    KEY = "key"
    USER_NAME = "user_name and key"
    IN_BODY = "key in the body"
    NONE = "none"


# ClickPost's page of error codes.
MESSAGES: Mapping[int, str] = MappingProxyType(
    {
        301: "Authentication Failed: Invalid Token or API Key",
        302: "Invalid Courier Partner Id with Field cp_id",
        303: "Waybill already registered",
        306: "You are not Registered To Use this service, Please Register",
        307: "You have entered an invalid Order Type",
        308: "You have entered an invalid Order Priority",
        309: "Invalid Delivery Type",
        310: "RVP reason is missing",
        311: "Invalid Courier Partner For RVP",
        312: "Items Data is missing from order details",
        313: "Invalid Format of items for Order data",
        314: "Invalid Format Of Order Data",
        315: "Invalid Cod Value",
        316: "You Dont Have Credentials For The Courier Partner",
        319: "Error In Order Placing To Courier Partner",
        320: "This service is not subscribed by you",
        321: "Awb Number Does not exist in the system for the courier partner",
        322: "Internal Server Error In Courier Partners Server, Try Again",
        324: "You Are Using Invalid Credential For Courier Partner, Please Update",
        328: "Invalid POST data",
        330: "Waybill does not exist",
        351: "No account exist",
        352: "Multiple Account exist",
        353: "Inactive account",
        354: "Unhandled CP error",
        355: "Vendor code not found",
    }
)


class RefusalError(Exception):
    """A call that is rejected with a code of ClickPost's table.

    Its message is that of the table; `detail` is appended to it, `message` replaces it, and may be
    of any type.
    """

    def __init__(self, status: int, message: object = None, *, detail: str = "") -> None:
        self.status = status
        self.message: object = message_of(status, detail) if message is None else message
        super().__init__(self.message)


def message_of(status: int, detail: str = "") -> str:
    """Return ClickPost's message for a code, with a detail if there is one."""
    return f"{MESSAGES[status]}: {detail}" if detail else MESSAGES[status]


AUTH_ERROR = (301, MESSAGES[301])


@frozen
class Operation:
    """An endpoint of the sandbox: `name` is the client's, `path` is relative to `/api`.

    `http` maps the codes of rejections that are not sent with HTTP 200 to their HTTP status,
    `auth_error` is the code and message for a wrong key.
    """

    name: str
    method: str
    path: str
    handle: Callable[[ReceivedCall], Awaitable[Reply]]
    auth: Auth = Auth.BOTH
    http: Mapping[int, int] = MappingProxyType({})
    auth_error: tuple[int, str] = AUTH_ERROR

    async def answer(
        self, call: ReceivedCall, credentials: JSON, *, username: str, key: str
    ) -> Reply:
        """Handle a call, or reject it."""
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


def refusal(status: int, message: object = None, *, http_status: int = 200) -> Reply:
    """Return an envelope without a result; the message is that of ClickPost's table."""
    return Reply({"meta": meta(status, message or message_of(status))}, http_status)


def success(result: object = None, *, message: str = "SUCCESS") -> Reply:
    """Return an envelope with status 200; a result of None is left out."""
    body: dict[str, object] = {"meta": meta(200, message)}
    if result is not None:
        body["result"] = result
    return Reply(body)
